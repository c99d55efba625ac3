"""Addition, rescaling and pooling on codes.

Conventions
-----------
Pooling keeps scale and zero point: the largest code is the code of the largest value, the mean code
the code of the mean. A mean is rounded to nearest, a tie up, as everywhere in integer layers: then
no zero point is needed, since rounding up commutes with adding an integer. A ReLU that could not be
fused is an `IntegerRescale` whose range begins at the code of zero.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..core.checks import check_integer
from ..core.errors import ShapeError
from ..encodings import Encoding
from ..ops.elementwise import add_integer
from ..ops.pooling import average_pool, global_average_pool, max_pool
from .integer_layer import INT32, IntegerLayer, Untrained
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

    Raises
    ------
    RangeError, ShapeError, DTypeError
        If a number is out of range, or a tensor has another shape or holds no integers. On
        `forward`: if the shifts differ by more than int64 has room for.

    Notes
    -----
    Tier T1; see `refq.ops.add_integer`.

    Examples
    --------
    >>> one = {"mantissas": np.int64([1 << 30] * 2), "shifts": np.int64([30, 31])}
    >>> layer = IntegerAdd("uint8", 0, 2, 10, 0, 255, **one, output_scale=1.0)
    >>> layer.forward(np.uint8([[3]]), np.uint8([[7]]))[0]  # round(3 + (7 - 2) / 2) + 10
    array([[16]], dtype=uint8)
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
        self.second_zero_point = check_integer(second_zero_point, "second_zero_point", *INT32)
        self.mantissas = self._integers(mantissas, (2,), "mantissas")
        self.shifts = self._integers(shifts, (2,), "shifts")
        self.output_scale = check_tensor(output_scale, (), "output_scale", is_float=False)

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

    Raises
    ------
    RangeError, ShapeError, DTypeError
        If a number is out of range, or a tensor has another shape or holds no integers.

    Notes
    -----
    Tier T1.

    Examples
    --------
    >>> half = {"mantissa": np.int64([1 << 30]), "shift": np.int64([31]), "output_scale": 1.0}
    >>> relu = IntegerRescale("uint8", 3, 10, 10, 255, **half)
    >>> relu.forward(np.uint8([[0, 3, 6]]))[0]
    array([[10, 10, 12]], dtype=uint8)
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
        self.mantissa, self.shift = self._multiplier(mantissa, shift, 1)
        self.output_scale = check_tensor(output_scale, (), "output_scale", is_float=False)

    def output_shape(self, *input_shapes: Shape) -> Shape:
        """Return the input's shape."""
        (shape,) = input_shapes
        return tuple(shape)

    def forward(
        self, *inputs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        """Return codes of the output format."""
        (x,) = map(self._codes, inputs)
        difference = x.astype(np.int64) - self.input_zero_point
        return self._requantize(difference, self.mantissa, self.shift), None


class IntegerMaxPool(Untrained, MaxPool):
    """The largest code of each window; padding never wins.

    Parameters
    ----------
    kernel_size, stride, padding : int or tuple of int
        As for `MaxPool`.

    Notes
    -----
    Scale and zero point stay. Tier T1.

    Examples
    --------
    >>> IntegerMaxPool(2, padding=1).forward(np.int8([[[[-3, -4]]]]))[0]
    array([[[[-3, -4]]]], dtype=int8)
    """

    def forward(
        self, *inputs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        """Return codes."""
        (x,) = inputs
        return max_pool(x, self.kernel_size, self.stride, self.padding), None


class IntegerAvgPool(Untrained, AvgPool):
    """The mean code of each window, padding left out, rounded once in integers, a tie up.

    Parameters
    ----------
    kernel_size, stride, padding : int or tuple of int
        As for `AvgPool`.

    Notes
    -----
    Scale and zero point stay: a mean of codes is the code of the mean. Tier T1.

    Examples
    --------
    >>> IntegerAvgPool(2).forward(np.uint8([[[[3, 4], [4, 3]]]]))[0].item()
    4
    """

    def forward(
        self, *inputs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        """Return codes."""
        (x,) = inputs
        sizes = self.kernel_size, self.stride, self.padding
        return average_pool(x, *sizes, rounding="half_up"), None


class IntegerGlobalAvgPool(Untrained, GlobalAvgPool):
    """The mean code of each channel, rounded once in integers, a tie up.

    Notes
    -----
    Scale and zero point stay. Tier T1.

    Examples
    --------
    >>> IntegerGlobalAvgPool().forward(np.int8([[[[-3, -4]]]]))[0]
    array([[-3]], dtype=int8)
    """

    def forward(
        self, *inputs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        """Return codes of shape (n, channels)."""
        (x,) = inputs
        return global_average_pool(x, rounding="half_up")[:, :, 0, 0], None
