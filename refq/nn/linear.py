"""The fully connected layer.

Equation
--------
``y = x W^T + b``. With g = dL/dy: ``dL/dx = g W``, ``dL/dW = g^T x``, and dL/db is the sum of g
over the examples.

Conventions
-----------
Weights are (out_features, in_features).
"""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ..core.checks import check_integer
from ..core.errors import ShapeError
from ..encodings.encoding import Encoding
from .layer import Array, Layer, Shape, Tensor

__all__ = ["Linear", "he_normal"]


def he_normal(shape: Shape, rng: np.random.Generator) -> Array:
    """Draw weights that keep the variance of activations through ReLU layers.

    Parameters
    ----------
    shape : tuple of int
        Outputs first; the other axes are what one output sums over.
    rng : numpy.random.Generator
        Its state moves.

    Returns
    -------
    ndarray of float32
        Normal with mean 0 and variance 2 / (number of summands).

    References
    ----------
    .. [1] K. He, X. Zhang, S. Ren, J. Sun, "Delving Deep into Rectifiers", ICCV 2015, equation 10.

    Examples
    --------
    >>> W = he_normal((100, 50), np.random.default_rng(0))
    >>> bool(abs(W.std() - 0.2) < 0.01)
    True
    """
    fan_in = max(1, int(np.prod(shape[1:])))
    return (rng.standard_normal(shape) * np.sqrt(2.0 / fan_in)).astype(np.float32)


class Linear(Layer):
    """Multiply by a matrix and add a bias.

    Parameters
    ----------
    in_features, out_features : int
        Lengths of one input and one output.
    bias : bool, array_like or Encoding, shape (out_features,)
        Whether there is one, or the bias itself.
    weight : array_like or Encoding, shape (out_features, in_features), or None
        None stands for zeros until `initialize` draws.

    Raises
    ------
    ShapeError
        If a tensor has another shape.

    Notes
    -----
    The product runs through BLAS: tier T2.

    Examples
    --------
    >>> layer = Linear(2, 1, bias=[0.5], weight=[[1.0, 2.0]])
    >>> layer.forward(np.array([[3.0, 4.0]]))[0]
    array([[11.5]])
    """

    config_names = ("in_features", "out_features", "bias")
    parameter_names = ("weight", "bias")

    weight: Tensor
    bias: Tensor | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool | ArrayLike | Encoding = True,
        weight: ArrayLike | Encoding | None = None,
    ) -> None:
        self.in_features = check_integer(in_features, "in_features", 1)
        self.out_features = check_integer(out_features, "out_features", 1)
        self.weight = self._tensor_or_zeros(weight, (self.out_features, self.in_features), "weight")
        self.bias = self._bias_or_none(bias, (self.out_features,))

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
        """Return ``x W^T + b``."""
        (x,) = self._inputs(inputs)
        weight = self._decoded("weight", x.dtype)
        y = x @ weight.T
        if self.bias is not None:
            y += self._decoded("bias", x.dtype)
        return y, (x, weight)

    def backward(self, grad: Array, cache: Any) -> tuple[tuple[Array, ...], dict[str, Array]]:
        """Return ``g W``, ``g^T x`` and the sum of g over examples."""
        x, weight = cache
        gradients = {"weight": grad.T @ x}
        if self.bias is not None:
            gradients["bias"] = grad.sum(axis=0)
        return (grad @ weight,), gradients

    def initialize(self, rng: np.random.Generator) -> Self:
        """Draw the weight by `he_normal`; the bias becomes zero."""
        new = self.replace(weight=he_normal((self.out_features, self.in_features), rng))
        return new if self.bias is None else new.replace(bias=np.zeros(self.out_features, "f4"))
