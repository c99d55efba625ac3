"""Every accumulator of 16 bits, 64 mantissas, 31 shifts, every requantize rule.

The oracle divides in int64 with remainder: ``acc * m = q * 2^s + r``, and reads each rule's answer
off q and r. gemmlowp's two steps are divided out one after the other, as its C text does. A second
oracle, in Fractions, judges the first on a sample.
"""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from refq.core.requantize_rule import RequantizeRule
from refq.ops.requantization import requantize_by_rule, requantize_fixed_point

pytestmark = pytest.mark.exhaustive

ACCUMULATORS = np.arange(-(1 << 15), 1 << 15, dtype=np.int32)
SHIFTS = range(31, 62)
WIDE = ACCUMULATORS.astype(np.int64)
INT32 = (-(1 << 31), (1 << 31) - 1)

# powers of two and short mantissas make ties; long ones make near ties; both ends of the range
_SHORT = [(1 << 30) + (k << 26) for k in range(16)]
_NEAR = [m + d for m in _SHORT[:12] for d in (-1, 1) if m + d >= 1 << 30]
_ENDS = [(1 << 31) - 1 - k for k in range(8)]
_LONG = [round((1 << 30) * (1 + k / 23)) for k in range(1, 23)]
MANTISSAS = sorted({*_SHORT, *_NEAR, *_ENDS, *_LONG})[:64]


ONCE = ("half_even", "half_away", "half_up")
EVERY = (*ONCE, "toward_zero", "floor", "ceil", "odd")


def divided_once(accumulator, mantissa, shift):
    """Return the rounded quotient for each rule, by one integer division."""
    unit = np.int64(1) << np.int64(shift)
    quotient, rest = np.divmod(accumulator * mantissa, unit)
    above, tie = rest > unit - rest, rest == unit - rest
    ties = (quotient % 2 == 1, quotient >= 0, True)
    return {r: quotient + (above | (tie & up)) for r, up in zip(ONCE, ties, strict=True)}


