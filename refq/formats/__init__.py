"""What a code means: formats fixed by a standard, numbers only, no blocks."""

from .code_tables import CODE_TABLES, CodeTable, dynamic_levels
from .format import Format
from .integers import Integer
from .level_tables import LevelTable, normal_float_levels
from .minifloats import Minifloat, PowersOfTwo, SmallFloat
from .native_floats import NativeFloat
from .registry import FORMATS, get

__all__ = [
    "CODE_TABLES",
    "FORMATS",
    "CodeTable",
    "Format",
    "Integer",
    "LevelTable",
    "Minifloat",
    "NativeFloat",
    "PowersOfTwo",
    "SmallFloat",
    "dynamic_levels",
    "get",
    "normal_float_levels",
]
