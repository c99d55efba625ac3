"""Methods that code one number at a time."""

from .adaround import AdaRound, rectified_sigmoid, rounding_objective
from .affine import AffineQuantizer, affine_bound
from .binary import BinaryQuantizer, hard_sigmoid
from .block_scaled import SCALE_RULES, BlockScaledQuantizer, relative_bound, scale_exponent
from .clipping import EntropyRange, MeanSquaredErrorRange
from .gptq import GPTQ
from .learned_levels import LearnedLevels
from .levels import LevelQuantizer
from .lloyd_max import LloydMaxQuantizer, normal_levels
from .optimal_levels import OptimalLevelQuantizer
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
from .ternary import TernaryQuantizer

__all__ = [
    "GPTQ",
    "SCALE_RULES",
    "SCHEMES",
    "AdaRound",
    "AffineQuantizer",
    "BinaryQuantizer",
    "BlockScaledQuantizer",
    "EntropyRange",
    "LearnedLevels",
    "LevelQuantizer",
    "LloydMaxQuantizer",
    "MeanSquaredErrorRange",
    "MinMaxRange",
    "OptimalLevelQuantizer",
    "PercentileRange",
    "RangeMethod",
    "TernaryQuantizer",
    "affine_bound",
    "affine_parameters",
    "code_range",
    "format_of",
    "hard_sigmoid",
    "has_zero_point",
    "is_symmetric",
    "normal_levels",
    "rectified_sigmoid",
    "relative_bound",
    "rounding_objective",
    "scale_exponent",
    "scale_of",
    "zero_point_of",
]
