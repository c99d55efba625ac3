"""Bit-width pruning: quantize to many bits, then drop the low-order ones.

Problem
-------
A tensor is stored in, say, eight bits. Fewer are wanted, by looking at the integers only.

Equation
--------
With codes q of B bits and ``d = B - b`` bits to drop:

==============  ==============================================================================
``drop``        code of b bits
==============  ==============================================================================
"truncate"      ``floor(q / 2^d)``: the low bits are cut off, as a shift does
"toward_zero"   ``trunc(q / 2^d)``: cut off the magnitude
"round"         ``round(q / 2^d)``, half to even, clipped to b bits
==============  ==============================================================================

and ``x' = 2^d s code``. Dropping costs less than ``2^d s`` when bits are cut, at most ``2^d s / 2``
when they are rounded and not clipped; the range is about ``2^B s`` wide, so these are ``2^-b`` and
``2^-b / 2`` of it.

Conventions
-----------
The first quantization is symmetric and restricted, ``q = round(x / s)`` within ``+-(2^(B-1) - 1)``,
half to even, ``s = absmax / (2^(B-1) - 1)``. The scale ``2^d s`` is what is stored; dividing it by
2^d is exact. Truncation is biased: its error is ``-(2^d - 1) / 2`` steps on average. Cutting bits
in two goes is cutting them at once; rounding twice is not rounding once: 7/16 of a step becomes 4/8
and then a tie.

References
----------
No canonical source is known for this method; the bound is derived here.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..core.errors import RangeError
from ..core.granularity import Granularity, PerAxis, PerGroup, PerTensor, block_reduce, expand
from ..core.rounding import ROUNDINGS, saturate
from ..core.semantics import QuantizeRule
from ..encodings import Cast, DenseEncoding, Encoding, Method, ScaledEncoding, stored_scale
from ..encodings.legal import Choice, Legal, Of, Whole
from .schemes import MAX_BITS, check_reach, scale_of

__all__ = ["DroppedBitsQuantizer", "drop_bits"]

#: how bits are dropped -> the rounding of q / 2^d
DROPS = {"truncate": "floor", "toward_zero": "toward_zero", "round": "half_even"}


def drop_bits(codes: NDArray[Any], from_bits: int, bits: int, drop: str) -> NDArray[Any]:
    """Return signed codes of fewer bits.

    Parameters
    ----------
    codes : ndarray of integers
        In the range of `from_bits` bits, two's complement.
    from_bits : int
        *B*, in [2, 16].
    bits : int
        *b*, in [2, B].
    drop : {"truncate", "toward_zero", "round"}
        What becomes of the low-order bits.

    Returns
    -------
    ndarray of int16
        In the range of `bits` bits.

    Notes
    -----
    Exact: a code over a power of two is a float64. Tier T1.

    Examples
    --------
    >>> q = np.array([-7, -1, 6, 7])
    >>> [drop_bits(q, 4, 2, drop).tolist() for drop in DROPS]
    [[-2, -1, 1, 1], [-1, 0, 1, 1], [-2, 0, 1, 1]]
    """
    part = ROUNDINGS[DROPS[drop]](codes.astype(np.float64) / 2.0 ** (from_bits - bits))
    half = 1 << (bits - 1)
    return saturate(part, -half, half - 1, np.int16)


class DroppedBitsQuantizer(Method):
    """Quantize to `from_bits`, keep the upper `bits` of every code.

    Parameters
    ----------
    from_bits : int
        *B*, in [2, 16]: the width before.
    bits : int
        *b*, in [2, B]: the width that is stored.
    drop : {"round", "truncate", "toward_zero"}
        What becomes of the low-order bits.
    granularity : Granularity
        Which elements share a scale.
    scale_method : Method
        How the scales are stored; cloned, not fitted itself.

    Attributes
    ----------
    scale_ : ndarray of float
        The stored scales ``2^d s``, decoded.

    Notes
    -----
    ``stored_bits = n b + bits of the scales``. Error bound: half a step of the first codes, what
    was dropped, and the rounding of quotient and product; beyond the range the overload. O(n).
    Tier T1 for given scales.

    References
    ----------
    No canonical source is known; see the module.

    Examples
    --------
    >>> W = np.array([[0.1, -1.0, 0.5, 0.9]], np.float32)
    >>> DroppedBitsQuantizer(8, 3).fit_encode(W).elements.decode()
    array([[ 0, -4,  2,  3]], dtype=int8)
    """

    memoryless: ClassVar[bool] = True
    noun: ClassVar[str] = "ScaledEncoding"
    parameters: ClassVar[dict[str, Legal]] = {
        "from_bits": Whole(2, MAX_BITS),
        "bits": Whole(2, MAX_BITS),
        "drop": Choice(*DROPS),
        "granularity": Of(Granularity),
        "scale_method": Of(Method),
    }

    def __init__(
        self,
        from_bits: int = 8,
        bits: int = 4,
        drop: str = "round",
        granularity: Granularity = PerTensor(),  # noqa: B008 (frozen)
        scale_method: Method = Cast("float16"),  # noqa: B008 (never changed: it is cloned)
    ) -> None:
        self.from_bits = from_bits
        self.bits = bits
        self.drop = drop
        self.granularity = granularity
        self.scale_method = scale_method

    @classmethod
    def examples(cls) -> list[Method]:
        """See `Method.examples`."""
        return [
            cls(),
            cls(8, 5, "truncate", PerAxis(0)),
            cls(6, 3, "toward_zero", PerGroup(5), Cast("float32")),
        ]

    def check_parameters(self) -> None:
        """Also check that bits are dropped, not added."""
        super().check_parameters()
        if self.bits > self.from_bits:
            raise RangeError(
                f"bits = {self.bits} exceeds from_bits = {self.from_bits}: bits are dropped"
            )

    @property
    def _factor(self) -> float:
        return 2.0 ** (self.from_bits - self.bits)

    def _learn(
        self,
        W: NDArray[Any],
        y: NDArray[Any] | None,
        inputs: NDArray[Any] | None,
        gradients: NDArray[Any] | None,
    ) -> None:
        """Store ``2^d absmax / (2^(B - 1) - 1)`` of every block."""
        block_shape = self.granularity.block_shape(W.shape)
        absmax = block_reduce(np.abs(W), block_shape, np.maximum)
        fine = scale_of(-absmax, absmax, self.from_bits, "symmetric")
        self._scale_encoding, scale = stored_scale(fine * self._factor, self.scale_method)
        self.scale_ = check_reach(scale, 1 / self._factor, 2.0 ** (self.bits - 1))

    def _codes(self, W: NDArray[Any], block_shape: tuple[int, ...]) -> NDArray[Any]:
        """Return the codes before bits are dropped."""
        top = (1 << (self.from_bits - 1)) - 1
        fine = expand(self.scale_ / self.scale_.dtype.type(self._factor), W.shape, block_shape)
        wide = "float64" if W.dtype == np.float64 else "scale"
        return QuantizeRule(precision=wide).apply(
            W, fine, np.zeros(fine.shape, np.int16), -top, top, np.dtype(np.int16)
        )

    def _encode(self, W: NDArray[Any]) -> ScaledEncoding:
        block_shape = self.granularity.block_shape(self._same_shape(W).shape)
        codes = drop_bits(self._codes(W, block_shape), self.from_bits, self.bits, self.drop)
        elements = DenseEncoding(codes.astype(f"int{8 if self.bits <= 8 else 16}"),
                                 f"int{self.bits}")  # fmt: skip
        return ScaledEncoding(elements, self._scale_encoding, block_shape)

    def error_bound(self, W: NDArray[Any], encoding: Encoding) -> NDArray[Any] | None:
        """``s / 2 + s dropped + u |x| + v |x'|``, and the overload beyond the range."""
        block_shape = self.granularity.block_shape(W.shape)
        q = self._codes(W, block_shape).astype(np.float64)
        half, low = 1 << (self.bits - 1), self._factor
        # the most that can be dropped, by the code alone
        most = {"truncate": low - 1, "toward_zero": low - 1, "round": low / 2}[self.drop]
        dropped = np.maximum(most, q - low * (half - 1))  # clipped at the upper end
        s = expand(self.scale_, W.shape, block_shape).astype(np.float64) / self._factor
        decoded = encoding.decode()
        u = np.finfo(np.promote_types(W.dtype, self.scale_.dtype)).eps / 2
        v = np.finfo(decoded.dtype).eps / 2 + 2.0**-50
        x, y = np.abs(W.astype(np.float64)), np.abs(decoded.astype(np.float64))
        over = np.maximum(x - s * ((1 << (self.from_bits - 1)) - 1), 0.0)
        return np.asarray((s / 2 + over + s * dropped + u * x + v * y) * (1 + 2.0**-50))
