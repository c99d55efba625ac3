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

from ..core.checks import (
    check_choice,
    check_float_array,
    check_integer,
    check_random_state,
    shown,
)
from ..core.errors import RangeError, ShapeError
from ..core.twins import kernel
from ..numerics import check_points, check_rows

__all__ = [
    "INITIALIZATIONS",
    "check_weights",
    "kmeans_plus_plus",
    "nearer",
    "squared_distance_to",
    "starting_centers",
]

INITIALIZATIONS = ("k-means++", "random", "linear", "density")  #: the named starts

Floats = NDArray[np.float64]


def check_weights(sample_weight: ArrayLike | None, n: int) -> Floats | None:
    """Return the points' weights, or None where all weigh the same.

    Parameters
    ----------
    sample_weight : array_like or None
        One finite number for each point, none negative, not all zero; of any shape.
    n : int
        How many points there are.

    Returns
    -------
    ndarray of float64, shape (n,), or None
        In C order.

    Raises
    ------
    ShapeError
        If there are more or fewer.
    RangeError
        Naming the first negative one.

    Examples
    --------
    >>> check_weights([[1, 2]], 2)
    array([1., 2.])
    """
    if sample_weight is None:
        return None
    given = check_float_array(sample_weight, "sample_weight")
    if given.size != n:
        raise ShapeError(f"sample_weight has {given.size} values; there are {n} points")
    if (given < 0).any():
        index = np.unravel_index(int(np.argmax(given < 0)), given.shape)
        raise RangeError(f"sample_weight{shown(index)} = {given[index]} must not be negative")
    if not given.any():
        raise RangeError("sample_weight is all zero: nothing is left to learn from")
    return given.reshape(-1).astype(np.float64)


def squared_distance_to(X: NDArray[Any], center: Floats) -> Floats:
    """Return each row's squared distance to one point, or to a point of its own.

    Parameters
    ----------
    X : ndarray of float32 or float64, shape (n, d)
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


def kmeans_plus_plus(
    X: ArrayLike,
    n_codewords: int,
    random_state: Any = None,
    sample_weight: ArrayLike | None = None,
) -> Floats:
    """Draw centers among the points, far ones more often.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Points.
    n_codewords : int
        K, at most n.
    random_state : int, SeedSequence, Generator or None
        Where the draws come from.
    sample_weight : array_like or None, shape (n,)
        Each point's weight: it is drawn by its weight times its squared distance.

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
    share = check_weights(sample_weight, len(points))
    centers = np.empty((K, points.shape[1]))
    distances = np.full(len(points), np.inf)
    for k in range(K):
        centers[k] = points[_draw(_weighed(distances, share), rng)]
        distances = nearer_kernel(points, centers[k], distances)
    return centers


def _weighed(distances: Floats, share: Floats | None) -> Floats:
    """Return what a point is drawn by; before the first center that is its weight alone."""
    if share is None:
        return distances
    return share * np.where(np.isfinite(distances), distances, 1.0)


def nearer(X: NDArray[Any], center: Floats, distances: Floats) -> Floats:
    """Return the lesser of given squared distances and those to one point: the definition.

    Parameters
    ----------
    X : ndarray of float32 or float64, shape (n, d)
        Points.
    center : ndarray of float64, shape (d,)
        The other end.
    distances : ndarray of float64, shape (n,)
        What there is.

    Returns
    -------
    ndarray of float64, shape (n,)
        A new array.

    Notes
    -----
    O(n d) time. Tier T1.

    Examples
    --------
    >>> nearer(np.array([[3.0], [5.0]]), np.array([0.0]), np.array([4.0, np.inf]))
    array([ 4., 25.])
    """
    return np.minimum(distances, squared_distance_to(X, center))


@kernel(nearer)
def nearer_kernel(X: NDArray[Any], center: Floats, distances: Floats) -> Floats:
    """Return what `nearer` does, in one pass."""
    n, d = X.shape
    least = np.empty(n)
    for i in range(n):
        total = 0.0
        for j in range(d):
            t = X[i, j] - center[j]
            total += t * t
        least[i] = min(distances[i], total)
    return least


def _draw(weights: Floats, rng: np.random.Generator) -> int:
    """Draw an index in proportion to its weight; evenly if weights are all zero or infinite."""
    total = np.cumsum(weights)
    if not 0 < total[-1] < np.inf:
        return int(rng.integers(len(weights)))
    index = int(np.searchsorted(total, rng.random() * total[-1], side="right"))
    # the product may round up to the total: then the last index that has a weight
    return min(index, int(np.flatnonzero(weights)[-1]))


def starting_centers(
    X: ArrayLike,
    n_codewords: int,
    init: str | NDArray[Any],
    random_state: Any = None,
    sample_weight: ArrayLike | None = None,
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
    sample_weight : array_like or None, shape (n,)
        Each point's weight; only "k-means++" looks at it.

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
        return kmeans_plus_plus(points, K, rng, sample_weight)
    if init == "random":
        return points[rng.choice(len(points), K, replace=False)].astype(np.float64)
    if points.shape[1] != 1:
        raise ShapeError(
            f"init = {init!r} orders numbers, but codewords have {points.shape[1]} values; "
            f"use codeword_size=1, 'k-means++' or 'random'"
        )
    if init == "linear":
        low, high = float(points.min()), float(points.max())
        return (low + (high - low) * (np.arange(K) / max(K - 1, 1)))[:, None]
    middles = (2 * np.arange(K) + 1) * len(points) // (2 * K)
    return np.sort(points, axis=0)[middles].astype(np.float64)


def _given(init: NDArray[Any], shape: tuple[int, int]) -> Floats:
    centers = check_points(init[:, None] if shape[1] == 1 and init.ndim == 1 else init, "init")
    if centers.shape != shape:
        raise ShapeError(f"init has shape {init.shape}; (n_codewords, codeword_size) is {shape}")
    return centers.copy()


def _checked(
    X: ArrayLike, n_codewords: int, random_state: Any
) -> tuple[NDArray[Any], int, np.random.Generator]:
    points = check_rows(X)
    K = check_integer(n_codewords, "n_codewords", 1)
    if len(points) < K:
        raise RangeError(f"n_codewords = {K} exceeds the {len(points)} points; choose fewer")
    return points, K, check_random_state(random_state)
