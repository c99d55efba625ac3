"""Optimizers: they walk the parameters, remember apart, and leave the caller's arrays alone."""

import numpy as np
import pytest

from refq.core.errors import RangeError, ShapeError
from refq.numerics.descent import adam_step, sgd_step
from refq.training import SGD, Adam

ALL = [SGD(0.1, weight_decay=0.5), SGD(0.1, nesterov=True), Adam(0.1, weight_decay=0.5)]


def parameters(dtype=np.float64):
    rng = np.random.default_rng(0)
    shapes = {"w": (2, 3), "b": (3,), "s": ()}
    return {k: np.asarray(rng.standard_normal(s), dtype) for k, s in shapes.items()}


def test_sgd_takes_the_steps_of_the_rule():
    optimizer = SGD(0.5, momentum=0.25, nesterov=True, weight_decay=0.125)
    p, g = parameters(), parameters()
    state = optimizer.start(p)
    w, v = p["w"], np.zeros((2, 3))
    for factor in (1.0, 0.5):
        p, state = optimizer.step(p, g, state, factor)
        w, v = sgd_step(w, g["w"], v, 0.5 * factor, 0.25, True, 0.125)
    np.testing.assert_array_equal(p["w"], w)
    assert state.n_steps == 2


def test_adam_takes_the_steps_of_the_rule():
    optimizer = Adam(0.5, beta1=0.5, beta2=0.75, eps=0.1, weight_decay=0.25)
    p, g = parameters(), parameters()
    state = optimizer.start(p)
    w, m, v = p["w"], np.zeros((2, 3)), np.zeros((2, 3))
    for t, factor in ((1, 1.0), (2, 0.5), (3, 0.0)):
        p, state = optimizer.step(p, g, state, factor)
        w, m, v = adam_step(w, g["w"], m, v, t, 0.5 * factor, 0.5, 0.75, 0.1, 0.25)
    np.testing.assert_array_equal(p["w"], w)


@pytest.mark.parametrize("kind", [SGD, Adam])
@pytest.mark.parametrize("least", [0, 1, 2, 3])
def test_decay_touches_only_arrays_of_enough_axes(kind, least):
    p = parameters()
    zero = {k: np.zeros_like(a) for k, a in p.items()}
    optimizer = kind(0.5, weight_decay=0.5, decay_min_ndim=least)
    new, _ = optimizer.step(p, zero, optimizer.start(p))
    decayed = {k for k in p if not np.array_equal(new[k], p[k])}
    assert decayed == {k for k, a in p.items() if a.ndim >= least}


def test_vectors_are_not_decayed_by_default():
    assert (SGD(1).decay_min_ndim, Adam(1).decay_min_ndim) == (2, 2)


@pytest.mark.parametrize("optimizer", ALL, ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nothing_of_the_caller_changes(optimizer, dtype):
    p, g = parameters(dtype), parameters(dtype)
    state = optimizer.start(p)
    for array in [*p.values(), *g.values(), *(a for m in state.memory.values() for a in m)]:
        array.flags.writeable = False
    names = list(p), list(g)
    new, after = optimizer.step(p, g, state)
    again, _ = optimizer.step(p, g, state)
    assert names == (list(p), list(g))
    assert (state.n_steps, after.n_steps) == (0, 1)
    for k in p:
        assert isinstance(new[k], np.ndarray)
        assert (new[k].dtype, new[k].shape) == (dtype, p[k].shape)
        np.testing.assert_array_equal(new[k], again[k])  # no memory inside the optimizer
        assert not np.array_equal(new[k], p[k])


@pytest.mark.parametrize("optimizer", ALL, ids=repr)
def test_a_quadratic_is_minimized(optimizer):
    optimizer = type(optimizer)(0.05)
    p, target = {"w": np.array([[3.0, -2.0]])}, np.array([[1.0, 5.0]])
    state = optimizer.start(p)
    for _ in range(400):
        p, state = optimizer.step(p, {"w": 2 * (p["w"] - target)}, state)
    np.testing.assert_allclose(p["w"], target, atol=0.01)


def test_extra_gradients_are_not_looked_at():
    optimizer = SGD(0.1)
    p = parameters()
    new, _ = optimizer.step(p, {**parameters(), "more": np.ones(1)}, optimizer.start(p))
    assert list(new) == list(p)


def test_missing_and_misshapen_gradients_are_named():
    optimizer, p = Adam(0.1), parameters()
    state = optimizer.start(p)
    with pytest.raises(RangeError, match=r"trainable\['s'\] has no gradient"):
        optimizer.step(p, {"w": p["w"], "b": p["b"]}, state)
    with pytest.raises(
        ShapeError, match=r"gradients\['b'\] has shape \(1,\), the parameter \(3,\)"
    ):
        optimizer.step(p, {**p, "b": np.ones(1)}, state)
    with pytest.raises(RangeError, match=r"trainable\['new'\] has no memory"):
        optimizer.step({**p, "new": np.ones(1)}, {**p, "new": np.ones(1)}, state)


def test_float16_masters_are_refused():
    with pytest.raises(RangeError, match=r"trainable\['w'\] has dtype float16"):
        SGD(0.1).start({"w": np.ones(2, np.float16)})


@pytest.mark.parametrize(
    ("kind", "settings", "name"),
    [
        (SGD, {"learning_rate": 0.0}, "learning_rate"),
        (SGD, {"learning_rate": np.nan}, "learning_rate"),
        (SGD, {"learning_rate": 10**400}, "learning_rate"),
        (SGD, {"learning_rate": 1, "momentum": 1.0}, "momentum"),
        (SGD, {"learning_rate": 1, "momentum": -0.1}, "momentum"),
        (SGD, {"learning_rate": 1, "momentum": 0.0, "nesterov": True}, "momentum"),
        (SGD, {"learning_rate": 1, "nesterov": 1}, "nesterov"),
        (SGD, {"learning_rate": 1, "weight_decay": -1}, "weight_decay"),
        (SGD, {"learning_rate": 1, "decay_min_ndim": 1.5}, "decay_min_ndim"),
        (Adam, {"learning_rate": -1}, "learning_rate"),
        (Adam, {"learning_rate": 1, "beta1": 1.0}, "beta1"),
        (Adam, {"learning_rate": 1, "beta2": 1.0}, "beta2"),
        (Adam, {"learning_rate": 1, "eps": 0.0}, "eps"),
        (Adam, {"learning_rate": 1, "weight_decay": np.inf}, "weight_decay"),
    ],
)
def test_settings_are_checked(kind, settings, name):
    with pytest.raises(RangeError, match=name):
        kind(**settings)


@pytest.mark.parametrize("factor", [-0.1, 1.5, np.nan])
def test_a_factor_outside_is_refused(factor):
    p = parameters()
    with pytest.raises(RangeError, match="learning_rate_factor"):
        SGD(0.1).step(p, p, SGD(0.1).start(p), factor)
