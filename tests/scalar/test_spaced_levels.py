"""Spacings: levels against fractions, ratio errors reached and not exceeded, decisions, bits."""

from fractions import Fraction
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import RangeError, ShapeError
from refq.core.granularity import PerAxis
from refq.encodings import Cast
from refq.scalar import SPACINGS, SpacedLevelQuantizer, ratio_error
from refq.scalar.spacings import spaced_levels

EXACT = Cast("float64")
CASES = [(s, b) for s, b in product(SPACINGS, range(2, 9)) if s != "additive" or b % 2]


@pytest.mark.parametrize(("spacing", "bits"), CASES)
def test_levels_are_what_the_rule_says(spacing, bits):
    levels = spaced_levels(spacing, bits)
    count = (1 << (bits - 1)) - 1
    assert len(levels) == 2 * count + 1
    assert (np.diff(levels) > 0).all()
    assert np.array_equal(levels, -levels[::-1])
    assert levels[-1] == 1.0
    positive = levels[count + 1 :].tolist()
    if spacing == "power_of_two":
        assert positive == [2.0**-k for k in reversed(range(count))]
    elif spacing == "root_two":  # squares are powers of two, to two roundings
        squares = [Fraction(v) ** 2 * 2**k for v, k in zip(positive, reversed(range(count)))]  # noqa: B905
        assert all(abs(s - 1) <= Fraction(1, 2**51) for s in squares)
    else:
        n = (bits - 1) // 2
        sets = [[Fraction(0), *(Fraction(1, 2 ** (i + j * n)) for j in range(3))] for i in range(n)]
        sums = sorted({sum(chosen) for chosen in product(*sets)})
        assert len(sums) == 4**n  # no two sums are equal
        want = [s / sums[-1] for s in sums[1:]]
        assert all(abs(Fraction(v) - w) <= w * Fraction(1, 2**53)
                   for v, w in zip(positive, want, strict=True))  # fmt: skip


def test_the_closed_forms_of_the_ratio_error():
    assert ratio_error(spaced_levels("power_of_two", 5)) == 1 / 3
    root = 2**0.5
    assert ratio_error(spaced_levels("root_two", 5)) == pytest.approx((root - 1) / (root + 1))
    assert ratio_error(spaced_levels("power_of_two", 5), "ratio") == pytest.approx(root - 1)
    assert ratio_error([0.0, 1.0]) == 0.0
    # the published list of four bits of magnitude has a hole between 1 and 2 units: a third again
    assert ratio_error(spaced_levels("additive", 5)) == 1 / 3


@pytest.mark.parametrize("decision", ["nearest", "ratio"])
@pytest.mark.parametrize(("spacing", "bits"), CASES)
def test_relative_errors_reach_the_bound_and_stay_below(spacing, bits, decision):
    q = SpacedLevelQuantizer(spacing, bits, decision=decision, scale_method=EXACT)
    levels = spaced_levels(spacing, bits).astype(np.float32).astype(np.float64)
    positive = levels[levels > 0]
    bound = ratio_error(levels, decision)
    x = np.exp(np.linspace(np.log(positive[0]), 0, 4001)) if len(positive) > 1 else np.ones(1)
    worst = [
        (a + b) / 2 if decision == "nearest" else np.sqrt(a * b) for a, b in pairwise(positive)
    ]
    x = np.concatenate([x, worst, positive])
    q.fit(np.append(x, 1.0))
    decoded = q.clone().fit(x).encode(x).decode()
    relative = np.abs(x - decoded) / x
    assert relative.max() <= bound * (1 + 2.0**-40) + 2.0**-50
    assert relative.max() >= bound * (0.99 if decision == "nearest" else 0.4)


@given(
    st.lists(st.floats(-8, 8, width=32), min_size=1, max_size=20).filter(any),
    st.sampled_from(SPACINGS),
)
def test_nearest_is_nearest(x, spacing):
    W = np.array(x, np.float64)
    try:
        q = SpacedLevelQuantizer(spacing, 3, scale_method=EXACT).fit(W)
    except RangeError:
        return  # an absmax that no level survives
    table = [Fraction(float(q.scale_[0])) * Fraction(float(v)) for v in q.levels_]
    for value, got in zip(W, q.encode(W).decode(), strict=True):
        least = min(abs(Fraction(float(value)) - t) for t in table)
        # one rounding of the quotient and one of the product
        slack = 2 * Fraction(1, 2**52) * abs(Fraction(float(value)))
        assert abs(Fraction(float(value)) - Fraction(float(got))) <= least + slack


def test_least_squares_is_no_worse():
    W = np.random.default_rng(0).standard_normal((6, 40))
    for spacing in SPACINGS:
        errors = []
        for scale in ("absmax", "least_squares"):
            q = SpacedLevelQuantizer(spacing, 3, PerAxis(0), scale=scale, scale_method=EXACT)
            errors.append(np.sum((W - q.fit_encode(W).decode()) ** 2))
        assert errors[1] < errors[0]


def test_a_product_is_a_shift():
    """Codes of powers of two times an integer input: exact shifts of it."""
    q = SpacedLevelQuantizer("power_of_two", 4, scale_method=EXACT).fit([1.0, -0.3, 0.06])
    decoded = q.encode([1.0, -0.3, 0.06]).decode()
    assert [float(v * 64) for v in decoded] == [64 >> 0, -(64 >> 2), 64 >> 4]


def test_bits_are_counted_once():
    W = np.random.default_rng(0).standard_normal((8, 16))
    e = SpacedLevelQuantizer("additive", 5, PerAxis(0)).fit_encode(W)
    assert e.stored_bits == 128 * 5 + 31 * 32 + 8 * 16


@pytest.mark.parametrize(
    ("q", "W", "error", "match"),
    [
        (SpacedLevelQuantizer("additive", 4), [1.0], RangeError, "bits must be odd"),
        (SpacedLevelQuantizer("cubes"), [1.0], RangeError, "spacing = 'cubes'"),
        (SpacedLevelQuantizer(bits=9), [1.0], RangeError, "bits = 9"),
        (SpacedLevelQuantizer(), np.zeros((0, 2)), ShapeError, "empty"),
        (SpacedLevelQuantizer(bits=8), [1e-5], RangeError, "makes levels below"),
    ],
)
def test_refusals(q, W, error, match):
    with pytest.raises(error, match=match):
        q.fit(W)


def test_ratio_needs_a_positive_level():
    with pytest.raises(RangeError, match="no positive"):
        ratio_error([-1.0, 0.0])
