"""Links, and rescaling them: exact for powers of two, within the bound for other scales."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq import nn
from refq.conformance.small_models import model_examples
from refq.core.errors import RangeError
from refq.encodings import Cast
from refq.passes import channel_links, compress, fold_batchnorm, power_of_two_near, rescale

LINKS = {
    "dense": [("fc2", "fc3", 1)],  # a sigmoid stands behind the first
    "flattened": [("conv1", "fc1", 4), ("fc1", "fc2", 1)],
    "depthwise": [("conv1", "conv2", 1), ("conv2", "conv3", 1), ("conv3", "fc1", 1)],
    "residual": [],  # everything is read twice, or meets an addition
    "concatenated": [],
    "grouped": [("conv1", "conv2", 1), ("conv2", "conv3", 1), ("conv3", "conv4", 1)],
    "softmax": [("fc2", "fc3", 1)],
}


@pytest.mark.parametrize("name", LINKS)
def test_links_of_the_small_models(name):
    model = fold_batchnorm(dict(model_examples())[name])
    found = [(k.source, k.target, k.copies) for k in channel_links(model)]
    assert found == LINKS[name]


@pytest.mark.parametrize(
    "layer", [nn.ClippedReLU(), nn.Sigmoid(), nn.Tanh(), nn.Softmax(), nn.BatchNorm(2)]
)
def test_what_is_not_homogeneous_ends_a_chain(layer):
    model = nn.Sequential([nn.Linear(3, 2), layer, nn.Linear(2, 2)], (3,))
    assert channel_links(model) == []


@given(st.floats(1e-300, 1e300))
def test_nearest_power_of_two(scale):
    got = power_of_two_near(np.array([scale]))[0]
    assert np.frexp(got)[0] == 0.5
    # the ratio lies in [1/sqrt(2), sqrt(2)), squared so that no root is rounded: one unit of room
    assert 0.5 * (1 - 2.0**-50) <= (scale / got) ** 2 <= 2 * (1 + 2.0**-50)


def drawn(layers, shape, rng, dtype):
    model = nn.Sequential(layers, shape)
    return model.replace(
        {k: rng.standard_normal(t.shape).astype(dtype) for k, t in model.parameters().items()}
    )


KINDS = {
    "linear": (lambda: [nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3)], (5,), 5 + 6),
    "pooled": (
        lambda: [nn.Conv2d(2, 4, 3), nn.ReLU(), nn.AvgPool(2), nn.Conv2d(4, 3, 2)],
        (2, 8, 8),
        18 + 4 + 16,
    ),
    "flattened": (
        lambda: [nn.Conv2d(2, 3, 2), nn.MaxPool(2), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2)],
        (2, 5, 5),
        8 + 12,
    ),
    "grouped": (
        lambda: [nn.Conv2d(2, 4, 1), nn.ReLU(), nn.Conv2d(4, 6, 3, groups=2)],
        (2, 4, 4),
        2 + 18,
    ),
    "depthwise": (
        lambda: [nn.Conv2d(4, 4, 3, groups=4), nn.ReLU(), nn.Conv2d(4, 2, 1, bias=False)],
        (4, 4, 4),
        9 + 4,
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 2**32), dtype=st.sampled_from([np.float32, np.float64]))
def test_equal_within_the_derived_bound(kind, seed, dtype):
    layers, shape, summands = KINDS[kind]
    rng = np.random.default_rng(seed)
    model = drawn(layers(), shape, rng, dtype)
    (link,) = channel_links(model)
    n = model.shapes()[link.source][0]
    scaled = rescale(model, link, np.exp(rng.uniform(-5, 5, n)))
    assert scaled.parameters()[f"{link.target}.weight"].dtype == dtype
    x = rng.standard_normal((4, *shape)).astype(dtype)
    wide = {k: np.abs(t.astype(np.float64)) for k, t in model.parameters().items()}
    size = model.replace(wide).predict(np.abs(x.astype(np.float64)))
    # each side is within g(k1 + k2 + 8) S of the exact output, g(m) = m u / (1 - m u)
    m = (summands + 8) * float(np.finfo(dtype).eps) / 2
    error = np.abs(scaled.predict(x).astype(np.float64) - model.predict(x))
    assert np.all(error <= 2 * m / (1 - m) * size)
    exact = rescale(model, link, 2.0 ** rng.integers(-8, 9, n))
    assert np.array_equal(exact.predict(x), model.predict(x))


def test_what_is_refused():
    layers = [nn.Linear(1, 1, weight=np.float32([[1e30]])), nn.ReLU(), nn.Linear(1, 1)]
    model = nn.Sequential(layers, (1,))
    (link,) = channel_links(model)
    with pytest.raises(RangeError, match=r"fc1\.weight, rescaled,\[0, 0\] = inf"):
        rescale(model, link, np.array([1e-20]))
    with pytest.raises(RangeError, match=r"fc1\.weight is Dense.*before the model is compressed"):
        rescale(compress(model, {"fc1": Cast("float32")}), link, np.ones(1))


def test_the_model_is_untouched():
    model = nn.Sequential([nn.Linear(2, 2), nn.Linear(2, 2)], (2,)).initialize(0)
    before = {k: t.copy() for k, t in model.parameters().items()}
    rescale(model, channel_links(model)[0], np.array([2.0, 3.0]))
    assert all(np.array_equal(before[k], t) for k, t in model.parameters().items())
