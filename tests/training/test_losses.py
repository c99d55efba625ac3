"""Losses against Python's own floats and fractions, gradients against central differences."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import DTypeError, RangeError, ShapeError
from refq.training import LOSSES, cross_entropy, squared_error

LOGITS = st.integers(-40, 40).map(lambda k: k / 4)


@st.composite
def batches(draw):
    n, k = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    rows = st.lists(LOGITS, min_size=k, max_size=k)
    logits = np.array(draw(st.lists(rows, min_size=n, max_size=n)))
    y = np.array(draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n)))
    return logits, y


SMOOTHINGS = st.sampled_from([0.0, 0.1, 1.0])


def slow_cross_entropy(logits, y, smoothing):
    """One element at a time, summed exactly by fsum."""
    total = []
    for row, label in zip(logits.tolist(), y.tolist(), strict=True):
        log_sum = math.log(math.fsum(math.exp(z) for z in row))
        for j, z in enumerate(row):
            target = (1 - smoothing) * (j == label) + smoothing / len(row)
            total.append(target * (log_sum - z))
    return math.fsum(total) / len(logits)


def central_differences(loss, x, h=2.0**-10):
    gradient = np.zeros_like(x)
    for index in np.ndindex(*x.shape):
        up, down = x.copy(), x.copy()
        up[index] += h
        down[index] -= h
        gradient[index] = (loss(up) - loss(down)) / (2 * h)
    return gradient


@given(batches(), SMOOTHINGS)
def test_cross_entropy_is_the_definition(batch, smoothing):
    logits, y = batch
    loss, _ = cross_entropy(logits, y, smoothing)
    # each of the sums is of a few terms below 40: some dozen roundings of 2^-53 * 40
    assert abs(loss - slow_cross_entropy(logits, y, smoothing)) < 1e-12


@given(batches(), SMOOTHINGS)
def test_cross_entropy_gradient(batch, smoothing):
    logits, y = batch
    _, gradient = cross_entropy(logits, y, smoothing)
    numeric = central_differences(lambda z: cross_entropy(z, y, smoothing)[0], logits)
    # the third derivative of log-sum-exp is below 1/4 (h^2/6 of it), rounding below 2^-53 * 40 / h
    np.testing.assert_allclose(gradient, numeric, rtol=0, atol=2.0**-20 / 24 + 1e-10)
    np.testing.assert_allclose(gradient.sum(axis=1), 0, atol=1e-14)


@pytest.mark.parametrize("size", [1e4, 1e30, 1e300])
@pytest.mark.parametrize("label", [0, 1])
def test_cross_entropy_of_large_logits_does_not_overflow(size, label):
    loss, gradient = cross_entropy([[size, -size]], [label])
    assert loss == (2 * size if label else 0.0)
    assert gradient.tolist() == [[1.0, -1.0] if label else [0.0, 0.0]]


def test_a_shift_of_a_row_changes_nothing():
    logits = np.array([[0.5, 2.0, -1.0]])
    loss, gradient = cross_entropy(logits, [2])
    shifted = cross_entropy(logits + 2.0**20, [2])
    assert loss == shifted[0]
    assert gradient.tolist() == shifted[1].tolist()


@given(st.lists(st.tuples(st.integers(-99, 99), st.integers(-99, 99)), min_size=1, max_size=8))
def test_squared_error_is_the_mean_over_elements(pairs):
    output, target = np.array(pairs, np.float32).T
    loss, gradient = squared_error(output[None], target[None])
    total = sum((a - b) ** 2 for a, b in pairs)
    assert loss == float(Fraction(total, len(pairs)))
    assert gradient.dtype == np.float32
    expected = [np.float32(float(Fraction(2 * (a - b), len(pairs)))) for a, b in pairs]
    assert gradient[0].tolist() == expected


def test_squared_error_gradient():
    rng = np.random.default_rng(1)
    output, target = rng.standard_normal((2, 3, 2))
    _, gradient = squared_error(output, target)
    numeric = central_differences(lambda z: squared_error(z, target)[0], output)
    np.testing.assert_allclose(gradient, numeric, rtol=0, atol=1e-10)


def test_the_gradient_has_the_outputs_dtype():
    for dtype in (np.float32, np.float64):
        assert cross_entropy(np.zeros((2, 3), dtype), [0, 1])[1].dtype == dtype


@pytest.mark.parametrize(
    ("logits", "y", "error", "words"),
    [
        ([[0.0, np.nan]], [0], RangeError, r"logits\[0, 1\] = nan"),
        ([[0.0, 1.0]], [2], RangeError, r"y\[0\] = 2 must be in \[0, 1\]"),
        ([[0.0, 1.0]], [-1], RangeError, r"y\[0\] = -1"),
        ([[0.0, 1.0]], [0.0], DTypeError, "float64"),
        ([[0.0, 1.0]], [0, 1], ShapeError, r"y has shape \(2,\)"),
        ([[0.0, 1.0]], [[0]], ShapeError, "y has shape"),
        ([0.0, 1.0], [0], ShapeError, "logits have shape"),
        (np.zeros((0, 3)), [], ShapeError, "logits have shape"),
        (np.zeros((3, 0)), [0, 0, 0], ShapeError, "logits have shape"),
    ],
)
def test_cross_entropy_refuses(logits, y, error, words):
    with pytest.raises(error, match=words):
        cross_entropy(logits, y)


@pytest.mark.parametrize("smoothing", [-0.1, 1.1, np.nan, "0.1", True])
def test_smoothing_outside_is_refused(smoothing):
    with pytest.raises(RangeError, match="label_smoothing"):
        cross_entropy([[0.0, 1.0]], [0], smoothing)


@pytest.mark.parametrize(
    ("output", "target", "error"),
    [
        (np.zeros((2, 3)), np.zeros(3), ShapeError),
        (np.zeros((0,)), np.zeros((0,)), ShapeError),
        ([1.0], [np.inf], RangeError),
    ],
)
def test_squared_error_refuses(output, target, error):
    with pytest.raises(error):
        squared_error(output, target)


def test_overflow_is_infinity_without_a_warning():
    assert squared_error([1e300], [-1e300])[0] == np.inf


def test_names():
    assert list(LOSSES.items()) == [
        ("cross_entropy", cross_entropy),
        ("squared_error", squared_error),
    ]
