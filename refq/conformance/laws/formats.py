"""The laws of formats: values come back (L2), roundings go where they say (L3).

Conventions
-----------
A subject is any `refq.formats.Format` of at most 16 bits, registered or of one's own. A format may
refuse a rounding that has no meaning for it, by a `RangeError`; what it accepts is judged. Numbers
are judged in fractions, at the values, at the middle between neighbours, and one float64 to either
side; of a wide format, at the values about zero and at the ends.
"""

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.errors import RangeError
from ...core.rounding import ROUNDINGS
from ...formats import Format
from .registry import LawViolation, law

__all__ = ["near_numbers", "nearest_value", "on_their_side", "values_come_back"]

_MANY = 48  #: gaps of a wide format that are looked at


def _finite_values(form: Format) -> NDArray[np.float64]:
    """Return the distinct finite values, ascending."""
    with np.errstate(invalid="ignore"):
        values = form.values.astype(np.float64)
    return np.unique(values[np.isfinite(values)])


def near_numbers(form: Format) -> NDArray[np.float64]:
    """Return numbers at which a format must decide, all between its least and greatest value.

    Parameters
    ----------
    form : Format
        Of at most 16 bits.

    Returns
    -------
    ndarray of float64
        Values, middles, and their neighbours.

    Examples
    --------
    >>> from ...formats import get
    >>> near_numbers(get("uint1")).round(3)
    array([0. , 1. , 0.5, 0.5, 0.5, 1. ])
    """
    values = _finite_values(form)
    gaps = np.arange(values.size - 1)
    if gaps.size > _MANY:
        third, zero = _MANY // 3, int(np.searchsorted(values, 0.0))
        about = np.clip(np.arange(zero - third // 2, zero + third // 2), 0, gaps.size - 1)
        gaps = np.unique(np.concatenate([gaps[:third], about, gaps[-third:]]))
    a, b = values[gaps], values[gaps + 1]
    middle = a / 2 + b / 2
    below, above = np.nextafter(middle, a), np.nextafter(middle, b)
    return np.concatenate([a, b[-1:], middle, below, above, np.nextafter(b, a)])


def _encoded(form: Format, x: NDArray[Any], rounding: str) -> NDArray[Any] | None:
    """Return the codes, or None if the format refuses the rounding."""
    try:
        form.encode(x[:1], rounding)
    except RangeError:
        return None
    return form.encode(x, rounding)


def _is_small(form: Any) -> bool:
    return bool(form.bits <= 16)


@law(
    "L2 values come back",
    sentence="The value of a code is encoded, under every rounding, to a code of the same value.",
    source="`refq.formats.Format`: a value is no rounding",
    applies_to="format",
    applies=_is_small,
)
def values_come_back(form: Format) -> None:
    """Encode every finite value by every rounding."""
    values = form.values
    with np.errstate(invalid="ignore"):
        values = values[np.isfinite(values)]
    for rounding in ROUNDINGS:
        codes = _encoded(form, values, rounding)
        if codes is None:
            continue
        back = form.decode(codes)
        bad = back != values
        if bad.any():
            i = int(np.argmax(bad))
            given = f"{form.name}, {rounding}, the value {values[i]!s}"
            raise LawViolation(given, f"{values[i]!s}", f"{back[i]!s}, code {codes[i]!s}")


def _decides_at_midpoints(form: Any) -> bool:
    return _is_small(form) and not getattr(form, "thresholds", ())


@law(
    "L3 nearest value",
    sentence="half_even takes a number to a value that no other value is nearer than.",
    source="IEEE Std 754-2019, section 4.3.1; a table with thresholds of its own is exempt",
    applies_to="format",
    applies=_decides_at_midpoints,
)
def nearest_value(form: Format) -> None:
    """Compare distances in fractions."""
    values = _finite_values(form)
    x = near_numbers(form)
    rounded = form.decode(form.encode(x)).astype(np.float64)
    for number, got in zip(x.tolist(), rounded.tolist(), strict=True):
        low, high = _neighbours(number, values)
        best = min((low, high), key=lambda v: abs(Fraction(v) - Fraction(number)))
        if abs(Fraction(got) - Fraction(number)) > abs(Fraction(best) - Fraction(number)):
            raise LawViolation(f"{form.name}, x = {number!r}", f"{best!r}", f"{got!r}")


def _neighbours(number: float, values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the last value not above, and the first not below."""
    low = float(values[int(np.searchsorted(values, number, side="right")) - 1])
    return low, float(values[int(np.searchsorted(values, number, side="left"))])


@law(
    "L3 on their side",
    sentence="floor takes a number to the last value not above it, ceil to the first not below it.",
    source="IEEE Std 754-2019, section 4.3.2",
    applies_to="format",
    applies=_is_small,
)
def on_their_side(form: Format) -> None:
    """Look for the neighbours among all values."""
    values = _finite_values(form)
    x = near_numbers(form)
    for side, rounding in enumerate(("floor", "ceil")):
        codes = _encoded(form, x, rounding)
        if codes is None:
            continue
        for number, got in zip(x.tolist(), form.decode(codes).tolist(), strict=True):
            want = _neighbours(number, values)[side]
            if got != want:
                raise LawViolation(f"{form.name}, {rounding}({number!r})", f"{want!r}", f"{got!r}")
