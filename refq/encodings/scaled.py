"""The node of every quantizer with a scale.

Equation
--------
``scale * (elements - zero_point) + offset``, each parameter repeated over its block.

Conventions
-----------
Elements, scale, zero point and offset are Encodings themselves, so double quantization and
two-level scales need nothing new. Integer elements and an integer zero point are subtracted as
integers, then widened; the product is rounded once in float32 (float64 where the scale or the
elements are float64), the sum with the offset once more. Integer differences of up to 24 bits are
exact in float32.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.checks import check_shape
from ..core.errors import FormatError, RangeError, ShapeError
from ..core.granularity import block_reduce, expand, parameter_shape
from .encoding import Encoding, check_part, result_dtype
from .masked import MaskedEncoding

__all__ = ["ScaledEncoding"]


@dataclass(frozen=True, eq=False, repr=False)
class ScaledEncoding(Encoding):
    """``scale * (elements - zero_point) + offset`` over blocks.

    Parameters
    ----------
    elements : Encoding
        Of the array's shape.
    scale : Encoding
        Of shape ``ceil(shape / block_shape)``.
    block_shape : tuple of int
        One length per axis; the last block of an axis may be smaller.
    zero_point, offset : Encoding or None
        Of the scale's shape.

    Raises
    ------
    ShapeError
        If a parameter's shape is not the number of blocks.
    RangeError
        If the elements are masked and there is a zero point or an offset: the pruned entries would
        not decode to zero.
    DTypeError
        If a part is no Encoding.
    FormatError
        On decoding, if 64-bit integers are too large to be subtracted.

    Notes
    -----
    Foreign scales (zero, negative, infinite, NaN) are allowed and decode by this arithmetic; refq's
    own methods never make them. Tier T1.

    Examples
    --------
    >>> from .dense_leaf import dense
    >>> e = ScaledEncoding(dense([[3, -1]], "int4"), dense([[0.5]], "float16"), (1, 2))
    >>> e.decode(), e.stored_bits
    (array([[ 1.5, -0.5]], dtype=float32), 24)
    """

    elements: Encoding
    scale: Encoding
    block_shape: tuple[int, ...]
    zero_point: Encoding | None = None
    offset: Encoding | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "block_shape", check_shape(self.block_shape, "block_shape"))
        want = parameter_shape(check_part(self.elements, "elements").shape, self.block_shape)
        check_part(self.scale, "scale")
        for name in ("scale", "zero_point", "offset"):
            part = getattr(self, name)
            if part is not None and check_part(part, name).shape != want:
                raise ShapeError(
                    f"{name} has shape {part.shape}; blocks of {self.block_shape} in "
                    f"{self.elements.shape} need {want}"
                )
        if isinstance(self.elements, MaskedEncoding) and (self.zero_point or self.offset):
            raise RangeError(
                "a mask inside a scale with a zero point or an offset would decode pruned entries "
                "to something else than zero; put it outside: MaskedEncoding(mask, scaled, shape)"
            )

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The elements' shape."""
        return self.elements.shape

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """float64 if elements, scale or offset are, else float32."""
        return result_dtype(
            self.elements.dtype, self.scale.dtype, *([self.offset.dtype] if self.offset else [])
        )

    def config(self) -> dict[str, Any]:
        """Return the block shape."""
        return {"block_shape": self.block_shape}

    def _spread(self, parts: Mapping[str, NDArray[Any]], name: str) -> NDArray[Any]:
        return expand(parts[name], self.shape, self.block_shape)

    def _centred(self, parts: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """Return ``elements - zero_point``, integers subtracted as integers."""
        q = parts["elements"]
        if "zero_point" not in parts:
            return q
        z = self._spread(parts, "zero_point")
        if q.dtype.kind in "iu" and z.dtype.kind in "iu":
            return _as_int64(q, "elements") - _as_int64(z, "zero_point")
        return q.astype(self.dtype) - z.astype(self.dtype)

    def combine(self, parts: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """Return ``scale * (elements - zero_point) + offset``."""
        with np.errstate(all="ignore"):
            x = self._centred(parts).astype(self.dtype)
            x = x * self._spread(parts, "scale").astype(self.dtype)
            if "offset" in parts:
                x = x + self._spread(parts, "offset").astype(self.dtype)
        return x

    def pull(
        self, grad: NDArray[Any], parts: Mapping[str, NDArray[Any]]
    ) -> dict[str, NDArray[Any]]:
        """Return the gradients: a parameter's is the sum over its block."""
        scale = self._spread(parts, "scale").astype(np.float64)
        pulled = {"scale": self._gather(grad * self._centred(parts))}
        if parts["elements"].dtype.kind == "f":
            pulled["elements"] = grad * scale
        if "zero_point" in parts and parts["zero_point"].dtype.kind == "f":
            pulled["zero_point"] = self._gather(-grad * scale)
        if "offset" in parts:
            pulled["offset"] = self._gather(grad)
        return pulled

    def _gather(self, x: NDArray[Any]) -> NDArray[Any]:
        if x.size == 0:
            return np.zeros(self.scale.shape)
        return block_reduce(x, self.block_shape, np.add)


def _as_int64(x: NDArray[Any], name: str) -> NDArray[np.int64]:
    """Widen integers so that the difference of any two cannot leave int64."""
    limit = 1 << 62
    if x.dtype.itemsize == 8 and x.size and not -limit <= int(x.min()) <= int(x.max()) < limit:
        raise FormatError(f"{name} lies in {x.min()}..{x.max()}; at most 62 bits are subtracted")
    return x.astype(np.int64)
