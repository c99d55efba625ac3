"""The exported digits network gives refq's integers in ONNX Runtime, on the whole test split."""

import numpy as np
import pytest

from refq import nn, passes, semantics, zoo
from refq.core.errors import RangeError
from refq.core.granularity import PerAxis
from refq.encodings import Cast
from refq.interop import onnx as door
from refq.scalar import AffineQuantizer
from refq.zoo.plans import PLANS

pytestmark = pytest.mark.peers("onnx", "onnxruntime")

ORT = semantics.get("onnxruntime", "1.31")


def exported(model, folder):
    path = folder / "model.onnx"
    assert door.export(model, path) == path.stat().st_size
    return np.frombuffer(path.read_bytes(), np.uint8)


def answers_agree(peer, model, X, folder):
    found = peer("onnxruntime_model", model=exported(model, folder), x=X)
    codes = model.predict(X)
    last = model.nodes[-1].layer
    zero = last.output_zero_point
    numbers = (codes.astype(np.float32) - np.float32(zero)) * last.output_scale.decode()
    for level in ("all", "none"):
        np.testing.assert_array_equal(found[f"codes_{level}"], codes)
        assert found[f"codes_{level}"].dtype == codes.dtype
        np.testing.assert_array_equal(found[f"output_{level}"], numbers)
        assert found[f"output_{level}"].dtype == np.float32
    return codes


@pytest.mark.parametrize("plan", ["int8 per tensor", "int8 per channel"])
def test_digits_bit_for_bit(peer, tmp_path, plan):
    data = zoo.load_data("digits")
    model = passes.fold_batchnorm(zoo.load_trained("digits"))
    _, simulated = PLANS[plan].build(model, data, 0)
    lowered = passes.lower(simulated, ORT)
    codes = answers_agree(peer, lowered, data.test.X, tmp_path)
    assert codes.dtype == np.int32
    assert nn.accuracy(codes, data.test.y) >= 0.98


def test_every_exported_layer_bit_for_bit(peer, tmp_path):
    """Concat, a rescaled ReLU, clipped ReLU, groups, strides, a linear layer inside, int8 codes."""
    rng = np.random.default_rng(0)
    layers = [
        nn.Node("conv1", nn.Conv2d(3, 8, 3, stride=2, padding=1), "input"),
        nn.Node("clip1", nn.ClippedReLU(1.0), "conv1"),
        nn.Node("conv2", nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8), "clip1"),
        nn.Node("join", nn.Concat(), ("clip1", "conv2")),
        nn.Node("relu", nn.ReLU(), "join"),
        nn.Node("pool", nn.MaxPool(3, stride=2, padding=1), "relu"),
        nn.Node("conv3", nn.Conv2d(16, 16, 1), "pool"),
        nn.Node("add", nn.Add(), ("conv3", "pool")),
        nn.Node("flat", nn.Flatten(), "add"),
        nn.Node("fc1", nn.Linear(16 * 9, 20), "flat"),
        nn.Node("relu2", nn.ReLU(), "fc1"),
        nn.Node("fc2", nn.Linear(20, 5), "relu2"),
    ]
    model = nn.Model(layers, (3, 12, 12)).initialize(0)
    method = AffineQuantizer(
        scheme="symmetric", granularity=PerAxis(0), scale_method=Cast("float32")
    )
    X = rng.standard_normal((300, 3, 12, 12), dtype=np.float32)
    simulated = passes.calibrate(passes.compress(model, {"*": method}), X)
    lowered = passes.lower(simulated, ORT)
    kinds = {type(node.layer).__name__ for node in lowered.nodes}
    assert {"QLinearRescale", "QLinearAdd", "Concat", "QLinearLinear", "IntegerMaxPool"} <= kinds
    answers_agree(peer, lowered, X, tmp_path)


def test_a_model_in_fixed_point_is_refused(tmp_path):
    model = nn.Sequential([nn.Linear(3, 4)], input_shape=(3,)).initialize(0)
    with pytest.raises(RangeError, match=r"fc1: .* lower the model with semantics="):
        door.export(model, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()
