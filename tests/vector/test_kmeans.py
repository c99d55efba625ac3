"""K-means against brute force over all partitions, in rational arithmetic."""

from fractions import Fraction
from functools import cache
from itertools import combinations, combinations_with_replacement, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone as sklearn_clone

from refq.core.errors import NotFittedError, RangeError, ShapeError
from refq.encodings import Cast, CodebookEncoding, Encoding
from refq.vector import (
    KMeansQuantizer,
    kmeans_plus_plus,
    lloyd,
    starting_centers,
    sum_of_entries,
)
from refq.vector.centroids import lloyd_step

MULTISETS = [
    (points, K)
    for n in range(1, 6)
    for points in combinations_with_replacement((0, 1, 2), n)
    for K in range(1, min(n, 3) + 1)
]


@cache
def optimum(points, K):
    """The least distortion over all assignments of the points to K cells."""
    best = None
    for codes in product(range(K), repeat=len(points)):
        total = Fraction(0)
        for k in range(K):
            cell = [Fraction(p) for p, c in zip(points, codes, strict=True) if c == k]
            if cell:
                mean = sum(cell) / len(cell)
                total += sum((p - mean) ** 2 for p in cell)
        best = total if best is None else min(best, total)
    return best


def column(points):
    return np.array(points, np.float64)[:, None]


@pytest.mark.parametrize(("points", "K"), MULTISETS)
def test_lloyd_never_beats_the_optimum_and_reaches_it_from_some_start(points, K):
    X, reached = column(points), []
    for chosen in combinations(range(len(points)), K):
        centers, codes, distortion, _ = lloyd(X, X[list(chosen)])
        assert distortion >= float(optimum(points, K)) * (1 - 1e-15)
        # what it reports is what its centers and codes give
        exact = sum(
            (Fraction(p) - Fraction(centers[k, 0])) ** 2
            for p, k in zip(points, codes.tolist(), strict=True)
        )
        assert abs(Fraction(distortion) - exact) <= exact * Fraction(20, 2**53)
        reached.append(distortion)
    assert min(reached) <= float(optimum(points, K)) + 1e-15
    q = KMeansQuantizer(K, n_init=20, random_state=0, codebook_method=Cast("float64")).fit(X)
    assert abs(q.inertia_ - float(optimum(points, K))) <= 1e-15
    assert len(set(q.codebook_.ravel().tolist()) & set(points)) >= min(K, len(set(points))) - 1


@given(
    st.lists(st.lists(st.integers(-8, 8), min_size=2, max_size=2), min_size=1, max_size=9).flatmap(
        lambda rows: st.tuples(
            st.just(rows),
            st.lists(
                st.lists(st.integers(-20, 20), min_size=2, max_size=2),
                min_size=1,
                max_size=len(rows),
            ),
        )
    )
)
def test_no_iteration_raises_the_distortion(case):
    X, centers = (np.array(a, np.float64) for a in case)

    def exact_distortion(centers, codes):
        return sum(
            (Fraction(a) - Fraction(b)) ** 2
            for x, c in zip(X.tolist(), centers[codes].tolist(), strict=True)
            for a, b in zip(x, c, strict=True)
        )

    _, codes, _, _ = lloyd(X, centers, max_iter=0)
    before = exact_distortion(centers, codes)
    for _ in range(6):
        centers = lloyd_step(X, centers, codes)
        # sums of integers are exact; the quotient of magnitude <= 20 errs by 2^-49 at most
        slack = len(X) * 2 * Fraction(1, 2**98)
        middle = exact_distortion(centers, codes)
        assert middle <= before + slack
        _, codes, _, _ = lloyd(X, centers, max_iter=0)
        after = exact_distortion(centers, codes)
        assert after <= middle
        before = after
    final, codes, _, n_iter = lloyd(X, centers, 100)
    assert n_iter < 100
    distinct = len({tuple(x) for x in X.tolist()})
    assert len(set(codes.tolist())) == min(len(final), distinct)  # no cell is left empty
    for k in set(codes.tolist()):
        mean = X[codes == k].sum(axis=0) / (codes == k).sum()
        assert final[k].tolist() == mean.tolist()


