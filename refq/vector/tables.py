"""Distances to coded vectors, without decoding them.

Equation
--------
``|q - decode(codes)|^2 = sum_p table[p, codes[p]]`` with ``table[p, k] = |q_p - c_pk|^2``, where
``q_p`` is the p-th piece of the query and ``c_pk`` codeword k of the book of that position. The
query itself is not coded: the distance is *asymmetric*.

References
----------
.. [1] H. Jégou, M. Douze, C. Schmid, "Product Quantization for Nearest Neighbor Search", IEEE TPAMI
   33(1), 2011, section III: asymmetric distance computation.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import check_float_array, check_integer_array
from ..core.errors import RangeError, ShapeError
from ..numerics import check_points, squared_distances

__all__ = ["check_codes", "distance_tables", "pieces", "sum_of_entries"]

Floats = NDArray[np.float64]


def pieces(X: ArrayLike, n_features: int | None, codeword_size: int) -> Floats:
    """Cut rows into pieces of one codeword's size.

    Parameters
    ----------
    X : array_like, shape (n, n_features)
        Finite numbers.
    n_features : int or None
        What the length must be; None allows every multiple of `codeword_size`.
    codeword_size : int
        d.

    Returns
    -------
    ndarray of float64, shape (n, n_features // d, d)
        In the order of the row.

    Raises
    ------
    ShapeError
        If the length does not fit.
    RangeError
        If an element is not finite or beyond `refq.numerics.nearest.LIMIT`.

    Examples
    --------
    >>> pieces([[1, 2, 3, 4]], None, 2).tolist()
    [[[1.0, 2.0], [3.0, 4.0]]]
    """
    a = check_points(X)
    if n_features is not None and a.shape[1] != n_features:
        raise ShapeError(f"X has {a.shape[1]} columns; the codebook was fitted to {n_features}")
    if a.shape[1] % codeword_size:
        raise ShapeError(
            f"X has {a.shape[1]} columns, no multiple of codeword_size = {codeword_size}"
        )
    return a.reshape(len(a), a.shape[1] // codeword_size, codeword_size)


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
    bad = np.argwhere((a < 0) | (a >= n_codewords))
    if len(bad):
        i, j = bad[0]
        raise RangeError(f"codes[{i}, {j}] = {a[i, j]} must be in 0..{n_codewords - 1}")
    return a


def distance_tables(queries: Floats, books: NDArray[Any]) -> Floats:
    """Return the squared distance of every piece of every query to every codeword.

    Parameters
    ----------
    queries : ndarray of float64, shape (n, n_positions, d)
        Cut queries, as `pieces` gives them.
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
        tables[:, p] = squared_distances(queries[:, p], book)
    return tables


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
    t = check_float_array(tables, "tables").astype(np.float64)
    if t.ndim != 3:
        raise ShapeError(f"tables has shape {t.shape}; it needs (n_queries, n_positions, K)")
    where = check_codes(codes, t.shape[1], t.shape[2])
    total = np.zeros((len(t), len(where)))
    for p in range(t.shape[1]):
        total += t[:, p, where[:, p]]
    return total
