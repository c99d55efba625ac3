from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import RangeError, ShapeError
from refq.nn import AvgPool, GlobalAvgPool, MaxPool


@st.composite
def cases(draw):
    """Draw (kernel, stride, padding), the batch's shape and a seed."""
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    size = tuple(
        max(1, k - 2 * p) + draw(st.integers(0, 3)) for k, p in zip(kernel, padding, strict=True)
    )
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 2)), *size)
    return (kernel, stride, padding), shape, draw(st.integers(0, 2**32))


def window_cells(structure, size):
    """Return, per output, the indices of the image in its window, in row order."""
    kernel, stride, padding = structure
    counts = [(n + 2 * p - k) // s + 1 for n, k, s, p in zip(size, *structure, strict=True)]
    return {
        (r, c): [
            (a, b)
            for i in range(kernel[0])
            for j in range(kernel[1])
            if 0 <= (a := r * stride[0] + i - padding[0]) < size[0]
            and 0 <= (b := c * stride[1] + j - padding[1]) < size[1]
        ]
        for r in range(counts[0])
        for c in range(counts[1])
    }


def distinct(shape, rng):
    """Draw values that lie 1/16 apart: no step of the gradient check changes their order."""
    return (rng.permutation(int(np.prod(shape))) / 16 - 1).reshape(shape)


@given(cases())
def test_gradients_equal_central_differences(check_gradients, case):
    structure, shape, seed = case
    x = distinct(shape, np.random.default_rng(seed))
    for layer in (MaxPool(*structure), AvgPool(*structure), GlobalAvgPool()):
        check_gradients(layer, x, size=16)


@given(cases(), st.sampled_from([np.float32, np.float64]))
def test_values_and_ties_equal_the_definition(case, dtype):
    structure, shape, seed = case
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 3, shape).astype(dtype)  # few values: many ties
    cells = window_cells(structure, shape[2:])
    largest, cache = MaxPool(*structure).forward(x)
    means, _ = AvgPool(*structure).forward(x)
    assert largest.dtype == means.dtype == dtype
    grad = rng.integers(-9, 10, largest.shape).astype(dtype)
    want_back = np.zeros(shape)
    for n, c in np.ndindex(shape[:2]):
        for at, members in cells.items():
            values = [int(x[n, c, a, b]) for a, b in members]
            assert largest[n, c, *at] == max(values)
            assert means[n, c, *at] == dtype(float(Fraction(sum(values), len(values))))
            first = members[values.index(max(values))]
            want_back[n, c, *first] += grad[n, c, *at]
    assert largest.shape == (*shape[:2], *(i + 1 for i in max(cells)))
    assert np.array_equal(MaxPool(*structure).backward(grad, cache)[0][0], want_back)


def test_the_border_never_wins_and_never_counts():
    x = np.full((1, 1, 2, 2), -5.0)
    assert (MaxPool(3, 1, 1).forward(x)[0] == -5).all()
    assert (AvgPool(3, 1, 1).forward(x)[0] == -5).all()
    assert AvgPool(3, 1, 1).counts((3, 3)).tolist() == [[4, 6, 4], [6, 9, 6], [4, 6, 4]]


def test_extreme_values():
    big = np.finfo(np.float32).max
    x = np.array([[[[-big, -np.inf], [-np.inf, -np.inf]]]], np.float32)
    y, cache = MaxPool(1).forward(x)
    assert np.array_equal(y, x)
    assert (
        MaxPool(1).backward(np.ones_like(x), cache)[0][0].tolist() == np.ones((1, 1, 2, 2)).tolist()
    )


@pytest.mark.parametrize("layer", [MaxPool(2), AvgPool(2), GlobalAvgPool()])
def test_an_empty_batch_and_one_channel_less(layer):
    y, cache = layer.forward(np.zeros((0, 3, 4, 4), np.float32))
    assert y.shape == (0, *layer.output_shape((3, 4, 4)))
    assert layer.backward(y, cache)[0][0].shape == (0, 3, 4, 4)
    with pytest.raises(ShapeError, match="takes shape"):
        layer.forward(np.zeros((1, 3, 4)))


@given(st.integers(0, 2**32))
def test_global_average_in_float32(seed):
    x = np.random.default_rng(seed).uniform(-1, 1, (2, 3, 5, 7)).astype(np.float32)
    y, _ = GlobalAvgPool().forward(x)
    assert y.dtype == np.float32
    # 35 values below 1: any order of summation errs below 36 u in the mean
    assert np.abs(y - x.astype(np.float64).mean(axis=(2, 3))).max() <= 36 * 2.0**-24


def test_structure():
    assert MaxPool(2).config() == {"kernel_size": (2, 2), "stride": (2, 2), "padding": (0, 0)}
    assert repr(MaxPool((2, 3), 1)) == "nn.MaxPool((2, 3), stride=1)"
    assert AvgPool(3, padding=1).output_shape((4, 7, 7)) == (4, 3, 3)
    for kind in (MaxPool, AvgPool):
        with pytest.raises(RangeError, match="at most half"):
            kind(3, padding=2)
        with pytest.raises(RangeError, match="kernel_size"):
            kind(0)
        with pytest.raises(ShapeError, match="does not fit"):
            kind(3).output_shape((1, 2, 5))
