"""Fake quantization and the border of an integer model. The text judges it in tests/passes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import DTypeError, RangeError, ShapeError
from refq.encodings import ScaledEncoding, dense
from refq.nn import Quantize, QuantizeInput

FORMATS = ("uint8", "int8", "int4", "uint16", "uint1")


@given(st.sampled_from(FORMATS), st.data())
def test_the_gradient_passes_where_nothing_was_saturated(name, data):
    layer = Quantize(name, 0, 0.5)
    z = data.draw(st.integers(layer.integers.low, layer.integers.high))
    layer = Quantize(name, z, data.draw(st.sampled_from([1.0, 0.5, 1 / 3, 0.1, 3e-5])))
    edge = data.draw(st.sampled_from([layer.integers.low - 0.5, layer.integers.high + 0.5]))
    x = np.float32((edge - z) * float(layer.scale_value))
    for _ in range(data.draw(st.integers(0, 3))):
        x = np.nextafter(x, np.float32(data.draw(st.sampled_from([-np.inf, np.inf]))))
    y, mask = layer.forward(np.array([[x]]))
    wide = Quantize("int32", z, layer.scale).forward(np.array([[x]]))[0]
    assert mask[0, 0] == (wide[0, 0] == y[0, 0])  # a grid without an edge gives the same number
    (grad,), none = layer.backward(np.array([[3.0]], np.float32), mask)
    assert grad[0, 0] == (3.0 if mask[0, 0] else 0.0)
    assert grad.dtype == np.float32
    assert none == {}


def test_ties_at_the_edges_follow_the_even_rule():
    # 255.5 steps round to 256, saturated; -0.5 rounds to 0, a code
    layer = Quantize("uint8", 0, 1.0)
    x = np.array([[255.5, 255.49998, -0.5, -0.50001, np.inf]], np.float32)[:, :4]
    assert layer.forward(x)[1].tolist() == [[False, True, True, False]]
    # one code more below zero makes the top even: 254.5 rounds to 254, a code
    assert Quantize("uint8", 1, 1.0).forward(np.float32([[254.5, -1.5]]))[1].tolist() == [
        [True, False]
    ]


def test_values_beyond_float32_saturate_without_a_warning():
    layer = Quantize("int8", 0, 1.0)
    y, mask = layer.forward(np.array([[1e300, -1e300, 1e-300]]))
    assert y.tolist() == [[127.0, -128.0, 0.0]]
    assert mask.tolist() == [[False, False, True]]
    y, mask = Quantize("int8", 0, 1e-30).forward(np.float32([[3e38]]))  # the quotient overflows
    assert not mask[0, 0]


def test_shapes_and_dtypes():
    layer = Quantize("uint8", 3, 0.25)
    for shape in [(0, 3), (2, 3), (2, 3, 4, 5)]:
        for dtype in (np.float32, np.float64):
            y, _ = layer.forward(np.zeros(shape, dtype))
            assert y.shape == shape
            assert y.dtype == dtype
    assert layer.output_shape((3, 4)) == (3, 4)
    with pytest.raises(DTypeError):
        layer.forward(np.zeros((1, 2), np.uint8))
    with pytest.raises(RangeError, match="nan"):
        layer.forward(np.full((1, 1), np.nan, np.float32))


@pytest.mark.parametrize("kind", [Quantize, QuantizeInput])
def test_arguments(kind):
    with pytest.raises(RangeError, match="zero_point = 256"):
        kind("uint8", 256)
    with pytest.raises(RangeError, match=r"zero_point = 0\.0"):
        kind("uint8", 0.0)
    with pytest.raises(RangeError, match="unknown"):
        kind("uint99")
    with pytest.raises(DTypeError, match="float16"):
        kind("float16")
    with pytest.raises(DTypeError, match="int64"):
        kind("int64")
    for scale in (0.0, -1.0, 1e-60):
        with pytest.raises(RangeError, match="must be finite and > 0"):
            kind("uint8", 0, scale)
    for scale in (np.nan, np.inf, 1e60):
        with pytest.raises(RangeError, match="finite"):
            kind("uint8", 0, scale)
    with pytest.raises(ShapeError, match="scale has shape"):
        kind("uint8", 0, [1.0])
    with pytest.raises(RangeError, match="must be finite and > 0"):
        kind("uint8", 0, 1.0).replace(scale=np.float64(1e-60))
    with pytest.raises(RangeError, match="must be finite and > 0"):
        kind("uint8", 0, dense(np.array(-1.0, np.float32)))


def test_a_scale_that_is_an_encoding():
    scale = ScaledEncoding(dense(np.array(3), "uint4"), dense(np.array(0.5), "float16"), ())
    layer = Quantize("int8", 0, scale)
    assert layer.scale_value == np.float32(1.5)
    assert layer.scale is scale
    assert repr(layer) == "nn.Quantize('int8', zero_point=0, scale=1.5)"


def test_input_codes_pass_through_and_others_do_not():
    layer = QuantizeInput("uint4", 3, 0.5)
    codes = np.uint8([[0, 15]])
    assert layer.forward(codes)[0] is codes
    assert layer.forward(np.zeros((0, 2), np.uint8))[0].shape == (0, 2)
    assert layer.forward(np.array([[1.0, 99.0]]))[0].tolist() == [[5, 15]]
    with pytest.raises(DTypeError, match="got int64; pass uint8 codes or floats"):
        layer.forward(np.array([[1]]))
    with pytest.raises(RangeError, match=r"codes in \[3, 16\]; allowed: \[0, 15\]"):
        layer.forward(np.uint8([[3, 16]]))
    with pytest.raises(DTypeError, match="no gradient"):
        layer.backward(codes, None)
