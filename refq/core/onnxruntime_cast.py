"""Casts to 8-bit floats as ONNX Runtime 1.31 computes them: through float32, and two slips.

Equation
--------
With saturation: the text, once the number is a float32. Without, by the text every number that
rounds beyond the largest overflows, to NaN in float8_e4m3fn, to infinity in float8_e5m2. ONNX
Runtime answers otherwise in two intervals: ``480 <= |x| < 496`` becomes 448 in float8_e4m3fn, and
``61440 <= |x| < 65536`` becomes NaN in float8_e5m2.

Conventions
-----------
A rule is frozen, and its `apply` *is* the NumPy implementation. Tier T1.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cast_rule import CastRule

__all__ = ["OnnxRuntimeCast"]

#: format -> (policy, from, below, code) of the numbers that overflow to another code than the text
SLIPS = {
    "float8_e4m3fn": ("nan", 480.0, 496.0, 0x7E),
    "float8_e5m2": ("infinity", 61440.0, 65536.0, 0x7F),
}


@dataclass(frozen=True)
class OnnxRuntimeCast(CastRule):
    """How ONNX Runtime casts to 8-bit floats.

    Parameters
    ----------
    rounding, overflow, nan
        As in `CastRule`.

    Raises
    ------
    RangeError
        If a field has no such value.

    Examples
    --------
    >>> from refq import formats
    >>> e4m3 = formats.get("float8_e4m3fn")
    >>> x = np.float32([448, 470, 480, 500])
    >>> e4m3.decode(OnnxRuntimeCast(overflow="nan").apply(x, e4m3))
    array([448.,  nan, 448.,  nan], dtype=float32)
    """

    def apply(self, x: Any, format: Any) -> NDArray[Any]:
        """Return the codes of `x` in `format`."""
        with np.errstate(all="ignore"):  # beyond float32 is beyond every 8-bit float
            a = np.asarray(x).astype(np.float32)
        codes = super().apply(a, format)
        policy, start, stop, code = SLIPS.get(format.name, ("", 0.0, 0.0, 0))
        if self.overflow != policy:
            return codes
        size = np.abs(a)
        slipped = np.where(np.signbit(a), code | 0x80, code).astype(codes.dtype)
        return np.where((size >= start) & (size < stop), slipped, codes)
