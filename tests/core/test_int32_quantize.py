import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.conformance.strategies.tie_draws import near_ties
from refq.core.errors import RangeError
from refq.core.int32_quantize import Int32QuantizeRule
from refq.core.quantize_rule import QuantizeRule


def by_hand(x, zero_point, low, high):
    """Return what x86 makes of one float at scale 1: convert to int32, add modulo 2^32, clip."""
    level = None if not np.isfinite(x) else round(float(x))  # Python rounds half to even
    if level is None or not -(2**31) <= level < 2**31:
        level = -(2**31)
    total = (level + zero_point + 2**31) % 2**32 - 2**31
    return min(max(total, low), high)


EDGES = [np.inf, -np.inf, np.nan, 2.0**31, -(2.0**31), 2.0**31 - 128, -(2.0**31) - 256, 1e38, -1e38]


@given(st.sampled_from(EDGES) | st.floats(width=32), st.integers(-128, 127))
def test_one_float_is_converted_as_x86_does(x, zero_point):
    rule = Int32QuantizeRule(nan="int32")
    got = rule.apply(np.float32([x]), np.float32([1]), zero_point, -128, 127, np.int8)
    assert got.tolist() == [by_hand(np.float32(x), zero_point, -128, 127)]


@given(near_ties(), st.sampled_from([1.0, 0.5, 1 / 3, 0.1]), st.integers(-128, 127))
def test_what_int32_holds_is_quantized_as_elsewhere(x, scale, zero_point):
    arguments = (np.array([x]), np.float32([scale]), zero_point, -128, 127, np.int8)
    assert Int32QuantizeRule().apply(*arguments) == QuantizeRule().apply(*arguments)


@pytest.mark.parametrize(("nan", "code"), [("zero", 7), ("low", -128), ("high", 127)])
def test_nan_by_policy(nan, code):
    x = np.float32([np.nan])
    got = Int32QuantizeRule(nan=nan).apply(x, np.float32([1]), 7, -128, 127, np.int8)
    assert got.tolist() == [code]


def test_refusals():
    with pytest.raises(RangeError, match="is nan"):
        Int32QuantizeRule().apply(np.float32([np.nan]), np.float32([1]), 0, 0, 9, np.uint8)
    with pytest.raises(RangeError, match="must be 'after'"):
        Int32QuantizeRule(zero_point="before")
    with pytest.raises(RangeError, match="quotient"):
        Int32QuantizeRule(quotient="no")
