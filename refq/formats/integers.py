"""Integers of any width: int1 to int32 in two's complement, uint1 to uint32.

Conventions
-----------
A code is the integer itself, in the smallest NumPy dtype that holds it. The bit pattern of a
negative code is its two's complement in `bits` bits: int4's -1 is 0b1111.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import check_array, check_choice, check_integer, shown
from ..core.dtypes import smallest_unsigned
from ..core.errors import DTypeError, FormatError, RangeError
from ..core.rounding import round_to_integer, saturate
from .format import OVERFLOWS, Format

__all__ = ["Integer"]


@dataclass(frozen=True)
class Integer(Format):
    """Integers of `bits` bits, signed in two's complement or unsigned.

    Parameters
    ----------
    bits : int
        In [1, 64].
    signed : bool
        Whether the top bit counts as negative.
    name : str
        Empty: ``int4``, ``uint8``, ...

    Examples
    --------
    >>> int4 = Integer(4)
    >>> int4.name, int4.low, int4.high, int4.encode([0.5, 1.5, 99.0])
    ('int4', -8, 7, array([0, 2, 7], dtype=int8))
    """

    bits: int
    signed: bool = True

    def __post_init__(self) -> None:
        check_integer(self.bits, "bits", 1, 64)
        self._settle(f"{'' if self.signed else 'u'}int{self.bits}")

    @property
    def low(self) -> int:
        """The smallest integer."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """The largest integer."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    @property
    def is_integer(self) -> bool:
        """True: codes are their own values."""
        return True

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest NumPy integer dtype that holds every code."""
        unsigned = smallest_unsigned(self.bits)
        return np.dtype(f"i{unsigned.itemsize}") if self.signed else unsigned

    @property
    def value_dtype(self) -> np.dtype[Any]:
        """The same as `dtype`."""
        return self.dtype

    def encode(
        self,
        x: ArrayLike,
        rounding: str | np.random.Generator = "half_even",
        overflow: str = "saturate",
        nan: str = "error",
    ) -> NDArray[Any]:
        """Round, clip, cast; integers are only clipped.

        See `Format.encode`; `nan` is "error", "zero", "low" or "high".
        """
        a = check_array(x)
        check_choice(overflow, "overflow", OVERFLOWS)
        if a.dtype.kind == "f":
            # float16 cannot hold the limits of wide integers, so it widens, exactly
            a = np.asarray(round_to_integer(a.astype(np.promote_types(a.dtype, "f4")), rounding))
        if overflow == "error":
            self._refuse_outside(a)
        if a.dtype.kind == "f":
            return np.asarray(saturate(a, self.low, self.high, self.dtype, nan))
        return np.asarray(clip_integers(a, self.low, self.high)).astype(self.dtype)

    def decode(self, codes: NDArray[Any]) -> NDArray[Any]:
        """Return the codes, checked against the range."""
        if codes.dtype.kind not in "iu":
            raise DTypeError(f"codes of {self.name} have dtype {codes.dtype}; integers are needed")
        if codes.dtype != self.dtype or 8 * self.dtype.itemsize != self.bits:
            self._refuse_outside(codes, FormatError)
        return codes.astype(self.dtype, copy=False)

    def reach(self, codes: NDArray[Any]) -> NDArray[np.float64]:
        """One half: integers are one apart."""
        return np.full(codes.shape, 0.5)

    def _refuse_outside(self, a: NDArray[Any], error: type[ValueError] = RangeError) -> None:
        # integral floats: `high` may be no float, `high + 1` is a power of two
        above = a >= float(self.high + 1) if a.dtype.kind == "f" else a > self.high
        bad = (a < self.low) | above
        if bad.any():
            index = np.unravel_index(int(np.argmax(bad)), a.shape)
            raise error(
                f"x{shown(index)} = {a[index]} is outside {self.name}'s [{self.low}, {self.high}]"
            )

    def to_patterns(self, codes: NDArray[Any]) -> NDArray[Any]:
        """Return two's complement patterns: ``codes mod 2**bits``."""
        unsigned = smallest_unsigned(self.bits)
        return codes.astype(unsigned) & unsigned.type((1 << self.bits) - 1)

    def from_patterns(self, patterns: NDArray[Any]) -> NDArray[Any]:
        """Return the integers of two's complement patterns, the sign bit extended."""
        if not self.signed:
            return patterns.astype(self.dtype, copy=False)
        spare = self.dtype.type(8 * self.dtype.itemsize - self.bits)
        return np.asarray((patterns.astype(self.dtype) << spare) >> spare)


def clip_integers(a: NDArray[Any], low: int, high: int) -> NDArray[Any]:
    """Clip integers of any dtype to limits that the dtype may not hold.

    Parameters
    ----------
    a : ndarray of integers or bool
        Any shape.
    low, high : int
        Inclusive.

    Returns
    -------
    ndarray
        Same dtype (bool becomes uint8).

    Examples
    --------
    >>> clip_integers(np.array([200], np.uint8), -128, 127)
    array([127], dtype=uint8)
    """
    a = a.astype(np.uint8) if a.dtype.kind == "b" else a
    info = np.iinfo(a.dtype)
    return np.clip(a, max(low, int(info.min)), min(high, int(info.max)))
