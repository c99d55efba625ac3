"""Average pooling from one scale to another: QLinearAveragePool, QLinearGlobalAveragePool.

Problem
-------
A mean of codes may want a finer scale than the codes have.

Equation
--------
``y = saturate(round(mean(x - x_zero_point) * x_scale / y_scale) + y_zero_point)``

Conventions
-----------
Images are (batch, channels, height, width). Names and order of the arguments are those of ONNX
Runtime's com.microsoft operators; where scale and zero point pass through unchanged,
`refq.ops.average_pool` needs none. A window that is the whole image, without padding, is a global
mean. Tier T1.

References
----------
.. [1] ONNX Runtime, docs/ContribOperators.md: com.microsoft.QLinearAveragePool,
   QLinearGlobalAveragePool.
.. [2] ONNX operator specification, AveragePool: count_include_pad.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.elementwise_rule import Operand
from ..core.errors import ShapeError
from ..core.semantics import ONNX, Semantics
from .pooling import check_images, pooling_windows
from .qlinear_elementwise import check_codes, check_target
from .windows import check_padding, check_pair

__all__ = ["qlinear_average_pool", "qlinear_global_average_pool"]


def qlinear_average_pool(
    x: ArrayLike,
    x_scale: ArrayLike,
    x_zero_point: ArrayLike | None,
    y_scale: ArrayLike,
    y_zero_point: ArrayLike | None = None,
    *,
    kernel: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, ...] = 0,
    count_include_pad: bool = False,
    semantics: Semantics = ONNX,
) -> NDArray[Any]:
    """Return the codes of the mean of every window.

    Parameters
    ----------
    x : array_like of int8, uint8, int16 or uint16, shape (n, channels, height, width)
        Codes.
    x_scale, x_zero_point : array_like
        One each; a zero point of None is zero.
    y_scale, y_zero_point : array_like
        Of the result; the zero point's dtype is the dtype of the codes, else x's.
    kernel : int or pair of int
        The window's size.
    stride : int, pair of int or None
        None means the window's size.
    padding : int, pair or four of int
        Below the window's size; stands for zeros.
    count_include_pad : bool
        Whether the mean divides by the window's size, padding included.
    semantics : Semantics
        Whose arithmetic.

    Returns
    -------
    ndarray, shape (n, channels, out_height, out_width)
        Codes.

    Raises
    ------
    ShapeError
        If shapes or sizes do not fit.
    RangeError, DTypeError
        If a value is not allowed.

    Notes
    -----
    By the text, before saturation, at most y_scale / 2 from the exact mean. Tier T1.

    Examples
    --------
    >>> q, one, half = np.uint8([[[[3, 4], [4, 3]]]]), np.float32(1), np.float32(0.5)
    >>> qlinear_average_pool(q, one, 0, half, kernel=2).item()
    7
    """
    operand = check_codes(check_images(x, "x"), x_scale, x_zero_point, "x")
    size = check_pair(kernel, "kernel")
    steps = size if stride is None else check_pair(stride, "stride")
    sides = check_padding(padding)
    y = check_target(y_scale, y_zero_point, operand.codes.dtype)
    if size == operand.codes.shape[2:] and not any(sides):
        return _global(operand, y_scale, y_zero_point, semantics)
    codes = operand.codes.astype(np.int64)
    windows = pooling_windows(codes, size, steps, sides, operand.zero_point)
    ones = np.ones((1, 1, *codes.shape[2:]), np.int64)
    fill = 1 if count_include_pad else 0
    count = pooling_windows(ones, size, steps, sides, fill).sum(axis=(4, 5))
    flat = windows.reshape(*windows.shape[:4], size[0] * size[1])
    return semantics.elementwise.mean(operand._replace(codes=flat), count, y)


def qlinear_global_average_pool(
    x: ArrayLike,
    x_scale: ArrayLike,
    x_zero_point: ArrayLike | None,
    y_scale: ArrayLike,
    y_zero_point: ArrayLike | None = None,
    *,
    semantics: Semantics = ONNX,
) -> NDArray[Any]:
    """Return the codes of the mean of every channel.

    Parameters
    ----------
    x : array_like of int8, uint8, int16 or uint16, shape (n, channels, height, width)
        Codes; height and width at least one.
    x_scale, x_zero_point : array_like
        One each; a zero point of None is zero.
    y_scale, y_zero_point : array_like
        Of the result; the zero point's dtype is the dtype of the codes, else x's.
    semantics : Semantics
        Whose arithmetic.

    Returns
    -------
    ndarray, shape (n, channels, 1, 1)
        Codes.

    Raises
    ------
    ShapeError
        If there are no pixels.
    RangeError, DTypeError
        If a value is not allowed.

    Notes
    -----
    By the text, before saturation, at most y_scale / 2 from the exact mean. Tier T1.

    Examples
    --------
    >>> q, one, half = np.uint8([[[[3, 4], [4, 4]]]]), np.float32(1), np.float32(0.5)
    >>> qlinear_global_average_pool(q, one, 0, half, np.uint8(1)).item()
    9
    """
    operand = check_codes(check_images(x, "x"), x_scale, x_zero_point, "x")
    return _global(operand, y_scale, y_zero_point, semantics)


def _global(
    operand: Operand, y_scale: ArrayLike, y_zero_point: ArrayLike | None, semantics: Semantics
) -> NDArray[Any]:
    n, channels, height, width = operand.codes.shape
    if height * width == 0:
        raise ShapeError(f"x has shape {operand.codes.shape}: no pixels have no mean")
    y = check_target(y_scale, y_zero_point, operand.codes.dtype)
    pixels = operand._replace(codes=operand.codes.reshape(n, channels, height * width))
    return semantics.elementwise.global_mean(pixels, y).reshape(n, channels, 1, 1)
