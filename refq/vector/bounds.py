"""Nearest centers by bounds: what has not moved far enough is not searched again.

Problem
-------
After a few of Lloyd's iterations most points keep their center, yet the plain search compares each
with all K.

Equation
--------
Keep for every point an upper bound u on the distance to its center and a lower bound l on the
distance to every other. When the centers move by ``delta_k``, the bounds become
``u + delta_code`` and ``l - max_k delta_k``, by the triangle inequality. While ``u < l``, or while
u is less than half the distance from the point's center to the nearest other one, the code stands
[1]_.

Conventions
-----------
Every bound is rounded outwards, and the comparison is strict: a code that is kept is the only
nearest one in exact arithmetic, so the codes are those of the plain search, ties included.

References
----------
.. [1] G. Hamerly, "Making k-means even faster", SDM 2010.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..numerics import PointSearch, squared_distances
from .initialization import squared_distance_to

__all__ = ["BoundedSearch"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_OUT = 2.0**-50  #: more than the rounding of a square root, a sum and a product together
_MOST_CENTERS = 2048  #: beyond that, K^2 distances between centers are not worth their memory


def _outer(squared: Floats, d: int) -> Floats:
    """Return upper bounds on distances, from squared distances of d coordinates as computed."""
    return np.sqrt(squared * (1 + (d + 8) * 2.0**-52) + d * 2.0**-1070) * (1 + _OUT)


class BoundedSearch:
    """Points that are compared with centers that move little by little.

    Parameters
    ----------
    X : ndarray of float, shape (n, d)
        Points.

    Attributes
    ----------
    n_searched : int
        How many points had to be compared with every center, all calls together.

    Notes
    -----
    O(n) time a call, and O(K d) for each point that is searched again. Tier T1 for the codes.

    Examples
    --------
    >>> search = BoundedSearch(np.array([[0.0, 0.0], [4.0, 0.0]]))
    >>> search.codes(np.array([[1.0, 0.0], [5.0, 0.0]])), search.n_searched
    (array([0, 1]), 2)
    >>> search.codes(np.array([[0.5, 0.0], [5.0, 0.0]])), search.n_searched
    (array([0, 1]), 2)
    """

    def __init__(self, X: NDArray[Any]) -> None:
        self._search = PointSearch(X)
        self._centers: Floats | None = None
        self._codes = np.empty(0, np.int64)
        self._upper, self._lower = np.empty(0), np.empty(0)
        self.n_searched = 0

    def codes(self, centers: Floats) -> Integers:
        """Return every point's nearest center.

        Parameters
        ----------
        centers : ndarray of float64, shape (K, d)
            The same number of them at each call.

        Returns
        -------
        ndarray of int64, shape (n,)
            As `refq.numerics.nearest_codeword` gives them.
        """
        n, d = self._search.points.shape
        if d == 1:  # sorted centers are found faster than any bound
            return self._search.codes(centers)
        if self._centers is None:
            self._upper, self._lower = np.empty(n), np.empty(n)
            self._codes = np.empty(n, np.int64)
            todo = np.arange(n)
        else:
            todo = self._doubtful(self._centers, centers)
        if todo.size:
            self._renew(todo, centers)
        self._centers = centers.copy()
        return self._codes.copy()

    def _doubtful(self, before: Floats, centers: Floats) -> Integers:
        """Move the bounds with the centers, and return the points that they do not prove."""
        d = centers.shape[1]
        moved = _outer(squared_distance_to(centers, before), d)
        self._upper = (self._upper + moved[self._codes]) * (1 + _OUT)
        self._lower = np.maximum((self._lower - moved.max()) * (1 - _OUT), 0)
        floor = np.maximum(self._lower, _half_gaps(centers)[self._codes])
        todo = np.flatnonzero(self._upper >= floor)
        self._tighten(todo, centers)
        return todo[self._upper[todo] >= floor[todo]]

    def _tighten(self, rows: Integers, centers: Floats) -> None:
        x = self._search.points[rows]
        self._upper[rows] = _outer(
            squared_distance_to(x, centers[self._codes[rows]]), centers.shape[1]
        )

    def _renew(self, rows: Integers, centers: Floats) -> None:
        self.n_searched += rows.size
        self._codes[rows], others = self._search.codes_and_bounds(centers, rows)
        self._lower[rows] = np.sqrt(others) * (1 - _OUT)
        self._tighten(rows, centers)


def _half_gaps(centers: Floats) -> Floats:
    """Return for each center a lower bound on half its distance to the nearest other one."""
    K, d = centers.shape
    if not 1 < K <= _MOST_CENTERS:
        return np.zeros(K)
    gaps = squared_distances(centers, centers)
    np.fill_diagonal(gaps, np.inf)
    least = np.maximum(gaps.min(axis=1) * (1 - (d + 8) * 2.0**-52) - d * 2.0**-1070, 0)
    return np.sqrt(least) * (0.5 * (1 - _OUT))
