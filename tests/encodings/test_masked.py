"""Which entries are kept, and the rest packed."""

import itertools

import numpy as np
import pytest

from refq.core.errors import DTypeError, FormatError, ShapeError
from refq.encodings import GeneratedEncoding, MaskedEncoding, ScaledEncoding, dense


@pytest.mark.parametrize("bits", list(itertools.product([0, 1], repeat=4)))
def test_every_mask_of_four(bits):
    kept = [float(i + 1) for i, b in enumerate(bits) if b]
    e = MaskedEncoding(dense(np.reshape(bits, (2, 2)), "uint1"), dense(np.array(kept)), (2, 2))
    assert e.decode().reshape(-1).tolist() == [float((i + 1) * b) for i, b in enumerate(bits)]
    grad = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert e.pullback(grad)["values"].tolist() == kept


@pytest.mark.parametrize("mask_shape", [(3, 1, 1), (1, 2, 1), (1, 1, 4), (3, 2, 4), (1, 1, 1)])
def test_masks_broadcast(mask_shape):
    rng = np.random.default_rng(2)
    mask = rng.integers(0, 2, mask_shape)
    full = np.broadcast_to(mask, (3, 2, 4))
    values = np.arange(1.0, full.sum() + 1)
    out = MaskedEncoding(dense(mask, "uint1"), dense(values), (3, 2, 4)).decode()
    left = iter(values.tolist())
    want = [next(left) if full[i] else 0.0 for i in np.ndindex(3, 2, 4)]
    assert out.reshape(-1).tolist() == want


def test_kept_filters_keep_their_shape_and_scales():
    values = ScaledEncoding(dense(np.ones((1, 4)), "int4"), dense([[0.5]], "float16"), (1, 4))
    e = MaskedEncoding(dense([[0], [1]], "uint1"), values, (2, 4))
    assert e.decode().tolist() == [[0.0] * 4, [0.5] * 4]
    assert e.stored_bits == 2 + 16 + 16
    assert e.pullback(np.ones((2, 4)))["values.scale"].tolist() == [[4.0]]


def test_zero_dimensions_and_generated_masks():
    one = MaskedEncoding(dense(1, "uint1"), dense(2.5, "float32"), ())
    assert one.decode().shape == ()
    assert float(one.decode()) == 2.5
    none = MaskedEncoding(GeneratedEncoding("zeros", (1, 1)), dense(np.zeros(0)), (2, 3))
    assert none.decode().tolist() == [[0.0] * 3] * 2
    assert none.stored_bits == 0


def test_masks_that_lie_are_found_on_decoding():
    two = MaskedEncoding(dense([1, 2], "uint2"), dense([1.0]), (2,))
    with pytest.raises(FormatError, match=r"mask lies in 1\.\.2; allowed 0 and 1"):
        two.decode()
    signs = MaskedEncoding(dense([-1, 0], "int2"), dense([1.0]), (2,))
    with pytest.raises(FormatError, match=r"mask lies in -1\.\.0"):
        signs.decode()
    short = MaskedEncoding(dense([1, 1], "uint1"), dense([1.0]), (2,))
    with pytest.raises(FormatError, match="the mask keeps 2 entries; 1 are stored"):
        short.decode()


def test_what_does_not_fit():
    mask, values = dense([1, 0], "uint1"), dense([1.0])
    for shape in ((3,), (2, 1), (1, 2), ()):
        with pytest.raises(ShapeError, match="does not broadcast"):
            MaskedEncoding(mask, values, shape)
    with pytest.raises(ShapeError, match="does not broadcast"):
        MaskedEncoding(dense([1.0, 0.0]), values, (2,))
    with pytest.raises(ShapeError, match="3 values are more than"):
        MaskedEncoding(mask, dense([1.0, 2.0, 3.0]), (2,))
    with pytest.raises(DTypeError, match="mask is a ndarray"):
        MaskedEncoding(np.array([1, 0]), values, (2,))
    with pytest.raises(DTypeError, match="values is a list"):
        MaskedEncoding(mask, [1.0], (2,))
