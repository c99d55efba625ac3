"""Integer convolution and linear layers against the standard's text and one rounding."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.conformance.texts import onnx_integer as text
from refq.core.errors import AccumulatorOverflow, DTypeError, RangeError, ShapeError
from refq.encodings import dense
from refq.nn import IntegerConv2d, IntegerLinear


def multiplier(rng, count):
    return rng.integers(1 << 30, 1 << 31, count), rng.integers(28, 42, count)


def settings_of(rng, outputs, count, format="int8"):
    low, high = {"int8": (-128, 127), "uint8": (0, 255), "int32": (-(2**31), 2**31 - 1)}[format]
    mantissa, shift = multiplier(rng, count)
    return {
        "format": format,
        "input_zero_point": int(rng.integers(0, 256)),
        "output_zero_point": int(rng.integers(max(low, -9), 10)) if low < 0 else 7,
        "low": low + int(rng.integers(0, 3)),
        "high": high - int(rng.integers(0, 3)),
        "bias": rng.integers(-5000, 5000, outputs).astype(np.int32),
        "mantissa": mantissa,
        "shift": shift.astype(np.uint8),
        "output_scale": np.float32(0.5),
    }


def requantized(total, config, channel):
    at = channel if len(config["mantissa"]) > 1 else 0
    real = Fraction(total * int(config["mantissa"][at]), 1 << int(config["shift"][at]))
    code = math.floor(real + Fraction(1, 2)) + config["output_zero_point"]
    return min(max(code, config["low"]), config["high"])


@given(st.integers(0, 2**32), st.booleans(), st.sampled_from(["int8", "uint8", "int32"]))
def test_linear_equals_the_text(seed, one, format):
    rng = np.random.default_rng(seed)
    n, k, m = (int(v) for v in rng.integers(1, 6, 3))
    config = settings_of(rng, m, 1 if one else m, format)
    W = rng.integers(-128, 128, (m, k)).astype(np.int8)
    x = rng.integers(0, 256, (n, k)).astype(np.uint8)
    layer = IntegerLinear(k, m, **config, weight=dense(W))
    y, cache = layer.forward(x)
    sums = text.matmul_integer(x.tolist(), W.T.tolist(), [config["input_zero_point"]] * n, [0] * m)
    want = [
        [requantized(sums[i][j] + int(config["bias"][j]), config, j) for j in range(m)]
        for i in range(n)
    ]
    assert y.tolist() == want
    assert (y.dtype, cache) == (np.dtype(format), None)


@given(st.integers(0, 2**32), st.booleans())
def test_convolution_equals_the_text(seed, one):
    rng = np.random.default_rng(seed)
    groups, depth, per = (int(v) for v in rng.integers(1, 3, 3))
    c, m = groups * depth, groups * per
    config = settings_of(rng, m, 1 if one else m)
    kernel, stride, dilation = (tuple(map(int, rng.integers(1, 3, 2))) for _ in range(3))
    padding = tuple(map(int, rng.integers(0, 2, 2)))
    W = rng.integers(-128, 128, (m, depth, *kernel)).astype(np.int8)
    x = rng.integers(0, 256, (2, c, 4, 5)).astype(np.uint8)
    layer = IntegerConv2d(c, m, kernel, stride, padding, dilation, groups, **config, weight=W)
    z = config["input_zero_point"]
    sums = text.conv_integer(
        x.tolist(), W.tolist(), z, [0] * m, stride, (*padding, *padding), dilation, groups
    )
    want = [
        [
            [[requantized(v + int(config["bias"][o]), config, o) for v in row] for row in rows]
            for o, rows in enumerate(image)
        ]
        for image in sums
    ]
    y = layer.forward(x)[0]
    assert y.tolist() == want
    assert layer.output_shape((c, 4, 5)) == y.shape[1:]
    assert layer.macs((c, 4, 5)) == y[0].size * depth * kernel[0] * kernel[1]


def linear(**changes):
    config = {
        **{"in_features": 2, "out_features": 2, "format": "int8", "input_zero_point": 3},
        **{"output_zero_point": 1, "low": -128, "high": 127, "output_scale": 1.0},
        "weight": np.int8([[1, 2], [3, 4]]),
        "bias": np.int32([0, 0]),
        "mantissa": np.int64([1 << 30]),
        "shift": np.int64([30]),
    }
    return IntegerLinear(**{**config, **changes})


@pytest.mark.parametrize(
    ("changes", "error", "word"),
    [
        ({"format": "float32"}, DTypeError, "float32"),
        ({"format": "no"}, RangeError, "unknown"),
        ({"input_zero_point": 1 << 31}, RangeError, "input_zero_point"),
        ({"output_zero_point": 128}, RangeError, "output_zero_point = 128"),
        ({"low": -129}, RangeError, "low"),
        ({"low": 5, "high": 4}, RangeError, "high = 4"),
        ({"high": 128}, RangeError, "high"),
        ({"weight": np.ones((2, 2), np.float32)}, DTypeError, "weight has dtype float32"),
        ({"weight": np.ones((2, 3), np.int8)}, ShapeError, "weight has shape"),
        ({"bias": np.zeros(2)}, DTypeError, "bias has dtype float64"),
        ({"bias": np.int32([0])}, ShapeError, "bias has shape"),
        ({"mantissa": [1 << 30] * 3}, ShapeError, "mantissa has shape"),
        ({"mantissa": np.float32([1])}, DTypeError, "mantissa has dtype"),
        ({"shift": np.int64([30, 30])}, ShapeError, "shift has shape"),
        ({"output_scale": np.ones(1)}, ShapeError, "output_scale"),
        ({"in_features": 0}, RangeError, "in_features"),
    ],
)
def test_arguments(changes, error, word):
    with pytest.raises(error, match=word):
        linear(**changes)


@pytest.mark.parametrize(
    ("changes", "word"),
    [({"mantissa": np.int64([5])}, "mantissa"), ({"shift": np.int64([0])}, "shift")],
)
def test_multipliers_are_checked_before_they_are_used(changes, word):
    with pytest.raises(RangeError, match=word):
        linear(**changes).forward(np.uint8([[1, 1]]))


def test_inputs():
    layer = linear()
    with pytest.raises(DTypeError, match="got float32; pass integer codes"):
        layer.forward(np.ones((1, 2), np.float32))
    with pytest.raises(ShapeError, match=r"takes shape \(2,\), not \(3,\)"):
        layer.forward(np.ones((1, 3), np.uint8))
    with pytest.raises(DTypeError, match="no gradient"):
        layer.backward(np.ones((1, 2)), None)
    with pytest.raises(RangeError, match="zero_point = -1"):  # no code of the input
        linear(input_zero_point=-1).forward(np.uint8([[1, 1]]))
    assert layer.forward(np.zeros((0, 2), np.uint8))[0].shape == (0, 2)
    assert layer.macs((2,)) == 4
    assert layer.parameters() == {}


def test_sums_that_leave_int32_are_refused():
    n = 70000
    sizes = {"in_features": n, "out_features": 1, "bias": np.int32([0])}
    wide = linear(**sizes, weight=np.full((1, n), 127, np.int8))
    with pytest.raises(AccumulatorOverflow, match="K=70000"):
        wide.forward(np.zeros((1, n), np.uint8))
    light = linear(**sizes, weight=np.zeros((1, n), np.int8))  # its sums cannot leave int32
    assert light.forward(np.zeros((1, n), np.uint8))[0].shape == (1, 1)
    layer = linear(bias=np.int32([2**31 - 1, 0]))
    assert layer.forward(np.uint8([[3, 3]]))[0].tolist() == [[127, 1]]
    with pytest.raises(RangeError, match=r"accumulator\[0, 0\] = 2147483648"):
        layer.forward(np.uint8([[4, 3]]))


def test_groups_must_divide():
    tensors = linear().tensors()
    with pytest.raises(RangeError, match="groups = 2 must divide"):
        IntegerConv2d(3, 2, (1, 1), (1, 1), (0, 0), (1, 1), 2, "int8", 0, 0, -128, 127, **tensors)
