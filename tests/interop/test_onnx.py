import importlib.util

import numpy as np
import pytest

from refq import nn, passes, semantics
from refq.core.errors import RangeError
from refq.encodings import Cast
from refq.interop import onnx as door
from refq.scalar import AffineQuantizer


def test_the_missing_package_is_named_with_the_line_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    method = AffineQuantizer(scheme="symmetric", scale_method=Cast("float32"))
    model = nn.Sequential([nn.Linear(3, 4)], input_shape=(3,)).initialize(0)
    X = np.random.default_rng(0).random((50, 3), dtype=np.float32)
    simulated = passes.calibrate(passes.compress(model, {"*": method}), X)
    lowered = passes.lower(simulated, semantics.get("onnxruntime"))
    with pytest.raises(RangeError, match=r"pip install 'refq\[peers\]'"):
        door.export(lowered, tmp_path / "model.onnx")


def test_layers_without_an_exact_form_are_named(tmp_path):
    model = nn.Sequential([nn.ReLU(), nn.Linear(3, 4)], input_shape=(3,)).initialize(0)
    with pytest.raises(RangeError, match="relu1: "):
        door.export(model, tmp_path / "model.onnx")
