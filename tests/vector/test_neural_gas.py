"""Neural gas: at radius zero online k-means; steps by hand, bad starts, degenerate inputs."""

import math
from fractions import Fraction
from itertools import combinations_with_replacement

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import RangeError, ShapeError
from refq.encodings import Cast
from refq.vector import NeuralGasQuantizer
from refq.vector.neural_gas import rank_shares

EXACT = Cast("float64")


def online_k_means(X, start, order, rate):
    """MacQueen's rule in Fractions: only the nearest moves."""
    book = [[Fraction(v) for v in row] for row in start.tolist()]
    for i in order:
        x = [Fraction(v) for v in X[i].tolist()]
        squares = [sum((a - b) ** 2 for a, b in zip(x, c, strict=True)) for c in book]
        k = squares.index(min(squares))
        book[k] = [c + rate * (a - c) for a, c in zip(x, book[k], strict=True)]
    return np.array([[float(v) for v in c] for c in book])


def order_of(seed, n, epochs):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.permutation(n) for _ in range(epochs)])


@given(st.integers(0, 10**6))
def test_neural_gas_of_radius_zero_is_online_k_means(seed):
    rng = np.random.default_rng(seed)
    X = rng.integers(-64, 65, (12, 2)).astype(np.float64)
    start = X[:4] + rng.integers(1, 9, (4, 2)) / 8
    q = NeuralGasQuantizer(
        4, 2, 0.0, 0.0, 0.25, 0.25, 1, start, codebook_method=EXACT, random_state=seed
    ).fit(X)
    want = online_k_means(X, start, order_of(seed, 12, 1), Fraction(1, 4))
    assert np.abs(q.codebook_ - want).max() <= 12 * 4 * 2.0**-45


def test_one_step_of_neural_gas_by_hand():
    start = np.array([[0.0], [10.0], [20.0]])
    q = NeuralGasQuantizer(
        3, radius=2.0, learning_rate=0.5, init=start, epochs=0, codebook_method=EXACT
    ).fit(start)
    want = [0.5 * math.exp(-1.0) * 18, 10 + 0.5 * math.exp(-0.5) * 8, 19.0]
    np.testing.assert_allclose(q.step([18.0]).ravel(), want, rtol=2.0**-48)


def test_ranks_count_ties_by_index():
    assert rank_shares(np.array([4.0, 1.0, 1.0]), 0.0).tolist() == [0.0, 1.0, 0.0]
    want = [math.exp(-2.0), 1.0, math.exp(-1.0)]
    np.testing.assert_allclose(rank_shares(np.array([4.0, 1.0, 1.0]), 1.0), want, rtol=2.0**-50)


def test_neural_gas_does_not_depend_on_the_start_as_online_k_means_does():
    """All codewords start in one of four far corners: the winner alone never frees the others."""
    rng = np.random.default_rng(0)
    corners = np.array([[0, 0], [0, 100], [100, 0], [100, 100]])
    X = np.repeat(corners, 50, axis=0) + rng.standard_normal((200, 2))
    start = rng.standard_normal((4, 2))
    settings = {"init": start, "epochs": 10, "random_state": 0}
    gas = NeuralGasQuantizer(4, 2, **settings).fit(X)
    alone = NeuralGasQuantizer(4, 2, radius=0.0, final_radius=0.0, **settings).fit(X)
    assert gas.inertia_ < 2 * 2 * 200
    assert alone.inertia_ > 100 * gas.inertia_


def maker(K):
    return NeuralGasQuantizer(K, random_state=0, epochs=3, codebook_method=EXACT)


def test_rate_and_radius_fall_on_exponentials():
    start = np.array([[0.0], [10.0], [20.0]])
    q = NeuralGasQuantizer(
        3, 1, 2.0, 0.5, 0.5, 0.125, init=start, epochs=0, codebook_method=EXACT
    ).fit(start)
    # halfway: radius sqrt(2 * 0.5) = 1, rate sqrt(0.5 * 0.125) = 0.25
    want = [0.25 * math.exp(-2.0) * 18, 10 + 0.25 * math.exp(-1.0) * 8, 19.5]
    np.testing.assert_allclose(q.step([18.0], progress=0.5).ravel(), want, rtol=2.0**-46)


@pytest.mark.parametrize("n", range(1, 6))
def test_all_small_multisets(n):
    """Codewords stay within the data, and codes are nearest; no more codewords than points."""
    for points in combinations_with_replacement((0.0, 1.0, 2.0), n):
        X = np.array(points)[:, None]
        for K in range(1, n + 1):
            q = maker(K).fit(X)
            assert X.min() - 2.0**-50 <= q.codebook_.min()
            assert q.codebook_.max() <= X.max() + 2.0**-50
            distances = np.abs(X - q.codebook_.ravel())
            assert q.encode_codes(X).ravel().tolist() == distances.argmin(axis=1).tolist()
            assert q.inertia_ == pytest.approx((distances.min(axis=1) ** 2).sum(), abs=1e-15)
        with pytest.raises(RangeError, match="codewords for"):
            maker(n + 1).fit(X)


@pytest.mark.parametrize("size", [1e-40, 1e20, 1e140])
def test_extreme_sizes(size):
    q = maker(2).fit(np.array([[0.0], [1.0], [5.0], [6.0]]) * size)
    assert np.isfinite(q.codebook_).all()
    assert len(np.unique(q.encode_codes(np.array([[0.0], [6.0]]) * size))) == 2
    with pytest.raises(RangeError, match=r"2\^480"):
        q.fit([[1e200], [0.0]])


def test_refusals():
    for radii in ((1.0, 0.0), (0.0, 1.0)):
        with pytest.raises(RangeError, match="never reaches zero"):
            NeuralGasQuantizer(2, 1, *radii).fit(np.arange(4.0))
    with pytest.raises(ShapeError, match="does not divide"):
        NeuralGasQuantizer(1, 3).fit(np.ones((2, 4)))
    with pytest.raises(RangeError, match="final_learning_rate"):
        NeuralGasQuantizer(2, final_learning_rate=0.0).fit(np.arange(4.0))
