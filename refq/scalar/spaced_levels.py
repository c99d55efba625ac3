"""Quantization to levels of a spacing: powers of two, sums of them, powers of their root.

Problem
-------
Keep the relative error of small weights, or replace multiplications by shifts.

Equation
--------
``q = decide(x / s)`` among the levels of `refq.scalar.spacings`, ``x' = s * level_q``.

Conventions
-----------
The scale is rounded to its storage first; the quotient by the *stored* scale is taken in float32,
or in float64 if the array or the decoded scale is float64. Decisions, a tie to the lower level:
"nearest" at midpoints; "ratio" at the root of the product of two levels, which is rounding of the
logarithm [1]_ (between zero and its neighbours still at the midpoint). The list of levels is stored
as a codebook and counted, once for the array. (`refq.formats` has some of these lists as formats,
which cost nothing: see `refq.scalar.LevelQuantizer`.)

The bound
---------
As for a level table: with u and v the unit roundoffs of quotient and product and g the farthest
that a number of the chosen level may be from it, ``|x - x'| <= s g + u |x| + v |x'|``; beyond the
ends, the overload distance and ``v |x'|``.

References
----------
.. [1] D. Miyashita, E. H. Lee, B. Murmann, "Convolutional Neural Networks using Logarithmic Data
   Representation", 2016, arXiv:1603.01025.
.. [2] Y. Li, X. Dong, W. Wang, arXiv:1909.13144.
"""

from math import prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..core.granularity import (
    Granularity,
    PerAxis,
    PerGroup,
    PerTensor,
    block_reduce,
    blocks_of,
    expand,
    parameter_shape,
)
from ..encodings import (
    Cast,
    CodebookEncoding,
    Encoding,
    Method,
    ScaledEncoding,
    from_codes,
    stored,
    stored_scale,
)
from ..encodings.legal import Choice, Legal, Of, Whole
from .block_scale import optimal_level_scale
from .schemes import check_reach
from .spacings import SPACINGS, spaced_levels

__all__ = ["SpacedLevelQuantizer"]

Floats = NDArray[np.float64]


def _thresholds(levels: Floats, decision: str) -> Floats:
    """Return where neighbours meet."""
    a, b = levels[:-1], levels[1:]
    middles = (a + b) / 2
    if decision == "nearest":
        return middles
    return np.asarray(np.where(a * b > 0, np.sign(a) * np.sqrt(np.abs(a) * np.abs(b)), middles))


