"""Centers that move: Lloyd's iteration, its weighted and spherical forms, and mini-batches.

Problem
-------
Given points ``x_1..x_n`` with weights ``w_i``, find K centers ``c_k`` that minimize the distortion
``sum_i w_i min_k |x_i - c_k|^2``.

Equation
--------
Lloyd's iteration [1]_: assign every point to its nearest center, move every center to the weighted
mean of its points, repeat. Neither step can raise the distortion.

*Spherical* [2]_: points and centers have length 1, so ``|x - c|^2 = 2 - 2 x.c`` and the nearest
center is the one of the greatest cosine; the best center of a cell is the direction of its sum. A
point of zeros has no direction and weighs nothing.

*Mini-batches* [3]_: each iteration assigns b points drawn with replacement, and moves a center to
the mean of all points that it has been given so far.

Conventions
-----------
Centers are float64. Assignments are exact (`refq.numerics.nearest`), the lowest index on a tie.

*Empty cells.* A center whose points weigh nothing moves to the point that adds most to the
distortion (without weights: the farthest one), the lowest index on a tie; several such centers move
one after another. Where every point already lies on a center they stay: K greater than the number
of different points leaves codewords unused.

References
----------
.. [1] S. P. Lloyd, "Least Squares Quantization in PCM", IEEE Trans. Inf. Theory 28(2), 1982.
.. [2] I. S. Dhillon and D. S. Modha, "Concept Decompositions for Large Sparse Text Data Using
   Clustering", Machine Learning 42, 2001.
.. [3] D. Sculley, "Web-Scale K-Means Clustering", WWW 2010.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import check_choice, check_integer, check_random_state, check_real
from ..core.errors import RangeError, ShapeError
from ..numerics import PointSearch, cell_moments, check_points, check_rows, nearest_codeword
from .bounds import BoundedSearch
from .initialization import check_weights, squared_distance_to

__all__ = [
    "ALGORITHMS",
    "directions",
    "inertia",
    "lloyd",
    "lloyd_step",
    "mini_batches",
    "weights_on_sphere",
]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

ALGORITHMS = ("lloyd", "hamerly")  #: how the nearest centers are found: all compared, or by bounds


def directions(X: NDArray[Any]) -> Floats:
    """Return every row divided by its length; a row of zeros stays.

    Parameters
    ----------
    X : ndarray of float, shape (n, d)
        Rows.

    Returns
    -------
    ndarray of float64, shape (n, d)
        Of length 1 within ``(d + 4) 2^-53``.

    Notes
    -----
    Rows are divided by a power of two first, so that no square leaves float64. Tier T1.

    Examples
    --------
    >>> directions(np.array([[3e300, 4e300], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    x = X.astype(np.float64)
    exponents = np.frexp(np.abs(x).max(axis=1, initial=0.0))[1]
    x = np.ldexp(x, -exponents[:, None])
    lengths = np.sqrt(squared_distance_to(x, np.zeros(x.shape[1])))
    return x / np.where(lengths > 0, lengths, 1.0)[:, None]


def inertia(
    X: NDArray[Any], centers: Floats, codes: Integers, sample_weight: Floats | None = None
) -> float:
    """Return the distortion: the sum of squared distances to the assigned centers.

    Parameters
    ----------
    X : ndarray of float, shape (n, d)
        Points.
    centers : ndarray of float64, shape (K, d)
        Centers.
    codes : ndarray of integers, shape (n,)
        Each point's center.
    sample_weight : ndarray of float64, shape (n,), or None
        Each point's weight; None weighs them 1.

    Returns
    -------
    float
        In the square of X's unit.

    Notes
    -----
    Within a factor ``1 +- (m + d + 4) 2^-53``, m being the size of the largest cell: a cell is
    added in the order of its points, and the sum of cells is rounded once. Tier T1.

    Examples
    --------
    >>> inertia(np.array([[0.0], [3.0]]), np.array([[1.0]]), np.array([0, 0]))
    5.0
    """
    return math.fsum(cell_moments(X, codes, centers, sample_weight)[2])


def lloyd_step(
    X: NDArray[Any], centers: Floats, codes: Integers, sample_weight: Floats | None = None
) -> Floats:
    """Move every center to the mean of its points, and empty ones to the farthest points.

    Parameters
    ----------
    X : ndarray of float, shape (n, d)
        Points.
    centers : ndarray of float64, shape (K, d)
        Centers.
    codes : ndarray of int64, shape (n,)
        Each point's nearest center.
    sample_weight : ndarray of float64, shape (n,), or None
        Each point's weight.

    Returns
    -------
    ndarray of float64, shape (K, d)
        The new ones.

    Notes
    -----
    O((n + K) d) time, O(n d) more for each empty cell. Tier T1.

    Examples
    --------
    >>> X = np.array([[0.0], [1.0], [6.0]])
    >>> lloyd_step(X, np.array([[0.0], [9.0]]), np.array([0, 0, 0])).ravel()
    array([2.33333333, 6.        ])
    """
    sums, totals, _ = cell_moments(X, codes, centers, sample_weight)
    return _moved(X, centers, codes, sample_weight, sums, totals, False)


def _moved(
    X: NDArray[Any],
    centers: Floats,
    codes: Integers,
    weights: Floats | None,
    sums: Floats,
    totals: Floats,
    spherical: bool,
) -> Floats:
    """Return the centers moved to the means, by the sums of their cells."""
    used = totals > 0
    with np.errstate(under="ignore"):
        means = sums / np.where(used, totals, 1.0)[:, None]
    if spherical:
        means = directions(means)
        stays = used & ~means.any(axis=1)  # points that cancel have no direction: any will do
        means[stays] = centers[stays]
    centers = np.where(used[:, None], means, centers)
    empty = np.flatnonzero(~used)
    if empty.size:
        share = np.ones(len(X)) if weights is None else weights
        distances = squared_distance_to(X, centers[codes]) * share
    for k in empty.tolist():
        farthest = int(np.argmax(distances))
        if distances[farthest] == 0:
            break
        centers[k] = X[farthest]
        distances = np.minimum(distances, squared_distance_to(X, centers[k]) * share)
    return centers


def lloyd(
    X: ArrayLike,
    centers: ArrayLike,
    max_iter: int = 100,
    tol: float = 0.0,
    sample_weight: ArrayLike | None = None,
    algorithm: str = "lloyd",
    spherical: bool = False,
) -> tuple[Floats, Integers, float, int]:
    """Iterate Lloyd's two steps until nothing changes.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Points, at least one.
    centers : array_like, shape (K, d)
        Where to start.
    max_iter : int
        The most iterations; 0 only assigns.
    tol : float
        Stop also when an iteration lowers the distortion by less than this fraction of it. At 0 it
        stops only when rounding raises the distortion.
    sample_weight : array_like or None, shape (n,)
        Each point's weight; None weighs them 1.
    algorithm : {"lloyd", "hamerly"}
        Compare every point with every center, or only where bounds leave a doubt
        (`refq.vector.bounds`). The result is the same, bit for bit.
    spherical : bool
        Points and centers are taken as directions, of length 1.

    Returns
    -------
    centers : ndarray of float64, shape (K, d)
        The last centers.
    codes : ndarray of int64, shape (n,)
        Each point's nearest one.
    inertia : float
        The distortion of these two.
    n_iter : int
        How many iterations were made.

    Raises
    ------
    ShapeError
        If the shapes do not fit or X is empty.
    RangeError
        If a weight is negative, or a parameter is not legal.

    Notes
    -----
    In exact arithmetic no iteration raises the distortion. A computed mean of m points errs by at
    most ``m 2^-53`` times their largest magnitude (and an ulp), which moves the distortion of the
    cell by m times its square. O(n K d) time an iteration (n log K for d = 1). Tier T1.

    Examples
    --------
    >>> centers, codes, distortion, n_iter = lloyd([[0.0], [1.0], [5.0]], [[0.0], [1.0]])
    >>> centers.ravel(), codes, distortion, n_iter
    (array([0.5, 5. ]), array([0, 0, 1]), 0.5, 2)
    """
    points, found, weights = _checked(X, centers, sample_weight, spherical)
    check_integer(max_iter, "max_iter", 0)
    check_real(tol, "tol", 0)
    check_choice(algorithm, "algorithm", ALGORITHMS)
    search = PointSearch(points) if algorithm == "lloyd" else BoundedSearch(points)
    codes = search.codes(found)
    sums, totals, cells = cell_moments(points, codes, found, weights)
    distortion, n_iter = math.fsum(cells), 0
    while n_iter < max_iter:
        n_iter += 1
        found = _moved(points, found, codes, weights, sums, totals, spherical)
        before, previous = codes, distortion
        codes = search.codes(found)
        sums, totals, cells = cell_moments(points, codes, found, weights)
        distortion = math.fsum(cells)
        # an empty cell that found a place has a point now, so it shows in the codes
        if np.array_equal(codes, before) or previous - distortion < tol * previous:
            break
    return found, codes, distortion, n_iter


def _checked(
    X: ArrayLike, centers: ArrayLike, sample_weight: ArrayLike | None, spherical: bool
) -> tuple[NDArray[Any], Floats, Floats | None]:
    """Return points, centers and weights; for the sphere all of length 1, or without weight."""
    points, found = check_rows(X), check_points(centers, "centers")
    if len(points) == 0:
        raise ShapeError(f"X has shape {points.shape}: nothing has no centers")
    weights = check_weights(sample_weight, len(points))
    if not spherical:
        return points, found, weights
    points, found = directions(points), directions(found)
    found[~found.any(axis=1), 0] = 1.0
    return points, found, weights_on_sphere(points, weights)


def weights_on_sphere(X: NDArray[Any], weights: Floats | None) -> Floats:
    """Return weights in which rows of zeros, which have no direction, weigh nothing.

    Parameters
    ----------
    X : ndarray of float, shape (n, d)
        Rows.
    weights : ndarray of float64, shape (n,), or None
        None weighs every row 1.

    Returns
    -------
    ndarray of float64, shape (n,)
        Not all zero.

    Raises
    ------
    RangeError
        If no row has both a direction and a weight.

    Examples
    --------
    >>> weights_on_sphere(np.array([[0.0], [2.0]]), None)
    array([0., 1.])
    """
    share = X.any(axis=1) * (1.0 if weights is None else weights)
    if not share.any():
        raise RangeError("X has no vector with a direction and a weight: all are zero")
    return np.asarray(share, np.float64)


def mini_batches(
    X: ArrayLike,
    centers: ArrayLike,
    batch_size: int,
    max_iter: int = 100,
    sample_weight: ArrayLike | None = None,
    spherical: bool = False,
    random_state: Any = None,
) -> Floats:
    """Move centers by batches of points drawn with replacement.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Points, at least one.
    centers : array_like, shape (K, d)
        Where to start.
    batch_size : int
        *b*, points an iteration.
    max_iter : int
        Iterations; all are made.
    sample_weight : array_like or None, shape (n,)
        Each point's weight; it weighs the mean, not the draw.
    spherical : bool
        Points and centers are taken as directions, of length 1.
    random_state : int, SeedSequence, Generator or None
        For the draws.

    Returns
    -------
    ndarray of float64, shape (K, d)
        The last centers. An empty cell stays where it is.

    Raises
    ------
    ShapeError
        If the shapes do not fit or X is empty.

    Notes
    -----
    A center is the mean of all points it was given since the start: the rate ``1 / count`` of
    [3]_, whole batches at a time. The distortion may rise. O(b K d) time an iteration. Tier T1 for
    a given generator state.

    References
    ----------
    D. Sculley, WWW 2010, algorithm 1.

    Examples
    --------
    >>> mini_batches([[0.0], [8.0]], [[1.0], [9.0]], 4, random_state=0).ravel()
    array([0., 8.])
    """
    points, found, weights = _checked(X, centers, sample_weight, spherical)
    check_integer(batch_size, "batch_size", 1)
    check_integer(max_iter, "max_iter", 0)
    rng = check_random_state(random_state)
    given, mass = np.zeros_like(found), np.zeros(len(found))
    for _ in range(max_iter):
        drawn = rng.integers(len(points), size=batch_size)
        part = points[drawn]
        codes = nearest_codeword(part, found)
        share = None if weights is None else weights[drawn]
        sums, totals, _ = cell_moments(part, codes, found, share)
        given += sums
        mass += totals
        used = mass > 0
        means = given / np.where(used, mass, 1.0)[:, None]
        if spherical:
            means = directions(means)
            used &= means.any(axis=1)
        found = np.where(used[:, None], means, found)
    return found
