"""Theorem 1: s/2 in exact arithmetic, the derived bound in float32, overload outside."""

from fractions import Fraction

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from refq import ops
from refq.conformance.strategies.tie_draws import SCALES, near_tie, near_tie_grid

U = Fraction(1, 1 << 24)
SCALE = st.sampled_from([*SCALES, 1e-38, 3e-45, 1e30]) | st.floats(2.0**-100, 2.0**100, width=32)


def exact(x):
    return Fraction(float(x))


@given(SCALE, st.integers(-127, 126), st.booleans(), st.integers(-3, 3))
def test_half_a_step_in_exact_arithmetic(scale, k, tie, ulps):
    s = exact(np.float32(scale))
    x = exact(near_tie(scale, k, tie, ulps))
    code = max(-128, min(127, round(x / s)))  # Python rounds Fractions half to even
    if Fraction(-257, 2) <= x / s <= Fraction(255, 2):
        assert abs(x - code * s) <= s / 2
    else:  # overload: past the last midpoint
        assert abs(x - code * s) > s / 2


@example(0.1, 99, True, 0)
@given(SCALE, st.integers(-127, 126), st.booleans(), st.integers(-3, 3))
def test_the_derived_bound_in_float32(scale, k, tie, ulps):
    s = np.float32(scale)
    x = near_tie(scale, k, tie, ulps)
    back = ops.dequantize_linear(ops.quantize_linear(x, s, np.int8(0)), s)
    size = abs(exact(x))
    # (1 + u)(s/2 + u|x|) + u|x|: see docs/theorems.md
    bound = (1 + U) * (exact(s) / 2 + U * size) + U * size
    assert abs(exact(x) - exact(back)) <= bound


def test_the_exact_bound_is_broken_in_float32_on_many_near_ties():
    s = np.float32(0.1)
    x = near_tie_grid(0.1, -127, 126)
    back = ops.dequantize_linear(ops.quantize_linear(x, s, np.int8(0)), s)
    inside = np.abs(x) < 127 * s
    error = np.abs(x.astype(np.float64) - back.astype(np.float64))  # exact: both are multiples
    # of 2^-28 below 2^4, so their difference has at most 33 bits
    assert np.count_nonzero(error[inside] > np.float64(s) / 2) > 100


@given(st.floats(128, 1e6, width=32))
def test_overload_grows_with_the_distance(x):
    code = ops.quantize_linear(np.float32(x), np.float32(1), np.int8(0))
    assert abs(exact(np.float32(x)) - int(code)) == exact(np.float32(x)) - 127
