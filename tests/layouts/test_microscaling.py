"""Microscaling tensors: by hand, against GGUF's MXFP4, against the method, and wrong buffers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq import formats
from refq.core.errors import FormatError, ShapeError
from refq.encodings import dense
from refq.layouts import gguf
from refq.layouts import microscaling as layout
from refq.scalar import BlockScaledQuantizer

SIZES = {
    "mxfp8_e5m2": 8.25,
    "mxfp8_e4m3": 8.25,
    "mxfp6_e3m2": 6.25,
    "mxfp6_e2m3": 6.25,
    "mxfp4": 4.25,
    "mxint8": 8.25,
}


def quantizer(type):
    element, scale, block = layout.TYPES[type]
    return BlockScaledQuantizer(element, scale, block, "nearest" if type == "nvfp4" else "floor")


def random_buffer(type, shape, seed):
    rng = np.random.default_rng(seed)
    raw = rng.integers(0, 256, layout.nbits(shape, type) // 8).astype(np.uint8)
    if type == "nvfp4":
        raw[-4:] = np.frombuffer(np.float32(rng.random() + 0.1).tobytes(), np.uint8)
    if type == "mxint8":
        n = int(np.prod(shape))
        raw[n:] = np.maximum(raw[n:], 6)
    return raw.tobytes()


@pytest.mark.parametrize("type", layout.TYPES)
@given(seed=st.integers(0, 1 << 20), rows=st.sampled_from([(2,), (), (3, 1)]))
def test_any_bytes_are_written_back(type, seed, rows):
    shape = (*rows, 64)
    buffer = random_buffer(type, shape, seed)
    e = layout.read(buffer, type, shape)
    assert layout.write(e, type) == buffer
    assert e.stored_bits == layout.nbits(shape, type) == 8 * len(buffer)


@pytest.mark.parametrize("type", layout.TYPES)
def test_a_method_makes_the_form(type):
    W = np.random.default_rng(1).standard_normal((4, 96), dtype=np.float32)
    e = quantizer(type).fit_encode(W)
    buffer = layout.write(e, type)
    np.testing.assert_array_equal(layout.read(buffer, type, W.shape).decode(), e.decode())
    if type in SIZES:
        assert 8 * len(buffer) == SIZES[type] * W.size


@pytest.mark.parametrize("type", layout.TYPES)
def test_elements_lie_where_they_should(type):
    """The bits of element i, by a loop over the bytes; the text's value of a block, by floats."""
    element, _, block = layout.TYPES[type]
    form = formats.get(element)
    buffer = random_buffer(type, (1, block), 3)
    stream = int.from_bytes(buffer[: block * form.bits // 8], "little")
    codes = [(stream >> i * form.bits) & ((1 << form.bits) - 1) for i in range(block)]
    values = form.values[codes].astype(np.float64)
    byte = buffer[block * form.bits // 8]
    if type == "nvfp4":
        tensor = np.frombuffer(buffer[-4:], "<f4")[0]
        scale = float(formats.get("float8_e4m3fn").values[byte] * tensor)
        values = (values.astype(np.float32) * np.float32(scale)).astype(np.float64)
    else:
        values = values * (math.nan if byte == 255 else 2.0 ** (byte - 127))
        values = values / 64 if type == "mxint8" else values
    with np.errstate(over="ignore"):
        want = values.astype(np.float32)[None]
    np.testing.assert_array_equal(layout.read(buffer, type, (1, block)).decode(), want)


def test_mxfp4_means_what_ggmls_blocks_mean():
    x = np.random.default_rng(2).standard_normal((1, 32), dtype=np.float32)
    block = gguf.quantize(x, "MXFP4")
    low = np.frombuffer(block[1:], np.uint8) & 15
    high = np.frombuffer(block[1:], np.uint8) >> 4
    codes = np.concatenate([low, high])
    buffer = (codes[::2] | (codes[1::2] << 4)).astype(np.uint8).tobytes() + block[:1]
    got = layout.read(buffer, "mxfp4", (1, 32)).decode()
    np.testing.assert_array_equal(got, gguf.dequantize(block, "MXFP4", (1, 32)))


def test_scales_of_mxint8_are_the_texts():
    e = layout.read(bytes([64] * 32 + [127]), "mxint8", (32,))
    assert e.decode().tolist() == [1.0] * 32  # 64 / 64 * 2^0
    with pytest.raises(FormatError, match="scale 0 has the code 5"):
        layout.read(bytes([0] * 32 + [5]), "mxint8", (32,))
    assert np.isnan(layout.read(bytes([1] * 32 + [255]), "mxint8", (32,)).decode()).all()


def test_refusals():
    with pytest.raises(FormatError, match="no microscaling type"):
        layout.nbits((32,), "mxfp3")
    for shape in [(33,), (), (32, 31)]:
        with pytest.raises(ShapeError, match="multiple"):
            layout.nbits(shape, "mxfp4")
    for buffer in (bytes(16), bytes(18), b""):
        with pytest.raises(FormatError, match="buffer has"):
            layout.read(buffer, "mxfp4", (32,))
    for other in (dense(np.ones(32)), quantizer("mxfp8_e4m3").fit_encode(np.ones(32))):
        with pytest.raises(FormatError, match="is no mxfp4"):
            layout.write(other, "mxfp4")
    top = quantizer("mxint8").fit_encode([1.0] * 32)
    high = top.map_leaves(
        lambda leaf: leaf if leaf.format == "int8" else dense([2.0**127], "float8_e8m0fnu")
    )
    with pytest.raises(FormatError, match="code is above 248"):
        layout.write(high, "mxint8")
