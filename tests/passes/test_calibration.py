"""Where grids are put, what they are, and that fake quantization is the text, bit for bit."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq import nn
from refq.conformance.texts import onnx_quantization as text
from refq.core.errors import RangeError
from refq.core.granularity import PerAxis
from refq.encodings import Cast
from refq.passes import calibrate, fold_batchnorm, quantization_points
from refq.scalar import AffineQuantizer

IMAGE = (2, 4, 4)


def graph(*nodes, input_shape=IMAGE):
    return nn.Model([nn.Node(*node) for node in nodes], input_shape).initialize(0)


def data(n=20, shape=IMAGE, seed=0):
    return np.random.default_rng(seed).standard_normal((n, *shape), dtype=np.float32)


def conv(*channels):
    return nn.Conv2d(*channels, 3, padding=1)


def test_points_of_a_residual_block():
    model = graph(
        ("conv1", conv(2, 2), "input"),
        ("relu1", nn.ReLU(), "conv1"),
        ("conv2", conv(2, 2), "relu1"),
        ("sum", nn.Add(), ("conv2", "input")),
        ("relu2", nn.ReLU(), "sum"),
        ("pool", nn.GlobalAvgPool(), "relu2"),
        ("fc", nn.Linear(2, 3), "pool"),
    )
    assert quantization_points(model) == ["input", "relu1", "conv2", "relu2"]
    calibrated = calibrate(model, data())
    assert calibrated.node("sum").inputs == ("conv2_q", "input_q")
    assert calibrated.node("pool").inputs == ("relu2_q",)
    assert [n.name for n in calibrated.nodes if isinstance(n.layer, nn.Quantize)] == [
        "input_q",
        "relu1_q",
        "conv2_q",
        "relu2_q",
    ]


def test_points_of_a_concatenation_and_pooling():
    model = graph(
        ("conv1", conv(2, 2), "input"),
        ("pool1", nn.MaxPool(2), "conv1"),
        ("pool2", nn.AvgPool(2), "input"),
        ("cat", nn.Concat(), ("pool1", "pool2")),
        ("clip", nn.ClippedReLU(), "cat"),
        ("flat", nn.Flatten(), "clip"),
        ("fc", nn.Linear(16, 3), "flat"),
    )
    assert quantization_points(model) == ["input", "conv1", "clip"]


def test_a_relu_is_fused_only_where_it_alone_reads():
    model = graph(
        ("conv1", conv(2, 2), "input"),
        ("relu1", nn.ReLU(), "conv1"),
        ("sum", nn.Add(), ("conv1", "relu1")),
        ("out", conv(2, 1), "sum"),
    )
    assert quantization_points(model) == ["input", "conv1", "relu1", "sum"]


def test_the_second_of_two_relus_has_a_grid_of_its_own():
    model = graph(
        ("conv1", conv(2, 2), "input"),
        ("relu1", nn.ReLU(), "conv1"),
        ("relu2", nn.ClippedReLU(1.0), "relu1"),
        ("relu3", nn.ReLU(), "input"),
        ("pool", nn.MaxPool(1), "relu3"),
        ("relu4", nn.ReLU(), "pool"),
        ("sum", nn.Add(), ("relu2", "relu4")),
        ("out", conv(2, 1), "sum"),
    )
    assert quantization_points(model) == ["input", "relu1", "relu2", "relu3", "relu4", "sum"]


def test_dropout_is_looked_through():
    model = graph(
        ("fc1", nn.Linear(2, 3), "input"),
        ("drop1", nn.Dropout(), "fc1"),
        ("relu1", nn.ReLU(), "drop1"),
        ("drop2", nn.Dropout(), "relu1"),
        ("fc2", nn.Linear(3, 2), "drop2"),
        ("drop3", nn.Dropout(), "fc2"),
        input_shape=(2,),
    )
    assert quantization_points(model) == ["input", "relu1"]


def test_the_output_is_not_quantized_and_a_relu_on_it_is_fused():
    model = graph(("fc1", nn.Linear(2, 3), "input"), ("relu1", nn.ReLU(), "fc1"), input_shape=(2,))
    assert quantization_points(model) == ["input"]


@st.composite
def observed(draw):
    """Return a range of activations far from one, or of one sign, and a scheme."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shift, size = draw(st.sampled_from([0, 1, -1, 9, -9])), draw(st.sampled_from([1, 1e-3, 300]))
    X = (size * (rng.random((draw(st.integers(1, 5)), 2)) + shift)).astype(np.float32)
    scheme = draw(st.sampled_from(["asymmetric", "asymmetric_signed", "symmetric"]))
    bits = draw(st.sampled_from([8, 4, 16]))
    return X, AffineQuantizer(bits, scheme=scheme, scale_method=Cast("float32"))