def test_empty_cells_take_the_farthest_points_in_turn():
    X = column([0, 0, 0, 7, 9])
    centers = lloyd_step(X, column([0, 50, 60]), np.zeros(5, np.int64))
    # the mean is 3.2; 9 is farthest, then 0 (|0 - 3.2| > |7 - 9|)
    assert centers.ravel().tolist() == [3.2, 9.0, 0.0]
    # of equally far points the first
    centers = lloyd_step(column([1, -1]), column([0, 50]), np.zeros(2, np.int64))
    assert centers.ravel().tolist() == [0.0, 1.0]


def test_more_codewords_than_different_points_leaves_some_unused():
    W = np.array([[2.0, 2.0, 5.0, 5.0]], np.float32)
    q = KMeansQuantizer(4, random_state=3).fit(W)
    assert q.inertia_ == 0
    assert set(q.codebook_.ravel().tolist()) == {2.0, 5.0}
    e = q.encode(W)
    assert e.decode().tolist() == W.tolist()
    first = {value: q.codebook_.ravel().tolist().index(value) for value in (2.0, 5.0)}
    assert e.codes.decode().tolist() == [[first[v] for v in W[0].tolist()]]


def test_two_codewords_that_are_stored_alike_share_the_lower_code():
    W = np.array([[1.0, 1.0 + 2**-20, 3.0]], np.float32)
    init = np.array([1.0 + 2**-20, 1.0, 3.0])
    q = KMeansQuantizer(3, init=init).fit(W)
    assert q.codebook_.ravel().tolist() == [1.0, 1.0, 3.0]
    e = q.encode(W)
    assert e.codes.decode().tolist() == [[0, 0, 2]]
    again = q.encode(e.decode())
    assert again.to_bytes() == e.to_bytes()


@pytest.mark.parametrize("d", [1, 2])
def test_codes_are_computed_against_the_stored_codebook_from_unrounded_weights(d):
    init = np.repeat([[1.0], [1.0 + 2**-10 + 2**-13]], d, axis=1)  # float16 drops the last term
    q = KMeansQuantizer(2, d, init=init, max_iter=0).fit(init)
    middle = np.float32(1 + 2**-11)
    W = np.stack([middle, np.nextafter(middle, np.float32(2))]).repeat(d).reshape(2, d)
    assert q.encode(W).codes.decode().tolist() == [[0], [1]]


@given(st.integers(0, 2**32), st.sampled_from([1, 2, 4]), st.sampled_from([1, 3, 8]))
def test_encoding_laws(seed, codeword_size, K):
    W = np.random.default_rng(seed).standard_normal((6, 8)).astype(np.float32)
    q = KMeansQuantizer(K, codeword_size, max_iter=5, random_state=seed).fit(W)
    e = q.encode(W)
    decoded = e.decode()
    assert (decoded.shape, decoded.dtype) == (W.shape, np.float32)
    assert q.encode(decoded).to_bytes() == e.to_bytes()
    assert q.encode(W).codebook is e.codebook
    assert (np.abs(W.astype(np.float64) - decoded) <= q.error_bound(W, e)).all()
    # the bound is a least distance, not more: it is attained in the norm
    norms = np.linalg.norm((W.astype(np.float64) - decoded).reshape(-1, codeword_size), axis=1)
    bound = q.error_bound(W, e).reshape(-1, codeword_size)[:, 0]
    np.testing.assert_allclose(bound, norms, rtol=1e-14, atol=1e-150)
    bits = max(1, (K - 1).bit_length())
    assert e.stored_bits == W.size // codeword_size * bits + K * codeword_size * 16
    assert isinstance(Encoding.from_bytes(e.to_bytes()), CodebookEncoding)
    # weights as data give the same codes
    assert q.encode_codes(W).tolist() == e.codes.decode().tolist()
    assert q.decode_codes(q.encode_codes(W)).tolist() == decoded.tolist()


@given(st.integers(0, 2**32))
def test_table_distances_are_distances_to_what_is_decoded(seed):
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((5, 6)).astype(np.float32)
    q = KMeansQuantizer(4, codeword_size=2, random_state=0).fit(W)
    queries = rng.standard_normal((3, 8)).astype(np.float32)
    codes = q.encode_codes(rng.standard_normal((4, 8)))
    got = sum_of_entries(q.distance_table(queries), codes)
    decoded = q.decode_codes(codes)
    for i, x in enumerate(queries.tolist()):
        for j, y in enumerate(decoded.tolist()):
            exact = sum((Fraction(a) - Fraction(b)) ** 2 for a, b in zip(x, y, strict=True))
            assert abs(Fraction(got[i, j]) - exact) <= exact * Fraction(2 + 4 + 3, 2**53)


