"""How a number becomes a code of a format, with no scale: a rule, as a value.

Conventions
-----------
A rule is frozen, and its `apply` *is* the implementation. Tier T1.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from .checks import check_choice
from .rounding import ROUNDINGS

__all__ = ["CastRule"]


class _Encodes(Protocol):
    """What a cast needs of a format (formats stand one floor above)."""

    def encode(self, x: Any, rounding: Any, overflow: str, nan: str) -> NDArray[Any]: ...


@dataclass(frozen=True)
class CastRule:
    """How a number becomes a code of a format, with no scale.

    Parameters
    ----------
    rounding : str
        One of `refq.core.rounding.ROUNDINGS`.
    overflow : {"saturate", "error"}
        What happens beyond the largest value.
    nan : str
        "error", or what the format defines instead.

    Raises
    ------
    RangeError
        If a field has no such value.

    Examples
    --------
    >>> CastRule().overflow
    'saturate'
    """

    rounding: str = "half_even"
    overflow: str = "saturate"
    nan: str = "error"

    def __post_init__(self) -> None:
        check_choice(self.rounding, "rounding", ROUNDINGS)

    def apply(self, x: Any, format: _Encodes) -> NDArray[Any]:
        """Return the codes of `x` in `format`.

        Parameters
        ----------
        x : array_like
            Real numbers.
        format : Format
            Whatever has ``encode(x, rounding, overflow, nan)``.

        Returns
        -------
        ndarray
            The format's codes.
        """
        return format.encode(x, self.rounding, self.overflow, self.nan)
