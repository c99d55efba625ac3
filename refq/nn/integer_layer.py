"""What the layers of a lowered model share: integers in, integers out, no float in between.

Problem
-------
After calibration every activation is ``scale (q - zero_point)``. A layer's real arithmetic then
becomes integer arithmetic on the codes and one real multiplier per channel, which is kept as a
32-bit mantissa and a shift.

Equation
--------
``q_y = saturate(round(acc * mantissa * 2^-shift) + z_y)`` in integers, rounded once ([1]_, section
2.2). A fused ReLU is the lower limit of the saturation: the code of zero.

Conventions
-----------
All tensors are buffers: nothing here is trained. Every rounding is to nearest, ties up, so it
commutes with adding a zero point. A clipped ReLU is a lower and an upper limit: the codes of zero
and of the ceiling. `output_scale` is what one step of the output code is worth; no layer uses it, a
reader of the logits may.

References
----------
.. [1] B. Jacob et al., "Quantization and Training of Neural Networks for Efficient
   Integer-Arithmetic-Only Inference", arXiv:1712.05877, 2017.
"""

from typing import Any, ClassVar

import numpy as np

from ..core.checks import check_integer
from ..core.errors import DTypeError, ShapeError
from ..encodings import Encoding
from ..ops.quantization import integer_format
from ..ops.requantization import requantize_fixed_point
from .layer import Array, Layer, Shape, Tensor, check_tensor

__all__ = ["IntegerLayer", "Untrained"]

INT32 = (-(1 << 31), (1 << 31) - 1)


class Untrained:
    """What layers without a gradient mix in, before the layer they derive from."""

    def backward(self, grad: Array, cache: Any) -> tuple[tuple[Array, ...], dict[str, Array]]:
        """Refuse: an integer model is not trained.

        Parameters
        ----------
        grad : ndarray
            Whatever it is.
        cache : object
            Whatever it is.

        Returns
        -------
        tuple
            Never.

        Raises
        ------
        DTypeError
            Always.
        """
        raise DTypeError("an integer model has no gradient; train the float model it came from")


class IntegerLayer(Untrained, Layer):
    """What integer layers share: the code of zero before and after, and the range of the result."""

    config_names: ClassVar[tuple[str, ...]] = (
        "format",
        "input_zero_point",
        "output_zero_point",
        "low",
        "high",
    )

    def _set_codes(
        self, format: str, input_zero_point: int, output_zero_point: int, low: int, high: int
    ) -> None:
        form = integer_format(format)
        self.format = form.name
        self.dtype = form.dtype
        self.input_zero_point = check_integer(input_zero_point, "input_zero_point", *INT32)
        self.output_zero_point = check_integer(
            output_zero_point, "output_zero_point", form.low, form.high
        )
        self.low = check_integer(low, "low", form.low, form.high)
        self.high = check_integer(high, "high", self.low, form.high)

    @staticmethod
    def _array(tensor: Tensor) -> Array:
        return tensor.decode() if isinstance(tensor, Encoding) else tensor

    def _integers(self, value: Any, shape: Shape, name: str) -> Tensor:
        """Return a tensor of exactly `shape` that holds integers."""
        tensor = check_tensor(value, shape, name, is_float=False)
        if tensor.dtype.kind not in "iu":
            raise DTypeError(f"{name} has dtype {tensor.dtype}; integers are needed")
        return tensor

    def _multiplier(self, mantissa: Any, shift: Any, n_channels: int) -> tuple[Tensor, Tensor]:
        """Return mantissas and shifts, one for all or one per channel."""
        shape = np.shape(mantissa) if not isinstance(mantissa, Encoding) else mantissa.shape
        if shape not in ((1,), (n_channels,)):
            raise ShapeError(f"mantissa has shape {shape}; it must be (1,) or ({n_channels},)")
        return self._integers(mantissa, shape, "mantissa"), self._integers(shift, shape, "shift")

    def _codes(self, x: Array) -> Array:
        """Return the input if it holds integers of the right shape."""
        if x.dtype.kind not in "iu":
            raise DTypeError(f"{self!r} got {x.dtype}; pass integer codes")
        return x

    def _requantize(self, accumulator: Array, mantissa: Tensor, shift: Tensor) -> Array:
        m, s = self._array(mantissa), self._array(shift)
        # one multiplier for all is the same as one each, and needs no axis
        m, s = (m.reshape(()), s.reshape(())) if m.size == 1 else (m, s)
        return requantize_fixed_point(
            accumulator,
            m,
            s,
            self.output_zero_point,
            self.low,
            self.high,
            self.dtype,
            axis=1 if m.ndim else None,
        )
