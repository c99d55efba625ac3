"""Where activations become codes: fake quantization in float models, the border of integer ones.

Problem
-------
A float model that is to run in integers needs, at every point where codes will be stored, a scale
and a zero point. `Quantize` holds them and rounds to the same grid in float, so that the float
model already shows what the integer model will see. `QuantizeInput` is the only place of a lowered
model that touches floats.

Equation
--------
``q = saturate(round(x / scale) + zero_point)`` and ``x' = scale (q - zero_point)``, by the text of
ONNX. The backward pass is the straight-through estimator ([1]_): the gradient passes where
``round(x / scale) + zero_point`` is a code, and is zero where it was saturated to one.

Conventions
-----------
The scale is one float32, so the division is in float32 also where x is float64. What rounds to the
first or the last code is not saturated: half a step beyond them, ties to even, still passes.

References
----------
.. [1] Y. Bengio, N. Leonard, A. Courville, "Estimating or Propagating Gradients Through Stochastic
   Neurons for Conditional Computation", arXiv:1308.3432, 2013.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..core.checks import check_integer, check_scale
from ..core.errors import DTypeError, RangeError
from ..encodings import Encoding
from ..formats import Integer
from ..ops.quantization import dequantize_linear, integer_format, quantize_linear
from .layer import Array, Layer, Shape, Tensor, check_tensor

__all__ = ["Quantize", "QuantizeInput"]


class _Grid(Layer):
    """A scale, a zero point and an integer format."""

    config_names: ClassVar[tuple[str, ...]] = ("format", "zero_point")
    buffer_names: ClassVar[tuple[str, ...]] = ("scale",)

    integers: Integer  #: the format of the codes
    scale: Tensor

    def __init__(
        self, format: str = "uint8", zero_point: int = 0, scale: ArrayLike | Encoding = 1.0
    ) -> None:
        self.integers = integer_format(format)
        self.format = self.integers.name
        self.zero_point = check_integer(
            zero_point, "zero_point", self.integers.low, self.integers.high
        )
        with np.errstate(over="ignore", under="ignore"):  # what becomes 0 or infinite is refused
            given = scale if isinstance(scale, Encoding) else np.asarray(scale, np.float32)
        self.scale = check_tensor(given, (), "scale", is_float=False)
        self._check_tensors()

    def _check_tensors(self) -> None:
        check_scale(self.scale_value)

    @property
    def scale_value(self) -> np.float32:
        """The scale as one float32."""
        with np.errstate(over="ignore", under="ignore"):
            return np.float32(self._decoded("scale", np.float64)[()])

    def codes(self, x: Array) -> Array:
        """Return the codes of floats.

        Parameters
        ----------
        x : ndarray of float
            Any shape.

        Returns
        -------
        ndarray of integers
            Of the format's dtype, same shape.

        Examples
        --------
        >>> Quantize("int8", zero_point=-1, scale=0.5).codes(np.array([0.0, 1.0], np.float32))
        array([-1,  1], dtype=int8)
        """
        return quantize_linear(x, self.scale_value, self.zero_point, format=self.format)

    def output_shape(self, *input_shapes: Shape) -> Shape:
        """Return the input's shape."""
        return input_shapes[0]

    def __repr__(self) -> str:
        return (
            f"nn.{type(self).__name__}({self.format!r}, zero_point={self.zero_point}, "
            f"scale={self.scale_value:.6g})"
        )


class Quantize(_Grid):
    """Round activations to the grid that an integer model will use; floats in, floats out.

    Parameters
    ----------
    format : str
        An integer format: "uint8", "int8", ...
    zero_point : int
        The code of real zero.
    scale : array_like or Encoding, no axes
        The step, finite and positive; a buffer.

    Raises
    ------
    RangeError
        If the zero point is no code, or the scale is not finite and positive.
    DTypeError
        If the format holds no integers of at most 32 bits.

    Notes
    -----
    Tier T1; float64 inputs give the same numbers as their float32 roundings, in float64.

    Examples
    --------
    >>> layer = Quantize("uint8", zero_point=2, scale=0.5)
    >>> layer.forward(np.array([[0.3, -9.0]], np.float32))[0]
    array([[ 0.5, -1. ]], dtype=float32)
    """

    def forward(
        self, *inputs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        """See `Layer.forward`."""
        (x,) = self._inputs(inputs)
        form, scale = self.integers, self.scale_value
        y = dequantize_linear(self.codes(x), scale, form.dtype.type(self.zero_point))
        with np.errstate(over="ignore", under="ignore"):
            level = np.rint(x.astype(np.float32) / scale).astype(np.float64) + self.zero_point
        return y.astype(x.dtype), (level >= form.low) & (level <= form.high)

    def backward(self, grad: Array, cache: Any) -> tuple[tuple[Array, ...], dict[str, Array]]:
        """Pass the gradient where the code was not saturated."""
        return (grad * cache,), {}


class QuantizeInput(_Grid):
    """Turn float inputs into codes; codes pass through: the border of an integer model.

    Parameters
    ----------
    format : str
        The integer format of the codes.
    zero_point : int
        The code of real zero.
    scale : array_like or Encoding, no axes
        The step, finite and positive; a buffer.

    Raises
    ------
    RangeError, DTypeError
        As `Quantize` does.

    Notes
    -----
    Tier T1.

    Examples
    --------
    >>> layer = QuantizeInput("uint8", scale=1 / 16)
    >>> layer.forward(np.array([[0.5]], np.float32))[0], layer.forward(np.uint8([[8]]))[0]
    (array([[8]], dtype=uint8), array([[8]], dtype=uint8))
    """

    def forward(
        self, *inputs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        """Return codes; integers must be codes of the format, in its dtype."""
        (x,) = inputs
        if x.dtype.kind == "f":
            return self.codes(x), None
        if x.dtype != self.integers.dtype:
            raise DTypeError(f"{self!r} got {x.dtype}; pass {self.integers.dtype} codes or floats")
        low, high = self.integers.low, self.integers.high
        if x.size and not low <= int(x.min()) <= int(x.max()) <= high:
            raise RangeError(
                f"{self!r} got codes in [{x.min()}, {x.max()}]; allowed: [{low}, {high}]"
            )
        return x, None

    def backward(self, grad: Array, cache: Any) -> tuple[tuple[Array, ...], dict[str, Array]]:
        """Refuse: an integer model is not trained."""
        raise DTypeError("an integer model has no gradient; train the float model it came from")
