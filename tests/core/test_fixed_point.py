"""Fixed point against fractions and Python integers."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refq.core.errors import RangeError
from refq.core.fixed_point import (
    as_fractions,
    divide_and_round,
    fixed_point_multiplier,
    multiply_rounding_once,
    multiply_rounding_twice,
)

INT32 = st.sampled_from([0, 1, -1, 2**31 - 1, -(2**31)]) | st.integers(-(2**31), 2**31 - 1)
MANTISSA = st.sampled_from([2**30, 2**31 - 1, 3 << 29]) | st.integers(2**30, 2**31 - 1)
HALF = Fraction(1, 2)


def rounded(value, rounding):
    below = math.floor(value)
    if value - below != HALF:
        return below + (value - below > HALF)
    up = {"half_even": below % 2 == 1, "half_away": value > 0, "half_up": True}[rounding]
    return below + up


def gemmlowp(x, mantissa, shift):
    """The two-step product in Python integers, after the C++ formulas."""
    exponent = 31 - shift
    x, right = (x << exponent, 0) if exponent > 0 else (x, -exponent)
    ab = x * mantissa
    nudged = ab + (2**30 if ab >= 0 else 1 - 2**30)
    high = nudged // 2**31 if nudged >= 0 else -(-nudged // 2**31)
    mask = (1 << right) - 1
    return (high >> right) + ((high & mask) > (mask >> 1) + (high < 0))


@pytest.mark.parametrize("rounding", ["half_even", "half_away", "half_up"])
@pytest.mark.parametrize("kind", [np.int64, object])
def test_division_of_all_small_integers(rounding, kind):
    n = np.arange(-60, 61)
    for d in range(1, 13):
        got = divide_and_round(n.astype(kind), d, rounding).tolist()
        assert got == [rounded(Fraction(v, d), rounding) for v in n.tolist()]


def test_division_does_not_overflow_near_the_end_of_int64():
    n = np.array([2**63 - 1, -(2**63)])
    got = divide_and_round(n, 2**62 + 1).tolist()
    assert got == [rounded(Fraction(v, 2**62 + 1), "half_even") for v in n.tolist()]


def test_division_refuses_an_unknown_rounding():
    with pytest.raises(RangeError, match="rounding"):
        divide_and_round(np.array([1]), 2, "floor")


@given(st.floats(1e-30, 2.0**30, exclude_max=True) | st.fractions(Fraction(1, 10**9), 10**6))
@example(1 - 2.0**-53)  # rounds up to 2^31: the mantissa must be renormalized
@example(2.0**30 - 1)
@example(2.0**30 - 2.0**-20)
@example(5e-324)
def test_multiplier_keeps_31_bits(real):
    mantissa, shift = fixed_point_multiplier(real)
    assert 2**30 <= mantissa < 2**31
    assert shift >= 1
    kept = mantissa * Fraction(2) ** -shift
    assert abs(kept - Fraction(real)) <= Fraction(real) / 2**31


def test_multiplier_of_arrays():
    mantissa, shift = fixed_point_multiplier(np.float32([[0.5, 3.0]]))
    assert mantissa.dtype == shift.dtype == np.int32
    assert mantissa.tolist() == [[2**30, 3 << 29]]
    assert shift.tolist() == [[31, 29]]


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf, 2.0**30, "one", None])
def test_multiplier_refuses(bad):
    with pytest.raises(RangeError, match="real = "):
        fixed_point_multiplier(bad)


def test_refusal_names_the_index():
    with pytest.raises(RangeError, match=r"real\[1\] = 0.0 must be finite and > 0"):
        fixed_point_multiplier([1.0, 0.0])
    assert as_fractions([Fraction(1, 3), 2]).tolist() == [Fraction(1, 3), Fraction(2)]


@given(INT32, MANTISSA, st.integers(1, 80), st.sampled_from(["half_even", "half_away", "half_up"]))
@example(-(2**31), 2**31 - 1, 62, "half_up")
@example(-(2**31), 2**31 - 1, 63, "half_away")
@example(1, 2**30, 31, "half_up")
@example(-1, 2**30, 31, "half_up")
def test_single_rounding_is_the_nearest_integer(x, mantissa, shift, rounding):
    product = x * mantissa / Fraction(2) ** shift
    got = int(multiply_rounding_once(np.array([x]), mantissa, shift, rounding)[0])
    assert got == rounded(product, rounding)
    assert abs(got - product) <= HALF


@given(INT32, MANTISSA, st.integers(20, 80))
@example(-(2**31), 2**31 - 1, 31)
@example(5, 2**30, 32)
@example(-5, 2**30, 32)
@example(-10, 2**30, 32)
@example(10, 2**30, 32)
@example(-1, 2**30, 31)
def test_double_rounding_is_gemmlowps_and_within_its_bound(x, mantissa, shift):
    left = max(31 - shift, 0)
    x = x >> left  # gemmlowp's domain: the shift to the left stays an int32
    got = int(multiply_rounding_twice(np.array([x]), mantissa, shift)[0])
    assert got == gemmlowp(x, mantissa, shift)
    product = x * mantissa / Fraction(2) ** shift
    assert abs(got - product) <= HALF + (Fraction(2) ** (30 - shift) if shift > 31 else 0)


def test_double_rounding_leaves_one_half_behind():
    """Where both rules differ (and they do), the double one is more than 1/2 away."""
    x, mantissa, shift = np.arange(1, 200), 2**31 - 2**26, 33
    once, twice = (
        multiply_rounding_once(x, mantissa, shift),
        multiply_rounding_twice(x, mantissa, shift),
    )
    assert np.any(once != twice)
    for v in x[once != twice].tolist():
        assert abs(int(twice[v - 1]) - Fraction(v * mantissa, 2**shift)) > HALF
