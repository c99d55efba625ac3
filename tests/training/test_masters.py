"""Masters: what is narrow is widened exactly and comes back in its own format."""

import numpy as np
import pytest

from refq import nn
from refq.core.errors import RangeError
from refq.encodings import CodebookEncoding, ScaledEncoding, dense
from refq.training import narrow, narrow_encoding, widen, widen_encoding


def scaled(scale_format="float16"):
    codes = dense(np.arange(-6, 6).reshape(3, 4), "int4")
    return ScaledEncoding(codes, dense(np.full((3, 1), 0.1), scale_format), block_shape=(1, 4))


def test_narrow_leaves_are_widened_and_nothing_else():
    wide, formats = widen_encoding(scaled())
    assert formats == {"scale": "float16"}
    leaves = wide.leaves()
    assert {path: leaf.format for path, leaf in leaves.items()} == {
        "elements": "int4",
        "scale": "float32",
    }
    np.testing.assert_array_equal(wide.decode(), scaled().decode())


@pytest.mark.parametrize("format", ["float32", "float64"])
def test_wide_leaves_stay(format):
    encoding = scaled(format)
    wide, formats = widen_encoding(encoding)
    assert wide is encoding
    assert formats == {}
    assert narrow_encoding(wide, formats) is encoding


def test_there_and_back_is_the_identity():
    encoding = scaled()
    assert narrow_encoding(*widen_encoding(encoding)).to_bytes() == encoding.to_bytes()


def test_the_coding_of_a_leaf_stays():
    encoding = dense([0.5, 0.5, 2.0], "float16", "huffman")
    back = narrow_encoding(*widen_encoding(encoding))
    assert (back.format, back.coding) == ("float16", "huffman")


def test_coming_back_rounds_once_to_the_nearest():
    wide, formats = widen_encoding(scaled())
    values = np.array([[0.30001], [1 + 2.0**-11], [1 + 2.0**-11 + 2.0**-20]], np.float32)
    back = narrow_encoding(wide.replace_leaves({"scale": values}), formats)
    # float16 has steps of 2^-10 above 1: the second is a tie and goes to even, the third is not
    expected = [[float(np.float16(0.30001))], [1.0], [1 + 2.0**-10]]
    assert back.leaves()["scale"].decode().tolist() == expected


def test_what_outgrew_its_format_is_named():
    model = nn.Sequential([("fc", nn.Linear(4, 3, weight=scaled()))], (4,))
    wide, formats = widen(model)
    big = wide.with_trainable({"fc.weight/scale": np.full((3, 1), 1e6, np.float32)})
    with pytest.raises(RangeError, match=r"fc\.weight/scale no longer fits float16"):
        narrow(big, formats)


def test_models_keep_their_arrays():
    codebook = dense(np.arange(4.0).reshape(1, 4, 1), "float16")
    codes = dense(np.arange(12)[:, None] % 4, "uint2")
    weight = CodebookEncoding(codes, codebook, (3, 4))
    model = nn.Sequential([("a", nn.Linear(4, 4)), ("b", nn.Linear(4, 3, weight=weight))], (4,))
    wide, formats = widen(model)
    assert formats == {"b.weight": {"codebook": "float16"}}
    assert wide.parameters()["a.weight"] is model.parameters()["a.weight"]
    assert model.parameters()["b.weight"] is weight
    back = narrow(wide, formats)
    assert back.parameters()["b.weight"].to_bytes() == weight.to_bytes()
