"""Semantics: what "quantize" means, as a value that is its own implementation.

Problem
-------
Runtimes that claim the same operator return different integers: one divides, one multiplies by the
reciprocal; one adds the zero point after rounding, one before; one multiplies accumulators by a
float32, one by a fixed-point number, rounding once or twice.

Equation
--------
The text, ONNX: ``y = saturate(round_half_even(x / y_scale) + y_zero_point)``.

Conventions
-----------
A `Semantics` is a name, a version and three frozen rules. Each rule's `apply` *is* the NumPy
implementation. Presets are versioned and never change. Tier T1 throughout: every float operation
in a rule is one correctly rounded IEEE operation.

References
----------
.. [1] ONNX operator specification, opset 28: QuantizeLinear, DequantizeLinear, QLinearMatMul,
   QLinearConv, MatMulInteger, ConvInteger. https://onnx.ai/onnx/operators/
.. [2] IEEE Std 754-2019.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .checks import check_choice
from .errors import RangeError
from .fixed_point import (
    INTEGER_ROUNDINGS,
    as_fractions,
    divide_and_round,
    fixed_point_multiplier,
    multiply_rounding_once,
    multiply_rounding_twice,
)
from .rounding import NAN_POLICIES, ROUNDINGS, round_to_integer, saturate

__all__ = [
    "ONNX",
    "PRESETS",
    "CastRule",
    "QuantizeRule",
    "RequantizeRule",
    "Semantics",
    "get",
    "sum_to_float32",
]

#: Beyond every code and zero point of 32 bits, so clipping to it changes no saturated result.
WIDE = 1 << 40


def sum_to_float32(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the float32 nearest to the exact sum of two float64.

    Parameters
    ----------
    p, q : ndarray of float64
        Broadcast; NaN and infinities pass through.

    Returns
    -------
    ndarray of float32
        Rounded once, ties to even.

    Notes
    -----
    The float64 sum is rounded to odd (the last bit remembers that something was cut off), which
    makes the second rounding to 24 bits harmless, since 53 >= 24 + 2. Tier T1.

    Examples
    --------
    >>> half_ulp, tiny = np.float64(2.0**-24), np.float64(2.0**-80)
    >>> float(sum_to_float32(1 + half_ulp, tiny)), float(np.float32(1 + half_ulp + tiny))
    (1.0000001192092896, 1.0)
    """
    with np.errstate(all="ignore"):
        total = np.asarray(p + q, np.float64)
        back = total - p
        error = (p - (total - back)) + (q - back)  # exact: total + error == p + q
        even = (total.view(np.int64) & 1) == 0
        toward = np.where(error > 0, np.inf, -np.inf)
        move = even & (error != 0) & np.isfinite(total)
        return np.where(move, np.nextafter(total, toward), total).astype(np.float32)


