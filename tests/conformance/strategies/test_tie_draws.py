from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.conformance.strategies import SCALES, near_tie, near_tie_arrays, near_ties
from refq.core.errors import RangeError


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(scale=st.sampled_from(SCALES), k=st.integers(-200, 200), tie=st.booleans())
def test_nearest_float_of_the_exact_product(dtype, scale, k, tie) -> None:
    x = near_tie(scale, k, tie, dtype=dtype)
    exact = Fraction(float(dtype(scale))) * (k + Fraction(int(tie), 2))
    assert type(x) is dtype
    around = [np.nextafter(x, dtype(-np.inf)), x, np.nextafter(x, dtype(np.inf))]
    errors = [abs(Fraction(float(y)) - exact) for y in around]
    assert errors[1] == min(errors)


@given(x=st.integers(-3, 3), scale=st.sampled_from(SCALES))
def test_ulps_move_by_neighbours(x: int, scale: float) -> None:
    start = near_tie(scale, 5)
    moved = near_tie(scale, 5, ulps=x)
    steps = int(moved.view(np.int32)) - int(start.view(np.int32))  # ordered for positive floats
    assert steps == x


def test_subnormal_neighbours_of_zero() -> None:
    assert near_tie(1.0, 0, tie=False, ulps=1) == np.finfo(np.float32).smallest_subnormal


@given(x=near_ties(0.5, -4, 3))
def test_draws_lie_beside_codes_and_midpoints(x) -> None:
    quotient = float(x) / 0.25
    assert abs(quotient - round(quotient)) < 1e-5
    assert -8.001 <= quotient <= 7.001


@given(x=near_tie_arrays((3, 4), bits=4))
def test_arrays_hold_their_outermost_code(x) -> None:
    assert x.shape == (3, 4)
    assert x.dtype == np.float32
    scales = [float(np.float32(s)) for s in SCALES]
    assert any(x[0, 0] == near_tie(s, 7, tie=False) and np.abs(x).max() == x[0, 0] for s in scales)


@pytest.mark.parametrize("bad", [dict(k=1.5), dict(k=1, ulps=0.5), dict(k=1, dtype=np.float16)])
def test_refuses(bad) -> None:
    with pytest.raises(RangeError):
        near_tie(1.0, **bad)
