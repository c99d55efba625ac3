"""Means that agree: on data, and as batch normalizations expect them."""

from math import erf, exp, pi, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import refq
from refq import nn
from refq.core.errors import RangeError, ShapeError
from refq.encodings import Cast
from refq.passes import (
    calibrate,
    clipped_normal_mean,
    compress,
    correct_bias,
    correct_bias_from_statistics,
    expected_inputs,
    fold_batchnorm,
)
from refq.zoo.trained import load_trained

THREE = refq.AffineQuantizer(3, scheme="symmetric")


def by_quadrature(mean, deviation, low, high):
    """Return the mean of the clipped normal by the trapezoidal rule."""
    t = np.linspace(-12, 12, 200_001)
    density = np.exp(-t * t / 2) / sqrt(2 * pi)
    values = np.clip(mean + deviation * t, low, high) * density
    return float(np.sum(values[1:] + values[:-1]) / 2 * (t[1] - t[0]))


@given(st.floats(-5, 5), st.floats(0.01, 5), st.sampled_from([(0, np.inf), (0, 6), (-1, 1)]))
def test_clipped_normal_against_quadrature(mean, deviation, ends):
    got = clipped_normal_mean(np.array([mean]), np.array([deviation]), *ends)[0]
    # step h = 1.2e-4: kinks cost h^2 / 4 of the slope and of the density, 24 h^2 / 12 the rest
    assert got == pytest.approx(by_quadrature(mean, deviation, *ends), abs=5e-8 * deviation)


def test_clipped_normal_by_hand():
    got = clipped_normal_mean(np.array([0.0, 1.0, -3.0]), np.array([1.0, 2.0, 0.0]), 0.0, np.inf)
    phi, below = exp(-0.125) / sqrt(2 * pi), (1 + erf(-0.5 / sqrt(2))) / 2
    assert got == pytest.approx([1 / sqrt(2 * pi), 2 * phi + 1 - below, 0.0], abs=1e-15)
    assert clipped_normal_mean(np.array([7.0]), np.array([1.0]), -np.inf, np.inf)[0] == 7.0


def mean_errors(model, original, x):
    got, wanted = model.activations(x), original.activations(x)
    axes = {name: (0, *range(2, y.ndim)) for name, y in got.items()}
    return {
        n.name: np.abs((got[n.name].astype(np.float64) - wanted[n.name]).mean(axis=axes[n.name]))
        for n in original.nodes
        if isinstance(n.layer, (nn.Conv2d, nn.Linear))
    }


@pytest.mark.parametrize("activations", [False, True])
def test_means_agree_on_the_digits_network(activations):
    original, data = refq.zoo.load("digits")
    x = data.calibration.X[:200]
    model = compress(original, {"*": THREE})
    if activations:
        model = calibrate(model, x)
    before = mean_errors(model, original, x)
    corrected = correct_bias(model, original, x)
    after = mean_errors(corrected, original, x)
    sizes = {n: float(np.abs(y).max()) for n, y in original.activations(x).items()}
    for name in before:
        # float32: a bias and outputs rounded by 2^-24 of at most twice the largest, and sums of up
        # to 360 products taken in another order after the bias has moved
        assert after[name].max() < 2.0**-24 * 400 * sizes[name]
        assert after[name].max() < before[name].max() / 100


def test_accuracy_of_three_bits():
    original, data = refq.zoo.load("digits")
    model = compress(original, {"*": refq.AffineQuantizer(3, scheme="symmetric")})
    known = correct_bias_from_statistics(model, load_trained("digits"))
    seen = correct_bias(model, original, data.calibration)
    accuracy = [
        float(np.mean(m.predict(data.test.X).argmax(axis=1) == data.test.y))
        for m in (model, known, seen)
    ]
    assert accuracy == sorted(accuracy)  # measured: 89.8, 92.8 and 96.8 %
    assert accuracy[2] > accuracy[0] + 0.05


