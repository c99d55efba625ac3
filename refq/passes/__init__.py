"""Passes map a model to a model: fold, calibrate, compress, shrink, lower."""

from .batchnorm_folding import fold_batchnorm
from .calibration import calibrate, quantization_points
from .channel_groups import Unit, channel_units, prunable_layers
from .channel_pruning import least_units, prune_channels
from .channel_removal import mask_units, remove_units
from .compression import compress, match_plan, weight_inputs
from .lowering import lower

__all__ = [
    "Unit",
    "calibrate",
    "channel_units",
    "compress",
    "fold_batchnorm",
    "least_units",
    "lower",
    "mask_units",
    "match_plan",
    "prunable_layers",
    "prune_channels",
    "quantization_points",
    "remove_units",
    "weight_inputs",
]
