"""Vector kernels and what they leave over; conversion to int32 as x86 has it."""

import numpy as np
import pytest

from refq.core.errors import RangeError
from refq.core.lanes_quantize import LanesQuantizeRule
from refq.core.quantize_rule import QuantizeRule

AWAY = QuantizeRule("divide", "float64", "half_away")


def codes_of(rule, x, scale=1.0, zero_point=0, low=-128, high=127):
    x = np.asarray(x, np.float32)
    return rule.apply(x, np.float32(scale), zero_point, low, high, np.int8)


@pytest.mark.parametrize("size", range(40))
def test_what_is_left_over_goes_by_the_other_rule(size):
    rule = LanesQuantizeRule("reciprocal", "float32", lanes=8, rest=AWAY)
    full = size - size % 8
    assert codes_of(rule, [0.5] * size).tolist() == [0] * full + [1] * (size - full)


def test_the_rest_is_counted_over_the_whole_array():
    rule = LanesQuantizeRule("reciprocal", "float32", lanes=8, rest=AWAY)
    x = np.full((2, 5), 0.5, np.float32)
    assert codes_of(rule, x).tolist() == [[0] * 5, [0, 0, 0, 1, 1]]
    turned = codes_of(rule, np.asfortranarray(x))
    assert turned.tolist() == [[0] * 5, [0, 0, 0, 1, 1]]


def test_without_a_rest_it_is_the_plain_rule_within_int32():
    x = np.random.default_rng(0).normal(0, 300, 1001).astype(np.float32)
    for rounding in ("half_even", "half_away"):
        plain = QuantizeRule(precision="float32", rounding=rounding)
        lanes = LanesQuantizeRule(precision="float32", rounding=rounding, lanes=8)
        np.testing.assert_array_equal(codes_of(lanes, x, 1.3, 7), codes_of(plain, x, 1.3, 7))


def test_beyond_int32():
    rule = LanesQuantizeRule(precision="float32")
    x = [np.inf, -np.inf, 2.0**31, -(2.0**31), 2.0**31 - 128, 3e38, -3e38]
    assert codes_of(rule, x).tolist() == [-128, -128, -128, -128, 127, -128, -128]
    # -2^31 plus a negative zero point wraps to a large number
    assert codes_of(rule, x, zero_point=-1).tolist() == [127, 127, 127, 127, 127, 127, 127]


def test_nan_is_an_error_and_goes_by_the_policy():
    with pytest.raises(RangeError, match="nan"):
        codes_of(LanesQuantizeRule(lanes=8, rest=AWAY), [np.nan] * 9)
    rule = LanesQuantizeRule(nan="zero", lanes=8, rest=AWAY)
    assert codes_of(rule, [np.nan] * 9, zero_point=3).tolist() == [3] * 9


def test_lanes_are_counted_from_one():
    with pytest.raises(RangeError, match="lanes"):
        LanesQuantizeRule(lanes=0)
