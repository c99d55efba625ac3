"""Sums over cells: what Lloyd's iteration needs to know of every cluster.

Equation
--------
Of the points that have code k: ``sum w x``, ``sum w``, ``sum w |x - c_k|^2``.

Conventions
-----------
Everything is float64 and added in the order of the points, so that the result is the same on every
machine and for every number of threads.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.twins import kernel

__all__ = ["cell_moments"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def _moments(
    X: NDArray[Any], weights: Floats, codes: Integers, centers: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return each cell's weighted sum, its weight and its distortion: the definition.

    Parameters
    ----------
    X : ndarray of float32 or float64, shape (n, d)
        Points.
    weights : ndarray of float64, shape (n,)
        Not negative.
    codes : ndarray of int64, shape (n,)
        In [0, K).
    centers : ndarray of float64, shape (K, d)
        What distances are measured from.

    Returns
    -------
    sums : ndarray of float64, shape (K, d)
        ``sum w x``.
    totals : ndarray of float64, shape (K,)
        ``sum w``.
    distortions : ndarray of float64, shape (K,)
        ``sum w |x - c|^2``, coordinates added in their order.

    Notes
    -----
    O((n + K) d) time. Tier T1.
    """
    x = X.astype(np.float64)
    K, d = centers.shape
    sums = np.zeros((K, d))
    distances = np.zeros(len(x))
    with np.errstate(under="ignore"):
        for j in range(d):
            sums[:, j] = np.bincount(codes, weights * x[:, j], minlength=K)
            t = x[:, j] - centers[codes, j]
            distances += t * t
        totals = np.bincount(codes, weights, minlength=K).astype(np.float64)  # int where n is 0
        distortions = np.bincount(codes, weights * distances, minlength=K).astype(np.float64)
    return sums, totals, distortions


@kernel(_moments)
def _moments_kernel(
    X: NDArray[Any], weights: Floats, codes: Integers, centers: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return what `_moments` does, in one pass."""
    n, d = X.shape
    n_codes = centers.shape[0]
    sums = np.zeros((n_codes, d))
    totals, distortions = np.zeros(n_codes), np.zeros(n_codes)
    for i in range(n):
        k, w = codes[i], weights[i]
        distance = 0.0
        for j in range(d):
            x = np.float64(X[i, j])
            sums[k, j] += w * x
            t = x - centers[k, j]
            distance += t * t
        totals[k] += w
        distortions[k] += w * distance
    return sums, totals, distortions


def cell_moments(
    X: NDArray[Any], codes: Integers, centers: Floats, weights: Floats | None = None
) -> tuple[Floats, Floats, Floats]:
    """Return each cell's weighted sum, its weight and its distortion.

    Parameters
    ----------
    X : ndarray of float32 or float64, shape (n, d)
        Points, checked by `refq.numerics.check_rows`.
    codes : ndarray of int64, shape (n,)
        Each point's cell, in [0, K).
    centers : ndarray of float64, shape (K, d)
        What distances are measured from.
    weights : ndarray of float64, shape (n,), or None
        None weighs every point 1.

    Returns
    -------
    sums : ndarray of float64, shape (K, d)
        Zero for a cell without points.
    totals : ndarray of float64, shape (K,)
        The number of points, if nothing else weighs them.
    distortions : ndarray of float64, shape (K,)
        Each cell's sum of squared distances.

    Notes
    -----
    A sum of m terms is within ``(m - 1) 2^-53`` times the sum of their magnitudes, to first order.
    O((n + K) d) time. Tier T1.

    Examples
    --------
    >>> X, codes = np.array([[1.0], [2.0], [4.0]]), np.array([0, 1, 0])
    >>> sums, totals, distortions = cell_moments(X, codes, np.array([[2.0], [2.0]]))
    >>> sums.ravel(), totals, distortions
    (array([5., 2.]), array([2., 1.]), array([5., 0.]))
    """
    w = np.ones(len(X)) if weights is None else weights
    return _moments_kernel(X, w, codes, centers)
