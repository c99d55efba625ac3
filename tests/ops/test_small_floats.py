"""quantize_linear and dequantize_linear for float 8, 6 and 4: the text, near ties first."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refq import formats
from refq.conformance.strategies.tie_draws import SCALES
from refq.conformance.texts import onnx_quantization as text
from refq.core.cast_rule import CastRule
from refq.core.errors import DTypeError, FormatError, RangeError, ShapeError
from refq.core.quantize_rule import QuantizeRule
from refq.core.semantics import ONNX
from refq.ops import dequantize_linear, quantize_linear

NAMES = sorted(text.SMALL_TYPES)
FLOATS = [np.float32, np.float16, np.float64]


def number(x):
    return Fraction(float(x)) if math.isfinite(x) else float(x)


def same(got, want):
    return math.isnan(got) if math.isnan(want) else float(want) == got


def beside(form, code, half, ulps, scale, dtype):
    """Return the number of a dtype that is about scale times a value or a middle, and beyond."""
    values = np.unique(form.values[np.isfinite(form.values)].astype(np.float64))
    grid = np.append(values, 2 * values[-1] - values[-2])
    code %= values.size
    level = (grid[code] + grid[code + 1]) / 2 if half else grid[code]
    with np.errstate(over="ignore"):
        x = dtype(level * float(dtype(scale)))
        return np.nextafter(x, dtype(np.inf * ulps)) if ulps else x


@given(
    st.sampled_from(NAMES), st.integers(0, 255), st.booleans(), st.integers(-1, 1),
    st.sampled_from(SCALES), st.sampled_from(FLOATS), st.booleans(),
)  # fmt: skip
@example("float8_e4m3fn", 252, True, 0, 1.0, np.float32, False)
@example("float8_e5m2", 246, True, 1, 1 / 3, np.float32, False)
@example("float4_e2m1fn", 14, True, 1, 0.1, np.float64, False)
def test_near_ties_of_every_type(name, code, half, ulps, scale, dtype, saturate):
    form = formats.get(name)
    x = beside(form, code, half, ulps, scale, dtype)
    kind = np.dtype(dtype).name
    got = quantize_linear(np.array([x]), dtype(scale), format=name, saturate=saturate)
    assert got.dtype == np.uint8
    want = text.quantize_to_small(number(x), number(dtype(scale)), kind, name, saturate)
    assert same(form.decode(got)[0], want)


@pytest.mark.parametrize("name", NAMES)
def test_what_the_tables_say(name):
    form = formats.get(name)
    for x in (np.inf, -np.inf, 1e30, -1e30, 0.0, 1.0):
        for saturate in (True, False):
            got = quantize_linear(np.float32([x]), np.float32(1), format=name, saturate=saturate)
            assert same(form.decode(got)[0], text.cast_to_small(number(x), name, saturate))
    minus = form.decode(quantize_linear(np.float32([-0.0]), np.float32(1), format=name))
    assert np.signbit(minus[0]) == form.signed_zero
    with pytest.raises(RangeError, match=r"x\[0\] = nan must not be nan"):
        quantize_linear(np.float32([np.nan]), np.float32(1), format=name)
    if "nan" in form.special_codes:
        kept = quantize_linear(np.float32([np.nan]), np.float32(1), format=name, nan="keep")
        assert np.isnan(form.decode(kept)[0])
    assert text.SMALL_TYPES[name][2] == Fraction(form.max)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("output", [np.float16, np.float32, np.float64, None])
def test_every_code_is_dequantized_as_the_text_says(name, scale, output):
    form = formats.get(name)
    codes = np.arange(1 << form.bits, dtype=np.uint8)
    s = np.float32(scale)
    got = dequantize_linear(codes, s, format=name, output_dtype=output)
    assert got.dtype == (np.float32 if output is None else output)
    for value, y in zip(form.values.tolist(), got.tolist(), strict=True):
        if not math.isfinite(value):
            assert math.isnan(y) if math.isnan(value) else y == value
            continue
        want = text.dequantize_small(Fraction(value), Fraction(float(s)), got.dtype.name)
        assert y == float(want)


@pytest.mark.parametrize("output", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("kind", FLOATS)
def test_integers_reach_every_output_by_one_rounding(output, kind):
    q, s = np.arange(-32768, 32768, 7, dtype=np.int16), kind(1 / 3)
    if kind is np.float64 and output is not np.float64:
        with pytest.raises(DTypeError, match="rounded twice"):
            dequantize_linear(q, s, output_dtype=output)
        return
    got = dequantize_linear(q, s, np.int16(5), output_dtype=output)
    want = [text.dequantize_linear(int(v), Fraction(float(s)), 5, np.dtype(output).name) for v in q]
    assert got.dtype == output
    assert got.tolist() == [float(w) for w in want]


def test_per_axis_and_by_blocks():
    x = np.float32([[1.0, 2.4, -3.0, 9.0], [0.3, 0.6, 100.0, -0.1]])
    for scales, how in (
        (np.float32([0.5, 3]), {"axis": 0}),
        (np.float32([1, 2, 3, 4]), {"axis": 1}),
        (np.float32([[1, 2], [3, 4]]), {"axis": 1, "block_size": 3}),
    ):
        got = quantize_linear(x, scales, format="float6_e3m2fn", **how)
        back = dequantize_linear(got, scales, format="float6_e3m2fn", **how)
        for i, j in np.ndindex(2, 4):
            place = {(2,): (i,), (4,): (j,), (2, 2): (i, j // 3)}[scales.shape]
            one = quantize_linear(x[i, j], scales[place], format="float6_e3m2fn")
            assert got[i, j] == one
            assert back[i, j] == dequantize_linear(one, scales[place], format="float6_e3m2fn")


def test_block_sizes_are_those_of_the_text():
    """For an axis of length D and S scales: ceil(D/S) <= B <= ceil(D/(S - 1)) - 1."""
    for length in range(1, 13):
        x = np.ones((2, length), np.float32)
        for count in range(1, length + 1):
            scale = np.ones((2, count), np.float32)
            least = -(-length // count)
            most = -(-length // (count - 1)) - 1 if count > 1 else 10**6
            for size in (*range(1, length + 3), 10**6):
                if least <= size <= most:
                    assert quantize_linear(x, scale, block_size=size).shape == x.shape
                else:
                    with pytest.raises(ShapeError, match="blocks of"):
                        quantize_linear(x, scale, block_size=size)


def test_the_precision_attribute_is_a_field_of_the_rule():
    """1/3 of a float16 scale: the quotient in float16 is a tie that float32 sees is none."""
    single = replace(ONNX, quantize=QuantizeRule(precision="float32"))
    scale = np.float16(0.1)
    x = np.arange(-300, 300, dtype=np.float32) / np.float32(64) * scale
    for name in ("int8", "float8_e4m3fn"):
        form = formats.get(name)
        for rule, kind in ((ONNX, "float16"), (single, "float32")):
            got = form.decode(quantize_linear(x, scale, format=name, semantics=rule))
            for v, y in zip(x.tolist(), got.tolist(), strict=True):
                s = Fraction(float(scale))
                if name == "int8":
                    want = text.quantize_linear(Fraction(v), s, 0, kind, -128, 127)
                else:
                    want = text.quantize_to_small(Fraction(v), s, kind, name)
                assert y == want
    differ = quantize_linear(x, scale, format="int8") != quantize_linear(
        x, scale, format="int8", semantics=single
    )
    assert differ.any()


def test_another_cast_rule_is_obeyed():
    down = replace(ONNX, cast=CastRule(rounding="toward_zero"))
    x, s = np.float32([1.9, -1.9, 7.0]), np.float32(1)
    got = quantize_linear(x, s, format="float4_e2m1fn", semantics=down)
    assert formats.get("float4_e2m1fn").decode(got).tolist() == [1.5, -1.5, 6.0]
    refusing = replace(ONNX, cast=CastRule(overflow="error"))
    with pytest.raises(RangeError, match=r"x\[2\] = 7.0 overflows float4_e2m1fn"):
        quantize_linear(x, s, format="float4_e2m1fn", semantics=refusing)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: quantize_linear(x, 1.0, 1, format="float8_e5m2"), RangeError, "must be None or"),
        (lambda x: quantize_linear(x, 1.0, format="float16"), DTypeError, "'float16'"),
        (lambda x: quantize_linear(x, 1.0, format="float8_e8m0fnu"), DTypeError, "e8m0fnu"),
        (
            lambda x: quantize_linear(x, 1.0, format="float4_e2m1fn", nan="keep"),
            RangeError,
            "which float4_e2m1fn does not have",
        ),
        (
            lambda x: dequantize_linear(np.uint8([16]), 1.0, format="float4_e2m1fn"),
            FormatError,
            r"codes\[0\] = 16",
        ),
        (lambda x: dequantize_linear(np.uint8([16]), 1.0, format="uint4"), FormatError, "outside"),
        (
            lambda x: dequantize_linear(np.uint8([1]), 1.0, 16, format="uint4"),
            RangeError,
            "zero_point = 16",
        ),
        (
            lambda x: dequantize_linear(np.uint8([1]), 1.0, output_dtype=np.int8),
            DTypeError,
            "output_dtype = int8",
        ),
        (
            lambda x: dequantize_linear(np.int32([1]), 1.0, output_dtype=np.float16),
            DTypeError,
            "rounded twice",
        ),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call(np.ones(3, np.float32))


def test_zero_is_a_zero_point_of_small_floats():
    x = np.ones(3, np.float32)
    got = quantize_linear(x, np.float32(1), np.zeros(1, np.uint8), format="float8_e4m3fn")
    assert got.tolist() == [0x38] * 3
    assert dequantize_linear(got, np.float32(1), 0, format="float8_e4m3fn").tolist() == [1.0] * 3


def test_shapes_are_kept():
    for shape in [(), (0,), (0, 3), (2, 1, 3)]:
        got = quantize_linear(np.ones(shape, np.float32), np.float32(2), format="float8_e5m2")
        assert (got.shape, got.dtype) == (shape, np.uint8)
        assert dequantize_linear(got, np.float32(2), format="float8_e5m2").shape == shape
