"""The kernels of quantize_linear and dequantize_linear, below their definitions.

Problem
-------
The NumPy one-liner reads and writes the array five times. One pass over it is bound by memory, so
the pass must do everything: divide, round, clip, cast, and find out whether there was a NaN.

Conventions
-----------
Arrays are (outer, channels, inner) with one scale and one zero point per channel. NaN becomes the
lowest code and is reported; who asks for another policy takes the definition's path.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.quantize_rule import QuantizeRule
from ..core.twins import kernel, subroutine

__all__ = ["dequantize_channels", "quantize_channels"]


def _quantize_definition(
    x: NDArray[Any],
    scale: NDArray[Any],
    zero_point: NDArray[Any],
    low: int,
    high: int,
    like: NDArray[Any],
) -> tuple[NDArray[Any], bool]:
    """Return codes by the text's rule, and whether there was a NaN."""
    spread, z = scale[None, :, None], zero_point[None, :, None]
    rule = QuantizeRule(precision="float32", nan="low")
    return rule.apply(x, spread, z, low, high, like.dtype), bool(np.isnan(x).any())


@subroutine
def _level(x: Any, scale: Any, low: Any, high: Any) -> Any:
    """Clip in float to the range less the zero point (exact: 17 bits); NaN becomes its low end."""
    level = np.rint(x / scale)
    level = level if level > low else low
    return level if level < high else high


@kernel(_quantize_definition)
def quantize_channels(
    x: NDArray[Any],
    scale: NDArray[Any],
    zero_point: NDArray[Any],
    low: int,
    high: int,
    like: NDArray[Any],
) -> tuple[NDArray[Any], bool]:
    """Quantize float32 numbers in one pass.

    Parameters
    ----------
    x : ndarray of float32, shape (outer, channels, inner)
        Any numbers.
    scale : ndarray of float32, shape (channels,)
        Finite and positive.
    zero_point : ndarray of int64, shape (channels,)
        Codes.
    low, high : int
        The inclusive range of codes, at most 16 bits.
    like : ndarray
        Empty, of the codes' dtype.

    Returns
    -------
    codes : ndarray, shape (outer, channels, inner)
        Of the dtype of `like`.
    met_nan : bool
        Whether there was a NaN.

    Notes
    -----
    Where the channels are the last axis, they make the inner loop. Tier T1.

    Examples
    --------
    >>> x = np.array([[[0.5, 1.5, np.nan]]], np.float32)
    >>> quantize_channels(x, np.float32([1]), np.array([3]), -128, 127, np.empty(0, np.int8))
    (array([[[   3,    5, -128]]], dtype=int8), True)
    """
    outer, channels, inner = x.shape
    lows, highs = np.empty(channels, np.float32), np.empty(channels, np.float32)
    zeros = np.empty(channels, np.int32)
    for c in range(channels):
        lows[c], highs[c] = np.float32(low - zero_point[c]), np.float32(high - zero_point[c])
        zeros[c] = np.int32(zero_point[c])
    y = np.empty((outer, channels, inner), like.dtype)
    met = np.uint32(0)
    for o in range(outer):
        if inner == 1:
            for c in range(channels):
                level = _level(x[o, c, 0], scale[c], lows[c], highs[c])
                met |= np.uint32(x[o, c, 0] != x[o, c, 0])
                y[o, c, 0] = np.int32(level) + zeros[c]
        else:
            for c in range(channels):
                s, least, most, z = scale[c], lows[c], highs[c], zeros[c]
                for i in range(inner):
                    level = _level(x[o, c, i], s, least, most)
                    met |= np.uint32(x[o, c, i] != x[o, c, i])
                    y[o, c, i] = np.int32(level) + z
    return y, met != np.uint32(0)


def _dequantize_definition(
    q: NDArray[Any], scale: NDArray[Any], zero_point: NDArray[Any]
) -> NDArray[Any]:
    """Return numbers in float32; `q` of at most 16 bits."""
    difference = q.astype(np.int64) - zero_point[None, :, None]
    with np.errstate(all="ignore"):
        product = difference.astype(np.float32) * scale[None, :, None]
    return np.asarray(product, np.float32)


@kernel(_dequantize_definition)
def dequantize_channels(
    q: NDArray[Any], scale: NDArray[Any], zero_point: NDArray[Any]
) -> NDArray[Any]:
    """Widen to int32, subtract, widen to float32 (exact: 17 bits), multiply once.

    Parameters
    ----------
    q : ndarray of integers, shape (outer, channels, inner)
        Codes of at most 16 bits.
    scale : ndarray of float32, shape (channels,)
        Finite and positive.
    zero_point : ndarray of int64, shape (channels,)
        Codes.

    Returns
    -------
    ndarray of float32, shape (outer, channels, inner)
        The numbers.

    Examples
    --------
    >>> q = np.array([[[0, 128, 255]]], np.uint8)
    >>> dequantize_channels(q, np.float32([0.5]), np.array([128]))
    array([[[-64. ,   0. ,  63.5]]], dtype=float32)
    """
    outer, channels, inner = q.shape
    zeros = np.empty(channels, np.int32)
    for c in range(channels):
        zeros[c] = np.int32(zero_point[c])
    x = np.empty((outer, channels, inner), np.float32)
    for o in range(outer):
        if inner == 1:
            for c in range(channels):
                difference = np.int32(np.int32(q[o, c, 0]) - zeros[c])
                x[o, c, 0] = np.float32(difference) * scale[c]
        else:
            for c in range(channels):
                s, z = scale[c], zeros[c]
                for i in range(inner):
                    difference = np.int32(np.int32(q[o, c, i]) - z)
                    x[o, c, i] = np.float32(difference) * s
    return x
