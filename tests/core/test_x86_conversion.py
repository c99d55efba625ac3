"""x86's conversion of floats to integers, against Python integers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.x86_conversion import convert_on_x86, wrap_to_int32

EDGES = [2.0**31, -(2.0**31), 2.0**31 - 1, -(2.0**31) - 1, 2.0**63, -(2.0**63), 1e300, 0.0]


@given(st.sampled_from(EDGES) | st.integers(-(2**40), 2**40), st.sampled_from([32, 64]))
def test_what_fits_stays_and_the_rest_is_the_lowest(number, bits):
    whole, edge = int(number), 1 << (bits - 1)
    want = whole if -edge <= whole < edge else -edge
    assert int(convert_on_x86(np.array([float(number)]), bits)[0]) == want


@pytest.mark.parametrize("x", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_the_lowest(x):
    assert convert_on_x86(np.float32([x])).tolist() == [-(2.0**31)]
    assert convert_on_x86(np.float32([x]), 64).tolist() == [-(2.0**63)]


@given(st.integers(-(2**33), 2**33))
def test_sums_wrap(total):
    assert wrap_to_int32(np.array([total]))[0] == (total + 2**31) % 2**32 - 2**31
