"""What a method inherits: the estimator contract."""

import numpy as np
import pytest

from refq.core.errors import DTypeError, NotFittedError, RangeError, ShapeError
from refq.encodings import METHODS, Cast, Method, dense
from refq.encodings.legal import AnyOf, Nothing, Of, Whole


class _Recorder(Method):
    """Keeps what `_learn` was given; private, so it is no method of refq's."""

    parameters = {"depth": Whole(0, 9), "inner": AnyOf(Of(Method), Nothing())}

    def __init__(self, depth=1, inner=Cast("float32"), table=None):  # noqa: B008
        self.depth = depth
        self.inner = inner
        self.table = table

    @classmethod
    def examples(cls):
        return [cls()]

    def _learn(self, W, y, inputs, gradients):
        self.seen_ = (W, y, inputs, gradients)

    def _encode(self, W):
        return dense(self._same_shape(W), "float64")


class _Needy(_Recorder):
    needs = frozenset({"inputs", "y"})


class _Plain(_Recorder):
    parameters = {}
    __init__ = object.__init__


def test_private_methods_are_not_listed():
    assert "Cast" in METHODS
    assert not any(name.startswith("_") for name in METHODS)


def test_fit_checks_widens_and_returns_self():
    m = _Recorder()
    W = np.ones((2, 3), np.float16)
    assert m.fit(W) is m
    assert m.seen_[0].dtype == np.float32
    assert m.fitted_shape_ == (2, 3)
    m.fit(np.ones((2, 2), np.int64), [0, 1], inputs=[[1, 2]], gradients=np.ones((2, 2), np.int8))
    assert [a.dtype.kind for a in m.seen_] == ["f", "i", "f", "f"]


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"W": [np.nan]}, RangeError, r"W\[0\] = nan must be finite"),
        ({"W": ["a"]}, DTypeError, "W has dtype"),
        ({"W": [[1], [1, 2]]}, ShapeError, "W is no array"),
        ({"W": [1.0], "y": [np.inf]}, RangeError, r"y\[0\] = inf"),
        ({"W": [1.0], "inputs": [[np.nan]]}, RangeError, r"inputs\[0, 0\] = nan"),
        ({"W": [1.0], "gradients": [np.inf]}, RangeError, r"gradients\[0\] = inf"),
        ({"W": [1.0], "gradients": [1.0, 2.0]}, ShapeError, r"gradients has shape \(2,\); W has"),
    ],
)
def test_what_fit_refuses(given, kind, message):
    with pytest.raises(kind, match=message):
        _Recorder().fit(**given)


def test_parameters_are_checked_on_fit_not_before():
    m = _Recorder(depth=10)
    with pytest.raises(RangeError, match=r"depth = 10 must be an integer in \[0, 9\]"):
        m.fit([1.0])
    with pytest.raises(RangeError, match="inner = 3 must be a Method, or None"):
        _Recorder(inner=3).fit([1.0])


def test_what_is_needed_is_asked_for():
    with pytest.raises(RangeError, match=r"_Needy.fit needs inputs=, which is None"):
        _Needy().fit([1.0], [0])
    with pytest.raises(RangeError, match=r"_Needy.fit needs y=, which is None"):
        _Needy().fit([1.0], inputs=[[1.0]])
    assert _Needy().fit([1.0], [0], inputs=[[1.0]]).seen_[1].tolist() == [0]


def test_encode_needs_fit_and_finite_numbers():
    with pytest.raises(NotFittedError, match="_Recorder is not fitted: call fit"):
        _Recorder().encode([1.0])
    m = _Recorder().fit([1.0])
    with pytest.raises(RangeError, match=r"W\[0\] = inf"):
        m.encode([np.inf])
    with pytest.raises(ShapeError, match=r"W has shape \(2,\); _Recorder was fitted to \(1,\)"):
        m.encode([1.0, 2.0])
    assert m.fit_encode([4.0]).decode().tolist() == [4.0]
    assert m.error_bound(np.ones(1), m.encode([1.0])) is None


def test_get_params_reaches_into_methods():
    m = _Recorder(2)
    assert m.get_params() == {
        "depth": 2,
        "inner": m.inner,
        "table": None,
        "inner__format": "float32",
    }
    assert list(m.get_params(deep=False)) == ["depth", "inner", "table"]
    assert _Plain().get_params() == {}
    assert repr(_Plain()) == "_Plain()"
    assert isinstance(_Plain().clone(), _Plain)


def test_set_params_leaves_shared_defaults_alone():
    m = _Recorder()
    shared = m.inner
    assert m.set_params(inner__format="float16", depth=3) is m
    assert (m.depth, m.inner.format) == (3, "float16")
    assert shared.format == "float32"
    assert _Recorder().inner.format == "float32"


def test_set_params_sets_a_method_before_what_is_inside_it():
    m = _Recorder().set_params(inner__format="float16", inner=Cast("float64"))
    assert m.inner.format == "float16"


@pytest.mark.parametrize(
    "bad", [{"width": 1}, {"inner__bits": 1}, {"depth__x": 1}, {"depth": 5, "z": 1}]
)
def test_an_unknown_parameter_changes_nothing(bad):
    m = _Recorder()
    with pytest.raises(RangeError, match=r"_Recorder has no parameter .*; it has \['depth'"):
        m.set_params(**bad)
    assert repr(m) == "_Recorder()"


def test_repr_evaluates_back_and_shows_what_differs():
    m = _Recorder(depth=4, inner=Cast("float16"))
    assert repr(m) == "_Recorder(depth=4, inner=Cast())"
    assert repr(_Recorder(1, Cast("float32"))) == "_Recorder()"
    assert repr(eval(repr(m))) == repr(m)
    assert repr(_Recorder(depth=True)) == "_Recorder(depth=True)"
    table = np.zeros(2)
    assert "table=array" in repr(_Recorder(table=table))


def test_clone_is_unfitted_and_deep():
    m = _Recorder(3, Cast("float16")).fit([1.0])
    twin = m.clone()
    assert repr(twin) == repr(m)
    assert twin.inner is not m.inner
    assert not hasattr(twin, "fitted_shape_")


@pytest.mark.parametrize("m", [_Recorder(3, Cast("float16")), Cast("float64"), _Plain()], ids=repr)
def test_sklearn_clones(m):
    from sklearn.base import clone

    m.fit([1.0])
    twin = clone(m)
    assert type(twin) is type(m)
    assert repr(twin) == repr(m)
    assert not hasattr(twin, "fitted_shape_")


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_keeps_the_contract(name):
    """`__init__` only stores; every parameter has legal values; examples read back from repr."""
    for m in METHODS[name].examples():
        assert isinstance(m, METHODS[name])
        params = m.get_params(deep=False)
        assert set(vars(m)) == set(params)
        assert set(m.parameters) <= set(params)
        m.check_parameters()
        twin = m.clone()
        assert repr(twin) == repr(m)
        assert m.needs <= {"y", "inputs", "gradients"}
