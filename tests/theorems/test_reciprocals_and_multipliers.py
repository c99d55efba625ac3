"""Where a reciprocal, or a float32 multiplier, may leave the text: near ties, and nowhere else."""

from fractions import Fraction

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from refq.conformance.strategies import near_tie
from refq.core.semantics import get
from refq.ops import qlinear_matmul, quantize_linear

U = Fraction(1, 2**24)
XNNPACK, RUNTIME = get("litert_xnnpack", "2.3"), get("onnxruntime", "1.31")
SCALES = st.sampled_from([0.1, 1 / 3, 0.9, 0.007]) | st.floats(2.0**-10, 64, width=32)


def from_tie(exact):
    """Return how far a fraction is from the nearest tie."""
    return abs(exact - (exact.__floor__() + Fraction(1, 2)))


@given(SCALES, st.integers(-100, 100), st.booleans(), st.integers(-4, 4))
def test_a_reciprocal_differs_near_ties_only(scale, k, tie, ulps):
    s = np.float32(scale)
    x = near_tie(scale, k, tie, ulps)
    assume(abs(x) > 1e-30)  # nothing underflows
    exact = Fraction(float(x)) / Fraction(float(s))
    inverse = Fraction(float(x * (np.float32(1) / s)))
    assert abs(inverse - exact) <= (2 * U + U**2) * abs(exact)
    text = quantize_linear(x, s, np.int8(0))
    if quantize_linear(x, s, np.int8(0), semantics=XNNPACK) != text:
        assert from_tie(exact) <= (2 * U + U**2) * abs(exact)


@given(st.integers(-8, 8), st.integers(-100, 100), st.integers(-4, 4))
def test_the_reciprocal_of_a_power_of_two_is_exact(power, k, ulps):
    s = np.float32(2.0**power)
    x = near_tie(float(s), k, True, ulps)
    text = quantize_linear(x, s, np.int8(0))
    assert quantize_linear(x, s, np.int8(0), semantics=XNNPACK) == text


@given(st.integers(0, 255), SCALES, SCALES, SCALES)
def test_a_float32_multiplier_differs_near_ties_only(accumulator, a, w, y):
    a, w, y, zero = np.float32(a), np.float32(w), np.float32(y), np.uint8(0)
    product = (np.uint8([[accumulator]]), a, zero, np.uint8([[1]]), w, zero, y, zero)
    if qlinear_matmul(*product) != qlinear_matmul(*product, semantics=RUNTIME):
        exact = accumulator * Fraction(float(a)) * Fraction(float(w)) / Fraction(float(y))
        assert from_tie(exact) <= ((1 + U) ** 3 - 1) * exact


def test_the_smallest_cases():
    assert quantize_linear(np.float32(1.55), np.float32(0.1)) == 15
    assert quantize_linear(np.float32(1.55), np.float32(0.1), semantics=XNNPACK) == 16
    one, zero = np.float32(1), np.uint8(0)
    product = (np.uint8([[5]]), np.float32(0.1), zero, np.uint8([[1]]), one, zero, one, zero)
    assert (qlinear_matmul(*product), qlinear_matmul(*product, semantics=RUNTIME)) == (1, 0)