@dataclass(frozen=True)
class QuantizeRule:
    """How a number becomes a code.

    Parameters
    ----------
    quotient : {"divide", "reciprocal"}
        ``x / scale``, or ``x * (1 / scale)`` with both roundings.
    precision : {"scale", "float32", "float64"}
        The dtype of the arithmetic; "scale" means the dtype of the scale. `x` is rounded to it
        first, once: float64 numbers over a float32 scale are rounded to float32, ties to even,
        then divided in float32; float32 numbers over a float64 scale widen, and divide in float64.
    rounding : str
        One of `refq.core.rounding.ROUNDINGS`.
    zero_point : {"after", "before", "fused"}
        Added after rounding, in integers; before it, in float; or with the product in one fused
        multiply-add (reciprocal and float32 only).
    nan : {"error", "zero", "low", "high"}
        What NaN becomes; "zero" is the code that means zero, the zero point.

    Raises
    ------
    RangeError
        If a field has no such value.

    Examples
    --------
    >>> x, scale = np.array([0.5, 1.5, 2.5]), np.array(1.0)
    >>> QuantizeRule().apply(x, scale, 1, 0, 255, np.uint8)
    array([1, 3, 3], dtype=uint8)
    >>> QuantizeRule(zero_point="before").apply(x, scale, 1, 0, 255, np.uint8)
    array([2, 2, 4], dtype=uint8)
    """

    quotient: str = "divide"
    precision: str = "scale"
    rounding: str = "half_even"
    zero_point: str = "after"
    nan: str = "error"

    def __post_init__(self) -> None:
        check_choice(self.quotient, "quotient", ("divide", "reciprocal"))
        check_choice(self.precision, "precision", ("scale", "float32", "float64"))
        check_choice(self.rounding, "rounding", ROUNDINGS)
        check_choice(self.zero_point, "zero_point", ("after", "before", "fused"))
        check_choice(self.nan, "nan", NAN_POLICIES)
        if self.zero_point == "fused" and (self.quotient, self.precision) != (
            "reciprocal",
            "float32",
        ):
            raise RangeError(
                "zero_point = 'fused' needs quotient='reciprocal' and precision='float32', "
                f"got {self.quotient!r} and {self.precision!r}"
            )

    def apply(
        self,
        x: NDArray[Any],
        scale: NDArray[Any],
        zero_point: Any,
        low: int,
        high: int,
        dtype: Any,
    ) -> NDArray[Any]:
        """Return the codes of `x`.

        Parameters
        ----------
        x : ndarray
            Real numbers; infinities saturate.
        scale : ndarray of float16, float32 or float64
            Finite and positive; broadcasts against `x`.
        zero_point : int or ndarray of integers
            Broadcasts; at most 32 bits.
        low, high : int
            The inclusive range of codes, at most 32 bits.
        dtype : dtype
            Of the result; holds `low` and `high`.

        Returns
        -------
        ndarray of `dtype`
            The shape that `x` and `scale` broadcast to.

        Raises
        ------
        RangeError
            If an element is NaN and ``nan="error"``, with its index.

        Notes
        -----
        The zero point is added in int64 after a saturating cast, so nothing overflows. Tier T1.
        """
        z = np.asarray(zero_point, np.int64)
        with np.errstate(all="ignore"):  # overflow to infinity saturates, underflow rounds to zero
            level = self._level(x, scale, z)
            rounded = round_to_integer(level, self.rounding)
        codes = saturate(rounded.astype(np.float64), -WIDE, WIDE, np.int64, self.nan)
        if self.zero_point == "after":
            codes = codes + z
        elif self.nan == "zero":
            codes = np.where(np.isnan(level), z, codes)
        return np.clip(codes, low, high).astype(dtype)

    def _level(self, x: NDArray[Any], scale: NDArray[Any], z: NDArray[Any]) -> NDArray[Any]:
        """Return what is rounded: the quotient, with the zero point unless it comes after."""
        work = scale.dtype if self.precision == "scale" else np.dtype(self.precision)
        x, scale = x.astype(work), scale.astype(work)
        if self.zero_point == "fused":
            product = x.astype(np.float64) * (1 / scale).astype(np.float64)  # exact: 24 + 24 bits
            return sum_to_float32(product, z.astype(np.float64))
        level = x / scale if self.quotient == "divide" else x * (1 / scale)
        return level + z.astype(work) if self.zero_point == "before" else level


