"""Floating-point formats of at most 16 bits, by their parameters.

Problem
-------
Dozens of small floats differ only in how wide their fields are and in which codes they spend on
infinity, NaN and -0. One class with those as parameters holds them all, IEEE P3109's family and
formats of one's own among them.

Equation
--------
With E exponent bits, M mantissa bits, bias b, and the fields s, e, m of a code::

    e > 0:  (-1)^s * 2^(e - b) * (1 + m / 2^M)         e = 0:  (-1)^s * 2^(1 - b) * m / 2^M

Conventions
-----------
A code is the bit pattern s, e, m from the top bit down, in the smallest unsigned dtype. Special
codes lie at the end of the positive and of the negative codes: see `Minifloat`.

Encoding is exact and rounds once. A number x is first rounded to M + 1 significant bits *as if the
exponent had no upper limit*; where the result is beyond `max`, the number *overflows*, under every
rounding: 500.0 toward zero is 480, which float8_e4m3fn does not have, so it overflows, and 460.0
toward zero is 448, so it does not. Infinite input overflows always. Ties of half_even go to the
even *code*, which is the even significand wherever there is a mantissa. Encoding gives one NaN, the
positive quiet one, whatever NaN comes in.

References
----------
.. [1] IEEE Std 754-2019, sections 3.4 and 4.3.
.. [2] P. Micikevicius et al., "FP8 Formats for Deep Learning", 2022, arXiv:2209.05433.
.. [3] B. Noune et al., "8-bit Numerical Formats for Deep Neural Networks", 2022, arXiv:2206.02915.
.. [4] Open Compute Project, "OCP Microscaling Formats (MX) Specification", version 1.0, 2023.
"""

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import check_array, check_choice, check_integer, shown
from ..core.dtypes import smallest_unsigned
from ..core.errors import DTypeError, FormatError, RangeError
from ..core.rounding import round_to_integer, saturate
from .format import Format

__all__ = ["Minifloat", "PowersOfTwo", "SmallFloat"]

OVERFLOWS = ("saturate", "infinity", "nan", "error")  #: what may happen beyond the largest value
NANS = ("ieee", "all_ones", "minus_zero", "none")  #: where the NaN codes are


def _exact_float64(a: NDArray[Any]) -> NDArray[np.float64]:
    """Widen to float64 so that a later rounding to 16 bits is the only one.

    Integers beyond 2^53 are no float64: their low 11 bits collapse into one sticky bit, which no
    format of 16 bits can tell from the bits themselves.
    """
    if a.dtype.kind == "f" or a.dtype.itemsize < 8:
        with np.errstate(invalid="ignore"):  # signalling NaN
            return a.astype(np.float64)
    negative = a < 0
    with np.errstate(over="ignore"):  # two's complement: the wrapped negative is the magnitude
        magnitude = np.where(negative, -a.astype(np.uint64), a.astype(np.uint64))
    kept, lost = magnitude >> np.uint64(11), magnitude & np.uint64(2047)
    sticky = (kept | (lost != 0)) << np.uint64(11)
    wide = np.where(magnitude >> np.uint64(53) != 0, sticky, magnitude).astype(np.float64)
    return np.where(negative, -wide, wide)


def _round_significand(
    x: NDArray[np.float64],
    rounding: str | np.random.Generator,
    mantissa_bits: int,
    least: int,
) -> NDArray[np.float64]:
    """Return how many codes |x| lies above zero, when exponents have no upper limit.

    From 2^least up, each power of two holds 2^M codes; below, codes are 2^(least - M) apart.
    """
    exponent = np.frexp(x)[1] - 1  # floor(log2|x|) from the exponent bits; zero has none
    exponent = np.where(x == 0, least, np.maximum(exponent, least))
    with np.errstate(under="ignore"):
        steps = np.ldexp(np.abs(x), mantissa_bits - exponent)  # exact: in [0, 2^(M + 1))
    # what underflows here is still above zero: a directed rounding must see it
    steps = np.where(x != 0, np.maximum(steps, 2.0**-1000), 0.0)
    base = (exponent - least) << mantissa_bits  # the codes below this power of two, less 2^M
    # without a mantissa the parity of a code is its exponent's: shift, exactly, by one
    odd = base & 1
    rounded = round_to_integer(np.copysign(steps - odd, x), rounding)
    return np.abs(rounded) + odd + base


