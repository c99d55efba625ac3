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

Small floats are formats too (float8, float6, float4): the quotient is rounded to the scale's dtype,
as everywhere, and then *cast* to the format by the cast rule of the semantics; there is no zero
point. Their codes are bit patterns in uint8.

ONNX's attributes have these places here: `output_dtype` of QuantizeLinear is `format`, `precision`
is the field of that name of the semantics' `QuantizeRule`, `saturate`, `axis` and `block_size` keep
their names. ONNX asks of block_size B, for an axis of length D and S scales, that
``ceil(D/S) <= B <= ceil(D/(S - 1)) - 1``; that is the same as S = ceil(D/B), which is checked.

References
----------
.. [1] ONNX operator specification, QuantizeLinear and DequantizeLinear.
   https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ..core.checks import (
    check_array,
    check_choice,
    check_integer,
    check_integer_array,
    check_scale,
    shown,
)
from ..core.dequantize_rule import DequantizeRule
from ..core.errors import DTypeError, RangeError, ShapeError
from ..core.quantize_rule import QuantizeRule
from ..core.rounding import NAN_POLICIES
from ..core.semantics import ONNX, Semantics
from ..core.twins import jit_enabled
from ..formats import Format, Integer, Minifloat
from ..formats import get as get_format
from .axes import along_axis, channel_view, over_blocks
from .quantize_kernels import dequantize_channels, quantize_channels
from .scalar_loops import in_scalar_loop

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


def _kernel_axis(scale: NDArray[Any], shape: tuple[int, ...], axis: int) -> int | None:
    """Return the axis that the kernels see: None for one scale."""
    return None if scale.size == 1 or not shape else axis


def _channels(parameter: NDArray[Any], count: int) -> NDArray[Any]:
    return np.ascontiguousarray(np.broadcast_to(parameter.ravel(), (count,)))


def _small_float(format: str | Format | None) -> Minifloat | None:
    """Return the format if it is a small float; the integer formats are judged elsewhere."""
    found = None if format is None else get_format(format)
    return found if isinstance(found, Minifloat) else None


def _refuse_zero_point(zero_point: Any, name: str) -> None:
    if zero_point is not None and np.any(np.asarray(zero_point)):
        raise RangeError(f"zero_point = {zero_point!r} must be None or 0: {name} has none")


