"""How a code becomes a number: the rule behind DequantizeLinear, as a value.

Equation
--------
The text, ONNX: ``x = (q - zero_point) * scale``. In exact arithmetic rounded once; runtimes convert
the difference to float32 first, which rounds it where it needs more than 24 bits, or compute
``q * scale + (-zero_point * scale)``, which rounds three times.

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

from .checks import check_choice, check_integer
from .quantize_rule import sum_to_float32
from .x86_conversion import wrap_to_int32

__all__ = ["DequantizeRule", "LanesDequantizeRule"]


@dataclass(frozen=True)
class DequantizeRule:
    """How a code becomes a number.

    Parameters
    ----------
    precision : {"exact", "float32", "float32_each"}
        "exact": the product of difference and scale, rounded once to the dtype of the scale.
        "float32": the difference modulo 2^32, rounded to float32, times the scale in float32, then
        rounded to the dtype of the scale. "float32_each": code and zero point are rounded to
        float32 each, and so is their difference.

    Raises
    ------
    RangeError
        If a field has no such value.

    Examples
    --------
    >>> q, scale = np.array([2**24 + 1, 2**24 + 2]), np.array(np.float32(0.75))
    >>> DequantizeRule().apply(q, 0, scale) == DequantizeRule("float32").apply(q, 0, scale)
    array([False,  True])
    """

    precision: str = "exact"

    def __post_init__(self) -> None:
        check_choice(self.precision, "precision", ("exact", "float32", "float32_each"))

    def apply(self, q: NDArray[Any], zero_point: Any, scale: NDArray[Any]) -> NDArray[Any]:
        """Return numbers.

        Parameters
        ----------
        q : ndarray of integers
            Codes of at most 32 bits.
        zero_point : int or ndarray of integers
            Of at most 32 bits; broadcasts.
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
        difference = q.astype(np.int64) - np.asarray(zero_point, np.int64)
        with np.errstate(all="ignore"):
            if self.precision == "exact":
                return _scaled_once(difference, scale)
            level = wrap_to_int32(difference).astype(np.float32)
            if self.precision == "float32_each":
                level = q.astype(np.float32) - np.asarray(zero_point).astype(np.float32)
            return np.asarray(level * scale.astype(np.float32)).astype(scale.dtype)


@dataclass(frozen=True)
class LanesDequantizeRule(DequantizeRule):
    """How 8-bit codes of one scale become numbers, `lanes` at once, as ``q * s + (-z * s)``.

    Parameters
    ----------
    precision : {"exact", "float32", "float32_each"}
        As in `DequantizeRule`: of what is left over at the end of the array, in C order, of wider
        codes, and of those with several scales.
    lanes : int
        How many codes are computed at once.

    Raises
    ------
    RangeError
        If a field has no such value.

    Examples
    --------
    >>> q, scale = np.full(9, 3, np.int8), np.array(np.float32(0.1))
    >>> x = LanesDequantizeRule().apply(q, 1, scale)
    >>> float(x[0]), float(x[8])
    (0.20000001788139343, 0.20000000298023224)
    """

    lanes: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer(self.lanes, "lanes", 1)

    def apply(self, q: NDArray[Any], zero_point: Any, scale: NDArray[Any]) -> NDArray[Any]:
        """Return numbers, as `DequantizeRule.apply` does."""
        plain = np.ascontiguousarray(super().apply(q, zero_point, scale))
        whole = plain.size - plain.size % self.lanes
        if scale.size == 1 and q.dtype.itemsize == 1 and whole:
            s, z = scale.astype(np.float32), np.asarray(zero_point, np.float32)
            with np.errstate(all="ignore"):
                apart = np.asarray(q.astype(np.float32) * s + (-z * s), scale.dtype)
            plain.reshape(-1)[:whole] = apart.reshape(-1)[:whole]
        return plain


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
