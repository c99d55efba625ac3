"""Lloyd-Max: levels at the means of their cells, cell borders half-way between levels.

Problem
-------
Choose K levels for numbers of a known or sampled distribution so that the squared error is small.

Equation
--------
Two conditions that an optimum fulfils: a border is the midpoint of its levels, ``t_k = (l_k +
l_(k+1)) / 2``, and a level is the mean of its cell, ``l_k = E[x | t_(k-1) < x <= t_k]``. Lloyd's
iteration [1]_ makes one true, then the other; neither step raises the distortion. For the normal
density Max [2]_ solved both at once and printed the levels.

Conventions
-----------
A number at a midpoint belongs to the lower level. A level whose cell is empty stays where it is,
so K levels may be more than the data can use. Starts: "uniform" takes the middles of K equal slices
between the extremes, "quantile" the middles of K slices of equal importance, an array is taken as
it is, sorted.

References
----------
.. [1] S. P. Lloyd, "Least Squares Quantization in PCM", IEEE Trans. Inf. Theory 28(2), 1982.
.. [2] J. Max, "Quantizing for Minimum Distortion", IRE Trans. Inf. Theory 6(1), 1960, equations 4
   and 5, table I.
"""

import math
from itertools import pairwise
from statistics import NormalDist
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..core.checks import check_float_array, check_integer
from ..core.errors import ShapeError
from ..encodings import Cast, Method
from ..encodings.legal import AnyOf, Choice, Legal, Of, Real, Whole
from ..numerics import nearest_codeword
from .learned_levels import WEIGHTS, LearnedLevels, level_distortion

