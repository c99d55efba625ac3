"""Sums over cells, in the order of the points."""

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from refq.numerics import cell_moments


def test_sums_are_added_in_the_order_of_the_rows():
    X = np.array([[1e16], [1.0], [-1e16], [7.0]])
    sums, totals, _ = cell_moments(X, np.array([0, 0, 0, 2]), np.zeros((3, 1)))
    assert sums.ravel().tolist() == [0.0, 0.0, 7.0]  # (1e16 + 1) - 1e16 is 0 in this order
    assert totals.tolist() == [3.0, 0.0, 1.0]
    sums, _, _ = cell_moments(X[[0, 2, 1]], np.zeros(3, np.int64), np.zeros((1, 1)))
    assert sums.ravel().tolist() == [1.0]


@given(st.integers(0, 2**32), st.booleans())
def test_whole_numbers_are_summed_exactly(seed, single):
    rng = np.random.default_rng(seed)
    n, d, K = rng.integers(1, 20), rng.integers(1, 4), rng.integers(1, 5)
    X, centers = rng.integers(-9, 10, (n, d)), rng.integers(-9, 10, (K, d))
    codes, weights = rng.integers(0, K, n), rng.integers(0, 5, n)
    given_X = X.astype(np.float32 if single else np.float64)
    sums, totals, distortions = cell_moments(
        given_X, codes, centers.astype(float), weights.astype(float)
    )
    for k in range(K):
        cell = [(x, int(w)) for x, w, c in zip(X.tolist(), weights, codes, strict=True) if c == k]
        assert sums[k].tolist() == [sum(w * x[j] for x, w in cell) for j in range(d)]
        assert totals[k] == sum(w for _, w in cell)
        exact = sum(
            w * sum((a - b) ** 2 for a, b in zip(x, centers[k].tolist(), strict=True))
            for x, w in cell
        )
        assert Fraction(distortions[k]) == exact
