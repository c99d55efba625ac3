import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import RangeError, ShapeError
from refq.nn import BatchNorm

SHAPES = st.one_of(
    st.tuples(st.integers(2, 5), st.integers(1, 3)),
    st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 3), st.integers(2, 3)),
)


def layer_for(channels, rng, eps=0.25):
    return BatchNorm(
        channels,
        eps=eps,
        weight=rng.uniform(0.5, 2, channels),
        bias=rng.uniform(-1, 1, channels),
        running_mean=rng.uniform(-1, 1, channels),
        running_var=rng.uniform(0.5, 2, channels),
    )


@given(SHAPES, st.booleans(), st.integers(0, 2**32))
def test_gradients_equal_central_differences(check_gradients, shape, training, seed):
    rng = np.random.default_rng(seed)
    # eps = 1/4 bounds every derivative, whatever the batch's variance is
    check_gradients(layer_for(shape[1], rng), rng.uniform(-1, 1, shape), training=training, size=8)


@given(SHAPES, st.integers(0, 2**32))
def test_training_equals_the_definition(shape, seed):
    rng = np.random.default_rng(seed)
    layer, x = layer_for(shape[1], rng), rng.uniform(-3, 3, shape)
    y, cache = layer.forward(x, training=True)
    new = layer.updated_buffers(cache)
    for c in range(shape[1]):
        values = [float(v) for v in x[:, c].ravel()]
        mean = math.fsum(values) / len(values)
        squares = math.fsum((v - mean) ** 2 for v in values)
        biased, unbiased = squares / len(values), squares / (len(values) - 1)
        scale = layer.weight[c] / math.sqrt(biased + 0.25)
        want = (x[:, c] - mean) * scale + layer.bias[c]
        np.testing.assert_allclose(y[:, c], want, rtol=0, atol=1e-13)
        # a convex combination of two numbers below 10: a few roundings of 2^-53 each
        assert new["running_mean"][c] == pytest.approx(
            0.9 * layer.running_mean[c] + 0.1 * mean, abs=1e-14
        )
        assert new["running_var"][c] == pytest.approx(
            0.9 * layer.running_var[c] + 0.1 * unbiased, abs=1e-13
        )


@given(SHAPES, st.integers(0, 2**32))
def test_inference_uses_the_running_statistics(shape, seed):
    rng = np.random.default_rng(seed)
    layer, x = layer_for(shape[1], rng), rng.uniform(-3, 3, shape)
    y, cache = layer.forward(x)
    for c in range(shape[1]):
        scale = layer.weight[c] / math.sqrt(layer.running_var[c] + 0.25)
        want = (x[:, c] - layer.running_mean[c]) * scale + layer.bias[c]
        np.testing.assert_allclose(y[:, c], want, rtol=0, atol=1e-13)
    assert layer.updated_buffers(cache) == {}


def test_a_large_mean_does_not_cancel():
    x = np.array([[1e8], [1e8 + 1], [1e8 + 2]])
    _, cache = BatchNorm(1, momentum=1.0).forward(x, training=True)
    buffers = BatchNorm(1, momentum=1.0, running_var=np.ones(1)).updated_buffers(cache)
    assert buffers["running_var"].tolist() == [1.0]


def test_forward_changes_nothing_and_buffers_keep_their_dtype():
    layer = BatchNorm(2)
    before = {name: t.copy() for name, t in layer.tensors().items()}
    y, cache = layer.forward(np.arange(8, dtype=np.float64).reshape(4, 2), training=True)
    for name, value in before.items():
        assert np.array_equal(layer.tensors()[name], value)
    new = layer.updated_buffers(cache)
    assert {name: a.dtype for name, a in new.items()} == {
        "running_mean": np.float32,
        "running_var": np.float32,
    }
    assert y.dtype == np.float64
    # mean (3, 4), unbiased variance 80 / 12 each
    moved = layer.replace(**new)
    assert moved.running_mean == pytest.approx([0.3, 0.4], rel=1e-6)
    assert moved.running_var == pytest.approx([0.9 + 2 / 3, 0.9 + 2 / 3], rel=1e-6)


@given(SHAPES, st.booleans(), st.integers(0, 2**32))
def test_float32_is_close_to_float64(shape, training, seed):
    rng = np.random.default_rng(seed)
    layer = layer_for(shape[1], rng)
    x = rng.uniform(-3, 3, shape).astype(np.float32)
    y, _ = layer.forward(x, training=training)
    exact, _ = layer.forward(x.astype(np.float64), training=training)
    assert y.dtype == np.float32
    # |x - mean| <= 6, scale <= 2 / sqrt(1/4) = 4: numbers up to 25 through about six roundings
    assert np.abs(y - exact).max() <= 8 * 25 * 2.0**-24


def test_float_settings_are_buffers():
    layer = BatchNorm(3, eps=1e-3, momentum=0.2)
    assert layer.config() == {"num_features": 3}
    assert {k: v.shape for k, v in layer.buffers().items()} == {
        "running_mean": (3,),
        "running_var": (3,),
        "eps": (),
        "momentum": (),
    }
    assert repr(layer) == "nn.BatchNorm(3, eps=0.001, momentum=0.2)"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"eps": 0.0}, "eps"),
        ({"eps": np.nan}, "eps"),
        ({"momentum": 1.5}, "momentum"),
        ({"momentum": -0.1}, "momentum"),
        ({"running_var": [1.0, -1.0]}, r"running_var\[1\]"),
    ],
)
def test_ranges(change, word):
    with pytest.raises(RangeError, match=word):
        BatchNorm(2, **change)
    with pytest.raises(RangeError, match=word):
        BatchNorm(2).replace(**change)


def test_errors():
    with pytest.raises(ShapeError, match="takes shape"):
        BatchNorm(2).forward(np.zeros((4, 3)))
    with pytest.raises(ShapeError, match="takes shape"):
        BatchNorm(2).forward(np.zeros((4, 2, 3)))
    with pytest.raises(ShapeError, match="eps has shape"):
        BatchNorm(2, eps=[1e-5, 1e-5])
    with pytest.raises(RangeError, match=r"got 1 value\(s\) per channel"):
        BatchNorm(2).forward(np.zeros((1, 2)), training=True)
    assert BatchNorm(2).forward(np.zeros((0, 2)))[0].shape == (0, 2)


def test_initialize():
    layer = layer_for(3, np.random.default_rng(0)).initialize(np.random.default_rng(1))
    assert layer.weight.tolist() == layer.running_var.tolist() == [1.0] * 3
    assert layer.bias.tolist() == layer.running_mean.tolist() == [0.0] * 3
    assert float(layer.eps) == 0.25
