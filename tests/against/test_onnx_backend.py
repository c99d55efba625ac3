"""refq passes every low-precision node test of onnx 1.23.2, bit for bit.

The selector stands in `runtimes/onnx_backend_cases.py`: every case that uses a quantizing operator
or integer product, or whose graph takes or gives a number of less than a byte, or an 8-bit float.

Four things that the text leaves open, or that refq's formats do not have, stand here by name:
- the sign of a NaN: the text of Cast keeps it, refq's formats write the positive one;
- floats beyond an integer's range, undefined by the text: the cases keep the low bits;
- NaN to float4_e2m1, which has none: the cases expect a zero with the sign bit set;
- the zero point 0 of a float format, which is added: -0 becomes +0.
"""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from refq import formats, ops, semantics

pytestmark = pytest.mark.onnx_backend("onnx")

COUNTS = {
    "Cast": 100,
    "CastLike": 48,
    "DequantizeLinear": 14,
    "QuantizeLinear": 13,
    "QLinearMatMul": 8,
    "DynamicQuantizeLinear": 6,  # three of them written out as the function's body
    "ConvInteger": 2,
    "MatMulInteger": 1,
    "QLinearConv": 1,
}
FORMATS = {
    "FLOAT": "float32",
    "FLOAT16": "float16",
    "BFLOAT16": "bfloat16",
    "FLOAT8E4M3FN": "float8_e4m3fn",
    "FLOAT8E4M3FNUZ": "float8_e4m3fnuz",
    "FLOAT8E5M2": "float8_e5m2",
    "FLOAT8E5M2FNUZ": "float8_e5m2fnuz",
    "FLOAT8E8M0": "float8_e8m0fnu",
    "FLOAT6E2M3": "float6_e2m3fn",
    "FLOAT6E3M2": "float6_e3m2fn",
    "FLOAT4E2M1": "float4_e2m1fn",
}
NATIVE = {"FLOAT": np.float32, "FLOAT16": np.float16, "DOUBLE": np.float64}
ONNX = semantics.get("onnx")


@pytest.fixture(scope="module")
def cases(peer):
    found = peer("onnx_backend_cases")
    index = json.loads(str(found["index"]))
    for number, case in enumerate(index):
        kinds, names = case["inputs"]
        values = [found[f"{number}_in_{i}"] for i in range(len(names))]
        case["given"] = dict(zip(names, zip(values, kinds, strict=True), strict=True))
        case["expected"] = [found[f"{number}_out_{i}"] for i in range(len(case["outputs"]))]
    return index


def format_of(kind):
    return FORMATS.get(kind, kind.lower())


def cast(x, kind, to, saturate=True, round_mode=None):
    """Return the codes (or numbers) of type `to` of the codes (or numbers) of type `kind`."""
    if kind not in NATIVE and kind in FORMATS:
        x = formats.get(format_of(kind)).decode(x)
    form = formats.get(format_of(to))
    if to in NATIVE:
        with np.errstate(over="ignore"):
            return x.astype(NATIVE[to])
    if to not in FORMATS:  # an integer of a few bits: the fraction is cut off, then the high bits
        whole = formats.get("int32").encode(x, rounding="toward_zero")
        return ((whole - form.low) % (1 << form.bits) + form.low).astype(form.dtype)
    if "nan" not in form.special_codes:
        minus_zero = np.uint8(1 << (form.bits - 1))
        codes = ONNX.cast.apply(np.where(np.isnan(x), 0, x), form)
        return np.where(np.isnan(x), minus_zero, codes)
    rule = replace(ONNX.cast, nan="keep")
    if round_mode is not None:
        rounding = {"up": "ceil", "down": "floor", "nearest": "half_away"}[round_mode]
        rule = replace(rule, rounding=rounding)
    if not saturate and form.special_codes:
        beyond = "infinity" if "infinity" in form.special_codes else "nan"
        rule = replace(rule, overflow=beyond)
    return rule.apply(x, form)


def settings_of(attributes):
    found = {k: attributes[k] for k in ("axis", "block_size") if k in attributes}
    if found.get("block_size") == 0:
        del found["block_size"]
    return found


def run(case):
    """Return the outputs of a case, computed by refq."""
    attributes, op = case["attributes"], case["op"]
    given = [case["given"].get(name, (None, ""))[0] for name in case["arguments"]]
    kinds = [case["given"].get(name, (None, ""))[1] for name in case["arguments"]]
    out = case["outputs"][0]
    if op in ("Cast", "CastLike"):
        saturate = bool(attributes.get("saturate", 1))
        mode = attributes.get("round_mode", "up") if out == "FLOAT8E8M0" else None
        return [cast(given[0], kinds[0], out, saturate, mode)]
    where = settings_of(attributes)
    if op == "QuantizeLinear":
        x, scale, zero = (*given, None)[:3]
        if out in FORMATS:
            where["saturate"] = bool(attributes.get("saturate", 1))
            x = x if zero is None else x + np.float32(0)  # -0 plus the zero point 0 is +0
            zero = None
        return [ops.quantize_linear(x, scale, zero, format=format_of(out), **where)]
    if op == "DequantizeLinear":
        q, scale, zero = (*given, None)[:3]
        zero = None if kinds[0] in FORMATS else zero
        return [ops.dequantize_linear(q, scale, zero, format=format_of(kinds[0]), **where)]
    if op == "DynamicQuantizeLinear":
        return list(ops.dynamic_quantize_linear(given[0]))
    if op == "MatMulInteger":
        return [ops.matmul_integer(*given)]
    if op == "QLinearMatMul":
        return [ops.qlinear_matmul(*given)]
    padding = attributes.get("pads", (0, 0, 0, 0))
    if op == "ConvInteger":
        return [ops.conv_integer(*given, padding=tuple(padding))]
    x, sx, zx, w, sw, zw, sy, zy = given
    return [ops.qlinear_conv(x, sx, zx, w, sw, zw, sy, zy, padding=tuple(padding))]


def alike(mine, theirs, kind):
    """Return whether dtypes, shapes and bits agree, but for the sign of NaN."""
    if mine.dtype != theirs.dtype or mine.shape != theirs.shape:
        return False
    same = mine == theirs
    if mine.dtype.kind == "f":
        same = (same & (np.signbit(mine) == np.signbit(theirs))) | (
            np.isnan(mine) & np.isnan(theirs)
        )
    elif kind in FORMATS and kind not in NATIVE:
        form = formats.get(FORMATS[kind])
        same = same | (np.isnan(form.decode(mine)) & np.isnan(form.decode(theirs)))
    return bool(np.all(same))


def test_the_selector_finds_193_cases(cases):
    assert Counter(case["op"] for case in cases) == COUNTS
    assert sum(COUNTS.values()) == len(cases) == 193


@pytest.mark.parametrize("op", COUNTS)
def test_every_case_of(cases, op):
    failed = []
    for case in cases:
        if case["op"] != op:
            continue
        got = run(case)
        for mine, theirs in zip(got, case["expected"], strict=True):
            if not alike(mine, theirs, case["outputs"][0]):
                failed.append((case["name"], mine.ravel().tolist(), theirs.ravel().tolist()))
    assert not failed
