"""Integer products and their requantization in ONNX Runtime 1.31 are the preset's, on near ties.

A near tie of an accumulator is an odd multiple of `d` under a multiplier beside ``1 / (2 d)``. All
products are exact modulo 2^32 on CPUs with VNNI.
"""

import numpy as np
import pytest

from refq import ops, semantics

pytestmark = pytest.mark.peers("onnx", "onnxruntime")

ORT = semantics.get("onnxruntime", "1.31")
PAIRS = [(a, b) for a in ("uint8", "int8") for b in ("uint8", "int8")]
DIVISORS = (1, 3, 5, 7, 11, 13, 49, 97, 101, 333, 1001, 4099)
SA, SY = np.float32(0.7), np.float32(0.013)


def codes(rng, dtype, shape):
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, size=shape, endpoint=True).astype(dtype)


def scale_for(multiplier, a_scale=SA, y_scale=SY):
    """Return b_scale with ``a_scale * b_scale / y_scale`` near the multiplier, in float32."""
    return np.asarray(multiplier * np.float64(y_scale) / np.float64(a_scale)).astype(np.float32)


def moved(x, ulps):
    return (np.asarray(x, np.float32).view(np.int32) + np.int32(ulps)).view(np.float32)


def factors(sums, dtype, b):
    """Return a and its zero point with ``(a - zero_point) @ b == sums``; b is 7 equal, then 1."""
    info = np.iinfo(dtype)
    zero = (int(info.min) + int(info.max) + 1) // 2
    step = int(b[0])
    rest = np.floor_divide(sums + step // 2, step)
    last = sums - rest * step
    columns = []
    for _ in b[:-1]:
        taken = np.clip(rest, info.min - zero, info.max - zero)
        columns.append(taken)
        rest = rest - taken
    assert not rest.any()
    a = np.stack([*columns, last], axis=1)
    np.testing.assert_array_equal(a @ b, sums)
    return (a + zero).astype(dtype), dtype(zero)


def tie_sums(divisor, limit=110_000):
    """Return odd multiples of the divisor, their neighbours, and a few large sums."""
    count = min(420, limit // divisor)
    odd = divisor * np.arange(-count | 1, count, 2, dtype=np.int64)
    return odd


def matmul(ask, a, b, a_zero, b_zero, role="feed"):
    names = [a.dtype.name.upper(), b.dtype.name.upper()]
    inputs = [["a", names[0], role], ["b", names[1], "feed"]]
    inputs += [["za", names[0], "feed"], ["zb", names[1], "feed"]]
    return ask("MatMulInteger", inputs, ["INT32"], a=a, b=b, za=a_zero, zb=b_zero)[0]


@pytest.mark.parametrize(("left", "right"), PAIRS)
def test_matmul_integer(ask_onnxruntime, left, right):
    rng = np.random.default_rng(0)
    a, b = codes(rng, left, (250, 67)), codes(rng, right, (67, 210))
    za = codes(rng, left, ())
    for zb in (codes(rng, right, ()), codes(rng, right, 210)):
        theirs = matmul(ask_onnxruntime, a, b, za, zb)
        assert theirs.size >= 50_000
        np.testing.assert_array_equal(ops.matmul_integer(a, b, za, zb), theirs)


@pytest.mark.parametrize(("left", "right"), PAIRS)
def test_matmul_integer_beyond_int32(ask_onnxruntime, left, right):
    k = 140_000
    a = np.full((2, k), np.iinfo(left).max, left)
    a[1] = np.iinfo(left).min
    b = np.full((k, 3), np.iinfo(right).max, right)
    b[:, 1], b[:, 2] = np.iinfo(right).min, 1
    za, zb = np.dtype(left).type(7), np.dtype(right).type(9)
    theirs = matmul(ask_onnxruntime, a, b, za, zb)
    exact = (a.astype(np.int64) - 7) @ (b.astype(np.int64) - 9)
    assert (np.abs(exact) >= 2**31).any()
    np.testing.assert_array_equal(ops.matmul_integer(a, b, za, zb, overflow="wrap"), theirs)


def test_matmul_integer_has_no_zero_point_per_row(ask_onnxruntime):
    a, b = np.ones((3, 2), np.uint8), np.ones((2, 4), np.uint8)
    with pytest.raises(RuntimeError, match="input1 zero point must be a scalar"):
        matmul(ask_onnxruntime, a, b, np.arange(3, dtype=np.uint8), np.uint8(0))


@pytest.mark.parametrize(("left", "right"), PAIRS)
def test_conv_integer(ask_onnxruntime, left, right):
    rng = np.random.default_rng(0)
    x, w = codes(rng, left, (2, 4, 30, 29)), codes(rng, right, (32, 2, 3, 3))
    zx, zw = codes(rng, left, ()), codes(rng, right, ())
    names = [left.upper(), right.upper()]
    inputs = [["x", names[0], "feed"], ["w", names[1], "const"]]
    inputs += [["zx", names[0], "feed"], ["zw", names[1], "const"]]
    attributes = {"pads": [1, 0, 2, 1], "group": 2}
    theirs = ask_onnxruntime("ConvInteger", inputs, ["INT32"], attributes, x=x, w=w, zx=zx, zw=zw)
    ours = ops.conv_integer(x, w, zx, zw, padding=(1, 0, 2, 1), groups=2)
    assert ours.size >= 50_000
    np.testing.assert_array_equal(ours, theirs[0])


QLINEAR = [("uint8", "uint8"), ("uint8", "int8"), ("int8", "int8")]  # the result is like a


@pytest.mark.parametrize("per_column", [False, True])
@pytest.mark.parametrize(("left", "right"), QLINEAR)
def test_qlinear_matmul(ask_onnxruntime, left, right, per_column):
    """All columns of b are equal; the multipliers differ: per column, or from run to run."""
    da, db = np.dtype(left).type, np.dtype(right).type
    b = np.array([min(200, np.iinfo(right).max)] * 7 + [1], np.int64)
    zy = da(np.iinfo(left).min + 101)
    cases = 0
    for divisor in DIVISORS:
        a, za = factors(tie_sums(divisor), da, b)
        ulps = np.arange(-8, 9, dtype=np.int32)
        odd = np.array([1.0, 3.0, 5.0]) / (2 * divisor)
        scales = (scale_for(odd)[:, None].view(np.int32) + ulps).ravel().view(np.float32)
        columns = np.tile(b[:, None], scales.size if per_column else 1).astype(db)
        zb = np.zeros(scales.size if per_column else (), db)
        sa, sy = SA, SY
        inputs = [
            ["a", left.upper(), "feed"],
            ["sa", "FLOAT", "feed"],
            ["za", left.upper(), "feed"],
        ]
        inputs += [["b", right.upper(), "feed"], ["sb", "FLOAT", "feed" if per_column else "each"]]
        inputs += [["zb", right.upper(), "feed"], ["sy", "FLOAT", "feed"]]
        inputs += [["zy", left.upper(), "feed"]]
        arrays = {"a": a, "sa": sa, "za": za, "b": columns, "sb": scales, "zb": zb, "sy": sy}
        theirs = ask_onnxruntime("QLinearMatMul", inputs, [left.upper()], zy=zy, **arrays)[0]
        one = (a, sa, za, columns)
        if per_column:
            ours = ops.qlinear_matmul(*one, scales, zb, sy, zy, semantics=ORT)
        else:
            ours = np.stack(
                [ops.qlinear_matmul(*one, s, zb, sy, zy, semantics=ORT) for s in scales]
            )
        np.testing.assert_array_equal(ours, theirs)
        cases += theirs.size
    assert cases >= 50_000


def test_qlinear_matmul_at_the_limits_of_int32(ask_onnxruntime):
    """Sums beside 2^31, wrapped ones among them; float32 rounds them before they are scaled."""
    k = np.arange(32_950, 33_150)
    a = (np.arange(33_200) < k[:, None]).astype(np.uint8) * np.uint8(255)
    a[:, -1] = np.arange(200)
    b = np.full((33_200, 2), 255, np.uint8)
    b[:, 1] = 254
    inputs = [["a", "UINT8", "feed"], ["sa", "FLOAT", "feed"], ["za", "UINT8", "feed"]]
    inputs += [["b", "UINT8", "feed"], ["sb", "FLOAT", "each"], ["zb", "UINT8", "feed"]]
    inputs += [["sy", "FLOAT", "feed"], ["zy", "UINT8", "feed"]]
    scales = np.float32([2**-25, 1e-9, 6e-8, 1.0, 3e38])
    zero, one = np.uint8(0), np.float32(1)
    arrays = {"a": a, "sa": one, "za": zero, "b": b, "sb": scales, "zb": zero, "sy": one}
    theirs = ask_onnxruntime("QLinearMatMul", inputs, ["UINT8"], zy=np.uint8(128), **arrays)[0]
    ours = [
        ops.qlinear_matmul(a, one, zero, b, s, zero, one, np.uint8(128), semantics=ORT)
        for s in scales
    ]
    np.testing.assert_array_equal(np.stack(ours), theirs)


#: (in channels, out channels, kernel, stride, padding, dilation, groups)
SHAPES = {
    "general": (6, 32, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    "pointwise": (32, 32, (1, 1), (1, 1), (0, 0), (1, 1), 1),
    "depthwise": (32, 32, (3, 3), (1, 1), (1, 1), (1, 1), 32),
    "depthwise 5x5": (32, 32, (5, 5), (1, 1), (2, 2), (1, 1), 32),
    "strided": (5, 32, (3, 2), (2, 1), (1, 0), (1, 1), 1),
    "dilated groups": (8, 32, (3, 3), (1, 1), (2, 2), (2, 2), 4),
}


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("left", "right"), QLINEAR)
def test_qlinear_conv(ask_onnxruntime, left, right, shape, per_channel):
    channels, outputs, size, stride, padding, dilation, groups = SHAPES[shape]
    rng = np.random.default_rng(0)
    da, db = np.dtype(left).type, np.dtype(right).type
    zx, zy = da(np.iinfo(left).min + 77), da(np.iinfo(left).min + 101)
    zw = db(0 if right == "int8" else 130)  # int8 weights without zero point have kernels apart
    x = (int(zx) + rng.integers(-3, 4, size=(4, channels, 60, 60))).astype(da)
    w = (int(zw) + rng.integers(-2, 3, size=(outputs, channels // groups, *size))).astype(db)
    bias = rng.integers(-20, 21, size=outputs).astype(np.int32)
    divisors = np.resize([1, 1, 3, 5], outputs) if per_channel else np.ones(1)
    scales = moved(scale_for(1 / (2 * divisors)), 0)
    scales = np.array([moved(s, i % 5 - 2) for i, s in enumerate(scales)], np.float32)
    scales = scales if per_channel else scales[0]
    zeros = np.full(outputs, zw) if per_channel else zw
    kinds = [left.upper(), "FLOAT", left.upper(), right.upper(), "FLOAT", right.upper()]
    kinds += ["FLOAT", left.upper(), "INT32"]
    names = ["x", "sx", "zx", "w", "sw", "zw", "sy", "zy", "bias"]
    arguments = [x, SA, zx, w, scales, zeros, SY, zy, bias]
    attributes = {
        "pads": [*padding, *padding],
        "strides": stride,
        "dilations": dilation,
        "group": groups,
    }
    settings = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    ours = ops.qlinear_conv(*arguments, **settings, semantics=ORT)
    sums = ops.conv_integer(x, w, zx, zeros, **settings) + bias[:, None, None]
    ties = np.abs(sums) % (2 * divisors[:, None, None]) == divisors[:, None, None]
    assert ties.sum() >= 50_000
    for role in ("const", "feed"):  # constant weights are packed once, by other code
        inputs = [
            [n, k, role if n in ("w", "sw", "zw", "bias") else "feed"]
            for n, k in zip(names, kinds, strict=True)
        ]
        arrays = dict(zip(names, arguments, strict=True))
        theirs = ask_onnxruntime("QLinearConv", inputs, [left.upper()], attributes, **arrays)[0]
        np.testing.assert_array_equal(ours, theirs)


def test_qlinear_conv_at_the_limits_of_int32(ask_onnxruntime):
    """The bias takes sums past 2^31: they wrap."""
    x = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    w = np.array([1, -1, 127, -128], np.int8).reshape(4, 1, 1, 1)
    bias = np.int32([2**31 - 100, -(2**31) + 99, 2**31 - 1, 2**31 - 32768])
    scale, zero = np.float32([5.9e-8]), np.uint8(128)
    arrays = {"x": x, "one": np.float32(1), "zx": np.uint8(0), "w": w, "sw": scale}
    inputs = [["x", "UINT8", "feed"], ["one", "FLOAT", "const"], ["zx", "UINT8", "const"]]
    inputs += [["w", "INT8", "const"], ["sw", "FLOAT", "const"], ["zw", "INT8", "const"]]
    inputs += [["one", "FLOAT", "const"], ["zy", "UINT8", "const"], ["bias", "INT32", "const"]]
    theirs = ask_onnxruntime(
        "QLinearConv", inputs, ["UINT8"], zw=np.int8(0), zy=zero, bias=bias, **arrays
    )[0]
    one, none = np.float32(1), np.int8(0)
    ours = ops.qlinear_conv(x, one, np.uint8(0), w, scale, none, one, zero, bias, semantics=ORT)
    np.testing.assert_array_equal(ours, theirs)
    assert len(np.unique(ours[0, 0])) > 1
