"""The best cells on a line against brute force over all partitions, in exact arithmetic."""

from fractions import Fraction
from itertools import combinations, combinations_with_replacement, pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from refq.core.errors import RangeError, ShapeError
from refq.core.twins import jit_enabled
from refq.numerics import line_partition, optimal_borders
from refq.numerics.line_partition import _finished, _Search, limited_borders, penalized_path


def cell_cost(x, w) -> Fraction:
    W = sum(w)
    mean = sum(a * b for a, b in zip(x, w, strict=True)) / W
    return sum(b * (a - mean) ** 2 for a, b in zip(x, w, strict=True))


def distortion(x, w, borders) -> Fraction:
    x, w = [Fraction(float(v)) for v in x], [Fraction(float(v)) for v in w]
    return sum(cell_cost(x[i:j], w[i:j]) for i, j in pairwise(borders))


def least_distortion(x, w, k) -> Fraction:
    n = len(x)
    cuts = combinations(range(1, n), k - 1)
    return min(distortion(x, w, [0, *cut, n]) for cut in cuts)


def need_borders(borders, n, k):
    assert borders.dtype == np.int64
    assert borders[0] == 0
    assert borders[-1] == n
    assert len(borders) == k + 1
    assert (np.diff(borders) > 0).all()


def test_all_small_multisets():
    """Every multiset of at most six points of 0..4: different numbers, weighted by their counts."""
    for size in range(1, 7):
        for multiset in combinations_with_replacement(range(5), size):
            x, w = np.unique(multiset, return_counts=True)
            for k in range(1, len(x) + 1):
                borders = optimal_borders(x, k, w)
                need_borders(borders, len(x), k)
                assert distortion(x, w, borders) == least_distortion(x, w, k), (multiset, k)


def test_all_weights_on_a_grid():
    for n in range(1, 6):
        for w in np.ndindex(*[3] * n):
            weights = np.array([0.5, 1.0, 7.0])[list(w)]
            for k in range(1, n + 1):
                borders = optimal_borders(np.arange(n), k, weights)
                got = distortion(range(n), weights, borders)
                assert got == least_distortion(range(n), weights, k)


@settings(max_examples=30)
@given(
    st.integers(0, 1 << 32),
    st.integers(2, 10),
    st.sampled_from([1.0, 1e-3, 1e-8, 1e-14]),
    st.sampled_from([0.0, 1.0, 1e9]),
)
@example(0, 9, 1e-14, 1.0)
def test_tight_clusters_far_from_zero(seed, n, spread, offset):
    """The bound is relative to the optimum: (4 k + 8) 2^-53, and k n 2^-102 of everything."""
    rng = np.random.default_rng(seed)
    x = np.unique(offset + rng.integers(-3, 4, n) + spread * rng.random(n))
    w = rng.choice([1.0, 1e-6, 1e6], x.size)
    whole = distortion(x, w, [0, len(x)])
    for k in range(1, len(x) + 1):
        least = least_distortion(x, w, k)
        got = distortion(x, w, optimal_borders(x, k, w))
        excess = got - least
        assert excess <= (4 * k + 8) * 2.0**-53 * least + k * n * 2.0**-102 * whole


def layered(x, k):
    """The plain dynamic program, in float64, O(k n^2)."""
    S, Q = np.append(0, np.cumsum(x)), np.append(0, np.cumsum(x * x))
    n = len(x)
    i, j = np.triu_indices(n + 1, 1)
    cost = np.full((n + 1, n + 1), np.inf)
    cost[i, j] = np.maximum((Q[j] - Q[i]) - (S[j] - S[i]) ** 2 / (j - i), 0)
    best = np.append(0, np.full(n, np.inf))
    for _ in range(k):
        best = np.min(best[:, None] + cost, axis=0)
    return best[n]


@pytest.mark.parametrize("kind", ["normal", "grid", "clusters", "heavy", "two scales"])
@pytest.mark.parametrize("k", [2, 3, 7, 16, 60, 139])
def test_against_the_plain_program(kind, k):
    rng = np.random.default_rng(k)
    x = {
        "normal": rng.standard_normal(140),
        "grid": np.arange(140.0),  # C_k is linear between the k that divide evenly: no price has k
        "clusters": rng.integers(0, 9, 140) + 1e-6 * rng.standard_normal(140),
        "heavy": rng.standard_cauchy(140),
        "two scales": np.append(rng.standard_normal(70), 1e-3 * rng.standard_normal(70)),
    }[kind]
    x = np.sort(x)
    borders = optimal_borders(x, k)
    need_borders(borders, len(x), k)
    got = float(distortion(x, np.ones(len(x)), borders))
    # the plain program's sums err by about n eps of the whole sum of squares for every cell
    assert got <= layered(x, k) * (1 + 1e-9) + 140 * k * 2.0**-52 * float(np.sum(x * x))


