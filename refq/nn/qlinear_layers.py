"""Integer layers whose requantization is a runtime's: float32 multipliers made of three scales.

Problem
-------
`IntegerConv2d` and its like multiply by fixed-point numbers. A runtime that has the same network as
an ONNX graph holds scales, and computes with them in float32; to agree with it bit for bit, a layer
must hold the scales too, and compute as it does.

Equation
--------
``q_y = saturate(round(acc * (s_x * s_w / s_y)) + z_y)`` by ``semantics.requantize``; an addition is
``quantize(dequantize(q_a) + dequantize(q_b))``, every step in float32.

Conventions
-----------
`semantics` is a preset's name and version, one string: a model in a file names its arithmetic. All
tensors are buffers. The accumulator is exact in int32; the bias is added to it in int32.

References
----------
.. [1] ONNX operator specification, opset 28: QLinearConv, MatMulInteger, QuantizeLinear.
"""

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..core.checks import check_integer, check_scale
from ..core.errors import RangeError, ShapeError
from ..core.semantics import RequantizeRule, Semantics
from ..core.semantics import get as get_semantics
from ..encodings import Encoding
from ..ops.convolution import qlinear_conv
from ..ops.matmul import matmul_integer
from ..ops.quantization import dequantize_linear, quantize_linear
from ..ops.requantization import requantize_by_rule
from .integer_layer import INT32, IntegerLayer
from .integer_layers import IntegerConv2d, IntegerLinear
from .layer import Array, Shape, Tensor, check_tensor

__all__ = ["QLinearAdd", "QLinearConv2d", "QLinearLinear", "QLinearRescale"]


def _preset(semantics: str) -> Semantics:
    """Return the preset of a name and version, if scales in float32 are all it needs."""
    found = get_semantics(*semantics.split(maxsplit=1))
    if replace(found.requantize, rounding="half_even") != RequantizeRule("float32"):
        raise RangeError(
            f"semantics = {semantics!r} requantizes by {found.requantize}; "
            "these layers need RequantizeRule('float32')"
        )
    return found


def _scales(value: Any, shape: Shape, name: str) -> Tensor:
    tensor = check_tensor(value, shape, name)
    check_scale(tensor.decode() if isinstance(tensor, Encoding) else tensor, name)
    return tensor


