"""The base class: the smallest dtype, and what a format inherits."""

import numpy as np
import pytest

from refq.core.dtypes import smallest_unsigned
from refq.core.errors import FormatError, RangeError
from refq.formats import Integer


@pytest.mark.parametrize("bits", range(1, 65))
def test_the_smallest_unsigned_dtype(bits):
    width = 8 * smallest_unsigned(bits).itemsize
    assert width >= bits
    assert width == 8 or width // 2 < bits


@pytest.mark.parametrize("bits", [0, -1, 65, 2.5, True])
def test_no_dtype_has_so_many_bits(bits):
    with pytest.raises(RangeError, match=r"must be an integer in \[1, 64\]"):
        smallest_unsigned(bits)


def test_check_codes_casts_and_refuses():
    form = Integer(4)
    assert form.check_codes(np.array([7], np.int64)).dtype == np.int8
    with pytest.raises(FormatError, match="8 is outside"):
        form.check_codes(np.array([8]))
