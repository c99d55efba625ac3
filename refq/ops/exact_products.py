"""Matrix products of floats without error: the exact value, and the float32 nearest to it.

Problem
-------
A float32 product of quantized matrices depends on the order of its sums. What is the right answer,
and how far may each order be from it?

Equation
--------
``c[i, j] = sum_k a[i, k] b[j, k]``, an exact rational number, rounded once.

The bound of an order, after [1]_: with ``u = 2^-24`` and h roundings on the longest way from a
product to the result, ``|fl(c) - c| <= gamma(h) sum |a b| + underflow`` with
``gamma(h) = h u / (1 - h u)``. Every product is one rounding; a sum of k terms has

- sequential: k - 1 additions on the first product's way, so ``h = k``;
- pairwise: ``ceil(log2 k)``, so ``h = ceil(log2 k) + 1``;
- blocked: ``B - 1`` within a block of B and ``ceil(k / B) - 1`` across, so
  ``h = B + ceil(k / B) - 1``.

Operands that were rounded themselves, as a dequantized weight is, add their roundings to h. A
product that underflows is off by at most ``2^-150``; sums never are by underflow. So
``underflow = k 2^-150 (1 + gamma(h))``.

Conventions
-----------
Operands lie in rows along k: a is (m, k), b is (n, k), both float64 whose values are exact. Tier
T1: the float64 product that BLAS computes in any order only decides where its own bound lets it;
the rest is summed in Python integers.

References
----------
.. [1] N. J. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd edition, 2002, chapters
   3 and 4.
"""

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import check_choice, check_float_array, check_integer
from ..core.errors import RangeError, ShapeError

__all__ = [
    "ORDERS",
    "accumulation_bound",
    "exact_matmul",
    "matmul_in_order",
    "nearest_matmul",
]

ORDERS = ("sequential", "pairwise", "blocked")  #: of accumulation
UNIT = 2.0**-24  #: float32's unit roundoff


