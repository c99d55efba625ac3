"""From saliency to mask: how many to remove, and which.

Equation
--------
``n_pruned = floor(sparsity * size)``; the ``size - n_pruned`` entries of largest saliency are kept.

Conventions
-----------
A mask is True where an entry is kept. The product is exact: `sparsity` stands for the simplest
fraction nearby (denominator up to 10^9), so 0.9 of ten is nine, whatever the float 0.9 is. Among
equal saliencies the lowest index in C order is kept. Tier T1.
"""

from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import check_float_array, check_integer, check_real
from ..core.errors import RangeError, ShapeError

__all__ = ["count_pruned", "mask_at_least", "mask_of_largest"]


def count_pruned(sparsity: float, size: int) -> int:
    """Return ``floor(sparsity * size)`` in exact arithmetic.

    Parameters
    ----------
    sparsity : float
        The fraction to remove, in [0, 1).
    size : int
        How many there are, at least 1.

    Returns
    -------
    int
        In [0, size - 1]: one is always kept.

    Raises
    ------
    RangeError
        If an argument is outside, or `sparsity` cannot be told from 1.

    Examples
    --------
    >>> count_pruned(0.9, 10), count_pruned(1 / 3, 10), count_pruned(0.29, 100)
    (9, 3, 29)
    """
    check_real(sparsity, "sparsity", 0, 1, open_high=True)
    share = Fraction(float(sparsity)).limit_denominator(10**9)
    if share == 1:
        raise RangeError(f"sparsity = {sparsity!r} prunes everything; it must be less than 1")
    return int(share * check_integer(size, "size", 1))


def mask_of_largest(saliency: ArrayLike, n_keep: int) -> NDArray[np.bool_]:
    """Return the mask that keeps the entries of largest saliency.

    Parameters
    ----------
    saliency : array_like
        Finite numbers of any shape.
    n_keep : int
        How many to keep, in [0, size].

    Returns
    -------
    ndarray of bool
        Of the saliency's shape, with exactly `n_keep` ones; of equal saliencies the first in C
        order are kept.

    Raises
    ------
    RangeError
        If `n_keep` is outside, or a saliency is NaN or infinite.

    Notes
    -----
    No other mask with as many ones keeps a larger sum of saliency. O(size log size).

    Examples
    --------
    >>> mask_of_largest([1.0, 3.0, 3.0, 3.0], 2)
    array([False,  True,  True, False])
    """
    s = check_float_array(saliency, "saliency")
    check_integer(n_keep, "n_keep", 0, s.size)
    # a stable sort of the negatives: numpy's descending order would reverse the ties
    order = np.argsort(-s.reshape(-1), kind="stable")
    mask = np.zeros(s.size, bool)
    mask[order[:n_keep]] = True
    return mask.reshape(s.shape)


def mask_at_least(saliency: ArrayLike, threshold: float) -> NDArray[np.bool_]:
    """Return the mask that keeps every saliency of at least the threshold.

    Parameters
    ----------
    saliency : array_like
        Finite numbers of any shape.
    threshold : float
        A saliency strictly below it is pruned, one equal to it is kept; compared in float64.

    Returns
    -------
    ndarray of bool
        Of the saliency's shape.

    Raises
    ------
    RangeError
        If a number is NaN or infinite.
    ShapeError
        If nothing would be kept.

    Examples
    --------
    >>> mask_at_least([0.5, 1.0, 2.0], 1.0)
    array([False,  True,  True])
    """
    s = check_float_array(saliency, "saliency").astype(np.float64)
    mask = np.asarray(s >= check_real(threshold, "threshold"))
    if not mask.any():
        top = f"the largest is {s.max()}" if s.size else "there is none"
        raise ShapeError(f"threshold = {threshold!r} keeps no saliency: {top}")
    return mask
