"""Passes map a model to a model: fold, equalize, calibrate, compress, correct, shrink, lower."""

from .batchnorm_folding import fold_batchnorm
from .bias_correction import (
    clipped_normal_mean,
    correct_bias,
    correct_bias_from_statistics,
    expected_inputs,
)
from .calibration import calibrate, quantization_points
from .channel_groups import Unit, channel_units, prunable_layers
from .channel_pruning import least_units, prune_channels
from .channel_removal import mask_units, remove_units
from .channel_scaling import Link, channel_links, power_of_two_near, rescale
from .compression import compress, match_plan, weight_inputs
from .equalization import (
    equalize_layers,
    equalizing_scale,
    smooth_activations,
    smoothing_scale,
)
from .lowering import lower
from .sharing import code_model, share_kept

__all__ = [
    "Link",
    "Unit",
    "calibrate",
    "channel_links",
    "channel_units",
    "clipped_normal_mean",
    "code_model",
    "compress",
    "correct_bias",
    "correct_bias_from_statistics",
    "equalize_layers",
    "equalizing_scale",
    "expected_inputs",
    "fold_batchnorm",
    "least_units",
    "lower",
    "mask_units",
    "match_plan",
    "power_of_two_near",
    "prunable_layers",
    "prune_channels",
    "quantization_points",
    "remove_units",
    "rescale",
    "share_kept",
    "smooth_activations",
    "smoothing_scale",
    "weight_inputs",
]