@given(observed())
def test_zero_is_a_code_and_the_range_is_covered(case):
    X, method = case
    model = graph(("fc1", nn.Linear(2, 2), "input"), input_shape=(2,))
    grid = calibrate(model, X, method).node("input_q").layer
    low, high = grid.integers.low, grid.integers.high
    assert low <= grid.zero_point <= high
    assert grid.forward(np.zeros((1, 1), np.float32))[0] == 0
    # the zero point is rounded, half a step; the scale too, 2^-24 of the range
    step = float(grid.scale_value)
    slack = step * (0.5 + (high - low) * 2.0**-22)
    assert float(X.max()) <= step * (high - grid.zero_point) + slack
    assert float(X.min()) >= step * (low - grid.zero_point) - slack


@given(observed(), st.integers(-70000, 70000), st.booleans(), st.integers(-2, 2))
def test_fake_quantization_equals_the_text_bit_for_bit(case, k, tie, ulps):
    X, method = case
    grid = calibrate(graph(("fc1", nn.Linear(2, 2), "input"), input_shape=(2,)), X, method)
    layer = grid.node("input_q").layer
    x = np.float32((k + 0.5 * tie) * float(layer.scale_value))
    for _ in range(abs(ulps)):
        x = np.nextafter(x, np.float32(np.inf * ulps))
    scale, z, form = Fraction(float(layer.scale_value)), layer.zero_point, layer.integers
    code = text.quantize_linear(Fraction(float(x)), scale, z, "float32", form.low, form.high)
    want = text.dequantize_linear(code, scale, z, "float32")
    for dtype in (np.float32, np.float64):
        y, mask = layer.forward(np.array([[x]], dtype))
        assert y.dtype == dtype
        assert Fraction(float(y[0, 0])) == want
        level = text.add_zero_point(text.divide(Fraction(float(x)), scale, "float32"), z)
        assert mask[0, 0] == (form.low <= level <= form.high)


def test_one_example_is_enough():
    model = graph(("fc1", nn.Linear(2, 2), "input"), input_shape=(2,))
    grid = calibrate(model, [[0.5, -0.25]]).node("input_q").layer
    assert (grid.zero_point, grid.format) == (85, "uint8")
    assert grid.scale_value == np.float32(0.75 / 255)


def test_an_activation_that_is_always_zero():
    model = graph(
        ("fc1", nn.Linear(2, 2), "input"), ("fc2", nn.Linear(2, 2), "fc1"), input_shape=(2,)
    )
    calibrated = calibrate(model, np.zeros((3, 2)))
    for name in ("input_q", "fc1_q"):
        assert (
            calibrated.node(name).layer.scale_value,
            calibrated.node(name).layer.zero_point,
        ) == (1, 0)
    assert not calibrated.predict(np.zeros((2, 2))).any()


def test_a_scale_in_float16_is_the_scale_that_is_used():
    model = graph(("fc1", nn.Linear(2, 2), "input"), input_shape=(2,))
    grid = calibrate(model, [[0.5, -0.25]], AffineQuantizer()).node("input_q").layer
    assert grid.scale_value == np.float32(np.float16(0.75 / 255))


def test_a_split_gives_its_inputs_and_nothing_is_changed():
    class Split:
        X = data()

    model = graph(("conv1", conv(2, 2), "input"), ("out", conv(2, 1), "conv1"))
    method = AffineQuantizer(scheme="symmetric")
    one, other = calibrate(model, Split, method), calibrate(model, Split.X, method)
    assert np.array_equal(one.predict(Split.X), other.predict(Split.X))
    assert not hasattr(method, "scale_")
    assert len(model.nodes) == 2


def test_refusals():
    model = graph(("fc1", nn.Linear(2, 2), "input"), input_shape=(2,))
    with pytest.raises(RangeError, match=r"calibration\[1, 0\] = nan must be finite"):
        calibrate(model, np.array([[0, 0], [np.nan, 0]], np.float32))
    with pytest.raises(RangeError, match="calibration is empty"):
        calibrate(model, np.zeros((0, 2), np.float32))
    with pytest.raises(RangeError, match="input: the method has 8 scales; activations take one"):
        calibrate(model, np.ones((4, 2)), AffineQuantizer(granularity=PerAxis(0)))
    with pytest.raises(RangeError, match="input: the scale is kept in float64"):
        calibrate(model, np.ones((4, 2)), AffineQuantizer(scale_method=Cast("float64")))
    with pytest.raises(RangeError, match=r"input: .*unsigned"):
        calibrate(model, -np.ones((4, 2)), AffineQuantizer(scheme="unsigned"))
    with pytest.raises(RangeError, match="input_q is a Quantize: the model is calibrated already"):
        calibrate(calibrate(model, np.ones((4, 2))), np.ones((4, 2)))


def test_batch_normalization_that_was_not_folded_has_a_point():
    model = graph(
        ("conv1", nn.Conv2d(2, 2, 1, bias=False), "input"),
        ("bn1", nn.BatchNorm(2), "conv1"),
        ("relu1", nn.ReLU(), "bn1"),
        ("out", conv(2, 1), "relu1"),
    )
    assert quantization_points(model) == ["input", "conv1", "bn1", "relu1"]
    assert quantization_points(fold_batchnorm(model)) == ["input", "relu1"]
