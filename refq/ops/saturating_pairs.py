"""The u8 x s8 dot product of CPUs without VNNI: pairs of products saturate at int16.

Problem
-------
AVX2 multiplies bytes with VPMADDUBSW [1]_, which adds two neighbouring products into one int16 and
saturates: 2 * 255 * 127 = 64,770 becomes 32,767. The product of a whole network is then wrong, and
nothing says so.

Equation
--------
``c[i, j] = sum over p of sat16(a[i, 2p] b[2p, j] + a[i, 2p+1] b[2p+1, j])  (mod 2^32)``

Conventions
-----------
Neighbours along k make a pair; an odd k ends with half a pair. VPMADDWD by ones widens the int16 to
int32 without loss. Zero points are subtracted afterwards, by sums of rows and columns, as runtimes
do, since the instruction takes codes as they are. Tier T1.

References
----------
.. [1] Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2: PMADDUBSW, PMADDWD.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import check_integer, check_integer_array
from ..core.errors import DTypeError, ShapeError
from ..core.twins import kernel
from ..formats import Format
from .accumulators import check_accumulator, code_range

__all__ = ["matmul_saturating_pairs", "pairs_are_exact"]

LOW, HIGH = -(1 << 15), (1 << 15) - 1


def _pairs_definition(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.int32]:
    """Multiply rows by rows, an even k: (m, k) of uint8 and (n, k) of int8 give (m, n)."""
    left = a.astype(np.int64).reshape(a.shape[0], 1, a.shape[1] // 2, 2)
    right = b.astype(np.int64).reshape(1, b.shape[0], b.shape[1] // 2, 2)
    pairs = np.clip((left * right).sum(axis=3), LOW, HIGH)
    return pairs.sum(axis=2).astype(np.int32)  # from int64: the low 32 bits


@kernel(_pairs_definition)
def _pairs_kernel(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.int32]:
    """Do the same, one dot product after the other."""
    m, k = a.shape
    n = b.shape[0]
    c = np.empty((m, n), np.int32)
    for i in range(m):
        for j in range(n):
            total = np.int32(0)
            for p in range(0, k, 2):
                pair = np.int32(a[i, p]) * np.int32(b[j, p])
                pair += np.int32(a[i, p + 1]) * np.int32(b[j, p + 1])
                total = np.int32(total + min(max(pair, np.int32(LOW)), np.int32(HIGH)))
            c[i, j] = total
    return c


def matmul_saturating_pairs(
    a: ArrayLike, b: ArrayLike, a_zero_point: int = 0, b_zero_point: int = 0
) -> NDArray[np.int32]:
    """Return the matrix product as a CPU computes it whose pairs of products saturate.

    Parameters
    ----------
    a : array_like of uint8, shape (m, k)
        Codes of activations.
    b : array_like of int8, shape (k, n)
        Codes of weights.
    a_zero_point, b_zero_point : int
        One code each, subtracted by sums of rows and columns.

    Returns
    -------
    ndarray of int32, shape (m, n)
        What the instructions leave, right or wrong.

    Raises
    ------
    DTypeError
        If `a` is not uint8 or `b` not int8.
    ShapeError
        If the shapes do not fit.
    AccumulatorOverflow
        If k is so large that int32 could overflow, too.

    Notes
    -----
    Exact where `pairs_are_exact` says so. Which columns make a pair, and how an accumulator is
    packed, is a kernel's own affair: this one takes neighbours. Tier T1.

    Examples
    --------
    >>> a, b = np.uint8([[255, 255]]), np.int8([[127], [127]])
    >>> matmul_saturating_pairs(a, b).item(), int((a.astype(int) @ b.astype(int)).item())
    (32767, 64770)
    """
    left, right = check_integer_array(a, "a"), check_integer_array(b, "b")
    for x, want, name in ((left, np.uint8, "a"), (right, np.int8, "b")):
        if x.dtype != want:
            raise DTypeError(f"{name} has dtype {x.dtype}; the instruction takes uint8 by int8")
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[0]:
        raise ShapeError(f"a {left.shape} and b {right.shape}; (m, k) and (k, n) are needed")
    za = check_integer(a_zero_point, "a_zero_point", 0, 255)
    zb = check_integer(b_zero_point, "b_zero_point", -128, 127)
    k = left.shape[1]
    check_accumulator(k, left.dtype, right.dtype, np.array(za), np.array(zb))
    odd = ((0, 0), (0, k % 2))
    rows = np.pad(left, odd), np.pad(np.ascontiguousarray(right.T), odd)
    product = _pairs_kernel(*rows).astype(np.int64)
    product -= za * right.sum(axis=0, dtype=np.int64) - k * za * zb
    product -= zb * left.sum(axis=1, dtype=np.int64)[:, None]
    return product.astype(np.int32)


def pairs_are_exact(
    a_format: str | Format | tuple[int, int],
    b_format: str | Format | tuple[int, int] | None = None,
    *,
    weights: ArrayLike | None = None,
) -> bool:
    """Return whether no pair of products can saturate.

    Parameters
    ----------
    a_format : str, Format or (low, high)
        The codes of activations.
    b_format : str, Format, (low, high) or None
        The codes of weights, where the weights are not given.
    weights : array_like of integers, shape (k, n), or None
        The weights themselves: neighbours in a column make a pair.

    Returns
    -------
    bool
        Exact: False means that some activations saturate.

    Raises
    ------
    ShapeError
        If neither or both of `b_format` and `weights` are given, or the weights are no matrix.

    Notes
    -----
    A pair reaches ``2 * 255 * |w|`` at most, so u8 activations need ``|w| <= 64``: weights of 7
    bits. ``2 * 127 * 128 = 32,512`` fits: 7 bits of activations are safe with any s8 weight. That
    is what "reduce_range" buys. Tier T1.

    Examples
    --------
    >>> pairs_are_exact("uint8", "int8"), pairs_are_exact("uint8", (-64, 64))
    (False, True)
    >>> pairs_are_exact((0, 127), "int8"), pairs_are_exact("uint8", (-65, 65))
    (True, False)
    """
    if (b_format is None) == (weights is None):
        raise ShapeError("one of b_format and weights is needed, not both")
    a_low, a_high = code_range(a_format)
    if b_format is not None:
        b_low, b_high = code_range(b_format)
        corners = [2 * x * y for x in (a_low, a_high) for y in (b_low, b_high)]
        return min(corners) >= LOW and max(corners) <= HIGH
    w = check_integer_array(0 if weights is None else weights, "weights")
    if w.ndim != 2:
        raise ShapeError(f"weights has shape {w.shape}; (k, n) is needed")
    ends = w.astype(np.int64) * a_low, w.astype(np.int64) * a_high
    padding = ((0, w.shape[0] % 2), (0, 0))
    least, most = (np.pad(f(*ends), padding) for f in (np.minimum, np.maximum))
    least, most = least[::2] + least[1::2], most[::2] + most[1::2]
    return bool((least >= LOW).all() and (most <= HIGH).all())
