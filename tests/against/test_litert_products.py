"""LiteRT's FULLY_CONNECTED, CONV_2D and DEPTHWISE_CONV_2D are refq's, on accumulators near ties."""

import numpy as np
import pytest

from refq.core import semantics
from refq.ops import matmul_integer, qlinear_conv, qlinear_matmul
from refq.ops.requantization import requantize_by_rule

pytestmark = pytest.mark.peers("ai_edge_litert")

KERNELS = ("reference", "builtin", "xnnpack")
#: x_scale, x_zero_point, y_scale, y_zero_point
LAYERS = (
    (0.5, 0, 1, 0),
    (0.5, 3, 1, 1),
    (0.1, -5, 0.9, 3),
    (1 / 3, 7, 0.7, -128),
    (0.02, -128, 0.05, 5),
    (0.25, 127, 4, -1),
)
NONE, RELU, RELU6 = 0, 1, 3
INT32 = np.iinfo(np.int32)


def preset(kernels):
    return semantics.get(f"litert_{kernels}", "2.3")


def drawn_layer(rng, layer, outputs, per_channel):
    """Return scales and zero points, and a bias that puts accumulators at ties."""
    x_scale, y_scale = np.float32(layer[0]), np.float32(layer[2])
    steps = np.array([1, 0.75, 0.9, rng.random() + 0.5])
    w_scale = np.float32(2.0 ** rng.integers(-24, -1, outputs) * rng.choice(steps, outputs))
    if not per_channel:
        w_scale = w_scale[:1]
    factor = np.float64(x_scale) * w_scale / np.float64(y_scale)
    level = rng.integers(-129 - layer[3], 129 - layer[3], outputs) + 0.5
    bias = np.rint(level / factor).clip(INT32.min + 9999, INT32.max - 9999).astype(np.int32)
    return (x_scale, layer[1], w_scale, y_scale, np.int8(layer[3]), bias)


def limits(activation, y_scale, y_zero_point, kernels):
    """Return the codes of 0 and 6; XNNPACK rounds 6 to even, the zero point added before."""
    z, six = int(y_zero_point), np.float32(6) / y_scale
    if activation == NONE:
        return -128, 127
    if activation == RELU:
        return z, 127
    top = np.rint(six + np.float32(z)) if kernels == "xnnpack" else np.floor(six + 0.5) + z
    return z, min(127, int(top))


def node_of(op, x, w, layer, shape, options, axis=0):
    x_scale, x_zero_point, w_scale, y_scale, y_zero_point, bias = layer
    inputs = [
        {"data": x, "scale": x_scale, "zero_point": x_zero_point},
        {"data": w, "scale": w_scale, "constant": True, "axis": axis},
    ]
    if bias is not None:
        inputs.append({"data": bias, "scale": x_scale * w_scale, "constant": True})
    zero_point = int(y_zero_point)
    output = {"dtype": "int8", "shape": shape, "scale": y_scale, "zero_point": zero_point}
    return {"op": op, "inputs": inputs, "output": output, "options": options}


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("kernels", KERNELS)
def test_fully_connected_agrees(litert, kernels, per_channel):
    rng, cases, nodes = np.random.default_rng(7), [], []
    for i in range(60):
        outputs, rows = int(rng.integers(50, 70)), 17
        layer = drawn_layer(rng, LAYERS[i % len(LAYERS)], outputs, per_channel)
        x = (layer[1] + rng.integers(-1, 2, (rows, 5))).clip(-128, 127).astype(np.int8)
        w = rng.integers(-1, 2, (outputs, 5)).astype(np.int8)
        activation = (NONE, NONE, RELU, RELU6)[i % 4]
        cases.append((x, w, layer, activation))
        options = {"fusedActivationFunction": activation}
        nodes.append(node_of("FULLY_CONNECTED", x, w, layer, (rows, outputs), options))
    assert sum(x.shape[0] * w.shape[0] for x, w, _, _ in cases) >= 50_000
    rule = preset(kernels).requantize
    answers = litert(kernels, nodes)
    for (x, w, layer, activation), (theirs, delegated) in zip(cases, answers, strict=True):
        x_scale, z, w_scale, y_scale, y_zero_point, bias = layer
        sums = matmul_integer(x, w.T, z).astype(np.int64) + bias
        factor = rule.multiplier(x_scale, w_scale if per_channel else w_scale[0], y_scale)
        low, high = limits(activation, y_scale, y_zero_point, kernels)
        ours = requantize_by_rule(sums, factor, int(y_zero_point), low, high, np.int8, rule)
        np.testing.assert_array_equal(ours, theirs)
        assert delegated == (kernels == "xnnpack")


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("kernels", KERNELS)
def test_qlinear_matmul_agrees(litert, kernels, per_channel):
    """No bias: every product of two codes, with scales that put many at ties."""
    codes = np.arange(-128, 128).astype(np.int8)
    w = np.int8([[1], [3], [-5], [127], [-127], [64], [11], [-2]])
    nodes, cases = [], []
    for i, (x_scale, z, y_scale, y_zero_point) in enumerate(LAYERS * 5):
        w_scale = np.float32([2, 1, 0.5, 0.25, 3, 0.75, 1.25, 2**-6][: 8 if per_channel else 1])
        w_scale = w_scale * np.float32(2.0**-i) if i % 5 else w_scale
        layer = (np.float32(x_scale), z, w_scale, np.float32(y_scale), np.int8(y_zero_point), None)
        if kernels == "xnnpack" and not np.all(x_scale * w_scale / y_scale < 256):
            continue
        nodes.append(node_of("FULLY_CONNECTED", codes[:, None], w, layer, (256, 8), {}))
        cases.append(layer)
    assert len(cases) * 2048 >= 50_000
    for layer, (theirs, _) in zip(cases, litert(kernels, nodes), strict=True):
        x_scale, z, w_scale, y_scale, y_zero_point, _ = layer
        ours = qlinear_matmul(
            codes[:, None], x_scale, np.int8(z), w.T, w_scale, None, y_scale, y_zero_point,
            semantics=preset(kernels),
        )  # fmt: skip
        np.testing.assert_array_equal(ours, theirs)


CONVOLUTIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 20}  # channels; 20 leave a rest of 4


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("op", CONVOLUTIONS)
@pytest.mark.parametrize("kernels", KERNELS)
def test_convolutions_agree(litert, kernels, op, per_channel):
    rng, cases, nodes = np.random.default_rng(11), [], []
    channels, depthwise = CONVOLUTIONS[op], op != "CONV_2D"
    for i in range(60):
        outputs = channels if depthwise else int(rng.integers(18, 30))
        layer = drawn_layer(rng, LAYERS[i % len(LAYERS)], outputs, per_channel)
        x = (layer[1] + rng.integers(-1, 2, (1, 8, 9, channels))).clip(-128, 127).astype(np.int8)
        kernel, stride = ((1, 1), (3, 1), (3, 2))[i % 3] if i % 12 else (3, 1)
        w = rng.integers(-1, 2, (outputs, kernel, kernel, 1 if depthwise else channels))
        w = w.astype(np.int8)
        same = i % 2 == 1 and stride == 1
        activation = (NONE, NONE, RELU, RELU6)[i % 4]
        cases.append((x, w, layer, activation, stride, kernel // 2 if same else 0))
        shape = [1, *(-(-n // stride) if same else (n - kernel) // stride + 1 for n in (8, 9))]
        options = {"fusedActivationFunction": activation, "padding": 0 if same else 1}
        options |= {
            "strideW": stride,
            "strideH": stride,
            "dilationWFactor": 1,
            "dilationHFactor": 1,
        }
        if depthwise:
            options["depthMultiplier"] = 1
        weights = w.transpose(3, 1, 2, 0).copy() if depthwise else w
        shape.append(outputs)
        nodes.append(node_of(op, x, weights, layer, shape, options, 3 if depthwise else 0))
    answers = litert(kernels, nodes)
    assert sum(theirs.size for theirs, _ in answers) >= 50_000
    for (x, w, layer, activation, stride, padding), (theirs, delegated) in zip(
        cases, answers, strict=True
    ):
        x_scale, z, w_scale, y_scale, y_zero_point, bias = layer
        low, high = limits(activation, y_scale, y_zero_point, kernels)
        ours = qlinear_conv(
            x.transpose(0, 3, 1, 2), x_scale, np.int8(z), w.transpose(0, 3, 1, 2), w_scale, None,
            y_scale, y_zero_point, bias, stride=stride, padding=padding, low=low, high=high,
            groups=channels if depthwise else 1, semantics=preset(kernels),
        )  # fmt: skip
        np.testing.assert_array_equal(ours.transpose(0, 2, 3, 1), theirs)
        assert delegated == (kernels == "xnnpack")


@pytest.mark.parametrize("kernels", KERNELS)
def test_long_sums_agree(litert, kernels):
    """All codes, 300 of them in every sum: no kernel saturates in between."""
    rng = np.random.default_rng(13)
    x = rng.choice(np.int8([-128, 127, 5]), (64, 300))
    w = rng.choice(np.int8([-127, 127, 1]), (64, 300))
    x_scale, w_scale, y_scale = np.float32([0.5, 2**-9, 160])
    layer = (x_scale, 3, w_scale.reshape(1), y_scale, np.int8(-1), None)
    [(theirs, _)] = litert(kernels, [node_of("FULLY_CONNECTED", x, w, layer, (64, 64), {})])
    ours = qlinear_matmul(
        x, x_scale, np.int8(3), w.T, w_scale, None, y_scale, np.int8(-1), semantics=preset(kernels)
    )
    np.testing.assert_array_equal(ours, theirs)
