import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq import nn
from refq.core.errors import DTypeError, RangeError, ShapeError
from refq.encodings import CodebookEncoding, MaskedEncoding, dense

H = 2.0**-13


def residual(seed=0, dtype=np.float64):
    """Return a small graph with a residual add, a concatenation and a node read three times."""
    nodes = [
        nn.Node("conv", nn.Conv2d(2, 2, 3, padding=1), "input"),
        nn.Node("bn", nn.BatchNorm(2, eps=0.25), "conv"),
        nn.Node("act", nn.Tanh(), "bn"),
        nn.Node("twice", nn.Add(), ("act", "act")),
        nn.Node("sum", nn.Add(), ("twice", "input")),
        nn.Node("wide", nn.Concat(), ("sum", "act", "input")),
        nn.Node("pool", nn.AvgPool(2), "wide"),
        nn.Node("flat", nn.Flatten(), "pool"),
        nn.Node("fc", nn.Linear(24, 3), "flat"),
    ]
    model = nn.Model(nodes, (2, 4, 4)).initialize(seed)
    return model.replace({k: v.astype(dtype) for k, v in model.parameters().items()})


def batch(n=3, seed=1, dtype=np.float64):
    return np.random.default_rng(seed).uniform(-1, 1, (n, 2, 4, 4)).astype(dtype)


def loss(model, x, R, training):
    return float(np.sum(R * model.forward(x, training=training)[0]))


def check(got, evaluate, array, index):
    """Compare with central differences; the tolerance is derived in conftest.py."""
    found = []
    for step in (H, 2 * H):
        up, down = array.copy(), array.copy()
        up[index] += step
        down[index] -= step
        found.append((evaluate(up) - evaluate(down)) / (2 * step))
    tolerance = abs(found[1] - found[0]) + 64 * 2.0**-52 * 1000 / H
    assert tolerance < 1e-4
    assert abs(got[index] - found[0]) <= tolerance


@pytest.mark.parametrize("training", [False, True])
def test_gradients_of_a_graph_equal_central_differences(training):
    model, x = residual(), batch()
    y, tape = model.forward(x, training=training)
    R = np.random.default_rng(2).uniform(-1, 1, y.shape)
    back, gradients = model.backward(R, tape)
    assert back.shape == x.shape
    assert set(gradients) == set(model.parameters())
    rng = np.random.default_rng(3)
    for _ in range(20):
        index = tuple(int(rng.integers(n)) for n in x.shape)
        check(back, lambda moved: loss(model, moved, R, training), x, index)
    for name, array in model.parameters().items():
        for _ in range(5):
            index = tuple(int(rng.integers(n)) for n in array.shape)
            check(
                gradients[name],
                lambda moved, name=name: loss(model.replace({name: moved}), x, R, training),
                array,
                index,
            )


def test_a_graph_computes_what_its_nodes_say():
    model, x = residual(), batch()
    values = model.activations(x)
    assert list(values) == ["input", *model.layers]
    assert np.array_equal(values["twice"], values["act"] * 2)
    assert np.array_equal(values["sum"], values["twice"] + x)
    wide = np.concatenate([values["sum"], values["act"], x], axis=1)
    assert np.array_equal(values["wide"], wide)
    assert np.array_equal(values["fc"], model.forward(x)[0])
    shapes = model.shapes()
    assert {name: value.shape[1:] for name, value in values.items()} == shapes


def test_predict_goes_batch_by_batch():
    model, x = residual(), batch(n=7)
    whole = model(x)
    assert whole.shape == (7, 3)
    for size in (1, 3, 7, 100):
        # BLAS may sum in another order: 24 terms, a few ulp
        np.testing.assert_allclose(model.predict(x, batch_size=size), whole, rtol=0, atol=1e-13)
    assert model(x[:0]).shape == (0, 3)
    assert model(x.astype(np.float32)).dtype == np.float32
    with pytest.raises(RangeError, match="batch_size"):
        model.predict(x, batch_size=0)


