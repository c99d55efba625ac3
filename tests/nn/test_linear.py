import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import DTypeError, RangeError, ShapeError
from refq.encodings import CodebookEncoding, dense
from refq.nn import Linear
from refq.nn.linear import he_normal


@given(
    n=st.integers(0, 4),
    n_in=st.integers(1, 5),
    n_out=st.integers(1, 4),
    bias=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_gradients_equal_central_differences(check_gradients, n, n_in, n_out, bias, seed):
    rng = np.random.default_rng(seed)
    layer = Linear(
        n_in,
        n_out,
        bias=rng.uniform(-1, 1, n_out) if bias else False,
        weight=rng.uniform(-1, 1, (n_out, n_in)),
    )
    check_gradients(layer, rng.uniform(-1, 1, (n, n_in)), size=n_in + 1)


@given(
    rows=st.lists(st.lists(st.integers(-50, 50), min_size=3, max_size=3), max_size=4),
    weight=st.lists(st.integers(-50, 50), min_size=6, max_size=6),
    bias=st.lists(st.integers(-50, 50), min_size=2, max_size=2),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_integers_are_exact(rows, weight, bias, dtype):
    W = [weight[:3], weight[3:]]
    want = [
        [sum(a * b for a, b in zip(row, w, strict=True)) + c for w, c in zip(W, bias, strict=True)]
        for row in rows
    ]
    y, _ = Linear(3, 2, bias=bias, weight=W).forward(np.array(rows, dtype).reshape(-1, 3))
    assert y.dtype == dtype
    assert y.tolist() == want


def test_the_bias_argument_is_a_bool_or_the_bias():
    assert Linear(2, 3, bias=False).bias is None
    assert Linear(2, 3, bias=False).config() == {"in_features": 2, "out_features": 3, "bias": False}
    assert set(Linear(2, 3).parameters()) == {"weight", "bias"}
    assert Linear(2, 3, bias=[1, 2, 3]).bias.tolist() == [1, 2, 3]
    assert Linear(2, 3, bias=np.ones(3)).config()["bias"] is True


@pytest.mark.parametrize("bad", [0, -1, 2.0, True, "3"])
def test_sizes_are_positive_integers(bad):
    with pytest.raises(RangeError, match="in_features"):
        Linear(bad, 2)
    with pytest.raises(RangeError, match="out_features"):
        Linear(2, bad)


def test_tensors_need_the_right_shape_and_finite_values():
    with pytest.raises(ShapeError, match=r"weight has shape \(2, 3\); it must be \(3, 2\)"):
        Linear(2, 3, weight=np.zeros((2, 3)))
    with pytest.raises(ShapeError, match=r"bias has shape \(1,\)"):
        Linear(2, 3, bias=[0.0])
    with pytest.raises(RangeError, match=r"weight\[1, 0\] = nan"):
        Linear(1, 2, weight=[[0.0], [np.nan]])


@pytest.mark.parametrize(
    ("x", "error"),
    [
        (np.zeros((2, 3)), ShapeError),
        (np.zeros(2), ShapeError),
        (np.zeros((1, 1, 2)), ShapeError),
        (np.zeros((1, 2), np.int64), DTypeError),
        (np.zeros((1, 2), np.float16), DTypeError),
    ],
)
def test_inputs_that_do_not_fit(x, error):
    with pytest.raises(error, match="Linear"):
        Linear(2, 3).forward(x)
    with pytest.raises(ShapeError, match="takes 1 input"):
        Linear(2, 3).forward(np.zeros((1, 2)), np.zeros((1, 2)))


def test_an_encoded_weight_is_decoded():
    weight = CodebookEncoding(
        dense([[0, 1], [1, 1]], "uint1"), dense([[[2.0], [-3.0]]], "float16"), (2, 2)
    )
    layer = Linear(2, 2, bias=False, weight=weight)
    y, cache = layer.forward(np.array([[1.0, 10.0]], np.float32))
    assert y.tolist() == [[-28.0, -33.0]]
    assert y.dtype == np.float32
    (back,), gradients = layer.backward(np.array([[1.0, 0.0]], np.float32), cache)
    assert back.tolist() == [[2.0, -3.0]]
    assert gradients["weight"].tolist() == [[1.0, 10.0], [0.0, 0.0]]
    with pytest.raises(ShapeError, match="weight has shape"):
        Linear(4, 1, weight=weight)


def test_initialize_draws_he_weights_and_a_zero_bias():
    layer = Linear(400, 300, bias=np.ones(300)).initialize(np.random.default_rng(0))
    assert layer.weight.dtype == layer.bias.dtype == np.float32
    # 120,000 draws: the standard error of a standard deviation is sigma / sqrt(2 n) = 0.2 %
    assert layer.weight.std() == pytest.approx(np.sqrt(2 / 400), rel=0.02)
    assert abs(layer.weight.mean()) < 5 * np.sqrt(2 / 400 / 120_000)
    assert not layer.bias.any()
    again = Linear(400, 300).initialize(np.random.default_rng(0))
    assert (again.weight == layer.weight).all()


def test_he_normal_counts_every_axis_but_the_first():
    draws = he_normal((500, 8, 3, 3), np.random.default_rng(1))
    assert draws.std() == pytest.approx(np.sqrt(2 / 72), rel=0.02)