@dataclass(frozen=True)
class RequantizeRule:
    """How an integer accumulator becomes a code of another scale.

    Parameters
    ----------
    kind : {"exact", "float32", "fixed_point", "fixed_point_double"}
        "exact": the accumulator times the exact rational product of the scales, rounded once.
        "float32": accumulator and multiplier as float32, their float32 product rounded.
        "fixed_point": an integer mantissa and a shift, rounded once.
        "fixed_point_double": the same, rounded twice as gemmlowp does.
    rounding : str
        Where a tie goes: "half_even", "half_away" or "half_up"; for "float32" any of
        `refq.core.rounding.ROUNDINGS`; "fixed_point_double" has "half_up_then_half_away" only.

    Raises
    ------
    RangeError
        If a field has no such value.

    Examples
    --------
    >>> a = np.array([-3, 1, 3, 1000], np.int32)
    >>> RequantizeRule().apply(a, 0.5, 1, 0, 255, np.uint8)
    array([  0,   1,   3, 255], dtype=uint8)
    >>> RequantizeRule("fixed_point", "half_up").apply(a, 0.5, 1, 0, 255, np.uint8)
    array([  0,   2,   3, 255], dtype=uint8)
    """

    kind: str = "exact"
    rounding: str = "half_even"

    def __post_init__(self) -> None:
        check_choice(self.kind, "kind", ("exact", "float32", "fixed_point", "fixed_point_double"))
        allowed: tuple[str, ...] = INTEGER_ROUNDINGS
        if self.kind == "float32":
            allowed = tuple(ROUNDINGS)
        elif self.kind == "fixed_point_double":
            allowed = ("half_up_then_half_away",)
        check_choice(self.rounding, "rounding", allowed)

    def multiplier(
        self, a_scale: NDArray[Any], b_scale: NDArray[Any], y_scale: NDArray[Any]
    ) -> NDArray[Any]:
        """Return ``a_scale * b_scale / y_scale`` as this rule computes it.

        Parameters
        ----------
        a_scale, b_scale, y_scale : ndarray of float
            Finite and positive; broadcast.

        Returns
        -------
        ndarray
            Exact fractions (dtype object); for "float32" two float32 operations, left to right.

        Raises
        ------
        RangeError
            If a float32 multiplier over- or underflows.

        Examples
        --------
        >>> half, third = np.float32(0.5), np.float32(0.25)
        >>> RequantizeRule().multiplier(half, half, third)[()]
        Fraction(1, 1)
        """
        if self.kind != "float32":
            a, b, y = (as_fractions(s, "scale") for s in (a_scale, b_scale, y_scale))
            return np.asarray(a * b / y, dtype=object)
        p, q, r = (np.asarray(s).astype(np.float32) for s in (a_scale, b_scale, y_scale))
        with np.errstate(all="ignore"):
            product = np.asarray(p * q / r)
        as_fractions(product)
        return product

    def apply(
        self,
        accumulator: NDArray[Any],
        multiplier: Any,
        zero_point: Any,
        low: int,
        high: int,
        dtype: Any,
    ) -> NDArray[Any]:
        """Return the codes of accumulators.

        Parameters
        ----------
        accumulator : ndarray of integers
            Values of int32 for the fixed-point kinds; any int64 otherwise.
        multiplier : Fraction, float, or array_like of them
            Positive; broadcasts against the accumulator.
        zero_point : int or ndarray of integers
            Broadcasts.
        low, high : int
            The inclusive range of codes, at most 32 bits.
        dtype : dtype
            Of the result.

        Returns
        -------
        ndarray of `dtype`
            The shape that the accumulator and the multiplier broadcast to.

        Raises
        ------
        RangeError
            If a multiplier is not finite and positive.

        Notes
        -----
        "exact" computes in Python integers: slow, never wrong. Tier T1.
        """
        z = np.asarray(zero_point, np.int64)
        if self.kind == "float32":
            factor = np.asarray(multiplier).astype(np.float32)
            with np.errstate(all="ignore"):
                level = round_to_integer(
                    np.asarray(accumulator.astype(np.float32) * factor), self.rounding
                )
            codes = saturate(level.astype(np.float64), -WIDE, WIDE, np.int64) + z
        elif self.kind == "exact":
            codes = self._exact(accumulator, as_fractions(multiplier)) + z
        else:
            mantissa, shift = fixed_point_multiplier(multiplier)
            if self.kind == "fixed_point":
                codes = multiply_rounding_once(accumulator, mantissa, shift, self.rounding) + z
            else:
                codes = multiply_rounding_twice(accumulator, mantissa, shift) + z
        return np.clip(codes, low, high).astype(dtype)

    def _exact(self, accumulator: NDArray[Any], factor: NDArray[Any]) -> NDArray[Any]:
        fractions = factor.ravel().tolist()
        top, bottom = np.empty(factor.size, object), np.empty(factor.size, object)
        top[:], bottom[:] = [f.numerator for f in fractions], [f.denominator for f in fractions]
        product = np.asarray(accumulator.astype(object) * top.reshape(factor.shape), object)
        rounded = divide_and_round(product, bottom.reshape(factor.shape), self.rounding)
        return np.asarray(np.clip(rounded, -WIDE, WIDE)).astype(np.int64)


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


@dataclass(frozen=True)
class Semantics:
    """What one runtime, in one version, computes.

    Parameters
    ----------
    name, version : str
        For example "onnx", "28" (the opset).
    quantize : QuantizeRule
        Numbers to codes.
    requantize : RequantizeRule
        Accumulators to codes.
    cast : CastRule
        Numbers to codes without a scale.
    accumulator : {"exact", "wrap"}
        "exact" refuses sums that could leave int32; "wrap" computes modulo 2^32.

    Raises
    ------
    RangeError
        If `accumulator` has no such value.

    Examples
    --------
    >>> ONNX.quantize.zero_point, ONNX.requantize.kind
    ('after', 'exact')
    """

    name: str
    version: str
    quantize: QuantizeRule = QuantizeRule()
    requantize: RequantizeRule = RequantizeRule()
    cast: CastRule = CastRule()
    accumulator: str = "exact"

    def __post_init__(self) -> None:
        check_choice(self.accumulator, "accumulator", ("exact", "wrap"))


ONNX = Semantics("onnx", "28")  #: the text of opset 28, the default of every op

#: (name, version) -> preset; of one name, the newest comes last.
PRESETS: dict[tuple[str, str], Semantics] = {(s.name, s.version): s for s in (ONNX,)}


def get(name: str | Semantics, version: str | None = None) -> Semantics:
    """Return a preset by its name; a `Semantics` passes through.

    Parameters
    ----------
    name : str or Semantics
        For example "onnx".
    version : str or None
        None means the newest there is.

    Returns
    -------
    Semantics
        The frozen value.

    Raises
    ------
    RangeError
        Listing the presets there are.

    Examples
    --------
    >>> get("onnx") is ONNX
    True
    """
    if isinstance(name, Semantics):
        return name
    found = [s for (n, v), s in PRESETS.items() if n == name and version in (None, v)]
    if not found:
        there = ", ".join(f"{n} {v}" for n, v in PRESETS)
        wanted = f"{name!r}" if version is None else f"{name!r}, version {version!r}"
        raise RangeError(f"semantics = {wanted} is unknown; there are: {there}")
    return found[-1]
