"""Theorem 3: one rounding errs by at most 1/2; gemmlowp's two by at most 1/2 + 2^(30 - shift)."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq import ops

HALF = Fraction(1, 2)
MANTISSA = st.integers(1 << 30, (1 << 31) - 1) | st.sampled_from([1 << 30, 3 << 29, (1 << 31) - 1])
ACCUMULATOR = st.integers(-(1 << 31), (1 << 31) - 1) | st.integers(-40, 40)


def error(accumulator, mantissa, shift, double):
    got = ops.requantize_fixed_point(
        np.int64(accumulator), mantissa, shift, low=-(1 << 31), double_rounding=double
    )
    return abs(int(got) - Fraction(accumulator * mantissa, 1 << shift))


@given(ACCUMULATOR, MANTISSA, st.integers(31, 62))
def test_once(accumulator, mantissa, shift):
    assert error(accumulator, mantissa, shift, False) <= HALF


@given(ACCUMULATOR, MANTISSA, st.integers(31, 62))
def test_twice(accumulator, mantissa, shift):
    more = Fraction(1, 1 << (shift - 30)) if shift > 31 else 0
    assert error(accumulator, mantissa, shift, True) <= HALF + more


@pytest.mark.parametrize("shift", range(32, 45))
def test_twice_errs_by_more_than_a_half(shift):
    # below a tie of the second rounding by less than the first rounding moves
    tie = 1 << (shift - 32)  # in units of 2^31: half of 2^(shift - 31)
    accumulator = 2 * tie - 1  # times 2^30 over 2^31 is tie - 1/2, which rounds up to tie
    assert error(accumulator, 1 << 30, shift, True) == HALF + Fraction(1, 1 << (shift - 30))
    assert error(accumulator, 1 << 30, shift, False) < HALF
