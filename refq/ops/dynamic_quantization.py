"""DynamicQuantizeLinear: scale and zero point out of the array itself, at run time.

Problem
-------
Activations have no fixed range. Their least and largest number give the scale, batch by batch.

Equation
--------
``y_scale = (max(0, max x) - min(0, min x)) / 255``,
``y_zero_point = round(saturate(0 - min(0, min x) / y_scale))``,
``y = saturate(round(x / y_scale) + y_zero_point)``, half to even; every operation in float32.

Conventions
-----------
Where the text says nothing, refq does: an array of zeros has scale 1 and zero point 0; an empty
array has no range and is a `ShapeError`; NaN, infinities, and a range whose scale is no positive
float32 are a `RangeError`.

References
----------
.. [1] ONNX operator specification, DynamicQuantizeLinear, opset 11.
   https://onnx.ai/onnx/operators/onnx__DynamicQuantizeLinear.html
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import check_array, check_finite
from ..core.errors import RangeError, ShapeError
from ..core.rounding import saturate
from .quantization import quantize_linear

__all__ = ["dynamic_quantize_linear"]


def dynamic_quantize_linear(x: ArrayLike) -> tuple[NDArray[np.uint8], np.float32, np.uint8]:
    """Return the uint8 codes of `x`, and the scale and the zero point that its range gives.

    Parameters
    ----------
    x : array_like
        Finite real numbers, at least one; rounded to float32 first.

    Returns
    -------
    y : ndarray of uint8
        Codes, of x's shape.
    scale : float32
        Positive.
    zero_point : uint8
        The code of 0.

    Raises
    ------
    ShapeError
        If `x` is empty.
    RangeError
        If `x` holds NaN or infinity, with the index; or its range over 255 is no positive float32.

    Notes
    -----
    Zero always has a code of its own. Cost: two passes. Tier T1.

    References
    ----------
    .. [1] ONNX operator specification, DynamicQuantizeLinear.

    Examples
    --------
    >>> dynamic_quantize_linear(np.float32([-1.0, 0.0, 1.55]))
    (array([  0, 100, 255], dtype=uint8), np.float32(0.01), np.uint8(100))
    >>> dynamic_quantize_linear(np.zeros(2))
    (array([0, 0], dtype=uint8), np.float32(1.0), np.uint8(0))
    """
    with np.errstate(over="ignore"):  # what becomes infinite is refused by its index
        a = check_finite(np.asarray(check_array(x), np.float32), "x")
    if a.size == 0:
        raise ShapeError(f"x has shape {a.shape}; a range needs at least one number")
    scale, zero_point = _parameters(min(a.min(), np.float32(0)), max(a.max(), np.float32(0)))
    return quantize_linear(a, scale, zero_point), scale, zero_point


def _parameters(least: np.float32, most: np.float32) -> tuple[np.float32, np.uint8]:
    """Return scale and zero point of a range that holds 0."""
    if least == most:
        return np.float32(1), np.uint8(0)
    with np.errstate(all="ignore"):
        scale = np.float32((most - least) / np.float32(255))
    if not 0 < scale < np.inf:
        raise RangeError(
            f"x lies in [{least}, {most}]; that over 255 is {scale} in float32, no scale: "
            "multiply x by a power of two first"
        )
    # -least / scale is at least 0 and, rounded, at most 255 but for a rounding of the scale
    level: NDArray[Any] = np.rint(np.clip(np.float32(0) - least / scale, 0, 255))
    return scale, np.uint8(saturate(np.asarray(level), 0, 255, np.uint8))
