"""Quantize and dequantize: numbers to codes and back, per tensor, per axis, by blocks.

Problem
-------
Store a number as a small integer, with a scale and a zero point shared by many.

Equation
--------
``y = saturate(round_half_even(x / scale) + zero_point)`` and ``x' = (y - zero_point) * scale``.

Conventions
-----------
The scale's dtype is the dtype of the division and of the decoded numbers. A Python float has no
dtype: it counts as float32, or as float64 where `x` is float64. Codes come in the smallest NumPy
dtype of their format. Tier T1.

References
----------
.. [1] ONNX operator specification, QuantizeLinear and DequantizeLinear.
   https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import (
    check_array,
    check_choice,
    check_integer,
    check_integer_array,
    check_scale,
    shown,
)
from ..core.errors import DTypeError, RangeError, ShapeError
from ..core.quantize_rule import QuantizeRule, sum_to_float32
from ..core.rounding import NAN_POLICIES
from ..core.semantics import ONNX, Semantics
from ..core.twins import jit_enabled, kernel, subroutine
from ..formats import Format, Integer
from ..formats import get as get_format
from .axes import along_axis, channel_view, over_blocks

__all__ = ["check_zero_point", "dequantize_linear", "integer_format", "quantize_linear"]

#: Format names by the NumPy dtype of a zero point.
DTYPE_FORMATS = ("int8", "uint8", "int16", "uint16", "int32")


def integer_format(format: str | Format | None, zero_point: Any = None) -> Integer:
    """Return the integer format of codes: as asked for, else the zero point's dtype, else uint8.

    Parameters
    ----------
    format : str, Format or None
        An integer format of at most 32 bits, or None.
    zero_point : int, array_like or None
        A NumPy integer or array has a dtype that names a format; a Python int has none.

    Returns
    -------
    Integer
        The format.

    Raises
    ------
    DTypeError
        If the format is no integer one or has more than 32 bits, or the dtype names none.

    Examples
    --------
    >>> integer_format(None).name, integer_format(None, np.int8(3)).name
    ('uint8', 'int8')
    """
    if format is None:
        plain = zero_point is None or type(zero_point) is int
        format = "uint8" if plain else np.asarray(zero_point).dtype.name
        if format not in DTYPE_FORMATS:
            raise DTypeError(
                f"zero_point has dtype {format}, which names no format of codes; pass format=, "
                f"or a zero point of {', '.join(DTYPE_FORMATS)}"
            )
    found = get_format(format)
    if not isinstance(found, Integer) or found.bits > 32:
        raise DTypeError(
            f"format = {found.name!r} is not defined here; "
            "allowed: int1 to int16, uint1 to uint16, int32, uint32"
        )
    return found


def check_zero_point(
    zero_point: Any, low: int, high: int, name: str = "zero_point"
) -> NDArray[np.int64]:
    """Return a zero point as int64 in which every element is a code; None is zero.

    Parameters
    ----------
    zero_point : int, array_like of integers, or None
        The codes that mean zero.
    low, high : int
        The inclusive range of codes.
    name : str
        How messages call it.

    Returns
    -------
    ndarray of int64
        Same shape.

    Raises
    ------
    RangeError
        Naming the first zero point that is no code.

    Examples
    --------
    >>> check_zero_point([3, 300], 0, 255)
    Traceback (most recent call last):
    refq.core.errors.RangeError: zero_point[1] = 300 must be in [0, 255]
    """
    z = check_integer_array(0 if zero_point is None else zero_point, name)
    bad = (z < low) | (z > high)
    if bad.any():
        index = np.unravel_index(int(np.argmax(bad)), z.shape)
        where = shown(index) if z.ndim else ""
        raise RangeError(f"{name}{where} = {z[index]} must be in [{low}, {high}]")
    return z.astype(np.int64)


def _checked_scale(scale: Any, x_dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the scale in the dtype that the division has."""
    if type(scale) in (float, int):
        wide = x_dtype == np.float64
        scale = np.float64(scale) if wide else _narrowed(float(scale))
    given = check_array(scale, "scale")
    checked = check_scale(given)
    return checked.astype(np.float16) if given.dtype == np.float16 else checked


