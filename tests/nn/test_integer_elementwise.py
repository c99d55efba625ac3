"""Integer addition, rescaling and pooling against fractions."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import DTypeError, RangeError, ShapeError
from refq.nn import (
    AvgPool,
    GlobalAvgPool,
    IntegerAdd,
    IntegerAvgPool,
    IntegerGlobalAvgPool,
    IntegerMaxPool,
    IntegerRescale,
    MaxPool,
)

HALF = Fraction(1, 2)
MANTISSAS = st.integers(1 << 30, (1 << 31) - 1)
SHIFTS = st.integers(24, 40)


def rescale(mantissa, shift, zero=0, out_zero=0, low=-128, high=127):
    config = {"mantissa": np.array([mantissa]), "shift": np.array([shift]), "output_scale": 1.0}
    return IntegerRescale("int8", zero, out_zero, low, high, **config)


@given(MANTISSAS, SHIFTS, st.integers(0, 255), st.integers(-128, 127))
def test_rescale_rounds_once_ties_up(mantissa, shift, zero, out_zero):
    x = np.arange(256, dtype=np.uint8).reshape(2, 128)
    y = rescale(mantissa, shift, zero, out_zero).forward(x)[0]
    reals = [Fraction((int(q) - zero) * mantissa, 1 << shift) for q in x.ravel()]
    want = [min(max(math.floor(r + HALF) + out_zero, -128), 127) for r in reals]
    assert y.dtype == np.int8
    assert y.ravel().tolist() == want


def test_a_standalone_relu_is_a_narrower_range():
    layer = rescale(1 << 30, 30, zero=3, out_zero=3, low=3, high=9)
    assert layer.forward(np.uint8([[0, 3, 4, 9, 10]]))[0].tolist() == [[3, 3, 4, 9, 9]]
    assert layer.output_shape((2, 3)) == (2, 3)


@given(st.integers(0, 2**32), MANTISSAS, MANTISSAS, SHIFTS, st.integers(-8, 8))
def test_addition_rounds_the_sum_once(seed, m1, m2, s1, apart):
    rng = np.random.default_rng(seed)
    za, zb, zy = (int(v) for v in rng.integers(-20, 20, 3))
    s2 = max(s1 + apart, 24)
    multipliers = {"mantissas": np.array([m1, m2]), "shifts": np.array([s1, s2])}
    layer = IntegerAdd("int8", za, zb, zy, -100, 100, **multipliers, output_scale=1.0)
    a, b = rng.integers(-128, 128, (2, 3, 5)).astype(np.int8)
    y = layer.forward(a, b)[0]
    want = []
    for p, q in zip(a.ravel().tolist(), b.ravel().tolist(), strict=True):
        real = Fraction((p - za) * m1, 1 << s1) + Fraction((q - zb) * m2, 1 << s2)
        want.append(min(max(math.floor(real + HALF) + zy, -100), 100))
    assert y.ravel().tolist() == want


def test_addition_refuses():
    same = {"mantissas": np.array([1 << 30] * 2), "shifts": np.array([30, 30])}
    layer = IntegerAdd("int8", 0, 0, 0, -128, 127, **same, output_scale=1.0)
    one, two = np.ones((1, 2), np.int8), np.ones((1, 3), np.int8)
    with pytest.raises(ShapeError):
        layer.forward(one, two)
    with pytest.raises(ShapeError, match="two equal shapes"):
        layer.output_shape((2,), (3,))
    with pytest.raises(DTypeError, match="pass integer codes"):
        layer.forward(one, one.astype(np.float32))
    with pytest.raises(RangeError, match="too far apart"):
        layer.replace(shifts=np.array([30, 53])).forward(one, one)
    with pytest.raises(RangeError, match="second_zero_point"):
        IntegerAdd("int8", 0, 1 << 40, 0, -128, 127, **same, output_scale=1.0)
    with pytest.raises(ShapeError, match="mantissas has shape"):
        IntegerAdd("int8", 0, 0, 0, -128, 127, [1 << 30], [30, 30], 1.0)
    with pytest.raises(DTypeError, match="shifts has dtype"):
        IntegerAdd("int8", 0, 0, 0, -128, 127, [1 << 30] * 2, [30.0, 30.0], 1.0)


@given(st.integers(0, 2**32), st.sampled_from([np.uint8, np.int8]))
def test_pooling_equals_the_float_layers_up_to_one_rounding(seed, dtype):
    rng = np.random.default_rng(seed)
    kernel = tuple(int(v) for v in rng.integers(1, 4, 2))
    stride = tuple(int(v) for v in rng.integers(1, 3, 2))
    padding = tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel)
    info = np.iinfo(dtype)
    x = rng.integers(info.min, int(info.max) + 1, (2, 2, 5, 4)).astype(dtype)
    real = x.astype(np.float64)
    largest = IntegerMaxPool(kernel, stride, padding).forward(x)[0]
    assert largest.dtype == dtype
    assert np.array_equal(largest, MaxPool(kernel, stride, padding).forward(real)[0])
    # a mean of at most nine codes is no float64 near a tie unless it is one
    mean = IntegerAvgPool(kernel, stride, padding).forward(x)[0]
    assert mean.dtype == dtype
    assert np.array_equal(mean, np.floor(AvgPool(kernel, stride, padding).forward(real)[0] + 0.5))
    whole = IntegerGlobalAvgPool().forward(x)[0]
    assert whole.shape == (2, 2)
    assert np.array_equal(whole, np.floor(GlobalAvgPool().forward(real)[0] + 0.5))


@given(st.integers(0, 2**32), st.integers(0, 100))
def test_a_mean_commutes_with_the_zero_point(seed, z):
    # why the layers need none: codes moved by z have the mean moved by z, ties included
    q = np.random.default_rng(seed).integers(0, 9, (1, 3, 2, 4)).astype(np.uint8)
    for layer in (IntegerAvgPool(2), IntegerGlobalAvgPool()):
        moved = layer.forward((q + z).astype(np.uint8))[0]
        assert np.array_equal(moved, layer.forward(q)[0] + z)


@pytest.mark.parametrize("layer", [IntegerMaxPool(2), IntegerAvgPool(2), IntegerGlobalAvgPool()])
def test_pooling_refuses_floats_and_has_no_gradient(layer):
    with pytest.raises(DTypeError):
        layer.forward(np.ones((1, 1, 2, 2), np.float32))
    with pytest.raises(DTypeError, match="no gradient"):
        layer.backward(np.ones((1, 1, 1, 1)), None)
    assert layer.forward(np.ones((0, 1, 2, 2), np.int8))[0].shape[0] == 0
