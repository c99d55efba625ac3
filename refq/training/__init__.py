"""Training: losses, optimizers, schedules, and the loop that joins them."""

from .augmentation import Augmentation, shift_images, shifted
from .codebook_averages import CodebookAverages
from .compression_stages import Retraining, Stage, deep_compression
from .loop import Callback, History, fit
from .losses import LOSSES, Loss, cross_entropy, squared_error
from .masters import narrow, narrow_encoding, widen, widen_encoding
from .optimizers import SGD, Adam, Optimizer, OptimizerState
from .schedules import Constant, Cosine, Schedule, StepDecay
from .vq_vae import VQVAE, VQLosses, dense_vq_vae, vq_losses
from .vq_vae_loop import VQHistory, fit_vq_vae

__all__ = [
    "LOSSES",
    "SGD",
    "VQVAE",
    "Adam",
    "Augmentation",
    "Callback",
    "CodebookAverages",
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
    "VQHistory",
    "VQLosses",
    "cross_entropy",
    "deep_compression",
    "dense_vq_vae",
    "fit",
    "fit_vq_vae",
    "narrow",
    "narrow_encoding",
    "shift_images",
    "shifted",
    "squared_error",
    "vq_losses",
    "widen",
    "widen_encoding",
]
