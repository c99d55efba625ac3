"""Numbers to codes by a loop that converts to int32 before it clips, as x86 converts.

Problem
-------
A conversion to int32 has no answer for NaN, infinity and numbers that no int32 holds; x86 gives
-2^31 for all of them. A loop that converts first and clips afterwards turns +infinity into the
lowest code, or into the highest, if its zero point is negative: -2^31 - 1 is 2^31 - 1.

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
from .quantize_rule import WIDE, QuantizeRule
from .rounding import NAN_POLICIES, round_to_integer, saturate

__all__ = ["Int32QuantizeRule"]


@dataclass(frozen=True)
class Int32QuantizeRule(QuantizeRule):
    """How a number becomes a code where the conversion to int32 comes before the clipping.

    Parameters
    ----------
    quotient, precision, rounding
        As in `QuantizeRule`.
    zero_point : {"after"}
        Added to the int32, modulo 2^32.
    nan : {"error", "zero", "low", "high", "int32"}
        As in `QuantizeRule`; "int32": -2^31, to which the zero point is added.

    Raises
    ------
    RangeError
        If a field has no such value.

    Examples
    --------
    >>> x, one = np.float32([np.inf, 2.0**31, 300]), np.float32(1.0)
    >>> Int32QuantizeRule().apply(x, one, 1, -128, 127, np.int8)
    array([-128, -128,  127], dtype=int8)
    >>> Int32QuantizeRule().apply(-x, one, -1, -128, 127, np.int8)
    array([ 127,  127, -128], dtype=int8)
    """

    def __post_init__(self) -> None:
        QuantizeRule(self.quotient, self.precision, self.rounding, self.zero_point)
        check_choice(self.nan, "nan", (*NAN_POLICIES, "int32"))
        if self.zero_point != "after":
            raise RangeError(f"zero_point = {self.zero_point!r} must be 'after': it is an integer")

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
            rounded = round_to_integer(self._level(x, scale, z), self.rounding).astype(np.float64)
        policy = "low" if self.nan == "int32" else self.nan
        level = saturate(rounded, -WIDE, WIDE, np.int64, policy)
        beyond = (level < -(1 << 31)) | (level >= 1 << 31)
        total = np.where(beyond, -(1 << 31), level) + z
        total = ((total + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
        if self.nan in ("zero", "low", "high"):
            chosen: Any = {"zero": z, "low": low, "high": high}[self.nan]
            total = np.where(np.isnan(rounded), chosen, total)
        return np.clip(total, low, high).astype(dtype)