def test_float32_is_close_to_float64():
    model, x = residual(dtype=np.float32), batch(dtype=np.float32)
    y, tape = model.forward(x, training=True)
    exact, tape64 = model.forward(x.astype(np.float64), training=True)
    assert y.dtype == np.float32
    # sums of at most 19 terms below 4, five layers deep; inverse deviations of at most 2
    assert np.abs(y - exact).max() < 5 * 20 * 4 * 2 * 2.0**-24
    back, gradients = model.backward(np.ones_like(y), tape)
    back64, gradients64 = model.backward(np.ones_like(exact), tape64)
    assert back.dtype == np.float32
    assert np.abs(back - back64).max() < 1e-4
    for name, g in gradients.items():
        assert g.dtype == np.float32
        assert np.abs(g - gradients64[name]).max() < 1e-3


def test_replace_keeps_the_original():
    model, x = residual(), batch()
    before, weight = model(x), model.parameters()["conv.weight"].copy()
    new = model.replace({"conv.weight": weight + 1, "bn.running_mean": [1.0, 2.0]})
    assert np.array_equal(model.parameters()["conv.weight"], weight)
    assert np.array_equal(model(x), before)
    assert not np.allclose(new(x), before)
    assert new.layers["fc"] is model.layers["fc"]
    assert new.layers["bn"].running_mean.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("tensors", "error", "message"),
    [
        ({"nope.weight": 0}, RangeError, "no node 'nope'"),
        ({"conv.nope": 0}, RangeError, "node 'conv': .*no tensor 'nope'"),
        ({"conv": 0}, RangeError, "node 'conv': .*no tensor ''"),
        ({"fc.bias": [0.0]}, ShapeError, "node 'fc': bias has shape"),
        ({"fc.bias": [0.0, np.nan, 0.0]}, RangeError, r"node 'fc': bias\[1\] = nan"),
    ],
)
def test_replace_errors(tensors, error, message):
    with pytest.raises(error, match=message):
        residual().replace(tensors)


def test_forward_changes_nothing_and_buffers_come_back():
    model, x = residual(), batch()
    mean = model.layers["bn"].running_mean.copy()
    _, tape = model.forward(x, training=True)
    assert np.array_equal(model.layers["bn"].running_mean, mean)
    new = model.updated_buffers(tape)
    assert set(new) == {"bn.running_mean", "bn.running_var"}
    assert not np.array_equal(model.replace(new).layers["bn"].running_mean, mean)
    assert model.updated_buffers(model.forward(x)[1]) == {}


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.zeros((1, 2, 4, 5)), ShapeError, r"takes \(n, 2, 4, 4\)"),
        (np.zeros((2, 4, 4)), ShapeError, r"x has shape \(2, 4, 4\)"),
        (np.zeros(()), ShapeError, "x has shape"),
        (np.full((1, 2, 4, 4), np.nan), RangeError, r"x\[0, 0, 0, 0\] = nan"),
        (np.zeros((1, 2, 4, 4), np.int32), DTypeError, "int32"),
        (np.zeros((1, 2, 4, 4), np.float16), DTypeError, "float16"),
        (np.zeros((1, 2, 4, 4), complex), DTypeError, "complex"),
        (np.zeros((1, 2, 4, 4), bool), DTypeError, "bool"),
    ],
)
def test_inputs_that_do_not_fit(x, error, message):
    for call in (residual(), residual().forward, residual().activations):
        with pytest.raises(error, match=message):
            call(x)


def test_the_gradient_needs_the_outputs_shape():
    model = residual()
    _, tape = model.forward(batch())
    with pytest.raises(ShapeError, match="grad has shape"):
        model.backward(np.ones((3, 4)), tape)