def _narrowed(scale: float) -> np.float32:
    with np.errstate(all="ignore"):  # what becomes zero or infinite is refused by name below
        return np.float32(scale)


def _spread(
    parameter: NDArray[Any], shape: tuple[int, ...], axis: int, block_size: int | None, name: str
) -> NDArray[Any]:
    """Return a scale or zero point that broadcasts against `shape`."""
    if block_size is not None:
        size = check_integer(block_size, "block_size", 1)
        if parameter.ndim:
            return over_blocks(parameter, shape, axis, size, name)
    if parameter.ndim == 1 and parameter.size == 1 and block_size is None:
        parameter = parameter.reshape(())  # a tensor of size 1 is a scalar
    if parameter.ndim == 0:
        return parameter
    if parameter.ndim > 1:
        raise ShapeError(
            f"{name} has shape {parameter.shape}; without block_size it must be a scalar, "
            f"or one-dimensional along axis {axis}"
        )
    return along_axis(parameter, shape, axis, name)


def _check_alike(scale: NDArray[Any], zero_point: NDArray[Any]) -> None:
    if zero_point.size != 1 and scale.shape != zero_point.shape:
        raise ShapeError(
            f"zero_point has shape {zero_point.shape}, scale has {scale.shape}; they must be equal"
        )


def _quantize_definition(
    x: NDArray[Any],
    scale: NDArray[Any],
    zero_point: NDArray[Any],
    low: int,
    high: int,
    like: NDArray[Any],
) -> NDArray[Any]:
    """Return codes by the text's rule; `x` (outer, channels, inner), one scale per channel."""
    spread, z = scale[None, :, None], zero_point[None, :, None]
    return QuantizeRule(precision="float32").apply(x, spread, z, low, high, like.dtype)


@subroutine
def _code(x: Any, scale: Any, zero_point: Any, low: int, high: int) -> Any:
    """Clip in float to the range less the zero point (exact: 17 bits), cast, then add it."""
    level = max(np.rint(x / scale), np.float32(low - zero_point))
    return np.int32(min(level, np.float32(high - zero_point))) + np.int32(zero_point)


@kernel(_quantize_definition)
def _quantize_kernel(
    x: NDArray[Any],
    scale: NDArray[Any],
    zero_point: NDArray[Any],
    low: int,
    high: int,
    like: NDArray[Any],
) -> NDArray[Any]:
    """One pass; where the channels are the last axis, they make the inner loop."""
    outer, channels, inner = x.shape
    y = np.empty((outer, channels, inner), like.dtype)
    for o in range(outer):
        if inner == 1:
            for c in range(channels):
                y[o, c, 0] = _code(x[o, c, 0], scale[c], zero_point[c], low, high)
        else:
            for c in range(channels):
                for i in range(inner):
                    y[o, c, i] = _code(x[o, c, i], scale[c], zero_point[c], low, high)
    return y


def _dequantize_definition(
    q: NDArray[Any], scale: NDArray[Any], zero_point: NDArray[Any]
) -> NDArray[Any]:
    """Return numbers in float32; `q` (outer, channels, inner) of at most 16 bits."""
    difference = q.astype(np.int64) - zero_point[None, :, None]
    with np.errstate(all="ignore"):
        product = difference.astype(np.float32) * scale[None, :, None]
    return np.asarray(product, np.float32)


@kernel(_dequantize_definition)
def _dequantize_kernel(
    q: NDArray[Any], scale: NDArray[Any], zero_point: NDArray[Any]
) -> NDArray[Any]:
    """Widen to int32, subtract, widen to float32 (exact: 17 bits), multiply once."""
    outer, channels, inner = q.shape
    x = np.empty((outer, channels, inner), np.float32)
    for o in range(outer):
        if inner == 1:
            for c in range(channels):
                difference = np.int32(np.int32(q[o, c, 0]) - np.int32(zero_point[c]))
                x[o, c, 0] = np.float32(difference) * scale[c]
        else:
            for c in range(channels):
                for i in range(inner):
                    difference = np.int32(np.int32(q[o, c, i]) - np.int32(zero_point[c]))
                    x[o, c, i] = np.float32(difference) * scale[c]
    return x


