"""Products with weights in groups: int4 by group, MX, NVFP4; correctly rounded.

Problem
-------
Weights of few bits share a scale in short blocks. Every runtime multiplies them in an order of its
own; here is the product that all of them approximate.

Equation
--------
``c[i, j] = sum over blocks of a_scale b_scale sum over the block of a_element b_element``, where
an integer element stands for ``code - zero_point``; the exact sum is rounded to float32 once.

Conventions
-----------
Weights are rows: (n, k), blocks along k, the last of which may be smaller. What an element and its
scales multiply to is exact in float64: 9 bits of a difference or 8 of a small float, times 24 bits
of a scale, or times the 4 and 24 bits of NVFP4's two. `exact_matmul`, `nearest_matmul` and
`accumulation_bound` take what `nbits_values` and `block_values` return. Tier T1.

References
----------
.. [1] ONNX Runtime, docs/ContribOperators.md: com.microsoft.MatMulNBits.
.. [2] Open Compute Project, "OCP Microscaling Formats (MX) Specification", version 1.0, 2023,
   section 6: dot products.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import check_float_array, check_integer, check_integer_array
from ..core.errors import DTypeError, RangeError, ShapeError
from ..core.granularity import expand
from ..encodings import Encoding, ScaledEncoding
from .exact_products import nearest_matmul
from .quantization import check_zero_point

__all__ = ["block_values", "matmul_block_scaled", "matmul_nbits", "nbits_values"]

Operand = Encoding | tuple[ArrayLike, ArrayLike]


def _scales(scales: ArrayLike, shape: tuple[int, ...], name: str) -> NDArray[np.float64]:
    s = check_float_array(scales, name)
    if s.shape != shape:
        raise ShapeError(f"{name} has shape {s.shape}; {shape} is needed, one per row and block")
    if (s.astype(np.float32) != s).any():
        raise DTypeError(f"{name} does not fit float32; round it first")
    return s.astype(np.float64)


def nbits_values(
    codes: ArrayLike,
    scales: ArrayLike,
    zero_points: ArrayLike | None = None,
    *,
    bits: int = 4,
    block_size: int = 32,
) -> NDArray[np.float64]:
    """Return the exact weights that unsigned codes in groups stand for.

    Parameters
    ----------
    codes : array_like of integers, shape (n, k)
        In [0, 2^bits).
    scales : array_like of float, shape (n, ceil(k / block_size))
        Finite; each fits float32.
    zero_points : array_like of integers, of the scales' shape, or None
        Codes; None means ``2^(bits - 1)``.
    bits : int
        In [2, 8].
    block_size : int
        Along k.

    Returns
    -------
    ndarray of float64, shape (n, k)
        ``(code - zero_point) * scale``, without any rounding.

    Raises
    ------
    RangeError
        If a code or a zero point is out of range, with its index.
    ShapeError, DTypeError
        If an array has another shape or dtype.

    Examples
    --------
    >>> nbits_values([[7, 8, 9]], [[0.5]])
    array([[-0.5,  0. ,  0.5]])
    """
    top = (1 << check_integer(bits, "bits", 2, 8)) - 1
    size = check_integer(block_size, "block_size", 1)
    q = check_zero_point(check_integer_array(codes, "codes"), 0, top, "codes")
    if q.ndim != 2:
        raise ShapeError(f"codes has shape {q.shape}; (n, k) is needed")
    shape = (q.shape[0], -(-q.shape[1] // size))
    s = _scales(scales, shape, "scales")
    if zero_points is None:
        difference = q - (top + 1) // 2
    else:
        z = check_zero_point(zero_points, 0, top, "zero_points")
        if z.shape != shape:
            raise ShapeError(f"zero_points has shape {z.shape}; the scales have {shape}")
        difference = q - expand(z, q.shape, (1, size))
    return difference * expand(s, q.shape, (1, size))


def matmul_nbits(
    a: ArrayLike,
    codes: ArrayLike,
    scales: ArrayLike,
    zero_points: ArrayLike | None = None,
    *,
    bits: int = 4,
    block_size: int = 32,
) -> NDArray[np.float32]:
    """Return ``a @ weights.T`` for weights of few bits in groups, correctly rounded.

    Parameters
    ----------
    a : array_like of float, shape (m, k)
        Each entry stands for its exact value.
    codes : array_like of integers, shape (n, k)
        In [0, 2^bits), one per entry: packing is a layout's business.
    scales : array_like of float, shape (n, ceil(k / block_size))
        Finite; each fits float32.
    zero_points : array_like of integers, of the scales' shape, or None
        Codes; None means ``2^(bits - 1)``.
    bits : int
        In [2, 8].
    block_size : int
        Along k.

    Returns
    -------
    ndarray of float32, shape (m, n)
        The float32 nearest to the exact product, ties to even.

    Raises
    ------
    RangeError, ShapeError, DTypeError
        As in `nbits_values`; and if an entry of `a` is not finite.

    Notes
    -----
    A runtime's result is within `accumulation_bound` of the exact one, for its order, with one
    operand rounding where it rounds the dequantized weights or scales each block's sum. Tier T1.

    References
    ----------
    .. [1] ONNX Runtime, com.microsoft.MatMulNBits.

    Examples
    --------
    >>> matmul_nbits([[1.0, 2.0, 3.0]], [[7, 8, 9]], [[0.5]])
    array([[1.]], dtype=float32)
    """
    weights = nbits_values(codes, scales, zero_points, bits=bits, block_size=block_size)
    return nearest_matmul(a, weights)


def block_values(operand: Operand, *, block_size: int = 32) -> NDArray[np.float64]:
    """Return the exact numbers that elements and scales stand for.

    Parameters
    ----------
    operand : Encoding or (elements, scales), shape (rows, k)
        A `ScaledEncoding` multiplies without rounding, its scale's own scale included; any other
        Encoding stands for what it decodes to. Elements are values, of at most 24 bits; scales are
        (rows, ceil(k / block_size)).
    block_size : int
        Along k; an Encoding knows its own.

    Returns
    -------
    ndarray of float64, shape (rows, k)
        Without any rounding.

    Raises
    ------
    RangeError
        If a product needs more than 53 bits.
    ShapeError, DTypeError
        If an array has another shape or dtype.

    Examples
    --------
    >>> block_values(([[1.5, -6.0, 0.5]], [[2.0, 0.25]]), block_size=2)
    array([[  3.   , -12.   ,   0.125]])
    """
    if isinstance(operand, Encoding):
        return _exact(operand)
    elements, scales = operand
    x = check_float_array(elements, "elements")
    if x.ndim != 2:
        raise ShapeError(f"elements has shape {x.shape}; (rows, k) is needed")
    size = check_integer(block_size, "block_size", 1)
    s = _scales(scales, (x.shape[0], -(-x.shape[1] // size)), "scales")
    return _multiplied(x.astype(np.float64), expand(s, x.shape, (1, size)))


def _exact(encoding: Encoding) -> NDArray[np.float64]:
    if not isinstance(encoding, ScaledEncoding) or encoding.offset is not None:
        return check_float_array(encoding.decode(), "operand").astype(np.float64)
    x, s = _exact(encoding.elements), _exact(encoding.scale)
    if encoding.zero_point is not None:
        z = expand(_exact(encoding.zero_point), x.shape, encoding.block_shape)
        difference = x - z
        if ((difference + z != x) | (difference - x != -z)).any():
            raise RangeError("elements - zero_point needs more than 53 bits")
        x = difference
    return _multiplied(x, expand(s, x.shape, encoding.block_shape))


def _multiplied(x: NDArray[np.float64], scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return products that are exact because both factors' bits fit together."""
    bits = _significant_bits(x), _significant_bits(scale)
    if sum(bits) > 53:
        raise RangeError(
            f"elements of {bits[0]} bits times scales of {bits[1]} need more than float64's 53; "
            "round the scales to float32"
        )
    return np.asarray(x * scale)


