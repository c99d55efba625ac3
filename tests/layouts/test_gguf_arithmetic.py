"""The float32 steps against Python's own integers and IEEE conversions."""

import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.layouts.gguf_arithmetic import (
    half_bits,
    low_bits,
    nearest_integer,
    ordered_sum,
    reciprocal,
    rounded_away,
    signed_extreme,
    widen_half,
)

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def one(x):
    return np.array([x], np.float32)


@given(k=st.integers(-(1 << 21), 1 << 21), half=st.booleans(), ulps=st.integers(-2, 2))
def test_nearest_integer_on_near_ties(k, half, ulps):
    x = np.float32(k + half / 2)
    for _ in range(abs(ulps)):
        x = np.nextafter(x, np.float32(np.copysign(np.inf, ulps)))
    assert nearest_integer(one(x))[0] == round(Fraction(float(x)))


@pytest.mark.parametrize("x", [np.nan, np.inf, -np.inf, 3e38])
def test_nearest_integer_beyond_its_range_is_some_integer_in_it(x):
    assert -(1 << 22) <= nearest_integer(one(x))[0] < 1 << 22


@given(k=st.integers(-300, 300), half=st.booleans(), ulps=st.integers(-1, 1))
def test_rounded_away_on_near_ties(k, half, ulps):
    x = np.float32(k + half / 2)
    x = np.nextafter(x, np.float32(np.copysign(np.inf, ulps))) if ulps else x
    exact = abs(Fraction(float(x))) + Fraction(1, 2)
    want = exact.numerator // exact.denominator
    assert rounded_away(one(x))[0] == (want if x >= 0 else -want)


@given(x=FLOATS)
def test_low_bits_truncates_or_gives_zero(x):
    want = int(x) if abs(x) < 2**31 else 0
    assert low_bits(one(x))[0] == want


def test_casts_of_what_no_integer_holds():
    odd = np.array([np.nan, np.inf, -np.inf, 2.0**31, -(2.0**31), 3e38], np.float32)
    assert low_bits(odd).tolist() == [0] * 6
    assert rounded_away(odd).tolist() == [0] * 6


@given(x=FLOATS)
def test_half_bits_round_once(x):
    try:
        want = struct.unpack("<H", struct.pack("<e", x))[0]
    except OverflowError:
        want = 0x7C00 | (0x8000 if x < 0 else 0)
    assert half_bits(one(x))[0] == want


def test_every_half_comes_back():
    bits = np.arange(1 << 16, dtype=np.uint16)
    wide = widen_half(bits)
    number = ~np.isnan(wide)
    assert (half_bits(wide)[number] == bits[number]).all()
    assert set(half_bits(wide)[~number].tolist()) == {0x7E00, 0xFE00}


@given(terms=st.lists(FLOATS, min_size=1, max_size=9))
def test_ordered_sum_adds_one_after_the_other(terms):
    total = np.float32(0)
    with np.errstate(all="ignore"):
        for term in terms:
            total = total + np.float32(term)
        got = ordered_sum(np.array(terms, np.float32)[:, None])
    assert got.tobytes() == np.float32(total).tobytes() or (np.isnan(total) and np.isnan(got[0]))


def test_a_sum_of_negative_zeros():
    zeros = np.full((3, 1), -0.0, np.float32)
    assert not np.signbit(ordered_sum(zeros))[0]
    assert np.signbit(ordered_sum(zeros, -0.0))[0]


def test_reciprocal_of_odd_scales():
    odd = np.array([0.0, -0.0, 1e-45, np.inf, 3.0], np.float32)
    assert reciprocal(odd).tolist() == [0.0, 0.0, np.inf, 0.0, float(np.float32(1) / np.float32(3))]


def test_signed_extreme_is_the_first_of_equals():
    x = np.array([[1, -2, 2], [-3, 3, 0], [-0.0, -0.0, -0.0], [np.nan, 1, -1]], np.float32)
    extreme, magnitude = signed_extreme(x.T)
    assert extreme.tolist() == [-2, -3, 0, 1]
    assert magnitude.tolist() == [2, 3, 0, 1]
    assert not np.signbit(extreme[2])
