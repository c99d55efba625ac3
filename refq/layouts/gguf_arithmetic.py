"""The float32 steps of C code that GGUF's bytes depend on.

Problem
-------
The bytes of a GGUF block follow from float32 sums in a fixed order, from casts that C leaves
undefined out of range, and from a rounding by a magic number. Each step has one function here.

Conventions
-----------
Arrays are float32; every operation rounds to float32 once, as scalar C code without contraction
does. Where C leaves a result undefined, these functions do what x86-64 does.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.rounding import round_to_integer, saturate

__all__ = [
    "half_bits",
    "low_bits",
    "nearest_integer",
    "ordered_sum",
    "reciprocal",
    "rounded_away",
    "signed_extreme",
    "widen_half",
]

Floats = NDArray[np.float32]

_MAGIC = np.float32(12582912.0)  # 1.5 * 2**23: adding it leaves an integer in the low bits


def half_bits(x: Floats) -> NDArray[np.uint16]:
    """Return the float16 patterns of float32 numbers, half to even; every NaN becomes one.

    Parameters
    ----------
    x : ndarray of float32
        Any numbers; too large ones become infinite.

    Returns
    -------
    ndarray of uint16
        Same shape.

    Examples
    --------
    >>> [hex(v) for v in half_bits(np.array([1.0, -0.0, np.inf], np.float32))]
    ['0x3c00', '0x8000', '0x7c00']
    """
    with np.errstate(all="ignore"):
        bits = np.asarray(x.astype(np.float16)).view(np.uint16)
    quiet = np.where(np.signbit(x), np.uint16(0xFE00), np.uint16(0x7E00))
    return np.where(np.isnan(x), quiet, bits)


def widen_half(bits: NDArray[np.uint16]) -> Floats:
    """Return the float32 numbers of float16 patterns, exactly.

    Parameters
    ----------
    bits : ndarray of uint16
        Any patterns.

    Returns
    -------
    ndarray of float32
        Same shape.

    Examples
    --------
    >>> widen_half(np.array([0x3C00], np.uint16))
    array([1.], dtype=float32)
    """
    return bits.view(np.float16).astype(np.float32)


def reciprocal(d: Floats) -> Floats:
    """Return 1 / d in float32, and 0 for 0.

    Parameters
    ----------
    d : ndarray of float32
        Scales.

    Returns
    -------
    ndarray of float32
        Infinite where d is so small that its reciprocal overflows.

    Examples
    --------
    >>> reciprocal(np.array([4.0, -0.0], np.float32))
    array([0.25, 0.  ], dtype=float32)
    """
    with np.errstate(all="ignore"):
        return np.where(d != 0, np.float32(1) / d, np.float32(0))


def low_bits(x: Floats) -> NDArray[np.int32]:
    """Truncate to 32-bit integers; what does not fit, and NaN, becomes 0.

    Parameters
    ----------
    x : ndarray of float32
        Any numbers.

    Returns
    -------
    ndarray of int32
        The caller keeps the low 8 bits. C leaves the cast of a number out of range undefined;
        x86-64 gives -2^31, whose low bits are zeros.

    Examples
    --------
    >>> low_bits(np.array([2.9, -2.9, np.inf], np.float32))
    array([ 2, -2,  0], dtype=int32)
    """
    with np.errstate(invalid="ignore"):
        inside = np.abs(x) < np.float32(2.0**31)
    kept = np.trunc(np.where(inside, x, np.float32(0)))
    return np.asarray(saturate(kept, -(1 << 31), (1 << 31) - 1, np.int32))


def rounded_away(x: Floats) -> NDArray[np.int32]:
    """Round half away from zero, as C's roundf, then cast as `low_bits`.

    Parameters
    ----------
    x : ndarray of float32
        Any numbers.

    Returns
    -------
    ndarray of int32
        Same shape.

    Examples
    --------
    >>> rounded_away(np.array([0.5, -2.5, 0.49999997], np.float32))
    array([ 1, -3,  0], dtype=int32)
    """
    with np.errstate(invalid="ignore"):
        inside = np.abs(x) < np.float32(2.0**31)
    return low_bits(round_to_integer(np.where(inside, x, np.float32(0)), "half_away"))


def nearest_integer(x: Floats) -> NDArray[np.int32]:
    """Round half to even by adding 1.5 * 2^23 and reading the mantissa.

    Parameters
    ----------
    x : ndarray of float32
        Exact for magnitudes up to 2^22; beyond, the bits are what they are.

    Returns
    -------
    ndarray of int32
        In [-2^22, 2^22).

    Examples
    --------
    >>> nearest_integer(np.array([0.5, 1.5, -2.6], np.float32))
    array([ 0,  2, -3], dtype=int32)
    """
    with np.errstate(all="ignore"):
        bits = np.ascontiguousarray(x + _MAGIC).view(np.int32)
    return (bits & np.int32(0x007FFFFF)) - np.int32(0x00400000)


def ordered_sum(terms: Floats, zero: float = 0.0) -> Floats:
    """Add along the first axis, first to last, in float32.

    Parameters
    ----------
    terms : ndarray of float32, shape (n, ...)
        At least one.
    zero : float
        What the sum begins with; -0.0 changes no first term, +0.0 changes -0.0.

    Returns
    -------
    ndarray of float32, shape (...)
        Every partial sum is rounded.

    Examples
    --------
    >>> ordered_sum(np.array([[1e8], [1.0], [-1e8]], np.float32))
    array([0.], dtype=float32)
    """
    total: Floats = terms[0] + np.float32(zero)
    for term in terms[1:]:  # whole rows at a time; NumPy's own sums have another order
        total = total + term
    return total


def signed_extreme(x: Floats) -> tuple[Floats, Floats]:
    """Return the number of largest magnitude along the first axis, and the magnitude.

    Parameters
    ----------
    x : ndarray of float32, shape (n, ...)
        Finite; or NaN, which is passed over.

    Returns
    -------
    extreme : ndarray of float32, shape (...)
        The first of equal magnitudes, with its sign; +0 where all are zero.
    magnitude : ndarray of float32, shape (...)
        Its absolute value.

    Examples
    --------
    >>> extreme, magnitude = signed_extreme(np.array([[1.0], [-3.0], [3.0]], np.float32))
    >>> extreme.tolist(), magnitude.tolist()
    ([-3.0], [3.0])
    """
    size = np.where(np.isnan(x), np.float32(-1), np.abs(x))
    where: NDArray[Any] = np.argmax(size, axis=0)[None]
    top = np.take_along_axis(size, where, axis=0)[0]
    extreme = np.where(top > 0, np.take_along_axis(x, where, axis=0)[0], np.float32(0))
    return extreme, np.maximum(top, np.float32(0))
