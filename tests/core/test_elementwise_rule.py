"""The elementwise rules against the text, in fractions, on near ties."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refq.conformance.texts import elementwise as text
from refq.conformance.texts.onnx_quantization import round_to_float
from refq.core.elementwise_rule import ElementwiseRule, Float32Elementwise, Operand, Target
from refq.core.exact_exponentials import round_reciprocal_of_exponentials
from refq.core.exact_rounding import round_combination

F = np.float32
EXACT, FLOAT32 = ElementwiseRule(), Float32Elementwise()
DTYPE = st.sampled_from(["uint8", "int8", "int16"])
ULPS = st.sampled_from([0, 1, -1, 2])
RATIO = st.sampled_from([0.5, 0.25, 1.5, 1.0, 1 / 3])


@st.composite
def cases(draw, operands=2):
    """Operands whose sum, mean or product is near a tie: simple ratios, some ulps away."""
    dtype = draw(DTYPE)
    info = np.iinfo(dtype)
    y_scale = F(draw(st.sampled_from([1.0, 0.1, 1 / 3, 0.9])))
    code = st.sampled_from([0, 1, info.max, info.min]) | st.integers(info.min, info.max)
    found = []
    for _ in range(operands):
        scale = y_scale * F(draw(RATIO))
        for _ in range(abs(draw(ULPS))):
            scale = np.nextafter(scale, F(np.inf))
        codes = np.array(draw(st.lists(code, min_size=4, max_size=4)), dtype)
        found.append(Operand(codes, scale, draw(code)))
    y = Target(y_scale, draw(code), int(info.min), int(info.max), np.dtype(dtype))
    return *found, y


def frac(x):
    return Fraction(float(x))


def reals(x):
    return [text.real(int(q), frac(x.scale), x.zero_point) for q in x.codes]


def code(value, y):
    return text.code_of(value, frac(y.scale), y.zero_point, y.low, y.high)


@given(cases())
def test_add_and_multiply_are_rounded_once(case):
    a, b, y = case
    pairs = list(zip(reals(a), reals(b), strict=True))
    assert EXACT.add(a, b, y).tolist() == [code(p + q, y) for p, q in pairs]
    assert EXACT.multiply(a, b, y).tolist() == [code(p * q, y) for p, q in pairs]


@given(cases(1), st.sampled_from([0.25, 0.01, 1.0, -0.5]))
def test_rescale_and_leaky_relu(case, alpha):
    x, y = case
    slope = float(F(alpha))
    assert EXACT.rescale(x, y).tolist() == [code(v, y) for v in reals(x)]
    want = [code(text.leaky_relu(v, frac(slope)), y) for v in reals(x)]
    assert EXACT.leaky_relu(x, slope, y).tolist() == want


@given(cases(1), st.integers(1, 9))
def test_mean(case, count):
    x, y = case
    window = x._replace(codes=x.codes[None])
    want = code(text.mean(reals(x), count), y)
    assert EXACT.mean(window, np.array([count]), y).tolist() == [want]
    assert EXACT.global_mean(window, y).tolist() == [code(text.mean(reals(x), 4), y)]


@st.composite
def bent(draw):
    """A scale of the result that puts a sigmoid beside a tie, and the argument's code."""
    scale = F(draw(st.sampled_from([0.1, 1 / 32, 0.9])))
    q = draw(st.integers(-60, 60))
    tie = draw(st.integers(0, 200)) + 0.5
    y_scale = F(1 / (1 + np.exp(-float(scale) * q)) / tie)
    for _ in range(draw(st.integers(0, 2))):
        y_scale = np.nextafter(y_scale, F(0))
    z = draw(st.integers(0, 40))
    return Operand(np.int8([q, 0, 1, -1]), scale, 0), Target(y_scale, z, 0, 255, np.dtype("u1"))


@given(bent())
def test_sigmoid_is_correctly_rounded(case):
    x, y = case
    want = [
        text.sigmoid(v, frac(y.scale), y.zero_point, y.low, y.high) for v in reals(x)
    ]  # fmt: skip
    assert EXACT.sigmoid(x, y).tolist() == want


