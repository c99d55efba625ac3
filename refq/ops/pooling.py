"""Integer pooling: the largest or the mean of every window of codes.

Problem
-------
Pool codes without leaving the integers, so that the result means what the text says.

Equation
--------
``max`` over the window; or ``round(sum (q - z) / count) + z``, count without the padding.

Conventions
-----------
Images are (batch, channels, height, width); scale and zero point pass through unchanged. Padding
never wins a maximum and never counts in a mean. The mean's zero point matters only where a tie
does not go up: round-half-even does not commute with adding an odd number. Tier T1.

References
----------
.. [1] ONNX operator specification, MaxPool, AveragePool (count_include_pad=0), GlobalAveragePool.
"""

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from ..core.checks import check_integer
from ..core.errors import ShapeError
from ..core.fixed_point import divide_and_round
from .matmul import check_operand
from .windows import check_padding, check_pair, output_length

__all__ = [
    "average_pool",
    "check_images",
    "global_average_pool",
    "max_pool",
    "pooling_windows",
]

Padding = tuple[int, int, int, int]


def check_images(q: ArrayLike, name: str) -> NDArray[Any]:
    """Return codes that are images.

    Parameters
    ----------
    q : array_like of int8, uint8, int16 or uint16, shape (n, channels, height, width)
        Codes.
    name : str
        How messages call them.

    Returns
    -------
    ndarray
        The codes.

    Raises
    ------
    ShapeError
        If there are not four axes.
    DTypeError
        If the dtype is another.

    Examples
    --------
    >>> check_images(np.zeros((1, 1, 2, 2), np.int8), "x").shape
    (1, 1, 2, 2)
    """
    codes = check_operand(q, name)
    if codes.ndim != 4:
        raise ShapeError(
            f"{name} has shape {codes.shape}; (batch, channels, height, width) is needed"
        )
    return codes


def pooling_windows(
    x: NDArray[Any], size: tuple[int, int], steps: tuple[int, int], sides: Padding, fill: int
) -> NDArray[Any]:
    """Return views of the padded windows.

    Parameters
    ----------
    x : ndarray, shape (n, channels, height, width)
        Images.
    size, steps : pair of int
        Of the windows, and from one to the next.
    sides : four of int
        Padding: top, left, bottom, right.
    fill : int
        What padding holds.

    Returns
    -------
    ndarray, shape (n, channels, out_height, out_width, *size)
        A view of the padded images.

    Raises
    ------
    ShapeError
        If padding is not below the window's size, or no window fits.

    Examples
    --------
    >>> x = np.arange(4).reshape(1, 1, 2, 2)
    >>> pooling_windows(x, (2, 2), (1, 1), (1, 0, 0, 0), 9)[0, 0, 0, 0]
    array([[9, 9],
           [0, 1]])
    """
    top, left, bottom, right = sides
    for axis in (0, 1):
        if max(sides[axis], sides[axis + 2]) >= size[axis]:
            raise ShapeError(
                f"padding {sides} must be below the kernel's {size}: a window would hold no code"
            )
        output_length(
            x.shape[2 + axis], size[axis], steps[axis], 1, sides[axis] + sides[axis + 2],
            ("height", "width")[axis],
        )  # fmt: skip
    width = ((0, 0), (0, 0), (top, bottom), (left, right))
    padded = np.pad(x, width, constant_values=fill)
    return sliding_window_view(padded, size, axis=(2, 3))[:, :, :: steps[0], :: steps[1]]


def max_pool(
    q: ArrayLike,
    kernel: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, ...] = 0,
) -> NDArray[Any]:
    """Return the largest code of every window.

    Parameters
    ----------
    q : array_like of int8, uint8, int16 or uint16, shape (n, channels, height, width)
        Codes.
    kernel : int or pair of int
        The window's size.
    stride : int, pair of int or None
        None means the window's size.
    padding : int, pair or four of int
        Below the window's size; never wins.

    Returns
    -------
    ndarray, shape (n, channels, out_height, out_width)
        Codes of q's dtype, scale and zero point.

    Raises
    ------
    ShapeError
        If shapes or sizes do not fit.

    Notes
    -----
    Exact for any scale, since quantization is monotone. Tier T1.

    Examples
    --------
    >>> max_pool(np.arange(16, dtype=np.uint8).reshape(1, 1, 4, 4), 2)
    array([[[[ 5,  7],
             [13, 15]]]], dtype=uint8)
    """
    codes, size = check_images(q, "q"), check_pair(kernel, "kernel")
    steps = size if stride is None else check_pair(stride, "stride")
    lowest = int(np.iinfo(codes.dtype).min)
    windows = pooling_windows(codes, size, steps, check_padding(padding), lowest)
    return np.asarray(windows.max(axis=(4, 5)))


