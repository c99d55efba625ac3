"""Passes map a model to a model: fold, calibrate, compress, shrink, lower."""

from .batchnorm_folding import fold_batchnorm
from .calibration import calibrate, quantization_points
from .channel_groups import Unit, channel_units, mask_units, prunable_layers, remove_units
from .compression import compress, match_plan, weight_inputs
from .lowering import lower

__all__ = [
    "Unit",
    "calibrate",
    "channel_units",
    "compress",
    "fold_batchnorm",
    "lower",
    "mask_units",
    "match_plan",
    "prunable_layers",
    "quantization_points",
    "remove_units",
    "weight_inputs",
]
