"""The three searches for a scale that GGUF's K blocks are made by.

Problem
-------
A group of 16 or 32 numbers gets a scale, and for some types a minimum, that make the weighted
squared (or absolute) error small. Each search tries a few candidates; which of them wins depends on
the last bit of float32 sums, so every sum is made in the order of the elements.

Equation
--------
With codes l fixed, the weighted least squares scale is ``sum(w x l) / sum(w l l)``, and it lowers
the error by ``sum(w x l)^2 / sum(w l l)``: candidates are compared by this number. With a minimum
too, the two normal equations are solved.

Conventions
-----------
Groups are columns: x has shape (size, n_groups), so that all groups take each step together.

References
----------
ggml 0.25.3: ``make_qkx2_quants``, ``make_qx_quants``, ``make_q3_quants``.
"""

import numpy as np
from numpy.typing import NDArray

from .gguf_arithmetic import Floats, nearest_integer, ordered_sum, signed_extreme

__all__ = ["search_affine", "search_by_element", "search_symmetric"]

_F = np.float32
_EMPTY = _F(1e-15)  #: a group whose largest magnitude is below this counts as zeros

Codes = NDArray[np.int32]


def _nearest_codes(x: Floats, low: int, high: int) -> Codes:
    return np.clip(nearest_integer(x), np.int32(low), np.int32(high))


def search_affine(
    x: Floats, weights: Floats, top: int, start: float, step: float, n_steps: int, absolute: bool
) -> tuple[Codes, Floats, Floats]:
    """Search codes 0..top, a scale and a minimum of at most zero.

    Parameters
    ----------
    x : ndarray of float32, shape (size, n_groups)
        Numbers.
    weights : ndarray of float32, shape (size, n_groups)
        How much each error counts.
    top : int
        The largest code.
    start, step : float
        Candidate i spreads ``top + start + step * i`` steps over the range.
    n_steps : int
        The last candidate.
    absolute : bool
        Whether candidates are compared by absolute errors instead of squared ones.

    Returns
    -------
    codes : ndarray of int32, shape (size, n_groups)
        In [0, top].
    scale : ndarray of float32, shape (n_groups,)
        0 where all numbers are equal.
    minimum : ndarray of float32, shape (n_groups,)
        With its sign flipped: at least zero.

    Notes
    -----
    O(size * n_groups * n_steps).

    Examples
    --------
    >>> x = np.array([[-1.0], [0.0], [2.0]], np.float32)
    >>> codes, scale, minimum = search_affine(x, np.ones_like(x), 3, -0.5, 0.1, 15, True)
    >>> codes.ravel().tolist(), scale.tolist(), minimum.tolist()
    ([0, 1, 3], [1.0], [1.0])
    """
    with np.errstate(all="ignore"):
        return _search_affine(x, weights, top, (start, step, n_steps), absolute)


def _search_affine(
    x: Floats, w: Floats, top: int, steps: tuple[float, float, int], absolute: bool
) -> tuple[Codes, Floats, Floats]:
    low, high = np.minimum(x.min(axis=0), _F(0)), x.max(axis=0)
    flat = high == low
    # here the reference begins with the first term, not with zero
    sum_w, sum_x = ordered_sum(w, -0.0), ordered_sum(w * x, -0.0)
    inverse, minimum = _F(top) / (high - low), low
    scale = _F(1) / inverse
    codes = _nearest_codes(inverse * (x - low), 0, top)
    best = _error(x, w, codes, scale, minimum, absolute)
    start, step, n_steps = steps
    for i in range(n_steps + 1):
        # candidates are spread from the minimum that is best so far
        inverse = (_F(start) + _F(step) * _F(i) + _F(top)) / (high - minimum)
        tried = _nearest_codes(inverse * (x - minimum), 0, top)
        found = _least_squares(x, w, tried.astype(np.float32), sum_w, sum_x)
        error = _error(x, w, tried, found[1], found[2], absolute)
        better = (found[0] > 0) & (error < best)
        codes = np.where(better, tried, codes)
        best = np.where(better, error, best)
        scale = np.where(better, found[1], scale)
        minimum = np.where(better, found[2], minimum)
    codes = np.where(flat, np.int32(0), codes)
    return codes, np.where(flat, _F(0), scale), -np.where(flat, low, minimum)


