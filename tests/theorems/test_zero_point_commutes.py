"""Theorem 2: round-half-even commutes with adding z if and only if z is even; not in float32."""

from fractions import Fraction

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from refq import ops, semantics
from refq.core.quantize_rule import QuantizeRule


def half_even(value):
    return round(value)  # Python rounds Fractions half to even, exactly


@given(st.fractions(-1000, 1000, max_denominator=64), st.integers(-128, 127).map(lambda z: 2 * z))
def test_even_zero_points_commute(r, z):
    assert half_even(r) + z == half_even(r + z)


@given(st.integers(-1000, 1000), st.integers(-128, 127).map(lambda z: 2 * z + 1))
def test_odd_zero_points_fail_at_every_tie(k, z):
    r = Fraction(2 * k + 1, 2)
    assert abs(half_even(r) + z - half_even(r + z)) == 1


@given(st.fractions(-1000, 1000, max_denominator=64), st.integers(-255, 255))
def test_only_ties_fail(r, z):
    if r.denominator != 2:
        assert half_even(r) + z == half_even(r + z)


BEFORE = semantics.Semantics("before", "0", QuantizeRule(zero_point="before"))


@example(1.4999999, 2)
@given(st.sampled_from([1.4999999, 2.4999998, 0.49999997]), st.sampled_from([2, 4, 64, 100]))
def test_float32_fails_for_even_zero_points_too(r, z):
    one = np.float32(1)
    after = ops.quantize_linear(np.float32(r), one, np.uint8(z))
    before = ops.quantize_linear(np.float32(r), one, np.uint8(z), semantics=BEFORE)
    lost = np.float32(r) + np.float32(z)  # the sum rounds up to the tie
    assert after == round(r) + z
    assert (before != after) == (lost == int(r) + z + 0.5 and (int(r) + z) % 2 == 1)


def test_the_telling_case():
    one = np.float32(1)
    r = np.float32(1.4999999)
    assert ops.quantize_linear(r, one, np.uint8(2)) == 3
    assert ops.quantize_linear(r, one, np.uint8(2), semantics=BEFORE) == 4
