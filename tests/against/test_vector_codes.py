"""The same codebook gives faiss's and nanopq's codes, and the same search results.

Both compute in float32, refq exactly: where their codes differ, the two codewords must be equally
near to float32's rounding. A plain suite skips this file.
"""

import numpy as np
import pytest

from refq.vector import ProductQuantizer

pytestmark = pytest.mark.peers("faiss", "nanopq")

CASES = [(2000, 32, 8, 64, 0), (500, 24, 3, 256, 1), (3000, 64, 16, 16, 2), (300, 8, 1, 100, 3)]


def books_and_data(n, d, M, K, seed):
    rng = np.random.default_rng(seed)
    books = rng.standard_normal((M, K, d // M), dtype=np.float32)
    return books, rng.standard_normal((n, d), dtype=np.float32)


def quantizer(books):
    q = ProductQuantizer(len(books), books.shape[1])
    q.codebooks_ = books
    return q


def faiss_quantizer(books):
    import faiss

    M, K, width = books.shape
    peer = faiss.ProductQuantizer(M * width, M, int(K - 1).bit_length())
    filled = np.full((M, peer.ksub, width), 1e4, np.float32)  # codewords beyond K are never nearest
    filled[:, :K] = books
    faiss.copy_array_to_vector(filled.ravel(), peer.centroids)
    return peer


def unpacked(codes, M, bits):
    """Return one column a sub-space; faiss packs codes of fewer than eight bits."""
    stream = np.unpackbits(codes, axis=1, bitorder="little")[:, : M * bits]
    weights = 1 << np.arange(bits)
    return (stream.reshape(len(codes), M, bits) * weights).sum(axis=2)


def differ_only_at_ties(X, books, ours, theirs):
    """Return how many codes differ; at each, both codewords must be as near as float32 can tell."""
    _M, _, width = books.shape
    rows, columns = np.nonzero(ours != theirs)
    for i, m in zip(rows, columns, strict=True):
        x = X[i, m * width : (m + 1) * width].astype(np.float64)
        near, far = (((x - books[m, c[i, m]]) ** 2).sum() for c in (ours, theirs))
        # |x|^2 - 2 x.c + |c|^2 in float32: width + 3 roundings of terms below (|x| + |c|)^2
        size = (np.linalg.norm(x) + np.linalg.norm(books[m, theirs[i, m]])) ** 2
        assert near <= far <= near + 2 * (width + 3) * 2.0**-24 * size
    return len(rows)


@pytest.mark.parametrize("case", CASES)
def test_codes_of_faiss(case):
    books, X = books_and_data(*case)
    peer = faiss_quantizer(books)
    ours = quantizer(books).encode_codes(X)
    assert ours.dtype == np.uint8
    theirs = unpacked(peer.compute_codes(X), len(books), peer.nbits)
    assert differ_only_at_ties(X, books, ours, theirs) <= 1e-3 * ours.size


@pytest.mark.parametrize("case", CASES)
def test_codes_of_nanopq(case):
    import nanopq

    books, X = books_and_data(*case)
    peer = nanopq.PQ(len(books), books.shape[1], verbose=False)
    peer.Ds, peer.codewords = books.shape[2], books
    ours = quantizer(books).encode_codes(X)
    assert differ_only_at_ties(X, books, ours, peer.encode(X)) <= 1e-3 * ours.size
    assert quantizer(books).decode_codes(ours).tolist() == peer.decode(ours).tolist()
    table = peer.dtable(X[0]).dtable
    # float32 distances of `width` terms, each within three roundings
    np.testing.assert_allclose(
        quantizer(books).distance_table(X[:1])[0], table, rtol=(books.shape[2] + 3) * 2.0**-22
    )


def test_search_of_faiss():
    import faiss

    books, X = books_and_data(5000, 32, 8, 256, 4)
    index = faiss.IndexPQ(32, 8, 8)
    index.pq, index.is_trained = faiss_quantizer(books), True
    index.add(X)
    q = quantizer(books)
    codes = q.encode_codes(X)
    queries = books_and_data(20, 32, 8, 2, 5)[1]
    distances, indices = q.search(queries, codes, 10)
    theirs, where = index.search(queries, 10)
    # sums of float32 table entries: 8 + 4 + 3 roundings of numbers of one sign
    np.testing.assert_allclose(distances, theirs, rtol=16 * 2.0**-23)
    assert (indices == where).mean() > 0.97


def test_ties_take_the_lowest_index():
    books = np.array([[[0.0], [2.0], [0.0], [4.0]]], np.float32).repeat(2, axis=2)
    X = np.array([[1.0, 1.0], [3.0, 3.0], [0.0, 0.0]], np.float32)
    ours = quantizer(books).encode_codes(X)
    assert ours.tolist() == [[0], [1], [0]]
    theirs = unpacked(faiss_quantizer(books).compute_codes(X), 1, 2)
    assert differ_only_at_ties(X, books, ours, theirs) <= 3
