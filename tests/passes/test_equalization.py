"""Equal ranges, moved ranges, and a network that equalization saves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import refq
from refq import nn
from refq.core.errors import RangeError
from refq.encodings import Cast
from refq.passes import (
    calibrate,
    channel_links,
    compress,
    equalize_layers,
    equalizing_scale,
    rescale,
    smooth_activations,
    smoothing_scale,
)


def two_layers(seed, groups=1):
    rng = np.random.default_rng(seed)
    first = rng.standard_normal((4, 3)) * 10.0 ** rng.uniform(-2, 2, (4, 1))
    second = rng.standard_normal((6, 4)) * 10.0 ** rng.uniform(-2, 2, (1, 4))
    layers = [nn.Linear(3, 4, weight=first), nn.ReLU(), nn.Linear(4, 6, weight=second)]
    return nn.Sequential(layers, (3,))


def ranges(model):
    first, second = (np.abs(model.parameters()[f"{n}.weight"]) for n in ("fc1", "fc2"))
    return first.max(axis=1), second.max(axis=0)


@given(st.integers(0, 10**6))
def test_ranges_are_equal_afterwards_and_their_product_is_kept(seed):
    model = two_layers(seed)
    r1, r2 = ranges(model)
    new1, new2 = ranges(equalize_layers(model))
    # float64: a root, a quotient and a product, a few units
    assert new1 == pytest.approx(np.sqrt(r1 * r2), rel=1e-14)
    assert new2 == pytest.approx(np.sqrt(r1 * r2), rel=1e-14)
    half1, half2 = ranges(equalize_layers(model, power_of_two=True))
    assert np.all(np.maximum(half1 / half2, half2 / half1) <= 2 * (1 + 1e-12))
    assert half1 * half2 == pytest.approx(r1 * r2, rel=1e-14)


def test_scales_by_hand():
    assert equalizing_scale(np.array([9.0, 0.0, 1.0]), np.array([1.0, 1.0, 0.0])).tolist() == [
        3.0,
        1.0,
        1.0,
    ]
    m, r = np.array([8.0, 0.0]), np.array([2.0, 3.0])
    assert smoothing_scale(m, r, 1.0).tolist() == [8.0, 1.0]
    assert smoothing_scale(m, r, 0.0).tolist() == [0.5, 1.0]
    assert smoothing_scale(m, r, 0.5).tolist() == [2.0, 1.0]


def test_no_overflow_of_extreme_ranges():
    got = equalizing_scale(np.array([1e300, 1e-300]), np.array([1e-300, 1e300]))
    assert got == pytest.approx([1e300, 1e-300], rel=1e-12)


def test_layers_in_a_row_settle():
    rng = np.random.default_rng(0)
    layers = [nn.Linear(5, 5, weight=rng.standard_normal((5, 5)) ** 5) for _ in range(4)]
    model = nn.Sequential(layers, (5,))
    settled = equalize_layers(model, sweeps=50)
    for link in channel_links(settled):
        a = np.abs(settled.parameters()[f"{link.source}.weight"]).max(axis=1)
        b = np.abs(settled.parameters()[f"{link.target}.weight"]).max(axis=0)
        assert np.abs(np.log(a / b)).max() < 0.01
    assert equalize_layers(model, sweeps=0).parameters().keys() == model.parameters().keys()


@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.5, 1.0]))
def test_smoothing_moves_what_it_says(seed, alpha):
    model = two_layers(seed)
    x = np.random.default_rng(seed + 1).standard_normal((30, 3))
    m, r = np.abs(model.activations(x)["relu1"]).max(axis=0), ranges(model)[1]
    new = smooth_activations(model, x, alpha)
    got = np.abs(new.activations(x)["relu1"]).max(axis=0), ranges(new)[1]
    s = np.where(m > 0, m**alpha / r ** (1 - alpha), 1.0)
    assert got[0] == pytest.approx(m / s, rel=1e-12)
    assert got[1] == pytest.approx(r * s, rel=1e-12)


def test_channels_behind_a_flatten_and_in_groups():
    rng = np.random.default_rng(2)
    layers = [nn.Conv2d(1, 4, 2), nn.ReLU(), nn.Conv2d(4, 4, 1, groups=2), nn.Flatten()]
    model = nn.Sequential([*layers, nn.Linear(16, 3)], (1, 3, 3))
    sizes = {k: 10.0 ** rng.uniform(-2, 2, t.shape) for k, t in model.parameters().items()}
    model = equalize_layers(model.replace(sizes), sweeps=200)
    first, second, third = (np.abs(model.parameters()[f"{n}.weight"]) for n in FLAT)
    # channel c of group g is input c of the two filters of that group
    reads = second.reshape(2, 2, 2).max(axis=1).reshape(4)
    assert first.max(axis=(1, 2, 3)) == pytest.approx(reads, rel=0.01)
    assert second.max(axis=(1, 2, 3)) == pytest.approx(
        third.reshape(3, 4, 4).max(axis=(0, 2)), rel=0.01
    )


FLAT = ("conv1", "conv2", "fc1")


def test_a_network_with_uneven_channels_is_saved():
    """The digits network, its channels in random units: the same floats, ruined int8."""
    model, data = refq.zoo.load("digits")
    rng = np.random.default_rng(0)
    uneven = model
    for link in channel_links(model):
        n = model.shapes()[link.source][0]
        uneven = rescale(uneven, link, 2.0 ** rng.integers(-4, 5, n))
    X, y = data.test.X, data.test.y
    assert np.array_equal(uneven.predict(X), model.predict(X))
    plan = {"*": refq.AffineQuantizer(8, scheme="symmetric", scale_method=Cast("float32"))}

    def accuracy(m):
        stored = calibrate(compress(m, plan), data.calibration)
        return float(np.mean(stored.predict(X).argmax(axis=1) == y))

    float_accuracy = float(np.mean(model.predict(X).argmax(axis=1) == y))
    assert accuracy(uneven) < 0.7  # measured: 51.6 %
    assert accuracy(equalize_layers(uneven)) > float_accuracy - 0.005  # 98.7 %, as in float
    assert accuracy(smooth_activations(uneven, data.calibration)) > float_accuracy - 0.005


def test_what_is_refused():
    model = two_layers(0)
    with pytest.raises(RangeError, match="calibration is empty"):
        smooth_activations(model, np.zeros((0, 3)))
    with pytest.raises(RangeError, match="alpha"):
        smooth_activations(model, np.ones((2, 3)), alpha=1.5)
    with pytest.raises(RangeError, match="sweeps"):
        equalize_layers(model, sweeps=-1)
    with pytest.raises(RangeError, match=r"fc1\.weight is Dense"):
        equalize_layers(compress(model, {"fc1": Cast("float32")}))
