"""Element by element: the residual add in integers, and ReLU as a clip of codes.

Problem
-------
The two branches of a residual add have different scales; their sum has a third.

Equation
--------
``y = clip(round((a - za) ma 2^-sa + (b - zb) mb 2^-sb) + zy)``, and
``y = clip(round((a - za) (b - zb) m 2^-s) + zy)``

Conventions
-----------
``ma * 2^-sa`` stands for ``a_scale / y_scale`` (see `fixed_point_multiplier`), ``m * 2^-s`` for
``a_scale * b_scale / y_scale``. The two products of a sum meet in int64, on the finer of the two
grids, and are rounded once, a tie up. The operators by scales are in `qlinear_elementwise`.
Tier T1.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import check_integer
from ..core.errors import DTypeError, RangeError, ShapeError
from ..core.twins import kernel
from ..formats.integers import clip_integers
from .matmul import check_operand
from .requantization import requantize_fixed_point

__all__ = ["add_integer", "clamp", "multiply_integer", "relu"]

INT32 = (-(1 << 31), (1 << 31) - 1)


def _add_definition(
    a: NDArray[Any],
    a_zero_point: int,
    a_factor: int,
    b: NDArray[Any],
    b_zero_point: int,
    b_factor: int,
    shift: int,
    zero_point: int,
    low: int,
    high: int,
    like: NDArray[Any],
) -> NDArray[Any]:
    """Add two arrays of one axis on a common grid of ``2^-shift``, round once."""
    total = (a.astype(np.int64) - a_zero_point) * a_factor
    total += (b.astype(np.int64) - b_zero_point) * b_factor
    codes = ((total + (1 << (shift - 1))) >> shift) + zero_point
    return np.clip(codes, low, high).astype(like.dtype)


@kernel(_add_definition)
def _add_kernel(
    a: NDArray[Any],
    a_zero_point: int,
    a_factor: int,
    b: NDArray[Any],
    b_zero_point: int,
    b_factor: int,
    shift: int,
    zero_point: int,
    low: int,
    high: int,
    like: NDArray[Any],
) -> NDArray[Any]:
    """Do the same in one pass."""
    y = np.empty(a.size, like.dtype)
    half = np.int64(1) << np.int64(shift - 1)
    for i in range(a.size):
        total = (np.int64(a[i]) - a_zero_point) * a_factor
        total += (np.int64(b[i]) - b_zero_point) * b_factor
        code = ((total + half) >> np.int64(shift)) + zero_point
        y[i] = min(max(code, low), high)
    return y


def _factors(
    a: NDArray[Any], a_mantissa: int, a_shift: int, b: NDArray[Any], b_mantissa: int, b_shift: int
) -> tuple[int, int, int]:
    """Return both factors on the common grid and its shift, if the sum fits int64."""
    shift = max(a_shift, b_shift)
    for x, own, name in ((a, a_shift, "a"), (b, b_shift, "b")):
        room = 61 - 31 - 8 * x.dtype.itemsize  # each product < 2^61, their sum and 1/2 < 2^63
        if shift - own > room:
            raise RangeError(
                f"a_shift = {a_shift} and b_shift = {b_shift}: {name} of {x.dtype} "
                f"allows a difference of {room}; the scales are too far apart"
            )
    return a_mantissa << (shift - a_shift), b_mantissa << (shift - b_shift), shift


def add_integer(
    a: ArrayLike,
    a_zero_point: int,
    a_mantissa: int,
    a_shift: int,
    b: ArrayLike,
    b_zero_point: int,
    b_mantissa: int,
    b_shift: int,
    y_zero_point: int,
    low: int,
    high: int,
    dtype: Any,
) -> NDArray[Any]:
    """Return the codes of the sum of two arrays of codes, in integers only, rounded once.

    Parameters
    ----------
    a : array_like of int8, uint8, int16 or uint16
        Codes.
    a_zero_point : int
        A code of a's dtype.
    a_mantissa, a_shift : int
        ``a_scale / y_scale`` as from `fixed_point_multiplier`; the shift at most 62.
    b : array_like of int8, uint8, int16 or uint16
        Codes, of a's shape.
    b_zero_point, b_mantissa, b_shift : int
        As for `a`.
    y_zero_point : int
        Added after rounding.
    low, high : int
        The inclusive range of codes.
    dtype : dtype
        An integer dtype that holds `low` and `high`.

    Returns
    -------
    ndarray of `dtype`
        Of a's shape.

    Raises
    ------
    ShapeError
        If the shapes differ.
    RangeError
        If an argument is out of its range, or the shifts differ by more than int64 has room for:
        22 for 8-bit codes, 14 for 16-bit codes.

    Notes
    -----
    Before saturation the result is at most 1/2 from the exact sum of both fixed-point products.
    Tier T1.

    Examples
    --------
    >>> one = (1 << 30, 30)  # both branches have the scale of the sum
    >>> a, b = np.int8([1, 100, -128]), np.int8([2, 100, -128])
    >>> add_integer(a, 0, *one, b, 0, *one, 0, -128, 127, np.int8)
    array([   3,  127, -128], dtype=int8)
    """
    x, y = check_operand(a, "a"), check_operand(b, "b")
    if x.shape != y.shape:
        raise ShapeError(f"a has shape {x.shape}, b has shape {y.shape}; they must be equal")
    zeros = []
    for codes, z, name in ((x, a_zero_point, "a_zero_point"), (y, b_zero_point, "b_zero_point")):
        info = np.iinfo(codes.dtype)
        zeros.append(check_integer(z, name, int(info.min), int(info.max)))
    ma = check_integer(a_mantissa, "a_mantissa", 1 << 30, INT32[1])
    mb = check_integer(b_mantissa, "b_mantissa", 1 << 30, INT32[1])
    sa, sb = check_integer(a_shift, "a_shift", 1, 62), check_integer(b_shift, "b_shift", 1, 62)
    zero = check_integer(y_zero_point, "y_zero_point", *INT32)
    limits = np.iinfo(dtype)
    check_integer(low, "low", int(limits.min), int(limits.max))
    check_integer(high, "high", low, int(limits.max))
    fa, fb, shift = _factors(x, ma, sa, y, mb, sb)
    flat = np.ascontiguousarray(x).ravel(), np.ascontiguousarray(y).ravel()
    out = _add_kernel(
        flat[0], zeros[0], fa, flat[1], zeros[1], fb, shift, zero, low, high, np.empty(0, dtype)
    )
    return out.reshape(x.shape)


def multiply_integer(
    a: ArrayLike,
    a_zero_point: int,
    b: ArrayLike,
    b_zero_point: int,
    mantissa: int,
    shift: int,
    y_zero_point: int,
    low: int,
    high: int,
    dtype: Any,
) -> NDArray[Any]:
    """Return the codes of the product of two arrays of codes, in integers only, rounded once.

    Parameters
    ----------
    a : array_like of int8 or uint8
        Codes.
    a_zero_point : int
        A code of a's dtype.
    b : array_like of int8 or uint8
        Codes, of a's shape.
    b_zero_point : int
        A code of b's dtype.
    mantissa, shift : int
        ``a_scale * b_scale / y_scale`` as from `fixed_point_multiplier`.
    y_zero_point : int
        Added after rounding.
    low, high : int
        The inclusive range of codes.
    dtype : dtype
        An integer dtype that holds `low` and `high`.

    Returns
    -------
    ndarray of `dtype`
        Of a's shape.

    Raises
    ------
    ShapeError
        If the shapes differ.
    RangeError
        If an argument is out of its range.
    DTypeError
        If the codes have more than 8 bits: their products are no int32.

    Notes
    -----
    A tie goes up. Before saturation at most 1/2 from the exact fixed-point product. Tier T1.

    Examples
    --------
    >>> half = (1 << 30, 31)
    >>> multiply_integer(np.int8([3, -3]), 0, np.int8([5, 5]), 0, *half, 0, -128, 127, np.int8)
    array([ 8, -7], dtype=int8)
    """
    x, y = check_operand(a, "a"), check_operand(b, "b")
    if x.shape != y.shape:
        raise ShapeError(f"a has shape {x.shape}, b has shape {y.shape}; they must be equal")
    differences = []
    for codes, z, name in ((x, a_zero_point, "a"), (y, b_zero_point, "b")):
        if codes.dtype.itemsize > 1:
            raise DTypeError(f"{name} has dtype {codes.dtype}; allowed: int8, uint8")
        info = np.iinfo(codes.dtype)
        zero = check_integer(z, f"{name}_zero_point", int(info.min), int(info.max))
        differences.append(codes.astype(np.int32) - np.int32(zero))
    product = differences[0] * differences[1]  # below 2^16
    return requantize_fixed_point(product, mantissa, shift, y_zero_point, low, high, dtype)


def clamp(q: ArrayLike, low: int, high: int) -> NDArray[Any]:
    """Clip codes to [low, high]: ReLU6 and its like, in codes.

    Parameters
    ----------
    q : array_like of int8, uint8, int16 or uint16
        Codes.
    low, high : int
        Inclusive codes.

    Returns
    -------
    ndarray
        Of q's dtype and shape.

    Raises
    ------
    RangeError
        If a limit is no code of q's dtype, or ``low > high``.

    Examples
    --------
    >>> clamp(np.int8([-5, 0, 9]), -1, 6)
    array([-1,  0,  6], dtype=int8)
    """
    codes = check_operand(q, "q")
    info = np.iinfo(codes.dtype)
    bottom = check_integer(low, "low", int(info.min), int(info.max))
    return clip_integers(codes, bottom, check_integer(high, "high", bottom, int(info.max)))


def relu(q: ArrayLike, zero_point: int = 0) -> NDArray[Any]:
    """Replace every code that means a negative number by the zero point.

    Parameters
    ----------
    q : array_like of int8, uint8, int16 or uint16
        Codes; scale and zero point pass through.
    zero_point : int
        The code that means zero.

    Returns
    -------
    ndarray
        Of q's dtype and shape.

    Raises
    ------
    RangeError
        If the zero point is no code of q's dtype.

    Examples
    --------
    >>> relu(np.uint8([0, 128, 200]), 128)
    array([128, 128, 200], dtype=uint8)
    """
    codes = check_operand(q, "q")
    return clamp(codes, zero_point, int(np.iinfo(codes.dtype).max))
