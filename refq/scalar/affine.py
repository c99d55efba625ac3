"""Affine quantization: evenly spaced levels, one scale and at most one zero point per block.

Problem
-------
Store each number as an integer of a few bits, so that arithmetic on the integers is arithmetic on
the numbers.

Equation
--------
``q = clip(round(x / s) + z, low_code, high_code)`` and ``x' = s * (q - z)``, with scale *s* and
integer zero point *z* of the block. The rounding is to nearest, the zero point comes after it.

Conventions
-----------
The scale is rounded to its storage first; codes are computed against the *stored* scale, and so is
the zero point. The quotient is a true division, in float32, or in float64 if the array or the
decoded scale is float64. Which codes and which scale a range has: `refq.scalar.schemes`; which
range a block has: `refq.scalar.ranges`.

The float32 bound
-----------------
``|x - x'| <= s/2`` is a sentence of exact arithmetic. In floats, let *u* be the unit roundoff of
the quotient (2^-24 in float32) and *v* that of the decoded product. The quotient is
``t = (x/s)(1 + d)`` with ``|d| <= u``, an integer *k* is within one half of *t*, and the decoder
gives ``x' = s k`` rounded, at most ``v |x'|`` away. By the triangle inequality ::

    |x - x'| <= |x - s t| + s |t - k| + |s k - x'| <= u |x| + s/2 + v |x'|

for every number whose code is not clipped. (A quotient that underflows is below one half: k = 0 and
``|x - x'| = |x| < s/2``; products do not underflow, since subnormal scales are refused.) Rounding
is monotone, so a number above the largest level K = s (high_code - z) takes the largest code, and
its error is the overload distance: ``|x - x'| <= (x - K) + v |x'|``; below the smallest alike.

References
----------
.. [1] B. Jacob et al., "Quantization and Training of Neural Networks for Efficient
   Integer-Arithmetic-Only Inference", CVPR 2018, arXiv:1712.05877, section 2.1, equation 1.
.. [2] R. Krishnamoorthi, "Quantizing deep convolutional networks for efficient inference: A
   whitepaper", 2018, arXiv:1806.08342, section 2.
.. [3] ONNX operator specification, QuantizeLinear and DequantizeLinear.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .. import formats
from ..core.granularity import Granularity, PerAxis, PerGroup, PerTensor, expand
from ..core.quantize_rule import QuantizeRule
from ..encodings import Cast, DenseEncoding, Encoding, Method, ScaledEncoding, stored_scale
from ..encodings.legal import Choice, Legal, Of, Whole
from .ranges import MinMaxRange, RangeMethod
from .schemes import (
    MAX_BITS,
    SCHEMES,
    check_reach,
    code_range,
    format_of,
    has_zero_point,
    scale_of,
    zero_point_of,
)

__all__ = ["AffineQuantizer", "affine_bound"]

#: Roundings to nearest. A directed rounding would move a decoded level whose quotient by the scale
#: falls one unit short of its code, so that coding twice would not be coding once.
NEAREST = ("half_even", "half_away", "half_up")

SLACK = 1 + 2.0**-50  #: covers the float64 roundings of the bound's own arithmetic


def affine_bound(
    W: NDArray[Any],
    decoded: NDArray[Any],
    scale: NDArray[Any],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the derived bound on ``|W - decoded|``, elementwise.

    Parameters
    ----------
    W : ndarray of float
        What was coded.
    decoded : ndarray of float
        What came back.
    scale : ndarray of float
        The decoded scales, broadcastable to W's shape.
    low, high : ndarray of float64
        The smallest and the largest code minus the zero point; broadcastable.

    Returns
    -------
    ndarray of float64
        ``s/2 + u|x| + v|x'|`` inside the levels, ``overload + v|x'|`` outside. In exact arithmetic
        it is a bound; one part in 2^50 is added for its own roundings.

    Notes
    -----
    The derivation is in the module's docstring. Tier T3.

    Examples
    --------
    >>> x, y = np.array([0.26, 9.0], np.float32), np.array([0.5, 1.0], np.float32)
    >>> affine_bound(x, y, np.array(0.5, np.float32), np.array(-2.0), np.array(2.0)).round(3)
    array([0.25, 8.  ])
    """
    u = np.finfo(np.promote_types(W.dtype, scale.dtype)).eps / 2
    v = np.finfo(decoded.dtype).eps / 2
    x, y = W.astype(np.float64), np.abs(decoded.astype(np.float64))
    s = scale.astype(np.float64)
    with np.errstate(over="ignore", under="ignore"):
        over = np.maximum(x - s * high, s * low - x)
        # 2^-50 y: s * high is itself rounded when the scale is a float64
        inside, outside = s / 2 + u * np.abs(x), over + 2.0**-50 * y
        return np.asarray((np.where(over > 0, outside, inside) + v * y) * SLACK)


