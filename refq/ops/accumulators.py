"""Accumulators: how long a sum of products may be before int32 overflows.

Problem
-------
A sum of K products of codes is exact only while no partial sum leaves the accumulator.

Equation
--------
With ``p = max (a - za)(b - zb)`` and ``n = min (a - za)(b - zb)`` over all codes, K is safe while
``K p <= 2^(bits-1) - 1`` and ``K n >= -2^(bits-1)``.

Conventions
-----------
A format is a name, an `Integer`, or a pair (low, high). A difference of codes and a zero point of
the same format spans twice the range, unless the zero point is known. Tier T1: Python integers.

Examples
--------
>>> max_k("uint8", "int8"), max_k("uint8", "int8", b_zero_point=True)
(65793, 33025)
"""

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import MAX_ELEMENTS, check_integer, check_integer_array, normalize_axis
from ..core.errors import AccumulatorOverflow, DTypeError, RangeError
from ..formats import Format, Integer
from ..formats import get as get_format

__all__ = [
    "accumulator_bound",
    "check_accumulator",
    "check_weights",
    "code_range",
    "max_exact_k",
    "max_k",
]

Range = tuple[int, int]


def code_range(format: str | Format | Range) -> Range:
    """Return the inclusive range of a format's codes.

    Parameters
    ----------
    format : str, Format or (low, high)
        Of integers.

    Returns
    -------
    low, high : int
        Inclusive.

    Raises
    ------
    DTypeError
        If the format holds no integers.
    RangeError
        If the range is empty.

    Examples
    --------
    >>> code_range("uint4"), code_range((-127, 127))
    ((0, 15), (-127, 127))
    """
    if isinstance(format, tuple):
        low, high = (check_integer(v, "format") for v in format)
        if low > high:
            raise RangeError(f"format = {format} is an empty range; low must be <= high")
        return low, high
    found = get_format(format)
    if not isinstance(found, Integer):
        raise DTypeError(f"format = {found.name!r} does not hold integers; e.g. int8, uint4")
    return found.low, found.high


def _differences(format: str | Format | Range, zero_point: bool) -> Range:
    """Return the range of ``code - zero_point``, for any zero point among the codes."""
    low, high = code_range(format)
    return (low - high, high - low) if zero_point else (low, high)


def _products(a: Range, b: Range) -> Range:
    """Return the smallest and largest product, zero among them: an empty sum is zero."""
    corners = [x * y for x, y in product(a, b)]
    return min(0, *corners), max(0, *corners)


def _longest(products: Range, low: int, high: int) -> int:
    """Return the largest K such that K products stay within [low, high]."""
    smallest, largest = products
    up = high // largest if largest else MAX_ELEMENTS
    down = low // smallest if smallest else MAX_ELEMENTS
    return min(up, down, MAX_ELEMENTS)


