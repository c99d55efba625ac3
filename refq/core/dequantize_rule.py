"""How a code becomes a number: the rule behind DequantizeLinear, as a value.

Equation
--------
The text, ONNX: ``x = (q - zero_point) * scale``. In exact arithmetic rounded once; runtimes convert
the difference to float32 first, which rounds it where it needs more than 24 bits.

Conventions
-----------
A rule is frozen, and its `apply` *is* the NumPy implementation. Tier T1.

References
----------
.. [1] ONNX operator specification, opset 28: DequantizeLinear. https://onnx.ai/onnx/operators/
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checks import check_choice
from .quantize_rule import sum_to_float32

__all__ = ["DequantizeRule"]


@dataclass(frozen=True)
class DequantizeRule:
    """How a code becomes a number.

    Parameters
    ----------
    precision : {"exact", "float32"}
        "exact": the product of difference and scale, rounded once to the dtype of the scale.
        "float32": the difference modulo 2^32, rounded to float32, times the scale in float32, then
        rounded to the dtype of the scale.

    Raises
    ------
    RangeError
        If a field has no such value.

    Examples
    --------
    >>> q, scale = np.array([2**24 + 1, 2**24 + 2]), np.array(np.float32(0.75))
    >>> DequantizeRule().apply(q, scale) == DequantizeRule("float32").apply(q, scale)
    array([False,  True])
    """

    precision: str = "exact"

    def __post_init__(self) -> None:
        check_choice(self.precision, "precision", ("exact", "float32"))

    def apply(self, difference: NDArray[np.int64], scale: NDArray[Any]) -> NDArray[Any]:
        """Return numbers.

        Parameters
        ----------
        difference : ndarray of int64
            Codes less zero points; at most 33 bits.
        scale : ndarray of float16, float32 or float64
            Broadcasts.

        Returns
        -------
        ndarray
            In the dtype of the scale.

        Notes
        -----
        Tier T1.
        """
        with np.errstate(all="ignore"):
            if self.precision == "exact":
                return _scaled_once(difference, scale)
            wrapped = ((difference + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
            product = wrapped.astype(np.float32) * scale.astype(np.float32)
            return np.asarray(product).astype(scale.dtype)


def _scaled_once(difference: NDArray[np.int64], scale: NDArray[Any]) -> NDArray[Any]:
    """Return ``difference * scale`` in the scale's dtype, rounded once; at most 33 bits."""
    if scale.dtype == np.float64:
        return np.asarray(difference.astype(np.float64) * scale)
    # both halves times 24 bits are exact in float64, their sum is rounded to float32 once
    wide = scale.astype(np.float64)
    low = (difference & 0xFFFF).astype(np.float64) * wide
    high = (difference - (difference & 0xFFFF)).astype(np.float64) * wide
    if scale.dtype == np.float32:
        return sum_to_float32(high, low)
    return np.asarray(high + low, np.float16)  # 33 + 11 bits: the sum is exact
