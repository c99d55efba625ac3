"""Optimal levels: the K numbers of least squared error, proved.

Problem
-------
Which K levels code an array with the least squared error? K-means and Lloyd-Max stop at some local
optimum. On a line the optimum can be found, fast.

Equation
--------
``min over levels of sum_i h_i min_k (x_i - level_k)^2``. Optimal cells are intervals of the sorted
numbers, so this is the best partition into K intervals (`refq.numerics.line_partition`), and each
level is the mean of its cell.

Conventions
-----------
An array with at most K different numbers keeps each of them exactly: no level is invented, and
there are fewer than K. Everything else: `refq.scalar.learned_levels`.

References
----------
.. [1] X. Wu, "Optimal Quantization by Matrix Searching", Journal of Algorithms 12, 1991.
.. [2] A. Grønlund et al., "Fast Exact k-Means, k-Medians and Bregman Divergence Clustering in 1D",
   arXiv:1701.07204, 2017.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..encodings import Cast, Method
from ..encodings.legal import Legal, Of, Whole
from ..numerics import optimal_borders
from .learned_levels import WEIGHTS, LearnedLevels

__all__ = ["OptimalLevelQuantizer", "cell_means"]

Floats = NDArray[np.float64]

MAX_LEVELS = 1 << 16


def cell_means(x: Floats, w: Floats, borders: NDArray[np.int64]) -> Floats:
    """Return the weighted mean of each cell, within its numbers.

    Parameters
    ----------
    x, w : ndarray of float64, shape (n,)
        Ascending numbers and their weights.
    borders : ndarray of int64, shape (K + 1,)
        Cell k holds ``x[borders[k]:borders[k + 1]]``, at least one number.

    Returns
    -------
    ndarray of float64, shape (K,)
        Ascending.

    Notes
    -----
    Means are taken of the differences from the cell's first number, so that a narrow cell far from
    zero loses nothing. O(n) time. Tier T1.

    Examples
    --------
    >>> cell_means(np.array([1.0, 2.0, 9.0]), np.array([1.0, 3.0, 1.0]), np.array([0, 2, 3]))
    array([1.75, 9.  ])
    """
    starts = borders[:-1]
    first = np.repeat(x[starts], np.diff(borders))
    with np.errstate(under="ignore"):
        part = w / np.repeat(np.maximum.reduceat(w, starts), np.diff(borders))
        shift = np.add.reduceat(part * (x - first), starts) / np.add.reduceat(part, starts)
    return np.clip(x[starts] + shift, x[starts], x[borders[1:] - 1])


class OptimalLevelQuantizer(LearnedLevels):
    """The K levels of least squared error: exact k-means in one dimension.

    Parameters
    ----------
    n_levels : int
        *K*, in [1, 65536].
    weights : {"inputs", "gradients"}, ndarray or None
        How much each number matters; see `refq.scalar.learned_levels`.
    codebook_method : Method
        How the levels, of shape (1, n_levels, 1), are stored.

    Attributes
    ----------
    levels_ : ndarray, shape (n_levels,)
        The levels as they are stored; fewer where the array has fewer different numbers.
    inertia_ : float
        ``sum h (x - level)^2`` before the levels were stored: no K levels have less, within a
        factor ``1 + (4 K + 8) 2^-53`` and the rounding of this sum itself.

    Notes
    -----
    O(n log n) time, of which sorting is a part. ``stored_bits = n max(1, ceil(log2 K)) + bits of
    the levels``. Error bound: the distance to the nearest stored level. The optimum is that of the
    levels before storage: stored in float16 they are each off by up to half a unit in the last
    place. Tier T1.

    References
    ----------
    A. Grønlund et al., arXiv:1701.07204.

    Examples
    --------
    >>> q = OptimalLevelQuantizer(n_levels=2).fit([[0.0, 1.0, 5.0, 6.0, 7.0]])
    >>> q.levels_, q.inertia_
    (array([0.5, 6. ], dtype=float32), 2.5)
    """

    parameters: ClassVar[dict[str, Legal]] = {
        "n_levels": Whole(1, MAX_LEVELS),
        "weights": WEIGHTS,
        "codebook_method": Of(Method),
    }

    def __init__(
        self,
        n_levels: int = 16,
        weights: str | NDArray[Any] | None = None,
        codebook_method: Method = Cast("float16"),  # noqa: B008 (never changed: it is cloned)
    ) -> None:
        self.n_levels = n_levels
        self.weights = weights
        self.codebook_method = codebook_method

    @classmethod
    def examples(cls) -> list[Method]:
        """See `Method.examples`."""
        return [cls(), cls(5, codebook_method=Cast("float32")), cls(n_levels=1)]

    def _find_levels(self, x: Floats, w: Floats) -> Floats:
        borders = optimal_borders(x, min(self.n_levels, x.size), w)
        return cell_means(x, w, borders)
