"""Products of signs and of bits: one exclusive or and a count of ones for 64 of them.

Problem
-------
A dot product of n numbers in {-1, +1} needs no multiplication: it is the number of agreements less
the number of disagreements.

Equation
--------
With a bit for every sign, 1 for +1: ``s . t = n - 2 popcount(b xor c)``. With numbers in {0, 1}:
``b . c = popcount(b and c)``. They are one another: ``s . t = 4 b . c - 2 sum b - 2 sum c + n``.

Conventions
-----------
`pack_signs` lays 64 signs into one uint64, the first in the lowest bit; what is left over in the
last word is zero, which agrees with itself. Rows lie along the last axis. Results are int32, exact;
rows longer than 2^31 - 1 are refused. Tier T1.

References
----------
.. [1] M. Rastegari et al., "XNOR-Net: ImageNet Classification Using Binary Convolutional Neural
   Networks", ECCV 2016, arXiv:1603.05279.
.. [2] H. S. Warren, "Hacker's Delight", 2nd ed., Addison-Wesley 2013, section 5-1: counting bits.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import check_array, check_integer, shown
from ..core.errors import AccumulatorOverflow, DTypeError, RangeError, ShapeError
from ..core.twins import kernel, subroutine

__all__ = ["bit_products", "pack_signs", "sign_products", "unpack_signs"]

Words = NDArray[np.uint64]

LANES = 64  #: signs in a word


def pack_signs(x: ArrayLike, zero: str = "error") -> Words:
    """Lay the signs along the last axis into words of 64.

    Parameters
    ----------
    x : array_like, shape (..., n)
        Numbers whose sign counts; of booleans and bits, True and 1 are +1 and 0 is -1 under
        ``zero="minus"``.
    zero : {"error", "plus", "minus"}
        What zero becomes.

    Returns
    -------
    ndarray of uint64, shape (..., ceil(n / 64))
        The first sign in the lowest bit, 1 for +1.

    Raises
    ------
    RangeError
        Naming the first NaN, or zero if it is an error.
    ShapeError
        If `x` has no axis.

    Examples
    --------
    >>> pack_signs([[1.0, -2.0, 3.0]])
    array([[5]], dtype=uint64)
    """
    a = check_array(x)
    if a.ndim == 0:
        raise ShapeError("x has shape (); signs lie along an axis")
    if zero not in ("error", "plus", "minus"):
        raise RangeError(f"zero = {zero!r} must be one of 'error', 'plus', 'minus'")
    bad = np.isnan(a) if a.dtype.kind == "f" else np.zeros(a.shape, bool)
    if zero == "error":
        bad = bad | (a == 0)
    if bad.any():
        index = np.unravel_index(int(np.argmax(bad)), a.shape)
        raise RangeError(f"x{shown(index)} = {a[index]} has no sign; see zero=")
    plus = np.asarray(a >= 0 if zero == "plus" else a > 0)
    n_words = -(-a.shape[-1] // LANES)
    padded = np.zeros((*a.shape[:-1], n_words * LANES), np.uint8)
    padded[..., : a.shape[-1]] = plus
    octets = np.packbits(padded, axis=-1, bitorder="little")
    return octets.view(np.dtype("<u8")).astype(np.uint64, copy=False)


def unpack_signs(words: ArrayLike, n: int) -> NDArray[np.int8]:
    """Return the signs again.

    Parameters
    ----------
    words : array_like of uint64, shape (..., ceil(n / 64))
        As `pack_signs` gives them.
    n : int
        How many signs a row has.

    Returns
    -------
    ndarray of int8, shape (..., n)
        -1 and +1.

    Raises
    ------
    ShapeError
        If the words are not so many.

    Examples
    --------
    >>> unpack_signs(pack_signs([[1.0, -2.0, 3.0]]), 3)
    array([[ 1, -1,  1]], dtype=int8)
    """
    w = _check_words(words, n, "words")
    octets = np.ascontiguousarray(w).astype(np.dtype("<u8")).view(np.uint8)
    bits = np.unpackbits(octets, axis=-1, bitorder="little")[..., :n]
    return (2 * bits.astype(np.int8) - 1).astype(np.int8)


def _ones(a: Words, b: Words, differ: bool) -> NDArray[np.int32]:
    """Count the ones of ``a xor b``, or of ``a and b``, for all pairs of rows."""
    both = a[:, None, :] ^ b[None, :, :] if differ else a[:, None, :] & b[None, :, :]
    bits = np.unpackbits(np.ascontiguousarray(both).view(np.uint8), axis=-1)
    return np.asarray(bits.sum(axis=-1, dtype=np.int32))


@subroutine
def _popcount(v: Any) -> Any:
    """Return the number of ones in a word: sums of pairs, of fours, of eights, then all eight."""
    v = v - ((v >> np.uint64(1)) & np.uint64(0x5555555555555555))
    v = (v & np.uint64(0x3333333333333333)) + ((v >> np.uint64(2)) & np.uint64(0x3333333333333333))
    v = (v + (v >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    v = v + (v >> np.uint64(8))
    v = v + (v >> np.uint64(16))
    v = v + (v >> np.uint64(32))
    return v & np.uint64(0x7F)


@kernel(_ones)
def _ones_kernel(a: Words, b: Words, differ: bool) -> NDArray[np.int32]:
    """Count row by row."""
    m, n = a.shape[0], b.shape[0]
    found = np.zeros((m, n), np.int32)
    for i in range(m):
        for j in range(n):
            s = np.uint64(0)
            if differ:
                for k in range(a.shape[1]):
                    s += _popcount(a[i, k] ^ b[j, k])
            else:
                for k in range(a.shape[1]):
                    s += _popcount(a[i, k] & b[j, k])
            found[i, j] = np.int32(s)
    return found


def _check_words(words: ArrayLike, n: int, name: str) -> Words:
    check_integer(n, "n", 0)
    if n > 2**31 - 1:
        raise AccumulatorOverflow(f"n = {n} signs may sum to more than 2147483647; split the rows")
    w = check_array(words, name)
    if w.dtype != np.uint64:
        raise DTypeError(f"{name} has dtype {w.dtype}; words are uint64, see pack_signs")
    if w.ndim == 0 or w.shape[-1] != -(-n // LANES):
        raise ShapeError(f"{name} has shape {w.shape}; {n} signs need {-(-n // LANES)} words a row")
    return w


def _check_pair(a: ArrayLike, b: ArrayLike, n: int) -> tuple[Words, Words]:
    first, second = _check_words(a, n, "a"), _check_words(b, n, "b")
    if first.ndim != 2 or second.ndim != 2:
        raise ShapeError(f"a has shape {first.shape}, b {second.shape}; two axes each are needed")
    return np.ascontiguousarray(first), np.ascontiguousarray(second)


def sign_products(a: ArrayLike, b: ArrayLike, n: int) -> NDArray[np.int32]:
    """Return the dot products of rows of signs.

    Parameters
    ----------
    a : array_like of uint64, shape (m, ceil(n / 64))
        Packed rows, from `pack_signs`.
    b : array_like of uint64, shape (k, ceil(n / 64))
        Packed rows; a matrix product takes the columns of its right side.
    n : int
        How many signs a row has.

    Returns
    -------
    ndarray of int32, shape (m, k)
        ``s . t``, in [-n, n].

    Raises
    ------
    ShapeError
        If the words do not fit n.
    AccumulatorOverflow
        If n exceeds 2^31 - 1.

    Notes
    -----
    Exact: equal to the float product of the signs as long as that is exact, n <= 2^24 in float32.
    O(m k n / 64). Tier T1.

    References
    ----------
    M. Rastegari et al., arXiv:1603.05279.

    Examples
    --------
    >>> rows = pack_signs([[1.0, -1.0, 1.0], [1.0, 1.0, 1.0]])
    >>> sign_products(rows, rows, 3)
    array([[3, 1],
           [1, 3]], dtype=int32)
    """
    first, second = _check_pair(a, b, n)
    return np.int32(n) - 2 * _ones_kernel(first, second, True)


def bit_products(a: ArrayLike, b: ArrayLike, n: int) -> NDArray[np.int32]:
    """Return the dot products of rows of bits in {0, 1}.

    Parameters
    ----------
    a, b : array_like of uint64, shape (m, ceil(n / 64)) and (k, ceil(n / 64))
        Packed rows, from ``pack_signs(bits, zero="minus")``.
    n : int
        How many bits a row has.

    Returns
    -------
    ndarray of int32, shape (m, k)
        ``b . c``, in [0, n].

    Raises
    ------
    ShapeError
        If the words do not fit n.

    Notes
    -----
    ``sign_products = 4 bit_products - 2 sum b - 2 sum c + n`` for the same words. Tier T1.

    Examples
    --------
    >>> rows = pack_signs([[1, 0, 1], [1, 1, 1]], zero="minus")
    >>> bit_products(rows, rows, 3)
    array([[2, 2],
           [2, 3]], dtype=int32)
    """
    first, second = _check_pair(a, b, n)
    return _ones_kernel(first, second, False)
