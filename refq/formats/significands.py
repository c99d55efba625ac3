"""Rounding to a few significant bits, exactly, in float64.

Problem
-------
A small float rounds a number of any size to M + 1 significant bits, once. What a cast from 64-bit
integers, a logarithm or ``x / 2^e`` rounds on the way is a second rounding.

Equation
--------
``|x| * 2^(M - floor(log2|x|))`` lies in [2^M, 2^(M + 1)) and is exact; it is rounded to an integer.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.rounding import round_to_integer

__all__ = ["codes_above_zero", "exact_float64"]


def exact_float64(a: NDArray[Any]) -> NDArray[np.float64]:
    """Widen to float64 so that a later rounding to 16 bits is the only one.

    Parameters
    ----------
    a : ndarray of float, int or bool
        Any shape.

    Returns
    -------
    ndarray of float64
        Same shape. Integers beyond 2^53 are no float64: their low 11 bits collapse into one sticky
        bit, which no format of 16 bits can tell from the bits themselves.

    Examples
    --------
    >>> exact_float64(np.array([2**62 + 1])) > 2.0**62
    array([ True])
    """
    if a.dtype.kind == "f" or a.dtype.itemsize < 8:
        with np.errstate(invalid="ignore"):  # signalling NaN
            return a.astype(np.float64)
    negative = a < 0
    with np.errstate(over="ignore"):  # two's complement: the wrapped negative is the magnitude
        magnitude = np.where(negative, -a.astype(np.uint64), a.astype(np.uint64))
    kept, lost = magnitude >> np.uint64(11), magnitude & np.uint64(2047)
    sticky = (kept | (lost != 0)) << np.uint64(11)
    wide = np.where(magnitude >> np.uint64(53) != 0, sticky, magnitude).astype(np.float64)
    return np.where(negative, -wide, wide)


def codes_above_zero(
    x: NDArray[np.float64],
    rounding: str | np.random.Generator,
    mantissa_bits: int,
    least: int,
) -> NDArray[np.float64]:
    """Return how many codes |x| lies above zero, when exponents have no upper limit.

    Parameters
    ----------
    x : ndarray of float64
        Finite.
    rounding : str or numpy.random.Generator
        As in `refq.core.rounding.round_to_integer`.
    mantissa_bits : int
        *M*: from 2^least up, each power of two holds 2^M codes.
    least : int
        The lowest exponent; below 2^least, codes are 2^(least - M) apart.

    Returns
    -------
    ndarray of float64
        Integral.

    Notes
    -----
    Exact; ties of half_even go to the even code. Tier T1.

    Examples
    --------
    >>> codes_above_zero(np.array([0.0, 1.0, 1.125, 2.0]), "half_even", 2, 0)
    array([0., 4., 4., 8.])
    """
    exponent = np.frexp(x)[1] - 1  # floor(log2|x|) from the exponent bits; zero has none
    exponent = np.where(x == 0, least, np.maximum(exponent, least))
    with np.errstate(under="ignore"):
        steps = np.ldexp(np.abs(x), mantissa_bits - exponent)  # exact: in [0, 2^(M + 1))
    # what underflows here is still above zero: a directed rounding must see it
    steps = np.where(x != 0, np.maximum(steps, 2.0**-1000), 0.0)
    base = (exponent - least) << mantissa_bits  # the codes below this power of two, less 2^M
    # without a mantissa the parity of a code is its exponent's: shift, exactly, by one
    odd = base & 1
    rounded = round_to_integer(np.copysign(steps - odd, x), rounding)
    return np.abs(rounded) + odd + base