@pytest.mark.parametrize("shape", [(), (8,), (4, 2), (2, 2, 3, 3), (1, 8)])
def test_shapes(shape):
    W = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    q = KMeansQuantizer(1).fit(W)
    e = q.encode(W)
    assert e.decode().shape == shape
    assert e.codes.shape[0] == (shape[0] if len(shape) > 1 else 1)
    assert q.inertia_ == pytest.approx(float(((W - W.mean(dtype=np.float64)) ** 2).sum()))


def test_an_empty_array_is_encoded_but_not_fitted():
    q = KMeansQuantizer(2, codeword_size=2, random_state=0).fit(np.arange(8.0))
    assert q.encode(np.zeros((0, 4))).decode().shape == (0, 4)
    assert q.encode(np.zeros((3, 0))).decode().shape == (3, 0)
    for shape in [(0,), (0, 3), (3, 0)]:
        with pytest.raises(ShapeError, match="empty"):
            KMeansQuantizer(1).fit(np.zeros(shape))


def test_same_seed_same_bytes_and_the_method_is_untouched():
    W = np.random.default_rng(1).standard_normal((12, 16)).astype(np.float32)
    for seed in (7, np.random.SeedSequence(7)):
        q = KMeansQuantizer(8, random_state=seed)
        first = q.fit(W).encode(W).to_bytes()
        assert q.fit(W).encode(W).to_bytes() == first
        assert q.clone().fit_encode(W).to_bytes() == first
        assert sklearn_clone(q).fit_encode(W).to_bytes() == first
    assert KMeansQuantizer(8, random_state=8).fit_encode(W).to_bytes() != first
    rng = np.random.default_rng(7)
    assert KMeansQuantizer(8, random_state=rng).fit_encode(W).to_bytes() == first


def test_layouts_give_the_same_bytes():
    W = np.random.default_rng(1).standard_normal((12, 16)).astype(np.float32)
    W.flags.writeable = False
    q = KMeansQuantizer(8, codeword_size=2, random_state=0)
    want = q.fit(W).encode(W).to_bytes()
    wide = np.zeros((24, 32), np.float32)
    wide[::2, ::2] = W
    backwards = np.ascontiguousarray(W[::-1, ::-1])
    for same in (np.asfortranarray(W), W.astype(">f4"), wide[::2, ::2], backwards[::-1, ::-1]):
        assert q.fit(same).encode(same).to_bytes() == want
    assert q.fit(W.astype(np.float64)).encode(W).to_bytes() == want


def test_more_starts_are_no_worse():
    W = np.random.default_rng(2).standard_normal((20, 10))
    runs = [KMeansQuantizer(9, n_init=n, random_state=0).fit(W).inertia_ for n in (1, 2, 10)]
    assert runs[0] >= runs[1] >= runs[2]
    assert runs[0] > runs[2]


@pytest.mark.parametrize("init", ["k-means++", "random", "linear", "density"])
def test_starts(init):
    X = np.random.default_rng(0).standard_normal((50, 1))
    centers = starting_centers(X, 5, init, 0)
    assert centers.shape == (5, 1)
    assert len(np.unique(centers)) == 5
    if init != "linear":
        assert np.isin(centers, X).all()
    if init == "linear":
        assert centers.ravel().tolist() == pytest.approx(np.linspace(X.min(), X.max(), 5).tolist())
    if init == "density":  # the middles of five slices of ten
        assert centers.ravel().tolist() == np.sort(X.ravel())[[5, 15, 25, 35, 45]].tolist()
    q = KMeansQuantizer(5, init=init, random_state=0).fit(X)
    assert q.inertia_ <= lloyd(X, centers, 0)[2]


