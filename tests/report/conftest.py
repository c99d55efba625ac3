"""A small network and data that every test of the report can share."""

from types import SimpleNamespace

import numpy as np
import pytest

from refq import nn, passes
from refq.core.granularity import PerAxis
from refq.scalar import AffineQuantizer


@pytest.fixture(scope="session")
def model():
    """A chain with batch normalization, a residual sum and buffers."""
    layers = [
        ("conv1", nn.Conv2d(1, 3, 3, padding=1, bias=False)),
        ("bn1", nn.BatchNorm(3)),
        ("relu1", nn.ReLU()),
        ("flatten", nn.Flatten()),
        ("fc", nn.Linear(48, 4)),
    ]
    rng = np.random.default_rng(5)
    made = nn.Sequential(layers, input_shape=(1, 4, 4)).initialize(5)
    return made.replace(
        {
            "bn1.weight": rng.uniform(0.5, 2, 3).astype(np.float32),
            "bn1.running_var": rng.uniform(0.5, 2, 3).astype(np.float32),
            "bn1.running_mean": rng.normal(size=3).astype(np.float32),
        }
    )


@pytest.fixture(scope="session")
def folded(model):
    return passes.fold_batchnorm(model)


@pytest.fixture(scope="session")
def data(model):
    X = np.random.default_rng(6).random((40, 1, 4, 4), dtype=np.float32)
    y = model(X).argmax(axis=1)
    y[::4] = (y[::4] + 1) % 4  # a quarter of the answers are wrong
    split = SimpleNamespace(X=X, y=y)
    return SimpleNamespace(
        test=split, calibration=split, train=split, description="random <images> & labels"
    )


@pytest.fixture(scope="session")
def quantized(folded):
    return passes.compress(
        folded, {"*": AffineQuantizer(scheme="symmetric", granularity=PerAxis(0))}
    )


@pytest.fixture(scope="session")
def lowered(quantized, data):
    return passes.lower(passes.calibrate(quantized, data.calibration.X))
