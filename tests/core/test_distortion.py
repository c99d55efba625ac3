"""Distortion against Fractions, over the whole range of float64."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.distortion import (
    cosine_similarity,
    granular_and_overload,
    max_error,
    mean_squared_error,
    relative_error,
    sqnr_db,
)
from refq.core.errors import DTypeError, RangeError, ShapeError

EVERY = [mean_squared_error, max_error, relative_error, sqnr_db, cosine_similarity]
pairs = st.integers(1, 6).flatmap(
    lambda n: st.tuples(
        *[st.lists(st.floats(-1e6, 1e6, width=32), min_size=n, max_size=n) for _ in range(2)]
    )
)


def exact_square(x):
    return sum(Fraction(v) ** 2 for v in x)


@given(pairs)
def test_against_fractions(pair):
    x, y = pair
    d = [Fraction(a) - Fraction(b) for a, b in zip(x, y, strict=True)]
    n = len(x)
    # the difference, the square, n additions and a division: n + 3 roundings, all terms positive
    # (squares below 1e-300 lose bits to underflow)
    bound = (n + 3) * 2.0**-52
    want = float(exact_square(d) / n)
    assert mean_squared_error(x, y) == pytest.approx(want, rel=bound, abs=1e-300)
    assert max_error(x, y) == pytest.approx(float(max(map(abs, d))), rel=2.0**-52)
    if exact_square(x):
        want = math.sqrt(exact_square(d) / exact_square(x))
        assert relative_error(x, y) == pytest.approx(want, rel=4 * bound, abs=1e-300)


@pytest.mark.parametrize("scale", [1.0, 1e-320, 1e-200, 1e200, 2.0**1020])
def test_ratios_do_not_depend_on_the_unit(scale):
    x, y = np.array([3.0, -4.0]) * scale, np.array([3.0, 0.0]) * scale
    assert relative_error(x, y) == pytest.approx(0.8, rel=1e-3 if scale < 1e-300 else 1e-15)
    assert cosine_similarity(x, x) == pytest.approx(1.0, rel=1e-15)
    assert cosine_similarity(x, -x) == pytest.approx(-1.0, rel=1e-15)


def test_ratios_beyond_any_float_are_infinite_or_zero():
    assert relative_error([1e-300], [1e300]) == math.inf
    assert relative_error([1.0], [1e308]) == pytest.approx(1e308)
    assert relative_error([1e300, 0.0], [1e300, 5e-324]) == 0.0
    assert mean_squared_error([1e200], [-1e200]) == math.inf
    assert max_error([1.7e308], [-1.7e308]) == math.inf


def test_zeros():
    assert relative_error([0.0], [0.0]) == 0.0
    assert relative_error([0.0], [1e-320]) == math.inf
    assert sqnr_db([0.0], [0.0]) == math.inf
    assert sqnr_db([0.0], [1.0]) == -math.inf
    assert sqnr_db([1.0, 2.0], [1.0, 2.0]) == math.inf
    assert math.isnan(cosine_similarity([0.0], [1.0]))


def test_decibels():
    assert sqnr_db([10.0], [9.0]) == pytest.approx(20.0)
    assert sqnr_db(np.ones(7, np.float16), np.zeros(7, np.int8)) == 0.0


@pytest.mark.parametrize("function", EVERY, ids=lambda f: f.__name__)
def test_what_is_refused(function):
    with pytest.raises(ShapeError, match=r"x has shape \(2,\), y has shape \(1, 2\)"):
        function([1.0, 2.0], [[1.0, 2.0]])
    with pytest.raises(ShapeError, match="distortion of nothing"):
        function(np.zeros((0, 3)), np.zeros((0, 3)))
    with pytest.raises(RangeError, match=r"y\[1\] = nan must be finite"):
        function([1.0, 2.0], [1.0, np.nan])
    with pytest.raises(RangeError, match=r"x\[0\] = inf must be finite"):
        function([np.inf], [np.inf])
    with pytest.raises(DTypeError):
        function(["a"], ["b"])


@pytest.mark.parametrize("function", EVERY, ids=lambda f: f.__name__)
def test_integers_do_not_wrap(function):
    x, y = np.array([-128, 100], np.int8), np.array([127, 200], np.uint8)
    assert function(x, y) == function(x.astype(float), y.astype(float))
    assert max_error(x, y) == 255.0


def test_granular_and_overload_add_up_and_tell_apart():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(5000)
    for top in (0.5, 1.0, 4.0):  # fifteen levels from -top to top
        step = top / 7
        y = step * np.clip(np.rint(x / step), -7, 7)
        granular, overload = granular_and_overload(x, y, -top, top)
        # two sums of 5000 squares against one
        assert abs(granular + overload - mean_squared_error(x, y)) <= 5000 * 2.0**-52
        inside = np.abs(x) <= top
        assert granular <= step**2 / 4
        assert abs(granular - step**2 / 12 * inside.mean()) < 0.1 * step**2 / 12
        assert (overload == 0) == bool(inside.all())
    # s^2 / 12 does not hold for numbers on the grid, nor for two points
    assert granular_and_overload([1.0, 2.0], [1.0, 2.0], 0, 3) == (0.0, 0.0)
    assert granular_and_overload([0.5, 1.5], [0.0, 2.0], 0, 3) == (0.25, 0.0)
    with pytest.raises(RangeError, match="low = 1"):
        granular_and_overload([0.0], [0.0], 1, 0)