class SpacedLevelQuantizer(Method):
    """Powers of two, or another spacing that is dense near zero, times the block's scale.

    Parameters
    ----------
    spacing : {"power_of_two", "root_two", "additive"}
        Which levels; see `refq.scalar.spacings`.
    bits : int
        Width of a code, in [2, 8]; odd for "additive".
    granularity : Granularity
        Which elements share a scale.
    decision : {"nearest", "ratio"}
        Nearest level, or nearest logarithm.
    scale : {"absmax", "least_squares"}
        The largest magnitude gets the largest level, or the scale of least squared error
        (for the nearest decision).
    scale_method : Method
        How the scales are stored; cloned, not fitted itself.

    Attributes
    ----------
    scale_ : ndarray of float
        The stored scales, decoded.
    levels_ : ndarray of float32, shape (2**bits - 1,)
        The stored levels.

    Notes
    -----
    ``stored_bits = n bits + 32 (2^bits - 1) + bits of the scales``. Error bound: in the module's
    docstring; between the smallest and the largest level the relative error is at most
    `refq.scalar.ratio_error` of the levels, plus rounding. O(n log n). Tier T1 for given scales.

    References
    ----------
    D. Miyashita et al., arXiv:1603.01025; Y. Li et al., arXiv:1909.13144.

    Examples
    --------
    >>> e = SpacedLevelQuantizer(bits=3).fit_encode([[1.0, -0.6, 0.3, 0.1]])
    >>> e.decode()
    array([[ 1.  , -0.5 ,  0.25,  0.  ]], dtype=float32)
    """

    memoryless: ClassVar[bool] = True
    noun: ClassVar[str] = "ScaledEncoding"
    parameters: ClassVar[dict[str, Legal]] = {
        "spacing": Choice(*SPACINGS),
        "bits": Whole(2, 8),
        "granularity": Of(Granularity),
        "decision": Choice("nearest", "ratio"),
        "scale": Choice("absmax", "least_squares"),
        "scale_method": Of(Method),
    }

    def __init__(
        self,
        spacing: str = "power_of_two",
        bits: int = 4,
        granularity: Granularity = PerTensor(),  # noqa: B008 (frozen)
        decision: str = "nearest",
        scale: str = "absmax",
        scale_method: Method = Cast("float16"),  # noqa: B008 (never changed: it is cloned)
    ) -> None:
        self.spacing = spacing
        self.bits = bits
        self.granularity = granularity
        self.decision = decision
        self.scale = scale
        self.scale_method = scale_method

    @classmethod
    def examples(cls) -> list[Method]:
        """See `Method.examples`."""
        return [
            cls(),
            cls("additive", 5, PerAxis(0), scale="least_squares"),
            cls("root_two", 4, PerGroup(5), "ratio", scale_method=Cast("float32")),
        ]

    def check_parameters(self) -> None:
        """Check the table, then that the spacing has levels of that width."""
        super().check_parameters()
        spaced_levels(self.spacing, self.bits)

    def _learn(
        self,
        W: NDArray[Any],
        y: NDArray[Any] | None,
        inputs: NDArray[Any] | None,
        gradients: NDArray[Any] | None,
    ) -> None:
        """Store the levels, then a scale for each block."""
        wanted = spaced_levels(self.spacing, self.bits)
        self._book, book = stored(wanted[None, :, None], Cast("float32"))
        self.levels_ = book[0, :, 0]
        levels = self.levels_.astype(np.float64)
        block_shape = self.granularity.block_shape(W.shape)
        absmax = block_reduce(np.abs(W), block_shape, np.maximum).astype(np.float64)
        if self.scale == "least_squares":
            best = [optimal_level_scale(W[b], levels) for b in blocks_of(W.shape, block_shape)]
            scale = np.array(best).reshape(parameter_shape(W.shape, block_shape))
        else:
            scale = np.where(absmax == 0, 1.0, absmax)
        self._scale_encoding, kept = stored_scale(scale, self.scale_method)
        self.scale_ = check_reach(kept, float(levels[levels > 0].min()), 1.0)
        self._starts = _thresholds(levels, self.decision)

    def _encode(self, W: NDArray[Any]) -> ScaledEncoding:
        block_shape = self.granularity.block_shape(self._same_shape(W).shape)
        with np.errstate(over="ignore", under="ignore"):
            x = W / expand(self.scale_, W.shape, block_shape)
        codes = np.searchsorted(self._starts, x.astype(np.float64), side="left")
        rows = (W.shape[0], prod(W.shape[1:])) if W.ndim > 1 else (1, W.size)
        leaf = from_codes(codes.reshape(rows), len(self.levels_))
        elements = CodebookEncoding(leaf, self._book, W.shape)
        return ScaledEncoding(elements, self._scale_encoding, block_shape)

    def error_bound(self, W: NDArray[Any], encoding: Encoding) -> NDArray[Any] | None:
        """How far a level's numbers may be from it, times the scale; the overload outside."""
        if not isinstance(encoding, ScaledEncoding) or not isinstance(
            encoding.elements, CodebookEncoding
        ):
            return None
        levels, codes = self.levels_.astype(np.float64), encoding.elements.codes.decode()
        below = np.append(0.0, levels[1:] - self._starts)
        above = np.append(self._starts - levels[:-1], 0.0)
        reach = np.maximum(below, above)[codes.astype(np.int64)].reshape(W.shape)
        scale = expand(encoding.scale.decode(), encoding.shape, encoding.block_shape)
        decoded = encoding.decode()
        u = np.finfo(np.promote_types(W.dtype, scale.dtype)).eps / 2
        v = np.finfo(decoded.dtype).eps / 2 + 2.0**-50
        x, s = W.astype(np.float64), scale.astype(np.float64)
        over = np.maximum(x - s * levels[-1], s * levels[0] - x)
        inside = s * reach + u * np.abs(x)
        rounding = v * np.abs(decoded.astype(np.float64))
        return np.asarray((np.where(over > 0, over, inside) + rounding) * (1 + 2.0**-50))
