"""The preset onnxruntime is what ONNX Runtime 1.31's CPU provider computes, on near ties.

Every operator, dtype and granularity that the provider has gets at least 50,000 near ties, and not
one may differ. A near tie of an integer product is an accumulator that is an odd multiple of `d`
under a multiplier beside ``1 / (2 d)``.
"""

from dataclasses import replace

import numpy as np
import pytest

from refq import formats, ops, semantics

pytestmark = pytest.mark.peers("onnx", "onnxruntime")

ORT = semantics.get("onnxruntime", "1.31")
INTEGERS = ("uint8", "int8", "uint16", "int16", "uint4", "int4", "uint2", "int2")
SCALES = np.float32([1, 0.1, 1 / 3, 0.9, 0.37, 1e-3, 7.7, 1e-20, 3e-39, 1e30, 0.023, 0.57])
HUGE = np.float32(
    [np.inf, -np.inf, np.nan, 3e38, -3e38, 2**31, -(2**31), 2**31 - 128, -(2**31) - 256, 2**33, 0]
)


def onnx_name(name):
    return name.upper().replace("_", "") if name != "float32" else "FLOAT"


def opset(name):
    return 25 if name.endswith("int2") else 21  # what first knows the type


def quantized(ask, x, scale, zero_point, name, role="feed", **attributes):
    """Return what QuantizeLinear answers; one run per scale if the role is "each"."""
    kind = onnx_name(x.dtype.name)
    inputs = [["x", kind, role], ["scale", kind, role], ["zero_point", onnx_name(name), "feed"]]
    arrays = {"x": x, "scale": scale, "zero_point": zero_point}
    out = [onnx_name(name)]
    return ask("QuantizeLinear", inputs, out, attributes, opset(name), **arrays)[0]


