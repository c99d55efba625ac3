"""Every format by its name.

Conventions
-----------
Names are ONNX's and ml_dtypes' own. ``int1`` means two's complement: -1 and 0; ``binary`` is the
pair -1, +1 and ``uint1`` the pair 0, 1.
"""

from ..core.errors import RangeError
from .code_tables import CODE_TABLES
from .format import Format
from .integers import Integer
from .level_tables import LevelTable, normal_float_levels
from .minifloats import Minifloat, PowersOfTwo
from .native_floats import NativeFloat

__all__ = ["FORMATS", "get"]


def _all_formats() -> dict[str, Format]:
    widths = [*range(1, 17), 32, 64]
    every: list[Format] = [Integer(f"int{b}", b, True) for b in widths]
    every += [Integer(f"uint{b}", b, False) for b in widths]
    every += [NativeFloat(f"float{b}", b) for b in (16, 32, 64)]
    # exponent bits, mantissa bits, bias, infinities, where NaN is, whether there is a -0
    every += [
        Minifloat("bfloat16", 16, 8, 7, 127, True, "ieee", True),
        Minifloat("float8_e4m3fn", 8, 4, 3, 7, False, "all_ones", True),
        Minifloat("float8_e4m3fnuz", 8, 4, 3, 8, False, "minus_zero", False),
        Minifloat("float8_e5m2", 8, 5, 2, 15, True, "ieee", True),
        Minifloat("float8_e5m2fnuz", 8, 5, 2, 16, False, "minus_zero", False),
        Minifloat("float8_e3m4", 8, 3, 4, 3, True, "ieee", True),
        Minifloat("float8_e4m3b11fnuz", 8, 4, 3, 11, False, "minus_zero", False),
        PowersOfTwo("float8_e8m0fnu", 8, 127),
        Minifloat("float6_e2m3fn", 6, 2, 3, 1, False, "none", True),
        Minifloat("float6_e3m2fn", 6, 3, 2, 3, False, "none", True),
        Minifloat("float4_e2m1fn", 4, 2, 1, 1, False, "none", True),
    ]
    every += [
        LevelTable("nf4", 4, normal_float_levels(4)),
        LevelTable("binary", 1, (-1.0, 1.0)),
        LevelTable("ternary", 2, (-1.0, 0.0, 1.0)),
    ]
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
    if isinstance(name, str) and name in CODE_TABLES:
        return CODE_TABLES[name]
    if not isinstance(name, str) or name not in FORMATS:
        raise RangeError(f"format = {name!r} is unknown; there are {', '.join(sorted(FORMATS))}")
    return FORMATS[name]