def _kernel_axis(scale: NDArray[Any], shape: tuple[int, ...], axis: int) -> int | None:
    """Return the axis that the kernels see: None for one scale."""
    return None if scale.size == 1 or not shape else axis


def _channels(parameter: NDArray[Any], count: int) -> NDArray[Any]:
    return np.ascontiguousarray(np.broadcast_to(parameter.ravel(), (count,)))


def quantize_linear(
    x: ArrayLike,
    scale: ArrayLike,
    zero_point: ArrayLike | None = None,
    *,
    format: str | Format | None = None,
    axis: int = 1,
    block_size: int | None = None,
    nan: str | None = None,
    semantics: Semantics = ONNX,
) -> NDArray[Any]:
    """Return the codes of `x`.

    Parameters
    ----------
    x : array_like
        Real numbers; rounded once to the dtype of the division. Infinities saturate.
    scale : array_like
        A scalar; or one per index of `axis`; or, with `block_size`, one per block. A scale of one
        element is a scalar.
    zero_point : int, array_like of integers, or None
        Codes, of the scale's shape or a scalar. None is zero.
    format : str, Format or None
        An integer format; None means the zero point's dtype, else uint8. A plain Python integer as
        zero point has no dtype and takes `format`.
    axis : int
        The axis of the scales; a scalar scale ignores it.
    block_size : int or None
        The length of a block along `axis`; the last may be smaller.
    nan : {"error", "zero", "low", "high"} or None
        What NaN becomes; None means what `semantics` says. "zero" is the zero point.
    semantics : Semantics
        Whose arithmetic; the default is ONNX's text.

    Returns
    -------
    ndarray
        Codes in the format's dtype, of x's shape.

    Raises
    ------
    RangeError
        If a scale is not finite and positive, a zero point is no code, or `x` holds NaN; with the
        index.
    ShapeError
        If scale or zero point do not fit.
    DTypeError
        If the format is not an integer one.

    Notes
    -----
    In exact arithmetic an in-range `x` is decoded to within scale / 2. Tier T1.

    References
    ----------
    .. [1] ONNX operator specification, QuantizeLinear.

    Examples
    --------
    >>> quantize_linear(np.float32([0.25, 0.75, 99]), np.float32(0.5), np.int8(1))
    array([  1,   3, 127], dtype=int8)
    >>> quantize_linear(np.float32([[1.0], [1.0]]), np.float32([1, 0.5]), format="int4", axis=0)
    array([[1],
           [2]], dtype=int8)
    """
    target = integer_format(format, zero_point)
    a = check_array(x)
    s = _checked_scale(scale, a.dtype)
    z = check_zero_point(zero_point, target.low, target.high)
    _check_alike(s, z)
    axes = 0 if s.size == 1 else s.ndim
    rule = semantics.quantize_rule(axes, target.bits, block_size is not None)
    policy = rule.nan if nan is None else check_choice(nan, "nan", NAN_POLICIES)
    spread = _spread(s, a.shape, axis, block_size, "scale")
    spread_z = _spread(z, a.shape, axis, block_size, "zero_point")
    if _kernel_serves(a, s, rule, target, block_size):
        where = _kernel_axis(s, a.shape, axis)
        view = channel_view(a, where)
        like = np.empty(0, target.dtype)
        scales, zeros = (_channels(p, view.shape[1]) for p in (s, z))
        return _quantize_kernel(view, scales, zeros, target.low, target.high, like).reshape(a.shape)
    chosen = replace(rule, nan=policy)
    return chosen.apply(a, spread, spread_z, target.low, target.high, target.dtype)