@pytest.mark.parametrize("n", [47, 300] if jit_enabled() else [47])
def test_evenly_spaced_numbers_have_a_closed_form(n):
    """Cells of m or m + 1 points cost m (m^2 - 1) / 12 each; most k have no price of their own."""
    x = np.arange(n) * 1.0
    for k in range(1, n + 1, 1 if n < 100 else 7):
        sizes = np.diff(optimal_borders(x, k))
        got = sum(Fraction(int(m) * (int(m) ** 2 - 1), 12) for m in sizes)
        m, more = divmod(n, k)
        want = (k - more) * Fraction(m * (m * m - 1), 12) + more * Fraction(
            (m + 1) * ((m + 1) ** 2 - 1), 12
        )
        assert got == want, k


@pytest.mark.skipif(not jit_enabled(), reason="20,000 numbers are too many for the definitions")
@pytest.mark.parametrize("k", [2, 37, 500])
def test_the_coarse_search_changes_nothing(k, monkeypatch):
    x = np.sort(np.random.default_rng(0).standard_normal(20_000))
    quick = optimal_borders(x, k)
    monkeypatch.setattr(line_partition, "COARSE", 1 << 40)
    assert np.array_equal(quick, optimal_borders(x, k))


def test_the_finish_agrees_with_the_search(monkeypatch):
    """Give up after the first pass: what is left is found within the limits."""
    n = 80 if jit_enabled() else 16
    x = np.sort(np.random.default_rng(1).standard_normal(n))
    whole = [optimal_borders(x, k) for k in range(1, n)]
    monkeypatch.setattr(line_partition, "MANY", 1)
    for k in range(1, n):
        assert np.array_equal(optimal_borders(x, k), whole[k - 1])


@given(st.lists(st.integers(0, 9), min_size=3, max_size=9, unique=True), st.data())
def test_limits_hold_an_optimum_for_any_bracket(x, data):
    x = sorted(x)
    n = len(x)
    P = line_partition.prefix_moments(np.array(x) / 32, np.ones(n))
    few = data.draw(st.integers(1, n - 2))
    many = data.draw(st.integers(few + 2, n))
    k = data.draw(st.integers(few + 1, many - 1))
    some = [optimal_borders(x, m) for m in (many, few)]
    found = _Search(k, 1.0, (0.5, some[0]), (2.0, some[1]))
    assert distortion(x, [1] * n, _finished(P, found)) == least_distortion(x, [1] * n, k)


def test_definitions_by_hand():
    P = line_partition.prefix_moments(np.array([0.0, 0.125, 0.5]), np.ones(3))
    previous, counts = penalized_path(P, 1.0)
    assert previous.tolist() == [0, 0, 0, 0]
    assert counts.tolist() == [0, 1, 1, 1]
    assert limited_borders(P, np.array([0, 1, 3]), np.array([0, 2, 3])).tolist() == [0, 2, 3]


@pytest.mark.parametrize("scale", [5e-324, 1e-300, 1e300])
def test_any_scale(scale):
    x = np.array([0.0, 1.0, 5.0, 6.0, 7.0]) * scale
    assert optimal_borders(x, 2).tolist() == [0, 2, 5]
    assert optimal_borders(x, 2, np.full(5, scale)).tolist() == [0, 2, 5]


@pytest.mark.parametrize(
    ("x", "k", "weights", "error", "match"),
    [
        ([], 1, None, ShapeError, "one axis"),
        ([[1.0]], 1, None, ShapeError, "one axis"),
        ([1.0, 2.0], 1, [1.0], ShapeError, "one axis"),
        ([1.0, 1.0], 1, None, RangeError, r"x\[1\] = 1.0 is not above"),
        ([1.0, 2.0], 3, None, RangeError, "n_cells = 3"),
        ([1.0, 2.0], 0, None, RangeError, "n_cells = 0"),
        ([1.0, 2.0], 1, [1.0, 0.0], RangeError, r"weights\[1\] = 0.0"),
        ([1.0, float("nan")], 1, None, RangeError, r"x\[1\] = nan"),
    ],
)
def test_refusals(x, k, weights, error, match):
    with pytest.raises(error, match=match):
        optimal_borders(x, k, weights)
