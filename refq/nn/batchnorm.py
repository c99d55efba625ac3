"""Batch normalization.

Equation
--------
``y = weight (x - mean) / sqrt(var + eps) + bias``, per channel. In training, mean and var are those
of the batch (var biased: divided by m); else they are the running statistics, which move by
``running <- (1 - momentum) running + momentum batch`` (var unbiased there: divided by m - 1).
The paper calls weight gamma and bias beta.

With g = dL/dy, h = (x - mean) / sqrt(var + eps) and means over the m elements of a channel:
``dL/dx = weight / sqrt(var + eps) (g - mean(g) - h mean(g h))`` in training.

References
----------
.. [1] S. Ioffe and C. Szegedy, "Batch Normalization", ICML 2015: algorithms 1 and 2.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ..core.checks import check_integer
from ..core.errors import RangeError, ShapeError
from ..encodings.encoding import Encoding
from .layer import Array, Layer, Shape, Tensor, check_tensor

__all__ = ["BatchNorm"]


class BatchNorm(Layer):
    """Normalize every channel, then scale and shift it.

    Parameters
    ----------
    num_features : int
        Channels: inputs are (n, channels) or (n, channels, height, width).
    eps : float
        Added to the variance; positive.
    momentum : float
        How far running statistics move towards the batch, in [0, 1].
    weight, bias : array_like, Encoding or None, shape (num_features,)
        Scale and shift; ones and zeros by default.
    running_mean, running_var : array_like, Encoding or None, shape (num_features,)
        Zeros and ones by default.

    Raises
    ------
    RangeError
        If `eps`, `momentum` or a running variance is out of range; in training, if a channel has a
        single value in the batch.
    ShapeError
        If a tensor has another shape.

    Notes
    -----
    Batch statistics are summed in float64 and rounded once to the input's dtype: tier T3. They come
    back through `updated_buffers`; `forward` changes nothing.

    Examples
    --------
    >>> layer = BatchNorm(1, running_mean=[1.0], running_var=[4.0])
    >>> layer.forward(np.array([[5.0]], np.float32))[0].round(3)
    array([[2.]], dtype=float32)
    """

    config_names = ("num_features",)
    parameter_names = ("weight", "bias")
    buffer_names = ("running_mean", "running_var", "eps", "momentum")

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor
    eps: Tensor
    momentum: Tensor

    def __init__(
        self,
        num_features: int,
        eps: ArrayLike | Encoding = 1e-5,
        momentum: ArrayLike | Encoding = 0.1,
        weight: ArrayLike | Encoding | None = None,
        bias: ArrayLike | Encoding | None = None,
        running_mean: ArrayLike | Encoding | None = None,
        running_var: ArrayLike | Encoding | None = None,
    ) -> None:
        self.num_features = check_integer(num_features, "num_features", 1)
        shape = (self.num_features,)
        self.eps = check_tensor(eps, (), "eps")
        self.momentum = check_tensor(momentum, (), "momentum")
        self.weight = check_tensor(
            np.ones(shape, "f4") if weight is None else weight, shape, "weight"
        )
        self.bias = self._tensor_or_zeros(bias, shape, "bias")
        self.running_mean = self._tensor_or_zeros(running_mean, shape, "running_mean")
        self.running_var = check_tensor(
            np.ones(shape, "f4") if running_var is None else running_var, shape, "running_var"
        )
        self._check_tensors()

    def _check_tensors(self) -> None:
        """Check the ranges of the float settings and of the running variance."""
        eps, momentum = (float(self._decoded(n, np.float64)) for n in ("eps", "momentum"))
        if not eps > 0:
            raise RangeError(f"eps = {eps} must be > 0")
        if not 0 <= momentum <= 1:
            raise RangeError(f"momentum = {momentum} must lie in [0, 1]")
        variance = self._decoded("running_var", np.float64)
        if (variance < 0).any():
            i = int(np.argmax(variance < 0))
            raise RangeError(f"running_var[{i}] = {variance[i]} must be >= 0")

    def output_shape(self, *input_shapes: Shape) -> Shape:
        """Return the input's shape."""
        (shape,) = input_shapes
        if len(shape) not in (1, 3) or shape[0] != self.num_features:
            raise ShapeError(
                f"{self!r} takes shape ({self.num_features},) or "
                f"({self.num_features}, height, width), not {tuple(shape)}"
            )
        return tuple(shape)

    def forward(
        self, *inputs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        """Return the normalized batch."""
        (x,) = self._inputs(inputs)
        batch = _statistics(x, self) if training else None
        if batch is None:
            mean, variance = (self._decoded(n, np.float64) for n in ("running_mean", "running_var"))
        else:
            mean, variance = batch
        inverse = 1.0 / np.sqrt(variance + self._decoded("eps", np.float64))
        inverse = _along(inverse.astype(x.dtype), x)
        normal = (x - _along(mean.astype(x.dtype), x)) * inverse
        weight, bias = (_along(self._decoded(n, x.dtype), x) for n in ("weight", "bias"))
        return normal * weight + bias, (normal, inverse * weight, batch)

    def backward(self, grad: Array, cache: Any) -> tuple[tuple[Array, ...], dict[str, Array]]:
        """Return the gradients; in training the batch's mean and variance depend on x too."""
        normal, factor, batch = cache
        axes, count = _axes(grad), grad.size // self.num_features
        gradients = {"weight": (grad * normal).sum(axis=axes), "bias": grad.sum(axis=axes)}
        if batch is None:
            return (grad * factor,), gradients
        mean_g = _along(gradients["bias"] / count, grad)
        mean_gh = _along(gradients["weight"] / count, grad)
        return (factor * (grad - mean_g - normal * mean_gh),), gradients

    def updated_buffers(self, cache: Any) -> dict[str, Array]:
        """Return the running statistics, moved towards those of the batch."""
        normal, _, batch = cache
        if batch is None:
            return {}
        count = normal.size // self.num_features
        momentum = self._decoded("momentum", np.float64)
        new = {}
        for name, value in (
            ("running_mean", batch[0]),
            ("running_var", batch[1] * (count / (count - 1))),
        ):
            old = self._decoded(name, np.float64)
            dtype = getattr(self, name).dtype
            new[name] = ((1 - momentum) * old + momentum * value).astype(dtype)
        return new

    def initialize(self, rng: np.random.Generator) -> Self:
        """Set the weight to one, the bias to zero and the running statistics to (0, 1)."""
        ones, zeros = np.ones(self.num_features, "f4"), np.zeros(self.num_features, "f4")
        return self.replace(weight=ones, bias=zeros, running_mean=zeros, running_var=ones)


def _axes(x: Array) -> tuple[int, ...]:
    return (0,) if x.ndim == 2 else (0, 2, 3)


def _along(values: Array, x: Array) -> Array:
    return values if x.ndim == 2 else values[:, None, None]


def _statistics(x: Array, layer: BatchNorm) -> tuple[Array, Array]:
    """Return the batch's mean and biased variance per channel, in float64."""
    count = x.size // layer.num_features
    if count < 2:
        raise RangeError(
            f"{layer!r} got {count} value(s) per channel; training needs 2 or more: "
            "pass a larger batch or training=False"
        )
    mean = x.mean(axis=_axes(x), dtype=np.float64)
    centred = x - _along(mean, x)  # two passes: E[x^2] - E[x]^2 would cancel
    return mean, np.square(centred).mean(axis=_axes(x))
