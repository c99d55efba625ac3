"""Layers that only arrange arrays: flatten, add, concatenate.

Conventions
-----------
Axes count the batch axis as 0; it is never flattened, added over or concatenated along.
"""

from math import prod
from typing import Any

import numpy as np

from ..core.checks import check_integer, normalize_axis
from ..core.errors import ShapeError
from .layer import Array, Layer, Shape

__all__ = ["Add", "Concat", "Flatten"]


class Flatten(Layer):
    """Make one axis of all but the first: channel, row, column order.

    Examples
    --------
    >>> Flatten().forward(np.zeros((2, 3, 4, 5)))[0].shape
    (2, 60)
    """

    arranges = True

    def output_shape(self, *input_shapes: Shape) -> Shape:
        """Return the product of the lengths."""
        (shape,) = input_shapes
        return (prod(shape),)

    def forward(
        self, *inputs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        """Return the reshaped batch."""
        (x,) = self._inputs(inputs)
        return x.reshape(x.shape[0], prod(x.shape[1:])), x.shape

    def backward(self, grad: Array, cache: Any) -> tuple[tuple[Array, ...], dict[str, Array]]:
        """Return the gradient in the input's shape."""
        return (grad.reshape(cache),), {}


class Add(Layer):
    """Add two inputs of one shape, as a residual connection does.

    Examples
    --------
    >>> Add().forward(np.ones((1, 2)), np.ones((1, 2)))[0]
    array([[2., 2.]])
    """

    n_inputs = 2

    def output_shape(self, *input_shapes: Shape) -> Shape:
        """Return the common shape."""
        first, second = (tuple(shape) for shape in input_shapes)
        if first != second:
            raise ShapeError(f"{self!r} takes two equal shapes, not {first} and {second}")
        return first

    def forward(
        self, *inputs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        """Return the sum."""
        first, second = self._inputs(inputs)
        return first + second, None

    def backward(self, grad: Array, cache: Any) -> tuple[tuple[Array, ...], dict[str, Array]]:
        """Give the gradient to both."""
        return (grad, grad), {}


class Concat(Layer):
    """Lay inputs side by side along an axis.

    Parameters
    ----------
    axis : int
        Counted with the batch axis, which it may not be; 1 is the channel axis.

    Raises
    ------
    ShapeError
        If the axis does not exist or is the batch axis, or other lengths differ.

    Examples
    --------
    >>> Concat().forward(np.ones((1, 2)), np.zeros((1, 1)))[0]
    array([[1., 1., 0.]])
    """

    config_names = ("axis",)
    n_inputs = None
    arranges = True

    def __init__(self, axis: int = 1) -> None:
        self.axis = check_integer(axis, "axis")

    def output_shape(self, *input_shapes: Shape) -> Shape:
        """Return the shape with the lengths along the axis added."""
        first = tuple(input_shapes[0])
        at = normalize_axis(self.axis, len(first) + 1) - 1
        if at < 0:
            raise ShapeError(f"{self!r} would mix examples: axis 0 is the batch axis")
        for shape in input_shapes:
            if len(shape) != len(first) or any(
                n != m for k, (n, m) in enumerate(zip(shape, first, strict=True)) if k != at
            ):
                raise ShapeError(
                    f"{self!r} takes shapes that differ along its axis only, "
                    f"not {first} and {tuple(shape)}"
                )
        total = sum(shape[at] for shape in input_shapes)
        return (*first[:at], total, *first[at + 1 :])

    def forward(
        self, *inputs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        """Return the inputs side by side."""
        inputs = self._inputs(inputs)
        return np.concatenate(inputs, axis=self.axis), [x.shape[self.axis] for x in inputs]

    def backward(self, grad: Array, cache: Any) -> tuple[tuple[Array, ...], dict[str, Array]]:
        """Cut the gradient where the inputs meet."""
        cuts = np.cumsum(cache)[:-1]
        return tuple(np.split(grad, cuts, axis=self.axis)), {}
