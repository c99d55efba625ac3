"""Telling inputs of ggml's Q8_0 and of ml_dtypes' casts, against ONNX's text."""

from typing import Any

import numpy as np

from .telling_input import TellingInput

__all__ = ["GGML", "ML_DTYPES"]

_F32: Any = np.float32

#: ggml 0.25
GGML: tuple[TellingInput, ...] = (
    TellingInput(
        "quantize_linear",
        "onnx 28",
        "ggml 0.25",
        {"x": _F32([127, 0.5]), "scale": _F32(1), "format": "int8"},
        [127, 0],
        [127, 1],
        "Ties go away from zero; the 127 makes the scale of a block of Q8_0 one.",
    ),
)

#: ml_dtypes 0.6
ML_DTYPES: tuple[TellingInput, ...] = (
    TellingInput(
        "cast",
        "onnx 28",
        "ml_dtypes 0.6",
        {"x": _F32([480]), "format": "float8_e4m3fn"},
        [126],
        [127],
        "480 is beyond the largest number, 448; the text saturates, ml_dtypes writes NaN.",
    ),
    TellingInput(
        "cast",
        "torch 2.13",
        "ml_dtypes 0.6",
        {"x": _F32([480]), "format": "float8_e4m3fn"},
        [126],
        [127],
        "PyTorch saturates in float8_e4m3fn, and in no other format with a NaN.",
    ),
)
