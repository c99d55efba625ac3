"""The inputs of docs/semantics.md that tell LiteRT's kernels and the text apart, asked of both."""

import numpy as np
import pytest

from refq import ops
from refq.core import semantics

KERNELS = ("reference", "builtin", "xnnpack")
ONE, HALF, ZERO = np.float32(1), np.float32(0.5), np.int8(0)


def product(a, scale):
    """Return the arguments of one code a, scale 1, times the code 1 of this scale."""
    return {
        "op": "FULLY_CONNECTED",
        "function": ops.qlinear_matmul,
        "arguments": (
            np.int8([[a]]),
            ONE,
            ZERO,
            np.int8([[1]]),
            np.float32(scale),
            None,
            ONE,
            ZERO,
        ),
    }


def convolution(a, scale):
    one = np.int8([[[[1]]]])
    return {
        "op": "CONV_2D",
        "function": ops.qlinear_conv,
        "arguments": (np.int8([[[[a]]]]), ONE, ZERO, one, np.float32(scale), None, ONE, ZERO),
        "options": {
            "padding": 1, "strideW": 1, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1
        },
    }  # fmt: skip


def added(a, scale):
    x, zero = np.int8([a]), np.int8([0])
    return {
        "op": "ADD",
        "function": ops.qlinear_add,
        "arguments": (x, np.float32(scale), ZERO, zero, np.float32(scale), ZERO, ONE, ZERO),
    }


def multiplied():
    x, four, low = np.full(16, 127, np.int8), np.float32(4), np.int8(-128)
    return {
        "op": "MUL",
        "function": ops.qlinear_multiply,
        "arguments": (x, four, low, x, four, low, ONE, np.int8(9)),
    }


#: a node, and the first code that the text, the reference, the builtin kernels and XNNPACK give
TOLD = {
    "product 1 * 1/2": (product(1, 0.5), (0, 1, 1, 0)),
    "product -1 * 1/2": (product(-1, 0.5), (0, -1, 0, 0)),
    "product 5 * 0.1": (product(5, 0.1), (1, 1, 1, 0)),
    "product 100 * 1/3": (product(100, 1 / 3), (33, 33, 34, 33)),
    "convolution 1 * 1/3": (convolution(1, 1 / 3), (0, 1, 1, 0)),
    "convolution -2 * 1/4": (convolution(-2, 0.25), (0, -1, 0, 0)),
    "sum 1/2 + 0": (added(1, 0.5), (0, 1, 1, 1)),
    "sum -1/2 + 0": (added(-1, 0.5), (0, -1, -1, 0)),
    "wrapping product": (multiplied(), (127, 127, -128, 127)),
}


@pytest.mark.parametrize("told", TOLD)
def test_presets_say_so(told):
    node, answers = TOLD[told]
    for name, answer in zip(("onnx", *(f"litert_{k}" for k in KERNELS)), answers, strict=True):
        preset = semantics.get(name)
        ours = node["function"](*node["arguments"], semantics=preset)
        assert ours.ravel()[0] == answer, name


@pytest.mark.peers("ai_edge_litert")
@pytest.mark.parametrize("kernels", KERNELS)
def test_litert_says_so(litert, kernels):
    nodes = []
    for node, _ in TOLD.values():
        a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero = node["arguments"]
        first = {"data": a, "scale": a_scale, "zero_point": int(a_zero)}
        second = {"data": b, "scale": b_scale, "zero_point": int(b_zero or 0)}
        if node["op"] in ("FULLY_CONNECTED", "CONV_2D"):
            second["constant"] = True
        output = {"dtype": "int8", "shape": a.shape, "scale": y_scale, "zero_point": int(y_zero)}
        inputs = [first, second]
        if node["op"] == "CONV_2D":
            bias = {"data": np.int32([0]), "scale": a_scale * b_scale, "constant": True}
            inputs.append(bias)
        options = node.get("options", {})
        nodes.append({"op": node["op"], "inputs": inputs, "output": output, "options": options})
    answers = litert(kernels, nodes)
    for (told, (_, codes)), (theirs, _) in zip(TOLD.items(), answers, strict=True):
        assert theirs.ravel()[0] == codes[1 + KERNELS.index(kernels)], told
