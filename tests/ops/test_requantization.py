"""Requantization against the text; the fast path against the rule; the bounds."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refq.conformance.strategies.ops import tie_accumulators
from refq.conformance.strategies.tie_draws import SCALES
from refq.conformance.texts.onnx_integer import qlinear
from refq.core.errors import DTypeError, RangeError, ShapeError
from refq.core.fixed_point import fixed_point_multiplier
from refq.core.semantics import RequantizeRule, Semantics
from refq.ops import requantize, requantize_fixed_point

HALF = Fraction(1, 2)
INT32 = st.sampled_from([0, 1, -1, 2**31 - 1, -(2**31)]) | st.integers(-(2**31), 2**31 - 1)
MULTIPLIER = st.one_of(
    st.sampled_from([Fraction(1, 2), Fraction(1), Fraction(1, 3), Fraction(3, 2), Fraction(5, 4)]),
    st.builds(
        lambda a, b, y: Fraction(float(np.float32(a))) * Fraction(float(np.float32(b))) / Fraction(
            float(np.float32(y))
        ),
        *[st.sampled_from(SCALES)] * 3,
    ),
    st.fractions(Fraction(1, 2**40), 2**20),
)  # fmt: skip


@given(MULTIPLIER, st.integers(-140, 140), st.sampled_from([0, 1, -1]), st.sampled_from([0, 1, -3]))
@example(Fraction(1, 2), 0, 0, 1)
@example(Fraction(1, 6), 1, 0, 0)
def test_the_text_on_near_ties(m, k, offset, z):
    acc = min(max(round((k + HALF) / m) + offset, -(2**31)), 2**31 - 1)
    got = requantize(np.array([acc], np.int32), m, np.int8(z))
    assert got.tolist() == [qlinear(acc, m, Fraction(1), Fraction(1), z, -128, 127)]


@given(st.lists(INT32, max_size=20), MULTIPLIER, st.sampled_from(["half_even", "half_away"]))
def test_the_fast_path_is_the_rule(values, m, rounding):
    acc = np.array(values, np.int64)
    rule = RequantizeRule("exact", rounding)
    mine = Semantics("mine", "1", requantize=rule)
    for name in ("int8", "int32"):
        got = requantize(acc, m, 1, name, semantics=mine)
        want = rule.apply(acc, m, 1, int(np.iinfo(name).min), int(np.iinfo(name).max), name)
        np.testing.assert_array_equal(got, want)


def test_exact_ties_that_float64_cannot_see():
    """The product is k + 1/2 plus or minus 2^-60: float64 says tie, the text does not."""
    acc = np.array([1], np.int32)
    for k in (0, 1, 2, 3):
        for sign in (-1, 1):
            m = k + HALF + sign * Fraction(1, 2**60)
            assert float(m) == k + 0.5
            assert requantize(acc, m, 0).tolist() == [k + (sign > 0)]


def test_exact_ties_that_float64_misses_by_an_ulp():
    """acc / n = k + 1/2 exactly, but the float64 product with 1/n is often beside it."""
    k = np.arange(10)
    missed = 0
    for n in range(2, 400, 2):
        acc = n // 2 * (2 * k + 1)
        missed += int(np.sum(acc * (1 / n) != k + 0.5))
        assert requantize(acc, Fraction(1, n), 0).tolist() == [round(v + 0.5) for v in k.tolist()]
    assert missed


@pytest.mark.parametrize("bits", range(1, 9))
def test_every_tie_of_a_power_of_two(bits):
    acc = np.arange(-(2**9), 2**9, dtype=np.int32)
    got = requantize(acc, Fraction(1, 2**bits), 0, "int16")
    assert got.tolist() == [round(Fraction(v, 2**bits)) for v in acc.tolist()]


def test_extreme_multipliers():
    acc = np.int32([2**31 - 1, -(2**31), 0, 1])
    assert requantize(acc, 2.0**900, np.int8(3)).tolist() == [127, -128, 3, 127]
    assert requantize(acc, 5e-324, np.int8(3)).tolist() == [3, 3, 3, 3]
    assert requantize(acc, Fraction(1, 10**400), np.int8(3)).tolist() == [3, 3, 3, 3]


def test_a_multiplier_per_channel():
    acc = np.arange(-60, 60, dtype=np.int32).reshape(2, 3, 20)
    m = np.float32([0.5, 0.1, 1 / 3])
    got = requantize(acc, m, np.int8(1), axis=1)
    want = np.stack([requantize(acc[:, c], m[c], np.int8(1)) for c in range(3)], axis=1)
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(requantize(acc, m[:, None], np.int8(1)), want)


@given(
    st.sampled_from([2**30, 2**31 - 1, 3 << 29]) | st.integers(2**30, 2**31 - 1),
    st.integers(20, 66), st.integers(-300, 300), st.sampled_from([0, 1, -1]), st.booleans(),
)  # fmt: skip
@example(2**30, 31, 0, 0, False)
@example(2**30, 31, -1, 0, False)
def test_fixed_point_rounds_the_product_to_the_nearest(mantissa, shift, k, offset, double):
    acc = tie_accumulators(mantissa, shift, k, offset) >> (max(31 - shift, 0) if double else 0)
    product = acc * mantissa / Fraction(2) ** shift
    if abs(product) > 2**31 - 2:
        return
    got = requantize_fixed_point([acc], mantissa, shift, double_rounding=double)
    assert got.dtype == np.int32
    error = abs(int(got[0]) - product)
    assert error <= HALF + (Fraction(2) ** (30 - shift) if double and shift > 31 else 0)
    if not double and error == HALF:
        assert int(got[0]) > product  # the name of the rule: half up


@given(st.integers(-(2**31), 2**31 - 1), st.floats(1e-9, 0.99))
def test_the_real_product_is_within_one_half_and_the_mantissas_share(acc, real):
    mantissa, shift = fixed_point_multiplier(real)
    got = int(requantize_fixed_point([acc], mantissa, shift)[0])
    product = acc * Fraction(real)
    assert abs(got - product) <= HALF + abs(product) / 2**31


def test_saturation_zero_point_and_range():
    acc = np.int32([-1000, -1, 0, 1, 1000])
    args = (2**30, 30)
    got = requantize_fixed_point(acc, *args, 5, 0, 200, np.uint8)
    assert got.tolist() == [0, 4, 5, 6, 200]
    low, high = -(2**31), 2**31 - 1
    ends = np.int32([low, high])
    assert requantize_fixed_point(ends, *args).tolist() == [low, high]
    assert requantize_fixed_point(ends, 2**31 - 1, 1, high).tolist() == [low, high]
    assert requantize_fixed_point(ends, 2**31 - 1, 200, 7).tolist() == [7, 7]


@pytest.mark.parametrize("double", [False, True])
def test_fixed_point_per_channel_on_every_axis(double):
    acc = (np.arange(24, dtype=np.int32).reshape(2, 3, 4) - 12) * 12345
    for axis in (0, 1, -1):
        n = acc.shape[axis]
        mantissa, shift = fixed_point_multiplier(np.geomspace(1e-4, 0.9, n))
        got = requantize_fixed_point(
            acc, mantissa, shift, 1, -128, 127, np.int8, axis=axis, double_rounding=double
        )
        for c in range(n):
            want = requantize_fixed_point(
                acc.take(c, axis), int(mantissa[c]), int(shift[c]), 1, -128, 127, np.int8,
                double_rounding=double,
            )  # fmt: skip
            np.testing.assert_array_equal(got.take(c, axis), want)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda a: requantize(a, 0.0, 0), RangeError, "multiplier = 0.0 must be finite"),
        (lambda a: requantize(a, [1.0, np.nan], 0, axis=0), RangeError, r"multiplier\[1\] = nan"),
        (lambda a: requantize(a, [1.0] * 3, 0, axis=0), ShapeError, r"needs \(2,\)"),
        (lambda a: requantize(a, [1.0] * 3, 0), ShapeError, "does not broadcast"),
        (lambda a: requantize(a, 1.0, [0, 1], "int8"), ShapeError, "zero_point has shape"),
        (lambda a: requantize(a, 1.0, 300), RangeError, "zero_point = 300"),
        (lambda a: requantize(a.astype(float), 1.0, 0), DTypeError, "accumulator has dtype"),
        (lambda a: requantize_fixed_point(a, 2**29, 31), RangeError, "mantissa = 536870912"),
        (lambda a: requantize_fixed_point(a, 2**30, 0), RangeError, "shift = 0"),
        (lambda a: requantize_fixed_point(a, [2**30] * 2, 31), ShapeError, "must be equal"),
        (lambda a: requantize_fixed_point(a, [2**30] * 2, [31] * 2), ShapeError, "pass axis="),
        (lambda a: requantize_fixed_point(a, 2**30, 31, 0, 0, 300, np.uint8), RangeError, "high"),
        (lambda a: requantize_fixed_point(a, 2**30, 31, 0, 9, 3, np.uint8), RangeError, "high = 3"),
        (lambda a: requantize_fixed_point(a * 2**40, 2**30, 31), RangeError, r"\[1\] = .* int32"),
        (
            lambda a: requantize_fixed_point(a * 2**30, 2**30, 29, double_rounding=True),
            RangeError,
            "is no int32",
        ),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call(np.array([0, 1]))


@pytest.mark.parametrize("shape", [(), (0,), (1, 0), (0, 3)])
def test_shapes_are_kept(shape):
    acc = np.ones(shape, np.int32)
    assert requantize(acc, 0.5, np.int8(0)).shape == shape
    assert requantize_fixed_point(acc, 2**30, 31).shape == shape
