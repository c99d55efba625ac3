"""Where k-means starts: first centers, by name.

Problem
-------
Lloyd's iteration ends in the nearest local optimum, so the start decides the result.

Equation
--------
k-means++ draws the next center with probability ``D(x)^2 / sum D^2``, where D(x) is the distance to
the nearest center so far; the expected distortion is then at most ``8 (ln K + 2)`` times the
optimum [1]_.

Conventions
-----------
Centers are float64, shape (K, d), with K at most the number of points. "random" draws K different
rows; "linear" spaces centers evenly from the minimum to the maximum, and "density" takes the
middles of K slices of equal mass; the three are the starts that [2]_ compares. The last two exist
on a line only.

References
----------
.. [1] D. Arthur and S. Vassilvitskii, "k-means++: The Advantages of Careful Seeding", SODA 2007,
   theorem 1.1.
.. [2] S. Han, H. Mao, W. J. Dally, "Deep Compression", arXiv:1510.00149, section 3.2.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import check_choice, check_integer, check_random_state
from ..core.errors import RangeError, ShapeError
from ..numerics import check_points

__all__ = ["INITIALIZATIONS", "kmeans_plus_plus", "squared_distance_to", "starting_centers"]

INITIALIZATIONS = ("k-means++", "random", "linear", "density")  #: the named starts

Floats = NDArray[np.float64]


def squared_distance_to(X: Floats, center: Floats) -> Floats:
    """Return each row's squared distance to one point, or to a point of its own.

    Parameters
    ----------
    X : ndarray of float64, shape (n, d)
        Points.
    center : ndarray of float64, shape (d,) or (n, d)
        The other end.

    Returns
    -------
    ndarray of float64, shape (n,)
        Coordinates added in their order.

    Notes
    -----
    Within a factor ``1 +- (d + 3) 2^-53`` and d 2^-1074. Tier T1: a running sum, since a plain
    sum's order is NumPy's own.

    Examples
    --------
    >>> squared_distance_to(np.array([[3.0, 4.0]]), np.zeros(2))
    array([25.])
    """
    t = X - center
    with np.errstate(under="ignore"):
        return np.cumsum(t * t, axis=1)[:, -1]


def kmeans_plus_plus(X: ArrayLike, n_codewords: int, random_state: Any = None) -> Floats:
    """Draw centers among the points, far ones more often.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Points.
    n_codewords : int
        K, at most n.
    random_state : int, SeedSequence, Generator or None
        Where the draws come from.

    Returns
    -------
    ndarray of float64, shape (K, d)
        Rows of X; different ones as long as X has some left, then repeated ones.

    Notes
    -----
    The plain algorithm: one draw a center, no trial draws. O(n K d) time. Tier T1 for a given
    generator state.

    References
    ----------
    D. Arthur and S. Vassilvitskii, SODA 2007, section 2.2.

    Examples
    --------
    >>> np.sort(kmeans_plus_plus([[0.0], [0.0], [5.0]], 2, 0), axis=0).ravel()
    array([0., 5.])
    """
    points, K, rng = _checked(X, n_codewords, random_state)
    centers = np.empty((K, points.shape[1]))
    distances = np.full(len(points), np.inf)
    for k in range(K):
        centers[k] = points[_draw(distances, rng)]
        distances = np.minimum(distances, squared_distance_to(points, centers[k]))
    return centers


def _draw(weights: Floats, rng: np.random.Generator) -> int:
    """Draw an index in proportion to its weight; evenly if weights are all zero or infinite."""
    total = np.cumsum(weights)
    if not 0 < total[-1] < np.inf:
        return int(rng.integers(len(weights)))
    index = int(np.searchsorted(total, rng.random() * total[-1], side="right"))
    # the product may round up to the total: then the last index that has a weight
    return min(index, int(np.flatnonzero(weights)[-1]))


def starting_centers(
    X: ArrayLike, n_codewords: int, init: str | NDArray[Any], random_state: Any = None
) -> Floats:
    """Return the first centers by the named rule, or the given ones.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Points.
    n_codewords : int
        K, at most n.
    init : str or ndarray of shape (K, d)
        One of `INITIALIZATIONS`, or the centers themselves (shape (K,) will do for d = 1).
    random_state : int, SeedSequence, Generator or None
        For "k-means++" and "random".

    Returns
    -------
    ndarray of float64, shape (K, d)
        A new array.

    Raises
    ------
    RangeError
        If K exceeds the number of points or the name is unknown.
    ShapeError
        If given centers have another shape, or "linear" and "density" meet vectors.

    Notes
    -----
    Tier T1 for a given generator state.

    Examples
    --------
    >>> starting_centers([[0.0], [1.0], [1.5], [4.0]], 2, "linear").ravel()
    array([0., 4.])
    >>> starting_centers([[0.0], [1.0], [1.5], [4.0]], 2, "density").ravel()
    array([1., 4.])
    """
    points, K, rng = _checked(X, n_codewords, random_state)
    if isinstance(init, np.ndarray):
        return _given(init, (K, points.shape[1]))
    check_choice(init, "init", INITIALIZATIONS)
    if init == "k-means++":
        return kmeans_plus_plus(points, K, rng)
    if init == "random":
        return points[rng.choice(len(points), K, replace=False)]
    if points.shape[1] != 1:
        raise ShapeError(
            f"init = {init!r} orders numbers, but codewords have {points.shape[1]} values; "
            f"use codeword_size=1, 'k-means++' or 'random'"
        )
    if init == "linear":
        low, high = points.min(), points.max()
        return (low + (high - low) * (np.arange(K) / max(K - 1, 1)))[:, None]
    middles = (2 * np.arange(K) + 1) * len(points) // (2 * K)
    return np.sort(points, axis=0)[middles]


def _given(init: NDArray[Any], shape: tuple[int, int]) -> Floats:
    centers = check_points(init[:, None] if shape[1] == 1 and init.ndim == 1 else init, "init")
    if centers.shape != shape:
        raise ShapeError(f"init has shape {init.shape}; (n_codewords, codeword_size) is {shape}")
    return centers.copy()


def _checked(
    X: ArrayLike, n_codewords: int, random_state: Any
) -> tuple[Floats, int, np.random.Generator]:
    points = check_points(X)
    K = check_integer(n_codewords, "n_codewords", 1)
    if len(points) < K:
        raise RangeError(f"n_codewords = {K} exceeds the {len(points)} points; choose fewer")
    return points, K, check_random_state(random_state)
