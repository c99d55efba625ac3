"""Fixed point: multiplying integers by a real number, in integers only.

Problem
-------
An integer network must multiply its accumulators by a real number, and has no float to do it with.

Equation
--------
``M ~ mantissa * 2^-shift`` with ``2^30 <= mantissa < 2^31``, so that for an int32 `a`
``round(a * M) ~ (a * mantissa) / 2^shift``, and the product fits int64: ``|a * mantissa| < 2^62``.

Conventions
-----------
`shift` counts bits to the right. One rounding is at most 1/2 away from ``a * mantissa * 2^-shift``;
the mantissa itself is off by at most ``2^-31`` of M. Two roundings [1]_ first round to
``2^(31 - shift)`` of a unit, then to the unit: at most ``1/2 + 2^(30 - shift)`` away. Tier T1.

References
----------
.. [1] B. Jacob et al., "Quantization and Training of Neural Networks for Efficient
   Integer-Arithmetic-Only Inference", CVPR 2018, section 2.2.
"""

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import check_choice, shown
from .errors import RangeError

__all__ = [
    "INTEGER_ROUNDINGS",
    "as_fractions",
    "divide_and_round",
    "fixed_point_multiplier",
    "multiply_rounding_once",
    "multiply_rounding_twice",
]

INTEGER_ROUNDINGS = ("half_even", "half_away", "half_up")  #: how a quotient of integers may round
LARGEST_SHIFT = 62  #: beyond it, every product of an int32 and a mantissa is below one half


def divide_and_round(
    numerator: NDArray[Any], denominator: Any, rounding: str = "half_even"
) -> NDArray[Any]:
    """Divide integers and round to the nearest integer, without a float.

    Parameters
    ----------
    numerator : ndarray of integers, or of Python integers (dtype object)
        Any shape.
    denominator : int or ndarray
        Positive; broadcasts.
    rounding : {"half_even", "half_away", "half_up"}
        Where a tie goes.

    Returns
    -------
    ndarray
        Of the numerator's dtype.

    Raises
    ------
    RangeError
        If the rounding is unknown.

    Notes
    -----
    ``n = q d + r`` with ``0 <= r < d``: up if ``r > d - r``, and on ``r == d - r`` as the rule says
    (``2 r`` could leave int64).

    Examples
    --------
    >>> n = np.array([-5, -3, 3, 5])
    >>> for rounding in INTEGER_ROUNDINGS:
    ...     print(divide_and_round(n, 2, rounding), rounding)
    [-2 -2  2  2] half_even
    [-3 -2  2  3] half_away
    [-2 -1  2  3] half_up
    """
    check_choice(rounding, "rounding", INTEGER_ROUNDINGS)
    quotient = numerator // denominator
    rest = numerator - quotient * denominator
    missing = denominator - rest
    if rounding == "half_even":
        tie_up = quotient % 2 == 1
    elif rounding == "half_away":
        tie_up = quotient >= 0
    else:
        tie_up = np.True_
    up = (rest > missing) | ((rest == missing) & tie_up)
    return quotient + up


def as_fractions(values: Any, name: str = "multiplier") -> NDArray[Any]:
    """Return positive real numbers as exact fractions.

    Parameters
    ----------
    values : Fraction, float, int, or array_like of them
        Finite and positive.
    name : str
        How messages call them.

    Returns
    -------
    ndarray of Fraction
        Same shape, dtype object.

    Raises
    ------
    RangeError
        Naming the first value that is not finite and positive.

    Examples
    --------
    >>> as_fractions(np.float32(0.5))[()]
    Fraction(1, 2)
    """
    given: NDArray[Any] = np.asarray(values)
    if given.dtype != object:
        given = given.astype(object)  # Python numbers, exact
    out: NDArray[Any] = np.empty(given.shape, dtype=object)
    for index in np.ndindex(given.shape):
        value: Any = given[index]
        try:
            exact = Fraction(value)
        except (TypeError, ValueError, OverflowError):  # not a number, NaN, infinity
            exact = Fraction(0)
        if exact <= 0:
            where = shown(index) if index else ""
            raise RangeError(f"{name}{where} = {value} must be finite and > 0")
        out[index] = exact
    return out


def _mantissa_and_shift(real: Fraction) -> tuple[int, int]:
    exponent = real.numerator.bit_length() - real.denominator.bit_length()
    if real < Fraction(2) ** exponent:
        exponent -= 1  # now 2^exponent <= real < 2^(exponent + 1)
    shift = 30 - exponent
    mantissa = int(real * Fraction(2) ** shift + Fraction(1, 2))  # half away: it is positive
    if mantissa < 1 << 31:
        return mantissa, shift
    if shift == 1:  # just below 2^30, where the next mantissa would need shift 0
        return mantissa - 1, shift
    return mantissa // 2, shift - 1