def test_kmeans_plus_plus_draws_by_squared_distance():
    X = column([0, 1, 3])
    pairs = np.zeros((3, 3))
    for seed in range(4000):
        first, second = kmeans_plus_plus(X, 2, seed).ravel()
        pairs[[0, 1, 3].index(first), [0, 1, 3].index(second)] += 1
    want = np.array([[0, 1 / 10, 9 / 10], [1 / 5, 0, 4 / 5], [9 / 13, 4 / 13, 0]]) / 3
    # five standard deviations of a frequency are below 0.04
    assert np.abs(pairs / 4000 - want).max() < 0.04
    assert np.diag(pairs).sum() == 0


def test_kmeans_plus_plus_survives_points_that_coincide_or_are_far():
    assert kmeans_plus_plus(np.ones((3, 2)), 3, 0).tolist() == [[1.0, 1.0]] * 3
    far = kmeans_plus_plus(column([1e20, -1e20, 3e38]), 3, 0)
    assert sorted(far.ravel().tolist()) == [-1e20, 1e20, 3e38]


def test_max_iter_and_tol():
    X = np.random.default_rng(0).standard_normal((200, 1))
    start = starting_centers(X, 8, "linear")
    assert lloyd(X, start, 0)[3] == 0
    assert lloyd(X, start, 0)[0].tolist() == start.tolist()
    assert lloyd(X, start, 3)[3] == 3
    full = lloyd(X, start, 1000)
    assert 3 < full[3] < 1000
    loose = lloyd(X, start, 1000, tol=0.05)
    assert loose[3] < full[3]
    assert loose[2] > full[2]


def test_errors():
    W = np.ones((2, 6), np.float32)
    with pytest.raises(NotFittedError):
        KMeansQuantizer(1).encode(W)
    for call in ("encode_codes", "distance_table"):
        with pytest.raises(NotFittedError):
            getattr(KMeansQuantizer(1), call)(W)
    with pytest.raises(NotFittedError):
        KMeansQuantizer(1).decode_codes([[0]])
    with pytest.raises(ShapeError, match="codeword_size = 4 does not divide the row length 6"):
        KMeansQuantizer(1, codeword_size=4).fit(W)
    with pytest.raises(RangeError, match="n_codewords = 13 exceeds the 12 vectors"):
        KMeansQuantizer(13).fit(W)
    with pytest.raises(ShapeError, match="orders numbers"):
        KMeansQuantizer(2, codeword_size=2, init="linear").fit(W)
    with pytest.raises(ShapeError, match="init has shape"):
        KMeansQuantizer(2, init=np.zeros((3, 1))).fit(W)
    with pytest.raises(RangeError, match="init = 'best'"):
        KMeansQuantizer(2, init="best").fit(W)
    with pytest.raises(RangeError, match=r"W\[0, 1\] = nan"):
        KMeansQuantizer(1).fit([[1.0, np.nan]])
    with pytest.raises(RangeError):  # a codeword that float16 cannot hold
        KMeansQuantizer(1).fit(np.full((2, 2), 1e20, np.float32))
    big = KMeansQuantizer(1, codebook_method=Cast("float32")).fit(np.full(2, 1e20, np.float32))
    assert big.codebook_[0, 0] == np.float32(1e20)
    q = KMeansQuantizer(2, codeword_size=2, random_state=0).fit(W)
    with pytest.raises(ShapeError, match="row length 3"):
        q.encode(np.zeros((2, 3)))
    with pytest.raises(ShapeError, match="multiple"):
        q.encode_codes(np.zeros((2, 3)))
    with pytest.raises(RangeError, match=r"codes\[0, 1\] = 2 must be in 0\.\.1"):
        q.decode_codes([[0, 2]])
    with pytest.raises(ShapeError):
        q.decode_codes([0, 1])
    for bad in ({"n_codewords": 0}, {"tol": -1.0}, {"n_init": 0}, {"max_iter": -1}, {"tol": True}):
        with pytest.raises(RangeError, match=next(iter(bad))):
            KMeansQuantizer(**bad).fit(W)
    with pytest.raises(ShapeError, match="no centers"):
        lloyd(np.zeros((0, 1)), [[0.0]])


def test_set_params_after_fit_does_not_change_what_was_learned():
    W = np.random.default_rng(0).standard_normal((4, 8)).astype(np.float32)
    q = KMeansQuantizer(4, codeword_size=2, random_state=0).fit(W)
    want = q.encode(W).to_bytes()
    q.set_params(codeword_size=4, n_codewords=2)
    assert q.encode(W).to_bytes() == want