def _significant_bits(x: NDArray[np.float64]) -> int:
    """Return how many bits the longest significand has."""
    whole = np.ldexp(np.frexp(x)[0], 53).astype(np.int64)  # integral: below 2^53
    lowest = np.where(whole == 0, np.int64(1) << 53, whole & -whole)
    return 54 - int(lowest.min(initial=1 << 53)).bit_length()


def matmul_block_scaled(a: Operand, b: Operand, *, block_size: int = 32) -> NDArray[np.float32]:
    """Return ``a @ b.T`` of two block-scaled operands, correctly rounded.

    Parameters
    ----------
    a : Encoding or (elements, scales), shape (m, k)
        As in `block_values`: MX, NVFP4, integers in groups.
    b : Encoding or (elements, scales), shape (n, k)
        Likewise.
    block_size : int
        Of operands that are pairs of arrays.

    Returns
    -------
    ndarray of float32, shape (m, n)
        The float32 nearest to the exact product, ties to even.

    Raises
    ------
    RangeError, ShapeError, DTypeError
        As in `block_values`.

    Notes
    -----
    MX leaves the order and the precision of the sum open; `accumulation_bound` says how far a
    float32 sum in each order may be. Tier T1.

    References
    ----------
    .. [1] OCP Microscaling Formats (MX) Specification, version 1.0, section 6.

    Examples
    --------
    >>> mx = ([[0.5, 6.0]], [[4.0]])
    >>> matmul_block_scaled(mx, mx)
    array([[580.]], dtype=float32)
    """
    left, right = (block_values(x, block_size=block_size) for x in (a, b))
    return nearest_matmul(left, right)
