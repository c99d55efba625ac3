"""Dropout.

Equation
--------
In training ``y = x keep / (1 - p)`` with ``keep`` drawn as 1 with probability 1 - p and 0 with p;
else ``y = x``. Dividing in training ("inverted dropout") keeps the mean and leaves inference alone.

References
----------
.. [1] N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov, "Dropout: A Simple
   Way to Prevent Neural Networks from Overfitting", JMLR 15, 2014.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..core.errors import RangeError
from ..encodings.encoding import Encoding
from .layer import Array, Layer, Shape, Tensor, check_tensor

__all__ = ["Dropout"]


class Dropout(Layer):
    """Set random elements to zero in training, and nothing else.

    Parameters
    ----------
    probability : float
        Of dropping an element, in [0, 1).

    Raises
    ------
    RangeError
        If the probability is out of range, or `forward` trains without `rng`.

    Examples
    --------
    >>> y, _ = Dropout(0.5).forward(np.ones((1, 4)), training=True, rng=np.random.default_rng(0))
    >>> y
    array([[2., 0., 0., 0.]])
    """

    buffer_names = ("probability",)
    probability: Tensor

    def __init__(self, probability: ArrayLike | Encoding = 0.5) -> None:
        self.probability = check_tensor(probability, (), "probability")
        self._check_tensors()

    def _check_tensors(self) -> None:
        """Check that the probability lies in [0, 1)."""
        p = float(self._decoded("probability", np.float64))
        if not 0 <= p < 1:
            raise RangeError(f"probability = {p} must lie in [0, 1)")

    def output_shape(self, *input_shapes: Shape) -> Shape:
        """Return the input's shape."""
        (shape,) = input_shapes
        return tuple(shape)

    def forward(
        self, *inputs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        """Return the input, in training with random elements dropped and the others scaled up."""
        (x,) = self._inputs(inputs)
        if not training:
            return x, None
        if rng is None:
            raise RangeError(f"{self!r} draws in training; pass rng=np.random.default_rng(seed)")
        p = float(self._decoded("probability", np.float64))
        factor = ((rng.random(x.shape) >= p) / (1 - p)).astype(x.dtype)
        return x * factor, factor

    def backward(self, grad: Array, cache: Any) -> tuple[tuple[Array, ...], dict[str, Array]]:
        """Multiply by what the forward multiplied by."""
        return (grad if cache is None else grad * cache,), {}
