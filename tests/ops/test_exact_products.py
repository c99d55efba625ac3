"""Correctly rounded products against fractions; the bound of every order on adversarial sums."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.conformance.texts.onnx_quantization import round_to_float
from refq.core.errors import RangeError, ShapeError
from refq.ops import accumulation_bound, exact_matmul, matmul_in_order, nearest_matmul
from refq.ops.exact_products import ORDERS

F = np.float32
#: numbers that cancel, absorb each other, make ties of float32, or underflow
HARD = [1.0, -1.0, 2.0**24, -(2.0**24), 2.0**-24, 1 + 2.0**-23, 1e30, -1e30, 1 / 3, 2.0**-80, 0.0]
NUMBER = st.sampled_from(HARD) | st.floats(-1e6, 1e6, width=32).filter(
    lambda v: v == 0 or abs(v) > 1e-30
)


@st.composite
def rows(draw, largest=9):
    k = draw(st.integers(1, largest))
    pick = st.lists(NUMBER, min_size=k, max_size=k)
    return np.array([draw(pick), draw(pick)], F), np.array([draw(pick)], F)


def dot(p, q):
    return sum((Fraction(float(x)) * Fraction(float(y)) for x, y in zip(p, q, strict=True)), 0)


def single(value):
    """The float32 nearest to a fraction; the text's zero has no sign."""
    return F(float(round_to_float(Fraction(value), "float32")))


@given(rows())
def test_exact_and_nearest(pair):
    a, b = pair
    exact, nearest = exact_matmul(a, b), nearest_matmul(a, b)
    for i in range(2):
        assert exact[i, 0] == dot(a[i], b[0])
        assert nearest[i, 0] == single(exact[i, 0])
    assert nearest.dtype == np.float32


@given(st.integers(0, 2**24 - 1), st.integers(-170, 100), st.sampled_from([-1, 0, 1]))
def test_ties_of_float32_are_decided_exactly(n, exponent, hair):
    # n + 1/2 in units of the last place, and a hair that no float64 sum sees
    unit = 2.0**exponent
    terms = [n * unit, 0.5 * unit, hair * unit * 2.0**-60]
    got = nearest_matmul([terms], [[1.0, 1.0, 1.0]]).item()
    assert got == single(sum(Fraction(t) for t in terms))


def test_what_exceeds_float32_is_infinite():
    top = float(np.finfo(F).max)
    half = 2.0**103
    assert nearest_matmul([[top, half]], [[1.0, 1.0]]).item() == np.inf
    assert nearest_matmul([[-top, -half]], [[1.0, 1.0]]).item() == -np.inf
    assert nearest_matmul([[top, half, -1.0]], [[1.0, 1.0, 1.0]]).item() == top
    assert not np.signbit(nearest_matmul([[1.0, -1.0]], [[1.0, 1.0]])).any()
    assert nearest_matmul(np.zeros((2, 0)), np.zeros((3, 0))).tolist() == [[0.0] * 3] * 2


def test_a_large_product_is_correctly_rounded():
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((40, 300)).astype(F) for _ in range(2))
    nearest, exact = nearest_matmul(a, b), exact_matmul(a, b)
    want = [[single(v) for v in row] for row in exact]
    np.testing.assert_array_equal(nearest, np.array(want))
    assert (nearest != a @ b.T).any()  # so the test could fail


@given(rows(40), st.sampled_from(ORDERS), st.integers(1, 9))
def test_every_order_stays_within_its_bound(pair, order, size):
    a, b = pair
    computed = matmul_in_order(a, b, order, block_size=size)
    bound = accumulation_bound(a, b, order, block_size=size)
    exact = exact_matmul(a, b)
    for i in range(2):
        if np.isfinite(computed[i, 0]):
            error = abs(Fraction(float(computed[i, 0])) - exact[i, 0])
            assert error <= Fraction(float(bound[i, 0]))


def test_an_adversary_comes_close_to_the_sequential_bound():
    # every addition loses almost half a unit of the growing sum
    k = 200
    a = np.full((1, k), 1 + 2.0**-23, F)
    a[0, 0] = 2.0**24
    b = np.ones((1, k), F)
    error = abs(Fraction(float(matmul_in_order(a, b).item())) - exact_matmul(a, b)[0, 0])
    bounds = [accumulation_bound(a, b, order).item() for order in ORDERS]
    assert 0.9 * bounds[0] < error * k / (k - 1) <= bounds[0]
    assert bounds[1] < bounds[2] < bounds[0]
    pairwise = matmul_in_order(a, b, "pairwise").item()
    assert abs(Fraction(pairwise) - exact_matmul(a, b)[0, 0]) <= bounds[1]


def test_products_that_underflow_are_in_the_bound():
    a = b = np.full((1, 3), 2.0**-75, F)  # products of 2^-150 round to zero, ties to even
    assert matmul_in_order(a, b).item() == 0
    bound = Fraction(accumulation_bound(a, b).item())
    assert exact_matmul(a, b)[0, 0] == Fraction(3, 2**150) <= bound


def test_roundings_of_operands_widen_the_bound():
    rng = np.random.default_rng(1)
    weights = rng.integers(-8, 8, (5, 64)) * rng.random((5, 1))  # exact in float64
    a = rng.standard_normal((3, 64)).astype(F)
    computed = matmul_in_order(a, weights.astype(F), "pairwise")
    exact = exact_matmul(a, weights)
    bound = accumulation_bound(a, weights, "pairwise", operand_roundings=1)
    error = np.array([[abs(Fraction(float(c)) - e) for c, e in zip(p, q, strict=True)]
                      for p, q in zip(computed, exact, strict=True)])  # fmt: skip
    assert (error <= bound).all()
    assert (bound > accumulation_bound(a, weights, "pairwise")).all()


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: nearest_matmul([1.0], [[1.0]]), ShapeError, "are needed"),
        (lambda: nearest_matmul([[1.0]], [[1.0, 2.0]]), ShapeError, "are needed"),
        (lambda: nearest_matmul([[np.nan]], [[1.0]]), RangeError, "a\\[0, 0\\] = nan"),
        (lambda: exact_matmul([[1e200]], [[1.0]]), RangeError, "beyond 2\\^400"),
        (lambda: accumulation_bound([[1.0]], [[1.0]], "random"), RangeError, "order"),
        (lambda: matmul_in_order([[1.0]], [[1.0]], "blocked", block_size=0), RangeError, "block"),
    ],
)
def test_refusals(call, error, says):
    with pytest.raises(error, match=says):
        call()
