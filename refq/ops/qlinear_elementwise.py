"""The operators between the products, on codes: QLinearAdd, QLinearMul, QLinearConcat, activations.

Problem
-------
Operands and result of a quantized addition have three scales and three zero points.

Equation
--------
``y = saturate(round(f(real numbers) / y_scale) + y_zero_point)``

Conventions
-----------
Names and order of the arguments are those of ONNX Runtime's com.microsoft operators. One scale and
one zero point for a whole tensor. The arithmetic is that of ``semantics.elementwise``: by default
real numbers, rounded once, ties to even. A zero point without a dtype takes the first operand's.
Tier T1.

References
----------
.. [1] ONNX Runtime, docs/ContribOperators.md: com.microsoft.QLinearAdd, QLinearMul, QLinearConcat,
   QLinearLeakyRelu, QLinearSigmoid, QLinearSoftmax.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import check_real, check_scale, normalize_axis
from ..core.elementwise_rule import Operand, Target
from ..core.errors import ShapeError
from ..core.semantics import ONNX, Semantics
from .matmul import check_operand
from .quantization import check_zero_point, integer_format

__all__ = [
    "check_codes",
    "check_target",
    "qlinear_add",
    "qlinear_concat",
    "qlinear_leaky_relu",
    "qlinear_multiply",
    "qlinear_sigmoid",
    "qlinear_softmax",
]


def _one(value: NDArray[Any], name: str) -> NDArray[Any]:
    if value.size != 1:
        raise ShapeError(f"{name} has shape {value.shape}; one for the whole tensor is allowed")
    return value.reshape(())


def check_codes(q: ArrayLike, scale: ArrayLike, zero_point: ArrayLike | None, name: str) -> Operand:
    """Return codes with one scale and one zero point.

    Parameters
    ----------
    q : array_like of int8, uint8, int16 or uint16
        Codes.
    scale : array_like
        One number, finite and positive.
    zero_point : int, array_like of one integer, or None
        A code; None is zero.
    name : str
        How messages call the codes.

    Returns
    -------
    Operand
        The three of them.

    Raises
    ------
    ShapeError
        If there is more than one scale or zero point.
    RangeError, DTypeError
        If a value is not allowed.

    Examples
    --------
    >>> check_codes(np.uint8([3, 5]), 0.5, 1, "a").differences
    array([2, 4])
    """
    codes = check_operand(q, name)
    info = np.iinfo(codes.dtype)
    z = check_zero_point(zero_point, int(info.min), int(info.max), f"{name}_zero_point")
    factor = _one(_scale(scale, f"{name}_scale"), f"{name}_scale")
    return Operand(codes, factor, int(_one(z, f"{name}_zero_point")))


def _scale(scale: ArrayLike, name: str) -> NDArray[Any]:
    """Return a scale; a Python float counts as float32."""
    plain = type(scale) in (float, int)
    return check_scale(np.asarray(scale, np.float32) if plain else scale, name)


def check_target(scale: ArrayLike, zero_point: ArrayLike | None, dtype: Any) -> Target:
    """Return what the codes of a result are.

    Parameters
    ----------
    scale : array_like
        One number, finite and positive.
    zero_point : int, array_like of one integer, or None
        Its dtype is that of the codes; a Python integer and None have none.
    dtype : dtype
        Of the codes, where the zero point has none.

    Returns
    -------
    Target
        Scale, zero point, range and dtype.

    Raises
    ------
    ShapeError
        If there is more than one scale or zero point.
    RangeError, DTypeError
        If a value is not allowed.

    Examples
    --------
    >>> check_target(0.5, 3, np.int8).low
    -128
    """
    plain = zero_point is None or type(zero_point) is int
    form = integer_format(np.dtype(dtype).name if plain else None, zero_point)
    z = _one(check_zero_point(zero_point, form.low, form.high, "y_zero_point"), "y_zero_point")
    return Target(
        _one(_scale(scale, "y_scale"), "y_scale"), int(z), form.low, form.high, form.dtype
    )


def _check_broadcast(a: Operand, b: Operand) -> None:
    try:
        np.broadcast_shapes(a.codes.shape, b.codes.shape)
    except ValueError as error:
        raise ShapeError(
            f"a {a.codes.shape} and b {b.codes.shape} do not broadcast against each other"
        ) from error


def qlinear_add(
    a: ArrayLike,
    a_scale: ArrayLike,
    a_zero_point: ArrayLike | None,
    b: ArrayLike,
    b_scale: ArrayLike,
    b_zero_point: ArrayLike | None,
    y_scale: ArrayLike,
    y_zero_point: ArrayLike | None = None,
    *,
    semantics: Semantics = ONNX,
) -> NDArray[Any]:
    """Return the codes of the sum of two arrays of codes.

    Parameters
    ----------
    a : array_like of int8, uint8, int16 or uint16
        Codes.
    a_scale, a_zero_point : array_like
        One each; a zero point of None is zero.
    b : array_like of int8, uint8, int16 or uint16
        Codes; broadcast against `a`.
    b_scale, b_zero_point : array_like
        As for `a`.
    y_scale, y_zero_point : array_like
        Of the result; the zero point's dtype is the dtype of the codes, else a's.
    semantics : Semantics
        Whose arithmetic.

    Returns
    -------
    ndarray
        Codes.

    Raises
    ------
    ShapeError
        If the shapes do not broadcast, or there is more than one scale.
    RangeError, DTypeError
        If a value is not allowed.

    Notes
    -----
    By the text, before saturation, at most y_scale / 2 from the exact sum. `add_integer` computes
    the integer network's sum, without any float. Tier T1.

    Examples
    --------
    >>> half, quarter = np.float32(0.5), np.float32(0.25)
    >>> qlinear_add(np.uint8([3, 200]), half, 0, np.uint8([6, 200]), quarter, 0, half, np.uint8(1))
    array([  7, 255], dtype=uint8)
    """
    left, right = (
        check_codes(a, a_scale, a_zero_point, "a"),
        check_codes(b, b_scale, b_zero_point, "b"),
    )
    _check_broadcast(left, right)
    y = check_target(y_scale, y_zero_point, left.codes.dtype)
    return semantics.elementwise.add(left, right, y)


def qlinear_multiply(
    a: ArrayLike,
    a_scale: ArrayLike,
    a_zero_point: ArrayLike | None,
    b: ArrayLike,
    b_scale: ArrayLike,
    b_zero_point: ArrayLike | None,
    y_scale: ArrayLike,
    y_zero_point: ArrayLike | None = None,
    *,
    semantics: Semantics = ONNX,
) -> NDArray[Any]:
    """Return the codes of the product of two arrays of codes, element by element.

    Parameters
    ----------
    a : array_like of int8, uint8, int16 or uint16
        Codes.
    a_scale, a_zero_point : array_like
        One each; a zero point of None is zero.
    b : array_like of int8, uint8, int16 or uint16
        Codes; broadcast against `a`.
    b_scale, b_zero_point : array_like
        As for `a`.
    y_scale, y_zero_point : array_like
        Of the result; the zero point's dtype is the dtype of the codes, else a's.
    semantics : Semantics
        Whose arithmetic.

    Returns
    -------
    ndarray
        Codes.

    Raises
    ------
    ShapeError
        If the shapes do not broadcast, or there is more than one scale.
    RangeError, DTypeError
        If a value is not allowed.

    Notes
    -----
    com.microsoft calls it QLinearMul. `multiply_integer` needs no float. Tier T1.

    Examples
    --------
    >>> half = np.float32(0.5)
    >>> qlinear_multiply(np.int8([3, -3]), half, 0, np.int8([3, 3]), half, 0, half)
    array([ 4, -4], dtype=int8)
    """
    left, right = (
        check_codes(a, a_scale, a_zero_point, "a"),
        check_codes(b, b_scale, b_zero_point, "b"),
    )
    _check_broadcast(left, right)
    y = check_target(y_scale, y_zero_point, left.codes.dtype)
    return semantics.elementwise.multiply(left, right, y)


def qlinear_concat(
    y_scale: ArrayLike,
    y_zero_point: ArrayLike | None,
    inputs: Sequence[tuple[ArrayLike, ArrayLike, ArrayLike | None]],
    *,
    axis: int,
    semantics: Semantics = ONNX,
) -> NDArray[Any]:
    """Return arrays of codes side by side, all in the scale of the result.

    Parameters
    ----------
    y_scale, y_zero_point : array_like
        Of the result; the zero point's dtype is the dtype of the codes, else the first input's.
    inputs : sequence of (codes, scale, zero_point)
        At least one; equal shapes but for `axis`.
    axis : int
        Along which they lie.
    semantics : Semantics
        Whose arithmetic.

    Returns
    -------
    ndarray
        Codes.

    Raises
    ------
    ShapeError
        If there is no input, or the shapes do not fit.
    RangeError, DTypeError
        If a value is not allowed.

    Examples
    --------
    >>> parts = [(np.uint8([2, 3]), np.float32(0.5), 0), (np.uint8([2, 3]), np.float32(1), 0)]
    >>> qlinear_concat(np.float32(1), np.uint8(0), parts, axis=0)
    array([1, 2, 2, 3], dtype=uint8)
    """
    parts = [check_codes(*part, f"inputs[{i}]") for i, part in enumerate(inputs)]
    if not parts:
        raise ShapeError("inputs is empty; at least one (codes, scale, zero_point) is needed")
    first = parts[0].codes
    where = normalize_axis(axis, first.ndim)
    for i, part in enumerate(parts):
        rest = [s[:where] + s[where + 1 :] for s in (part.codes.shape, first.shape)]
        if part.codes.ndim != first.ndim or rest[0] != rest[1]:
            raise ShapeError(
                f"inputs[{i}] has shape {part.codes.shape}, inputs[0] has {first.shape}; "
                f"they may differ along axis {where} only"
            )
    y = check_target(y_scale, y_zero_point, first.dtype)
    return np.concatenate([semantics.elementwise.join(part, y) for part in parts], axis=where)


def qlinear_leaky_relu(
    x: ArrayLike,
    x_scale: ArrayLike,
    x_zero_point: ArrayLike | None,
    y_scale: ArrayLike,
    y_zero_point: ArrayLike | None = None,
    *,
    alpha: float = 0.01,
    semantics: Semantics = ONNX,
) -> NDArray[Any]:
    """Return the codes of x, and of ``alpha x`` where x is negative.

    Parameters
    ----------
    x : array_like of int8, uint8, int16 or uint16
        Codes.
    x_scale, x_zero_point : array_like
        One each; a zero point of None is zero.
    y_scale, y_zero_point : array_like
        Of the result; the zero point's dtype is the dtype of the codes, else x's.
    alpha : float
        Rounded to float32, as an attribute of an ONNX node is.
    semantics : Semantics
        Whose arithmetic.

    Returns
    -------
    ndarray
        Codes.

    Raises
    ------
    RangeError, ShapeError, DTypeError
        If a value is not allowed.

    Examples
    --------
    >>> one = np.float32(1)
    >>> qlinear_leaky_relu(np.int8([-128, -2, 5]), one, 0, one, alpha=0.25)
    array([-32,   0,   5], dtype=int8)
    """
    slope = float(np.float32(check_real(alpha, "alpha")))
    operand = check_codes(x, x_scale, x_zero_point, "x")
    y = check_target(y_scale, y_zero_point, operand.codes.dtype)
    return semantics.elementwise.leaky_relu(operand, slope, y)


def qlinear_sigmoid(
    x: ArrayLike,
    x_scale: ArrayLike,
    x_zero_point: ArrayLike | None,
    y_scale: ArrayLike,
    y_zero_point: ArrayLike | None = None,
    *,
    semantics: Semantics = ONNX,
) -> NDArray[Any]:
    """Return the codes of ``1 / (1 + e^-x)``.

    Parameters
    ----------
    x : array_like of int8, uint8, int16 or uint16
        Codes.
    x_scale, x_zero_point : array_like
        One each; a zero point of None is zero.
    y_scale, y_zero_point : array_like
        Of the result; the zero point's dtype is the dtype of the codes, else x's.
    semantics : Semantics
        Whose arithmetic; by the text, correctly rounded.

    Returns
    -------
    ndarray
        Codes.

    Raises
    ------
    RangeError, ShapeError, DTypeError
        If a value is not allowed.

    Notes
    -----
    Every code is computed once: 8-bit codes have a table of at most 256 entries. Tier T1.

    Examples
    --------
    >>> qlinear_sigmoid(np.int8([-10, 0, 10]), np.float32(0.1), 0, np.float32(1 / 256), np.uint8(0))
    array([ 69, 128, 187], dtype=uint8)
    """
    operand = check_codes(x, x_scale, x_zero_point, "x")
    y = check_target(y_scale, y_zero_point, operand.codes.dtype)
    return semantics.elementwise.sigmoid(operand, y)


def qlinear_softmax(
    x: ArrayLike,
    x_scale: ArrayLike,
    x_zero_point: ArrayLike | None,
    y_scale: ArrayLike,
    y_zero_point: ArrayLike | None = None,
    *,
    axis: int = -1,
    semantics: Semantics = ONNX,
) -> NDArray[Any]:
    """Return the codes of ``e^x / sum e^x`` along an axis.

    Parameters
    ----------
    x : array_like of int8, uint8, int16 or uint16
        Codes.
    x_scale, x_zero_point : array_like
        One each; the zero point cancels.
    y_scale, y_zero_point : array_like
        Of the result; the zero point's dtype is the dtype of the codes, else x's.
    axis : int
        Along which the results sum to one.
    semantics : Semantics
        Whose arithmetic; by the text, correctly rounded.

    Returns
    -------
    ndarray
        Codes.

    Raises
    ------
    RangeError, ShapeError, DTypeError
        If a value is not allowed.

    Examples
    --------
    >>> qlinear_softmax(np.int8([0, 0, 10]), np.float32(0.1), 0, np.float32(1 / 256), np.uint8(0))
    array([ 54,  54, 147], dtype=uint8)
    """
    operand = check_codes(x, x_scale, x_zero_point, "x")
    y = check_target(y_scale, y_zero_point, operand.codes.dtype)
    where = normalize_axis(axis, operand.codes.ndim)
    if not operand.codes.size:
        return np.zeros(operand.codes.shape, y.dtype)
    rows = operand._replace(codes=np.moveaxis(operand.codes, where, -1))
    return np.moveaxis(semantics.elementwise.softmax(rows, y), -1, where)
