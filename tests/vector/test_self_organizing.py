"""Maps: at radius zero online k-means; kernels, order, degenerate inputs."""

import math
from fractions import Fraction
from itertools import combinations_with_replacement

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import RangeError, ShapeError
from refq.encodings import Cast
from refq.vector import KMeansQuantizer, SOMQuantizer
from refq.vector.self_organizing import grid_places, neighbourhood

EXACT = Cast("float64")


def online_k_means(X, start, order, rate):
    """MacQueen's rule in Fractions: only the nearest moves, at a rate by step or by count."""
    book = [[Fraction(v) for v in row] for row in start.tolist()]
    counts = [1] * len(book)
    for t, i in enumerate(order):
        x = [Fraction(v) for v in X[i].tolist()]
        squares = [sum((a - b) ** 2 for a, b in zip(x, c, strict=True)) for c in book]
        k = squares.index(min(squares))
        counts[k] += 1
        r = Fraction(1, counts[k]) if rate == "count" else rate(t)
        book[k] = [c + r * (a - c) for a, c in zip(x, book[k], strict=True)]
    return np.array([[float(v) for v in c] for c in book])


def order_of(seed, n, epochs):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.permutation(n) for _ in range(epochs)])


@given(st.integers(0, 10**6), st.integers(1, 3), st.sampled_from(["gaussian", "bubble"]))
def test_a_map_of_radius_zero_is_online_k_means(seed, d, kernel):
    rng = np.random.default_rng(seed)
    X = rng.integers(-64, 65, (12, d)).astype(np.float64)
    start = X[:4] + rng.integers(1, 9, (4, d)) / 8
    order = order_of(seed, 12, 2)
    fixed = {"radius": 0.0, "codebook_method": EXACT, "epochs": 2, "random_state": seed}
    q = SOMQuantizer(2, 2, d, kernel, init=start, learning_rate="count", **fixed).fit(X)
    # 24 steps, each rounds a difference, a product and a sum of numbers below 256: 24 * 3 * 2^-45
    want = online_k_means(X, start, order, "count")
    near_tie = np.abs(q.codebook_ - want).max() > 24 * 3 * 2.0**-45
    assert not near_tie
    q = SOMQuantizer(2, 2, d, kernel, init=start, learning_rate=0.5, **fixed).fit(X)
    want = online_k_means(X, start, order, lambda t: Fraction(0.5) * (1 - Fraction(t, 24)))
    assert np.abs(q.codebook_ - want).max() <= 24 * 4 * 2.0**-45


def test_by_count_a_codeword_is_the_mean_of_its_start_and_its_examples():
    X = np.array([[1.0], [2.0], [100.0], [6.0]])
    start = np.array([[0.0], [90.0]])
    q = SOMQuantizer(
        1, 2, radius=0.0, init=start, learning_rate="count", epochs=1, codebook_method=EXACT,
        random_state=0,
    ).fit(X)  # fmt: skip
    # (0 + 1 + 2 + 6) / 4 and (90 + 100) / 2, whatever the order
    np.testing.assert_allclose(q.codebook_.ravel(), [2.25, 95.0], rtol=2.0**-48)


def test_one_step_of_a_chain_by_hand():
    start = np.array([[0.0], [10.0], [20.0]])
    q = SOMQuantizer(
        1, 3, radius=1.0, init=start, learning_rate=0.5, epochs=0, codebook_method=EXACT
    ).fit(start)
    h = [math.exp(-2.0), math.exp(-0.5), 1.0]  # places 2, 1, 0 from the nearest
    want = [0.5 * h[0] * 18, 10 + 0.5 * h[1] * 8, 20 - 0.5 * h[2] * 2]
    np.testing.assert_allclose(q.step([18.0]).ravel(), want, rtol=2.0**-48)
    q.set_params(kernel="bubble")
    assert q.step([18.0]).ravel().tolist() == [0.0, 14.0, 19.0]
    # halfway through the radius is 1/2, so no neighbour is within the bubble; the rate is 1/4
    assert q.step([18.0], progress=0.5).ravel().tolist() == [0.0, 10.0, 19.5]


@given(st.floats(0, 1e300), st.floats(0, 50), st.sampled_from(["gaussian", "bubble"]))
def test_the_kernel_falls_from_one(radius, a, kernel):
    h = neighbourhood([0.0, a, a + 1], radius, kernel)
    assert h[0] == 1.0
    assert h[0] >= h[1] >= h[2] >= 0.0


def test_kernel_of_radius_zero_and_of_tiny_radius():
    for radius in (0.0, 5e-324, 1e-200):
        for kernel in ("gaussian", "bubble"):
            assert neighbourhood([0.0, 1.0], radius, kernel).tolist() == [1.0, 0.0]


def test_places_are_row_major():
    assert grid_places(2, 3).tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]


# What maps are for ----------------------------------------------------------------------------


def plane(seed=0):
    return np.random.default_rng(seed).uniform(0, 1, (600, 2))


def test_a_map_is_ordered_and_unordered_codewords_are_not():
    X = plane()
    som = SOMQuantizer(5, 5, 2, epochs=10, final_radius=0.5, random_state=0).fit(X)
    assert som.topographic_error(X) < 0.1
    shuffled = SOMQuantizer(
        5, 5, 2, epochs=0, init=np.random.default_rng(0).permutation(som.codebook_), random_state=0
    ).fit(X)
    assert shuffled.inertia_ == pytest.approx(
        np.sum((X - som.decode_codes(som.encode_codes(X))) ** 2), rel=1e-6
    )  # the same codewords, in float16, but nothing is next to its neighbour
    assert shuffled.topographic_error(X) > 0.5


def test_order_is_paid_for_with_distortion():
    X = plane()
    k = KMeansQuantizer(25, 2, n_init=3, random_state=0).fit(X)
    stiff = SOMQuantizer(5, 5, 2, epochs=10, final_radius=2.0, random_state=0).fit(X)
    loose = SOMQuantizer(5, 5, 2, epochs=10, final_radius=0.0, random_state=0).fit(X)
    assert k.inertia_ < loose.inertia_ < stiff.inertia_


def test_topographic_error_by_hand():
    q = SOMQuantizer(1, 3, init=np.array([0.0, 10.0, 1.0]), epochs=0).fit(np.arange(3.0)[:, None])
    # 0.2: nearest 0 and 2, two places apart; 8: nearest 1 and 2, neighbours
    assert q.topographic_error([[0.2], [8.0]]) == 0.5
    one = SOMQuantizer(1, 1, random_state=0).fit([[1.0, 2.0]])
    assert one.topographic_error([[1.0]]) == 0.0
    with pytest.raises(RangeError, match="no vector"):
        q.topographic_error(np.empty((0, 1)))


# Degenerate inputs -----------------------------------------------------------------------------


def maker(K):
    return SOMQuantizer(1, K, random_state=0, epochs=3, codebook_method=EXACT)


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
    with pytest.raises(ShapeError, match="does not divide"):
        SOMQuantizer(1, 2, 3).fit(np.ones((2, 4)))
    with pytest.raises(RangeError, match="learning_rate"):
        SOMQuantizer(1, 2, learning_rate="counts").fit(np.arange(4.0))
    with pytest.raises(RangeError, match="radius"):
        SOMQuantizer(1, 2, radius=-1.0).fit(np.arange(4.0))
