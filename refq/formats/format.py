"""What a format is: a frozen value that says what every code means.

Conventions
-----------
A *code* is what is stored, `bits` wide; a *value* is what it means. Integer formats keep their
codes as the integers themselves (int4 codes are -8..7 in int8); all other formats keep bit patterns
in the smallest unsigned dtype. `to_patterns` and `from_patterns` convert to the unsigned patterns
that codings pack. A format is fixed by a standard, so it costs no bits.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.dtypes import smallest_unsigned
from ..core.errors import LimitError

__all__ = ["Format"]

OVERFLOWS = ("saturate", "error")  #: what `encode` may do beyond the largest value


@dataclass(frozen=True)
class Format(ABC):
    """What every code of one width means.

    Parameters
    ----------
    name : str
        The standard's own name. Empty: a name made of the parameters, other for others.

    Attributes
    ----------
    bits : int
        Width of one code.
    """

    name: str = field(default="", kw_only=True)
    bits: int = field(init=False, repr=False)

    def _settle(self, name: str, bits: int | None = None) -> None:
        """Set what follows from the parameters: the name if none was given, and the width."""
        if bits is not None:
            object.__setattr__(self, "bits", bits)
        if not self.name:
            object.__setattr__(self, "name", name)

    @property
    @abstractmethod
    def dtype(self) -> np.dtype[Any]:
        """The dtype that codes are kept in."""

    @property
    def is_integer(self) -> bool:
        """Whether codes are their own values."""
        return False

    @property
    @abstractmethod
    def value_dtype(self) -> np.dtype[Any]:
        """The dtype that `decode` returns."""

    @abstractmethod
    def encode(
        self,
        x: ArrayLike,
        rounding: str | np.random.Generator = "half_even",
        overflow: str = "saturate",
        nan: str = "error",
    ) -> NDArray[Any]:
        """Return the code of each number, rounding once.

        Parameters
        ----------
        x : array_like
            Real numbers; float64 is not rounded through float32.
        rounding : str or numpy.random.Generator
            One of `refq.core.rounding.ROUNDINGS` that the format defines.
        overflow : {"saturate", "error"}
            What happens beyond the largest value.
        nan : str
            "error", or what the format defines instead.

        Returns
        -------
        ndarray
            Codes of `dtype`, same shape.

        Raises
        ------
        RangeError
            If NaN or overflow is met and its policy is "error".
        """

    @abstractmethod
    def decode(self, codes: NDArray[Any]) -> NDArray[Any]:
        """Return the values of codes.

        Parameters
        ----------
        codes : ndarray of `dtype`
            Any shape.

        Returns
        -------
        ndarray of `value_dtype`
            Same shape.

        Raises
        ------
        FormatError
            If a code does not exist.
        """

    @abstractmethod
    def reach(self, codes: NDArray[Any]) -> NDArray[np.float64]:
        """Return how far a number may lie from the value that half_even gives it.

        Parameters
        ----------
        codes : ndarray of `dtype`
            What `encode` gave to numbers that do not overflow.

        Returns
        -------
        ndarray of float64
            Same shape: half of the wider gap next to each value; the bound is exact.
        """

    def to_patterns(self, codes: NDArray[Any]) -> NDArray[Any]:
        """Return codes as unsigned bit patterns below ``2**bits``.

        Parameters
        ----------
        codes : ndarray of `dtype`
            Any shape.

        Returns
        -------
        ndarray of unsigned
            Same shape.
        """
        return codes

    def from_patterns(self, patterns: NDArray[Any]) -> NDArray[Any]:
        """Return the codes of unsigned bit patterns.

        Parameters
        ----------
        patterns : ndarray of unsigned
            Each below ``2**bits``.

        Returns
        -------
        ndarray of `dtype`
            Same shape.
        """
        return patterns.astype(self.dtype, copy=False)

    def check_codes(self, codes: NDArray[Any]) -> NDArray[Any]:
        """Return codes in `dtype` if every one of them exists.

        Parameters
        ----------
        codes : ndarray of integers
            Any shape.

        Returns
        -------
        ndarray of `dtype`
            Same shape.

        Raises
        ------
        FormatError
            Naming the first code that does not exist.
        """
        self.decode(codes)
        return codes.astype(self.dtype, copy=False)

    @property
    def values(self) -> NDArray[Any]:
        """What every bit pattern means, in order of the pattern; NaN where it means nothing."""
        if self.bits > 16:
            raise LimitError(f"{self.name} has 2**{self.bits} codes; values lists at most 2**16")
        patterns = np.arange(1 << self.bits, dtype=smallest_unsigned(self.bits))
        return self.decode(self.from_patterns(patterns))