def max_k(
    a_format: str | Format | Range,
    b_format: str | Format | Range,
    a_zero_point: bool = False,
    b_zero_point: bool = False,
    accumulator_bits: int = 32,
) -> int:
    """Return the largest K for which no sum of K products can leave the accumulator.

    Parameters
    ----------
    a_format, b_format : str, Format or (low, high)
        What the factors are.
    a_zero_point, b_zero_point : bool
        Whether a zero point, any of the format's codes, is subtracted.
    accumulator_bits : int
        Width of the signed accumulator, in [2, 64].

    Returns
    -------
    int
        Exact: K + 1 products can overflow. At most `refq.core.checks.MAX_ELEMENTS`.

    Raises
    ------
    DTypeError
        If a format holds no integers.

    Examples
    --------
    >>> max_k("int8", "int8"), max_k((-127, 127), (-127, 127)), max_k("int16", "int8")
    (131071, 133144, 511)
    """
    bits = check_integer(accumulator_bits, "accumulator_bits", 2, 64)
    products = _products(_differences(a_format, a_zero_point), _differences(b_format, b_zero_point))
    return _longest(products, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def max_exact_k(
    a_format: str | Format | Range,
    b_format: str | Format | Range,
    a_zero_point: bool = False,
    b_zero_point: bool = False,
    significand_bits: int = 24,
) -> int:
    """Return the largest K for which a float holds every sum of K products, in any order.

    Parameters
    ----------
    a_format, b_format : str, Format or (low, high)
        What the factors are.
    a_zero_point, b_zero_point : bool
        Whether a zero point, any of the format's codes, is subtracted.
    significand_bits : int
        24 for float32, 53 for float64, 11 for float16.

    Returns
    -------
    int
        The largest K such that every sum is at most ``2^significand_bits`` in magnitude.

    Raises
    ------
    DTypeError
        If a format holds no integers.

    Examples
    --------
    >>> max_exact_k("int8", "int8"), max_exact_k("int8", "int8", True, True)
    (1024, 258)
    """
    limit = 1 << check_integer(significand_bits, "significand_bits", 1, 64)
    products = _products(_differences(a_format, a_zero_point), _differences(b_format, b_zero_point))
    return _longest(products, -limit, limit)


def accumulator_bound(
    weights: ArrayLike,
    input_format: str | Format | Range,
    input_zero_point: int | None = None,
    weight_zero_point: ArrayLike = 0,
    *,
    axis: int = 0,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how low and how high each output's accumulator can get, from the actual weights.

    Parameters
    ----------
    weights : array_like of integers
        At most 16 bits.
    input_format : str, Format or (low, high)
        What the inputs are.
    input_zero_point : int or None
        Subtracted from the inputs; None means none.
    weight_zero_point : int or array_like of int
        Subtracted from the weights; one, or one per output.
    axis : int
        The outputs' axis of `weights`: 0 for (out, in, height, width), 1 for a matrix (in, out).

    Returns
    -------
    low, high : ndarray of int64, shape (outputs,)
        Every partial sum, in any order, lies within; each is reached by some input.

    Raises
    ------
    DTypeError
        If the weights are wider than 16 bits.

    Notes
    -----
    Tighter than `max_k`, which knows no weights: an int32 accumulator is safe if ``low >= -2^31``
    and ``high < 2^31``.

    Examples
    --------
    >>> low, high = accumulator_bound(np.int8([[1, -2], [3, 4]]), "uint8")
    >>> low.tolist(), high.tolist()
    ([-510, 0], [255, 1785])
    """
    w = check_integer_array(weights, "weights")
    if w.dtype.itemsize > 2:
        raise DTypeError(f"weights has dtype {w.dtype}; at most 16 bits: cast it first")
    smallest, largest = code_range(input_format)
    z = 0 if input_zero_point is None else check_integer(input_zero_point, "input_zero_point")
    axis = normalize_axis(axis, w.ndim)
    rows = np.moveaxis(w, axis, 0).reshape(w.shape[axis], -1).astype(np.int64)
    rows = rows - check_integer_array(weight_zero_point, "weight_zero_point").reshape(-1, 1)
    ends = rows * (smallest - z), rows * (largest - z)
    low = np.minimum(np.minimum(*ends), 0).sum(axis=1)
    return low, np.maximum(np.maximum(*ends), 0).sum(axis=1)


def _known_differences(dtype: np.dtype[Any], zero_point: NDArray[np.int64]) -> Range:
    """Return the range of ``code - zero_point`` for the zero points that are there."""
    info = np.iinfo(dtype)
    if zero_point.size == 0:
        return int(info.min), int(info.max)
    return int(info.min) - int(zero_point.max()), int(info.max) - int(zero_point.min())


def check_accumulator(
    k: int,
    a_dtype: np.dtype[Any],
    b_dtype: np.dtype[Any],
    a_zero_point: NDArray[np.int64],
    b_zero_point: NDArray[np.int64],
) -> None:
    """Refuse a sum of `k` products that could leave int32, whatever the codes are.

    Parameters
    ----------
    k : int
        How many products are added.
    a_dtype, b_dtype : dtype
        Of the factors.
    a_zero_point, b_zero_point : ndarray of int64
        The zero points that are subtracted.

    Raises
    ------
    AccumulatorOverflow
        With the value that can be reached and the safe K.

    Examples
    --------
    >>> zero = np.zeros((), np.int64)
    >>> check_accumulator(40000, np.dtype("i1"), np.dtype("i1"), zero, zero)
    >>> try:
    ...     check_accumulator(40000, np.dtype("u1"), np.dtype("u1"), zero, zero)
    ... except AccumulatorOverflow as error:
    ...     print(error)
    K=40000 of uint8*uint8 can reach 2601000000 > 2147483647; safe K <= 33025
    """
    a = _known_differences(a_dtype, a_zero_point)
    smallest, largest = _products(a, _known_differences(b_dtype, b_zero_point))
    low, high = -(1 << 31), (1 << 31) - 1
    safe = _longest((smallest, largest), low, high)
    if k > safe:
        over = k * largest > high
        reach = f"{k * largest} > {high}" if over else f"{k * smallest} < {low}"
        raise AccumulatorOverflow(
            f"K={k} of {a_dtype}*{b_dtype} can reach {reach}; safe K <= {safe}"
        )


def check_weights(
    weights: NDArray[Any],
    zero_point: NDArray[np.int64],
    a_dtype: np.dtype[Any],
    a_zero_point: NDArray[np.int64],
) -> None:
    """Refuse actual weights with which some codes `a` would leave int32.

    Parameters
    ----------
    weights : ndarray of integers, shape (..., k, n)
        Codes of at most 16 bits.
    zero_point : ndarray of int64
        Broadcasts against the weights.
    a_dtype : dtype
        Of the codes they are multiplied by.
    a_zero_point : ndarray of int64
        The zero points subtracted from those.

    Raises
    ------
    AccumulatorOverflow
        With the column and the value that it can reach.

    Examples
    --------
    >>> zero = np.zeros((), np.int64)
    >>> check_weights(np.ones((70000, 1), np.int8), zero, np.dtype("u1"), zero)
    >>> try:
    ...     check_weights(np.full((70000, 1), 127, np.int8), zero, np.dtype("u1"), zero)
    ... except AccumulatorOverflow as error:
    ...     print(error)
    column 0 of b, K=70000 actual weights, can reach 2266950000 > 2147483647 with a of uint8
    """
    low, high = _known_differences(a_dtype, a_zero_point)
    worst = _products((low, high), _known_differences(weights.dtype, zero_point))
    if weights.shape[-2] <= _longest(worst, -(1 << 31), (1 << 31) - 1):
        return  # no weights at all could: they need not be looked at
    w = weights.astype(np.int64) - zero_point
    least = np.minimum(np.minimum(w * low, w * high), 0).sum(axis=-2)
    most = np.maximum(np.maximum(w * low, w * high), 0).sum(axis=-2)
    limits = (-(1 << 31), (1 << 31) - 1)
    bad = (least < limits[0]) | (most > limits[1])
    if bad.any():
        index = np.unravel_index(int(np.argmax(bad)), bad.shape)
        over = most[index] > limits[1]
        reach = f"{most[index]} > {limits[1]}" if over else f"{least[index]} < {limits[0]}"
        raise AccumulatorOverflow(
            f"column {int(index[-1])} of b, K={w.shape[-2]} actual weights, can reach {reach} "
            f"with a of {a_dtype}"
        )