class QLinearConv2d(IntegerConv2d):
    """Correlate codes with integer kernels and requantize by scales, as ONNX's QLinearConv.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of input and output.
    kernel_size, stride, padding, dilation : tuple of int
        Height and width. Padding counts as the code of zero.
    groups : int
        As for `Conv2d`.
    format : str
        Of the output's codes.
    input_zero_point, output_zero_point : int
        The codes of real zero.
    low, high : int
        Where the output saturates; a fused ReLU raises `low` to `output_zero_point`.
    semantics : str
        Name and version of a preset that requantizes by float32 multipliers.
    weight : ndarray or Encoding of integers
        Shape (out_channels, in_channels / groups, kh, kw).
    bias : ndarray or Encoding of int32, shape (out_channels,)
        In steps of input scale times weight scale.
    input_scale : ndarray or Encoding of float32, no axes
        What one step of the input is worth.
    weight_scale : ndarray or Encoding of float32, shape (out_channels,)
        What one step of a channel's weights is worth.
    output_scale : ndarray or Encoding of float32, no axes
        What one step of the output is worth.

    Raises
    ------
    RangeError
        If a number is out of range, or the preset is unknown or of another kind.
    ShapeError, DTypeError
        If a tensor has another shape, or holds no integers.

    Notes
    -----
    Tier T1.

    Examples
    --------
    >>> two = {"weight": np.full((1, 1, 1, 1), 2, np.int8), "bias": np.int32([1])}
    >>> scales = {"input_scale": 0.1, "weight_scale": np.float32([1]), "output_scale": 1.0}
    >>> where = ("uint8", 0, 0, 0, 255, "onnxruntime 1.31")
    >>> layer = QLinearConv2d(1, 1, (1, 1), (1, 1), (0, 0), (1, 1), 1, *where, **two, **scales)
    >>> layer.forward(np.full((1, 1, 1, 1), 2, np.uint8))[0].item()  # 5 * 0.1 is a tie in float32
    0
    """

    config_names: ClassVar[tuple[str, ...]] = (*IntegerConv2d.config_names, "semantics")
    buffer_names: ClassVar[tuple[str, ...]] = (
        "weight",
        "bias",
        "input_scale",
        "weight_scale",
        "output_scale",
    )

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, int],
        stride: tuple[int, int],
        padding: tuple[int, int],
        dilation: tuple[int, int],
        groups: int,
        format: str,
        input_zero_point: int,
        output_zero_point: int,
        low: int,
        high: int,
        semantics: str,
        weight: ArrayLike | Encoding,
        bias: ArrayLike | Encoding,
        input_scale: ArrayLike | Encoding,
        weight_scale: ArrayLike | Encoding,
        output_scale: ArrayLike | Encoding,
    ) -> None:
        one = np.ones(1, np.int64)  # no mantissa and no shift: this layer holds scales instead
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, format,
            input_zero_point, output_zero_point, low, high, weight, bias, one, one, output_scale,
        )  # fmt: skip
        del self.mantissa, self.shift
        self.semantics, self.preset = semantics, _preset(semantics)
        self.input_scale = _scales(input_scale, (), "input_scale")
        self.weight_scale = _scales(weight_scale, (self.out_channels,), "weight_scale")
        self.output_scale = _scales(output_scale, (), "output_scale")

    def forward(
        self, *inputs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        """Return codes of the output format."""
        (x,) = map(self._codes, inputs)
        self.output_shape(x.shape[1:])
        y = qlinear_conv(
            x,
            self._array(self.input_scale),
            x.dtype.type(self.input_zero_point),
            self._array(self.weight),
            self._array(self.weight_scale),
            0,
            self._array(self.output_scale),
            self.dtype.type(self.output_zero_point),
            self._array(self.bias),
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
            semantics=self.preset,
            low=self.low,
            high=self.high,
        )
        return y, None


class QLinearLinear(IntegerLinear):
    """Multiply codes by an integer matrix, add the bias, requantize by scales.

    Parameters
    ----------
    in_features, out_features : int
        Lengths of input and output.
    format : str
        Of the output's codes; "int32" for logits.
    input_zero_point, output_zero_point : int
        The codes of real zero.
    low, high : int
        Where the output saturates.
    semantics : str
        Name and version of a preset that requantizes by float32 multipliers.
    weight : ndarray or Encoding of integers, shape (out_features, in_features)
        The matrix.
    bias : ndarray or Encoding of int32, shape (out_features,)
        In steps of input scale times weight scale.
    input_scale : ndarray or Encoding of float32, no axes
        What one step of the input is worth.
    weight_scale : ndarray or Encoding of float32, shape (out_features,)
        What one step of a row of weights is worth.
    output_scale : ndarray or Encoding of float32, no axes
        What one step of the output is worth.

    Raises
    ------
    RangeError
        If a number is out of range, or the preset is unknown or of another kind.
    ShapeError, DTypeError
        If a tensor has another shape, or holds no integers.

    Notes
    -----
    Tier T1.

    Examples
    --------
    >>> two = {"weight": np.int8([[2, -1]]), "bias": np.int32([3])}
    >>> scales = {"input_scale": 0.5, "weight_scale": np.float32([1]), "output_scale": 1.0}
    >>> layer = QLinearLinear(2, 1, "int8", 5, -1, -128, 127, "onnxruntime 1.31", **two, **scales)
    >>> layer.forward(np.uint8([[9, 6]]))[0]  # round(((9 - 5) 2 - (6 - 5) + 3) / 2) - 1
    array([[4]], dtype=int8)
    """

    config_names: ClassVar[tuple[str, ...]] = (*IntegerLinear.config_names, "semantics")
    buffer_names: ClassVar[tuple[str, ...]] = QLinearConv2d.buffer_names

    def __init__(
        self,
        in_features: int,
        out_features: int,
        format: str,
        input_zero_point: int,
        output_zero_point: int,
        low: int,
        high: int,
        semantics: str,
        weight: ArrayLike | Encoding,
        bias: ArrayLike | Encoding,
        input_scale: ArrayLike | Encoding,
        weight_scale: ArrayLike | Encoding,
        output_scale: ArrayLike | Encoding,
    ) -> None:
        one = np.ones(1, np.int64)  # no mantissa and no shift: this layer holds scales instead
        super().__init__(
            in_features, out_features, format, input_zero_point, output_zero_point, low, high,
            weight, bias, one, one, output_scale,
        )  # fmt: skip
        del self.mantissa, self.shift
        self.semantics, self.preset = semantics, _preset(semantics)
        self.input_scale = _scales(input_scale, (), "input_scale")
        self.weight_scale = _scales(weight_scale, (self.out_features,), "weight_scale")
        self.output_scale = _scales(output_scale, (), "output_scale")

    @property
    def multiplier(self) -> Array:
        """What an accumulator is multiplied by, one float32 per output."""
        scales = (self.input_scale, self.weight_scale, self.output_scale)
        return self.preset.requantize.multiplier(*map(self._array, scales))

    def forward(
        self, *inputs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        """Return codes of the output format."""
        (x,) = map(self._codes, inputs)
        self.output_shape(x.shape[1:])
        sums = matmul_integer(x, self._array(self.weight).T, self.input_zero_point)
        sums = (sums.astype(np.int64) + self._array(self.bias)).astype(np.int32)  # modulo 2^32
        y = requantize_by_rule(
            sums,
            self.multiplier,
            self.output_zero_point,
            self.low,
            self.high,
            self.dtype,
            self.preset.requantize,
        )
        return y, None


class QLinearRescale(IntegerLayer):
    """Give codes another scale, another zero point or a narrower range, through float32 numbers.

    Parameters
    ----------
    format : str
        Of the output's codes.
    input_zero_point, output_zero_point : int
        The codes of real zero.
    low, high : int
        Where the output saturates; a ReLU raises `low` to `output_zero_point`.
    semantics : str
        Name and version of a preset.
    input_scale, output_scale : ndarray or Encoding of float32, no axes
        What one step of input and output is worth.

    Raises
    ------
    RangeError, ShapeError, DTypeError
        If a number is out of range, or a tensor has another shape.

    Notes
    -----
    Tier T1.

    Examples
    --------
    >>> scales = {"input_scale": 0.5, "output_scale": 1.0}
    >>> relu = QLinearRescale("uint8", 3, 10, 10, 255, "onnxruntime 1.31", **scales)
    >>> relu.forward(np.uint8([[0, 3, 6]]))[0]
    array([[10, 10, 12]], dtype=uint8)
    """

    config_names: ClassVar[tuple[str, ...]] = (*IntegerLayer.config_names, "semantics")
    buffer_names: ClassVar[tuple[str, ...]] = ("input_scale", "output_scale")

    def __init__(
        self,
        format: str,
        input_zero_point: int,
        output_zero_point: int,
        low: int,
        high: int,
        semantics: str,
        input_scale: ArrayLike | Encoding,
        output_scale: ArrayLike | Encoding,
    ) -> None:
        self._set_codes(format, input_zero_point, output_zero_point, low, high)
        self.semantics, self.preset = semantics, _preset(semantics)
        self.input_scale = _scales(input_scale, (), "input_scale")
        self.output_scale = _scales(output_scale, (), "output_scale")

    def output_shape(self, *input_shapes: Shape) -> Shape:
        """Return the input's shape."""
        (shape,) = input_shapes
        return tuple(shape)

    def _number(self, q: Array, scale: Tensor, zero_point: int) -> Array:
        s = self._array(scale).astype(np.float32)
        return dequantize_linear(q, s, zero_point, semantics=self.preset)

    def _coded(self, x: Array) -> Array:
        scale = self._array(self.output_scale).astype(np.float32)
        zero, form = self.output_zero_point, self.format
        y = quantize_linear(x, scale, zero, format=form, semantics=self.preset)
        return np.clip(y, self.low, self.high).astype(y.dtype)

    def forward(
        self, *inputs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        """Return codes of the output format."""
        (x,) = map(self._codes, inputs)
        return self._coded(self._number(x, self.input_scale, self.input_zero_point)), None


class QLinearAdd(QLinearRescale):
    """Add codes of two scales as float32 numbers, and quantize the sum.

    Parameters
    ----------
    format : str
        Of the output's codes.
    input_zero_point, second_zero_point, output_zero_point : int
        The codes of real zero.
    low, high : int
        Where the output saturates.
    semantics : str
        Name and version of a preset.
    input_scale, second_scale, output_scale : ndarray or Encoding of float32, no axes
        What one step of either input and of the output is worth.

    Raises
    ------
    RangeError, ShapeError, DTypeError
        If a number is out of range, or a tensor has another shape.

    Notes
    -----
    Both numbers, their sum and its quotient by the scale are rounded to float32. Tier T1.

    Examples
    --------
    >>> scales = {"input_scale": 1.0, "second_scale": 0.5, "output_scale": 1.0}
    >>> layer = QLinearAdd("uint8", 0, 2, 10, 0, 255, "onnxruntime 1.31", **scales)
    >>> layer.forward(np.uint8([[3]]), np.uint8([[7]]))[0]  # round(3 + (7 - 2) / 2) + 10
    array([[16]], dtype=uint8)
    """

    config_names: ClassVar[tuple[str, ...]] = (*QLinearRescale.config_names, "second_zero_point")
    buffer_names: ClassVar[tuple[str, ...]] = ("input_scale", "second_scale", "output_scale")
    n_inputs: ClassVar[int | None] = 2

    def __init__(
        self,
        format: str,
        input_zero_point: int,
        second_zero_point: int,
        output_zero_point: int,
        low: int,
        high: int,
        semantics: str,
        input_scale: ArrayLike | Encoding,
        second_scale: ArrayLike | Encoding,
        output_scale: ArrayLike | Encoding,
    ) -> None:
        zeros = (input_zero_point, output_zero_point)
        super().__init__(format, *zeros, low, high, semantics, input_scale, output_scale)
        self.second_zero_point = check_integer(second_zero_point, "second_zero_point", *INT32)
        self.second_scale = _scales(second_scale, (), "second_scale")

    def output_shape(self, *input_shapes: Shape) -> Shape:
        """Return the common shape."""
        first, second = (tuple(shape) for shape in input_shapes)
        if first != second:
            raise ShapeError(f"{self!r} takes two equal shapes, not {first} and {second}")
        return first

    def forward(
        self, *inputs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        """Return codes of the output format."""
        first, second = map(self._codes, inputs)
        a = self._number(first, self.input_scale, self.input_zero_point)
        b = self._number(second, self.second_scale, self.second_zero_point)
        with np.errstate(over="ignore"):  # infinity saturates
            return self._coded(a + b), None
