import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import DTypeError, RangeError, ShapeError
from refq.nn import Add, Concat, Flatten

LENGTHS = st.lists(st.integers(1, 3), min_size=1, max_size=3)


@given(st.integers(0, 2), LENGTHS, st.integers(0, 2**32))
def test_gradients_equal_central_differences(check_gradients, n, lengths, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-1, 1, (2, n, *lengths))
    check_gradients(Flatten(), x)
    check_gradients(Add(), x, y)
    for axis in range(1, len(lengths) + 1):
        wider = np.concatenate([y, y], axis=axis)
        check_gradients(Concat(axis), x, wider, y)
        check_gradients(Concat(axis - len(lengths) - 1), wider, x)
    check_gradients(Concat(), x)


@given(st.integers(0, 2), LENGTHS)
def test_flatten_keeps_the_order(n, lengths):
    x = np.arange(n * np.prod(lengths), dtype=np.float64).reshape(n, *lengths)
    y, cache = Flatten().forward(np.asfortranarray(x))
    assert y.shape == (n, *Flatten().output_shape(tuple(lengths)))
    assert y.ravel().tolist() == list(range(x.size))
    assert np.array_equal(Flatten().backward(y, cache)[0][0], x)


def test_concat_lays_side_by_side():
    a, b = np.arange(6.0).reshape(1, 2, 3), -np.ones((1, 1, 3))
    y, _ = Concat(1).forward(a, b)
    assert y.tolist() == [[[0, 1, 2], [3, 4, 5], [-1, -1, -1]]]
    assert Concat(2).output_shape((2, 3), (2, 4), (2, 1)) == (2, 8)


def test_add_errors():
    with pytest.raises(ShapeError, match="two equal shapes"):
        Add().forward(np.ones((1, 2)), np.ones((1, 3)))
    with pytest.raises(ShapeError, match="takes 2 input"):
        Add().forward(np.ones((1, 2)))
    with pytest.raises(ShapeError, match="must agree"):
        Add().forward(np.ones((1, 2)), np.ones((3, 2)))
    with pytest.raises(ShapeError, match="must agree"):
        Add().forward(np.ones((1, 2)), np.ones((1, 2), np.float32))
    with pytest.raises(DTypeError, match="int64"):
        Add().forward(np.ones((1, 2)), np.ones((1, 2), np.int64))


def test_concat_errors():
    with pytest.raises(ShapeError, match="batch axis"):
        Concat(0).output_shape((2,), (2,))
    with pytest.raises(ShapeError, match="batch axis"):
        Concat(-2).output_shape((2,), (2,))
    with pytest.raises(ShapeError, match="does not exist"):
        Concat(2).output_shape((2,), (2,))
    with pytest.raises(ShapeError, match="along its axis only"):
        Concat(1).output_shape((2, 3), (2, 4))
    with pytest.raises(ShapeError, match="along its axis only"):
        Concat(1).output_shape((2, 3), (2,))
    with pytest.raises(ShapeError, match="at least one input"):
        Concat().forward()
    with pytest.raises(RangeError, match="axis"):
        Concat(True)
