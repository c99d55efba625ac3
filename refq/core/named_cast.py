"""Casts to small floats as libraries make them: another policy of overflow for each format.

Conventions
-----------
A rule is frozen, and its `apply` *is* the NumPy implementation. NaN stays NaN where the format has
one, and is an error elsewhere; refq writes the positive one. Tier T1.
"""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from .cast_rule import CastRule

__all__ = ["NamedCast"]


@dataclass(frozen=True)
class NamedCast(CastRule):
    """How a library casts numbers to the formats that it has.

    Parameters
    ----------
    rounding : str
        As in `CastRule`.
    overflow : str
        Of the formats that `named` does not list.
    nan : {"keep", "error"}
        As in `CastRule`; "keep" where the format has a NaN.
    named : tuple of (str, str)
        Format and policy: what becomes of numbers beyond the largest.

    Raises
    ------
    RangeError
        If a field has no such value.

    Examples
    --------
    >>> from refq import formats
    >>> e5m2 = formats.get("float8_e5m2")
    >>> rule = NamedCast(named=(("float8_e5m2", "infinity"),))
    >>> e5m2.decode(rule.apply([57344.0, 1e6], e5m2))
    array([57344.,    inf], dtype=float32)
    """

    nan: str = "keep"
    named: tuple[tuple[str, str], ...] = ()

    def apply(self, x: Any, format: Any) -> NDArray[Any]:
        """Return the codes of `x` in `format`."""
        policy = dict(self.named).get(format.name, self.overflow)
        nan = self.nan if "nan" in format.special_codes else "error"
        return CastRule(self.rounding, policy, nan).apply(x, format)