@given(
    st.lists(st.integers(-60, 60), min_size=1, max_size=4),
    st.sampled_from([0.1, 1 / 32, 0.9]),
    st.integers(0, 150),
    st.integers(0, 2),
)
@example([5, 5], 0.1, 0, 0)
def test_softmax_is_correctly_rounded(codes, scale, tie, ulps):
    x = Operand(np.int8(codes), F(scale), 3)
    first = 1 / np.exp((np.array(codes) - codes[0]) * float(F(scale))).sum()
    y_scale = F(first / (tie + 0.5))
    for _ in range(ulps):
        y_scale = np.nextafter(y_scale, F(0))
    y_scale = max(y_scale, F(1e-44))  # entries 108 apart have no float32 scale
    y = Target(y_scale, 7, 0, 255, np.dtype("u1"))
    want = text.softmax(reals(x), frac(y.scale), 7, 0, 255)
    assert EXACT.softmax(x, y).tolist() == want


def test_a_tie_of_float64_is_settled_exactly():
    # in float64, sigmoid(x) / scale is 200.5 sharp; in truth it lies a little beside
    rng = np.random.default_rng(0)
    for q in rng.integers(-40, 40, 20):
        if q == 0:
            continue
        scale = np.float64(1 / (1 + np.exp(-0.125 * q)) / 200.5)
        x, y = Operand(np.int8([q]), F(0.125), 0), Target(scale, 0, 0, 255, np.dtype("u1"))
        want = text.sigmoid(Fraction(int(q), 8), frac(scale), 0, 0, 255)
        assert EXACT.sigmoid(x, y).tolist() == [want]


@pytest.mark.parametrize(
    ("exponents", "unit", "want"),
    [
        ([0], Fraction(2, 5), 2),  # 2.5: a tie, to even
        ([0, Fraction(-(10**30))], Fraction(2, 7), 3),  # 3.5 less a hair
        ([0, Fraction(-(10**30))], Fraction(2, 5), 2),  # 2.5 less a hair
        ([0, Fraction(10**30)], Fraction(1, 10**9), 0),
        ([0, Fraction(-1, 10**60)], Fraction(1, 3), 2),  # 1.5 and a hair
        ([0, Fraction(1, 10**60)], Fraction(1, 3), 1),  # 1.5 less a hair
    ],
)
def test_hairs_beside_ties(exponents, unit, want):
    powers = [Fraction(x) for x in exponents]
    assert round_reciprocal_of_exponentials([1] * len(powers), powers, unit) == want


def test_factors_that_float64_cannot_hold():
    huge, tiny = Fraction(2) ** 1200, Fraction(1, 2**1200)
    n = np.array([1, 3])
    terms = [(n, np.array(tiny / 2, dtype=object)), (n, np.array(Fraction(1, 2), dtype=object))]
    assert round_combination(terms).tolist() == [1, 2]  # just above 1/2 and 3/2
    assert round_combination([(n, np.array(huge, dtype=object))]).tolist() == [1 << 40] * 2


@given(cases())
def test_float32_rounds_every_step(case):
    a, b, y = case

    def rounded(v):
        return round_to_float(v, "float32")

    def encode(v):
        return text.code_of(rounded(v / frac(y.scale)), Fraction(1), y.zero_point, y.low, y.high)

    x, w = ([rounded(v) for v in reals(o)] for o in (a, b))
    pairs = list(zip(x, w, strict=True))
    assert FLOAT32.add(a, b, y).tolist() == [encode(rounded(p + q)) for p, q in pairs]
    assert FLOAT32.multiply(a, b, y).tolist() == [encode(rounded(p * q)) for p, q in pairs]
    assert FLOAT32.rescale(a, y).tolist() == [encode(p) for p in x]
    total = Fraction(0)
    for p in x:
        total = rounded(total + p)
    mean = FLOAT32.global_mean(a._replace(codes=a.codes[None]), y)
    assert mean.tolist() == [encode(rounded(total / 4))]


def test_the_exact_and_the_float32_rule_differ():
    # 3 * 0.1 in float32 is above 0.3 of the exact product, so float32 finds no tie where one is
    a = Operand(np.uint8(np.arange(256)), F(0.1), 0)
    b = Operand(np.uint8([5]), F(1), 0)
    y = Target(F(0.2), 0, 0, 255, np.dtype("u1"))
    exact, single = EXACT.multiply(a, b, y), FLOAT32.multiply(a, b, y)
    assert 0 < (exact != single).sum() < 128