def check_rows(a: ArrayLike, b: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return two matrices with rows of one length, as float64.

    Parameters
    ----------
    a, b : array_like of float, shape (m, k) and (n, k)
        Finite; products of two entries within float64's normal range.

    Returns
    -------
    a, b : ndarray of float64
        The same values.

    Raises
    ------
    ShapeError
        If the shapes do not fit.
    RangeError
        If an entry is not finite, or so large or small that float64 products lose bits.

    Examples
    --------
    >>> [x.shape for x in check_rows([[1, 2]], [[3, 4], [5, 6]])]
    [(1, 2), (2, 2)]
    """
    x, y = check_float_array(a, "a"), check_float_array(b, "b")
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ShapeError(f"a {x.shape} and b {y.shape}; (m, k) and (n, k) are needed")
    for m, name in ((x, "a"), (y, "b")):
        size = np.abs(m[m != 0]).astype(np.float64)
        if size.size and (size.max() > 2.0**400 or size.min() < 2.0**-400):
            raise RangeError(f"{name} has entries beyond 2^400 or below 2^-400; scale it first")
    return x.astype(np.float64), y.astype(np.float64)


def exact_matmul(a: ArrayLike, b: ArrayLike) -> NDArray[Any]:
    """Return ``a @ b.T`` as fractions.

    Parameters
    ----------
    a : array_like of float, shape (m, k)
        Each entry stands for its exact value.
    b : array_like of float, shape (n, k)
        Likewise.

    Returns
    -------
    ndarray of Fraction, shape (m, n)
        Exact.

    Raises
    ------
    ShapeError, RangeError
        If the shapes do not fit, or an entry is not finite.

    Notes
    -----
    Python integers: slow, never wrong. For tests, and for what `nearest_matmul` leaves. Tier T1.

    Examples
    --------
    >>> exact_matmul([[1e30, 1.0, -1e30]], [[1.0, 0.5, 1.0]])[0, 0]
    Fraction(1, 2)
    """
    x, y = check_rows(a, b)
    out = np.empty((x.shape[0], y.shape[0]), object)
    left, right = [_integers(row) for row in x], [_integers(row) for row in y]
    for i, (p, e) in enumerate(left):
        for j, (q, f) in enumerate(right):
            out[i, j] = _dot(p, q) * Fraction(2) ** (e + f)
    return out


def _integers(row: NDArray[np.float64]) -> tuple[list[int], int]:
    """Return integers and an exponent whose power of two they are multiples of."""
    mantissa, exponent = np.frexp(row)
    least = int(exponent[row != 0].min(initial=0)) - 53
    whole = np.ldexp(mantissa, 53).tolist()
    shifts = np.maximum(exponent - 53 - least, 0).tolist()
    return [int(m) << s for m, s in zip(whole, shifts, strict=True)], least


def _dot(p: list[int], q: list[int]) -> int:
    return sum(x * y for x, y in zip(p, q, strict=True))


def nearest_matmul(a: ArrayLike, b: ArrayLike) -> NDArray[np.float32]:
    """Return the float32 nearest to each entry of ``a @ b.T``, ties to even.

    Parameters
    ----------
    a : array_like of float, shape (m, k)
        Each entry stands for its exact value.
    b : array_like of float, shape (n, k)
        Likewise.

    Returns
    -------
    ndarray of float32, shape (m, n)
        Correctly rounded; zeros are positive, what exceeds float32 is infinite.

    Raises
    ------
    ShapeError, RangeError
        If the shapes do not fit, or an entry is not finite.

    Notes
    -----
    A float64 product is within ``2 (k + 2) 2^-53 sum |a b|`` of the exact one, in any order, the
    rounding of the sum of magnitudes included. Where both ends of that interval round to one
    float32, it is the answer; the others, about ``k 2^-28`` of them unless terms cancel, are summed
    in Python integers. Tier T1.

    Examples
    --------
    >>> nearest_matmul([[1e30, 1.0, -1e30]], [[1.0, 0.5, 1.0]])
    array([[0.5]], dtype=float32)
    """
    x, y = check_rows(a, b)
    product, size = x @ y.T, np.abs(x) @ np.abs(y).T
    error = size * (2 * (x.shape[1] + 2) * 2.0**-53)
    with np.errstate(all="ignore"):
        low = np.nextafter(product - error, -np.inf).astype(np.float32)
        high = np.nextafter(product + error, np.inf).astype(np.float32)
    low, high = np.where(size == 0, 0, low), np.where(size == 0, 0, high)
    for i, j in np.argwhere(low != high):
        (p, e), (q, f) = _integers(x[i]), _integers(y[j])
        low[i, j] = _nearest(_dot(p, q), e + f)
    return np.asarray(low + np.float32(0))


def _nearest(mantissa: int, exponent: int) -> np.float32:
    """Return the float32 nearest to ``mantissa * 2^exponent``, ties to even."""
    size = abs(mantissa)
    last = max(size.bit_length() + exponent - 24, -149)  # the exponent of the last bit kept
    drop = last - exponent
    if drop <= 0:
        kept = size << -drop
    else:
        half = 1 << (drop - 1)
        kept, rest = size >> drop, size & ((1 << drop) - 1)
        kept += rest > half or (rest == half and kept & 1)
    if kept.bit_length() + last > 128:
        return np.float32(np.inf if mantissa > 0 else -np.inf)
    value = np.ldexp(np.float64(kept), last)  # at most 25 bits: exact
    return np.float32(value if mantissa > 0 else -value)


def matmul_in_order(
    a: ArrayLike, b: ArrayLike, order: str = "sequential", *, block_size: int = 32
) -> NDArray[np.float32]:
    """Return ``a @ b.T`` in float32, every product and sum rounded, in a named order.

    Parameters
    ----------
    a : array_like of float, shape (m, k)
        Rounded to float32 first.
    b : array_like of float, shape (n, k)
        Likewise.
    order : {"sequential", "pairwise", "blocked"}
        From first to last; neighbours first, then neighbouring sums; or sequentially within blocks,
        then sequentially over the blocks' sums.
    block_size : int
        Of "blocked".

    Returns
    -------
    ndarray of float32, shape (m, n)
        What a kernel of that order computes without fused multiply-adds.

    Raises
    ------
    ShapeError, RangeError
        If the shapes do not fit, or the order is unknown.

    Notes
    -----
    For experiments: memory m n k. Tier T1.

    Examples
    --------
    >>> a, b = [[2.0**24, 1, 1, 1]], [[1.0, 1, 1, 1]]
    >>> [matmul_in_order(a, b, order).item() - 2**24 for order in ("sequential", "pairwise")]
    [0.0, 2.0]
    """
    check_choice(order, "order", ORDERS)
    x, y = (m.astype(np.float32) for m in check_rows(a, b))
    with np.errstate(all="ignore"):
        terms = x[:, None, :] * y[None, :, :]
        if order == "sequential":
            return _sequential(terms)
        if order == "pairwise":
            return _pairwise(terms)
        size = check_integer(block_size, "block_size", 1)
        starts = range(0, terms.shape[-1], size)
        sums = [_sequential(terms[..., s : s + size]) for s in starts]
        return _sequential(np.stack(sums, axis=-1) if sums else terms)


def _sequential(terms: NDArray[np.float32]) -> NDArray[np.float32]:
    total = terms[..., 0] if terms.shape[-1] else np.zeros(terms.shape[:-1], np.float32)
    for i in range(1, terms.shape[-1]):
        total = total + terms[..., i]
    return total


def _pairwise(terms: NDArray[np.float32]) -> NDArray[np.float32]:
    while terms.shape[-1] > 1:
        even = terms.shape[-1] // 2 * 2
        rest = terms[..., even:]
        terms = np.concatenate([terms[..., 0:even:2] + terms[..., 1:even:2], rest], axis=-1)
    return _sequential(terms)


def accumulation_bound(
    a: ArrayLike,
    b: ArrayLike,
    order: str = "sequential",
    *,
    block_size: int = 32,
    operand_roundings: int = 0,
) -> NDArray[np.float64]:
    """Return how far a float32 product in that order may be from the exact one.

    Parameters
    ----------
    a : array_like of float, shape (m, k)
        Each entry stands for its exact value.
    b : array_like of float, shape (n, k)
        Likewise.
    order : {"sequential", "pairwise", "blocked"}
        Of accumulation.
    block_size : int
        Of "blocked".
    operand_roundings : int
        How often a product's operands were rounded to float32 before: 1 where a dequantized weight
        is rounded, or where each block's sum is multiplied by its scale; none may underflow.

    Returns
    -------
    ndarray of float64, shape (m, n)
        ``gamma(h) sum |a b| + underflow``, valid while nothing overflows; see the module's text.

    Raises
    ------
    ShapeError, RangeError
        If the shapes do not fit, the order is unknown, or h roundings leave no bound.

    Notes
    -----
    A fused multiply-add has fewer roundings, so the bound holds for it, too. Tier T3.

    Examples
    --------
    >>> a, b = [[2.0**24, 1, 1, 1]], [[1.0, 1, 1, 1]]
    >>> bounds = [accumulation_bound(a, b, order).item() for order in ("sequential", "pairwise")]
    >>> [round(x, 3) for x in bounds]
    [4.0, 3.0]
    """
    check_choice(order, "order", ORDERS)
    x, y = check_rows(a, b)
    k, size = x.shape[1], check_integer(block_size, "block_size", 1)
    h = max(k, 1)
    if order == "pairwise":
        h = max(k - 1, 0).bit_length() + 1
    elif order == "blocked":
        h = min(size, max(k, 1)) + max(-(-k // size), 1) - 1
    h += check_integer(operand_roundings, "operand_roundings", 0)
    if h * UNIT >= 0.5:
        raise RangeError(f"{h} roundings leave no bound; k must be below 2^23")
    gamma = h * UNIT / (1 - h * UNIT)
    underflow = k * 2.0**-150 * (1 + gamma)
    own = 1 + (k + 8) * 2.0**-52  # the float64 roundings of the bound itself
    return np.asarray((np.abs(x) @ np.abs(y).T * gamma + underflow) * own)
