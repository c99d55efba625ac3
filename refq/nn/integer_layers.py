"""Convolution and linear layers on codes.

Equation
--------
``acc = sum (q_x - z_x) q_w + bias`` exactly in int32, then requantized: see `integer_layer`.

Conventions
-----------
Weights have zero point 0; padding counts as the code of zero.
"""

from math import prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..core.checks import check_integer
from ..core.errors import RangeError, ShapeError
from ..encodings import Encoding
from ..ops.convolution import conv_integer
from ..ops.matmul import matmul_integer
from .integer_layer import IntegerLayer
from .layer import Array, Shape, as_pair, check_tensor
from .windows import Windows

__all__ = ["IntegerConv2d", "IntegerLinear"]


class _Weighted(IntegerLayer):
    """Weights, a bias, a multiplier per output channel (or one for all)."""

    buffer_names: ClassVar[tuple[str, ...]] = (
        "weight",
        "bias",
        "mantissa",
        "shift",
        "output_scale",
    )

    def _set_tensors(
        self,
        weight: Any,
        bias: Any,
        mantissa: Any,
        shift: Any,
        output_scale: Any,
        shape: Shape,
    ) -> None:
        self.weight = self._integers(weight, shape, "weight")
        self.bias = self._integers(bias, (shape[0],), "bias")
        self.mantissa, self.shift = self._multiplier(mantissa, shift, shape[0])
        self.output_scale = check_tensor(output_scale, (), "output_scale", is_float=False)

    def _with_bias(self, accumulator: Array) -> Array:
        """Add the bias in int64; what leaves int32 is refused by `requantize_fixed_point`."""
        bias = self._array(self.bias).astype(np.int64)
        return accumulator.astype(np.int64) + bias.reshape(1, -1, *[1] * (accumulator.ndim - 2))