@dataclass(frozen=True)
class SmallFloat(Format):
    """What the small floats share: values in a table, and the policies of encoding.

    Parameters
    ----------
    name : str
        The format's name.
    bits : int
        Width of one code, at most 16.
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
        wide = _exact_float64(a)
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

    def _special(self, name: str, x: NDArray[np.float64]) -> NDArray[Any]:
        """Return the special code for each number; infinities bear its sign."""
        code = self.special_codes[name]
        minus = code | (1 << (self.bits - 1)) if name == "infinity" else code
        return np.where(np.signbit(x), minus, code)

    def decode(self, codes: NDArray[Any]) -> NDArray[Any]:
        """Return the values of bit patterns; every pattern exists."""
        if codes.dtype.kind not in "iu":
            raise DTypeError(f"codes of {self.name} have dtype {codes.dtype}; integers are needed")
        if codes.dtype != self.dtype or self.bits != 8 * self.dtype.itemsize:
            bad = (codes < 0) | (codes >= 1 << self.bits)
            if bad.any():
                index = np.unravel_index(int(np.argmax(bad)), codes.shape)
                raise FormatError(
                    f"codes{shown(index)} = {codes[index]}; {self.name} has codes "
                    f"0..{(1 << self.bits) - 1}"
                )
        return np.asarray(self._values[codes])

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


@dataclass(frozen=True)
class Minifloat(SmallFloat):
    """A float of sign, exponent and mantissa, given by its parameters.

    Parameters
    ----------
    name : str
        The format's name.
    bits : int
        ``1 + exponent_bits + mantissa_bits``, at most 16.
    exponent_bits : int
        *E*, at least 1.
    mantissa_bits : int
        *M*, at least 0.
    bias : int
        Subtracted from the exponent field, in [-1000, 1000].
    infinities : bool
        Whether there are two: the last codes of either sign that are not NaN.
    nans : {"ieee", "all_ones", "minus_zero", "none"}
        "ieee": the highest exponent is for infinity (mantissa 0) and NaN (all others);
        "all_ones": NaN is the last code of either sign; "minus_zero": the one NaN is where -0 would
        be; "none": there is none.
    signed_zero : bool
        Whether there is a -0; False exactly where NaN has its place.

    Raises
    ------
    RangeError
        If the parameters contradict each other or leave no finite value but zero.

    Notes
    -----
    Exact in float64, from any input dtype: at most 16 bits. Cost: linear, some twenty NumPy passes.
    Tier T1.

    Examples
    --------
    >>> e4m3 = Minifloat("float8_e4m3fn", 8, 4, 3, 7, False, "all_ones", True)
    >>> e4m3.max, e4m3.least_positive, e4m3.decode(e4m3.encode([0.1, -17.0, 1e9])).tolist()
    (448.0, 0.001953125, [0.1015625, -16.0, 448.0])

    IEEE P3109's binary8p3 with infinities:

    >>> Minifloat("binary8p3", 8, 5, 2, 16, True, "minus_zero", False).max
    49152.0
    """

    exponent_bits: int
    mantissa_bits: int
    bias: int
    infinities: bool
    nans: str
    signed_zero: bool

    def __post_init__(self) -> None:
        check_integer(self.exponent_bits, "exponent_bits", 1)
        check_integer(self.mantissa_bits, "mantissa_bits", 0)
        check_integer(self.bits, "bits", 2, 16)
        check_integer(self.bias, "bias", -1000, 1000)
        check_choice(self.nans, "nans", NANS)
        if self.bits != 1 + self.exponent_bits + self.mantissa_bits:
            raise RangeError(
                f"bits = {self.bits} must be 1 + exponent_bits + mantissa_bits = "
                f"{1 + self.exponent_bits + self.mantissa_bits}"
            )
        if self.signed_zero == (self.nans == "minus_zero"):
            raise RangeError(
                f"signed_zero = {self.signed_zero} contradicts nans = {self.nans!r}: the code of "
                "-0 is NaN with 'minus_zero', and -0 with all others"
            )
        if self.nans == "ieee" and not (self.infinities and self.mantissa_bits):
            raise RangeError("nans = 'ieee' needs infinities = True and a mantissa bit")
        if self._last_finite < 1:
            raise RangeError(f"{self.name} leaves no finite value but zero")
        highest = (self._last_finite >> self.mantissa_bits) - self.bias
        if highest > 1023 or 1 - self.bias - self.mantissa_bits < -1074:
            raise RangeError(f"bias = {self.bias} gives {self.name} values that are no float64")

    @property
    def _sign(self) -> int:
        return 1 << (self.bits - 1)

    @property
    def _last_finite(self) -> int:
        """The code of the largest finite value."""
        if self.nans == "ieee":
            return (((1 << self.exponent_bits) - 1) << self.mantissa_bits) - 1
        return self._sign - 1 - self.infinities - (self.nans == "all_ones")

    @property
    def special_codes(self) -> dict[str, int]:
        """The positive codes of "infinity" and "nan" (the quiet one), those that there are."""
        found = {"infinity": self._last_finite + 1} if self.infinities else {}
        quiet = (((2 << self.exponent_bits) - 1) << self.mantissa_bits) >> 1
        places = {"ieee": quiet, "all_ones": self._sign - 1, "minus_zero": self._sign}
        return found | ({"nan": places[self.nans]} if self.nans in places else {})

    @cached_property
    def _table(self) -> NDArray[np.float64]:
        codes = np.arange(self._sign, dtype=np.int32)
        field, mantissa = codes >> self.mantissa_bits, codes & ((1 << self.mantissa_bits) - 1)
        significand = mantissa + ((field > 0) << self.mantissa_bits)
        exponent = np.maximum(field, 1) - self.bias - self.mantissa_bits
        with np.errstate(over="ignore"):
            half = np.ldexp(significand.astype(np.float64), exponent)
        half[self._last_finite + 1 :] = np.nan
        if self.infinities:
            half[self._last_finite + 1] = np.inf
        table = np.concatenate([half, -half])
        if self.nans == "minus_zero":
            table[self._sign] = np.nan
        return table

    def _round(
        self, x: NDArray[np.float64], rounding: str | np.random.Generator
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        above = _round_significand(x, rounding, self.mantissa_bits, 1 - self.bias)
        codes = saturate(above, 0, self._last_finite, np.int32)
        negative = np.signbit(x) & (self.signed_zero | (codes > 0))
        return np.where(negative, codes | self._sign, codes), above > self._last_finite


@dataclass(frozen=True)
class PowersOfTwo(SmallFloat):
    """An unsigned exponent and nothing else: no zero, no sign; the last code is NaN.

    Parameters
    ----------
    name : str
        The format's name.
    bits : int
        Of the exponent, in [2, 8].
    bias : int
        Code c means ``2^(c - bias)``.

    Notes
    -----
    Whatever rounds to less than the least value, zero and negative numbers among it, overflows too:
    "saturate" makes it the least value. Tier T1.

    References
    ----------
    OCP Microscaling Formats (MX) Specification, version 1.0: the scale E8M0.

    Examples
    --------
    >>> e8m0 = PowersOfTwo("float8_e8m0fnu", 8, 127)
    >>> e8m0.encode([1.0, 1.5, 3.0, 0.0]), e8m0.max == 2.0**127
    (array([127, 128, 128,   0], dtype=uint8), True)
    """

    bias: int

    def __post_init__(self) -> None:
        check_integer(self.bits, "bits", 2, 8)
        check_integer(self.bias, "bias", -500, 500)

    @property
    def special_codes(self) -> dict[str, int]:
        """NaN is the last code; there is no infinity."""
        return {"nan": (1 << self.bits) - 1}

    @cached_property
    def _table(self) -> NDArray[np.float64]:
        table = np.ldexp(1.0, np.arange(1 << self.bits, dtype=np.int32) - self.bias)
        table[-1] = np.nan
        return table

    def _round(
        self, x: NDArray[np.float64], rounding: str | np.random.Generator
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        # counted from a power of two far below, of the parity of the least value's
        far = 1030 + (self.bias & 1)
        above = _round_significand(np.maximum(x, 0.0), rounding, 0, 1 - far)
        codes = above + (self.bias - far)
        last = (1 << self.bits) - 2
        return saturate(codes, 0, last, np.int32), (codes < 0) | (codes > last)
