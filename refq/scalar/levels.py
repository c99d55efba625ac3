"""Level quantization: each number, over its block's scale, becomes the nearest level of a table.

Problem
-------
Weights are not spread evenly. A fixed table puts its levels where the numbers are: NF4 [1]_ at
quantiles of the normal distribution. The table belongs to a standard, so only codes and scales are
stored.

Equation
--------
``s = max|x| / max|level|`` over the block, ``q = argmin |x / s - level_q|``, ``x' = s * level_q``.

Conventions
-----------
The scale is rounded to its storage first; the quotient is a true division by the *stored* scale, in
float32, or in float64 if the array or the decoded scale is float64. A tie goes where the table
sends it: to the lower level, in bitsandbytes' FP4 to the smaller magnitude. An all-zero block has
scale 1. Blocks lie along an axis of the array; a ragged edge is a smaller block. (bitsandbytes runs
its blocks over the flattened array, and takes the mean off its scales before it quantizes them:
that is the layout `refq.layouts.bitsandbytes`.)

The bound
---------
With *u* the unit roundoff of the quotient, *v* that of the product and *r* how far from its level l
a number may be that gets it (half of the wider gap, where the table decides at midpoints):
``|x - x'| <= |x - s t| + s |t - l| + |s l - x'| <= u |x| + s r + v |x'|`` for a quotient t within
the table. Beyond its ends, the overload distance replaces the first two terms.

References
----------
.. [1] T. Dettmers et al., "QLoRA: Efficient Finetuning of Quantized LLMs", 2023, arXiv:2305.14314,
   section 3.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .. import formats
from ..core.errors import RangeError
from ..core.granularity import Granularity, PerAxis, PerGroup, PerTensor, block_reduce, expand
from ..encodings import Cast, DenseEncoding, Encoding, Method, ScaledEncoding, stored_scale
from ..encodings.legal import Choice, Legal, Of
from .schemes import check_reach

__all__ = ["LevelQuantizer"]


#: Tables that an absmax scale serves: zero is a level, so zero stays zero.
TABLES = tuple(
    sorted(
        name
        for name, form in (*formats.FORMATS.items(), *formats.LAYOUT_TABLES.items())
        if isinstance(form, formats.LevelTable) and 0.0 in form.levels and name[:5] != "ggml_"
    )
)


def _table(name: str) -> formats.LevelTable:
    form = formats.get(name)
    if not isinstance(form, formats.LevelTable):
        raise RangeError(f"format = {name!r} is no level table; there are {', '.join(TABLES)}")
    return form


class LevelQuantizer(Method):
    """The nearest level of a table, times the block's scale.

    Parameters
    ----------
    format : {"nf4", "bnb_fp4", "bnb_dynamic8", "ternary", "pot4", "apot5"}
        A level table with a zero.
    granularity : Granularity
        Which elements share a scale.
    scale_method : Method
        How the scales are stored; cloned, not fitted itself. A quantizer here is double
        quantization: the scales become codes over scales of their own.

    Attributes
    ----------
    scale_ : ndarray of float
        The stored scales, decoded.

    Notes
    -----
    ``binary`` is refused: its levels -1 and +1 would both lie an absmax away from zero; the least
    squared error needs the mean of ``|x|``, which is a binarizer's scale. ``ternary`` has the
    absmax as its scale, so all below half of it becomes zero; a searched threshold does better. Of
    the two zeros of ``bnb_fp4`` only 0 is used: bitsandbytes keeps the sign.
    Error bound: in the module's docstring. Cost: O(n log n_levels). Tier T1.

    References
    ----------
    T. Dettmers et al., arXiv:2305.14314, section 3.

    Examples
    --------
    >>> W = np.array([[0.5, -2.0, 0.0, 1.0]], np.float32)
    >>> e = LevelQuantizer("nf4", granularity=PerGroup(4)).fit_encode(W)
    >>> e.elements.codes, e.decode().round(3)[0, :2]
    (array([[10,  0,  7, 12]], dtype=uint8), array([ 0.492, -2.   ], dtype=float32))
    """

    memoryless: ClassVar[bool] = True
    noun: ClassVar[str] = "ScaledEncoding"
    parameters: ClassVar[dict[str, Legal]] = {
        "format": Choice(*TABLES),
        "granularity": Of(Granularity),
        "scale_method": Of(Method),
    }

    def __init__(
        self,
        format: str = "nf4",
        granularity: Granularity = PerGroup(64),  # noqa: B008 (frozen)
        scale_method: Method = Cast("float16"),  # noqa: B008 (never changed: it is cloned)
    ) -> None:
        self.format = format
        self.granularity = granularity
        self.scale_method = scale_method

    @classmethod
    def examples(cls) -> list[Method]:
        """See `Method.examples`."""
        return [
            cls(),
            cls("bnb_fp4", granularity=PerGroup(5), scale_method=cls("bnb_dynamic8")),
            cls("ternary", granularity=PerAxis(0)),
            cls("bnb_fp4", granularity=PerTensor()),
        ]

    def check_parameters(self) -> None:
        """Check the table; say why a table without a zero does not fit."""
        if self.format == "binary":
            raise RangeError(
                "format = 'binary' has no zero and needs the mean of |x| as its scale, not the "
                f"absmax: use a binary method, or one of {', '.join(TABLES)}"
            )
        super().check_parameters()

    def _learn(
        self,
        W: NDArray[Any],
        y: NDArray[Any] | None,
        inputs: NDArray[Any] | None,
        gradients: NDArray[Any] | None,
    ) -> None:
        """Store ``absmax / max|level|`` of every block."""
        magnitudes = np.abs(np.array(_table(self.format).levels))
        block_shape = self.granularity.block_shape(W.shape)
        absmax = block_reduce(np.abs(W), block_shape, np.maximum).astype(np.float64)
        wanted = np.where(absmax == 0, 1.0, absmax / magnitudes.max())
        encoding, scale = stored_scale(wanted, self.scale_method)
        self.scale_ = check_reach(scale, magnitudes[magnitudes > 0].min(), magnitudes.max())
        self._scale_encoding = encoding

    def _encode(self, W: NDArray[Any]) -> ScaledEncoding:
        block_shape = self.granularity.block_shape(self._same_shape(W).shape)
        with np.errstate(over="ignore", under="ignore"):
            levels = W / expand(self.scale_, W.shape, block_shape)
        table = _table(self.format)
        codes = table.canonical(table.encode(levels))  # -0 decodes to what would be coded as 0
        return ScaledEncoding(DenseEncoding(codes, self.format), self._scale_encoding, block_shape)

    def error_bound(self, W: NDArray[Any], encoding: Encoding) -> NDArray[Any] | None:
        """How far a level reaches, times the scale; the overload outside."""
        if not isinstance(encoding, ScaledEncoding) or not isinstance(
            encoding.elements, DenseEncoding
        ):
            return None
        form = _table(encoding.elements.format)
        scale = expand(encoding.scale.decode(), encoding.shape, encoding.block_shape)
        u = np.finfo(np.promote_types(W.dtype, scale.dtype)).eps / 2
        decoded = encoding.decode()
        v = np.finfo(decoded.dtype).eps / 2 + 2.0**-50
        x, s = W.astype(np.float64), scale.astype(np.float64)
        over = np.maximum(x - s * form.max, s * form.min - x)
        inside = s * form.reach(encoding.elements.codes) + u * np.abs(x)
        rounding = v * np.abs(decoded.astype(np.float64))
        return np.asarray((np.where(over > 0, over, inside) + rounding) * (1 + 2.0**-50))
