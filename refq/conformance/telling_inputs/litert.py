"""Telling inputs of LiteRT 2.3's three sets of kernels, against ONNX's text and each other."""

from typing import Any

import numpy as np

from .telling_input import TellingInput

__all__ = ["LITERT"]

_F32: Any = np.float32
_I8: Any = np.int8
PRESETS = ("onnx 28", "litert_reference 2.3", "litert_builtin 2.3", "litert_xnnpack 2.3")


def _told(
    op: str, arguments: dict[str, Any], answers: list[Any], sentence: str
) -> tuple[TellingInput, ...]:
    """Return one entry for every preset: with the first before or after it that differs."""
    pairs = set()
    for i, mine in enumerate(answers):
        other = next(j for j, its in enumerate(answers) if its != mine)
        pairs.add((min(i, other), max(i, other)))
    return tuple(
        TellingInput(op, PRESETS[i], PRESETS[j], arguments, answers[i], answers[j], sentence)
        for i, j in sorted(pairs)
    )


def _product(a: int, scale: float) -> dict[str, Any]:
    """Return the code a, of scale 1, times the code 1 of this scale."""
    return {
        "a": _I8([[a]]),
        "a_scale": _F32(1),
        "a_zero_point": _I8(0),
        "b": _I8([[1]]),
        "b_scale": _F32(scale),
        "b_zero_point": None,
        "y_scale": _F32(1),
        "y_zero_point": _I8(0),
    }


def _convolution(x: int, scale: float) -> dict[str, Any]:
    """Return the same as a convolution."""
    return {
        "x": _I8([[[[x]]]]),
        "x_scale": _F32(1),
        "x_zero_point": _I8(0),
        "w": _I8([[[[1]]]]),
        "w_scale": _F32(scale),
        "w_zero_point": None,
        "y_scale": _F32(1),
        "y_zero_point": _I8(0),
    }


def _pair(a: Any, b: Any, scale: float, zero_point: int, y_zero_point: int) -> dict[str, Any]:
    """Return two arrays of codes with one scale, for a result of scale 1."""
    half = {"scale": _F32(scale), "zero_point": _I8(zero_point)}
    given = {"a": _I8(a), "b": _I8(b)}
    given |= {f"{name}_{field}": value for name in "ab" for field, value in half.items()}
    return given | {"y_scale": _F32(1), "y_zero_point": _I8(y_zero_point)}


#: against the text and each other
LITERT: tuple[TellingInput, ...] = (
    *_told(
        "quantize_linear",
        {"x": _F32([0.5]), "scale": _F32(1), "zero_point": _I8(0)},
        [[0], [1], [1], [0]],
        "A tie: to even by the text and in XNNPACK, away from zero in the others; the builtin "
        "kernel computes a single number by the loop for what is left over.",
    ),
    *_told(
        "quantize_linear",
        {"x": _F32([0.5] * 9), "scale": _F32(1), "zero_point": _I8(0)},
        [[0] * 9, [1] * 9, [0] * 8 + [1], [0] * 9],
        "Ties: the reference rounds away from zero; the builtin kernel rounds 8 numbers at once to "
        "even, the rest away.",
    ),
    *_told(
        "dequantize_linear",
        {"q": _I8([3] * 8), "scale": _F32(0.1), "zero_point": _I8(1)},
        [[float(_F32(0.2))] * 8] * 2
        + [[float(np.nextafter(_F32(0.2), _F32(1)))] * 8, [float(_F32(0.2))] * 8],
        "The builtin kernel computes 3 * 0.1 - 0.1, 8 codes at once, the others (3 - 1) * 0.1.",
    ),
    *_told(
        "qlinear_matmul",
        _product(1, 0.5),
        [[[0]], [[1]], [[1]], [[0]]],
        "A tie: float64 rounds it away from zero, fixed point up, XNNPACK to even.",
    ),
    *_told(
        "qlinear_matmul",
        _product(-1, 0.5),
        [[[0]], [[-1]], [[0]], [[0]]],
        "A negative tie: away from zero and up part.",
    ),
    *_told(
        "qlinear_matmul",
        _product(5, 0.1),
        [[[1]], [[1]], [[1]], [[0]]],
        "The float32 nearest to 0.1 is above it, but 5 times it is 0.5 in float32, a tie.",
    ),
    *_told(
        "qlinear_matmul",
        _product(100, 1 / 3),
        [[[33]], [[33]], [[34]], [[33]]],
        "Two roundings reach further than one half: 33.33 becomes 66.67 halves, those 67, and "
        "half of that rounds up to 34.",
    ),
    *_told(
        "qlinear_conv",
        _convolution(1, 1 / 3),
        [[[[[0]]]], [[[[1]]]], [[[[1]]]], [[[[0]]]]],
        "One third is 0.67 halves, which round to one half, and that to 1.",
    ),
    *_told(
        "qlinear_conv",
        _convolution(-2, 0.25),
        [[[[[0]]]], [[[[-1]]]], [[[[0]]]], [[[[0]]]]],
        "A tie: the reference's second rounding goes away from zero, the builtin's up.",
    ),
    *_told(
        "qlinear_add",
        _pair([1], [0], 0.5, 0, 0),
        [[0], [1], [1], [1]],
        "A tie goes to even by the text, up or away from zero in LiteRT.",
    ),
    *_told(
        "qlinear_add",
        _pair([-1], [0], 0.5, 0, 0),
        [[0], [-1], [-1], [0]],
        "A negative tie: XNNPACK rounds up, the others away from zero.",
    ),
    *_told(
        "qlinear_multiply",
        _pair([127] * 16, [127] * 16, 4, -128, 9),
        [[127] * 16, [127] * 16, [-128] * 16, [127] * 16],
        "The builtin kernel saturates the product to 16 bits, 32767, and adds the zero point 9, "
        "which wraps.",
    ),
)
