"""Accumulator-aware quantization: weights so small in sum that no accumulator overflows.

Problem
-------
A sum of products of codes needs a wide accumulator only if the weights' magnitudes add up. Bound
their sum, and 16 or fewer bits are enough for every input there can be.

Equation
--------
With inputs x in [a, b], a <= 0 <= b, and an accumulator of P bits, each row of codes q must have
``high(q) <= 2^(P-1) - 1`` and ``low(q) >= -2^(P-1)``, the largest and the smallest sum of ``q x``.
That holds if::

    |q|_1 <= T = floor((2^(P-1) - 1) / max(-a, b))

([1]_, section 3, where 2^N stands for max(-a, b)). A row beyond T is projected onto the ball
``|t|_1 <= T`` of its quotients ``t = w / s``, which subtracts one threshold from all magnitudes
([2]_, in this place [3]_), and is rounded toward zero, which never lengthens it.

Conventions
-----------
Codes are symmetric, without a zero point; a row shares one scale. A row whose nearest codes fit, by
the exact bound from the codes themselves, keeps them. Inputs without a zero point of their own: for
one, pass the range of ``code - zero point`` as `input_format`.

References
----------
.. [1] I. Colbert, A. Pappalardo, J. Petri-Koenig, "A2Q: Accumulator-Aware Quantization with
   Guaranteed Overflow Avoidance", ICCV 2023, arXiv:2308.13504.
.. [2] J. Duchi, S. Shalev-Shwartz, Y. Singer, T. Chandra, "Efficient Projections onto the l1-Ball
   for Learning in High Dimensions", ICML 2008, figure 1.
.. [3] I. Colbert, A. Pappalardo, J. Petri-Koenig, Y. Umuroglu, "A2Q+: Improving Accumulator-Aware
   Weight Quantization", ICML 2024, arXiv:2401.10432.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .. import formats
from ..core.errors import RangeError, ShapeError
from ..core.granularity import PerAxis
from ..core.rounding import saturate
from ..encodings import Encoding, Method
from ..encodings.legal import Choice, Legal, Of, Whole
from ..ops import accumulator_bound
from .affine import AffineQuantizer
from .integer_grid import IntegerGrid

__all__ = ["AccumulatorAwareQuantizer", "l1_projection"]

INPUTS = ("int4", "int8", "uint4", "uint8")  #: what inputs may be


def l1_projection(x: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    """Return the nearest point of each row with ``sum |t| <= radius``.

    Parameters
    ----------
    x : ndarray of float64, shape (rows, k)
        Any numbers.
    radius : float
        Not negative.

    Returns
    -------
    ndarray of float64, shape (rows, k)
        Rows inside the ball as they are, others with one threshold subtracted from all magnitudes.

    Notes
    -----
    Cost: rows k log k. Tier T3: sums.

    References
    ----------
    J. Duchi et al., ICML 2008, figure 1.

    Examples
    --------
    >>> l1_projection(np.array([[3.0, -1.0, 0.5], [0.5, 0.5, 0.0]]), 2.0)
    array([[ 2. , -0. ,  0. ],
           [ 0.5,  0.5,  0. ]])
    """
    size = np.abs(x)
    falling = -np.sort(-size, axis=1)
    counts = np.arange(1, x.shape[1] + 1)
    thresholds = (np.cumsum(falling, axis=1) - radius) / counts
    # the last count whose smallest member stays above its threshold
    last = np.where(falling > thresholds, counts, 1).max(axis=1, initial=1)
    threshold = np.take_along_axis(thresholds, last[:, None] - 1, axis=1)
    return np.sign(x) * np.maximum(size - np.maximum(threshold, 0.0), 0.0)


class AccumulatorAwareQuantizer(Method):
    """Symmetric codes whose sums of products never leave an accumulator of the given width.

    Parameters
    ----------
    quantizer : Method
        Finds the scales: lands on integers times scales, without a zero point, one scale a row or
        fewer. Cloned, not fitted itself.
    accumulator_bits : int
        Width of the signed accumulator.
    input_format : {"int4", "int8", "uint4", "uint8"}
        What the inputs are; every code of it may come.

    Attributes
    ----------
    radius_ : int
        The largest safe sum of magnitudes, whatever the signs.
    clipped_ : ndarray of bool, shape (rows,)
        Which rows of the fitted weight were too long.

    Raises
    ------
    RangeError
        If the quantizer has a zero point or several scales in a row.

    Notes
    -----
    The bound is exact, in integers: tier T1 for given codes. Cost: rows k log k.

    References
    ----------
    I. Colbert, A. Pappalardo, J. Petri-Koenig, arXiv:2308.13504.

    Examples
    --------
    >>> W = np.array([[3.0, 2.0, 1.0], [0.0, 0.0, 3.0]])
    >>> grid = AffineQuantizer(bits=3, scheme="symmetric")  # scale 1
    >>> method = AccumulatorAwareQuantizer(grid, accumulator_bits=11, input_format="uint8")
    >>> e = method.fit(W).encode(W)
    >>> method.radius_, e.elements.decode().tolist(), method.clipped_
    (4, [[2, 1, 0], [0, 0, 3]], array([ True, False]))
    """

    memoryless: ClassVar[bool] = False
    noun: ClassVar[str] = "ScaledEncoding"
    parameters: ClassVar[dict[str, Legal]] = {
        "quantizer": Of(Method),
        "accumulator_bits": Whole(4, 32),
        "input_format": Choice(*INPUTS),
    }

    def __init__(
        self,
        quantizer: Method = AffineQuantizer(8, PerAxis(0), "symmetric"),  # noqa: B008 (cloned)
        accumulator_bits: int = 16,
        input_format: str = "uint8",
    ) -> None:
        self.quantizer = quantizer
        self.accumulator_bits = accumulator_bits
        self.input_format = input_format

    @classmethod
    def examples(cls) -> list[Method]:
        """See `Method.examples`."""
        tensor = AffineQuantizer(bits=4, scheme="symmetric")
        return [cls(), cls(tensor, 12, "int8")]

    def _learn(
        self,
        W: NDArray[Any],
        y: NDArray[Any] | None,
        inputs: NDArray[Any] | None,
        gradients: NDArray[Any] | None,
    ) -> None:
        """Take the quantizer's scales, and see which rows do not fit."""
        if W.ndim < 2 or not W.size:
            raise ShapeError(f"W has shape {W.shape}; a matrix (out, in) with elements is needed")
        self._grid = IntegerGrid.of(self.quantizer, W)
        e = self._grid.encoding
        if e.zero_point is not None or any(n > 1 for n in e.scale.shape[1:]):
            raise RangeError(
                f"quantizer = {self.quantizer!r} has a zero point or several scales in a row; "
                'use scheme="symmetric" and PerAxis(0) or PerTensor()'
            )
        form: Any = formats.get(self.input_format)
        self.radius_ = self._highest() // max(-form.low, form.high)
        self.clipped_ = ~self._fits(self._grid.nearest(W))

    def _highest(self) -> int:
        return (1 << (self.accumulator_bits - 1)) - 1

    def _fits(self, codes: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which rows stay inside the accumulator for every input."""
        whole = saturate(codes, self._grid.low, self._grid.high, np.int16)
        low, high = accumulator_bound(whole, self.input_format)
        return (low >= -self._highest() - 1) & (high <= self._highest())

    def _encode(self, W: NDArray[Any]) -> Encoding:
        nearest = self._grid.nearest(self._same_shape(W))
        rows = np.clip(self._grid.quotients(W), self._grid.low, self._grid.high)
        rows = l1_projection(rows.reshape(len(W), -1), float(self.radius_))
        fitted = np.trunc(rows).reshape(W.shape)
        keep = self._fits(nearest).reshape(-1, *[1] * (W.ndim - 1))
        return self._grid.encode(np.where(keep, nearest, fitted))
