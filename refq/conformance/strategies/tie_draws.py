"""Near ties: numbers at which a quantizer must decide between two codes.

Problem
-------
Uniform random floats find nothing in 20,000 draws where a near tie finds a counterexample in the
first dozen. So the parameters of the counterexample are drawn, not the number.

Equation
--------
``x = scale * (k + tie / 2)``, moved by `ulps` units in the last place.

Conventions
-----------
Simple members come first in every list, so that shrinking ends at a line a student can check.
"""

from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from ...core.checks import check_choice, check_integer

__all__ = ["SCALES", "near_tie", "near_tie_arrays", "near_tie_grid", "near_ties"]

#: halves and doubles are exact, the others are not: 1/3 and 0.1 in float32
SCALES = (1.0, 0.5, 2.0, 1 / 3, 0.1, 0.9)


def near_tie(
    scale: float, k: int, tie: bool = True, ulps: int = 0, dtype: Any = np.float32
) -> np.floating[Any]:
    """Return a number at or beside a code, or the midpoint after it.

    Parameters
    ----------
    scale : float
        The step; it is rounded to `dtype` first.
    k : int
        The code.
    tie : bool
        Whether one half is added to the code.
    ulps : int
        How many floats to move, up if positive.
    dtype : dtype
        float32 or float64.

    Returns
    -------
    numpy.floating
        ``scale * (k + tie / 2)``, computed exactly, rounded once, moved.

    Raises
    ------
    RangeError
        If `k` or `ulps` is no integer, or the dtype is another.

    Examples
    --------
    >>> near_tie(0.5, 3), near_tie(1.0, 0, ulps=-1)
    (np.float32(1.75), np.float32(0.49999997))
    """
    kind = np.dtype(check_choice(np.dtype(dtype).name, "dtype", ["float32", "float64"])).type
    code, steps = check_integer(k, "k"), check_integer(ulps, "ulps")
    exact = Fraction(float(kind(scale))) * (Fraction(code) + Fraction(int(tie), 2))
    x = _rounded(exact, kind)
    for _ in range(abs(steps)):
        x = np.nextafter(x, kind(np.inf if steps > 0 else -np.inf))
    return x


def near_tie_grid(
    scale: float, low: int, high: int, ulps: tuple[int, ...] = (-2, -1, 0, 1, 2)
) -> NDArray[np.float32]:
    """Return every near tie of one float32 scale: all codes, their midpoints, some ulps around.

    Parameters
    ----------
    scale : float
        The step; rounded to float32 first.
    low, high : int
        The inclusive range of codes, at most 17 bits; the midpoints below and above belong to it.
    ulps : tuple of int
        How many floats to move.

    Returns
    -------
    ndarray of float32, shape (len(ulps) * (2 * (high - low) + 3),)
        ``scale * k / 2`` for k in ``[2 low - 1, 2 high + 1]``, rounded once, moved. Finite.

    Examples
    --------
    >>> near_tie_grid(1.0, 0, 1, ulps=(0,))
    array([-0.5,  0. ,  0.5,  1. ,  1.5], dtype=float32)
    """
    halves = np.arange(2 * low - 1, 2 * high + 2) / 2.0
    exact = np.float64(np.float32(scale)) * halves  # 24 + 18 bits: exact in float64
    return np.concatenate([_moved(exact.astype(np.float32), step) for step in ulps])


def _moved(x: NDArray[np.float32], ulps: int) -> NDArray[np.float32]:
    """Return the floats so many places up, or down if negative."""
    for _ in range(abs(ulps)):
        x = np.nextafter(x, np.float32(np.inf if ulps > 0 else -np.inf))
    return x


def _rounded(exact: Fraction, kind: Any) -> np.floating[Any]:
    """Return the nearest float of a Fraction; the product of two float32 is exact in float64."""
    return kind(float(exact))


def near_ties(
    scale: float | None = None, low: int = -9, high: int = 9, dtype: Any = np.float32
) -> st.SearchStrategy[np.floating[Any]]:
    """Draw near ties of one scale, or of any in `SCALES`.

    Parameters
    ----------
    scale : float or None
        The step; None draws it.
    low, high : int
        The range of codes.
    dtype : dtype
        float32 or float64.

    Returns
    -------
    hypothesis.strategies.SearchStrategy
        Of NumPy floats.

    Examples
    --------
    >>> near_ties().__class__.__name__
    'LazyStrategy'
    """
    scales = st.sampled_from(SCALES) if scale is None else st.just(scale)
    codes = st.integers(low, high)
    ulps = st.sampled_from([0, -1, 1, -2, 2])
    return st.builds(near_tie, scales, codes, st.booleans(), ulps, st.just(dtype))


@st.composite
def near_tie_arrays(
    draw: st.DrawFn,
    shape: tuple[int, ...] = (12, 16),
    bits: int = 8,
    dtype: Any = np.float32,
) -> NDArray[Any]:
    """Draw an array of near ties of one scale, whose largest magnitude is the outermost code.

    Parameters
    ----------
    draw : callable
        Given by hypothesis.
    shape : tuple of int
        The array's; at least one element.
    bits : int
        Width of the code; the outermost is ``2**(bits - 1) - 1``.
    dtype : dtype
        float32 or float64.

    Returns
    -------
    ndarray
        Up to six drawn numbers, repeated, the first element ``scale * outermost``: a symmetric
        quantizer over the whole array finds this very scale, where its storage can hold it.

    Examples
    --------
    >>> near_tie_arrays((2, 3)).__class__.__name__
    'LazyStrategy'
    """
    scale = draw(st.sampled_from(SCALES))
    outermost = (1 << (bits - 1)) - 1
    few = st.integers(1, 6).flatmap(
        lambda n: st.lists(
            near_ties(scale, 1 - outermost, outermost - 1, dtype), min_size=n, max_size=n
        )
    )
    values = draw(few)
    flat = np.resize(np.array(values, dtype), int(np.prod(shape)))
    flat[0] = near_tie(scale, outermost, tie=False, dtype=dtype)
    return flat.reshape(shape)
