from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.dequantize_rule import DequantizeRule
from refq.core.errors import RangeError

DIFFERENCES = st.integers(-(2**32), 2**32) | st.sampled_from([2**24 + 1, 2**31, -(2**31) - 1])
SCALES = st.sampled_from([1.0, 0.75, 1 / 3, 0.1, 1e-30, 3.0])


@given(DIFFERENCES, SCALES)
def test_exact_is_rounded_once(difference, scale):
    s = np.float32(scale)
    got = DequantizeRule().apply(np.array([difference]), np.array([s]))[0]
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
    got = DequantizeRule("float32").apply(np.array([difference]), np.array([s]))
    assert got.dtype == kind
    assert got[0] == expected


def test_an_unknown_precision_is_refused():
    with pytest.raises(RangeError, match="precision"):
        DequantizeRule("float16")
