"""What a code means: formats fixed by a standard, numbers only, no blocks."""

from .format import Format
from .integers import Integer
from .layout_tables import LAYOUT_TABLES, dynamic_levels
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
from .registry import FORMATS, check_registered, get, register
from .small_floats import SmallFloat
from .widths import Width, width_table

__all__ = [
    "FORMATS",
    "LAYOUT_TABLES",
    "Format",
    "Integer",
    "LevelTable",
    "Minifloat",
    "NativeFloat",
    "PowersOfTwo",
    "SmallFloat",
    "Width",
    "additive_power_of_two_levels",
    "bitsandbytes_fp4_levels",
    "bitsandbytes_fp4_thresholds",
    "check_registered",
    "dynamic_levels",
    "get",
    "normal_float_levels",
    "power_of_two_levels",
    "register",
    "width_table",
]
