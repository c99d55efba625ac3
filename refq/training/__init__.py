"""Training: losses, optimizers, schedules, and the loop that joins them."""

from .augmentation import Augmentation, shift_images, shifted
from .compression_stages import Retraining, Stage, deep_compression
from .loop import Callback, History, fit
from .losses import LOSSES, Loss, cross_entropy, squared_error
from .masters import narrow, narrow_encoding, widen, widen_encoding
from .optimizers import SGD, Adam, Optimizer, OptimizerState
from .schedules import Constant, Cosine, Schedule, StepDecay

__all__ = [
    "LOSSES",
    "SGD",
    "Adam",
    "Augmentation",
    "Callback",
    "Constant",
    "Cosine",
    "History",
    "Loss",
    "Optimizer",
    "OptimizerState",
    "Retraining",
    "Schedule",
    "Stage",
    "StepDecay",
    "cross_entropy",
    "deep_compression",
    "fit",
    "narrow",
    "narrow_encoding",
    "shift_images",
    "shifted",
    "squared_error",
    "widen",
    "widen_encoding",
]