def test_the_graph_is_checked():
    with pytest.raises(ShapeError, match="node 'fc1'"):
        nn.Sequential([nn.Linear(3, 2)], (4,))
    with pytest.raises(RangeError, match="at least one node"):
        nn.Sequential([], (4,))
    model = residual()
    assert model.consumers("input") == ["conv", "sum", "wide"]
    assert model.consumers("act") == ["twice", "wide"]
    assert model.consumers("fc") == []
    with pytest.raises(RangeError, match="no node 'nope'"):
        model.consumers("nope")
    with pytest.raises(TypeError):
        model.layers["fc"] = nn.ReLU()


def test_without_bridges_a_node():
    model, x = residual(), batch()
    bridged = model.without("act")
    assert bridged.node("twice").inputs == ("bn", "bn")
    assert bridged.node("wide").inputs == ("sum", "bn", "input")
    values = bridged.activations(x)
    assert np.array_equal(values["twice"], 2 * model.activations(x)["bn"])
    assert "act" in model.layers
    shorter = model.without("fc")  # the output: what it read becomes the output
    assert np.array_equal(shorter(x), model.activations(x)["flat"])
    with pytest.raises(RangeError, match="node 'sum' has 2 inputs"):
        model.without("sum")
    with pytest.raises(ShapeError, match="node 'fc'"):
        model.without("pool")
    with pytest.raises(RangeError, match="no node"):
        model.without("nope")
    with pytest.raises(RangeError, match="at least one node"):
        nn.Sequential([nn.ReLU()], (2,)).without("relu1")


def test_replace_layer_checks_the_shapes_again():
    model, x = residual(), batch()
    new = model.replace_layer("act", nn.ReLU())
    assert (new.activations(x)["act"] >= 0).all()
    assert isinstance(model.layers["act"], nn.Tanh)
    with pytest.raises(ShapeError, match="node 'fc'"):
        model.replace_layer("pool", nn.AvgPool(4))
    with pytest.raises(RangeError, match="node 'act' has 1 input"):
        model.replace_layer("act", nn.Add())
    with pytest.raises(RangeError, match="no node"):
        model.replace_layer("nope", nn.ReLU())


def test_initialize_is_seeded():
    plain = nn.Sequential([nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)], (4,))
    one, two, other = plain.initialize(7), plain.initialize(7), plain.initialize(8)
    for name, array in one.parameters().items():
        assert np.array_equal(array, two.parameters()[name])
    assert not np.array_equal(one.parameters()["fc1.weight"], other.parameters()["fc1.weight"])
    assert not plain.parameters()["fc1.weight"].any()
    assert one.n_parameters == 4 * 3 + 3 + 3 * 2 + 2


def test_dropout_draws_from_the_callers_generator():
    model = nn.Sequential([nn.Dropout(), nn.Dropout()], (50,))
    x = np.ones((1, 50))
    rngs = [np.random.default_rng(s) for s in (0, 0, 1)]
    a, b, c = (model.forward(x, training=True, rng=rng)[0] for rng in rngs)
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)
    assert set(np.unique(a)) == {0.0, 4.0}
    with pytest.raises(RangeError, match="rng"):
        model.forward(x, training=True)


def test_underflow_raises_nothing():
    tiny = np.float32(1e-30)
    model = nn.Sequential([nn.Linear(1, 1, weight=[[tiny]]), nn.ReLU()], (1,))
    with np.errstate(all="raise"):
        y, tape = model.forward(np.full((1, 1), tiny))
        model.backward(np.full((1, 1), tiny), tape)
    assert y.tolist() == [[0.0]]


# Training ----------------------------------------------------------------------------------


def encoded():
    """Return a model with a shared codebook weight, a masked weight and plain parameters."""
    rng = np.random.default_rng(0)
    book = dense(rng.uniform(-1, 1, (1, 4, 2)), "float64")
    codes = dense(rng.integers(0, 4, (3, 2)), "uint2")
    mask = dense([[1, 0, 1], [0, 1, 1]], "uint1")
    layers = [
        nn.Linear(4, 3, weight=CodebookEncoding(codes, book, (3, 4)), bias=rng.uniform(-1, 1, 3)),
        nn.Tanh(),
        nn.Linear(
            3,
            2,
            bias=False,
            weight=MaskedEncoding(mask, dense(rng.uniform(-1, 1, 4), "float64"), (2, 3)),
        ),
    ]
    return nn.Sequential(layers, (4,))


