"""The node of parts side by side: mixed precision inside a tensor, cached pages.

Equation
--------
``concatenate(pieces, axis)``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.checks import check_shape, normalize_axis
from ..core.errors import ShapeError
from .encoding import Encoding, check_parts, result_dtype

__all__ = ["ConcatenatedEncoding"]


@dataclass(frozen=True, eq=False, repr=False)
class ConcatenatedEncoding(Encoding):
    """Pieces side by side along one axis.

    Parameters
    ----------
    pieces : tuple of Encoding
        At least one; shapes equal but along `axis`.
    axis : int
        Counted from the front or the back.

    Raises
    ------
    ShapeError
        If the shapes do not fit.
    DTypeError
        If a piece is no Encoding.
    LimitError
        If the whole would be too large.

    Notes
    -----
    The dtype is the pieces' own where all agree, else float32 or float64. Tier T1.

    Examples
    --------
    >>> from .dense_leaf import dense
    >>> e = ConcatenatedEncoding((dense([1.5], "float16"), dense([2.0], "float32")), 0)
    >>> e.decode(), e.stored_bits
    (array([1.5, 2. ], dtype=float32), 48)
    """

    pieces: tuple[Encoding, ...]
    axis: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "pieces", check_parts(self.pieces, "pieces"))
        if not self.pieces:
            raise ShapeError("pieces is empty; at least one is needed")
        axis = normalize_axis(self.axis, self.pieces[0].ndim)
        object.__setattr__(self, "axis", axis)
        rest = {p.shape[:axis] + p.shape[axis + 1 :] for p in self.pieces if p.ndim > axis}
        if len(rest) != 1 or len({p.ndim for p in self.pieces}) != 1:
            shapes = [p.shape for p in self.pieces]
            raise ShapeError(f"pieces of shapes {shapes} do not fit along axis {axis}")
        check_shape(self.shape)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The pieces' shape, lengths along the axis added."""
        first = self.pieces[0].shape
        total = sum(p.shape[self.axis] for p in self.pieces)
        return (*first[: self.axis], total, *first[self.axis + 1 :])

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The common dtype, or the float that holds all."""
        kinds = {p.dtype for p in self.pieces}
        return kinds.pop() if len(kinds) == 1 else result_dtype(*kinds)

    def combine(self, parts: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """Return the pieces, concatenated."""
        return np.concatenate([p.astype(self.dtype) for p in parts.values()], axis=self.axis)

    def pull(
        self, grad: NDArray[Any], parts: Mapping[str, NDArray[Any]]
    ) -> dict[str, NDArray[Any]]:
        """Return each piece's slice of the gradient."""
        stops = np.cumsum([p.shape[self.axis] for p in self.pieces])[:-1]
        slices = np.split(grad, stops, axis=self.axis)
        pulled: dict[str, NDArray[Any]] = {}
        for name, g in zip(parts, slices, strict=True):
            pulled[name] = g
        return pulled
