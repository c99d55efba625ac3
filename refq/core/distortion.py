"""Distortion: how far a decoded array is from the original.

Conventions
-----------
Everything is computed in float64. `x` is the original, `y` what came back; decibels are
``10 log10`` of a ratio of powers. Tier T3: sums are NumPy's pairwise sums.

References
----------
.. [1] R. M. Gray and D. L. Neuhoff, "Quantization", IEEE Trans. Inf. Theory 44(6), 1998.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import check_array
from .errors import ShapeError

__all__ = ["cosine_similarity", "max_error", "mean_squared_error", "relative_error", "sqnr_db"]


def _pair(x: ArrayLike, y: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    a = check_array(x, "x").astype(np.float64)
    b = check_array(y, "y").astype(np.float64)
    if a.shape != b.shape:
        raise ShapeError(f"x has shape {a.shape}, y has shape {b.shape}; they must be equal")
    if a.size == 0:
        raise ShapeError(f"x has shape {a.shape}: the distortion of nothing is not defined")
    return a, b


def mean_squared_error(x: ArrayLike, y: ArrayLike) -> float:
    """Return the mean of ``(x - y)^2``.

    Parameters
    ----------
    x, y : array_like
        Of equal shape, not empty.

    Returns
    -------
    float
        In the square of x's unit.

    Raises
    ------
    ShapeError
        If shapes differ or are empty.

    Examples
    --------
    >>> mean_squared_error([0, 0], [1, 1])
    1.0
    """
    a, b = _pair(x, y)
    return float(np.mean((a - b) ** 2))


def max_error(x: ArrayLike, y: ArrayLike) -> float:
    """Return the largest ``|x - y|``.

    Parameters
    ----------
    x, y : array_like
        Of equal shape, not empty.

    Returns
    -------
    float
        In x's unit.

    Raises
    ------
    ShapeError
        If shapes differ or are empty.

    Examples
    --------
    >>> max_error([0, 0], [1, -3])
    3.0
    """
    a, b = _pair(x, y)
    return float(np.max(np.abs(a - b)))


def relative_error(x: ArrayLike, y: ArrayLike) -> float:
    """Return ``norm(x - y) / norm(x)``; 0 for 0 / 0, infinity for an original of zero.

    Parameters
    ----------
    x, y : array_like
        Of equal shape, not empty.

    Returns
    -------
    float
        A fraction.

    Raises
    ------
    ShapeError
        If shapes differ or are empty.

    Examples
    --------
    >>> relative_error([3, 4], [0, 0])
    1.0
    """
    a, b = _pair(x, y)
    noise, signal = float(np.linalg.norm(a - b)), float(np.linalg.norm(a))
    return noise / signal if signal else (math.inf if noise else 0.0)


def sqnr_db(x: ArrayLike, y: ArrayLike) -> float:
    """Return the signal to quantization noise ratio, ``10 log10(sum x^2 / sum (x - y)^2)``.

    Parameters
    ----------
    x, y : array_like
        Of equal shape, not empty.

    Returns
    -------
    float
        Decibels; infinity when nothing was lost, minus infinity when `x` is all zero and `y` not.

    Raises
    ------
    ShapeError
        If shapes differ or are empty.

    Examples
    --------
    >>> round(sqnr_db([1.0, 1.0], [0.9, 1.1]), 3)
    20.0
    """
    ratio = relative_error(x, y)
    if ratio == 0:
        return math.inf
    return -math.inf if math.isinf(ratio) else -20 * math.log10(ratio)


def cosine_similarity(x: ArrayLike, y: ArrayLike) -> float:
    """Return ``<x, y> / (|x| |y|)`` over all elements; NaN where one of them is zero.

    Parameters
    ----------
    x, y : array_like
        Of equal shape, not empty.

    Returns
    -------
    float
        In [-1, 1] up to rounding.

    Raises
    ------
    ShapeError
        If shapes differ or are empty.

    Examples
    --------
    >>> cosine_similarity([1, 0], [1, 1])
    0.7071067811865475
    """
    a, b = _pair(x, y)
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.vdot(a, b)) / norms if norms else math.nan