def test_trainable_names_the_float_leaves():
    flat = encoded().trainable()
    assert {name: array.shape for name, array in flat.items()} == {
        "fc1.weight/codebook": (1, 4, 2),
        "fc1.bias": (3,),
        "fc2.weight/values": (4,),
    }
    assert encoded().n_parameters == 12 + 3 + 6  # of the decoded arrays


@given(st.integers(0, 2**32))
def test_gradients_through_encodings_equal_central_differences(seed):
    rng = np.random.default_rng(seed)
    model, x = encoded(), rng.uniform(-1, 1, (3, 4))
    y, tape = model.forward(x)
    R = rng.uniform(-1, 1, y.shape)
    flat = model.gradients(model.backward(R, tape)[1])
    arrays = model.trainable()
    assert {k: g.shape for k, g in flat.items()} == {k: a.shape for k, a in arrays.items()}
    for name, array in arrays.items():
        for index in np.ndindex(array.shape):
            check(
                flat[name],
                lambda moved, name=name: loss(model.with_trainable({name: moved}), x, R, False),
                array,
                index,
            )


def test_with_trainable_keeps_structure_dtype_and_original():
    model = encoded()
    flat = model.trainable()
    new = model.with_trainable({name: array + 1 for name, array in flat.items()})
    for name, array in new.trainable().items():
        assert np.array_equal(array, flat[name] + 1)
        assert np.array_equal(model.trainable()[name], flat[name])
    weight = new.parameters()["fc2.weight"].decode()
    assert weight[0, 1] == weight[1, 0] == 0  # what is pruned stays pruned
    single = nn.Sequential([nn.Linear(1, 1)], (1,))
    moved = single.with_trainable({"fc1.weight": np.array([[0.1]])})
    assert moved.parameters()["fc1.weight"].dtype == np.float32
    assert single.with_trainable(single.trainable()).parameters().keys() == {
        "fc1.weight",
        "fc1.bias",
    }


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ({"fc9.weight": np.zeros(1)}, RangeError, "no parameter 'fc9.weight'"),
        ({"fc1.weight": np.zeros((3, 4))}, RangeError, "'fc1.weight' is no flat array"),
        ({"fc1.bias/codes": np.zeros(3)}, RangeError, "'fc1.bias/codes' is no flat array"),
        ({"fc1.weight/codes": np.zeros((3, 2))}, ShapeError, "'codes' is no float leaf"),
        ({"fc1.weight/codebook": np.zeros(3)}, ShapeError, "codebook has shape"),
        ({"fc1.bias": np.zeros(4)}, ShapeError, "bias has shape"),
        ({"fc1.bias": np.full(3, np.inf)}, RangeError, r"bias\[0\] = inf"),
    ],
)
def test_with_trainable_errors(arrays, error, message):
    with pytest.raises(error, match=message):
        encoded().with_trainable(arrays)


def test_gradients_of_an_unknown_parameter():
    with pytest.raises(RangeError, match=r"no parameter .fc9"):
        encoded().gradients({"fc9.weight": np.zeros(1)})


def test_a_few_steps_of_descent_lower_the_loss():
    model = encoded()
    x, rng = np.random.default_rng(1).uniform(-1, 1, (20, 4)), np.random.default_rng(2)
    target = rng.uniform(-1, 1, (20, 2))
    losses = []
    for _ in range(30):
        y, tape = model.forward(x, training=True)
        losses.append(float(np.mean((y - target) ** 2)))
        flat = model.gradients(model.backward(2 * (y - target) / y.size, tape)[1])
        arrays = model.trainable()
        model = model.with_trainable({k: arrays[k] - 0.2 * g for k, g in flat.items()})
    assert losses[-1] < 0.8 * losses[0]