def fixed_point_multiplier(real: Any) -> tuple[Any, Any]:
    """Return the mantissa and the shift of positive real numbers: ``M ~ mantissa * 2^-shift``.

    Parameters
    ----------
    real : Fraction, float, int, or array_like of them
        Each in (0, 2^30); computed exactly, nothing passes through float.

    Returns
    -------
    mantissa : int, or ndarray of int32
        In [2^30, 2^31): M's first 31 bits, a tie rounded up.
    shift : int, or ndarray of int32
        At least 1.

    Raises
    ------
    RangeError
        If a number is not finite, not positive, or 2^30 and more.

    Notes
    -----
    ``|mantissa * 2^-shift - M| <= 2^-31 M``.

    Examples
    --------
    >>> fixed_point_multiplier(0.75)
    (1610612736, 31)
    >>> fixed_point_multiplier([0.5, 1.0])
    (array([1073741824, 1073741824], dtype=int32), array([31, 30], dtype=int32))
    """
    fractions = as_fractions(real, "real")
    mantissa = np.empty(fractions.shape, np.int32)
    shift = np.empty(fractions.shape, np.int32)
    for index in np.ndindex(fractions.shape):
        value: Any = fractions[index]
        m, s = _mantissa_and_shift(value)
        if s < 1:
            where = shown(index) if index else ""
            raise RangeError(f"real{where} = {float(value)} must be below 2^30")
        mantissa[index], shift[index] = m, min(s, 1 << 20)
    if fractions.ndim == 0:
        return int(mantissa[()]), int(shift[()])
    return mantissa, shift


def multiply_rounding_once(
    accumulator: NDArray[Any], mantissa: ArrayLike, shift: ArrayLike, rounding: str = "half_up"
) -> NDArray[np.int64]:
    """Return ``accumulator * mantissa / 2^shift``, rounded once.

    Parameters
    ----------
    accumulator : ndarray of integers
        Values of int32.
    mantissa, shift : array_like of int
        As from `fixed_point_multiplier`; broadcast.
    rounding : {"half_even", "half_away", "half_up"}
        "half_up" is one addition and one arithmetic shift.

    Returns
    -------
    ndarray of int64
        At most 1/2 from the exact product, whatever the rule for ties.

    Notes
    -----
    The product is below 2^62 in magnitude, the addition of one half below 2^63: nothing overflows.
    Tier T1.

    Examples
    --------
    >>> multiply_rounding_once(np.array([-5, 5, 6]), 1 << 30, 31)
    array([-2,  3,  3])
    """
    right = np.asarray(shift, np.int64)
    product = accumulator.astype(np.int64) * np.asarray(mantissa, np.int64)
    unit = np.left_shift(np.int64(1), np.minimum(right, LARGEST_SHIFT))
    rounded = divide_and_round(product, unit, rounding)
    return np.where(right > LARGEST_SHIFT, np.int64(0), rounded)


def multiply_rounding_twice(
    accumulator: NDArray[Any], mantissa: ArrayLike, shift: ArrayLike, rounding: str = "half_away"
) -> NDArray[np.int64]:
    """Return ``accumulator * mantissa / 2^shift`` as gemmlowp does, rounded twice.

    Parameters
    ----------
    accumulator : ndarray of integers
        Values of int32; where ``shift < 31``, ``accumulator * 2^(31 - shift)`` must be one too.
    mantissa, shift : array_like of int
        As from `fixed_point_multiplier`; broadcast.
    rounding : {"half_even", "half_away", "half_up"}
        Where a tie of the second rounding goes: gemmlowp's away from zero, a vector
        instruction's that shifts and rounds up.

    Returns
    -------
    ndarray of int64
        At most ``1/2 + 2^(30 - shift)`` from the exact product (1/2 where ``shift <= 31``).

    Notes
    -----
    First the saturating, rounding, doubling high multiplication: the product over 2^31, a tie
    rounded up (its nudge for negative products is one short, and C truncates). It would saturate
    only where both factors are -2^31, and a mantissa is positive. Then the rounding division by a
    power of two. Tier T1.

    Examples
    --------
    >>> multiply_rounding_twice(np.array([-5, 5, 6]), 1 << 30, 31)
    array([-2,  3,  3])
    >>> multiply_rounding_twice(np.array([-10, 10, 12]), 1 << 30, 32)
    array([-3,  3,  3])
    """
    check_choice(rounding, "rounding", INTEGER_ROUNDINGS)
    exponent = 31 - np.asarray(shift, np.int64)
    left, right = np.maximum(exponent, 0), np.maximum(-exponent, 0)
    product = (accumulator.astype(np.int64) << left) * np.asarray(mantissa, np.int64)
    nudged = product + np.where(product >= 0, np.int64(1 << 30), np.int64(1 - (1 << 30)))
    high = np.where(nudged >= 0, nudged >> 31, -(-nudged >> 31))  # C's division: toward zero
    unit = np.left_shift(np.int64(1), np.minimum(right, LARGEST_SHIFT))
    rounded = divide_and_round(high, unit, rounding)
    return np.where(right > LARGEST_SHIFT, np.int64(0), rounded)
