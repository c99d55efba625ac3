"""Ternary weights: the swept optimum against every assignment, and the heuristic's formula."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import RangeError, ShapeError
from refq.core.granularity import PerAxis
from refq.encodings import Cast
from refq.scalar import TernaryQuantizer
from refq.scalar.ternary import heuristic_ternary, optimal_ternary

EXACT = Cast("float64")


def least(x) -> Fraction:
    """Every one of the 3^n assignments has its own best scale."""
    best = whole = sum(Fraction(v) ** 2 for v in x)
    for t in product((-1, 0, 1), repeat=len(x)):
        m, s = sum(map(abs, t)), sum(i * v for i, v in zip(t, x, strict=True))
        if m:
            best = min(best, whole - Fraction(s) ** 2 / m)
    return best


def error_of(q, x) -> Fraction:
    decoded = q.fit_encode(np.array(x, np.float64)).decode()
    return sum((Fraction(a) - Fraction(float(b))) ** 2 for a, b in zip(x, decoded, strict=True))


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=6))
def test_the_sweep_is_the_optimum(x):
    # the scale is within 2^-48 of a mean of whole numbers up to 9, where the error is flat; a tie
    # with half of the scale may fall to either side, which changes the error by as little
    excess = error_of(TernaryQuantizer(scale_method=EXACT), x) - least(x)
    assert 0 <= excess <= Fraction(1, 2**40)


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=6))
def test_the_heuristic_is_never_better(x):
    assert error_of(TernaryQuantizer(threshold="heuristic", scale_method=EXACT), x) >= least(x)


def test_the_heuristic_is_near_for_normal_weights_and_not_for_all():
    W = np.random.default_rng(0).standard_normal(20_000)
    a, b = (np.sum((W - TernaryQuantizer(threshold=t, scale_method=EXACT).fit_encode(W).decode())
                   ** 2) for t in ("optimal", "heuristic"))  # fmt: skip
    assert a <= b < 1.05 * a
    W = np.append(np.ones(90), np.full(10, 20.0))  # one tenth is large: the threshold keeps only it
    a, b = (np.sum((W - TernaryQuantizer(threshold=t, scale_method=EXACT).fit_encode(W).decode())
                   ** 2) for t in ("optimal", "heuristic"))  # fmt: skip
    assert a == b == 90
    W = np.append(np.ones(90), np.full(10, 3.0))  # here it keeps all, and the best is 1.2
    q = TernaryQuantizer(threshold="heuristic", scale_method=EXACT).fit(W)
    assert q.threshold_.tolist() == [pytest.approx(0.84)]


@given(st.lists(st.floats(0, 100, allow_subnormal=False), min_size=1, max_size=30).filter(any))
def test_heuristic_is_the_formula(x):
    magnitudes = np.array(x)
    alpha, threshold = heuristic_ternary(magnitudes)
    mean = sum(map(Fraction, x)) / len(x)
    assert abs(Fraction(threshold) - Fraction(7, 10) * mean) <= 40 * mean * Fraction(1, 2**53)
    kept = [Fraction(v) for v in x if v > threshold]
    assert abs(Fraction(alpha) - sum(kept) / len(kept)) <= 40 * max(kept) * Fraction(1, 2**53)


@given(st.integers(0, 1 << 32), st.integers(1, 40))
def test_the_optimum_codes_the_nearest_level(seed, n):
    x = np.random.default_rng(seed).standard_normal(n)
    q = TernaryQuantizer().fit(x)
    levels = np.array([-1.0, 0.0, 1.0]) * float(q.scale_[0])
    nearest = levels[np.argmin(np.abs(x[:, None] - levels), axis=1)]
    assert np.array_equal(q.encode(x).decode(), nearest.astype(np.float32))


def test_ties_and_zeros():
    assert optimal_ternary(np.zeros(3)) == heuristic_ternary(np.zeros(3)) == (1.0, 0.5)
    assert TernaryQuantizer().fit_encode(np.zeros(3)).decode().tolist() == [0.0] * 3
    q = TernaryQuantizer().fit([2.0, 2.0, 2.0])
    assert q.encode([1.0, -1.0, 1.5]).decode().tolist() == [0.0, 0.0, 2.0]  # half the scale: zero
    # keeping one or four of 2, 2/3, 2/3, 2/3 gains 4 either way: fewest are kept
    assert optimal_ternary(np.array([6.0, 2.0, 2.0, 2.0]))[0] == 6.0


def test_bits_are_counted():
    W = np.random.default_rng(0).standard_normal((4, 12))
    assert TernaryQuantizer().fit_encode(W).stored_bits == 2 * 48 + 16
    assert TernaryQuantizer(PerAxis(0)).fit_encode(W).stored_bits == 2 * 48 + 64


@pytest.mark.parametrize(
    ("q", "W", "error", "match"),
    [
        (TernaryQuantizer(), np.zeros((0, 3)), ShapeError, "empty"),
        (TernaryQuantizer(threshold="0.7"), np.ones(1), RangeError, "threshold = '0.7'"),
        (TernaryQuantizer(), np.full(2, 1e-20), RangeError, "stored scale"),
    ],
)
def test_refusals(q, W, error, match):
    with pytest.raises(error, match=match):
        q.fit(W)
