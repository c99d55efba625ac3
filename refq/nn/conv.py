"""Convolution of images, as one matrix product per group.

Equation
--------
``y[n, o, r, s] = b[o] + sum over c, i, j of W[o, c, i, j] x[n, c, r S + i D - P, s S + j D - P]``
with stride S, dilation D, padding P and x zero outside the image; c runs over the channels of o's
group. This is a correlation, as everywhere in the field: the kernel is not flipped.

Conventions
-----------
Weights are (out_channels, in_channels / groups, kernel height, kernel width). Output channels
belong to groups in order: the first ``out_channels / groups`` of them to group 0.

References
----------
.. [1] ONNX operator specification, Conv: the shapes, the groups and the formula of the output size.
"""

from math import prod
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ..core.checks import check_integer
from ..core.errors import RangeError, ShapeError
from ..encodings.encoding import Encoding
from .layer import Array, Layer, Shape, Tensor, as_pair
from .linear import he_normal
from .windows import Windows

__all__ = ["Conv2d"]


class Conv2d(Layer):
    """Correlate images with learned kernels.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of input and output, both multiples of `groups`.
    kernel_size, stride, padding, dilation : int or tuple of int
        One integer, or height and width. Padding is zeros, on both sides.
    groups : int
        The channels fall into this many groups that do not see each other.
    bias : bool, array_like or Encoding, shape (out_channels,)
        Whether there is one, or the bias itself.
    weight : array_like, Encoding or None, shape (out_channels, in_channels / groups, kh, kw)
        None stands for zeros until `initialize` draws.

    Raises
    ------
    RangeError
        If a number is out of range or `groups` does not divide the channels.
    ShapeError
        If a tensor has another shape.

    Notes
    -----
    The windows are copied into columns, kernel area times the input's memory, then multiplied
    through BLAS: tier T2.

    Examples
    --------
    >>> layer = Conv2d(1, 1, 2, bias=False, weight=np.ones((1, 1, 2, 2)))
    >>> layer.forward(np.arange(9.0).reshape(1, 1, 3, 3))[0]
    array([[[[ 8., 12.],
             [20., 24.]]]])
    """

    config_names = (
        "in_channels",
        "out_channels",
        "kernel_size",
        "stride",
        "padding",
        "dilation",
        "groups",
        "bias",
    )
    parameter_names = ("weight", "bias")

    weight: Tensor
    bias: Tensor | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool | ArrayLike | Encoding = True,
        weight: ArrayLike | Encoding | None = None,
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
        self.weight = self._tensor_or_zeros(weight, self._weight_shape(), "weight")
        self.bias = self._bias_or_none(bias, (self.out_channels,))

    def _weight_shape(self) -> Shape:
        return (self.out_channels, self.in_channels // self.groups, *self.kernel_size)

    @property
    def windows(self) -> Windows:
        """The windows that the kernel visits."""
        return Windows(self.kernel_size, self.stride, self.padding, self.dilation)

    def output_shape(self, *input_shapes: Shape) -> Shape:
        """Return (out_channels, height, width)."""
        (shape,) = input_shapes
        if len(shape) != 3 or shape[0] != self.in_channels:
            raise ShapeError(
                f"{self!r} takes shape ({self.in_channels}, height, width), not {tuple(shape)}"
            )
        return (self.out_channels, *self.windows.counts(shape[1:]))

    def macs(self, *input_shapes: Shape) -> int:
        """Return outputs times the summands of each."""
        return prod(self.output_shape(*input_shapes)) * prod(self._weight_shape()[1:])

    def forward(
        self, *inputs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        """Return the correlation plus bias, one matrix product per group."""
        (x,) = self._inputs(inputs)
        out_shape = self.windows.counts(x.shape[2:])
        n, group_size = x.shape[0], self.out_channels // self.groups
        columns = self.windows.columns(x)  # (c, kh, kw, n, oh, ow)
        depth = prod(self._weight_shape()[1:])
        columns = columns.reshape(self.groups, depth, n * out_shape[0] * out_shape[1])
        weight = self._decoded("weight", x.dtype).reshape(self.groups, group_size, depth)
        y = np.matmul(weight, columns).reshape(self.out_channels, n, *out_shape)
        if self.bias is not None:
            y += self._decoded("bias", x.dtype)[:, None, None, None]
        return y.transpose(1, 0, 2, 3), (columns, weight, x.shape)

    def backward(self, grad: Array, cache: Any) -> tuple[tuple[Array, ...], dict[str, Array]]:
        """Return the gradients: two matrix products per group, and the columns added back."""
        columns, weight, (n, _, *size) = cache
        flat = grad.transpose(1, 0, 2, 3).reshape(
            self.groups, self.out_channels // self.groups, columns.shape[2]
        )
        gradients = {
            "weight": np.matmul(flat, columns.swapaxes(1, 2)).reshape(self._weight_shape())
        }
        if self.bias is not None:
            gradients["bias"] = flat.sum(axis=2).reshape(self.out_channels)
        back = np.matmul(weight.swapaxes(1, 2), flat)
        back = back.reshape(self.in_channels, *self.kernel_size, n, *grad.shape[2:])
        return (self.windows.images(back, tuple(size)),), gradients

    def initialize(self, rng: np.random.Generator) -> Self:
        """Draw the weight by `he_normal`; the bias becomes zero."""
        new = self.replace(weight=he_normal(self._weight_shape(), rng))
        return new if self.bias is None else new.replace(bias=np.zeros(self.out_channels, "f4"))
