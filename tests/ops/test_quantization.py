"""quantize_linear and dequantize_linear against the text, near ties first."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refq.conformance.strategies.tie_draws import SCALES, near_tie
from refq.conformance.texts import onnx_quantization as text
from refq.core.errors import DTypeError, RangeError, ShapeError
from refq.core.semantics import QuantizeRule, Semantics
from refq.formats import Integer
from refq.ops import dequantize_linear, quantize_linear

FORMATS = ("int8", "uint8", "int16", "uint16", "int4", "uint4", "int2", "uint2")
ULPS = st.sampled_from([0, 1, -1])


def says(x, scale, zero_point, kind, name):
    number = Fraction(float(x)) if math.isfinite(x) else float(x)
    low, high = text.INTEGER_RANGES[name]
    return text.quantize_linear(number, Fraction(float(scale)), zero_point, kind, low, high)


@given(
    st.sampled_from(SCALES), st.integers(0, 65535), st.booleans(), ULPS,
    st.sampled_from(FORMATS), st.integers(0, 65535), st.sampled_from([np.float32, np.float64]),
)  # fmt: skip
@example(1.0, 128, True, 0, "int8", 129, np.float32)
@example(0.1, 255, True, -1, "uint8", 1, np.float32)
def test_near_ties_of_every_format(scale, k, tie, ulps, name, z, dtype):
    low, high = text.INTEGER_RANGES[name]
    code, zero = low + k % (high - low + 1), low + z % (high - low + 1)
    x = near_tie(scale, code - zero, tie, ulps, dtype)
    got = quantize_linear(np.array([x]), dtype(scale), zero, format=name)
    assert got.tolist() == [says(x, dtype(scale), zero, np.dtype(dtype).name, name)]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("zero_point", [0, 1, -127, 127])
def test_every_tie_and_neighbour_of_int8(scale, zero_point):
    s = np.float32(scale)
    x = np.array(
        [
            near_tie(scale, k - zero_point, True, u)
            for k in range(-130, 130)
            for u in (-2, -1, 0, 1, 2)
        ]
    )
    got = quantize_linear(x, s, np.int8(zero_point))
    assert got.dtype == np.int8
    assert got.tolist() == [says(v, s, zero_point, "float32", "int8") for v in x]


@given(st.data())
def test_per_axis_and_blocked_equal_per_tensor_piece_by_piece(data):
    x = np.array(
        [[near_tie(s, k, t, u) for k in (-3, 0, 2, 5)] for s, t, u in zip(
            (1.0, 0.1, 1 / 3), (True, True, False), (0, 1, -1), strict=True)]
    )  # fmt: skip
    scales = np.array([data.draw(st.sampled_from(SCALES)) for _ in range(3)], np.float32)
    zeros = np.array([data.draw(st.integers(-128, 127)) for _ in range(3)], np.int8)
    want = [quantize_linear(r, s, z) for r, s, z in zip(x, scales, zeros, strict=True)]
    got = quantize_linear(x, scales, zeros, axis=0)
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(quantize_linear(x.T.copy(), scales, zeros, axis=-1).T, want)
    back = dequantize_linear(got, scales, zeros, axis=0)
    pieces = [dequantize_linear(r, s, z) for r, s, z in zip(got, scales, zeros, strict=True)]
    np.testing.assert_array_equal(back, pieces)
    # blocks of three along the second axis: four columns make a block of three and one of one
    block = np.stack([scales, scales[::-1]], axis=1)
    z = np.stack([zeros, zeros[::-1]], axis=1)
    got = quantize_linear(x, block, z, axis=1, block_size=3)
    for i in range(3):
        for j in range(4):
            assert got[i, j] == quantize_linear(x[i, j], block[i, j // 3], z[i, j // 3])
    back = dequantize_linear(got, block, z, axis=1, block_size=3)
    wide = np.repeat(block, 3, axis=1)[:, :4], np.repeat(z.astype(int), 3, axis=1)[:, :4]
    np.testing.assert_array_equal(back, (got - wide[1]).astype(np.float32) * wide[0])


@given(
    st.sampled_from([np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32]), st.data(),
    st.sampled_from([0.1, 1 / 3, 1.0, 1e-39, 3e38]), st.sampled_from([np.float32, np.float64]),
)  # fmt: skip
def test_dequantize_is_rounded_once(dtype, data, scale, kind):
    info = np.iinfo(dtype)
    codes = st.sampled_from([int(info.min), int(info.max), 0]) | st.integers(info.min, info.max)
    q, z, s = data.draw(codes), data.draw(codes), kind(scale)
    got = dequantize_linear(np.array([q], dtype), s, dtype(z))
    assert got.dtype == kind
    want = text.dequantize_linear(q, Fraction(float(s)), z, np.dtype(kind).name)
    assert got.tolist() == [float(want)]


def test_int32_dequantize_rounds_once_where_two_roundings_would_differ():
    q, s = np.arange(2**24, 2**24 + 4000, dtype=np.int32), np.float32(0.1)
    got = dequantize_linear(q, s)
    want = [float(text.dequantize_linear(v, Fraction(float(s)), 0, "float32")) for v in q.tolist()]
    assert got.tolist() == want
    assert np.any(q.astype(np.float32) * s != got)


def test_dequantize_beside_midpoints_that_float64_cannot_see():
    """Products of 56 bits whose last 32 are 2^31 and a few: float64 drops the few."""
    differ = 0
    for odd in range(2**24 - 1, 2**24 - 400, -2):
        scale = np.float32(odd)
        for few in (-3, -2, -1, 1, 2, 3):
            q = (2**31 + few) * pow(odd, -1, 2**32) % 2**32
            got = dequantize_linear(np.array([q], np.uint32), scale)
            want = float(text.dequantize_linear(q, Fraction(odd), 0, "float32"))
            assert got.tolist() == [want]
            differ += float(np.float32(float(q) * float(odd))) != want
    assert differ


def test_float16_scales():
    s = np.float16(0.1)
    x = np.array([near_tie(float(s), k, True, u) for k in range(-9, 9) for u in (-1, 0, 1)])
    got = quantize_linear(x, s, np.int8(3))
    assert got.tolist() == [says(v, s, 3, "float16", "int8") for v in x]
    back = dequantize_linear(np.int16([32767, -5]), s, np.int16(-32768))
    assert back.dtype == np.float16
    want = [text.dequantize_linear(q, Fraction(float(s)), -32768, "float16") for q in (32767, -5)]
    assert back.tolist() == [float(w) for w in want]


@pytest.mark.parametrize("name", ["int8", "uint8", "int4"])
@pytest.mark.parametrize("scale", SCALES)
def test_every_code_round_trips(name, scale):
    low, high = text.INTEGER_RANGES[name]
    codes = np.arange(low, high + 1)
    for zero in (low, 0, high):
        x = dequantize_linear(codes.astype(np.int16), np.float32(scale), np.int16(zero))
        back = quantize_linear(x, np.float32(scale), zero, format=name)
        np.testing.assert_array_equal(back, codes)


def test_the_format_of_the_codes():
    x = np.float32([1])
    assert quantize_linear(x, 1.0).dtype == np.uint8
    assert quantize_linear(x, 1.0, 5).dtype == np.uint8
    assert quantize_linear(x, 1.0, np.int16(5)).dtype == np.int16
    assert quantize_linear(x, 1.0, 5, format="int4").dtype == np.int8
    assert quantize_linear(x, 1.0, 5, format=Integer(9)).dtype == np.int16
    assert quantize_linear(x * 1e9, 0.5, format="int32").tolist() == [2 * 10**9]


def test_a_python_float_takes_its_precision_from_x():
    x = near_tie(0.1, 7, True, 0, np.float32)
    assert quantize_linear(np.array([x]), 0.1) == quantize_linear(np.array([x]), np.float32(0.1))
    y = np.array([near_tie(0.1, 7, True, -1, np.float64)])
    assert quantize_linear(y, 0.1).tolist() == [says(y[0], 0.1, 0, "float64", "uint8")]
    assert dequantize_linear(np.int8([3]), 0.1).dtype == np.float32


@pytest.mark.parametrize("shape", [(), (0,), (1, 0), (0, 3), (1,)])
def test_shapes_are_kept(shape):
    x = np.ones(shape, np.float32)
    q = quantize_linear(x, np.float32(0.5), np.int8(-1))
    assert (q.shape, q.dtype) == (shape, np.int8)
    assert dequantize_linear(q, np.float32(0.5), np.int8(-1)).shape == shape
    if shape == (0, 3):
        scales = np.ones(3, np.float32)
        assert quantize_linear(x, scales).shape == shape
        assert dequantize_linear(q, scales).shape == shape


@pytest.mark.parametrize("length", [1, 2, 31, 65])
def test_nan_at_every_position(length):
    for i in range(length):
        x = np.zeros(length, np.float32)
        x[i] = np.nan
        with pytest.raises(RangeError, match=rf"x\[{i}\] is nan"):
            quantize_linear(x, np.float32(1))
        assert quantize_linear(x, np.float32(1), np.uint8(9), nan="zero")[i] == 9
        x[i] = np.inf
        assert quantize_linear(x, np.float32(1))[i] == 255


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_bad_scales_are_named(bad):
    scale = np.float32([1, 1, 1, bad])
    for call in (quantize_linear, dequantize_linear):
        with pytest.raises(RangeError, match=r"scale\[3\] = .* must be finite and > 0"):
            call(np.zeros((2, 4), np.int8), scale)


def test_a_python_scale_that_float32_cannot_hold():
    for bad in (1e-60, 1e60):
        with pytest.raises(RangeError, match="scale = "):
            quantize_linear(np.float32([1]), bad)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: quantize_linear(x, 1.0, 300), RangeError, "zero_point = 300 must be in"),
        (lambda x: quantize_linear(x, 1.0, format="nf4"), DTypeError, "format = 'nf4'"),
        (lambda x: quantize_linear(x, 1.0, format="int64"), DTypeError, "format = 'int64'"),
        (lambda x: quantize_linear(x, 1.0, np.int64(3)), DTypeError, "int64, which names no"),
        (lambda x: quantize_linear(x, np.ones(2)), ShapeError, r"needs \(3,\)"),
        (lambda x: quantize_linear(x, np.ones(3), np.zeros(2, np.int8)), ShapeError, "equal"),
        (lambda x: quantize_linear(x, np.ones((2, 3))), ShapeError, "without block_size"),
        (lambda x: quantize_linear(x, np.ones((2, 3)), block_size=2), ShapeError, r"\(2, 2\)"),
        (lambda x: quantize_linear(x, np.ones(3), axis=5), ShapeError, "axis = 5"),
        (lambda x: quantize_linear(x, 1.0, block_size=0), RangeError, "block_size = 0"),
        (lambda x: quantize_linear(x, 1.0, nan="maybe"), RangeError, "nan = 'maybe'"),
        (lambda x: quantize_linear(x, 1.0, 0.5), DTypeError, "zero_point"),
        (lambda x: quantize_linear(x.astype(complex), 1.0), DTypeError, "complex"),
        (lambda x: dequantize_linear(x, 1.0), DTypeError, "q has dtype float32"),
        (lambda x: dequantize_linear(x.astype(np.int64), 1.0), DTypeError, "32 bits"),
        (lambda x: dequantize_linear(x.astype(np.int8), 1.0, 200), RangeError, "zero_point = 200"),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call(np.ones((2, 3), np.float32))


def test_another_semantics_is_obeyed():
    before = Semantics("mine", "1", quantize=QuantizeRule(zero_point="before"))
    x = np.float32([0.5, 1.5])
    assert quantize_linear(x, np.float32(1), np.int8(1)).tolist() == [1, 3]
    assert quantize_linear(x, np.float32(1), np.int8(1), semantics=before).tolist() == [2, 2]
