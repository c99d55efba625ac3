"""Optimized product quantization: Procrustes, its start, and what it stores."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refq.core.errors import NotFittedError, ShapeError
from refq.encodings import Cast, Encoding
from refq.vector import OptimizedProductQuantizer, ProductQuantizer, sum_of_entries
from refq.vector.optimized_product import procrustes


def correlated(seed, shape=(60, 8)):
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((shape[1], shape[1])) * 0.5 ** np.arange(shape[1])
    return (rng.standard_normal(shape) @ mixing).astype(np.float32)


@given(st.integers(0, 2**32))
def test_no_plane_rotation_or_reflection_beats_procrustes(seed):
    rng = np.random.default_rng(seed)
    X, Y = rng.standard_normal((5, 2)), rng.standard_normal((5, 2))
    R = procrustes(X, Y)
    assert np.abs(R.T @ R - np.eye(2)).max() < 1e-14
    best = ((X @ R - Y) ** 2).sum()
    for angle, turn in product(np.linspace(0, 2 * np.pi, 90), (1.0, -1.0)):
        c, s = np.cos(angle), np.sin(angle)
        assert ((X @ np.array([[c, s * turn], [-s, c * turn]]) - Y) ** 2).sum() >= best - 1e-12


def test_procrustes_finds_the_rotation_there_is():
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    X = rng.standard_normal((20, 6))
    np.testing.assert_allclose(procrustes(X, X @ Q), Q, atol=1e-13)


@settings(max_examples=15)
@given(st.integers(0, 2**32), st.sampled_from([1, 2, 3, 8]))
def test_it_starts_from_the_product_quantizer_and_gets_no_worse(seed, M):
    W = correlated(seed)
    start = ProductQuantizer(M, 5, Cast("float64"), 7, random_state=seed).fit(W)
    runs = [
        OptimizedProductQuantizer(M, 5, n, start_iter=7, random_state=seed).fit(W).inertia_
        for n in (0, 1, 2, 5)
    ]
    assert runs[0] == pytest.approx(float(start.inertia_.sum()), rel=1e-14)
    assert (np.diff(runs) <= 1e-12 * runs[0]).all()


def test_it_gains_where_slices_are_unequal():
    W = correlated(0, (500, 8))
    plain = ProductQuantizer(4, 8, random_state=0).fit(W).encode(W).decode()
    turned = OptimizedProductQuantizer(4, 8, random_state=0).fit(W).encode(W).decode()
    assert ((W - turned) ** 2).sum() < 0.9 * ((W - plain) ** 2).sum()


def test_encoding():
    W = correlated(1)
    q = OptimizedProductQuantizer(3, 5, 3, random_state=0).fit(W)  # 3 + 3 + 2 columns
    e = q.encode(W)
    assert type(e).__name__ == "FactoredEncoding"
    assert e.stored_bits == 60 * 3 * 3 + 5 * 8 * 16 + 8 * 8 * 32
    assert Encoding.from_bytes(e.to_bytes()).decode().tolist() == e.decode().tolist()
    codes = q.encode_codes(W)
    assert codes.shape == (60, 3)
    # two products of the same matrices in float32 and float64, eight terms each
    np.testing.assert_allclose(q.decode_codes(codes), e.decode(), atol=1e-5 * np.abs(W).max())
    error = float(((W - e.decode()) ** 2).sum())
    assert error == pytest.approx(q.inertia_, rel=1e-2)  # float16 books
    assert q.encode(W.reshape(60, 2, 2, 2)).decode().shape == (60, 2, 2, 2)


def test_search_is_by_distances_to_the_decoded():
    W = correlated(2)
    q = OptimizedProductQuantizer(
        2, 8, 3, codebook_method=Cast("float64"), rotation_method=Cast("float64"), random_state=0
    ).fit(W)
    codes = q.encode_codes(W)
    found = sum_of_entries(q.distance_table(W[:3]), codes)
    decoded = q.decode_codes(codes).astype(np.float64)  # rounded to float32
    want = ((W[:3, None].astype(np.float64) - decoded) ** 2).sum(axis=2)
    np.testing.assert_allclose(found, want, atol=1e-5 * np.abs(W).max() ** 2)
    distances, indices = q.search(W[:3], codes, 4)
    assert distances.tolist() == np.sort(found, axis=1)[:, :4].tolist()
    assert indices.shape == (3, 4)


def test_errors():
    W = correlated(0)
    for call in ("encode", "encode_codes", "distance_table"):
        with pytest.raises(NotFittedError):
            getattr(OptimizedProductQuantizer(2, 4), call)(W)
    with pytest.raises(ShapeError, match="n_subspaces = 9 must be at most"):
        OptimizedProductQuantizer(9, 4).fit(W)
    with pytest.raises(ShapeError, match="empty"):
        OptimizedProductQuantizer(1, 1).fit(np.zeros((0, 4)))
    with pytest.raises(ShapeError, match="fitted to 8"):
        OptimizedProductQuantizer(2, 4, 1, random_state=0).fit(W).encode(W[:, :4])
