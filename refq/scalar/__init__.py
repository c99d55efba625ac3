"""Methods that code one number at a time."""

from .adaround import AdaRound, rectified_sigmoid, rounding_objective
from .affine import AffineQuantizer, affine_bound
from .block_scaled import SCALE_RULES, BlockScaledQuantizer, relative_bound, scale_exponent
from .clipping import EntropyRange, MeanSquaredErrorRange
from .gptq import GPTQ
from .levels import LevelQuantizer
from .ranges import MinMaxRange, PercentileRange, RangeMethod
from .schemes import (
    SCHEMES,
    affine_parameters,
    code_range,
    format_of,
    has_zero_point,
    is_symmetric,
    scale_of,
    zero_point_of,
)

__all__ = [
    "GPTQ",
    "SCALE_RULES",
    "SCHEMES",
    "AdaRound",
    "AffineQuantizer",
    "BlockScaledQuantizer",
    "EntropyRange",
    "LevelQuantizer",
    "MeanSquaredErrorRange",
    "MinMaxRange",
    "PercentileRange",
    "RangeMethod",
    "affine_bound",
    "affine_parameters",
    "code_range",
    "format_of",
    "has_zero_point",
    "is_symmetric",
    "rectified_sigmoid",
    "relative_bound",
    "rounding_objective",
    "scale_exponent",
    "scale_of",
    "zero_point_of",
]
