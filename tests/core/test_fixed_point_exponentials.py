"""Exponentials in fixed point come close to the real ones, and meet their known points."""

import numpy as np

from refq.core.fixed_point_exponentials import (
    exponential,
    fixed_point_softmax,
    reciprocal_of_one_plus,
)


def test_exponential_is_close():
    x = -np.unique(np.random.default_rng(0).integers(0, 1 << 31, 20_000))
    error = exponential(x) / 2**31 - np.exp(x / 2**26)
    # the series' next term is below 2^-21, the roundings are far below that
    assert np.abs(error).max() < 2.0**-20
    assert exponential(np.array([0])) == (1 << 31) - 1


def test_reciprocal_is_close():
    a = np.unique(np.random.default_rng(1).integers(0, 1 << 31, 20_000))
    error = reciprocal_of_one_plus(a) / 2**31 - 1 / (1 + a / 2**31)
    # Newton's error is squared three times from 1/17; what is left are roundings of 2^-29
    assert np.abs(error).max() < 2.0**-26


def test_softmax_is_within_one_code():
    rng = np.random.default_rng(2)
    codes = rng.integers(-128, 128, (500, 7))
    for scale in (0.01, 0.1, 0.5):
        power = np.exp((codes - codes.max(axis=1, keepdims=True)) * scale)
        exact = 256 * power / power.sum(axis=1, keepdims=True)
        # half a code of rounding; exponentials and reciprocal are off by less than 2^-9 codes
        assert np.abs(fixed_point_softmax(codes, scale) - exact).max() < 0.51


def test_what_lies_too_deep_counts_as_zero():
    assert fixed_point_softmax(np.array([[0, -100]]), 0.32).tolist() == [[256, 0]]
