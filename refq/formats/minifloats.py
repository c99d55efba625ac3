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

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.checks import check_choice, check_integer
from ..core.errors import RangeError
from ..core.rounding import saturate
from ..core.twins import jit_enabled
from .casting import FIELDS, MET_BEYOND, MET_NAN, cast_patterns
from .significands import codes_above_zero
from .small_floats import SmallFloat

__all__ = ["Minifloat", "PowersOfTwo"]

CHUNK = 1 << 16  #: float16 numbers that are widened at a time
NANS = ("ieee", "all_ones", "minus_zero", "none")  #: where the NaN codes are


@dataclass(frozen=True)
class Minifloat(SmallFloat):
    """A float of sign, exponent and mantissa, given by its parameters.

    Parameters
    ----------
    exponent_bits : int
        *E*, at least 1; ``bits = 1 + E + M`` is at most 16.
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
    name : str
        Empty: a name that lists the parameters.

    Raises
    ------
    RangeError
        If the parameters contradict each other or leave no finite value but zero.

    Notes
    -----
    Exact in float64, from any input dtype: at most 16 bits. Cost: one pass of a kernel for floats
    rounded half to even, else some twenty NumPy passes. Tier T1.

    Examples
    --------
    >>> e4m3 = Minifloat(4, 3, bias=7, infinities=False, nans="all_ones", signed_zero=True)
    >>> e4m3.max, e4m3.least_positive, e4m3.decode(e4m3.encode([0.1, -17.0, 1e9])).tolist()
    (448.0, 0.001953125, [0.1015625, -16.0, 448.0])

    IEEE P3109's binary8p3 with infinities:

    >>> p3 = Minifloat(5, 2, 16, True, "minus_zero", False, name="binary8p3")
    >>> p3.name, p3.bits, p3.max
    ('binary8p3', 8, 49152.0)
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
        check_integer(self.bias, "bias", -1000, 1000)
        check_choice(self.nans, "nans", NANS)
        bits = 1 + self.exponent_bits + self.mantissa_bits
        if bits > 16:
            raise RangeError(f"1 + exponent_bits + mantissa_bits = {bits} must be at most 16")
        fields = f"float{bits}_e{self.exponent_bits}m{self.mantissa_bits}b{self.bias}"
        self._settle(f"{fields}{'_infinities' * self.infinities}_{self.nans}", bits)
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
        above = codes_above_zero(x, rounding, self.mantissa_bits, 1 - self.bias)
        codes = saturate(above, 0, self._last_finite, np.int32)
        negative = np.signbit(x) & (self.signed_zero | (codes > 0))
        return np.where(negative, codes | self._sign, codes), above > self._last_finite

    @cached_property
    def _half_gaps(self) -> NDArray[np.float64]:
        field = np.arange(self._sign, dtype=np.int32) >> self.mantissa_bits
        half = np.ldexp(0.5, np.maximum(field, 1) - self.bias - self.mantissa_bits)
        return np.where(np.isfinite(self._table), np.concatenate([half, half]), np.nan)

    def _cast(
        self, a: NDArray[Any], rounding: str | np.random.Generator, overflow: str, nan: str
    ) -> NDArray[Any] | None:
        """See the base class: one pass, where the source is wider in every way."""
        if not (jit_enabled() and rounding == "half_even" and a.dtype.kind == "f"):
            return None
        # a subnormal of the source must be a subnormal here too
        wide = a.dtype if self._is_narrower(a.dtype) else np.dtype(np.float32)
        if not self._is_narrower(wide) or wide.itemsize < a.dtype.itemsize:
            return None
        target = self._target(wide, overflow)
        flat = np.ascontiguousarray(a).reshape(-1)
        codes, met = _cast_as(flat, wide, target, np.empty(0, self.dtype))
        refused = MET_NAN * (nan == "error") | MET_BEYOND * (overflow == "error")
        return None if met & refused else codes.reshape(a.shape)

    def _is_narrower(self, source: np.dtype[Any]) -> bool:
        mantissa_bits, bias = FIELDS[source.itemsize]
        return self.mantissa_bits < mantissa_bits and 1 - self.bias + bias >= 1

    def _target(self, source: np.dtype[Any], overflow: str) -> tuple[int, ...]:
        """Return what the kernel needs to know of this format and of the policy."""
        special = self.special_codes
        above, below = self._last_finite, self._last_finite | self._sign
        if overflow in ("infinity", "nan"):
            above = below = special[overflow]
            below |= self._sign if overflow == "infinity" else 0
        least = 1 - self.bias + FIELDS[source.itemsize][1]
        fixed = (self.mantissa_bits, least, self._last_finite, self._sign, int(self.signed_zero))
        return (*fixed, above, below, special.get("nan", 0))


def _cast_as(
    x: NDArray[Any], wide: np.dtype[Any], target: tuple[int, ...], like: NDArray[Any]
) -> tuple[NDArray[Any], int]:
    """Cast by the kernel; what must be widened is widened by the piece, to spare a whole copy."""
    M, least, last, sign, zero, above, below, missing = target
    if wide == x.dtype:
        patterns = x.view(f"u{wide.itemsize}")
        return cast_patterns(patterns, M, least, last, sign, zero, above, below, missing, like)
    codes, met = np.empty(x.size, like.dtype), 0
    for start in range(0, x.size, CHUNK):
        with np.errstate(invalid="ignore"):  # signalling NaN
            part = x[start : start + CHUNK].astype(wide)
        codes[start : start + CHUNK], seen = _cast_as(part, wide, target, like)
        met |= seen
    return codes, met


@dataclass(frozen=True)
class PowersOfTwo(SmallFloat):
    """An unsigned exponent and nothing else: no zero, no sign; the last code is NaN.

    Parameters
    ----------
    bits : int
        Of the exponent, in [2, 8].
    bias : int
        Code c means ``2^(c - bias)``.
    name : str
        Empty: a name that lists the parameters.

    Notes
    -----
    Whatever rounds to less than the least value, zero and negative numbers among it, overflows too:
    "saturate" makes it the least value. Tier T1.

    References
    ----------
    OCP Microscaling Formats (MX) Specification, version 1.0: the scale E8M0.

    Examples
    --------
    >>> e8m0 = PowersOfTwo(8, 127)
    >>> e8m0.encode([1.0, 1.5, 3.0, 0.0]), e8m0.max == 2.0**127
    (array([127, 128, 128,   0], dtype=uint8), True)
    """

    bits: int
    bias: int

    def __post_init__(self) -> None:
        check_integer(self.bits, "bits", 2, 8)
        check_integer(self.bias, "bias", -500, 500)
        self._settle(f"exponent{self.bits}b{self.bias}")

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
        above = codes_above_zero(np.maximum(x, 0.0), rounding, 0, 1 - far)
        codes = above + (self.bias - far)
        last = (1 << self.bits) - 2
        return saturate(codes, 0, last, np.int32), (codes < 0) | (codes > last)

    @cached_property
    def _half_gaps(self) -> NDArray[np.float64]:
        return self._table / 2
