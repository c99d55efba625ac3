"""Numbers to codes as runtimes on x86 convert them: NaN and overflow have codes of their own.

Problem
-------
A conversion of a float to an integer that cannot hold it gives, on x86, the "integer indefinite":
-2^31 or -2^63. What a runtime answers for NaN, infinity and huge numbers depends on whether it
clips before that conversion or after it, and on how many bits of the result it keeps.

Conventions
-----------
A rule is frozen, and its `apply` *is* the NumPy implementation. Tier T1.

References
----------
.. [1] Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, section 4.2.3.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checks import check_choice
from .errors import RangeError
from .quantize_rule import QuantizeRule
from .rounding import NAN_POLICIES, ROUNDINGS, round_to_integer, saturate

__all__ = ["X86QuantizeRule"]

INT32, INT64 = -(1 << 31), -(1 << 63)  # the integers indefinite


@dataclass(frozen=True)
class X86QuantizeRule(QuantizeRule):
    """How a number becomes a code where the conversion to an integer shows.

    Parameters
    ----------
    quotient, precision, rounding
        As in `QuantizeRule`.
    zero_point : {"after", "before", "fused", "after_float"}
        As in `QuantizeRule`; "after_float": added after rounding, in float, which rounds again
        where the sum needs more than its 24 bits.
    nan : {"error", "zero", "low", "high", "indefinite"}
        As in `QuantizeRule`; "indefinite": -2^31, of which the code keeps the low bits: 0 in a
        code of at most 16 bits, the lowest code of 32.
    conversion : {"saturate", "clip_int32", "int64_clip"}
        "saturate": infinities and whatever is beyond the codes. "clip_int32": clipped to the codes
        in the dtype of the arithmetic (in float32, 2^31 - 1 is 2^31), then converted to int32: in
        codes of 32 bits the largest numbers become the lowest code. "int64_clip": converted to
        int64 first, so that 2^63 and more becomes the lowest code.

    Raises
    ------
    RangeError
        If a field has no such value.

    Examples
    --------
    >>> x, one = np.float32([np.inf, np.nan]), np.float32([1.0])
    >>> rule = X86QuantizeRule(nan="low", conversion="int64_clip")
    >>> rule.apply(x, one, 3, 0, 255, np.uint8)
    array([0, 0], dtype=uint8)
    >>> X86QuantizeRule(nan="indefinite").apply(x, one, 3, -128, 127, np.int8)
    array([127,   0], dtype=int8)
    """

    conversion: str = "saturate"

    def __post_init__(self) -> None:
        check_choice(self.quotient, "quotient", ("divide", "reciprocal"))
        check_choice(self.precision, "precision", ("scale", "float32", "float64"))
        check_choice(self.rounding, "rounding", ROUNDINGS)
        check_choice(self.zero_point, "zero_point", ("after", "before", "fused", "after_float"))
        check_choice(self.nan, "nan", (*NAN_POLICIES, "indefinite"))
        check_choice(self.conversion, "conversion", ("saturate", "clip_int32", "int64_clip"))
        exact = (self.quotient, self.precision) == ("reciprocal", "float32")
        if self.zero_point == "fused" and not exact:
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
        """Return the codes of `x`, as `QuantizeRule.apply` does."""
        z = np.asarray(zero_point, np.int64)
        with np.errstate(all="ignore"):  # infinities and NaN are what this rule is about
            level = self._level(x, scale, z)
            rounded = round_to_integer(level, self.rounding)
            if self.zero_point == "after_float":
                rounded = rounded + z.astype(rounded.dtype)
            total = rounded.astype(np.float64)
            if self.zero_point == "after":
                total = total + z  # exact below 2^53, beyond every code above it
            codes = self._converted(total, low, high, rounded.dtype)
        if self.nan == "indefinite":
            indefinite = np.array(INT32, np.int64).astype(dtype).astype(np.int64)
            return np.where(np.isnan(total), indefinite, codes).astype(dtype)
        if self.nan == "zero":
            return np.where(np.isnan(total), z, codes).astype(dtype)
        if self.nan in ("low", "high"):
            code = low if self.nan == "low" else high
            return np.where(np.isnan(total), code, codes).astype(dtype)
        saturate(total, low, high, np.int64, "error")  # names the first NaN
        return codes.astype(dtype)

    def _converted(
        self, total: NDArray[np.float64], low: int, high: int, work: np.dtype[Any]
    ) -> NDArray[np.int64]:
        """Return integers of what is no NaN; `work` is the dtype of the arithmetic."""
        if self.conversion == "clip_int32":
            clipped = np.clip(total, float(work.type(low)), float(work.type(high)))
            total = np.where(clipped >= -float(INT32), float(INT32), clipped)
        elif self.conversion == "int64_clip":
            total = np.where(total >= -float(INT64), float(INT64), total)
        return saturate(total, low, high, np.int64, "low")
