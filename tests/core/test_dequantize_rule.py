from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.dequantize_rule import DequantizeRule, LanesDequantizeRule
from refq.core.errors import RangeError

DIFFERENCES = st.integers(-(2**32), 2**32) | st.sampled_from([2**24 + 1, 2**31, -(2**31) - 1])
LANES, PLAIN = LanesDequantizeRule(), DequantizeRule()
SCALES = st.sampled_from([1.0, 0.75, 1 / 3, 0.1, 1e-30, 3.0])


@given(DIFFERENCES, SCALES)
def test_exact_is_rounded_once(difference, scale):
    s = np.float32(scale)
    got = DequantizeRule().apply(np.array([difference]), 0, np.array([s]))[0]
    exact = Fraction(float(s)) * difference
    for other in (np.nextafter(got, np.float32(np.inf)), np.nextafter(got, np.float32(-np.inf))):
        assert abs(Fraction(float(got)) - exact) <= abs(Fraction(float(other)) - exact)


@given(DIFFERENCES, SCALES, st.sampled_from([np.float16, np.float32]))
def test_float32_wraps_and_rounds_in_steps(difference, scale, kind):
    with np.errstate(under="ignore"):
        s = kind(scale)
    wrapped = np.float32((difference + 2**31) % 2**32 - 2**31)  # Python rounds to float64: exact
    with np.errstate(over="ignore", under="ignore"):
        expected = kind(wrapped * np.float32(s))
    got = DequantizeRule("float32").apply(np.array([difference]), 0, np.array([s]))
    assert got.dtype == kind
    assert got[0] == expected


def test_an_unknown_precision_is_refused():
    with pytest.raises(RangeError, match="precision"):
        DequantizeRule("float16")


@pytest.mark.parametrize("size", [1, 7, 8, 9, 20])
def test_lanes_round_three_times_and_the_rest_once(size):
    q, z, s = np.full(size, 100, np.int8), 33, np.float32(0.1)
    found = LanesDequantizeRule().apply(q, z, np.array(s)).tolist()
    apart = float(np.float32(np.float32(100) * s) + np.float32(np.float32(-33) * s))
    once = float(np.float32(67) * s)
    full = size - size % 8
    assert found == [apart] * full + [once] * (size - full)
    assert LanesDequantizeRule().apply(q.astype(np.int16), z, np.array(s)).tolist() == [once] * size


def test_the_lanes_differ_from_the_rest_somewhere():
    q = np.arange(-128, 128).astype(np.int8)
    lanes, plain = (rule.apply(q, 33, np.array(np.float32(0.1))) for rule in (LANES, PLAIN))
    assert (lanes != plain).any()
    np.testing.assert_allclose(lanes, plain, rtol=0, atol=3 * 2.0**-24 * 16.1)  # three roundings


def test_lanes_are_counted_from_one():
    with pytest.raises(RangeError, match="lanes"):
        LanesDequantizeRule(lanes=0)


def test_each_is_rounded_before_the_difference():
    q, z, one = np.array([(1 << 24) + 3]), np.array([1 << 24]), np.array(np.float32(1))
    found = [DequantizeRule(p).apply(q, z, one)[0] for p in ("exact", "float32", "float32_each")]
    assert found == [3, 3, 4]
