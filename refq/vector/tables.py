"""Distances to coded vectors, without decoding them.

Equation
--------
``|q - decode(codes)|^2 = sum_p table[p, codes[p]]`` with ``table[p, k] = |q_p - c_pk|^2``, where
``q_p`` is the p-th piece of the query and ``c_pk`` codeword k of the book of that position. The
query itself is not coded: the distance is *asymmetric*. Where the query is coded too, its codewords
take the place of its pieces, and the distance is *symmetric*.

Conventions
-----------
*Search.* The k least sums are found in two steps. Tables are scaled to integers, rounded down, so
that their sums are exact and fast (see `refq.vector.lane_sums`); a vector whose integer sum is
beyond the k-th least one by more than all roundings together cannot be among the k nearest. The few
that are left are summed in float64. The result is that of sorting all float64 sums, the lower index
first on a tie.

References
----------
.. [1] H. Jégou, M. Douze, C. Schmid, "Product Quantization for Nearest Neighbor Search", IEEE TPAMI
   33(1), 2011, section III: symmetric and asymmetric distance computation.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import check_float_array, check_integer, check_integer_array
from ..core.errors import RangeError, ShapeError
from ..core.rounding import saturate
from ..numerics import squared_distances
from ..numerics.screening import shared_among_threads
from .lane_sums import lane_hits_kernel, lane_limits_kernel

__all__ = [
    "check_codes",
    "distance_tables",
    "nearest_coded",
    "sum_of_entries",
    "symmetric_tables",
]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_LARGEST_SUM = 1 << 30  #: of integer tables: sums stay in int32
_LANES = 32  #: queries that are searched side by side
_CODES = 1 << 16  #: vectors gone through before the k nearest are picked from what was found
_WORTH_THREADS = 1 << 23  #: look-ups from which on threads pay


def check_codes(codes: ArrayLike, n_positions: int | None, n_codewords: int) -> NDArray[Any]:
    """Return codes as an integer array whose every element has a codeword.

    Parameters
    ----------
    codes : array_like of integers, shape (n, n_positions)
        Codes.
    n_positions : int or None
        What their number must be; None allows any.
    n_codewords : int
        K.

    Returns
    -------
    ndarray of integers
        The codes.

    Raises
    ------
    ShapeError
        If the shape does not fit.
    RangeError
        Naming the first code outside.

    Examples
    --------
    >>> check_codes([[0, 2]], 2, 2)
    Traceback (most recent call last):
    refq.core.errors.RangeError: codes[0, 1] = 2 must be in 0..1
    """
    a = check_integer_array(codes, "codes")
    if a.ndim != 2 or (n_positions is not None and a.shape[1] != n_positions):
        want = "n_positions" if n_positions is None else n_positions
        raise ShapeError(f"codes has shape {a.shape}; it needs (n, {want})")
    if a.size and not 0 <= int(a.min()) <= int(a.max()) < n_codewords:
        i, j = np.argwhere((a < 0) | (a >= n_codewords))[0]
        raise RangeError(f"codes[{i}, {j}] = {a[i, j]} must be in 0..{n_codewords - 1}")
    return a


def distance_tables(queries: NDArray[Any], books: NDArray[Any]) -> Floats:
    """Return the squared distance of every piece of every query to every codeword.

    Parameters
    ----------
    queries : ndarray of float, shape (n, n_positions, d)
        Cut queries.
    books : ndarray of float, shape (1 or n_positions, K, d)
        One book for all positions, or one for each.

    Returns
    -------
    ndarray of float64, shape (n, n_positions, K)
        Each entry within a factor ``1 +- (d + 3) 2^-53``.

    Notes
    -----
    O(n n_positions K d) time. Tier T1.

    Examples
    --------
    >>> distance_tables(np.array([[[1.0], [3.0]]]), np.array([[[0.0], [1.0]]]))
    array([[[1., 0.],
            [9., 4.]]])
    """
    n, n_positions, _ = queries.shape
    tables = np.empty((n, n_positions, books.shape[1]))
    for p in range(n_positions):
        book = books[p if len(books) > 1 else 0].astype(np.float64)
        tables[:, p] = squared_distances(queries[:, p].astype(np.float64), book)
    return tables


def symmetric_tables(codes: NDArray[Any], books: NDArray[Any]) -> Floats:
    """Return the squared distance of every codeword of every coded query to every codeword.

    Parameters
    ----------
    codes : ndarray of integers, shape (n, n_positions)
        Of the queries.
    books : ndarray of float, shape (1 or n_positions, K, d)
        One book for all positions, or one for each.

    Returns
    -------
    ndarray of float64, shape (n, n_positions, K)
        Rows of the tables between codewords, of which each book has one, of K^2 entries.

    Notes
    -----
    O(n_books K^2 d + n n_positions K) time. Tier T1.

    Examples
    --------
    >>> symmetric_tables(np.array([[1, 0]]), np.array([[[0.0], [3.0]]]))
    array([[[9., 0.],
            [0., 9.]]])
    """
    between = np.stack([squared_distances(b, b) for b in books.astype(np.float64)])
    rows = np.arange(codes.shape[1]) % len(books)
    return between[rows[None, :], codes]


def sum_of_entries(tables: ArrayLike, codes: ArrayLike) -> Floats:
    """Return the squared distance of every query to every coded vector.

    Parameters
    ----------
    tables : array_like, shape (n_queries, n_positions, K)
        As a codec's ``distance_table`` gives them.
    codes : array_like of integers, shape (n, n_positions)
        As its ``encode_codes`` gives them.

    Returns
    -------
    ndarray of float64, shape (n_queries, n)
        Within a factor ``1 +- (d + n_positions + 2) 2^-53``, to first order, of the exact squared
        distance to the decoded vector.

    Raises
    ------
    ShapeError
        If the shapes do not fit.
    RangeError
        If a code has no codeword.

    Notes
    -----
    O(n_queries n n_positions) time, whatever the vectors' length. Tier T1: positions are added in
    their order.

    Examples
    --------
    >>> sum_of_entries([[[1.0, 0.0], [9.0, 4.0]]], [[1, 1], [0, 1]])
    array([[4., 5.]])
    """
    t = _tables(tables)
    where = check_codes(codes, t.shape[1], t.shape[2])
    total = np.zeros((len(t), len(where)))
    for p in range(t.shape[1]):
        total += t[:, p, where[:, p]]
    return total


def _rounded_down(tables: Floats) -> tuple[NDArray[np.int32], Integers]:
    """Return integer tables, and how many units their sums may be off, for each query.

    Each position's least entry is taken off. An entry loses less than one unit by the floor.
    float64 sums, which decide in the end, err by ``(n_positions + 2) 2^-53`` of the largest sum,
    and two of them are compared.
    """
    n_positions = tables.shape[1]
    spans = tables - tables.min(axis=2, keepdims=True)
    span = spans.max(axis=2).sum(axis=1)
    with np.errstate(all="ignore"):
        scale = (_LARGEST_SUM - n_positions) / np.where(span > 0, span, 1.0)
        whole = np.floor(spans * scale[:, None, None])
        error = tables.max(axis=2).sum(axis=1) * scale * ((n_positions + 4) * 2.0**-51)
    coarse = ~np.isfinite(scale) | (span == 0)
    whole[coarse] = 0  # nothing to tell apart in integers: everything is summed in float64
    units = n_positions + 2 + np.ceil(np.where(coarse | ~(error < 2.0**30), 2.0**30, error))
    whole = saturate(whole, 0, _LARGEST_SUM, np.int32)
    return np.ascontiguousarray(whole), saturate(units, 0, 2**31 - 1, np.int64)


def nearest_coded(tables: ArrayLike, codes: ArrayLike, k: int) -> tuple[Floats, Integers]:
    """Return the k coded vectors that are nearest to each query.

    Parameters
    ----------
    tables : array_like, shape (n_queries, n_positions, K)
        As a codec's ``distance_table`` gives them; not negative.
    codes : array_like of integers, shape (n, n_positions)
        As its ``encode_codes`` gives them.
    k : int
        In [1, n].

    Returns
    -------
    distances : ndarray of float64, shape (n_queries, k)
        Squared, as `sum_of_entries` gives them, the least first.
    indices : ndarray of int64, shape (n_queries, k)
        Rows of `codes`; of equal distances the lower index first.

    Raises
    ------
    ShapeError
        If the shapes do not fit.
    RangeError
        If a code has no codeword, an entry is negative, or k is not in [1, n].

    Notes
    -----
    O(n_queries n n_positions) time, shared among threads. Tier T1.

    Examples
    --------
    >>> nearest_coded([[[1.0, 0.0], [9.0, 4.0]]], [[1, 1], [0, 1], [1, 0]], 2)
    (array([[4., 5.]]), array([[0, 1]]))
    """
    t = _tables(tables)
    where = check_codes(codes, t.shape[1], t.shape[2])
    k = check_integer(k, "k", 1, len(where))
    if (t < 0).any():
        raise RangeError(f"tables has an entry {t.min()}; squared distances are not negative")
    where = np.ascontiguousarray(where)
    distances, indices = np.empty((len(t), k)), np.empty((len(t), k), np.int64)

    def search(first: int, last: int) -> None:
        for start in range(first, last, _LANES):
            part = slice(start, min(start + _LANES, last))
            distances[part], indices[part] = _side_by_side(t[part], where, k)

    shared_among_threads(search, len(t), t.shape[0] * where.size >= _WORTH_THREADS)
    return distances, indices


def _side_by_side(tables: Floats, codes: NDArray[Any], k: int) -> tuple[Floats, Integers]:
    """Return the k nearest of each query: integers leave a few, float64 sums decide."""
    whole, units = _rounded_down(tables)
    lanes = np.ascontiguousarray(whole.transpose(1, 2, 0))
    limits = lane_limits_kernel(lanes, codes, k).astype(np.int64) + units
    limits = np.minimum(limits, 2**31 - 1).astype(np.int32)
    nearest, rows, queries = np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64)
    step = max(_CODES, 4 * k)
    for start in range(0, len(codes), step):
        near, lane = lane_hits_kernel(lanes, codes[start : start + step], limits)
        rows, queries = np.append(rows, near + start), np.append(queries, lane)
        nearest = np.append(nearest, _exact(tables, codes, near + start, lane))
        order = np.lexsort((rows, nearest, queries))
        ranks = np.arange(order.size) - np.searchsorted(queries[order], queries[order])
        kept = order[ranks < k]
        nearest, rows, queries = nearest[kept], rows[kept], queries[kept]
    return nearest.reshape(-1, k), rows.reshape(-1, k)


def _exact(tables: Floats, codes: NDArray[Any], rows: Integers, queries: Integers) -> Floats:
    """Return what `sum_of_entries` does, for some vectors and queries only."""
    total = np.zeros(len(rows))
    for p in range(tables.shape[1]):
        total += tables[queries, p, codes[rows, p]]
    return total


def _tables(tables: ArrayLike) -> Floats:
    t = check_float_array(tables, "tables").astype(np.float64, copy=False)
    if t.ndim != 3:
        raise ShapeError(f"tables has shape {t.shape}; it needs (n_queries, n_positions, K)")
    return t
