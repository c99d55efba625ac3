"""How a number becomes a code: the rule behind QuantizeLinear, as a value.

Equation
--------
The text, ONNX: ``y = saturate(round_half_even(x / y_scale) + y_zero_point)``. Runtimes multiply by
the reciprocal, add the zero point before rounding, or both in one fused operation.

Conventions
-----------
A rule is frozen, and its `apply` *is* the NumPy implementation. Tier T1: every float operation in
it is one correctly rounded IEEE operation.

References
----------
.. [1] ONNX operator specification, opset 28: QuantizeLinear. https://onnx.ai/onnx/operators/
.. [2] IEEE Std 754-2019.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checks import check_choice
from .errors import RangeError
from .rounding import NAN_POLICIES, ROUNDINGS, round_to_integer, saturate

__all__ = ["WIDE", "QuantizeRule", "sum_to_float32"]

#: Beyond every code and zero point of 32 bits, so clipping to it changes no saturated result.
WIDE = 1 << 40


def sum_to_float32(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the float32 nearest to the exact sum of two float64.

    Parameters
    ----------
    p, q : ndarray of float64
        Broadcast; NaN and infinities pass through.

    Returns
    -------
    ndarray of float32
        Rounded once, ties to even.

    Notes
    -----
    The float64 sum is rounded to odd (the last bit remembers that something was cut off), which
    makes the second rounding to 24 bits harmless, since 53 >= 24 + 2. Tier T1.

    Examples
    --------
    >>> half_ulp, tiny = np.float64(2.0**-24), np.float64(2.0**-80)
    >>> float(sum_to_float32(1 + half_ulp, tiny)), float(np.float32(1 + half_ulp + tiny))
    (1.0000001192092896, 1.0)
    """
    with np.errstate(all="ignore"):
        total = np.asarray(p + q, np.float64)
        back = total - p
        error = (p - (total - back)) + (q - back)  # exact: total + error == p + q
        even = (total.view(np.int64) & 1) == 0
        toward = np.where(error > 0, np.inf, -np.inf)
        move = even & (error != 0) & np.isfinite(total)
        return np.where(move, np.nextafter(total, toward), total).astype(np.float32)


@dataclass(frozen=True)
class QuantizeRule:
    """How a number becomes a code.

    Parameters
    ----------
    quotient : {"divide", "reciprocal"}
        ``x / scale``, or ``x * (1 / scale)`` with both roundings.
    precision : {"scale", "float32", "float64"}
        The dtype of the arithmetic; "scale" means the dtype of the scale. `x` is rounded to it
        first, once: float64 numbers over a float32 scale are rounded to float32, ties to even,
        then divided in float32; float32 numbers over a float64 scale widen, and divide in float64.
    rounding : str
        One of `refq.core.rounding.ROUNDINGS`.
    zero_point : {"after", "before", "fused"}
        Added after rounding, in integers; before it, in float; or with the product in one fused
        multiply-add (reciprocal and float32 only).
    nan : {"error", "zero", "low", "high"}
        What NaN becomes; "zero" is the code that means zero, the zero point.

    Raises
    ------
    RangeError
        If a field has no such value.

    Examples
    --------
    >>> x, scale = np.array([0.5, 1.5, 2.5]), np.array(1.0)
    >>> QuantizeRule().apply(x, scale, 1, 0, 255, np.uint8)
    array([1, 3, 3], dtype=uint8)
    >>> QuantizeRule(zero_point="before").apply(x, scale, 1, 0, 255, np.uint8)
    array([2, 2, 4], dtype=uint8)
    """

    quotient: str = "divide"
    precision: str = "scale"
    rounding: str = "half_even"
    zero_point: str = "after"
    nan: str = "error"

    def __post_init__(self) -> None:
        check_choice(self.quotient, "quotient", ("divide", "reciprocal"))
        check_choice(self.precision, "precision", ("scale", "float32", "float64"))
        check_choice(self.rounding, "rounding", ROUNDINGS)
        check_choice(self.zero_point, "zero_point", ("after", "before", "fused"))
        check_choice(self.nan, "nan", NAN_POLICIES)
        if self.zero_point == "fused" and (self.quotient, self.precision) != (
            "reciprocal",
            "float32",
        ):
            raise RangeError(
                "zero_point = 'fused' needs quotient='reciprocal' and precision='float32', "
                f"got {self.quotient!r} and {self.precision!r}"
            )

    def apply(
        self,
        x: NDArray[Any],
        scale: NDArray[Any],
        zero_point: Any,
        low: int,
        high: int,
        dtype: Any,
    ) -> NDArray[Any]:
        """Return the codes of `x`.

        Parameters
        ----------
        x : ndarray
            Real numbers; infinities saturate.
        scale : ndarray of float16, float32 or float64
            Finite and positive; broadcasts against `x`.
        zero_point : int or ndarray of integers
            Broadcasts; at most 32 bits.
        low, high : int
            The inclusive range of codes, at most 32 bits.
        dtype : dtype
            Of the result; holds `low` and `high`.

        Returns
        -------
        ndarray of `dtype`
            The shape that `x` and `scale` broadcast to.

        Raises
        ------
        RangeError
            If an element is NaN and ``nan="error"``, with its index.

        Notes
        -----
        The zero point is added in int64 after a saturating cast, so nothing overflows. Tier T1.
        """
        z = np.asarray(zero_point, np.int64)
        with np.errstate(all="ignore"):  # overflow to infinity saturates, underflow rounds to zero
            level = self._level(x, scale, z)
            rounded = round_to_integer(level, self.rounding)
        codes = saturate(rounded.astype(np.float64), -WIDE, WIDE, np.int64, self.nan)
        if self.zero_point == "after":
            codes = codes + z
        elif self.nan == "zero":
            codes = np.where(np.isnan(level), z, codes)
        return np.clip(codes, low, high).astype(dtype)

    def _level(self, x: NDArray[Any], scale: NDArray[Any], z: NDArray[Any]) -> NDArray[Any]:
        """Return what is rounded: the quotient, with the zero point unless it comes after."""
        work = scale.dtype if self.precision == "scale" else np.dtype(self.precision)
        x, scale = x.astype(work), scale.astype(work)
        if self.zero_point == "fused":
            product = x.astype(np.float64) * (1 / scale).astype(np.float64)  # exact: 24 + 24 bits
            return sum_to_float32(product, z.astype(np.float64))
        level = x / scale if self.quotient == "divide" else x * (1 / scale)
        return level + z.astype(work) if self.zero_point == "before" else level
