"""Methods that code one number at a time."""

from .accumulator_aware import AccumulatorAwareQuantizer, l1_projection
from .adaround import AdaRound, rectified_sigmoid, rounding_objective
from .affine import AffineQuantizer, affine_bound
from .awq import AWQ, channel_scale
from .binary import BinaryQuantizer, hard_sigmoid
from .block_scale import optimal_level_scale
from .block_scaled import SCALE_RULES, BlockScaledQuantizer, relative_bound, scale_exponent
from .clipping import EntropyRange, MeanSquaredErrorRange
from .dropped_bits import DroppedBitsQuantizer, drop_bits
from .gptq import GPTQ
from .hashed import HashedQuantizer
from .hqq import HQQ, shrink
from .learned_levels import LearnedLevels
from .levels import LevelQuantizer
from .lloyd_max import LloydMaxQuantizer, normal_levels
from .observers import (
    FixedRange,
    HistogramObserver,
    HistogramRange,
    MinMaxObserver,
    MovingAverageObserver,
    MovingAverageRange,
    RangeObserver,
    SampleObserver,
    global_range,
)
from .optimal_levels import OptimalLevelQuantizer
from .outliers import OutlierQuantizer
from .ranges import MinMaxRange, PercentileRange, RangeMethod
from .rotation import RotatedQuantizer, hadamard_transform, incoherence
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
from .spaced_levels import SpacedLevelQuantizer
from .spacings import SPACINGS, ratio_error
from .ternary import TernaryQuantizer

__all__ = [
    "AWQ",
    "GPTQ",
    "HQQ",
    "SCALE_RULES",
    "SCHEMES",
    "SPACINGS",
    "AccumulatorAwareQuantizer",
    "AdaRound",
    "AffineQuantizer",
    "BinaryQuantizer",
    "BlockScaledQuantizer",
    "DroppedBitsQuantizer",
    "EntropyRange",
    "FixedRange",
    "HashedQuantizer",
    "HistogramObserver",
    "HistogramRange",
    "LearnedLevels",
    "LevelQuantizer",
    "LloydMaxQuantizer",
    "MeanSquaredErrorRange",
    "MinMaxObserver",
    "MinMaxRange",
    "MovingAverageObserver",
    "MovingAverageRange",
    "OptimalLevelQuantizer",
    "OutlierQuantizer",
    "PercentileRange",
    "RangeMethod",
    "RangeObserver",
    "RotatedQuantizer",
    "SampleObserver",
    "SpacedLevelQuantizer",
    "TernaryQuantizer",
    "affine_bound",
    "affine_parameters",
    "channel_scale",
    "code_range",
    "drop_bits",
    "format_of",
    "global_range",
    "hadamard_transform",
    "hard_sigmoid",
    "has_zero_point",
    "incoherence",
    "is_symmetric",
    "l1_projection",
    "normal_levels",
    "optimal_level_scale",
    "ratio_error",
    "rectified_sigmoid",
    "relative_bound",
    "rounding_objective",
    "scale_exponent",
    "scale_of",
    "shrink",
    "zero_point_of",
]
