"""Telling inputs of ONNX Runtime 1.31 against ONNX's text."""

from typing import Any

import numpy as np

from .telling_input import TellingInput

__all__ = ["ONNXRUNTIME"]

_F64: Any = np.float64
_F32: Any = np.float32
_F16: Any = np.float16
_I32: Any = np.int32
_U8: Any = np.uint8
_I8: Any = np.int8
_TEXT, _ORT = "onnx 28", "onnxruntime 1.31"

#: where ONNX Runtime leaves the text
ONNXRUNTIME: tuple[TellingInput, ...] = (
    TellingInput(
        "quantize_linear",
        _TEXT,
        _ORT,
        {"x": _F16([0.25]), "scale": _F16(0.1), "zero_point": _U8(0)},
        [2],
        [3],
        "0.25 over the float16 nearest to 0.1, which is 0.09998, is 2.5006: the text divides in "
        "the scale's type, and float16 has no number between 2.5 and 2.502; ONNX Runtime divides "
        "in float32.",
    ),
    TellingInput(
        "quantize_linear",
        _TEXT,
        _ORT,
        {"x": _F32([2.0**31]), "scale": _F32(1), "format": "uint2"},
        [3],
        [0],
        "The text saturates; ONNX Runtime's loop for 2-bit codes converts to int32 first, where "
        "2^31 becomes -2^31.",
    ),
    TellingInput(
        "quantize_linear",
        _TEXT,
        _ORT,
        {"x": _F32([2.0**31] * 3), "scale": _F32(1), "format": "uint4"},
        [15, 15, 15],
        [15, 15, 0],
        "Two codes of 4 bits go through a kernel that saturates; the last one, alone in its byte, "
        "is converted to int32 first.",
    ),
    TellingInput(
        "quantize_linear",
        _TEXT,
        _ORT,
        {
            "x": _F32([[2.0**31, 1], [2.0**31, 1]]),
            "scale": _F32([[1, 1], [1, 1]]),
            "zero_point": _U8([[0, 0], [0, 0]]),
            "axis": 0,
            "block_size": 1,
        },
        [[255, 1], [255, 1]],
        [[0, 1], [0, 1]],
        "Blocks along an axis that is not the last are quantized by a loop that converts to int32 "
        "before it clips.",
    ),
    TellingInput(
        "dequantize_linear",
        _TEXT,
        _ORT,
        {"q": _I32([(1 << 24) + 1]), "scale": _F32(0.75)},
        [12582913.0],
        [12582912.0],
        "The exact product 12582912.75 rounds to 12582913; ONNX Runtime first rounds the code "
        "2^24 + 1, which float32 does not have, to 2^24.",
    ),
    TellingInput(
        "qlinear_matmul",
        _TEXT,
        _ORT,
        {
            "a": _U8([[5]]),
            "a_scale": _F32(0.1),
            "a_zero_point": _U8(0),
            "b": _U8([[1]]),
            "b_scale": _F32(1),
            "b_zero_point": _U8(0),
            "y_scale": _F32(1),
            "y_zero_point": _U8(0),
        },
        [[1]],
        [[0]],
        "Five times the float32 nearest to 0.1 is 0.5000000075, which rounds to 1; in float32 the "
        "product is 0.5, a tie, which goes to 0.",
    ),
    TellingInput(
        "qlinear_conv",
        _TEXT,
        _ORT,
        {
            "x": _U8([[[[5]]]]),
            "x_scale": _F32(0.1),
            "x_zero_point": _U8(0),
            "w": _I8([[[[1]]]]),
            "w_scale": _F32(1),
            "w_zero_point": _I8(0),
            "y_scale": _F32(1),
            "y_zero_point": _U8(0),
        },
        [[[[1]]]],
        [[[[0]]]],
        "As in QLinearMatMul: the accumulator is multiplied by a float32 in float32.",
    ),
    TellingInput(
        "cast",
        _TEXT,
        _ORT,
        {"x": _F32([480]), "format": "float8_e4m3fn", "saturate": False},
        [127],
        [126],
        "480 would be the code of NaN and overflows, to NaN without saturation; ONNX Runtime "
        "writes 448 for numbers from 480 up to 496, and NaN on both sides of them.",
    ),
    TellingInput(
        "cast",
        _TEXT,
        _ORT,
        {"x": _F32([61440]), "format": "float8_e5m2", "saturate": False},
        [124],
        [127],
        "61440 rounds to 65536, which is infinity without saturation; ONNX Runtime writes NaN for "
        "numbers from 61440 up to 65536.",
    ),
    TellingInput(
        "cast",
        _TEXT,
        _ORT,
        {"x": _F64([1.0625 + 2.0**-30]), "format": "float8_e4m3fn"},
        [57],
        [56],
        "The number is just above a tie; ONNX Runtime rounds it to float32 first, where it is the "
        "tie, which goes to the even code.",
    ),
)
