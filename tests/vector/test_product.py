"""Product quantization is k-means of the slices, and its tables are distances."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import NotFittedError, RangeError, ShapeError
from refq.encodings import Cast, Encoding
from refq.vector import (
    KMeansQuantizer,
    ProductQuantizer,
    kmeans_plus_plus,
    lloyd,
    sum_of_entries,
)
from refq.vector.product import spawned


def weights(seed, shape=(12, 16)):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@given(st.integers(0, 2**32), st.sampled_from([1, 2, 4, 8, 16]), st.sampled_from([1, 3, 12]))
def test_it_is_kmeans_of_every_slice(seed, M, K):
    W = weights(seed)
    q = ProductQuantizer(M, K, codebook_method=Cast("float64"), random_state=seed).fit(W)
    e = q.encode(W)
    d = 16 // M
    for m, rng in enumerate(np.random.default_rng(seed).spawn(M)):
        X = W[:, m * d : (m + 1) * d]
        centers, codes, distortion, n_iter = lloyd(X, kmeans_plus_plus(X, K, rng), 25)
        assert q.codebooks_[m].tolist() == centers.tolist()
        assert (q.inertia_[m], q.n_iter_[m]) == (distortion, n_iter)
        assert e.codes.decode()[:, m].tolist() == codes.tolist()
        assert e.decode()[:, m * d : (m + 1) * d].tolist() == centers[codes].tolist()


def test_slices_agree_with_the_kmeans_quantizer_from_given_centers():
    W = weights(0)
    q = ProductQuantizer(4, 5, max_iter=0, random_state=0).fit(W)
    e = q.encode(W)
    for m in range(4):
        X = W[:, 4 * m : 4 * m + 4]
        k = KMeansQuantizer(5, 4, init=q.codebooks_[m].astype(np.float64), max_iter=0).fit(X)
        assert k.encode(X).decode().tolist() == e.decode()[:, 4 * m : 4 * m + 4].tolist()


@given(st.integers(0, 2**32), st.sampled_from([1, 4, 16]))
def test_encoding_laws(seed, M):
    W = weights(seed)
    q = ProductQuantizer(M, 5, random_state=0).fit(W)
    e = q.encode(W)
    assert q.encode(e.decode()).to_bytes() == e.to_bytes()
    error = np.abs(W.astype(np.float64) - e.decode())
    assert (error <= q.error_bound(W, e)).all()
    norms = np.linalg.norm((W.astype(np.float64) - e.decode()).reshape(12, M, -1), axis=2)
    bound = q.error_bound(W, e).reshape(12, M, -1)[:, :, 0]
    np.testing.assert_allclose(bound, norms, rtol=1e-14, atol=1e-150)
    assert e.stored_bits == 12 * M * 3 + 5 * 16 * 16
    assert Encoding.from_bytes(e.to_bytes()).decode().tolist() == e.decode().tolist()
    assert q.encode_codes(W).tolist() == e.codes.decode().tolist()
    assert q.encode_codes(W).dtype == np.uint8
    assert q.decode_codes(q.encode_codes(W)).tolist() == e.decode().tolist()


@given(st.integers(0, 2**32), st.sampled_from([1, 2, 4]))
def test_asymmetric_distance_is_the_distance_to_the_decoded_vector(seed, M):
    q = ProductQuantizer(M, 4, random_state=0).fit(weights(seed, (9, 8)))
    queries, base = weights(seed + 1, (3, 8)), weights(seed + 2, (4, 8))
    codes = q.encode_codes(base)
    tables = q.distance_table(queries)
    assert tables.shape == (3, M, 4)
    got = sum_of_entries(tables, codes)
    for i, x in enumerate(queries.tolist()):
        for j, y in enumerate(q.decode_codes(codes).tolist()):
            exact = sum((Fraction(a) - Fraction(b)) ** 2 for a, b in zip(x, y, strict=True))
            assert abs(Fraction(got[i, j]) - exact) <= exact * Fraction(8 // M + M + 3, 2**53)


def test_as_many_codewords_as_rows_memorize_the_array():
    W = weights(0, (16, 8))
    q = ProductQuantizer(4, 16, codebook_method=Cast("float32"), random_state=0).fit(W)
    assert q.inertia_.tolist() == [0.0] * 4
    e = q.encode(W)
    assert e.decode().tobytes() == W.tobytes()
    assert e.bits_per_weight == 4 / 2 + 32


def test_filters_are_rows():
    W = weights(0, (6, 2, 3, 3))
    q = ProductQuantizer(3, 4, random_state=0)
    e = q.fit(W).encode(W)
    assert e.codebook.shape == (3, 4, 6)
    flat = q.clone().fit_encode(W.reshape(6, 18)).decode()
    assert e.decode().tobytes() == flat.tobytes()
    assert e.decode().shape == W.shape
    other = q.encode(weights(1, (2, 18)))  # other rows, same books
    assert other.codebook is q.encode(W).codebook


def test_same_seed_same_bytes():
    W = weights(3)
    for seed in (5, np.random.SeedSequence(5)):
        q = ProductQuantizer(4, 6, random_state=seed)
        want = q.fit_encode(W).to_bytes()
        assert q.fit_encode(W).to_bytes() == want
    assert ProductQuantizer(4, 6, random_state=6).fit_encode(W).to_bytes() != want
    rng = np.random.default_rng(5)
    state = rng.bit_generator.state
    assert ProductQuantizer(4, 6, random_state=rng).fit_encode(W).to_bytes() == want
    assert rng.bit_generator.state == state  # only its children draw
    assert ProductQuantizer(4, 6, random_state=rng).fit_encode(W).to_bytes() != want


def test_children_of_a_seed_sequence_leave_it_untouched():
    s = np.random.SeedSequence(1, spawn_key=(4,))
    a, b = spawned(s, 2)[1].random(), spawned(s, 3)[1].random()
    assert a == b
    assert s.n_children_spawned == 0
    assert a != spawned(np.random.SeedSequence(1), 2)[1].random()


def test_layouts_give_the_same_bytes():
    W = weights(4)
    q = ProductQuantizer(4, 6, random_state=0)
    want = q.fit(W).encode(W).to_bytes()
    wide = np.zeros((24, 32), np.float32)
    wide[::2, ::2] = W
    backwards = np.ascontiguousarray(W[::-1, ::-1])
    for same in (np.asfortranarray(W), W.astype(">f4"), wide[::2, ::2], backwards[::-1, ::-1]):
        assert q.fit(same).encode(same).to_bytes() == want


def test_errors():
    W = weights(0)
    with pytest.raises(ShapeError, match=r"n_subspaces = 17 must be at most the row length 16"):
        ProductQuantizer(17, 4).fit(W)
    with pytest.raises(RangeError, match="n_codewords = 13 exceeds the 12 rows"):
        ProductQuantizer(4, 13).fit(W)
    with pytest.raises(ShapeError, match="empty"):
        ProductQuantizer(1, 1).fit(np.zeros((0, 4)))
    with pytest.raises(RangeError, match="init"):
        ProductQuantizer(4, 4, init="linear").fit(W)
    for call in ("encode", "encode_codes", "distance_table"):
        with pytest.raises(NotFittedError):
            getattr(ProductQuantizer(4, 4), call)(W)
    q = ProductQuantizer(4, 4, random_state=0).fit(W)
    with pytest.raises(ShapeError, match="row length 8; it needs 16"):
        q.encode(np.zeros((2, 8)))
    with pytest.raises(ShapeError, match="fitted to 16"):
        q.encode_codes(np.zeros((2, 8)))
    with pytest.raises(ShapeError, match=r"\(n, 4\)"):
        q.decode_codes([[0, 1]])
    with pytest.raises(RangeError, match=r"codes\[0, 3\] = 4"):
        q.decode_codes([[0, 1, 2, 4]])
    with pytest.raises(ShapeError, match="codes has shape"):
        sum_of_entries(q.distance_table(W), [[0, 1]])
    # one book, but still only rows of the fitted length
    with pytest.raises(ShapeError, match="needs 16"):
        ProductQuantizer(1, 2, random_state=0).fit(W).encode(np.zeros((2, 32)))


def test_refitting_to_another_width():
    q = ProductQuantizer(4, 4, random_state=0).fit(weights(0))
    assert q.fit(weights(0, (6, 8))).codebooks_.shape == (4, 4, 2)


# Widths that do not divide -----------------------------------------------------------------


@given(st.integers(0, 2**32), st.sampled_from([1, 3, 5, 7, 11, 16]))
def test_the_first_subspaces_are_one_wider(seed, M):
    W = weights(seed)
    q = ProductQuantizer(M, 4, codebook_method=Cast("float64"), random_state=seed).fit(W)
    widths = [16 // M + (m < 16 % M) for m in range(M)]
    ends = np.cumsum([0, *widths])
    parts = [slice(a, b) for a, b in itertools.pairwise(ends)]
    assert [b.shape for b in q.codebooks_] == [(4, w) for w in widths]
    e, codes = q.encode(W), q.encode_codes(W)
    assert codes.shape == (12, M)
    decoded, total = e.decode(), 0.0
    for m, (part, rng) in enumerate(zip(parts, np.random.default_rng(seed).spawn(M), strict=True)):
        X = W[:, part]
        centers, want, distortion, _ = lloyd(X, kmeans_plus_plus(X, 4, rng), 25)
        assert q.codebooks_[m].tolist() == centers.tolist()
        assert codes[:, m].tolist() == want.tolist()
        assert decoded[:, part].tolist() == centers[want].tolist()
        assert q.inertia_[m] == distortion
        total += float(((X - decoded[:, part]) ** 2).sum())
    # the distortion is the sum of the parts': 192 terms of float64
    assert float(((W - decoded) ** 2).sum()) == pytest.approx(total, rel=1e-13)
    assert total == pytest.approx(float(q.inertia_.sum()), rel=1e-13, abs=1e-25)
    assert q.decode_codes(codes).tolist() == decoded.tolist()
    assert q.encode(decoded).to_bytes() == e.to_bytes()
    assert (np.abs(W - decoded) <= q.error_bound(W, e)).all()
    assert e.stored_bits == 12 * M * 2 + 4 * 16 * 64
    assert Encoding.from_bytes(e.to_bytes()).decode().tolist() == decoded.tolist()


def test_uneven_filters_are_reshaped_at_the_end():
    W = weights(0, (6, 2, 3, 3))
    e = ProductQuantizer(4, 3, random_state=0).fit_encode(W)
    flat = ProductQuantizer(4, 3, random_state=0).fit_encode(W.reshape(6, 18))
    assert e.decode().tolist() == flat.decode().reshape(W.shape).tolist()
    assert e.stored_bits == flat.stored_bits
    line = weights(0, (7,))
    assert (
        ProductQuantizer(3, 1).fit_encode(line).decode().tolist()
        == line.astype(np.float16).astype(np.float32).tolist()
    )


@given(st.integers(0, 2**32))
def test_one_subspace_is_kmeans(seed):
    W = weights(seed)
    q = ProductQuantizer(1, 5, random_state=seed).fit(W)
    start = kmeans_plus_plus(W, 5, np.random.default_rng(seed).spawn(1)[0])
    k = KMeansQuantizer(5, 16, init=start, max_iter=25).fit(W)
    assert q.codebooks_[0].tolist() == k.codebook_.tolist()
    assert q.inertia_.tolist() == [k.inertia_]
    assert q.encode_codes(W).tolist() == k.encode_codes(W).tolist()
    assert q.encode(W).decode().tolist() == k.encode(W).decode().tolist()


# Books that the caller sets ----------------------------------------------------------------


def test_codes_against_given_books_as_they_are_and_as_they_are_stored():
    q = ProductQuantizer(2, 2)
    books = np.array([[[0.0], [1.0 + 2**-12]], [[1.0], [3.0]]], np.float32)
    q.codebooks_ = books
    middle = np.float32((1 + 2**-12) / 2)
    X = np.array([[middle, 2.0], [np.nextafter(middle, np.float32(1)), 2.5]], np.float32)
    codes = q.encode_codes(X)
    assert codes.dtype == np.uint8
    assert codes.tolist() == [[0, 0], [1, 1]]
    assert q.decode_codes(codes).tolist() == [[0.0, 1.0], [1 + 2**-12, 3.0]]
    # float16 makes the codeword 1, so both lie beyond its midpoint
    e = q.encode(X)
    assert e.codes.decode().tolist() == [[1, 0], [1, 1]]
    assert e.decode().tolist() == [[1.0, 1.0], [1.0, 3.0]]
    books[:] = 7  # the caller's array is not looked at again
    assert q.encode_codes(X).tolist() == [[0, 0], [1, 1]]
    with pytest.raises(ValueError, match="read-only"):
        q.codebooks_[0, 0, 0] = 1.0
    q.codebooks_ = [np.zeros((2, 2)), np.ones((2, 1))]
    assert q.encode_codes([[0.0, 0.0, 9.0]]).tolist() == [[0, 0]]
    q.fit(weights(0))
    assert q.codebooks_.shape == (2, 2, 8)


@pytest.mark.parametrize(
    ("books", "words"),
    [
        (np.zeros((3, 2, 4)), "n_subspaces = 2"),
        ([np.zeros((2, 4)), np.zeros((3, 4))], "equally many"),
        (np.zeros((2, 0, 4)), "0 codewords"),
        (np.full((2, 2, 4), np.nan), r"codebooks_\[0\]\[0, 0\] = nan"),
        (np.zeros((2, 4)), "two axes"),
    ],
)
def test_books_that_are_refused(books, words):
    q = ProductQuantizer(2, 2)
    with pytest.raises((ShapeError, RangeError), match=words):
        q.codebooks_ = books
    with pytest.raises(NotFittedError):
        _ = q.codebooks_


# Tables and search -------------------------------------------------------------------------


@given(st.integers(0, 2**32), st.sampled_from([1, 3, 4]))
def test_symmetric_distance_is_that_between_decoded_vectors(seed, M):
    q = ProductQuantizer(M, 4, random_state=0).fit(weights(seed, (9, 8)))
    codes = q.encode_codes(weights(seed + 1, (5, 8)))
    queries = q.encode_codes(weights(seed + 2, (3, 8)))
    got = sum_of_entries(q.symmetric_table(queries), codes)
    for i, x in enumerate(q.decode_codes(queries).tolist()):
        for j, y in enumerate(q.decode_codes(codes).tolist()):
            exact = sum((Fraction(a) - Fraction(b)) ** 2 for a, b in zip(x, y, strict=True))
            assert abs(Fraction(got[i, j]) - exact) <= exact * Fraction(-(-8 // M) + M + 3, 2**53)


def test_search_finds_the_nearest_decoded_vectors():
    q = ProductQuantizer(3, 8, random_state=0).fit(weights(0, (50, 8)))
    base, queries = weights(1, (200, 8)), weights(2, (6, 8))
    codes = q.encode_codes(base)
    distances, indices = q.search(queries, codes, 10)
    decoded = q.decode_codes(codes).astype(np.float64)
    for x, near, where in zip(queries.astype(np.float64), distances, indices, strict=True):
        every = ((x - decoded) ** 2).sum(axis=1)
        np.testing.assert_allclose(near, np.sort(every)[:10], rtol=1e-14)
        np.testing.assert_allclose(every[where], near, rtol=1e-14)
    with pytest.raises(ShapeError):
        q.search(queries[:, :4], codes)


def test_threads_that_share_positions_change_no_code(monkeypatch):
    from refq.vector import codec

    rng = np.random.default_rng(0)
    cut = rng.standard_normal((300, 9, 4), dtype=np.float32)
    books = rng.standard_normal((9, 16, 4))
    alone = codec.nearest_codes(cut, books)
    monkeypatch.setattr(codec, "_WORTH_THREADS", 1)
    monkeypatch.setattr(codec, "thread_count", lambda: 2)
    assert codec.nearest_codes(cut, books).tolist() == alone.tolist()
    distances = ((cut[:, :, None].astype(np.float64) - books) ** 2).sum(axis=3)
    assert alone.tolist() == distances.argmin(axis=2).tolist()
