"""Softmax in 32-bit fixed point: exponentials and a reciprocal without a float.

Problem
-------
An integer runtime has no exponential, and must divide by a sum.

Equation
--------
``e^x = e^-1/8 (1 + y + y^2/2 + y^3/6 + y^4/24)`` with ``y = x + 1/8`` for x in [-1/4, 0), times
``e^-2^k`` for each bit k of what lies below. ``1/(1 + a)`` by three steps of Newton's method on
``d = (1 + a)/2``, from ``48/17 - 32/17 d``.

Conventions
-----------
A number "of i integer bits" is an int32 that means itself times ``2^(i - 31)``; arrays hold them as
int64. A product is rounded by one rounding, ties up; a division by a power of two rounds ties away
from zero; both as in [1]_. Tier T1.

References
----------
.. [1] B. Jacob et al., "Quantization and Training of Neural Networks for Efficient
   Integer-Arithmetic-Only Inference", CVPR 2018, appendix A.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .fixed_point import divide_and_round, fixed_point_multiplier

__all__ = ["exponential", "fixed_point_softmax", "reciprocal_of_one_plus"]

INT32 = (-(1 << 31), (1 << 31) - 1)
#: e^(-2^k) in 31 fraction bits, k from -2 on
EXPONENTIALS = {k: round(math.exp(-(2.0**k)) * (1 << 31)) for k in range(-2, 5)}
EXP_ONE_EIGHTH = round(math.exp(-1 / 8) * (1 << 31))
ONE_THIRD = round((1 << 31) / 3)
#: integer bits: of the scaled differences, and of the sum of exponentials
DIFFERENCE_BITS, SUM_BITS = 5, 12


def _product(a: Any, b: Any) -> Any:
    return (a * b + (1 << 30)) >> 31


def _halved(x: Any, times: Any) -> Any:
    return divide_and_round(x, np.left_shift(np.int64(1), times), "half_away")


def _doubled(x: Any, times: int) -> Any:
    return np.clip(x << times, *INT32)


def exponential(x: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return ``e^x`` of numbers that are not positive.

    Parameters
    ----------
    x : ndarray of int64
        Of 5 integer bits, at most zero.

    Returns
    -------
    ndarray of int64
        Of no integer bits; 1 is 2^31 - 1.

    Examples
    --------
    >>> exponential(np.array([0, -1 << 26])) / 2**31
    array([1.        , 0.36787955])
    """
    quarter = 1 << (29 - DIFFERENCE_BITS)
    inside = (x & (quarter - 1)) - quarter
    y = _doubled(inside, DIFFERENCE_BITS) + (1 << 28)
    square = _product(y, y)
    cube, fourth = _product(square, y), _product(square, square)
    tail = _halved(_product(_halved(fourth, 2) + cube, ONE_THIRD) + square, 1)
    power = np.minimum(EXP_ONE_EIGHTH + _product(EXP_ONE_EIGHTH, y + tail), INT32[1])
    below = inside - x
    for k, factor in EXPONENTIALS.items():
        bit = 1 << (31 - DIFFERENCE_BITS + k)
        power = np.where(below & bit, _product(power, factor), power)
    return np.asarray(np.where(x == 0, INT32[1], power), np.int64)


def reciprocal_of_one_plus(a: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return ``1 / (1 + a)``.

    Parameters
    ----------
    a : ndarray of int64
        Of no integer bits, in [0, 1).

    Returns
    -------
    ndarray of int64
        Of no integer bits.

    Examples
    --------
    >>> reciprocal_of_one_plus(np.array([0, 1 << 30])) / 2**31
    array([1.        , 0.66666667])
    """
    half = (a + INT32[1] + 1) >> 1
    x = round(48 / 17 * (1 << 29)) + _product(half, round(-32 / 17 * (1 << 29)))
    for _ in range(3):
        x = x + _doubled(_product(x, (1 << 29) - _product(half, x)), 2)
    return np.asarray(_doubled(x, 1), np.int64)


def fixed_point_softmax(codes: NDArray[np.int64], scale: float, bits: int = 8) -> NDArray[np.int64]:
    """Return ``2^bits e^x / sum e^x`` over the last axis, for codes of one scale.

    Parameters
    ----------
    codes : ndarray of int64, shape (..., n)
        Of at most 16 bits.
    scale : float
        Of the codes.
    bits : int
        Of the result.

    Returns
    -------
    ndarray of int64
        Rounded, from 0 to ``2^bits``.

    Notes
    -----
    A code so far below its row's largest that its scaled difference leaves 5 integer bits counts as
    zero. Tier T1.

    Examples
    --------
    >>> fixed_point_softmax(np.array([[0, 0], [0, 16]]), 1 / 16)
    array([[128, 128],
           [ 69, 187]])
    """
    real = min(scale * (1 << (31 - DIFFERENCE_BITS)), (1 << 31) - 1.0)
    mantissa, shift = fixed_point_multiplier(real)
    left = 31 - shift
    deepest = -math.floor(((1 << DIFFERENCE_BITS) - 1) * 2.0 ** (31 - DIFFERENCE_BITS - left))
    difference = codes - codes.max(axis=-1, keepdims=True)
    counts = difference >= deepest
    scaled = _product(np.where(counts, difference, 0) << left, mantissa)
    power = np.where(counts, exponential(scaled), 0)
    total = _halved(power, SUM_BITS).sum(axis=-1, keepdims=True)
    headroom = 32 - np.frexp(total.astype(np.float64))[1].astype(np.int64)  # leading zeros of 32
    inverse = reciprocal_of_one_plus((total << headroom) - (1 << 31))
    return np.asarray(_halved(_product(inverse, power), SUM_BITS - headroom + 31 - bits))