def divided_twice(accumulator, mantissa, shift, up=False):
    """Return gemmlowp's quotient: over 2^31 as C divides, then over what is left, or ties up."""
    whole = accumulator * mantissa
    nudged = whole + np.where(whole >= 0, 1 << 30, 1 - (1 << 30))
    high = np.sign(nudged) * (np.abs(nudged) // (1 << 31))  # C truncates
    unit = 1 << (shift - 31)
    quotient, rest = np.divmod(high, unit)
    if up:
        return quotient + ((2 * rest >= unit) & (unit > 1))
    # a tie moves away from zero; what is left over of a negative number counts downwards
    return quotient + np.where(high < 0, 2 * rest > unit, (2 * rest >= unit) & (unit > 1))


def multiplied_in_float32(accumulator, mantissa, shift):
    """Return the rounded float32 product for each rule."""
    factor = np.float64(np.float32(mantissa / (1 << 31)))  # to 24 bits, once
    rounded = (accumulator * factor).astype(np.float32)  # 16 + 24 bits are exact in float64
    value = np.ldexp(rounded.astype(np.float64), 31 - shift)
    low = np.floor(value)
    rest, odd = value - low, np.mod(low, 2) == 1
    ups = {
        "half_even": (rest > 0.5) | ((rest == 0.5) & odd),
        "half_away": (rest > 0.5) | ((rest == 0.5) & (value > 0)),
        "half_up": rest >= 0.5,
        "toward_zero": (rest > 0) & (value < 0),
        "floor": False,
        "ceil": rest > 0,
        "odd": (rest > 0) & ~odd,
    }
    return {rounding: (low + ups[rounding]).astype(np.int64) for rounding in EVERY}


def got(accumulator, multiplier, rule):
    return requantize_by_rule(accumulator, multiplier, 0, *INT32, np.int32, rule)


@pytest.mark.parametrize("kind", ["exact", "fixed_point"])
def test_rounding_once(kind):
    rules = {rounding: RequantizeRule(kind, rounding) for rounding in ONCE}
    for shift, mantissa in product(SHIFTS, MANTISSAS):
        factor = np.array(Fraction(mantissa, 1 << shift))
        for rounding, want in divided_once(WIDE, mantissa, shift).items():
            assert np.array_equal(got(ACCUMULATORS, factor, rules[rounding]), want), (
                kind, rounding, mantissa, shift,
            )  # fmt: skip


def test_rounding_twice():
    rule = RequantizeRule("fixed_point_double", "half_up_then_half_away")
    both_up = RequantizeRule("fixed_point_double", "half_up")
    for shift, mantissa in product(SHIFTS, MANTISSAS):
        want = divided_twice(WIDE, mantissa, shift)
        factor = np.array(Fraction(mantissa, 1 << shift))
        assert np.array_equal(got(ACCUMULATORS, factor, rule), want), (mantissa, shift)
        want = divided_twice(WIDE, mantissa, shift, up=True)
        assert np.array_equal(got(ACCUMULATORS, factor, both_up), want), (mantissa, shift)


def test_float64():
    """16 bits times a mantissa are exact in float64, so it rounds as integers do."""
    rule = RequantizeRule("float64", "half_away")
    for shift, mantissa in product(SHIFTS, MANTISSAS):
        want = divided_once(WIDE, mantissa, shift)["half_away"]
        factor = np.array(np.ldexp(float(mantissa), -shift))
        assert np.array_equal(got(ACCUMULATORS, factor, rule), want), (mantissa, shift)


def test_float32():
    rules = {rounding: RequantizeRule("float32", rounding) for rounding in EVERY}
    for shift, mantissa in product(SHIFTS, MANTISSAS):
        factor = np.array(np.float32(np.ldexp(float(mantissa), -shift)))
        for rounding, want in multiplied_in_float32(WIDE, mantissa, shift).items():
            assert np.array_equal(got(ACCUMULATORS, factor, rules[rounding]), want), (
                rounding, mantissa, shift,
            )  # fmt: skip


@pytest.mark.parametrize("double", [False, True])
def test_kernels(double):
    for shift, mantissa in product(SHIFTS, MANTISSAS):
        codes = requantize_fixed_point(
            ACCUMULATORS, mantissa, shift, 3, -128, 127, np.int8, double_rounding=double
        )
        if double:
            want = divided_twice(WIDE, mantissa, shift)
        else:
            want = divided_once(WIDE, mantissa, shift)["half_up"]
        assert np.array_equal(codes, np.clip(want + 3, -128, 127)), (mantissa, shift)


def exactly(rule, accumulator, mantissa, shift):
    """Return one answer in Fractions: the second oracle."""
    value = Fraction(accumulator * mantissa, 1 << shift)
    if rule[0] == "fixed_point_double":
        value = Fraction(accumulator * mantissa, 1 << 31)
        nudged = value + Fraction(1 << 30 if value >= 0 else 1 - (1 << 30), 1 << 31)
        value, rounding = Fraction(int(nudged), 1 << (shift - 31)), "half_away"
    else:
        rounding = rule[1]
    low = value.numerator // value.denominator
    distance = value - low
    if distance != Fraction(1, 2):
        return low + (distance > Fraction(1, 2))
    return low + {"half_even": low % 2 == 1, "half_away": value > 0, "half_up": True}[rounding]


def test_the_oracles_against_fractions():
    rng = np.random.default_rng(0)
    twice = ("fixed_point_double", "")
    for accumulator in [*range(-40, 41), *rng.integers(-(1 << 15), 1 << 15, 500).tolist()]:
        mantissa, shift = int(rng.choice(MANTISSAS)), int(rng.integers(31, 62))
        one = np.array([accumulator])
        for rounding, answer in divided_once(one, mantissa, shift).items():
            assert int(answer[0]) == exactly(("", rounding), accumulator, mantissa, shift)
        answer = divided_twice(one, mantissa, shift)
        assert int(answer[0]) == exactly(twice, accumulator, mantissa, shift)
