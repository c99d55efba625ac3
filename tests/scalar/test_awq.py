"""AWQ: the scale by hand, the search by brute force, what is preserved, edges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import refq
from refq import AWQ, AffineQuantizer, Cast
from refq.core.errors import RangeError, ShapeError
from refq.scalar import channel_scale

GRID = AffineQuantizer(3, refq.PerGroup(16), "symmetric")


def layer(seed, rows=12, k=32, n=80):
    """Some inputs are thirty times larger than others, as in language models."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, k)) * np.where(rng.random(k) < 0.15, 30.0, 1.0)
    return x.astype(np.float32), rng.standard_normal((rows, k)).astype(np.float32)


def outputs_error(x, w, decoded):
    return float(np.sum((x.astype(np.float64) @ (w - decoded).reshape(len(w), -1).T) ** 2))


def test_scale_by_hand():
    # m = 1, 4, 16: m^(1/2) = 1, 2, 4; the geometric mean of the extremes is 2
    assert channel_scale(np.array([1.0, 4.0, 16.0]), 0.5).tolist() == [0.5, 1.0, 2.0]
    assert channel_scale(np.array([1.0, 4.0]), 0.0).tolist() == [1.0, 1.0]
    assert channel_scale(np.zeros(2), 0.7).tolist() == [1.0, 1.0]


def test_a_silent_channel_is_bounded():
    s = channel_scale(np.array([0.0, 1.0]), 1.0)
    assert s.tolist() == [2.0**-10, 2.0**10]


@given(st.integers(0, 10**6))
def test_the_search_finds_the_best_of_its_grid(seed):
    """Each alpha tried again by hand: scale, quantize, scale back."""
    x, w = layer(seed, 4, 16, 20)
    method = AWQ(GRID, n_grid=4).fit(w, inputs=x)
    magnitude = np.abs(x.astype(np.float64)).mean(axis=0)
    errors = []
    for alpha in (0.0, 0.25, 0.5, 0.75):
        s = magnitude**alpha
        r = (np.sqrt(s.max() * s.min()) / s).astype(np.float16).astype(np.float32)
        errors.append(outputs_error(x, w, r * GRID.fit_encode(w / r).decode()))
    got = outputs_error(x, w, method.encode(w).decode())
    # the products of the errors and the gram matrix are summed in another order: 1e-9 of it
    assert got <= min(errors) * (1 + 1e-9)
    assert errors[round(4 * method.alpha_)] == pytest.approx(got, rel=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_much_better_where_a_few_inputs_are_large(seed):
    x, w = layer(seed)
    ours = outputs_error(x, w, AWQ(GRID).fit_encode(w, inputs=x).decode())
    assert ours < 0.6 * outputs_error(x, w, GRID.fit_encode(w).decode())


def test_even_inputs_leave_the_weight_alone():
    w = layer(0)[1]
    x = np.where(np.random.default_rng(1).random((50, 32)) < 0.5, -1.0, 1.0)
    method = AWQ(GRID).fit(w, inputs=x)
    assert method.alpha_ == 0
    assert np.array_equal(method.encode(w).decode(), GRID.fit_encode(w).decode())


@given(st.integers(0, 10**6))
def test_what_the_quantizer_keeps_is_kept(seed):
    """Quotient, cast and product round once each: |w - w'| <= 3u|w|, and 2u without the cast."""
    x, w = layer(seed, 3, 8, 10)
    method = AWQ(Cast("float32"), n_grid=3).fit(w, inputs=x)
    for alpha in range(3):  # a larger alpha than the one that was chosen
        inverse = 1 / channel_scale(np.abs(x.astype(np.float64)).mean(axis=0), alpha / 3)
        method._chosen = method._fitted(w, inverse)
        assert np.all(np.abs(method.encode(w).decode() - w) <= 2.0**-23 * 1.001 * np.abs(w))


def test_channels_of_a_convolution_share_one_scale():
    rng = np.random.default_rng(3)
    w = rng.standard_normal((4, 3, 2, 2)).astype(np.float32)
    x = (rng.standard_normal((60, 3, 4)) * np.array([20.0, 1, 1])[:, None]).reshape(60, 12)
    method = AWQ(AffineQuantizer(2, scheme="symmetric"), n_grid=8)
    e = method.fit_encode(w, inputs=x)
    assert e.scale.shape == (1, 3, 1, 1)
    assert e.block_shape == (4, 1, 2, 2)
    assert method.inverse_[0, 0, 0, 0] < method.inverse_[0, 1, 0, 0]
    plain = AffineQuantizer(2, scheme="symmetric").fit_encode(w)
    assert outputs_error(x, w, e.decode()) < outputs_error(x, w, plain.decode())


def test_scales_that_the_quantizer_refuses_are_left_out():
    x, w = layer(4, 4, 16, 20)
    # float16 scales: at most 65504; a larger alpha multiplies the weights past that
    method = AWQ(GRID).fit(w * 5e4, inputs=x)
    assert np.isinf(method.errors_[1:]).any()
    assert np.isfinite(method.errors_[0])


def test_bits():
    x, w = layer(5)
    e = AWQ(GRID).fit_encode(w, inputs=x)
    assert e.stored_bits == GRID.fit_encode(w).stored_bits + 16 * 32


BAD = {
    "no inputs": ({}, (2, 3), None, RangeError, "needs inputs="),
    "width": ({}, (2, 3), (5, 4), ShapeError, r"\(n, 3\) is needed"),
    "vector": ({}, (3,), (5, 3), ShapeError, "a matrix"),
    "grid": ({"n_grid": 0}, (2, 3), (5, 3), RangeError, "n_grid"),
    "scale": ({"scale_method": AffineQuantizer()}, (2, 3), (5, 3), RangeError, "scale_method"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    settings, shape, seen, error, message = BAD[name]
    inputs = None if seen is None else np.ones(seen)
    with pytest.raises(error, match=message):
        AWQ(**settings).fit(np.ones(shape), inputs=inputs)
