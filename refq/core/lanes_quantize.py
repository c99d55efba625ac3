"""Numbers to codes by a vector kernel whose rest goes by another rule, converting to int32.

Problem
-------
A vector kernel computes 8 numbers at once; the last n mod 8 go through a loop of other arithmetic.
Both convert to int32 before they saturate, and x86 makes -2^31 of what int32 cannot hold.

Conventions
-----------
A rule is frozen, and its `apply` *is* the NumPy implementation. Tier T1.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checks import check_integer
from .quantize_rule import QuantizeRule
from .rounding import round_to_integer, saturate

__all__ = ["LanesQuantizeRule"]

INT32 = 1 << 31


@dataclass(frozen=True)
class LanesQuantizeRule(QuantizeRule):
    """How a number becomes a code by way of int32, `lanes` numbers at once.

    Parameters
    ----------
    quotient, precision, rounding, zero_point, nan : str
        As in `QuantizeRule`; the zero point is added modulo 2^32.
    lanes : int
        How many numbers are computed at once; what is left over at the end of the array, in C
        order, goes by `rest`.
    rest : QuantizeRule or None
        The other rule, apart from NaN; None: the same.

    Raises
    ------
    RangeError
        If a field has no such value.

    Examples
    --------
    >>> rule = LanesQuantizeRule(lanes=2, rest=QuantizeRule(rounding="half_away"))
    >>> rule.apply(np.array([0.5, 0.5, 0.5]), np.array(1.0), 0, 0, 255, np.uint8)
    array([0, 0, 1], dtype=uint8)
    >>> rule.apply(np.array([np.inf, 3e9]), np.array(1.0), 0, 0, 255, np.uint8)
    array([0, 0], dtype=uint8)
    """

    lanes: int = 1
    rest: QuantizeRule | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer(self.lanes, "lanes", 1)

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
        with np.errstate(all="ignore"):
            levels = round_to_integer(self._level(x, scale, z), self.rounding).astype(np.float64)
        levels = np.where(levels >= INT32, -INT32, levels)
        total = saturate(levels, -INT32, INT32 - 1, np.int64, self.nan) + z
        total = ((total + INT32) & 0xFFFFFFFF) - INT32
        codes = np.ascontiguousarray(np.clip(total, low, high).astype(dtype))
        left_over = codes.size % self.lanes
        if self.rest is not None and left_over:
            rest = replace(self.rest, nan=self.nan)
            others = rest.apply(x, scale, zero_point, low, high, dtype)
            start = codes.size - left_over
            codes.reshape(-1)[start:] = others.reshape(-1)[start:]
        return codes