def grids(form, zero_point, scales, least=52_000):
    """Return (len(scales), n) near ties, at least so many in all, and huge numbers."""
    halves = np.arange(2 * (form.low - zero_point) - 1, 2 * (form.high - zero_point) + 2) / 2
    exact = np.float32(scales)[:, None].astype(np.float64) * halves
    reach = max(1, least // (2 * exact.size))
    ulps = np.arange(-reach, reach + 1, dtype=np.int32)
    with np.errstate(over="ignore"):
        x = exact.astype(np.float32).view(np.int32)[:, :, None] + ulps
    rows = x.reshape(len(scales), -1).view(np.float32)
    rows = np.where(np.isfinite(rows), rows, 0)  # what moves below zero or past the largest float
    return np.concatenate([rows, np.tile(HUGE, (len(scales), 1))], axis=1)


@pytest.mark.parametrize("name", INTEGERS)
def test_quantize_linear_per_tensor(ask_onnxruntime, name):
    form = formats.get(name)
    scales = SCALES[:2] if form.bits == 16 else SCALES
    for z in (form.low, form.low + 1, form.high):
        x = grids(form, z, scales, 20_000)
        zero = form.dtype.type(z)
        theirs = quantized(ask_onnxruntime, x, scales, zero, name, role="each")
        ours = [
            ops.quantize_linear(row, s, zero, format=name, semantics=ORT)
            for row, s in zip(x, scales, strict=True)
        ]
        assert 3 * x.size >= 50_000
        np.testing.assert_array_equal(np.stack(ours), theirs)


@pytest.mark.parametrize("name", INTEGERS)
@pytest.mark.parametrize("axis", [0, 1])
def test_quantize_linear_per_axis(ask_onnxruntime, name, axis):
    form = formats.get(name)
    scales = SCALES[:3] if form.bits == 16 else SCALES
    zeros = np.resize([form.low, form.low + 1, form.high], scales.size).astype(form.dtype)
    rows = [grids(form, int(z), [s])[0] for s, z in zip(scales, zeros, strict=True)]
    x = np.stack(rows)
    x = x if axis == 0 else np.ascontiguousarray(x.T)
    theirs = quantized(ask_onnxruntime, x, scales, zeros, name, axis=axis)
    ours = ops.quantize_linear(x, scales, zeros, format=name, axis=axis, semantics=ORT)
    assert x.size >= 50_000
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", INTEGERS)
@pytest.mark.parametrize(("axis", "block_size"), [(0, 2), (1, 16), (1, 7)])
def test_quantize_linear_by_blocks(ask_onnxruntime, name, axis, block_size):
    form, rng = formats.get(name), np.random.default_rng(0)
    shape, z = (12, 5000), form.low + 1
    blocks = [-(-n // block_size) if i == axis else n for i, n in enumerate(shape)]
    scales = rng.choice(SCALES, size=blocks)
    spread = np.repeat(scales, block_size, axis)[: shape[0], : shape[1]]
    halves = rng.integers(2 * (form.low - z) - 1, 2 * (form.high - z) + 2, size=shape) / 2
    x = (spread.astype(np.float64) * halves).astype(np.float32)
    moved = (x.view(np.int32) + rng.integers(-2, 3, size=shape, dtype=np.int32)).view(np.float32)
    x = np.where(np.isfinite(moved), moved, x)
    x[:, ::97] = rng.choice(HUGE, size=x[:, ::97].shape)
    assert x.size - x[:, ::97].size >= 50_000
    zeros = np.full(blocks, z, form.dtype)
    where = {"axis": axis, "block_size": block_size}
    theirs = quantized(ask_onnxruntime, x, scales, zeros, name, **where)
    ours = ops.quantize_linear(x, scales, zeros, format=name, **where, semantics=ORT)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", INTEGERS)
def test_quantize_linear_of_every_float16(ask_onnxruntime, name):
    form = formats.get(name)
    x = np.arange(1 << 16, dtype=np.uint16).view(np.float16)  # NaN and infinities too
    scales = np.float16([1, 0.1, 1 / 3, 2.0**-24, 0.01, 600])
    for z in (form.low, form.high):
        zero = form.dtype.type(z)
        rows = np.tile(x, (scales.size, 1))
        theirs = quantized(ask_onnxruntime, rows, scales, zero, name, role="each")
        ours = [ops.quantize_linear(x, s, zero, format=name, semantics=ORT) for s in scales]
        np.testing.assert_array_equal(np.stack(ours), theirs)
    zeros = np.full(scales.size, z, form.dtype)
    theirs = quantized(ask_onnxruntime, rows, scales, zeros, name, axis=0)
    ours = ops.quantize_linear(rows, scales, zeros, format=name, axis=0, semantics=ORT)
    np.testing.assert_array_equal(ours, theirs)


def dequantized(ask, q, scale, zero_point, name, **attributes):
    kind = onnx_name(scale.dtype.name)
    inputs = [["q", onnx_name(name), "feed"], ["s", kind, "feed"], ["z", onnx_name(name), "feed"]]
    arrays = {"q": q, "s": scale, "z": zero_point}
    return ask("DequantizeLinear", inputs, [kind], attributes, opset(name), **arrays)[0]


@pytest.mark.parametrize("kind", [np.float32, np.float16])
@pytest.mark.parametrize("name", [*INTEGERS, "int32"])
def test_dequantize_linear_of_every_code(ask_onnxruntime, name, kind):
    form, rng = formats.get(name), np.random.default_rng(1)
    if form.bits == 32:
        q = rng.integers(form.low, form.high, size=9000, endpoint=True, dtype=form.dtype)
    else:
        q = np.arange(form.low, form.high + 1).astype(form.dtype)
    count = -(-50_000 // q.size)
    with np.errstate(over="ignore"):
        scales = np.exp(rng.uniform(-9, 9, count)).astype(kind)
    zeros = rng.integers(form.low, form.high, size=count, endpoint=True).astype(form.dtype)
    zeros = zeros * form.dtype.type(form.bits < 32)  # int32 has no zero point in the text
    q = np.tile(q, (count, 1))
    q = q[:, : q.shape[1] // 2 * 2]
    theirs = dequantized(ask_onnxruntime, q, scales, zeros, name, axis=0)
    ours = ops.dequantize_linear(q, scales, zeros, axis=0, semantics=ORT)
    assert q.size >= 50_000
    np.testing.assert_array_equal(ours, theirs)
    one = dequantized(ask_onnxruntime, q, scales[0], zeros[0], name)
    np.testing.assert_array_equal(ops.dequantize_linear(q, scales[0], zeros[0], semantics=ORT), one)
    halves = np.stack([scales, scales[::-1]], axis=1)
    twice = np.stack([zeros, zeros[::-1]], axis=1)
    where = {"axis": 1, "block_size": -(-q.shape[1] // 2)}
    theirs = dequantized(ask_onnxruntime, q, halves, twice, name, **where)
    ours = ops.dequantize_linear(q, halves, twice, **where, semantics=ORT)
    np.testing.assert_array_equal(ours, theirs)


FLOAT8 = ("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz")


@pytest.mark.parametrize("saturate", [1, 0])
@pytest.mark.parametrize("name", FLOAT8)
def test_casts_to_float8(ask_onnxruntime, name, saturate):
    """Every upper half of a float32 under twelve lower halves, so around all ties; and float64."""
    form = formats.get(name)
    rule = ORT.cast
    if not saturate:
        beyond = "infinity" if "infinity" in form.special_codes else "nan"
        rule = replace(rule, overflow=beyond)
    lower = [0, 1, 2, 3, 0x3FFF, 0x4000, 0x4001, 0x7FFF, 0x8000, 0x8001, 0xFFFE, 0xFFFF]
    upper = np.arange(1 << 16, dtype=np.uint32) << 16
    single = np.concatenate([upper | np.uint32(bits) for bits in lower]).view(np.float32)
    with np.errstate(all="ignore"):  # signalling NaN
        double = single.astype(np.float64) * (1 + 2.0**-40)
    half = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    to = {"to": 17 + FLOAT8.index(name), "saturate": saturate}
    for x, kind in ((single, "FLOAT"), (double, "DOUBLE"), (half, "FLOAT16")):
        theirs = ask_onnxruntime("Cast", [["x", kind, "feed"]], [onnx_name(name)], to, x=x)[0]
        got, want = form.decode(rule.apply(x, form)), form.decode(theirs)
        assert x.size >= 50_000
        np.testing.assert_array_equal(got, want)  # NaN equals NaN: refq writes the positive one
        number = ~np.isnan(want)
        np.testing.assert_array_equal(np.signbit(got[number]), np.signbit(want[number]))


@pytest.mark.parametrize("axis", [None, 0])
@pytest.mark.parametrize("saturate", [1, 0])
@pytest.mark.parametrize("name", FLOAT8)
def test_quantize_to_float8(ask_onnxruntime, name, saturate, axis):
    """Every value and midpoint times four scales, and floats around them."""
    form = formats.get(name)
    finite = np.unique(form.values[np.isfinite(form.values)]).astype(np.float64)
    grid = np.concatenate([finite, (finite[:-1] + finite[1:]) / 2, 1.25 * finite[[0, -1]]])
    scale = np.float32([1.0, 0.1, 1 / 3, 0.02])
    ties = (scale[:, None].astype(np.float64) * grid).astype(np.float32)
    ulps = np.arange(-15, 16, dtype=np.int32)
    x = (ties.view(np.int32)[..., None] + ulps).reshape(4, -1).view(np.float32)
    x = np.where(np.isfinite(x), x, np.float32(0))
    assert x.size >= 50_000
    settings = {"saturate": saturate} | ({} if axis is None else {"axis": axis})
    role, zeros = ("each", np.uint8(0)) if axis is None else ("feed", np.zeros(4, np.uint8))
    theirs = quantized(ask_onnxruntime, x, scale, zeros, name, role, **settings)
    ours = ops.quantize_linear(
        x, scale, format=name, axis=0, saturate=bool(saturate), semantics=ORT
    )
    got, want = form.decode(ours), form.decode(theirs)
    np.testing.assert_array_equal(got, want)  # NaN equals NaN: refq writes the positive one
    number = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got[number]), np.signbit(want[number]))


def test_dynamic_quantize_linear(ask_onnxruntime):
    """Ranges whose zero point is near a tie, and near ties of the scale that they give."""
    f, rng = np.float32, np.random.default_rng(0)
    rows = []
    for k in range(250):
        part = (k + 0.5) / 255  # of the range lies below zero
        high = f(rng.uniform(0.5, 2))
        low = f(-high * part / (1 - part))
        low = np.nextafter(low, f(0)) if k % 3 else low
        halves = np.float64((high - low) / f(255)) * np.arange(-510, 511) / 2
        rows.append(np.concatenate([[low, high], np.clip(halves.astype(f), low, high)]))
    x = np.stack(rows).astype(f)
    assert x.size >= 50_000
    outputs = ["UINT8", "FLOAT", "UINT8"]
    theirs = ask_onnxruntime("DynamicQuantizeLinear", [["x", "FLOAT", "each"]], outputs, x=x)
    for i, row in enumerate(x):
        for mine, yours in zip(ops.dynamic_quantize_linear(row), theirs, strict=True):
            np.testing.assert_array_equal(mine, yours[i])
