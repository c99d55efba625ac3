"""Saliencies against exact arithmetic."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import RangeError, ShapeError
from refq.pruning import saliency, unit_saliency

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.lists(st.tuples(FLOATS, FLOATS), min_size=1, max_size=6))
def test_a_weight_by_magnitude_and_by_gradient_exactly(pairs):
    w, g = (np.array(column, np.float32) for column in zip(*pairs, strict=True))
    assert saliency(w).dtype == np.float64
    assert saliency(w).tolist() == [abs(float(v)) for v in w]
    got = saliency(w, g, "gradient")
    want = [abs(Fraction(float(a)) * Fraction(float(b))) for a, b in zip(w, g, strict=True)]
    assert [Fraction(v) for v in got.tolist()] == want  # 48 bits and 300 binades fit float64


def test_products_past_float64_are_an_error():
    with pytest.raises(RangeError, match=r"saliency\[0\]"):
        saliency([1e200], [1e200], "gradient")
    assert saliency([1e-200], [1e-200], "gradient").tolist() == [0.0]


def test_gradients_must_be_there_and_fit():
    with pytest.raises(RangeError, match="gradients"):
        saliency([1.0], None, "gradient")
    with pytest.raises(ShapeError, match="gradients"):
        saliency([1.0], [1.0, 2.0], "gradient")
    with pytest.raises(RangeError, match="kind"):
        saliency([1.0], None, "l1")


@given(st.lists(st.lists(FLOATS, min_size=3, max_size=3), min_size=1, max_size=4))
def test_l1_and_linf_are_exact(rows):
    W = np.array(rows, np.float32)
    exact = [sum(abs(Fraction(v)) for v in row) for row in W.tolist()]
    assert unit_saliency(W, kind="l1").tolist() == [float(v) for v in exact]
    assert unit_saliency(W, kind="linf").tolist() == [max(map(abs, row)) for row in W.tolist()]


@given(st.lists(st.integers(-(2**24), 2**24), min_size=1, max_size=8), st.integers(-100, 100))
def test_l2_is_the_rounded_root_of_the_rounded_sum(integers, exponent):
    W = np.ldexp(np.array([integers], float), exponent).astype(np.float32)
    squares = sum(i * i for i in integers)
    want = math.ldexp(math.sqrt(squares), exponent)
    assert unit_saliency(W, kind="l2").tolist() == [want]


@given(
    row=st.lists(FLOATS, min_size=2, max_size=20),
    seed=st.integers(0, 99),
    kind=st.sampled_from(["l1", "l2", "linf"]),
)
def test_the_order_and_the_signs_inside_a_unit_do_not_matter(row, seed, kind):
    W = np.array(row, np.float32)
    rng = np.random.default_rng(seed)
    other = rng.permutation(W) * rng.choice([-1, 1], W.size).astype(np.float32)
    a, b = unit_saliency(np.stack([W, other]), kind=kind)
    assert a == b


def test_small_terms_are_not_lost_beside_a_large_one():
    W = [[1.0, 2.0**-53, 2.0**-53], [2.0**-53, 2.0**-53, 1.0]]
    assert unit_saliency(W, kind="l1").tolist() == [1 + 2.0**-52] * 2
    W = [[1.0] + [2.0**-27] * 8, [2.0**-27] * 8 + [1.0]]  # squares: 1, and eight of 2^-54
    assert unit_saliency(W, kind="l2").tolist() == [math.sqrt(1 + 2.0**-51)] * 2


def test_large_and_small_numbers_keep_their_order():
    W = [[3e200, 4e200], [3e-200, 4e-200], [0.0, 0.0], [6e-200, 8e-200]]
    got = unit_saliency(W, kind="l2")
    assert np.allclose(got, [5e200, 5e-200, 0, 1e-199], rtol=1e-15, atol=0)
    assert np.allclose(
        unit_saliency(W, kind="l1"), [7e200, 7e-200, 0, 1.4e-199], rtol=1e-15, atol=0
    )


def test_a_norm_past_float64_is_an_error():
    with pytest.raises(RangeError, match=r"saliency\[1\]"):
        unit_saliency([[1.0, 1.0], [1.7e308, 1.7e308]], kind="l1")


@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1, -4])
@pytest.mark.parametrize("kind", ["l1", "l2", "linf"])
def test_units_along_any_axis(axis, kind):
    W = np.random.default_rng(0).integers(-9, 10, (4, 3, 2, 5)).astype(np.float32)
    order = {"l1": 1, "l2": 2, "linf": np.inf}[kind]
    units = [W.take(i, axis).ravel().astype(float) for i in range(W.shape[axis])]
    want = [np.linalg.norm(u, order) for u in units]
    assert np.allclose(unit_saliency(W, axis, kind), want, rtol=1e-15, atol=0)


def test_random_is_an_order_and_follows_the_seed():
    W = np.ones((50, 2))
    first = unit_saliency(W, kind="random", random_state=3)
    assert sorted(first.tolist()) == list(range(50))
    assert (first == unit_saliency(W, kind="random", random_state=3)).all()
    assert (first != unit_saliency(W, kind="random", random_state=4)).any()


@pytest.mark.parametrize("kind", ["l1", "l2", "linf", "random"])
@pytest.mark.parametrize(
    ("W", "axis", "error"),
    [
        (1.0, 0, ShapeError),
        ([[1.0]], 2, ShapeError),
        ([[1.0]], 0.5, ShapeError),
        (np.ones((0, 3)), 0, ShapeError),
        (np.ones((3, 0)), 0, ShapeError),
        ([[float("nan")]], 0, RangeError),
        ([[float("inf")]], 0, RangeError),
    ],
)
def test_errors(kind, W, axis, error):
    with pytest.raises(error):
        unit_saliency(W, axis, kind, 0)


def test_unknown_kinds():
    with pytest.raises(RangeError, match="kind"):
        unit_saliency([[1.0]], kind="l3")
