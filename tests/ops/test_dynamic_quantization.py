"""dynamic_quantize_linear: the text on near ties of codes and of zero points, and the edges."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refq.conformance.texts import onnx_quantization as text
from refq.core.errors import DTypeError, RangeError, ShapeError
from refq.ops import dequantize_linear, dynamic_quantize_linear

SCALES = st.sampled_from([1.0, 0.1, 1 / 3, 2.0**-140, 2.0**100, 0.9])


def compare(x):
    x = np.float32(x)
    codes, scale, zero_point = text.dynamic_quantize_linear([Fraction(float(v)) for v in x])
    y, s, z = dynamic_quantize_linear(x)
    assert (y.dtype, type(s), type(z)) == (np.dtype(np.uint8), np.float32, np.uint8)
    assert (y.tolist(), Fraction(float(s)), int(z)) == (codes, scale, zero_point)
    return y, s, z


@given(
    SCALES, st.integers(0, 255), st.booleans(), st.integers(-2, 2), st.integers(0, 255),
    st.booleans(), st.integers(-1, 1),
)  # fmt: skip
@example(1.0, 128, True, 0, 3, True, 0)  # the zero point is a tie, and so is a number
@example(0.1, 0, False, 0, 255, True, 0)
@example(1.0, 255, False, 0, 0, True, 0)
def test_near_ties(scale, below, half, ulps, code, tie, offset):
    """The range is from -(below + 1/2) steps up, so that the zero point is near a tie."""
    s = np.float32(scale)
    low = np.float32(-(below + 0.5 * half)) * s
    low = np.nextafter(low, np.float32(np.inf * ulps)) if ulps and low else low
    high = np.float32(low + np.float32(255) * s)
    inner = np.float32(code - below + 0.5 * tie) * s
    inner = np.nextafter(inner, np.float32(np.inf * offset)) if offset else inner
    inner = np.clip(inner, low, high)
    x = np.float32([low, inner, high, 0])
    if x.any():
        compare(x)


@pytest.mark.parametrize("x", [[1.0, 2.0], [-2.0, -1.0], [3e-39], [-1e30, 1e38], [255.0], [-255.0]])
def test_ranges_are_widened_to_hold_zero(x):
    y, s, z = compare(x)
    assert dequantize_linear(np.array([z]), s, z).tolist() == [0.0]
    back = dequantize_linear(y, s, z).astype(np.float64)
    # a code is off by half a step, a zero point by another half; scale, quotient and product are
    # rounded to float32, each by at most 255 * 2^-24 steps
    assert (np.abs(back - np.float32(x)) <= (1 + 3 * 255 * 2.0**-24) * float(s)).all()


def test_zeros_have_the_documented_scale():
    for x in (np.zeros((2, 3)), np.float32(-0.0), np.zeros(1, np.int8)):
        y, s, z = dynamic_quantize_linear(x)
        assert (y.shape, y.any(), s, z) == (np.shape(x), False, 1, 0)


def test_float64_is_rounded_to_float32_first():
    x = np.array([0.1, 1 / 3, -0.7])
    for got, want in zip(
        dynamic_quantize_linear(x), dynamic_quantize_linear(x.astype(np.float32)), strict=True
    ):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    ("x", "error", "words"),
    [
        (np.zeros((0, 3)), ShapeError, r"x has shape \(0, 3\)"),
        ([0.0, np.nan], RangeError, r"x\[1\] = nan must be finite"),
        ([[0.0], [-np.inf]], RangeError, r"x\[1, 0\] = -inf must be finite"),
        ([1e60], RangeError, r"x\[0\] = inf must be finite"),
        ([-3e38, 3e38], RangeError, "is inf in float32"),
        ([1e-45], RangeError, "is 0.0 in float32"),
        (["a"], DTypeError, "dtype"),
    ],
)
def test_what_the_text_does_not_cover_is_refused(x, error, words):
    with pytest.raises(error, match=words):
        dynamic_quantize_linear(x)


def test_the_array_is_not_touched():
    x = np.float32([[1.0, -2.0], [3.0, 0.5]])
    kept = x.copy()
    want = dynamic_quantize_linear(x)[0]
    np.testing.assert_array_equal(x, kept)
    np.testing.assert_array_equal(dynamic_quantize_linear(x.T[::-1])[0], want.T[::-1])
    np.testing.assert_array_equal(dynamic_quantize_linear(x.astype(">f4"))[0], want)
