"""What all small floats share: a table of values, policies, and the way into the kernels.

Conventions
-----------
Encoding goes through the kernel of `refq.formats.casting` for float16, float32 and float64 numbers
rounded half to even, where the format allows it; anything else, and whatever is to be refused, goes
through the NumPy path, which finds the index for the message. Both give the same bits.
"""

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import check_array, check_choice, shown
from ..core.dtypes import smallest_unsigned
from ..core.errors import DTypeError, FormatError, RangeError
from .casting import look_up
from .format import Format
from .significands import exact_float64

__all__ = ["SmallFloat", "table_values"]

OVERFLOWS = ("saturate", "infinity", "nan", "error")  #: what may happen beyond the largest value


def table_values(codes: NDArray[Any], table: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the entries that codes name, in the shape of the codes.

    Parameters
    ----------
    codes : ndarray of integers
        Indices that exist, any shape and layout.
    table : ndarray, shape (k,)
        What the codes mean.
    dtype : dtype
        Unsigned, holds every code.

    Returns
    -------
    ndarray
        Of the table's dtype.

    Examples
    --------
    >>> table_values(np.array([[1, 0]]), np.float32([0.5, 2.0]), np.dtype(np.uint8))
    array([[2. , 0.5]], dtype=float32)
    """
    indices = np.ascontiguousarray(codes, dtype).reshape(-1)
    return look_up(indices, table).reshape(codes.shape)


@dataclass(frozen=True)
class SmallFloat(Format):
    """What the small floats share: values in a table, and the policies of encoding.

    Parameters
    ----------
    name : str
        The format's name.
    """

    @cached_property
    @abstractmethod
    def _table(self) -> NDArray[np.float64]:
        """The value of every code; NaN and infinities among them."""

    @property
    @abstractmethod
    def special_codes(self) -> dict[str, int]:
        """The codes of "infinity" and "nan", those that there are."""

    @abstractmethod
    def _round(
        self, x: NDArray[np.float64], rounding: str | np.random.Generator
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return the codes of finite numbers, saturated, and which of them overflow."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest unsigned dtype: codes are bit patterns."""
        return smallest_unsigned(self.bits)

    @cached_property
    def value_dtype(self) -> np.dtype[Any]:
        """float32 where it holds every value, else float64."""
        with np.errstate(over="ignore", under="ignore"):
            narrow = self._table.astype(np.float32)
        same = np.array_equal(narrow, self._table, equal_nan=True)
        return np.dtype(np.float32 if same else np.float64)

    @cached_property
    def _values(self) -> NDArray[Any]:
        return self._table.astype(self.value_dtype)

    @cached_property
    def max(self) -> float:
        """The largest finite value."""
        return float(self._table[np.isfinite(self._table)].max())

    @cached_property
    def min(self) -> float:
        """The smallest finite value."""
        return float(self._table[np.isfinite(self._table)].min())

    @cached_property
    def least_positive(self) -> float:
        """The smallest value above zero."""
        return float(self._table[self._table > 0].min())

    def encode(
        self,
        x: ArrayLike,
        rounding: str | np.random.Generator = "half_even",
        overflow: str = "saturate",
        nan: str = "error",
    ) -> NDArray[Any]:
        """Round once, as the module's conventions say.

        See `Format.encode`. Every rounding of `refq.core.rounding` is defined, a Generator rounds
        stochastically. `overflow` is "saturate" (the end of the range, infinities too), "infinity"
        or "nan" (where the format has the code), or "error"; `nan` is "error" or, where there is a
        NaN, "keep".
        """
        a = check_array(x)
        self._check_policies(overflow, nan)
        cast = self._cast(a, rounding, overflow, nan)
        if cast is not None:
            return cast
        wide = exact_float64(a)
        missing, endless = np.isnan(wide), np.isinf(wide)
        if nan == "error":
            self._refuse(missing, a, "must not be nan")
        finite = np.where(missing, 0.0, np.clip(wide, -np.finfo("f8").max, np.finfo("f8").max))
        codes, beyond = self._round(finite, rounding)
        beyond = beyond | endless
        if overflow == "error":
            span = f"whose values lie in [{self.min:.7g}, {self.max:.7g}]"
            self._refuse(beyond & ~missing, a, f"overflows {self.name}, {span}")
        elif overflow != "saturate":
            codes = np.where(beyond, self._special(overflow, wide), codes)
        if nan == "keep":
            codes = np.where(missing, self.special_codes["nan"], codes)
        return np.asarray(codes).astype(self.dtype)

    def _cast(
        self, a: NDArray[Any], rounding: str | np.random.Generator, overflow: str, nan: str
    ) -> NDArray[Any] | None:
        """Return the codes by a kernel, or None: none serves, or something is to be refused."""
        return None

    def _special(self, name: str, x: NDArray[np.float64]) -> NDArray[Any]:
        """Return the special code for each number; infinities bear its sign."""
        code = self.special_codes[name]
        minus = code | (1 << (self.bits - 1)) if name == "infinity" else code
        return np.where(np.signbit(x), minus, code)

    def decode(self, codes: NDArray[Any]) -> NDArray[Any]:
        """Return the values of bit patterns; every pattern exists."""
        if codes.dtype.kind not in "iu":
            raise DTypeError(f"codes of {self.name} have dtype {codes.dtype}; integers are needed")
        end = 1 << self.bits
        spare = codes.dtype != self.dtype or self.bits != 8 * self.dtype.itemsize
        if spare and codes.size and (int(codes.max()) >= end or int(codes.min()) < 0):
            bad = (codes < 0) | (codes >= end)
            index = np.unravel_index(int(np.argmax(bad)), codes.shape)
            raise FormatError(
                f"codes{shown(index)} = {codes[index]}; {self.name} has codes 0..{end - 1}"
            )
        return table_values(codes, self._values, self.dtype)

    def reach(self, codes: NDArray[Any]) -> NDArray[np.float64]:
        """Half of the gap above each value; the one below is no wider. NaN for NaN and infinity."""
        return np.asarray(self._half_gaps[codes])

    @cached_property
    @abstractmethod
    def _half_gaps(self) -> NDArray[np.float64]:
        """Half of the distance from every code's value to the next one away from zero."""

    @property
    def values(self) -> NDArray[Any]:
        """Every value in order of its code."""
        return self._values.copy()

    def _check_policies(self, overflow: str, nan: str) -> None:
        check_choice(overflow, "overflow", OVERFLOWS)
        check_choice(nan, "nan", ["error", "keep"])
        wanted = {"overflow": overflow, "nan": "nan" if nan == "keep" else ""}
        for name, code in wanted.items():
            if code in ("infinity", "nan") and code not in self.special_codes:
                given = overflow if name == "overflow" else nan
                raise RangeError(
                    f"{name} = {given!r} needs a code for {code}, which {self.name} does not have"
                )

    @staticmethod
    def _refuse(bad: NDArray[Any], a: NDArray[Any], why: str) -> None:
        if bad.any():
            index = np.unravel_index(int(np.argmax(bad)), a.shape)
            raise RangeError(f"x{shown(index)} = {a[index]} {why}")