class AffineQuantizer(Method):
    """Evenly spaced levels: ``scale * (codes - zero_point)`` over blocks.

    Parameters
    ----------
    bits : int
        Width of one code, in [1, 16]; symmetric schemes from 2.
    granularity : Granularity
        Which elements share a scale.
    scheme : str
        One of `refq.scalar.schemes.SCHEMES`; the module's table has codes, scale and zero point.
    range_method : RangeMethod
        How a block's limits are found.
    rounding : {"half_even", "half_away", "half_up"}
        Where a tie goes.
    scale_method : Method
        How the scales are stored; cloned, not fitted itself.

    Attributes
    ----------
    low_, high_ : ndarray of float64
        The limits of each block, as the range method found them.
    scale_ : ndarray of float
        The stored scales, decoded.
    zero_point_ : ndarray of integers
        In the dtype of the codes; zeros where the scheme has none.

    Notes
    -----
    Cost: linear for min-max; see the range methods for the others. float16 scales have 11
    significant bits: from about 12 bits of code on, use ``Cast("float32")``, or the ends of the
    range clip. Error bound: `affine_bound`. Codes are tier T1 for a given stored scale.

    References
    ----------
    B. Jacob et al., arXiv:1712.05877, equation 1.

    Examples
    --------
    >>> W = np.array([[0.1, -0.7, 0.35, 0.0]], np.float32)
    >>> e = AffineQuantizer(bits=4, scheme="symmetric").fit_encode(W)
    >>> e.elements.decode(), e.decode().round(2)
    (array([[ 1, -7,  4,  0]], dtype=int8), array([[ 0.1, -0.7,  0.4,  0. ]], dtype=float32))
    """

    memoryless: ClassVar[bool] = True
    noun: ClassVar[str] = "ScaledEncoding"
    parameters: ClassVar[dict[str, Legal]] = {
        "bits": Whole(1, MAX_BITS),
        "granularity": Of(Granularity),
        "scheme": Choice(*SCHEMES),
        "range_method": Of(RangeMethod),
        "rounding": Choice(*NEAREST),
        "scale_method": Of(Method),
    }

    def __init__(
        self,
        bits: int = 8,
        granularity: Granularity = PerTensor(),  # noqa: B008 (frozen)
        scheme: str = "asymmetric",
        range_method: RangeMethod = MinMaxRange(),  # noqa: B008 (frozen)
        rounding: str = "half_even",
        scale_method: Method = Cast("float16"),  # noqa: B008 (never changed: it is cloned)
    ) -> None:
        self.bits = bits
        self.granularity = granularity
        self.scheme = scheme
        self.range_method = range_method
        self.rounding = rounding
        self.scale_method = scale_method

    @classmethod
    def examples(cls) -> list[Method]:
        """See `Method.examples`."""
        return [
            cls(),
            cls(bits=4, granularity=PerGroup(5), scheme="symmetric"),
            cls(bits=8, granularity=PerAxis(0), scheme="symmetric_half", rounding="half_away"),
        ]

    def check_parameters(self) -> None:
        """Check the table, then that the scheme has codes of that width."""
        super().check_parameters()
        format_of(self.bits, self.scheme)

    def _learn(
        self,
        W: NDArray[Any],
        y: NDArray[Any] | None,
        inputs: NDArray[Any] | None,
        gradients: NDArray[Any] | None,
    ) -> None:
        """Find the limits, store the scales, and place the zero points against what was stored."""
        block_shape = self.granularity.block_shape(W.shape)
        low, high = self.range_method.find_blocks(W, block_shape, self.bits, self.scheme)
        wanted = scale_of(low, high, self.bits, self.scheme)
        encoding, scale = stored_scale(wanted, self.scale_method)
        zero_point = zero_point_of(low, scale, self.bits, self.scheme)
        first, last = code_range(self.bits, self.scheme)
        z = zero_point.astype(np.int64)
        check_reach(scale, 1.0, np.maximum(last - z, z - first).astype(np.float64))
        self.low_, self.high_ = low, high
        self.scale_, self.zero_point_ = scale, zero_point
        self._scale_encoding = encoding

    def _encode(self, W: NDArray[Any]) -> ScaledEncoding:
        block_shape = self.granularity.block_shape(self._same_shape(W).shape)
        form = formats.get(format_of(self.bits, self.scheme))
        first, last = code_range(self.bits, self.scheme)
        # float64 numbers over float32 scales divide in float64: rounded to float32, they would be
        # rounded twice
        wide = "float64" if W.dtype == np.float64 else "scale"
        codes = QuantizeRule(precision=wide, rounding=self.rounding).apply(
            W,
            expand(self.scale_, W.shape, block_shape),
            expand(self.zero_point_, W.shape, block_shape),
            first,
            last,
            form.dtype,
        )
        zero = DenseEncoding(self.zero_point_, form.name) if has_zero_point(self.scheme) else None
        elements = DenseEncoding(codes, form.name)
        return ScaledEncoding(elements, self._scale_encoding, block_shape, zero)

    def error_bound(self, W: NDArray[Any], encoding: Encoding) -> NDArray[Any] | None:
        """See `affine_bound`."""
        if not isinstance(encoding, ScaledEncoding):
            return None
        block_shape = encoding.block_shape
        scale = expand(encoding.scale.decode(), encoding.shape, block_shape)
        first, last = code_range(self.bits, self.scheme)
        zero: NDArray[Any] = np.zeros((), np.float64)
        if encoding.zero_point is not None:
            zero = expand(encoding.zero_point.decode(), encoding.shape, block_shape)
        zero = zero.astype(np.float64)
        return affine_bound(W, encoding.decode(), scale, first - zero, last - zero)
