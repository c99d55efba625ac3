"""What a code means: formats fixed by a standard, numbers only, no blocks."""

from .format import Format
from .integers import Integer
from .level_tables import LevelTable, normal_float_levels
from .native_floats import NativeFloat
from .registry import FORMATS, get

__all__ = [
    "FORMATS",
    "Format",
    "Integer",
    "LevelTable",
    "NativeFloat",
    "get",
    "normal_float_levels",
]
