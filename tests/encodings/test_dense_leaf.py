"""The leaf that holds codes."""

import numpy as np
import pytest

from refq import codings, formats
from refq.core.errors import DTypeError, FormatError, RangeError, ShapeError
from refq.encodings import DenseEncoding, Encoding, dense, from_codes


@pytest.mark.parametrize("form", formats.FORMATS.values(), ids=lambda f: f.name)
@pytest.mark.parametrize("coding", ["raw", "huffman"])
def test_every_format_survives_the_container(form, coding):
    rng = np.random.default_rng(form.bits)
    top = len(form.levels) if isinstance(form, formats.LevelTable) else 1 << min(form.bits, 63)
    patterns = rng.integers(0, top, 37).astype(f"u{form.dtype.itemsize}")
    e = DenseEncoding(form.from_patterns(patterns).reshape(1, 37), form.name, coding)
    back = Encoding.from_bytes(e.to_bytes())
    assert isinstance(back, DenseEncoding)
    assert (back.format, back.coding, back.shape) == (form.name, coding, (1, 37))
    np.testing.assert_array_equal(back.codes, e.codes)
    assert e.decode().dtype == e.dtype == form.value_dtype
    assert back.decode().tobytes() == e.decode().tobytes()
    assert e.stored_bits == codings.get(coding).nbits(patterns, form.bits)
    assert 0 <= 8 * e.payload_bytes - e.stored_bits < 8
    if coding == "raw":
        assert e.stored_bits == 37 * form.bits
        assert e.bits_per_weight == form.bits


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1, 1), (2, 3, 4)])
def test_shapes_are_kept(shape):
    e = dense(np.ones(shape), "int4")
    assert e.shape == e.decode().shape == Encoding.from_bytes(e.to_bytes()).decode().shape == shape
    assert e.size == int(np.prod(shape))
    assert np.isnan(e.bits_per_weight) == (e.size == 0)


def test_codes_are_copied_and_frozen():
    codes = np.arange(4, dtype=np.uint8)
    e = DenseEncoding(codes, "uint4")
    codes[0] = 9
    assert e.codes.tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="read-only"):
        e.codes[0] = 1
    decoded = e.decode()
    decoded[0] = 9
    assert e.decode().tolist() == [0, 1, 2, 3]


def test_dense_rounds_once_and_refuses_what_does_not_fit():
    assert dense([0.1], "float16").decode().tolist() == [np.float16(0.1)]
    assert dense(np.array([1.5], np.float64)).format == "float64"
    assert dense([True, False]).format == "uint8"
    for x, form, message in (
        ([8], "int4", r"x\[0\] = 8 is outside int4"),
        ([np.nan], "float32", r"x\[0\] = nan must not be nan"),
        ([np.inf], "float32", r"x\[0\] = inf overflows float32"),
        ([1.5], "nf4", r"outside nf4"),
    ):
        with pytest.raises(RangeError, match=message):
            dense(x, form)
    with pytest.raises(DTypeError):
        dense(["a"])


def test_unknown_names_and_codes_that_do_not_exist():
    with pytest.raises(RangeError, match="format = 'int99' is unknown"):
        DenseEncoding(np.zeros(1, np.int8), "int99")
    with pytest.raises(RangeError, match="coding = 'zip' is unknown"):
        DenseEncoding(np.zeros(1, np.int8), "int8", "zip")
    with pytest.raises(FormatError, match=r"codes\[0\] = 3; ternary has 3 codes"):
        DenseEncoding(np.array([3], np.uint8), "ternary")
    with pytest.raises(FormatError, match="is outside int4"):
        DenseEncoding(np.array([8], np.int8), "int4")


def test_names_stand_for_objects():
    e = dense([1, 2], formats.get("int8"), codings.get("huffman"))
    assert (e.format, e.coding) == ("int8", "huffman")
    assert e.with_coding("raw").decode().tolist() == [1, 2]
    assert len(e.to_bytes()) > 0


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 256, 257, 65536, 65537])
def test_indices_take_the_narrowest_format(n):
    e = from_codes(np.array([0, n - 1]), n)
    bits = int(e.format.removeprefix("uint"))
    assert e.decode().tolist() == [0, n - 1]
    assert bits == (max(1, (n - 1).bit_length()) if n <= 65536 else 32)
    for bad in (-1, n):
        with pytest.raises(ShapeError, match=rf"allowed 0\.\.{n - 1}"):
            from_codes(np.array([bad]), n)


def test_only_float_formats_are_trainable():
    assert list(dense([1.0], "float16").float_leaves()) == ["codes"]
    assert dense([1], "int8").float_leaves() == {}
    assert dense([1.0], "nf4").float_leaves() == {}
    e = dense([1.0, 2.0], "float16", "huffman").replace_leaves({"codes": np.array([3.0, 4.0])})
    assert (e.format, e.coding, e.decode().tolist()) == ("float16", "huffman", [3.0, 4.0])