def _kernel_serves(
    x: NDArray[Any],
    scale: NDArray[Any],
    rule: QuantizeRule,
    target: Integer,
    block_size: int | None,
) -> bool:
    """Return whether the kernel computes this case: float32 by the text, not by blocks, no NaN."""
    text = (rule.quotient, rule.rounding, rule.zero_point) == ("divide", "half_even", "after")
    text = text and rule.precision in ("scale", "float32")
    plain = x.dtype == scale.dtype == np.float32 and target.bits <= 16
    if not (text and plain and jit_enabled()) or (block_size is not None and scale.ndim):
        return False
    return not (x.size and bool(np.isnan(np.min(x))))  # the minimum of anything with NaN is NaN


def dequantize_linear(
    q: ArrayLike,
    scale: ArrayLike,
    zero_point: ArrayLike | None = None,
    *,
    axis: int = 1,
    block_size: int | None = None,
) -> NDArray[Any]:
    """Return the numbers that codes mean: ``(q - zero_point) * scale``.

    Parameters
    ----------
    q : array_like of integers
        Codes of at most 32 bits.
    scale : array_like
        As in `quantize_linear`.
    zero_point : int, array_like of integers, or None
        Of the scale's shape or a scalar. None is zero.
    axis : int
        The axis of the scales; a scalar scale ignores it.
    block_size : int or None
        The length of a block along `axis`; the last may be smaller.

    Returns
    -------
    ndarray
        In the dtype of the scale (float32 for a Python float), of q's shape.

    Raises
    ------
    RangeError
        If a scale is not finite and positive, or a zero point is outside q's dtype.
    ShapeError
        If scale or zero point do not fit.
    DTypeError
        If `q` does not hold integers of at most 32 bits.

    Notes
    -----
    The difference is exact, and its product with the scale is rounded once, also where the
    difference needs more than float32's 24 bits. Tier T1.

    References
    ----------
    .. [1] ONNX operator specification, DequantizeLinear.

    Examples
    --------
    >>> dequantize_linear(np.uint8([0, 128, 255]), np.float32(0.5), np.uint8(128))
    array([-64. ,   0. ,  63.5], dtype=float32)
    """
    codes = check_integer_array(q, "q")
    if codes.dtype.itemsize > 4:
        raise DTypeError(f"q has dtype {codes.dtype}; codes have at most 32 bits: cast it first")
    info = np.iinfo(codes.dtype)
    s = _checked_scale(scale, np.dtype(np.float32))
    z = check_zero_point(zero_point, int(info.min), int(info.max))
    _check_alike(s, z)
    spread = _spread(s, codes.shape, axis, block_size, "scale")
    spread_z = _spread(z, codes.shape, axis, block_size, "zero_point")
    narrow = s.dtype == np.float32 and codes.dtype.itemsize <= 2
    if narrow and (block_size is None or not s.ndim):
        view = channel_view(codes, _kernel_axis(s, codes.shape, axis))
        scales, zeros = (_channels(p, view.shape[1]) for p in (s, z))
        return _dequantize_kernel(view, scales, zeros).reshape(codes.shape)
    return _scaled_once(codes.astype(np.int64) - spread_z, spread)


def _scaled_once(difference: NDArray[np.int64], scale: NDArray[Any]) -> NDArray[Any]:
    """Return ``difference * scale`` in the scale's dtype, rounded once; at most 33 bits."""
    with np.errstate(all="ignore"):
        if scale.dtype == np.float64:
            return np.asarray(difference.astype(np.float64) * scale)
        # both halves times 24 bits are exact in float64, their sum is rounded to float32 once
        wide = scale.astype(np.float64)
        low = (difference & 0xFFFF).astype(np.float64) * wide
        high = (difference - (difference & 0xFFFF)).astype(np.float64) * wide
        if scale.dtype == np.float32:
            return sum_to_float32(high, low)
        return np.asarray(high + low, np.float16)  # 33 + 11 bits: the sum is exact
