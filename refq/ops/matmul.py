"""Integer matrix products: MatMulInteger and QLinearMatMul.

Problem
-------
Multiply matrices of codes so that the int32 result is exact, and fast without vendor libraries.

Equation
--------
``c[i, j] = sum_k (a[i, k] - a_zero_point[i]) * (b[k, j] - b_zero_point[j])``

Conventions
-----------
Before the product, the zero points are subtracted: codes of 8 bits become differences in int16
(they need 9 bits), all others in int32. Both operands lie in rows along k, so the inner loop
is a dot product of int16 with an int32 sum, which compilers turn into multiply-add instructions.
int32 arithmetic is exact modulo 2^32, so an intermediate wrap is harmless when the result fits.
Tier T1: any number of threads.

References
----------
.. [1] ONNX operator specification, MatMulInteger and QLinearMatMul.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import check_choice, check_integer_array, check_scale, check_shape
from ..core.errors import DTypeError, ShapeError
from ..core.semantics import ONNX, Semantics
from ..core.twins import kernel, prange, subroutine
from .accumulators import check_accumulator
from .quantization import check_zero_point, integer_format
from .requantization import requantize_by_rule

__all__ = ["check_operand", "difference_dtype", "matmul_integer", "qlinear_matmul", "row_products"]

LANES = 16  #: rows are padded with zeros to a multiple of this, so that no loop has a slow tail
BLOCK = 1 << 17  #: how many numbers of b a thread works through before it takes other rows of a


def _product_definition(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.int32]:
    """Multiply rows by rows, modulo 2^32: (batch, m, k) and (batch, n, k) give (batch, m, n)."""
    exact = np.matmul(a.astype(np.int64), b.astype(np.int64).transpose(0, 2, 1))
    return exact.astype(np.int32)  # from int64: the low 32 bits


@subroutine
def _dot(a: NDArray[Any], b: NDArray[Any]) -> Any:
    """Return one dot product, modulo 2^32."""
    s = np.int32(0)
    for k in range(a.shape[0]):
        s = np.int32(s + np.int32(a[k]) * np.int32(b[k]))
    return s


@subroutine
def _tile(a: NDArray[Any], b: NDArray[Any], c: NDArray[Any], i: int, j: int) -> None:
    """Write sixteen dot products: eight loads feed sixteen sums that stay in registers."""
    a0, a1, a2, a3 = a[i], a[i + 1], a[i + 2], a[i + 3]
    b0, b1, b2, b3 = b[j], b[j + 1], b[j + 2], b[j + 3]
    zero = np.int32(0)
    s00, s01, s02, s03 = zero, zero, zero, zero
    s10, s11, s12, s13 = zero, zero, zero, zero
    s20, s21, s22, s23 = zero, zero, zero, zero
    s30, s31, s32, s33 = zero, zero, zero, zero
    for k in range(a.shape[1]):
        x0, x1, x2, x3 = np.int32(a0[k]), np.int32(a1[k]), np.int32(a2[k]), np.int32(a3[k])
        y0, y1, y2, y3 = np.int32(b0[k]), np.int32(b1[k]), np.int32(b2[k]), np.int32(b3[k])
        s00 = np.int32(s00 + x0 * y0)
        s01 = np.int32(s01 + x0 * y1)
        s02 = np.int32(s02 + x0 * y2)
        s03 = np.int32(s03 + x0 * y3)
        s10 = np.int32(s10 + x1 * y0)
        s11 = np.int32(s11 + x1 * y1)
        s12 = np.int32(s12 + x1 * y2)
        s13 = np.int32(s13 + x1 * y3)
        s20 = np.int32(s20 + x2 * y0)
        s21 = np.int32(s21 + x2 * y1)
        s22 = np.int32(s22 + x2 * y2)
        s23 = np.int32(s23 + x2 * y3)
        s30 = np.int32(s30 + x3 * y0)
        s31 = np.int32(s31 + x3 * y1)
        s32 = np.int32(s32 + x3 * y2)
        s33 = np.int32(s33 + x3 * y3)
    c[i, j], c[i, j + 1], c[i, j + 2], c[i, j + 3] = s00, s01, s02, s03
    c[i + 1, j], c[i + 1, j + 1], c[i + 1, j + 2], c[i + 1, j + 3] = s10, s11, s12, s13
    c[i + 2, j], c[i + 2, j + 1], c[i + 2, j + 2], c[i + 2, j + 3] = s20, s21, s22, s23
    c[i + 3, j], c[i + 3, j + 1], c[i + 3, j + 2], c[i + 3, j + 3] = s30, s31, s32, s33


@kernel(_product_definition, parallel=True)
def _product_kernel(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.int32]:
    """Share out tasks: four rows of a times a block of rows of b that stays in the cache."""
    batch, m, k = a.shape
    n = b.shape[1]
    c = np.empty((batch, m, n), np.int32)
    width = max(4, min(256, BLOCK // max(k, 1)) // 4 * 4)
    strips, blocks = (m + 3) // 4, (n + width - 1) // width
    for task in prange(batch * blocks * strips):
        item, rest = task // (blocks * strips), task % (blocks * strips)
        i, j = 4 * (rest % strips), width * (rest // strips)
        end = min(j + width, n)
        full = j
        if i + 4 <= m:
            full = j + (end - j) // 4 * 4
            for t in range(j, full, 4):
                _tile(a[item], b[item], c[item], i, t)
        for r in range(i, min(i + 4, m)):
            for t in range(full, end):
                c[item, r, t] = _dot(a[item, r], b[item, t])
    return c


def row_products(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.int32]:
    """Multiply rows by rows, modulo 2^32.

    Parameters
    ----------
    a : ndarray of int16 or int32, shape (batch, m, k), C-contiguous
        Differences of codes and zero points.
    b : ndarray of a's dtype, shape (batch, n, k), C-contiguous
        Likewise.

    Returns
    -------
    ndarray of int32, shape (batch, m, n)
        Exact where the true sums fit int32.

    Notes
    -----
    The caller checks the accumulator. Fastest where k is a multiple of 16. Tier T1.

    Examples
    --------
    >>> row_products(np.int16([[[1, 2]]]), np.int16([[[3, 4], [5, 6]]]))
    array([[[11, 17]]], dtype=int32)
    """
    return _product_kernel(a, b)


def check_operand(x: ArrayLike, name: str) -> NDArray[Any]:
    """Return an operand of an integer product: int8, uint8, int16 or uint16.

    Parameters
    ----------
    x : array_like of integers
        Codes.
    name : str
        How messages call it.

    Returns
    -------
    ndarray
        The codes.

    Raises
    ------
    DTypeError
        If its dtype is wider than 16 bits.

    Examples
    --------
    >>> check_operand(np.arange(3), "a")
    Traceback (most recent call last):
    refq.core.errors.DTypeError: a has dtype int64; allowed: int8, uint8, int16, uint16
    """
    codes = check_integer_array(x, name)
    if codes.dtype.itemsize > 2:
        raise DTypeError(f"{name} has dtype {codes.dtype}; allowed: int8, uint8, int16, uint16")
    return codes


def difference_dtype(
    a: NDArray[Any], b: NDArray[Any], a_zero_point: NDArray[Any], b_zero_point: NDArray[Any]
) -> type[np.int16] | type[np.int32]:
    """Return the dtype that holds codes less zero points on both sides.

    Parameters
    ----------
    a, b : ndarray
        Codes.
    a_zero_point, b_zero_point : ndarray of int64
        What is subtracted.

    Returns
    -------
    type
        numpy.int16 for 8-bit codes, and for int16 codes without zero point; else numpy.int32.

    Examples
    --------
    >>> zero = np.zeros((), np.int64)
    >>> difference_dtype(np.zeros(1, np.uint8), np.zeros(1, np.int8), zero + 255, zero)
    <class 'numpy.int16'>
    """
    for x, z in ((a, a_zero_point), (b, b_zero_point)):
        plain = x.dtype == np.int16 and not z.any()
        if x.dtype.itemsize > 1 and not plain:
            return np.int32
    return np.int16


def _zero_points(zero_point: Any, x: NDArray[Any], name: str) -> NDArray[np.int64]:
    info = np.iinfo(x.dtype)
    return check_zero_point(zero_point, int(info.min), int(info.max), name)


def _per_row(z: NDArray[Any], shape: tuple[int, ...], name: str) -> NDArray[Any]:
    """Return zero points that broadcast against (..., rows, k): a scalar, or one per row."""
    if z.size == 1:
        return z.reshape(())
    if z.ndim == 1 and z.shape[0] == shape[-2]:
        return z[:, None]
    if z.ndim == len(shape) and z.shape == (*shape[:-1], 1):
        return z
    raise ShapeError(
        f"{name} has shape {z.shape}; allowed: a scalar, or one zero point per row or column, "
        f"({shape[-2]},)"
    )


def _packed(x: NDArray[Any], z: NDArray[Any], batch: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Return ``x - z`` as (batch, rows, k), k padded with zeros to a multiple of `LANES`."""
    *_, rows, k = x.shape
    padded = -(-k // LANES) * LANES
    out = np.zeros((*batch, rows, padded), dtype)
    np.subtract(x, z.astype(dtype), out=out[..., :k], dtype=dtype, casting="unsafe")
    return out.reshape(math.prod(batch), rows, padded)


def matmul_integer(
    a: ArrayLike,
    b: ArrayLike,
    a_zero_point: ArrayLike | None = None,
    b_zero_point: ArrayLike | None = None,
    *,
    overflow: str = "error",
) -> NDArray[np.int32]:
    """Return the product of two matrices of codes, less their zero points, as int32.

    Parameters
    ----------
    a : array_like of int8, uint8, int16 or uint16, shape (..., m, k) or (k,)
        Codes.
    b : array_like of int8, uint8, int16 or uint16, shape (..., k, n) or (k,)
        Codes. Leading axes broadcast as in `numpy.matmul`.
    a_zero_point : int, array_like of integers, or None
        A code of a's dtype; one for all, or one per row (m,) or (..., m, 1).
    b_zero_point : int, array_like of integers, or None
        A code of b's dtype; one for all, or one per column (n,) or (..., 1, n).
    overflow : {"error", "wrap"}
        "error" refuses a k for which some codes would overflow int32; "wrap" computes modulo 2^32.

    Returns
    -------
    ndarray of int32, shape (..., m, n)
        The exact sums.

    Raises
    ------
    AccumulatorOverflow
        Before any work, with the safe k.
    ShapeError
        If shapes do not fit.
    DTypeError
        If an operand has another dtype.
    RangeError
        If a zero point is no code of its operand.

    Notes
    -----
    The check looks at dtypes, zero points and k, not at the codes: `accumulator_bound` gives the
    tighter bound from actual weights, after which "wrap" is exact. Time m n k, memory of both
    operands in int16. Tier T1.

    References
    ----------
    .. [1] ONNX operator specification, MatMulInteger.

    Examples
    --------
    >>> matmul_integer(np.uint8([[11, 7], [10, 6]]), np.uint8([[1, 4], [2, 5]]), 12, 0)
    array([[-11, -29],
           [-14, -38]], dtype=int32)
    """
    check_choice(overflow, "overflow", ("error", "wrap"))
    left, right = check_operand(a, "a"), check_operand(b, "b")
    if not left.ndim or not right.ndim:
        raise ShapeError("a and b need at least one axis; a product of scalars is not defined")
    drop = tuple(axis for axis, x in ((-2, left), (-1, right)) if x.ndim == 1)
    left = left[None, :] if left.ndim == 1 else left
    right = right[:, None] if right.ndim == 1 else right
    if left.shape[-1] != right.shape[-2]:
        raise ShapeError(
            f"a has {left.shape[-1]} columns, b has {right.shape[-2]} rows; both are k"
        )
    za = _zero_points(a_zero_point, left, "a_zero_point")
    zb = _zero_points(b_zero_point, right, "b_zero_point")
    if overflow == "error":
        check_accumulator(left.shape[-1], left.dtype, right.dtype, za, zb)
    return np.squeeze(_products(left, right, za, zb), drop)


def _products(
    a: NDArray[Any], b: NDArray[Any], za: NDArray[Any], zb: NDArray[Any]
) -> NDArray[np.int32]:
    """Subtract the zero points, lay both sides out in rows along k, multiply."""
    columns = np.swapaxes(b, -1, -2)
    za = _per_row(za, a.shape, "a_zero_point")
    zb = _per_row(zb if zb.ndim < 2 else np.swapaxes(zb, -1, -2), columns.shape, "b_zero_point")
    dtype = difference_dtype(a, b, za, zb)
    m, n = a.shape[-2], b.shape[-1]
    try:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError as error:
        raise ShapeError(f"a {a.shape} and b {b.shape} do not broadcast in front") from error
    check_shape((*batch, m, n), "the product's shape")
    if b.ndim == 2:  # one matrix for the whole batch: its rows go side by side
        rows = _packed(a, za, a.shape[:-2], dtype)
        rows = rows.reshape(1, rows.shape[0] * m, rows.shape[2])
        out = row_products(rows, _packed(columns, zb, (1,), dtype))
    else:
        out = row_products(_packed(a, za, batch, dtype), _packed(columns, zb, batch, dtype))
    return out.reshape(*batch, m, n)


def qlinear_matmul(
    a: ArrayLike,
    a_scale: ArrayLike,
    a_zero_point: ArrayLike | None,
    b: ArrayLike,
    b_scale: ArrayLike,
    b_zero_point: ArrayLike | None,
    y_scale: ArrayLike,
    y_zero_point: ArrayLike,
    *,
    semantics: Semantics = ONNX,
) -> NDArray[Any]:
    """Return the codes of a product of quantized matrices.

    Parameters
    ----------
    a : array_like of integers, shape (..., m, k)
        Codes.
    a_scale : array_like
        Scale of `a`: a scalar, or one per row (m,).
    a_zero_point : int, array_like of integers, or None
        As in `matmul_integer`.
    b : array_like of integers, shape (..., k, n)
        Codes.
    b_scale : array_like
        Scale of `b`: a scalar, or one per column (n,).
    b_zero_point : int, array_like of integers, or None
        As in `matmul_integer`.
    y_scale : array_like
        Scale of the result: a scalar.
    y_zero_point : NumPy integer or int
        Its dtype is the result's (a plain int means uint8).
    semantics : Semantics
        Whose arithmetic; the default is ONNX's text.

    Returns
    -------
    ndarray, shape (..., m, n)
        ``saturate(round(c * a_scale * b_scale / y_scale) + y_zero_point)`` of the int32 product c.

    Raises
    ------
    AccumulatorOverflow, ShapeError, DTypeError, RangeError
        As in `matmul_integer`; and if a scale is not finite and positive.

    Notes
    -----
    By the text the multiplier is the exact rational number of the three scales. Tier T1.

    References
    ----------
    .. [1] ONNX operator specification, QLinearMatMul.

    Examples
    --------
    >>> a, b, scale = np.uint8([[3, 5]]), np.uint8([[2], [4]]), np.float32(0.5)
    >>> qlinear_matmul(a, scale, np.uint8(1), b, scale, np.uint8(0), scale, np.uint8(0))
    array([[10]], dtype=uint8)
    """
    overflow = "wrap" if semantics.accumulator == "wrap" else "error"
    scales = [
        check_scale(s, name)
        for s, name in ((a_scale, "a_scale"), (b_scale, "b_scale"), (y_scale, "y_scale"))
    ]
    target = integer_format(None, y_zero_point)
    z = check_zero_point(y_zero_point, target.low, target.high, "y_zero_point")
    for value, name in ((scales[2], "y_scale"), (z, "y_zero_point")):
        if value.size != 1:
            raise ShapeError(f"{name} has shape {value.shape}; one for the whole result is allowed")
    c = matmul_integer(a, b, a_zero_point, b_zero_point, overflow=overflow)
    row, column = _scale_of_rows(scales[0], c, -2, "a_scale"), scales[1]
    column = _scale_of_rows(column, c, -1, "b_scale")
    rule = semantics.requantize
    factor = rule.multiplier(row, column, scales[2].reshape(()))
    return requantize_by_rule(
        c, factor, int(z.ravel()[0]), target.low, target.high, target.dtype, rule
    )


def _scale_of_rows(scale: NDArray[Any], c: NDArray[Any], axis: int, name: str) -> NDArray[Any]:
    if scale.size == 1:
        return scale.reshape(())
    if c.ndim < 2 or scale.shape != (c.shape[axis],):
        raise ShapeError(
            f"{name} has shape {scale.shape}; allowed: a scalar, or one per "
            f"{'row' if axis == -2 else 'column'} of the result {c.shape}"
        )
    return scale[:, None] if axis == -2 else scale
