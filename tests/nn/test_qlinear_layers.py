import numpy as np
import pytest

from refq import nn, ops, semantics
from refq.core.errors import RangeError, ShapeError
from refq.encodings import dense

ORT = semantics.get("onnxruntime", "1.31")
NAME = "onnxruntime 1.31"
SCALES = {
    "input_scale": dense(np.float32(0.1), "float32"),
    "output_scale": dense(np.float32(0.3), "float32"),
}


def linear(**changes):
    rng = np.random.default_rng(0)
    settings = {
        "in_features": 6,
        "out_features": 4,
        "format": "uint8",
        "input_zero_point": 3,
        "output_zero_point": 7,
        "low": 7,
        "high": 250,
        "semantics": NAME,
        "weight": rng.integers(-127, 128, (4, 6)).astype(np.int8),
        "bias": rng.integers(-99, 99, 4).astype(np.int32),
        "weight_scale": np.float32([0.1, 0.2, 0.3, 0.4]),
        **SCALES,
    }
    return nn.QLinearLinear(**{**settings, **changes})


def test_linear_is_the_float32_formula():
    layer = linear()
    x = np.random.default_rng(1).integers(0, 256, (50, 6)).astype(np.uint8)
    sums = (x.astype(np.int64) - 3) @ layer.weight.T.astype(np.int64) + layer.bias
    factor = np.float32(0.1) * layer.weight_scale / np.float32(0.3)
    expected = np.clip(np.rint(sums.astype(np.float32) * factor) + 7, 7, 250).astype(np.uint8)
    np.testing.assert_array_equal(layer.forward(x)[0], expected)


def test_convolution_is_qlinear_conv_of_the_preset():
    rng = np.random.default_rng(0)
    w, bias = rng.integers(-9, 9, (4, 1, 3, 3)).astype(np.int8), np.arange(4, dtype=np.int32)
    sizes = (2, 4, (3, 3), (2, 1), (1, 0), (1, 1), 2)
    scales = {**SCALES, "weight_scale": np.float32([0.1, 0.2, 0.3, 0.4])}
    where = ("int8", 3, -7, -7, 100, NAME)
    layer = nn.QLinearConv2d(*sizes, *where, weight=w, bias=bias, **scales)
    x = rng.integers(0, 256, (2, 2, 7, 8)).astype(np.uint8)
    expected = ops.qlinear_conv(
        x, np.float32(0.1), np.uint8(3), w, scales["weight_scale"], 0, np.float32(0.3),
        np.int8(-7), bias, stride=(2, 1), padding=(1, 0), groups=2, semantics=ORT, low=-7, high=100,
    )  # fmt: skip
    np.testing.assert_array_equal(layer.forward(x)[0], expected)


def test_addition_rounds_every_step_to_float32():
    layer = nn.QLinearAdd("uint8", 3, 5, 7, 7, 255, NAME, second_scale=np.float32(1 / 3), **SCALES)
    a, b = (v.astype(np.uint8).reshape(1, -1) for v in np.mgrid[0:256, 0:256])
    f = np.float32
    numbers = (a.astype(f) - f(3)) * f(0.1) + (b.astype(f) - f(5)) * f(1 / 3)
    expected = np.clip(np.rint(numbers / f(0.3)) + 7, 7, 255)
    np.testing.assert_array_equal(layer.forward(a, b)[0], expected)
    with pytest.raises(ShapeError, match="two equal shapes"):
        layer.output_shape((3,), (4,))


def test_models_of_these_layers_are_saved_and_loaded():
    model = nn.Model(
        [
            nn.Node("q", nn.QuantizeInput("uint8", 3, np.float32(0.1)), "input"),
            nn.Node("fc", linear(output_zero_point=7), "q"),
            nn.Node("relu", nn.QLinearRescale("uint8", 7, 1, 1, 255, NAME, **SCALES), "fc"),
        ],
        (6,),
    )
    again = nn.from_bytes(nn.to_bytes(model))
    x = np.random.default_rng(0).standard_normal((9, 6), dtype=np.float32)
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    assert nn.to_bytes(again) == nn.to_bytes(model)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"semantics": "onnx 28"}, "requantizes by .*kind='exact'"),
        ({"semantics": "torch_fbgemm 2.13"}, "requantizes by FloatRequantize"),
        ({"semantics": "nobody"}, "there are"),
        ({"weight_scale": np.float32([1, 1, 0, 1])}, r"weight_scale\[2\]"),
        ({"low": 300}, "low"),
    ],
)
def test_refusals(changes, message):
    with pytest.raises(RangeError, match=message):
        linear(**changes)
