"""FilterPruner: whole units, exact counts, shapes that can be quantized per filter."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import NotFittedError, RangeError, ShapeError
from refq.encodings import Cast, Encoding, Method, ScaledEncoding, dense
from refq.pruning import FilterPruner


@pytest.mark.parametrize("n", range(1, 11))
@pytest.mark.parametrize("kind", ["l1", "l2", "linf", "random"])
def test_k_of_n_units_are_pruned(n, kind):
    W = np.random.default_rng(n).standard_normal((n, 3)).astype(np.float32)
    for k in range(n):
        method = FilterPruner(sparsity=k / n, saliency=kind, random_state=0).fit(W)
        y = method.encode(W).decode()
        gone = ~y.any(axis=1)
        assert gone.sum() == k
        assert (y[~gone] == W[~gone]).all()
        assert (gone == ~method.mask_[:, 0]).all()


@given(
    rows=st.lists(st.lists(st.integers(-3, 3), min_size=2, max_size=2), min_size=1, max_size=8),
    data=st.data(),
)
def test_l2_has_the_least_error_of_its_size(rows, data):
    k = data.draw(st.integers(0, len(rows) - 1))
    W = np.array(rows, np.float32)
    y = FilterPruner(sparsity=k / len(rows)).fit_encode(W).decode()
    squares = [sum(v * v for v in row) for row in rows]
    assert ((W - y) ** 2).sum() == min(sum(c) for c in itertools.combinations(squares, k))


@given(
    rows=st.lists(st.lists(st.integers(-3, 3), min_size=2, max_size=2), min_size=1, max_size=8),
    kind=st.sampled_from(["l1", "l2", "linf"]),
    data=st.data(),
)
def test_the_kept_units_are_the_largest_and_the_first_of_ties(rows, kind, data):
    k = data.draw(st.integers(0, len(rows) - 1))
    measure = {
        "l1": lambda r: sum(map(abs, r)),
        "l2": lambda r: sum(v * v for v in r),
        "linf": lambda r: max(map(abs, r)),
    }[kind]
    order = sorted(range(len(rows)), key=lambda i: (-measure(rows[i]), i))
    method = FilterPruner(sparsity=k / len(rows), saliency=kind).fit(np.array(rows, float))
    assert np.flatnonzero(method.mask_).tolist() == sorted(order[: len(rows) - k])


def test_norms_disagree():
    W = np.array([[3.0, 0.0, 0.0, 0.0], [1.6, 1.6, 0.0, 0.0], [1.0, 1.0, 1.0, 0.9]])
    kept = {
        kind: int(np.flatnonzero(FilterPruner(0.7, kind).fit(W).mask_)[0])
        for kind in ("l1", "l2", "linf")
    }
    assert kept == {"l1": 2, "l2": 0, "linf": 0}


@pytest.mark.parametrize(
    ("shape", "axis", "mask_shape", "values_shape"),
    [
        ((8, 3, 5, 5), 0, (8, 1, 1, 1), (4, 3, 5, 5)),
        ((8, 3, 5, 5), 1, (1, 3, 1, 1), (8, 2, 5, 5)),
        ((8, 2, 3, 3), 0, (8, 1, 1, 1), (4, 2, 3, 3)),  # four groups: (out, in / groups, h, w)
        ((8, 1, 3, 3), 0, (8, 1, 1, 1), (4, 1, 3, 3)),  # depthwise
        ((6, 4), 0, (6, 1), (3, 4)),
        ((6, 4), -1, (1, 4), (6, 2)),
        ((5,), 0, (5,), (3,)),
        ((1, 7), 0, (1, 1), (1, 7)),
    ],
)
def test_shapes(shape, axis, mask_shape, values_shape):
    W = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    method = FilterPruner(axis=axis).fit(W)
    e = method.encode(W)
    assert method.mask_.shape == e.mask.shape == mask_shape
    assert method.saliency_.shape == (shape[axis],)
    assert e.values.shape == values_shape
    assert e.stored_bits == shape[axis] + 32 * int(np.prod(values_shape))
    assert (e.decode() == np.where(method.mask_, W, 0)).all()
    back = Encoding.from_bytes(e.to_bytes())
    assert back.decode().tobytes() == e.decode().tobytes()


class _PerFilter(Method):
    """One scale a filter: a stand-in for a scalar quantizer."""

    @classmethod
    def examples(cls):
        return [cls()]

    def _learn(self, W, y, inputs, gradients):
        self.scale_ = np.abs(W).max(axis=(1, 2, 3), keepdims=True) / 7

    def _encode(self, W):
        codes = np.rint(W / self.scale_).astype(int)
        return ScaledEncoding(
            dense(codes, "int4"), dense(self.scale_, "float32"), (1, *W.shape[1:])
        )

    def error_bound(self, W, encoding):
        return 0.51 * self.scale_


def test_kept_filters_are_quantized_per_filter():
    W = np.random.default_rng(0).standard_normal((8, 3, 2, 2)).astype(np.float32)
    method = FilterPruner(sparsity=0.75, value_method=_PerFilter()).fit(W)
    e = method.encode(W)
    assert e.values.scale.shape == (2, 1, 1, 1)
    assert e.stored_bits == 8 + 2 * 32 + 2 * 12 * 4
    bound = method.error_bound(W, e)
    assert (np.abs(W - e.decode()) <= bound).all()
    pruned = ~method.mask_.reshape(-1)
    assert (bound[pruned] == np.abs(W[pruned])).all()
    kept = np.broadcast_to(0.51 * method.value_method_.scale_, (2, 3, 2, 2))
    assert (bound[~pruned] == kept.astype(np.float64)).all()


@pytest.mark.parametrize("method", FilterPruner.examples(), ids=repr)
def test_coding_what_was_decoded_gives_the_same_bytes(method):
    W = np.random.default_rng(0).standard_normal((12, 16))
    fitted = method.clone().fit(W)
    e = fitted.encode(W)
    assert fitted.encode(e.decode()).to_bytes() == e.to_bytes()


def test_random_follows_the_seed_and_leaves_a_seed_alone():
    W = np.ones((40, 2))
    masks = [FilterPruner(saliency="random", random_state=s).fit(W).mask_ for s in (0, 0, 1)]
    assert (masks[0] == masks[1]).all()
    assert (masks[0] != masks[2]).any()
    generator = np.random.default_rng(0)
    FilterPruner(saliency="l2", random_state=generator).fit(W)
    assert generator.random() == np.random.default_rng(0).random()  # norms draw nothing


def test_the_mask_is_held_for_a_retrained_weight():
    W = np.diag([4.0, 3.0, 2.0, 1.0])
    assert FilterPruner().fit(W).encode(W[::-1]).decode().tolist() == [
        [0, 0, 0, 1],
        [0, 0, 2, 0],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
    ]


def test_every_layout_gives_the_same_bits():
    W = np.random.default_rng(1).standard_normal((5, 6)).astype(np.float32)
    want = FilterPruner().fit_encode(W).to_bytes()
    twice = np.repeat(np.repeat(W, 2, 0), 2, 1)
    frozen = W.copy()
    frozen.flags.writeable = False
    for layout in (
        np.asfortranarray(W),
        W[::-1, ::-1].copy()[::-1, ::-1],
        twice[::2, ::2],
        frozen,
        W.astype(W.dtype.newbyteorder()),
    ):
        assert FilterPruner().fit_encode(layout).to_bytes() == want


def test_defaults_are_not_shared_state():
    FilterPruner().set_params(value_method__format="float64")
    assert FilterPruner().value_method.format == "float32"
    assert FilterPruner(value_method=Cast()).clone().value_method.format == "float16"


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"sparsity": -0.1}, RangeError),
        ({"sparsity": 1.0}, RangeError),
        ({"sparsity": float("nan")}, RangeError),
        ({"sparsity": None}, RangeError),
        ({"saliency": "magnitude"}, RangeError),
        ({"axis": 2}, ShapeError),
        ({"axis": -3}, ShapeError),
        ({"axis": 0.0}, RangeError),
        ({"value_method": "float16"}, RangeError),
        ({"random_state": -1}, RangeError),
    ],
)
def test_parameters_that_are_not_legal(params, error):
    with pytest.raises(error):
        FilterPruner(**params).fit(np.ones((4, 2)))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite(bad):
    with pytest.raises(RangeError, match=r"W\[1, 0\]"):
        FilterPruner().fit([[1.0], [bad]])


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (3, 0)])
def test_arrays_without_units(shape):
    with pytest.raises(ShapeError):
        FilterPruner().fit(np.ones(shape))


def test_encode_needs_the_fitted_shape():
    with pytest.raises(NotFittedError):
        FilterPruner().encode([1.0])
    with pytest.raises(ShapeError):
        FilterPruner().fit([1.0, 2.0]).encode([1.0, 2.0, 3.0])