@pytest.mark.parametrize("ceiling", [None, 1.5])
def test_statistics_agree_with_data_that_follows_them(ceiling):
    """Normal inputs, a normalization and a clip: the shift is the one that 10^5 draws show."""
    rng = np.random.default_rng(0)
    clip = nn.ReLU() if ceiling is None else nn.ClippedReLU(ceiling)
    norm = nn.BatchNorm(3, weight=[1.0, 2.0, -0.5], bias=[0.5, -1.0, 2.0])
    layers = [nn.Linear(3, 3, weight=np.eye(3), bias=False), norm, clip, nn.Linear(3, 4)]
    original = nn.Sequential(layers, (3,)).replace({"fc2.weight": rng.standard_normal((4, 3))})
    model = compress(fold_batchnorm(original), {"fc2": THREE})
    corrected = correct_bias_from_statistics(model, original)
    x = rng.standard_normal((100_000, 3))
    errors = [np.abs((m.predict(x) - original.predict(x)).mean(axis=0)) for m in (model, corrected)]
    # weights off by up to 0.5, deviations up to 2: five standard errors are 5 * 2 / sqrt(1e5)
    assert errors[1].max() < 0.032
    assert errors[0].max() > 0.1


def test_what_is_known_of_inputs():
    layers = [
        *(nn.Conv2d(1, 2, 1), nn.BatchNorm(2, bias=[1.0, -2.0], weight=[0.0, 0.0]), nn.ReLU()),
        *(nn.AvgPool(2), nn.Conv2d(2, 2, 1), nn.BatchNorm(2, bias=[3.0, 4.0]), nn.MaxPool(2)),
        *(nn.Conv2d(2, 2, 1), nn.BatchNorm(2, weight=[0.0, 0.0], bias=[5.0, 6.0]), nn.Flatten()),
        *(nn.Linear(8, 2), nn.Sigmoid(), nn.Linear(2, 1)),
    ]
    found = expected_inputs(nn.Sequential(layers, (1, 8, 8)))
    # conv1 reads the input, conv3 a maximum, fc2 a sigmoid
    assert {k: v.tolist() for k, v in found.items()} == {
        "conv2": [1.0, 0.0],
        "fc1": [5.0] * 4 + [6.0] * 4,
    }


def test_the_clip_of_a_mean_is_left_out():
    layers = [nn.BatchNorm(1), nn.AvgPool(2), nn.ReLU(), nn.Conv2d(1, 1, 1)]
    assert expected_inputs(nn.Sequential(layers, (1, 4, 4))) == {}
    twice = [nn.BatchNorm(1), nn.ReLU(), nn.ClippedReLU(1.0), nn.Linear(1, 1)]
    assert expected_inputs(nn.Sequential(twice, (1,))) == {}


def test_grouped_weights_meet_the_means_of_their_group():
    norm = nn.BatchNorm(4, weight=np.zeros(4), bias=[1.0, 10.0, 100.0, 1000.0])
    conv = nn.Conv2d(4, 2, 1, groups=2, weight=np.zeros((2, 2, 1, 1)))
    original = nn.Sequential([norm, conv], (4, 1, 1))
    model = original.replace({"conv1.weight": np.array([[1, 2], [3, 4.0]]).reshape(2, 2, 1, 1)})
    corrected = correct_bias_from_statistics(model, original)
    assert corrected.parameters()["conv1.bias"].tolist() == [-21.0, -4300.0]


def test_encoded_biases_and_layers_without_one():
    rng = np.random.default_rng(1)
    layers = [nn.Linear(3, 4, bias=False), nn.ReLU(), nn.Linear(4, 2)]
    original = nn.Sequential(layers, (3,)).initialize(0)
    model = compress(original, {"*": THREE, "*.bias": Cast("float16")})
    x = rng.random((50, 3)).astype(np.float32)
    corrected = correct_bias(model, original, x)
    assert corrected.node("fc1").layer.bias is not None
    assert model.node("fc1").layer.bias is None
    assert max(e.max() for e in mean_errors(corrected, original, x).values()) < 1e-6


def test_what_is_refused():
    model = nn.Sequential([nn.Linear(2, 2)], (2,))
    other = nn.Sequential([("head", nn.Linear(2, 2))], (2,))
    wider = nn.Sequential([nn.Linear(2, 3)], (2,))
    with pytest.raises(RangeError, match="calibration is empty"):
        correct_bias(model, model, np.zeros((0, 2)))
    with pytest.raises(RangeError, match="share no Conv2d or Linear"):
        correct_bias(model, other, np.ones((1, 2)))
    with pytest.raises(ShapeError, match=r"fc1 gives \(1, 2\)"):
        correct_bias(model, wider, np.ones((1, 2)))
