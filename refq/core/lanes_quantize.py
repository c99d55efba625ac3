"""Numbers to codes by a vector kernel whose rest goes by another rule.

Problem
-------
A vector kernel computes 8 numbers at once; the last n mod 8 go through a loop of other arithmetic,
so that equal numbers may become unequal codes.

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
from .x86_quantize import X86QuantizeRule

__all__ = ["LanesQuantizeRule"]


@dataclass(frozen=True)
class LanesQuantizeRule(X86QuantizeRule):
    """How a number becomes a code where `lanes` numbers are computed at once.

    Parameters
    ----------
    quotient, precision, rounding, zero_point, nan, conversion : str
        As in `X86QuantizeRule`; the conversion is "int32" if nothing else is said.
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
    """

    conversion: str = "int32"
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
        codes = np.ascontiguousarray(super().apply(x, scale, zero_point, low, high, dtype))
        left_over = codes.size % self.lanes
        if self.rest is not None and left_over:
            rest = replace(self.rest, nan=self.nan)
            others = rest.apply(x, scale, zero_point, low, high, dtype)
            start = codes.size - left_over
            codes.reshape(-1)[start:] = others.reshape(-1)[start:]
        return codes