__all__ = ["LloydMaxQuantizer", "lloyd_max_step", "normal_levels", "starting_levels"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

STARTS = ("uniform", "quantile")  #: the named starts


def starting_levels(
    x: Floats, w: Floats, n_levels: int, init: str | NDArray[Any] = "quantile"
) -> Floats:
    """Return where the iteration starts.

    Parameters
    ----------
    x, w : ndarray of float64, shape (n,)
        Ascending numbers and their importances.
    n_levels : int
        *K*.
    init : str or ndarray
        "uniform", "quantile", or the levels themselves, shape (n_levels,).

    Returns
    -------
    ndarray of float64, shape (n_levels,)
        Not descending.

    Raises
    ------
    ShapeError
        If an array of levels has another shape.

    Examples
    --------
    >>> starting_levels(np.array([0.0, 1.0, 8.0]), np.ones(3), 2, "uniform")
    array([2., 6.])
    """
    if not isinstance(init, str):
        levels = check_float_array(init, "init").astype(np.float64)
        if levels.shape != (n_levels,):
            raise ShapeError(f"init has shape {levels.shape}; n_levels = {n_levels} needs one each")
        return np.sort(levels)
    middles = (np.arange(n_levels) + 0.5) / n_levels
    if init == "uniform":
        return x[0] * (1 - middles) + x[-1] * middles
    mass = np.cumsum(w / w.max())
    return x[np.searchsorted(mass, middles * mass[-1])]


def lloyd_max_step(x: Floats, w: Floats, levels: Floats, codes: Integers) -> Floats:
    """Move every level to the mean of its cell; a level with an empty cell stays.

    Parameters
    ----------
    x, w : ndarray of float64, shape (n,)
        Numbers and their importances.
    levels : ndarray of float64, shape (K,)
        Where the levels are.
    codes : ndarray of int64, shape (n,)
        The nearest level of each number.

    Returns
    -------
    ndarray of float64, shape (K,)
        The new ones.

    Notes
    -----
    Means are taken of the differences from the old level: the rounding shrinks with the cell. O(n).
    Tier T1.

    References
    ----------
    S. P. Lloyd, 1982: the centroid condition.

    Examples
    --------
    >>> lloyd_max_step(np.array([0.0, 1.0]), np.ones(2), np.array([0.0, 9.0]), np.array([0, 0]))
    array([0.5, 9. ])
    """
    with np.errstate(under="ignore"):
        total = np.bincount(codes, w, minlength=len(levels))
        moved = np.bincount(codes, w * (x - levels[codes]), minlength=len(levels))
        return levels + np.where(total > 0, moved / np.where(total > 0, total, 1.0), 0.0)


def _density(t: Floats) -> Floats:
    return np.exp(-0.5 * t * t) / math.sqrt(2 * math.pi)


def _normal_cells(levels: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the inner borders of the cells, and every cell's probability and mean."""
    t = (levels[:-1] + levels[1:]) / 2
    ends = [-math.inf, *t.tolist(), math.inf]
    root = math.sqrt(0.5)
    chance = np.array(
        [
            # both ends on the side of the tail: no difference of numbers near one
            (math.erfc(a * root) - math.erfc(b * root)) / 2
            if a >= 0
            else (math.erfc(-b * root) - math.erfc(-a * root)) / 2
            for a, b in pairwise(ends)
        ]
    )
    height = np.concatenate([[0.0], _density(t), [0.0]])
    return t, chance, (height[:-1] - height[1:]) / chance


def normal_levels(n_levels: int) -> Floats:
    """Return the levels of least mean squared error for the standard normal density.

    Parameters
    ----------
    n_levels : int
        *K*, in [1, 256].

    Returns
    -------
    ndarray of float64, shape (n_levels,)
        Ascending, symmetric around zero.

    Notes
    -----
    Newton's method on ``l_k = mean of cell k``, started at quantiles of a normal of three times
    the variance, where high-resolution theory puts them. The density is log-concave, so the
    solution is the only one. About 2^-40 exact. O(K^3) time. Tier T2.

    References
    ----------
    J. Max, 1960, table I.

    Examples
    --------
    >>> normal_levels(4).round(4)
    array([-1.5104, -0.4528,  0.4528,  1.5104])
    """
    check_integer(n_levels, "n_levels", 1, 256)
    wide = NormalDist(0.0, math.sqrt(3.0))
    levels = np.array([wide.inv_cdf((k + 0.5) / n_levels) for k in range(n_levels)])
    for step in range(40):
        t, chance, mean = _normal_cells(levels)
        above = np.append(_density(t) * (t - mean[:-1]) / chance[:-1] / 2, 0.0)
        below = np.append(0.0, _density(t) * (mean[1:] - t) / chance[1:] / 2)
        slope = np.eye(n_levels) - np.diag(above + below)
        slope -= np.diag(above[:-1], 1) + np.diag(below[1:], -1)
        change = mean - levels if step < 4 else np.linalg.solve(slope, mean - levels)
        levels = levels + change
        levels = (levels - levels[::-1]) / 2
        if np.max(np.abs(change)) < 2.0**-44:
            break
    return levels


class LloydMaxQuantizer(LearnedLevels):
    """Levels by Lloyd's iteration.

    Parameters
    ----------
    n_levels : int
        *K*, in [1, 65536].
    init : {"quantile", "uniform"} or ndarray
        The start, or the first levels, shape (n_levels,).
    max_iter : int
        The most iterations; 0 keeps the start.
    tol : float
        Stop when an iteration lowers the distortion by less than this fraction; 0 stops when no
        code changes.
    weights : {"inputs", "gradients"}, ndarray or None
        How much each number matters; see `refq.scalar.learned_levels`.
    codebook_method : Method
        How the levels, of shape (1, n_levels, 1), are stored.

    Attributes
    ----------
    levels_ : ndarray, shape (n_levels,)
        The levels as they are stored.
    inertia_ : float
        ``sum h (x - level)^2`` before the levels were stored.
    n_iter_ : int
        Iterations made.

    Notes
    -----
    O(max_iter n log K) time. A local optimum: `OptimalLevelQuantizer` gives the least error there
    is. ``stored_bits = n max(1, ceil(log2 K)) + bits of the levels``. Error bound: the distance to
    the nearest stored level. Tier T1.

    References
    ----------
    S. P. Lloyd, 1982; J. Max, 1960.

    Examples
    --------
    >>> q = LloydMaxQuantizer(2, init=np.array([0.0, 1.0])).fit([[0.0, 1.0, 5.0, 6.0, 7.0]])
    >>> q.levels_, q.n_iter_
    (array([0.5, 6. ], dtype=float32), 2)
    """

    parameters: ClassVar[dict[str, Legal]] = {
        "n_levels": Whole(1, 1 << 16),
        "init": AnyOf(Choice(*STARTS), Of(np.ndarray)),
        "max_iter": Whole(0),
        "tol": Real(0.0, 1.0),
        "weights": WEIGHTS,
        "codebook_method": Of(Method),
    }
    n_iter_: int

    def __init__(
        self,
        n_levels: int = 16,
        init: str | NDArray[Any] = "quantile",
        max_iter: int = 200,
        tol: float = 0.0,
        weights: str | NDArray[Any] | None = None,
        codebook_method: Method = Cast("float16"),  # noqa: B008 (never changed: it is cloned)
    ) -> None:
        self.n_levels = n_levels
        self.init = init
        self.max_iter = max_iter
        self.tol = tol
        self.weights = weights
        self.codebook_method = codebook_method

    @classmethod
    def examples(cls) -> list[Method]:
        """See `Method.examples`."""
        return [cls(), cls(5, "uniform", codebook_method=Cast("float32")), cls(4, max_iter=2)]

    def _find_levels(self, x: Floats, w: Floats) -> Floats:
        levels = starting_levels(x, w, self.n_levels, self.init)
        codes = nearest_codeword(x[:, None], levels[:, None])
        distortion, self.n_iter_ = level_distortion(x, w, levels, codes), 0
        while self.n_iter_ < self.max_iter:
            self.n_iter_ += 1
            levels = np.sort(lloyd_max_step(x, w, levels, codes))
            before, previous = codes, distortion
            codes = nearest_codeword(x[:, None], levels[:, None])
            distortion = level_distortion(x, w, levels, codes)
            if np.array_equal(codes, before) or previous - distortion < self.tol * previous:
                break
        return levels
