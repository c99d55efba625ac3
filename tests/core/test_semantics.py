"""The rules against the text, in fractions, on near ties."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refq.conformance.strategies.tie_draws import SCALES, near_tie
from refq.conformance.texts.onnx_integer import qlinear
from refq.conformance.texts.onnx_quantization import quantize_linear, round_to_float
from refq.core.errors import RangeError
from refq.core.quantize_rule import sum_to_float32
from refq.core.semantics import (
    ONNX,
    PRESETS,
    CastRule,
    QuantizeRule,
    RequantizeRule,
    Semantics,
    get,
)
from refq.formats import get as get_format

SCALE = st.sampled_from(SCALES)
CODE = st.sampled_from([0, 1, -1, 127, -128]) | st.integers(-130, 130)
ULPS = st.sampled_from([0, 1, -1])


def fraction(x):
    return Fraction(float(x)) if math.isfinite(x) else float(x)


def text(x, scale, zero_point, kind, low=-128, high=127):
    return quantize_linear(fraction(x), Fraction(float(scale)), zero_point, kind, low, high)


@given(SCALE, CODE, st.booleans(), ULPS, st.sampled_from([0, 1, -3, 127]))
def test_onnx_rule_is_the_text_in_float32_and_float64(scale, k, tie, ulps, zero_point):
    for dtype in (np.float32, np.float64):
        s = dtype(scale)
        x = near_tie(scale, k - zero_point, tie, ulps, dtype)
        got = ONNX.quantize.apply(np.array([x]), np.array(s), zero_point, -128, 127, np.int8)
        assert got.tolist() == [text(x, s, zero_point, np.dtype(dtype).name)]


@given(SCALE, CODE, st.booleans(), ULPS)
@example(0.1, 0, True, -1)
def test_float64_over_a_float32_scale_is_rounded_to_float32_first(scale, k, tie, ulps):
    s = np.float32(scale)
    x = near_tie(float(s), k, tie, ulps, np.float64)
    got = ONNX.quantize.apply(np.array([x]), np.array(s), 0, -128, 127, np.int8)
    assert got.tolist() == [text(x, s, 0, "float32")]


@given(SCALE, CODE, st.booleans(), ULPS)
def test_precision_float64_divides_float32_numbers_in_float64(scale, k, tie, ulps):
    s, x = np.float32(scale), near_tie(scale, k, tie, ulps)
    rule = QuantizeRule(precision="float64")
    got = rule.apply(np.array([x]), np.array(s), 0, -128, 127, np.int8)
    assert got.tolist() == [text(x, s, 0, "float64")]


@given(SCALE, CODE, st.booleans(), ULPS)
def test_a_float16_scale_divides_in_float16(scale, k, tie, ulps):
    s, x = np.float16(scale), near_tie(float(np.float16(scale)), k, tie, ulps)
    got = ONNX.quantize.apply(np.array([x]), np.array(s), 1, -128, 127, np.int8)
    assert got.tolist() == [text(x, s, 1, "float16")]


def rounded(value):
    return round(value) if isinstance(value, Fraction) else value


@given(SCALE, CODE, st.booleans(), ULPS, st.sampled_from([0, 1, -3]))
def test_the_other_orders_are_what_their_names_say(scale, k, tie, ulps, z):
    s, x = np.float32(scale), near_tie(scale, k, tie, ulps)
    args = (np.array([x]), np.array(s), z, -(2**31), 2**31 - 1, np.int64)
    f, e, kind = Fraction(float(s)), Fraction(float(x)), "float32"
    inverse = round_to_float(1 / f, kind)
    product = round_to_float(e * inverse, kind)
    want = {
        ("divide", "before", "scale"): round_to_float(round_to_float(e / f, kind) + z, kind),
        ("reciprocal", "after", "scale"): round(product) + z,
        ("reciprocal", "before", "scale"): round_to_float(product + z, kind),
        ("reciprocal", "fused", "float32"): round_to_float(e * inverse + z, kind),
    }
    for (quotient, order, precision), value in want.items():
        rule = QuantizeRule(quotient, precision, zero_point=order)
        assert rule.apply(*args).tolist() == [rounded(Fraction(value))]


def test_orders_do_differ():
    x, one = np.float32([0.5, 1.5]), np.float32(1)
    after = QuantizeRule().apply(x, one, 1, 0, 9, np.uint8).tolist()
    before = QuantizeRule(zero_point="before").apply(x, one, 1, 0, 9, np.uint8).tolist()
    assert (after, before) == ([1, 3], [2, 2])


@pytest.mark.parametrize("order", ["after", "before"])
def test_nan_policies(order):
    x, one = np.float32([np.nan, 2]), np.float32(1)
    with pytest.raises(RangeError, match=r"x\[0\] is nan"):
        QuantizeRule(zero_point=order).apply(x, one, 3, 0, 9, np.uint8)
    for policy, want in (("zero", 3), ("low", 0), ("high", 9)):
        rule = QuantizeRule(zero_point=order, nan=policy)
        assert rule.apply(x, one, 3, 0, 9, np.uint8).tolist() == [want, 5]


def test_overflow_saturates_without_a_warning():
    x = np.float32([3e38, -3e38, np.inf, -np.inf])
    with np.errstate(all="raise"):
        got = ONNX.quantize.apply(x, np.float32(1e-38), 5, -128, 127, np.int8)
        tiny = ONNX.quantize.apply(np.float32([1e-45]), np.float32(3e38), 5, -128, 127, np.int8)
    assert got.tolist() == [127, -128, 127, -128]
    assert tiny.tolist() == [5]


def test_zero_points_of_32_bits_do_not_overflow():
    low, high = -(2**31), 2**31 - 1
    x = np.array([3e38, -3e38, 0.0], np.float32)
    got = ONNX.quantize.apply(x, np.float32(1), np.array([low, high, high]), low, high, np.int32)
    assert got.tolist() == [high, low, high]


@given(
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.sampled_from([0, 1, -1]) | st.floats(-1e6, 1e6),
)
@example(1.0, float(np.float32(1) + np.float32(2**-23)), 0)
@example(float(np.float32(2**-12)), float(np.float32(2**-12)), 1)
def test_a_sum_is_rounded_once(a, b, q):
    p = np.float64(a) * np.float64(b)
    got = sum_to_float32(np.array([p]), np.array([np.float64(q)]))
    want = round_to_float(Fraction(float(p)) + Fraction(q), "float32")
    assert got.tolist() == [float(want)]


def test_a_sum_is_not_rounded_twice():
    p, q = np.float64(1 + 2.0**-24), np.float64(2.0**-80)
    assert sum_to_float32(p, q) == np.float32(1 + 2.0**-23)
    assert sum_to_float32(p, -q) == np.float32(1)
    assert np.float32(p + q) == np.float32(1)  # what a plain sum gives
    # an odd float64 beside a midpoint stays where it is
    beside = np.float64(1 + 3 * 2.0**-24 - 2.0**-52)
    assert sum_to_float32(beside, q) == np.float32(1 + 2.0**-23)


@given(
    st.integers(-(2**31), 2**31 - 1) | st.integers(-300, 300),
    SCALE, SCALE, SCALE, st.sampled_from([0, 1, -3]),
)  # fmt: skip
def test_exact_requantization_is_the_text(acc, a, b, y, z):
    a, b, y = (np.float32(s) for s in (a, b, y))
    rule = ONNX.requantize
    factor = rule.multiplier(np.array(a), np.array(b), np.array(y))
    assert factor[()] == Fraction(float(a)) * Fraction(float(b)) / Fraction(float(y))
    got = rule.apply(np.array([acc]), factor, z, -128, 127, np.int8)
    want = qlinear(acc, *(Fraction(float(s)) for s in (a, b, y)), z, -128, 127)
    assert got.tolist() == [want]


@given(st.integers(-(2**31), 2**31 - 1) | st.integers(-300, 300), SCALE, SCALE, SCALE)
def test_float32_requantization_is_three_float_operations(acc, a, b, y):
    a, b, y = (np.float32(s) for s in (a, b, y))
    rule = RequantizeRule("float32")
    factor = rule.multiplier(np.array(a), np.array(b), np.array(y))
    f = [Fraction(float(s)) for s in (a, b, y)]
    exact = round_to_float(round_to_float(f[0] * f[1], "float32") / f[2], "float32")
    assert Fraction(float(factor)) == exact
    level = round_to_float(round_to_float(Fraction(acc), "float32") * exact, "float32")
    got = rule.apply(np.array([acc]), factor, 1, -128, 127, np.int8)
    assert got.tolist() == [min(max(round(level) + 1, -128), 127)]


def test_the_requantize_rules_differ_on_ties():
    acc, half = np.array([-3, -1, 1, 3, 5]), 0.5
    rules = [
        RequantizeRule(),
        RequantizeRule("fixed_point", "half_up"),
        RequantizeRule("fixed_point", "half_away"),
        RequantizeRule("fixed_point_double", "half_up_then_half_away"),
    ]
    got = [r.apply(acc, half, 0, -128, 127, np.int8).tolist() for r in rules]
    assert got == [[-2, 0, 0, 2, 2], [-1, 0, 1, 2, 3], [-2, -1, 1, 2, 3], [-1, 0, 1, 2, 3]]


@pytest.mark.parametrize(
    "make",
    [
        lambda: QuantizeRule(quotient="times"),
        lambda: QuantizeRule(precision="float16"),
        lambda: QuantizeRule(rounding="up"),
        lambda: QuantizeRule(zero_point="never"),
        lambda: QuantizeRule(nan="ignore"),
        lambda: QuantizeRule(zero_point="fused"),
        lambda: RequantizeRule("float16"),
        lambda: RequantizeRule("exact", "floor"),
        lambda: RequantizeRule("fixed_point_double", "half_even"),
        lambda: CastRule("up"),
        lambda: Semantics("mine", "1", accumulator="saturate"),
        lambda: get("nobody"),
        lambda: get("onnx", "1"),
        lambda: RequantizeRule().apply(np.array([1]), 0.0, 0, 0, 9, np.uint8),
    ],
)
def test_refusals(make):
    with pytest.raises(RangeError):
        make()


def test_presets_are_found_by_name_and_version():
    assert get("onnx") is get("onnx", ONNX.version) is get(ONNX) is ONNX
    assert all(key == (s.name, s.version) for key, s in PRESETS.items())
    with pytest.raises(RangeError, match=r"there are: onnx"):
        get("onnxx")


def test_cast_rule_asks_the_format():
    assert CastRule("floor").apply([1.7, 300.0], get_format("int8")).tolist() == [1, 127]


def test_the_rule_is_chosen_by_width_blocks_and_axis():
    torch, decomposed = (get(name, "2.13") for name in ("torch", "torch_decomposed"))
    assert torch.quantize_rule(0) is torch.quantize
    assert torch.quantize_rule(1) is torch.quantize_rule(1, 8, True) is torch.quantize_axis
    assert torch.quantize_rule(0, 32) is torch.quantize_rule(1, 32) is torch.quantize_int32
    assert decomposed.quantize_rule(2, 8, True) is decomposed.quantize_block
    assert decomposed.quantize_rule(0, 8, True) is decomposed.quantize
    assert decomposed.quantize_rule(1, 32) is decomposed.quantize_axis