def average_pool(
    q: ArrayLike,
    kernel: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, ...] = 0,
    *,
    zero_point: int = 0,
    rounding: str = "half_even",
) -> NDArray[Any]:
    """Return the mean of every window of codes, rounded once.

    Parameters
    ----------
    q : array_like of int8, uint8, int16 or uint16, shape (n, channels, height, width)
        Codes.
    kernel : int or pair of int
        The window's size.
    stride : int, pair of int or None
        None means the window's size.
    padding : int, pair or four of int
        Below the window's size; not counted.
    zero_point : int
        The code that means zero.
    rounding : {"half_even", "half_away", "half_up"}
        Where a tie of ``mean - zero_point`` goes.

    Returns
    -------
    ndarray, shape (n, channels, out_height, out_width)
        Codes of q's dtype, scale and zero point.

    Raises
    ------
    ShapeError
        If shapes or sizes do not fit.
    RangeError
        If the rounding is unknown, or the zero point is no code.

    Notes
    -----
    At most 1/2 from the exact mean. Sums are int64: they cannot overflow. Tier T1.

    Examples
    --------
    >>> q = np.uint8([[[[3, 4], [4, 3]]]])
    >>> average_pool(q, 2).item(), average_pool(q, 2, zero_point=1).item()
    (4, 3)
    """
    codes, size = check_images(q, "q"), check_pair(kernel, "kernel")
    steps = size if stride is None else check_pair(stride, "stride")
    sides, z = check_padding(padding), _code(zero_point, codes)
    sums = pooling_windows(codes.astype(np.int64) - z, size, steps, sides, 0).sum(axis=(4, 5))
    ones = np.ones((1, 1, *codes.shape[2:]), np.int64)
    counts = pooling_windows(ones, size, steps, sides, 0).sum(axis=(4, 5))
    return (divide_and_round(sums, counts, rounding) + z).astype(codes.dtype)


def global_average_pool(
    q: ArrayLike, zero_point: int = 0, *, rounding: str = "half_even"
) -> NDArray[Any]:
    """Return the mean code of every channel, rounded once.

    Parameters
    ----------
    q : array_like of int8, uint8, int16 or uint16, shape (n, channels, height, width)
        Codes; height and width at least one.
    zero_point : int
        The code that means zero.
    rounding : {"half_even", "half_away", "half_up"}
        Where a tie of ``mean - zero_point`` goes.

    Returns
    -------
    ndarray, shape (n, channels, 1, 1)
        Codes of q's dtype, scale and zero point.

    Raises
    ------
    ShapeError
        If there are no pixels.
    RangeError
        If the rounding is unknown, or the zero point is no code.

    Notes
    -----
    At most 1/2 from the exact mean. Tier T1.

    Examples
    --------
    >>> global_average_pool(np.int8([[[[-3, -4]]]])).item(), global_average_pool(
    ...     np.int8([[[[-3, -4]]]]), zero_point=1
    ... ).item()
    (-4, -3)
    """
    codes = check_images(q, "q")
    z, count = _code(zero_point, codes), codes.shape[2] * codes.shape[3]
    if count == 0:
        raise ShapeError(f"q has shape {codes.shape}: the mean of no pixels is not defined")
    sums = (codes.astype(np.int64) - z).sum(axis=(2, 3), keepdims=True)
    return (divide_and_round(sums, count, rounding) + z).astype(codes.dtype)


def _code(zero_point: Any, codes: NDArray[Any]) -> int:
    info = np.iinfo(codes.dtype)
    return check_integer(zero_point, "zero_point", int(info.min), int(info.max))
