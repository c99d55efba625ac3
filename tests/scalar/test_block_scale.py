"""The best scale for a list of levels against every assignment of levels."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refq import formats
from refq.core.errors import RangeError, ShapeError
from refq.scalar.block_scale import level_error, optimal_level_scale

TABLES = [
    [-1.0, 0.0, 1.0],
    [-1.0, 1.0],
    [0.0, 1.0, 3.0],
    [-2.0, -1.0, 0.0, 0.5, 1.0],
    [1.0, 2.0],
    [-3.0, -1.0],
    [-2.0, 1.0],
]


def least(x, levels) -> Fraction:
    """Every assignment has its own best positive scale; scales near zero lose everything."""
    best = whole = sum(Fraction(v) ** 2 for v in x)
    for q in product(map(Fraction, levels), repeat=len(x)):
        A = sum(v * v for v in q)
        B = sum(v * Fraction(w) for v, w in zip(q, x, strict=True))
        if A and B > 0:
            best = min(best, whole - B * B / A)
    return best


@given(st.lists(st.integers(-12, 12), min_size=1, max_size=5), st.sampled_from(TABLES))
@example([1, 2], [0.0, 1.0, 3.0])
@example([0, 1], [-1.0, 1.0])
@example([-1, 3], [-3.0, -1.0])
@example([5, 5, -1], [-2.0, 1.0])
def test_equals_brute_force(x, levels):
    values, table = np.array(x, np.float64), np.array(levels)
    scale = optimal_level_scale(values, table)
    got, want = level_error(values, table, scale), float(least(x, levels))
    gains = least(x, levels) < sum(v * v for v in x)
    if not any(x):
        assert scale == 1.0
    elif gains:
        # parabolas are summed in float64 and compared number by number
        assert abs(got - want) <= 2.0**-40 * (1 + sum(v * v for v in x))
    else:  # the error falls as the scale goes to zero, which is no scale
        assert scale == np.max(np.abs(values)) / np.max(np.abs(table))


@pytest.mark.parametrize("name", ["nf4", "ternary", "binary"])
def test_never_worse_than_absmax_nor_than_a_scan(name):
    levels = np.array(formats.get(name).values, np.float64)
    levels = levels[np.isfinite(levels)]
    rng = np.random.default_rng(0)
    for x in (rng.standard_normal(64), rng.standard_cauchy(64), rng.random(64), -rng.random(3)):
        scale = optimal_level_scale(x, levels)
        top = np.max(np.abs(x)) / np.max(np.abs(levels))
        best = min(level_error(x, levels, s * top) for s in np.linspace(0.01, 2, 400))
        assert level_error(x, levels, scale) <= best * (1 + 1e-12)


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_any_scale(scale):
    assert optimal_level_scale(np.array([1.0, 2.0, 2.0]) * scale, [-1, 0, 1]) == pytest.approx(
        5 / 3 * scale, rel=1e-15
    )


def test_the_scale_of_signs_is_the_mean():
    x = np.array([1.0, -2.0, 6.0])
    assert optimal_level_scale(x, [-1.0, 1.0]) == 3.0


@pytest.mark.parametrize(
    ("sample", "levels", "error"),
    [
        ([], [0.0, 1.0], ShapeError),
        ([1.0], [1.0], RangeError),
        ([1.0], [1.0, 0.0], RangeError),
        ([1.0], [[0.0, 1.0]], RangeError),
        ([float("inf")], [0.0, 1.0], RangeError),
    ],
)
def test_refusals(sample, levels, error):
    with pytest.raises(error):
        optimal_level_scale(sample, levels)