class IntegerConv2d(_Weighted):
    """Correlate codes with integer kernels, add the bias, requantize.

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
    weight : ndarray or Encoding of integers
        Shape (out_channels, in_channels / groups, kh, kw).
    bias : ndarray or Encoding of int32, shape (out_channels,)
        In steps of input scale times weight scale.
    mantissa, shift : ndarray or Encoding of integers, shape (out_channels,) or (1,)
        The multipliers ``mantissa * 2^-shift``.
    output_scale : ndarray or Encoding, no axes
        What one step of the output is worth.

    Raises
    ------
    RangeError
        If a number is out of range, or `groups` does not divide the channels.
    ShapeError, DTypeError
        If a tensor has another shape, or holds no integers.

    Notes
    -----
    An accumulator that could overflow int32 is refused before the loop; a sum with the bias that
    leaves int32 is refused with its index (`refq.passes.lower` makes no such layer). Tier T1.

    Examples
    --------
    >>> two = {"weight": np.full((1, 1, 1, 1), 2, np.int8), "bias": np.int32([3])}
    >>> one = {"mantissa": np.int64([1 << 30]), "shift": np.int64([30]), "output_scale": 1.0}
    >>> sizes = (1, 1, (1, 1), (1, 1), (0, 0), (1, 1), 1)
    >>> layer = IntegerConv2d(*sizes, "uint8", 5, 0, 0, 255, **two, **one)
    >>> layer.forward(np.full((1, 1, 1, 1), 9, np.uint8))[0].item()  # (9 - 5) 2 + 3
    11
    """

    config_names: ClassVar[tuple[str, ...]] = (
        "in_channels",
        "out_channels",
        "kernel_size",
        "stride",
        "padding",
        "dilation",
        "groups",
        *IntegerLayer.config_names,
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
        weight: ArrayLike | Encoding,
        bias: ArrayLike | Encoding,
        mantissa: ArrayLike | Encoding,
        shift: ArrayLike | Encoding,
        output_scale: ArrayLike | Encoding,
    ) -> None:
        self.in_channels = check_integer(in_channels, "in_channels", 1)
        self.out_channels = check_integer(out_channels, "out_channels", 1)
        self.kernel_size = as_pair(kernel_size, "kernel_size", 1)
        self.stride = as_pair(stride, "stride", 1)
        self.padding = as_pair(padding, "padding", 0)
        self.dilation = as_pair(dilation, "dilation", 1)
        self.groups = check_integer(groups, "groups", 1)
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise RangeError(
                f"groups = {groups} must divide in_channels = {in_channels} "
                f"and out_channels = {out_channels}"
            )
        self._set_codes(format, input_zero_point, output_zero_point, low, high)
        shape = (self.out_channels, self.in_channels // self.groups, *self.kernel_size)
        self._set_tensors(weight, bias, mantissa, shift, output_scale, shape)

    def output_shape(self, *input_shapes: Shape) -> Shape:
        """Return (out_channels, height, width)."""
        (shape,) = input_shapes
        if len(shape) != 3 or shape[0] != self.in_channels:
            raise ShapeError(
                f"{self!r} takes shape ({self.in_channels}, height, width), not {tuple(shape)}"
            )
        windows = Windows(self.kernel_size, self.stride, self.padding, self.dilation)
        return (self.out_channels, *windows.counts(shape[1:]))

    def macs(self, *input_shapes: Shape) -> int:
        """Return outputs times the summands of each."""
        return prod(self.output_shape(*input_shapes)) * prod(self.weight.shape[1:])

    def forward(
        self, *inputs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        """Return codes of the output format."""
        (x,) = map(self._codes, inputs)
        self.output_shape(x.shape[1:])
        accumulator = conv_integer(
            x,
            self._array(self.weight),
            self.input_zero_point,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )
        return self._requantize(self._with_bias(accumulator), self.mantissa, self.shift), None


class IntegerLinear(_Weighted):
    """Multiply codes by an integer matrix, add the bias, requantize.

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
    weight : ndarray or Encoding of integers, shape (out_features, in_features)
        The matrix.
    bias : ndarray or Encoding of int32, shape (out_features,)
        In steps of input scale times weight scale.
    mantissa, shift : ndarray or Encoding of integers, shape (out_features,) or (1,)
        The multipliers ``mantissa * 2^-shift``.
    output_scale : ndarray or Encoding, no axes
        What one step of the output is worth.

    Raises
    ------
    RangeError
        If a number is out of range.
    ShapeError, DTypeError
        If a tensor has another shape, or holds no integers.

    Notes
    -----
    An accumulator that could overflow int32 with these weights is refused before the loop; a sum
    with the bias that leaves int32 is refused with its index (`refq.passes.lower` makes no such
    layer). Tier T1.

    Examples
    --------
    >>> two = {"weight": np.int8([[2, -1]]), "bias": np.int32([3])}
    >>> half = {"mantissa": np.int64([1 << 30]), "shift": np.int64([31]), "output_scale": 1.0}
    >>> layer = IntegerLinear(2, 1, "int8", 5, -1, -128, 127, **two, **half)
    >>> layer.forward(np.uint8([[9, 6]]))[0]  # round(((9 - 5) 2 - (6 - 5) + 3) / 2) - 1
    array([[4]], dtype=int8)
    """

    config_names: ClassVar[tuple[str, ...]] = (
        "in_features",
        "out_features",
        *IntegerLayer.config_names,
    )

    def __init__(
        self,
        in_features: int,
        out_features: int,
        format: str,
        input_zero_point: int,
        output_zero_point: int,
        low: int,
        high: int,
        weight: ArrayLike | Encoding,
        bias: ArrayLike | Encoding,
        mantissa: ArrayLike | Encoding,
        shift: ArrayLike | Encoding,
        output_scale: ArrayLike | Encoding,
    ) -> None:
        self.in_features = check_integer(in_features, "in_features", 1)
        self.out_features = check_integer(out_features, "out_features", 1)
        self._set_codes(format, input_zero_point, output_zero_point, low, high)
        shape = (self.out_features, self.in_features)
        self._set_tensors(weight, bias, mantissa, shift, output_scale, shape)

    def output_shape(self, *input_shapes: Shape) -> Shape:
        """Return (out_features,)."""
        (shape,) = input_shapes
        if tuple(shape) != (self.in_features,):
            raise ShapeError(f"{self!r} takes shape ({self.in_features},), not {tuple(shape)}")
        return (self.out_features,)

    def macs(self, *input_shapes: Shape) -> int:
        """Return ``out_features in_features``."""
        return self.out_features * self.in_features

    def forward(
        self, *inputs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        """Return codes of the output format."""
        (x,) = map(self._codes, inputs)
        self.output_shape(x.shape[1:])
        weight = self._array(self.weight).T
        accumulator = matmul_integer(x, weight, self.input_zero_point, overflow="weights")
        return self._requantize(self._with_bias(accumulator), self.mantissa, self.shift), None
