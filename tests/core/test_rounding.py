"""Roundings and saturation against exact fractions, at the neighbours of every half."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import RangeError
from refq.core.rounding import ROUNDINGS, round_to_integer, saturate

DTYPES = (np.float32, np.float64)


def exact(value, rounding):
    """The rounded integer of a Fraction, written apart from the code."""
    below = math.floor(value)
    rest = value - below
    if rest == 0:
        return below
    half = Fraction(1, 2)
    odd, even = (below, below + 1) if below % 2 else (below + 1, below)
    return {
        "half_even": even if rest == half else below + (rest > half),
        "half_away": below + (rest > half or (rest == half and value > 0)),
        "half_up": below + (rest >= half),
        "toward_zero": below if value > 0 else below + 1,
        "floor": below,
        "ceil": below + 1,
        "odd": odd,
    }[rounding]


def neighbours_of_halves(dtype):
    last = 2 ** (np.finfo(dtype).nmant) // 2  # the last binade that has halves
    whole = [*range(-260, 261), 2**15, -(2**15), last - 1, 1 - last, last // 2 + 1]
    points = np.array([w + h for w in whole for h in (0.0, 0.5)], dtype)
    near = [points, np.nextafter(points, dtype(np.inf)), np.nextafter(points, dtype(-np.inf))]
    tiny = np.array([0.0, -0.0, np.finfo(dtype).smallest_subnormal, 2.0**-30, -(2.0**-30)], dtype)
    return np.concatenate([*near, tiny, -tiny])


@pytest.mark.parametrize("rounding", sorted(ROUNDINGS))
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_neighbour_of_a_half(rounding, dtype):
    x = neighbours_of_halves(dtype)
    got = round_to_integer(x, rounding)
    assert got.dtype == dtype
    want = [exact(Fraction(v), rounding) for v in x.tolist()]
    assert [int(v) for v in got.tolist()] == want


@pytest.mark.parametrize("rounding", sorted(ROUNDINGS))
def test_specials_stay(rounding):
    x = np.array([np.inf, -np.inf, np.nan], np.float32)
    np.testing.assert_array_equal(round_to_integer(x, rounding), x)


@given(
    st.integers(-300, 300),
    st.booleans(),
    st.sampled_from([0, 1, -1]),
    st.sampled_from(DTYPES),
    st.sampled_from([(-128, 127, np.int8), (0, 255, np.uint8), (-8, 7, np.int8)]),
)
def test_saturate_is_clip_then_cast(k, tie, ulps, dtype, target):
    low, high, code = target
    x = np.nextafter(dtype(k + tie / 2), dtype(ulps * np.inf)) if ulps else dtype(k + tie / 2)
    want = min(max(exact(Fraction(float(x)), "half_even"), low), high)
    got = saturate(round_to_integer(np.array([x]), "half_even"), low, high, code)
    assert got.dtype == code
    assert got.tolist() == [want]


@pytest.mark.parametrize("dtype", DTYPES)
def test_saturate_at_limits_that_float32_cannot_hold(dtype):
    high = 2**31 - 1
    x = np.array([-np.inf, -(2.0**31), -(2.0**31) + 256, 2.0**31 - 256, 2.0**31, 1e30], dtype)
    got = saturate(x, -(2**31), high, np.int32).tolist()
    assert got == [-(2**31), -(2**31), -(2**31) + 256, 2**31 - 256, high, high]


def test_nan_policies():
    x = np.array([1.0, np.nan], np.float32)
    with pytest.raises(RangeError, match=r"x\[1\] is nan"):
        saturate(x, -8, 7, np.int8)
    for policy, want in (("zero", 0), ("low", -8), ("high", 7)):
        assert saturate(x, -8, 7, np.int8, policy).tolist() == [1, want]


def test_stochastic_rounding_is_a_neighbour_and_moves_the_generator():
    x = np.linspace(-3, 3, 1001)
    a = round_to_integer(x, np.random.default_rng(1))
    assert np.all((a == np.floor(x)) | (a == np.ceil(x)))
    np.testing.assert_array_equal(a, round_to_integer(x, np.random.default_rng(1)))
    assert np.any(a != round_to_integer(x, np.random.default_rng(2)))


def test_unknown_rounding():
    with pytest.raises(RangeError, match="rounding = 'up'"):
        round_to_integer(np.zeros(1), "up")
