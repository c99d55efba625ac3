"""The node of everything pruned: which entries are kept, and the kept ones, packed.

Equation
--------
``decode[mask] = values`` in C order, zero elsewhere.

Conventions
-----------
The mask broadcasts against the array: (out, in) prunes weights, (out, 1, 1, 1) whole filters. The
packed values may have any shape of the right size, so kept filters can keep (n_kept, in, h, w) and
be quantized per filter. Pruned entries decode to exactly zero, whatever scale the values have.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.checks import check_shape
from ..core.errors import FormatError, ShapeError
from .encoding import Encoding, check_part

__all__ = ["MaskedEncoding"]


@dataclass(frozen=True, eq=False, repr=False)
class MaskedEncoding(Encoding):
    """Which entries are kept, and the rest packed.

    Parameters
    ----------
    mask : Encoding
        Integers 0 and 1, broadcastable to `array_shape`.
    values : Encoding
        As many values as the broadcast mask has ones, in C order.
    array_shape : tuple of int
        The decoded array's shape.

    Raises
    ------
    ShapeError
        If the mask does not broadcast.
    DTypeError
        If a part is no Encoding.
    FormatError
        On decoding, if the mask and the values do not agree.

    Notes
    -----
    Tier T1 over its parts.

    Examples
    --------
    >>> from .dense_leaf import dense
    >>> mask = dense([[1], [0]], "uint1")
    >>> MaskedEncoding(mask, dense([[3.0, 4.0]], "float16"), (2, 2)).decode()
    array([[3., 4.],
           [0., 0.]], dtype=float32)
    """

    mask: Encoding
    values: Encoding
    array_shape: tuple[int, ...]

    def __post_init__(self) -> None:
        shape = check_shape(self.array_shape, "array_shape")
        object.__setattr__(self, "array_shape", shape)
        check_part(self.values, "values")
        fits = check_part(self.mask, "mask").ndim == len(shape) and all(
            m in (1, n) for m, n in zip(self.mask.shape, shape, strict=True)
        )
        if not fits or self.mask.dtype.kind not in "iu":
            raise ShapeError(f"mask {self.mask} does not broadcast to array_shape {shape}")
        if self.values.size > prod(shape):
            raise ShapeError(f"{self.values.size} values are more than array_shape {shape} holds")

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape it was given."""
        return self.array_shape

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The values' dtype."""
        return self.values.dtype

    def config(self) -> dict[str, Any]:
        """Return the array's shape."""
        return {"array_shape": self.array_shape}

    def _kept(self, mask: NDArray[Any]) -> NDArray[np.bool_]:
        if mask.size and not 0 <= int(mask.min()) <= int(mask.max()) <= 1:
            raise FormatError(f"mask lies in {mask.min()}..{mask.max()}; allowed 0 and 1")
        kept = np.broadcast_to(mask.astype(bool), self.array_shape)
        if int(kept.sum()) != self.values.size:
            raise FormatError(f"the mask keeps {kept.sum()} entries; {self.values.size} are stored")
        return kept

    def combine(self, parts: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """Return zeros with the values at the kept places."""
        x = np.zeros(self.array_shape, self.dtype)
        x[self._kept(parts["mask"])] = parts["values"].reshape(-1)
        return x

    def pull(
        self, grad: NDArray[Any], parts: Mapping[str, NDArray[Any]]
    ) -> dict[str, NDArray[Any]]:
        """Return the gradient at the kept places, packed."""
        return {"values": grad[self._kept(parts["mask"])].reshape(self.values.shape)}
