from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import RangeError
from refq.core.float_requantize import FloatRequantize

ORDERS = ("quotient", "reciprocal", "in_turn", "in_turn_divided")
SCALES = st.floats(2**-10, 8, width=32).map(np.float32)


def rule(order, **fields):
    return FloatRequantize(order=order, bias="added" if "turn" in order else "divided", **fields)


def f(value):
    """Return a real number rounded to float32, as a fraction; float64 holds it exactly."""
    assert Fraction(float(value)) == value
    return Fraction(float(np.float32(float(value))))


def quotient(a, b):
    """Return the float32 nearest to a / b, by comparing the candidates exactly."""
    exact = a / b
    guess = np.float32(float(exact))
    near = [np.nextafter(guess, np.float32(d)) for d in (-np.inf, np.inf)] + [guess]
    distances = sorted((abs(Fraction(float(c)) - exact), i) for i, c in enumerate(near))
    assert distances[0][0] != distances[1][0]  # a quotient of floats is never a tie
    return Fraction(float(near[distances[0][1]]))


def expected(order, acc, a, b, y, z):
    a, b, y = (Fraction(float(s)) for s in (a, b, y))
    inverse = quotient(Fraction(1), y)
    if order == "quotient":
        return round(f(acc * quotient(f(a * b), y))) + z
    if order == "reciprocal":
        return round(f(acc * f(f(a * b) * inverse))) + z
    scaled = f(f(acc * a) * b)
    level = f(scaled * inverse) if order == "in_turn" else quotient(scaled, y)
    return round(f(level + z)) if abs(level) < 2**24 else None


@given(st.sampled_from(ORDERS), st.integers(-5000, 5000), SCALES, SCALES, SCALES, st.integers(0, 9))
def test_orders_by_fractions(order, acc, a, b, y, z):
    want = expected(order, Fraction(acc), a, b, y, z)
    if want is None:
        return
    M = rule(order).multiplier(a, b, y)
    got = rule(order).apply(np.array([acc]), M, z, -(1 << 31), (1 << 31) - 1, np.int32)
    assert got.tolist() == [want]


def test_orders_differ_on_ties():
    a, b = np.float32(0.7), np.float32(1)
    answers = {}
    for order in ORDERS:
        answers[order] = []
        for acc, y, z in ((5, 3, 0), (3, 0.2, 1), (1, 0.2, 1)):
            scale = np.float32(0.3) if y == 3 else a
            M = rule(order).multiplier(scale, b, np.float32(y))
            answers[order] += rule(order).apply(np.array([acc]), M, z, 0, 255, np.uint8).tolist()
    assert answers["quotient"] != answers["reciprocal"]
    assert answers["in_turn"] != answers["in_turn_divided"]
    assert answers["reciprocal"] != answers["in_turn"]


def test_inverted_scales_are_rounded_twice():
    one, a = np.float32(1), np.float32(1.75)
    assert one / (one / a) != a
    given_, inverted = (rule("in_turn", scales=s) for s in ("as_given", "inverted"))
    half = np.float32(0.5)
    found = [
        r.apply(np.array([1]), r.multiplier(a, one, half), 0, 0, 255, np.uint8).tolist()
        for r in (given_, inverted)
    ]
    assert found == [[4], [3]]  # 3.5 goes to 4, what is just below it to 3


def test_overflow():
    acc = np.array([1 << 30, -(1 << 30), 3])
    for conversion, want in (("saturate", [255, 0, 255]), ("int32", [0, 0, 255])):
        r = rule("quotient", conversion=conversion)
        M = r.multiplier(np.float32(100), np.float32(1), np.float32(1))
        assert r.apply(acc, M, 7, 0, 255, np.uint8).tolist() == want


def test_biases():
    one, half = np.float32(1), np.float32(0.5)
    acc, bias = np.array([[10, 10]]), np.float32([1.25, 1.75])
    for r, want in (
        (FloatRequantize(bias="int32"), [[12, 14]]),  # 2.5 and 3.5 codes, ties to even
        (FloatRequantize(bias="divided"), [[12, 14]]),  # 12.5 and 13.5 at last
        (rule("in_turn"), [[12, 14]]),
    ):
        M = r.multiplier(half, one, half, bias=bias)
        assert r.apply(acc, M, 0, 0, 255, np.uint8).tolist() == want
    doubled = FloatRequantize(bias="int32")
    M = doubled.multiplier(half, one, np.float32(0.25), bias=bias)
    assert doubled.apply(acc, M, 0, 0, 255, np.uint8).tolist() == [[24, 28]]
    kept = FloatRequantize(bias="divided")
    M = kept.multiplier(half, one, np.float32(0.25), bias=bias)
    assert kept.apply(acc, M, 0, 0, 255, np.uint8).tolist() == [[25, 27]]


def test_an_int32_bias_wraps():
    r = FloatRequantize(bias="int32")
    M = r.multiplier(np.float32(1), np.float32(1), np.float32(1 << 24), bias=np.float32([2.0**30]))
    got = r.apply(np.array([[1 << 30]]), M, 0, -128, 127, np.int8)
    assert got.tolist() == [[-128]]


def test_one_number_is_a_multiplier_too():
    for order in ORDERS:
        got = rule(order).apply(np.array([3]), np.float32(0.5), 1, 0, 255, np.uint8)
        assert got.tolist() == [3 if "turn" not in order else 2]


@pytest.mark.parametrize(
    "fields",
    [{"kind": "exact"}, {"order": "backwards"}, {"bias": "added"}, {"scales": "none"},
     {"order": "in_turn", "bias": "int32"}, {"conversion": "wrap"}],
)  # fmt: skip
def test_unknown_fields_are_refused(fields):
    with pytest.raises(RangeError):
        FloatRequantize(**fields)


def test_a_multiplier_that_vanishes_is_refused():
    tiny = np.float32(1e-30)
    with pytest.raises(RangeError, match="finite and > 0"):
        FloatRequantize().multiplier(tiny, tiny, np.float32(1))