def _least_squares(
    x: Floats, w: Floats, codes: Floats, sum_w: Floats, sum_x: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return the determinant, the scale and the minimum; a positive minimum becomes zero."""
    wl = w * codes
    sum_l, sum_l2, sum_xl = ordered_sum(wl), ordered_sum(wl * codes), ordered_sum(wl * x)
    determinant = sum_w * sum_l2 - sum_l * sum_l
    scale = (sum_w * sum_xl - sum_x * sum_l) / determinant
    minimum = (sum_l2 * sum_x - sum_l * sum_xl) / determinant
    above = minimum > 0
    return (
        determinant,
        np.where(above, sum_xl / sum_l2, scale),
        np.where(above, _F(0), minimum),
    )


def _error(
    x: Floats, w: Floats, codes: Codes, scale: Floats, minimum: Floats, absolute: bool
) -> Floats:
    difference = scale * codes.astype(np.float32) + minimum - x
    return ordered_sum(w * (np.abs(difference) if absolute else difference * difference))


def search_symmetric(x: Floats, half: int) -> tuple[Codes, Floats]:
    """Search codes 0..2 half - 1 around `half`, and a scale; errors count by the square of x.

    Parameters
    ----------
    x : ndarray of float32, shape (size, n_groups)
        Numbers.
    half : int
        The code of zero.

    Returns
    -------
    codes : ndarray of int32, shape (size, n_groups)
        0 throughout a group of zeros.
    scale : ndarray of float32, shape (n_groups,)
        Of either sign.

    Examples
    --------
    >>> codes, scale = search_symmetric(np.array([[1.0], [-2.0]], np.float32), 2)
    >>> codes.ravel().tolist(), scale.tolist()
    ([3, 0], [1.0])
    """
    with np.errstate(all="ignore"):
        return _search_symmetric(x, half)


def _search_symmetric(x: Floats, half: int) -> tuple[Codes, Floats]:
    extreme, magnitude = signed_extreme(x)
    w = x * x
    codes = _nearest_codes(_F(-half) / extreme * x, -half, half - 1)
    sum_lx, sum_l2 = _moments(x, w, codes)
    scale = np.where(sum_l2 != 0, sum_lx / sum_l2, _F(0))
    best = scale * sum_lx
    for i in [*range(-9, 0), *range(1, 10)]:
        tried = _nearest_codes(-(_F(half) + _F(0.1) * _F(i)) / extreme * x, -half, half - 1)
        sum_lx, sum_l2 = _moments(x, w, tried)
        better = (sum_l2 > 0) & (sum_lx * sum_lx > best * sum_l2)
        codes = np.where(better, tried, codes)
        scale = np.where(better, sum_lx / sum_l2, scale)
        best = np.where(better, scale * sum_lx, best)
    empty = magnitude < _EMPTY
    return np.where(empty, np.int32(0), codes + np.int32(half)), np.where(empty, _F(0), scale)


def _moments(x: Floats, w: Floats, codes: Codes) -> tuple[Floats, Floats]:
    """Return ``sum(w x l)`` and ``sum(w l l)``."""
    q = codes.astype(np.float32)
    return ordered_sum(w * x * q), ordered_sum(w * q * q)


def search_by_element(x: Floats, half: int) -> tuple[Codes, Floats]:
    """Search codes one element after the other, up to five rounds; else as `search_symmetric`.

    Parameters
    ----------
    x : ndarray of float32, shape (size, n_groups)
        Numbers.
    half : int
        The code of zero.

    Returns
    -------
    codes : ndarray of int32, shape (size, n_groups)
        0 throughout a group of zeros.
    scale : ndarray of float32, shape (n_groups,)
        Of either sign.

    Notes
    -----
    An element's code moves where that raises ``sum(w x l)^2 / sum(w l l)``.

    Examples
    --------
    >>> codes, scale = search_by_element(np.array([[1.0], [-2.0]], np.float32), 2)
    >>> codes.ravel().tolist(), scale.tolist()
    ([3, 0], [1.0])
    """
    with np.errstate(all="ignore"):
        return _search_by_element(x, half)


def _search_by_element(x: Floats, half: int) -> tuple[Codes, Floats]:
    extreme, magnitude = signed_extreme(x)
    w = x * x
    codes = _nearest_codes(_F(-half) / extreme * x, -half, half - 1)
    sums = _moments(x, w, codes)
    changed = magnitude >= _EMPTY
    for _ in range(5):
        moved = np.zeros_like(changed)
        for i in range(len(x)):
            codes[i], sums, better = _moved(x[i], w[i], codes[i], sums, half, changed)
            moved |= better
        changed = moved  # a group in which nothing moved is done
    scale = np.where(sums[1] > 0, sums[0] / sums[1], _F(0))
    empty = magnitude < _EMPTY
    return np.where(empty, np.int32(0), codes + np.int32(half)), np.where(empty, _F(0), scale)


def _moved(
    x: Floats,
    w: Floats,
    code: Codes,
    sums: tuple[Floats, Floats],
    half: int,
    active: NDArray[np.bool_],
) -> tuple[Codes, tuple[Floats, Floats], NDArray[np.bool_]]:
    """Return one element's code after a trial, the sums, and where it moved."""
    sum_lx, sum_l2 = sums
    q = code.astype(np.float32)
    without_lx: Floats = sum_lx - w * x * q
    without_l2: Floats = sum_l2 - w * q * q
    new = _nearest_codes(x * without_l2 / without_lx, -half, half - 1)
    r = new.astype(np.float32)
    with_lx, with_l2 = without_lx + w * x * r, without_l2 + w * r * r
    gain = with_lx * with_lx * sum_l2 > sum_lx * sum_lx * with_l2
    better = active & (without_lx > 0) & (new != code) & (with_l2 > 0) & gain
    sums = np.where(better, with_lx, sum_lx), np.where(better, with_l2, sum_l2)
    return np.where(better, new, code), sums, better
