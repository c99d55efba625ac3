"""Folding against the unfolded model, within the bound of its docstring."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq import nn
from refq.core.errors import RangeError
from refq.encodings import Cast, dense
from refq.passes import compress, fold_batchnorm


def drawn_norm(n, rng, dtype=np.float64):
    return nn.BatchNorm(
        n,
        weight=rng.standard_normal(n).astype(dtype),
        bias=rng.standard_normal(n).astype(dtype),
        running_mean=rng.standard_normal(n).astype(dtype),
        running_var=rng.random(n).astype(dtype) * 4,
    )


def absolute(layer):
    """Return the layer with the magnitudes of its tensors: its output bounds sums of terms."""
    if isinstance(layer, nn.BatchNorm):
        means = -np.abs(layer.running_mean)  # subtracted, so that it adds up
        new = {k: np.abs(getattr(layer, k)) for k in ("weight", "bias")}
        return layer.replace(**new, running_mean=means)
    return layer.replace(**{k: np.abs(t) for k, t in layer.parameters().items()})


@given(
    st.sampled_from(["conv", "grouped", "linear"]),
    st.booleans(),
    st.sampled_from([np.float32, np.float64]),
    st.integers(0, 2**32),
)
def test_equal_within_the_derived_bound(kind, bias, dtype, seed):
    rng = np.random.default_rng(seed)
    if kind == "linear":
        layer, shape = nn.Linear(5, 4, bias=bias), (5,)
    else:
        layer = nn.Conv2d(
            4, 4, 3, padding=1, stride=2, groups=2 if kind == "grouped" else 1, bias=bias
        )
        shape = (4, 5, 5)
    new = {k: rng.standard_normal(t.shape).astype(dtype) for k, t in layer.parameters().items()}
    layer, norm = layer.replace(**new), drawn_norm(4, rng, dtype)
    model = nn.Sequential([layer, norm, nn.ReLU()], shape)
    folded = fold_batchnorm(model)
    assert [n.name for n in folded.nodes][1:] == ["relu1"]
    assert folded.nodes[0].layer.weight.dtype == dtype
    x = rng.standard_normal((3, *shape)).astype(dtype)
    sizes = nn.Sequential([absolute(layer), absolute(norm)], shape).predict(
        np.abs(x).astype(np.float64)
    )
    # each side is within g(k + 8) S of the exact output, g(m) = m u / (1 - m u)
    m = (int(np.prod(layer.weight.shape[1:])) + 8) * float(np.finfo(dtype).eps) / 2
    error = np.abs(folded.predict(x).astype(np.float64) - model.predict(x))
    assert np.all(error <= 2 * m / (1 - m) * sizes)


def test_the_model_is_untouched_and_every_folded_layer_has_a_bias():
    rng = np.random.default_rng(0)
    layers = [nn.Conv2d(1, 2, 1, bias=False), drawn_norm(2, rng)]
    model = nn.Sequential(layers, (1, 2, 2)).initialize(0)
    before = {k: t.copy() for k, t in model.parameters().items()}
    folded = fold_batchnorm(model)
    assert folded.node("conv1").layer.bias is not None
    assert len(model.nodes) == 2
    assert model.node("conv1").layer.bias is None
    assert all(np.array_equal(before[k], t) for k, t in model.parameters().items())


def test_exact_numbers():
    norm = nn.BatchNorm(1, eps=1.0, weight=[6.0], bias=[0.5], running_mean=[2.0], running_var=[8.0])
    model = nn.Sequential([nn.Linear(1, 1, bias=[1.0], weight=[[3.0]]), norm], (1,))
    layer = fold_batchnorm(model).node("fc1").layer  # the gain is 6 / 3
    assert (layer.weight.item(), layer.bias.item()) == (6.0, -1.5)


def test_several_in_a_row_fold_one_after_the_other():
    rng = np.random.default_rng(1)
    model = nn.Sequential([nn.Linear(3, 2), drawn_norm(2, rng), drawn_norm(2, rng)], (3,))
    model = model.replace({"fc1.weight": rng.standard_normal((2, 3))})
    folded = fold_batchnorm(model)
    assert [n.name for n in folded.nodes] == ["fc1"]
    x = rng.standard_normal((4, 3))
    assert np.allclose(folded.predict(x), model.predict(x), rtol=1e-12, atol=1e-12)


def test_what_does_not_follow_a_weight_alone_is_left():
    names = ["bn0", "fc1", "relu1", "bn1", "fc2", "bn2", "sum"]
    nodes = [
        nn.Node("bn0", nn.BatchNorm(2), "input"),
        nn.Node("fc1", nn.Linear(2, 2), "bn0"),
        nn.Node("relu1", nn.ReLU(), "fc1"),
        nn.Node("bn1", nn.BatchNorm(2), "relu1"),
        nn.Node("fc2", nn.Linear(2, 2), "bn1"),
        nn.Node("bn2", nn.BatchNorm(2), "fc2"),
        nn.Node("sum", nn.Add(), ("fc2", "bn2")),
    ]
    model = nn.Model(nodes, (2,)).initialize(0)
    assert [n.name for n in fold_batchnorm(model).nodes] == names


def test_encodings_of_the_normalization_are_decoded_and_of_the_weight_refused():
    norm = nn.BatchNorm(
        2, weight=dense([2.0, 3.0], "float16"), running_var=dense([3.0, 8.0]), eps=1.0
    )
    model = nn.Sequential([nn.Linear(2, 2, weight=np.eye(2)), norm], (2,))
    weight = fold_batchnorm(model).node("fc1").layer.weight
    assert weight.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    with pytest.raises(RangeError, match=r"fc1\.weight is Dense.*fold the model before"):
        fold_batchnorm(compress(model, {"fc1": Cast()}))


def test_a_fold_that_overflows_is_refused_by_name():
    norm = nn.BatchNorm(1, weight=[1e30])
    model = nn.Sequential([nn.Linear(1, 1, weight=np.float32([[1e30]])), norm], (1,))
    with pytest.raises(RangeError, match=r"fc1\.weight, folded,\[0, 0\] = inf must be finite"):
        fold_batchnorm(model)
