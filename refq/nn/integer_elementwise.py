"""Addition, rescaling and pooling on codes.

Conventions
-----------
Pooling keeps scale and zero point: the largest code is the code of the largest value, the mean code
the code of the mean.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..core.checks import check_integer
from ..core.errors import ShapeError
from ..encodings import Encoding
from ..ops.elementwise import add_integer
from ..ops.pooling import average_pool, global_average_pool, max_pool
from .integer_layer import IntegerLayer, Untrained
from .layer import Array, Shape, check_tensor
from .pooling import AvgPool, GlobalAvgPool, MaxPool

__all__ = [
    "IntegerAdd",
    "IntegerAvgPool",
    "IntegerGlobalAvgPool",
    "IntegerMaxPool",
    "IntegerRescale",
]


class IntegerAdd(IntegerLayer):
    """Add codes of two scales: each is multiplied in int64, the sum is rounded once.

    Parameters
    ----------
    format : str
        Of the output's codes.
    input_zero_point, second_zero_point, output_zero_point : int
        The codes of real zero.
    low, high : int
        Where the output saturates.
    mantissas, shifts : ndarray or Encoding of integers, shape (2,)
        One multiplier per input.
    output_scale : ndarray or Encoding, no axes
        What one step of the output is worth.

    Notes
    -----
    Tier T1.
    """

    config_names: ClassVar[tuple[str, ...]] = (*IntegerLayer.config_names, "second_zero_point")
    buffer_names: ClassVar[tuple[str, ...]] = ("mantissas", "shifts", "output_scale")
    n_inputs: ClassVar[int | None] = 2

    def __init__(
        self,
        format: str,
        input_zero_point: int,
        second_zero_point: int,
        output_zero_point: int,
        low: int,
        high: int,
        mantissas: ArrayLike | Encoding,
        shifts: ArrayLike | Encoding,
        output_scale: ArrayLike | Encoding,
    ) -> None:
        self._set_codes(format, input_zero_point, output_zero_point, low, high)
        self.second_zero_point = check_integer(second_zero_point, "second_zero_point")
        self.mantissas = check_tensor(mantissas, (2,), "mantissas", is_float=False)
        self.shifts = check_tensor(shifts, (2,), "shifts", is_float=False)
        self.output_scale = check_tensor(output_scale, (), "output_scale", is_float=False)

    def output_shape(self, *input_shapes: Shape) -> Shape:
        """Return the common shape."""
        if len(set(input_shapes)) != 1:
            raise ShapeError(f"{self!r} takes equal shapes, not {list(input_shapes)}")
        return input_shapes[0]

    def forward(
        self, *inputs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        """Return codes of the output format."""
        first, second = (self._codes(x) for x in inputs)
        (m1, m2), (s1, s2) = self._array(self.mantissas), self._array(self.shifts)
        y = add_integer(
            first,
            self.input_zero_point,
            int(m1),
            int(s1),
            second,
            self.second_zero_point,
            int(m2),
            int(s2),
            self.output_zero_point,
            self.low,
            self.high,
            self.dtype,
        )
        return y, None


class IntegerRescale(IntegerLayer):
    """Give codes another scale, another zero point or a narrower range.

    Parameters
    ----------
    format : str
        Of the output's codes.
    input_zero_point, output_zero_point : int
        The codes of real zero.
    low, high : int
        Where the output saturates; a ReLU raises `low` to `output_zero_point`.
    mantissa, shift : ndarray or Encoding of integers, shape (1,)
        The multiplier ``mantissa * 2^-shift``.
    output_scale : ndarray or Encoding, no axes
        What one step of the output is worth.

    Notes
    -----
    Tier T1.
    """

    buffer_names: ClassVar[tuple[str, ...]] = ("mantissa", "shift", "output_scale")

    def __init__(
        self,
        format: str,
        input_zero_point: int,
        output_zero_point: int,
        low: int,
        high: int,
        mantissa: ArrayLike | Encoding,
        shift: ArrayLike | Encoding,
        output_scale: ArrayLike | Encoding,
    ) -> None:
        self._set_codes(format, input_zero_point, output_zero_point, low, high)
        self.mantissa = check_tensor(mantissa, (1,), "mantissa", is_float=False)
        self.shift = check_tensor(shift, (1,), "shift", is_float=False)
        self.output_scale = check_tensor(output_scale, (), "output_scale", is_float=False)

    def output_shape(self, *input_shapes: Shape) -> Shape:
        """Return the input's shape."""
        return input_shapes[0]

    def forward(
        self, *inputs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        """Return codes of the output format."""
        x = self._codes(inputs[0]).astype(np.int64) - self.input_zero_point
        return self._requantize(x, self.mantissa, self.shift), None


class IntegerMaxPool(Untrained, MaxPool):
    """The largest code of each window; padding never wins.

    Parameters
    ----------
    kernel_size, stride, padding : int or tuple of int
        As for `MaxPool`.

    Notes
    -----
    Scale and zero point stay. Tier T1.
    """

    def forward(
        self, *inputs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        """Return codes."""
        return max_pool(inputs[0], self.kernel_size, self.stride, self.padding), None


class IntegerAvgPool(Untrained, AvgPool):
    """The mean code of each window, padding left out, rounded once in integers.

    Parameters
    ----------
    kernel_size, stride, padding : int or tuple of int
        As for `AvgPool`.

    Notes
    -----
    Scale and zero point stay: a mean of codes is the code of the mean. Tier T1.
    """

    def forward(
        self, *inputs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        """Return codes."""
        return average_pool(inputs[0], self.kernel_size, self.stride, self.padding), None


class IntegerGlobalAvgPool(Untrained, GlobalAvgPool):
    """The mean code of each channel, rounded once in integers.

    Notes
    -----
    Scale and zero point stay. Tier T1.
    """

    def forward(
        self, *inputs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        """Return codes of shape (n, channels)."""
        y = global_average_pool(inputs[0])
        return y.reshape(len(y), *self.output_shape(inputs[0].shape[1:])), None