def quantize_linear(
    x: ArrayLike,
    scale: ArrayLike,
    zero_point: ArrayLike | None = None,
    *,
    format: str | Format | None = None,
    axis: int = 1,
    block_size: int | None = None,
    saturate: bool = True,
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
        Codes, of the scale's shape or a scalar. None is zero; a small float has no other.
    format : str, Format or None
        An integer format or a small float; None means the zero point's dtype, else uint8. A plain
        Python integer as zero point has no dtype and takes `format`.
    axis : int
        The axis of the scales; a scalar scale ignores it.
    block_size : int or None
        The length of a block along `axis`; the last may be smaller.
    saturate : bool
        False: what overflows a small float becomes its infinity, or its NaN if it has no infinity;
        no effect on formats that have neither, and none on integers.
    nan : str or None
        What NaN becomes: "error", "zero" (the zero point), "low" or "high"; for a small float that
        has NaN "error" or "keep". None means what `semantics` says.
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
        If the format is neither an integer one nor a small float.

    Notes
    -----
    In exact arithmetic an in-range `x` is decoded to within scale / 2. Cost: one pass for float32
    over float32 scales by the text; temporaries as large as `x` otherwise. Tier T1.

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
    >>> quantize_linear(np.float32([2.0, -900.0]), np.float32(2), format="float8_e4m3fn")
    array([ 56, 254], dtype=uint8)
    """
    small = _small_float(format)
    target = integer_format(None if small else format, None if small else zero_point)
    a = check_array(x)
    s = _checked_scale(scale, a.dtype)
    axes = 0 if s.size == 1 else s.ndim
    rule = semantics.quantize_rule(axes, target.bits, block_size is not None)
    spread = _spread(s, a.shape, axis, block_size, "scale")
    if small is not None:
        _refuse_zero_point(zero_point, small.name)
        quotient = _quotient(a, spread, rule)
        return _cast(quotient, small, saturate, nan, semantics)
    z = check_zero_point(zero_point, target.low, target.high)
    _check_alike(s, z)
    if nan is not None:
        check_choice(nan, "nan", NAN_POLICIES)
    spread_z = _spread(z, a.shape, axis, block_size, "zero_point")
    if _kernel_serves(a, s, rule, target, block_size, semantics):
        where = _kernel_axis(s, a.shape, axis)
        view = channel_view(a, where)
        like = np.empty(0, target.dtype)
        scales, zeros = (_channels(p, view.shape[1]) for p in (s, z))
        codes, met_nan = quantize_channels(view, scales, zeros, target.low, target.high, like)
        if not met_nan:
            return codes.reshape(a.shape)
    arguments = (a, spread, spread_z, target.low, target.high, target.dtype)
    codes = _with_nan(rule, nan).apply(*arguments)
    if semantics.quantize_scalar is None:
        return codes
    loop = in_scalar_loop(a.shape, s, target.bits, axis, block_size)
    return np.where(loop, _with_nan(semantics.quantize_scalar, nan).apply(*arguments), codes)


def _with_nan(rule: QuantizeRule, nan: str | None) -> QuantizeRule:
    return rule if nan is None else replace(rule, nan=nan)


def _quotient(x: NDArray[Any], scale: NDArray[Any], rule: QuantizeRule) -> NDArray[Any]:
    """Return the quotient as the rule computes it, before any rounding to codes."""
    work = scale.dtype if rule.precision == "scale" else np.dtype(rule.precision)
    with np.errstate(all="ignore"):  # infinity overflows the format too; underflow rounds
        x, scale = x.astype(work, copy=False), scale.astype(work, copy=False)
        return np.asarray(x / scale if rule.quotient == "divide" else x * (1 / scale))


def _cast(
    x: NDArray[Any], form: Minifloat, saturate: bool, nan: str | None, semantics: Semantics
) -> NDArray[Any]:
    """Cast by the semantics' rule; without saturation to infinity, else to NaN."""
    rule = semantics.cast if nan is None else replace(semantics.cast, nan=nan)
    if not saturate and form.special_codes:
        beyond = "infinity" if "infinity" in form.special_codes else "nan"
        rule = replace(rule, overflow=beyond)
    return rule.apply(x, form)


def _kernel_serves(
    x: NDArray[Any],
    scale: NDArray[Any],
    rule: QuantizeRule,
    target: Integer,
    block_size: int | None,
    semantics: Semantics,
) -> bool:
    """Return whether the kernel computes this case: float32 by the text, not by blocks."""
    if semantics.quantize_scalar is not None and target.bits <= 4:
        return False
    text = type(rule) is QuantizeRule and rule.precision in ("scale", "float32")
    text = text and (rule.quotient, rule.rounding, rule.zero_point) == (
        "divide",
        "half_even",
        "after",
    )
    plain = x.dtype == scale.dtype == np.float32 and target.bits <= 16
    return text and plain and jit_enabled() and (block_size is None or not scale.ndim)


def dequantize_linear(
    q: ArrayLike,
    scale: ArrayLike,
    zero_point: ArrayLike | None = None,
    *,
    format: str | Format | None = None,
    axis: int = 1,
    block_size: int | None = None,
    output_dtype: DTypeLike | None = None,
    semantics: Semantics = ONNX,
) -> NDArray[Any]:
    """Return the numbers that codes mean: ``(q - zero_point) * scale``.

    Parameters
    ----------
    q : array_like of integers
        Codes of at most 32 bits.
    scale : array_like
        As in `quantize_linear`.
    zero_point : int, array_like of integers, or None
        Of the scale's shape or a scalar. None is zero; a small float has no other.
    format : str, Format or None
        What the codes mean. None: they are integers of their own dtype.
    axis : int
        The axis of the scales; a scalar scale ignores it.
    block_size : int or None
        The length of a block along `axis`; the last may be smaller.
    output_dtype : dtype or None
        float16, float32 or float64. None: the dtype of the scale.
    semantics : Semantics
        Whose arithmetic; the default is ONNX's text.

    Returns
    -------
    ndarray
        Of `output_dtype` (None: the scale's dtype, float32 for a Python float), of q's shape.

    Raises
    ------
    RangeError
        If a scale is not finite and positive, or a zero point is outside q's dtype or format.
    ShapeError
        If scale or zero point do not fit.
    DTypeError
        If `q` does not hold integers of at most 32 bits, or `output_dtype` is no float or cannot be
        reached by one rounding.
    FormatError
        If a code does not exist.

    Notes
    -----
    By the text the difference is exact, and its product with the scale is rounded once, also where
    the difference needs more than float32's 24 bits, and also where the output is narrower than
    the scale. Tier T1.

    References
    ----------
    .. [1] ONNX operator specification, DequantizeLinear.

    Examples
    --------
    >>> dequantize_linear(np.uint8([0, 128, 255]), np.float32(0.5), np.uint8(128))
    array([-64. ,   0. ,  63.5], dtype=float32)
    >>> dequantize_linear(np.uint8([56, 254]), np.float32(2), format="float8_e4m3fn")
    array([   2., -896.], dtype=float32)
    """
    codes = check_integer_array(q, "q")
    if codes.dtype.itemsize > 4:
        raise DTypeError(f"q has dtype {codes.dtype}; codes have at most 32 bits: cast it first")
    s = _checked_scale(scale, np.dtype(np.float32))
    dtype = _output_dtype(output_dtype, s.dtype, codes.dtype)
    spread = _spread(s, codes.shape, axis, block_size, "scale")
    small = _small_float(format)
    if small is not None:
        _refuse_zero_point(zero_point, small.name)
        return _product(small.decode(codes), spread, dtype)
    low, high = _range_of(codes, format)
    z = check_zero_point(zero_point, low, high)
    _check_alike(s, z)
    spread_z = _spread(z, codes.shape, axis, block_size, "zero_point")
    # differences of 17 bits and float32 scales: every rule that subtracts computes the same
    narrow = s.dtype == dtype == np.float32 and codes.dtype.itemsize <= 2
    narrow = narrow and type(semantics.dequantize) is DequantizeRule
    if narrow and (block_size is None or not s.ndim):
        view = channel_view(codes, _kernel_axis(s, codes.shape, axis))
        scales, zeros = (_channels(p, view.shape[1]) for p in (s, z))
        return dequantize_channels(view, scales, zeros).reshape(codes.shape)
    if dtype.itemsize < s.dtype.itemsize:
        return _product(codes.astype(np.int64) - spread_z, spread, dtype)
    rule = semantics.dequantize
    if s.size > 1 and semantics.dequantize_axis is not None:
        rule = semantics.dequantize_axis
    return rule.apply(codes, spread_z, spread.astype(dtype))


def _range_of(codes: NDArray[Any], format: str | Format | None) -> tuple[int, int]:
    """Return the range of integer codes, and refuse codes outside of it."""
    if format is None:
        info = np.iinfo(codes.dtype)
        return int(info.min), int(info.max)
    target = integer_format(format)
    target.check_codes(codes)
    return target.low, target.high


def _output_dtype(
    wanted: DTypeLike | None, scale: np.dtype[Any], codes: np.dtype[Any]
) -> np.dtype[Any]:
    """Return the dtype of the result; a narrower one must be reachable by one rounding."""
    dtype = scale if wanted is None else np.dtype(wanted)
    if dtype.kind != "f" or dtype.itemsize > 8:
        raise DTypeError(f"output_dtype = {dtype} must be float16, float32 or float64")
    wide = scale.itemsize == 8 or codes.itemsize > 2
    if dtype.itemsize < scale.itemsize and wide:
        raise DTypeError(
            f"output_dtype = {dtype} is narrower than the scale's {scale}, and the product of "
            f"{codes} codes with it would be rounded twice: cast the scale to {dtype} first"
        )
    return dtype


def _product(x: NDArray[Any], scale: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return ``x * scale`` rounded once: exact in float64 for 17 bits times 24."""
    with np.errstate(all="ignore"):
        if x.dtype == scale.dtype == dtype:
            return np.asarray(x * scale)
        return np.asarray(x.astype(np.float64) * scale.astype(np.float64)).astype(dtype)
