"""Every format by its name.

Conventions
-----------
Names are ONNX's and ml_dtypes' own where those have one. ``int1`` means two's complement: -1 and 0;
``binary`` is the pair -1, +1 and ``uint1`` the pair 0, 1. A name stands for one format for ever,
because encodings and files keep the name alone.
"""

from ..core.errors import RangeError
from .format import Format
from .integers import Integer
from .layout_tables import LAYOUT_TABLES
from .level_lists import (
    additive_power_of_two_levels,
    bitsandbytes_fp4_levels,
    bitsandbytes_fp4_thresholds,
    normal_float_levels,
    power_of_two_levels,
)
from .level_tables import LevelTable
from .minifloats import Minifloat, PowersOfTwo
from .native_floats import NativeFloat

__all__ = ["FORMATS", "check_registered", "get", "register"]


def _minifloats() -> list[Format]:
    # exponent bits, mantissa bits, bias, infinities, where NaN is, whether there is a -0
    return [
        Minifloat(8, 7, 127, True, "ieee", True, name="bfloat16"),
        Minifloat(4, 3, 7, False, "all_ones", True, name="float8_e4m3fn"),
        Minifloat(4, 3, 8, False, "minus_zero", False, name="float8_e4m3fnuz"),
        Minifloat(5, 2, 15, True, "ieee", True, name="float8_e5m2"),
        Minifloat(5, 2, 16, False, "minus_zero", False, name="float8_e5m2fnuz"),
        Minifloat(3, 4, 3, True, "ieee", True, name="float8_e3m4"),
        Minifloat(4, 3, 11, False, "minus_zero", False, name="float8_e4m3b11fnuz"),
        PowersOfTwo(8, 127, name="float8_e8m0fnu"),
        Minifloat(2, 3, 1, False, "none", True, name="float6_e2m3fn"),
        Minifloat(3, 2, 3, False, "none", True, name="float6_e3m2fn"),
        Minifloat(2, 1, 1, False, "none", True, name="float4_e2m1fn"),
    ]


def _tables() -> list[Format]:
    fp4 = bitsandbytes_fp4_levels(), bitsandbytes_fp4_thresholds()
    return [
        LevelTable(normal_float_levels(4), name="nf4"),
        LevelTable(*fp4, "toward_zero", name="bnb_fp4"),
        LevelTable((-1.0, 1.0), name="binary"),
        LevelTable((-1.0, 0.0, 1.0), name="ternary"),
        LevelTable(power_of_two_levels(4), name="pot4"),
        LevelTable(additive_power_of_two_levels(2, 2), name="apot5"),
    ]


def _all_formats() -> dict[str, Format]:
    widths = [*range(1, 17), 32, 64]
    every: list[Format] = [Integer(b, True) for b in widths]
    every += [Integer(b, False) for b in widths]
    every += [NativeFloat(b) for b in (16, 32, 64)]
    every += [*_minifloats(), *_tables()]
    return {f.name: f for f in every}


FORMATS = _all_formats()  #: name -> format


def get(name: str | Format) -> Format:
    """Return the format of that name; a format passes through.

    Parameters
    ----------
    name : str or Format
        For example "int8", "float16", "nf4".

    Returns
    -------
    Format
        The frozen value.

    Raises
    ------
    RangeError
        Listing the names there are.

    Examples
    --------
    >>> get("uint4").high
    15
    """
    if isinstance(name, Format):
        return name
    found = _named(name)
    if found is None:
        raise RangeError(f"format = {name!r} is unknown; there are {', '.join(sorted(FORMATS))}")
    return found


def _named(name: object) -> Format | None:
    """Return the format of that name, of a layout's tables too."""
    return FORMATS.get(name, LAYOUT_TABLES.get(name)) if isinstance(name, str) else None


def register(format: Format) -> Format:
    """Add a format of one's own, so that encodings and files can name it.

    Parameters
    ----------
    format : Format
        Under its name, in this process; whoever reads a file of it registers it too.

    Returns
    -------
    Format
        The same.

    Raises
    ------
    RangeError
        If the name stands for another format.

    Examples
    --------
    >>> from refq.encodings import dense
    >>> mine = register(LevelTable([0.0, 1.0, 3.0, 9.0], name="powers_of_three"))
    >>> dense([3.0, 0.0], mine).codes
    array([2, 0], dtype=uint8)
    >>> FORMATS.pop("powers_of_three") is mine
    True
    """
    if not isinstance(format, Format):
        raise RangeError(f"format = {format!r} is no Format")
    there = _named(format.name)
    if there not in (None, format):
        raise RangeError(f"format = {format!r}: the name stands for {there!r}; take another")
    return FORMATS.setdefault(format.name, format) if there is None else there


def check_registered(format: Format) -> Format:
    """Return a format that its name leads to.

    Parameters
    ----------
    format : Format
        Any.

    Returns
    -------
    Format
        The same.

    Raises
    ------
    RangeError
        If the name is unknown or stands for another format.

    Examples
    --------
    >>> check_registered(LevelTable([0.0, 1.0], name="mine"))
    Traceback (most recent call last):
    refq.core.errors.RangeError: format 'mine' is not registered: refq.formats.register(it) first
    """
    if _named(format.name) != format:
        raise RangeError(
            f"format {format.name!r} is not registered: refq.formats.register(it) first"
        )
    return format
