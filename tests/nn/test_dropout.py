import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import RangeError
from refq.nn import Dropout


@given(st.sampled_from([0.0, 0.25, 0.5, 0.9]), st.booleans(), st.integers(0, 2**32))
def test_gradients_equal_central_differences(check_gradients, p, training, seed):
    x = np.random.default_rng(seed).uniform(-1, 1, (3, 4))
    check_gradients(Dropout(p), x, training=training, seed=seed, size=10)


@given(st.sampled_from([0.25, 0.5, 0.75]), st.integers(0, 2**32))
def test_elements_are_dropped_or_scaled(p, seed):
    x = np.full((50, 40), 3.0, np.float32)
    y, _ = Dropout(p).forward(x, training=True, rng=np.random.default_rng(seed))
    assert y.dtype == np.float32
    assert set(np.unique(y)) == {0.0, np.float32(3 / (1 - p))}
    # 2000 draws: six standard deviations of a binomial
    assert abs(np.mean(y == 0) - p) < 6 * np.sqrt(p * (1 - p) / 2000)
    again, _ = Dropout(p).forward(x, training=True, rng=np.random.default_rng(seed))
    assert np.array_equal(again, y)


def test_inference_returns_the_input():
    x = np.random.default_rng(0).standard_normal((4, 3))
    y, cache = Dropout(0.9).forward(x)
    assert np.array_equal(y, x)
    assert np.array_equal(Dropout(0.9).backward(x, cache)[0][0], x)


def test_errors():
    with pytest.raises(RangeError, match="rng"):
        Dropout().forward(np.ones((1, 2)), training=True)
    for bad in (-0.1, 1.0, np.nan):
        with pytest.raises(RangeError, match="probability"):
            Dropout(bad)
        with pytest.raises(RangeError, match="probability"):
            Dropout().replace(probability=bad)


def test_the_probability_is_a_buffer():
    assert Dropout(0.25).config() == {}
    assert Dropout(0.25).buffers()["probability"].shape == ()
    assert repr(Dropout(0.25)) == "nn.Dropout(probability=0.25)"
