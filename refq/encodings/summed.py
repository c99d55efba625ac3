"""The node of parts that add up: residual stages, low rank plus sparse, outliers.

Equation
--------
``((terms[0] + terms[1]) + terms[2]) + ...``, in this order, each sum rounded to the result's dtype.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import ShapeError
from .encoding import Encoding, check_parts, result_dtype

__all__ = ["SummedEncoding"]


@dataclass(frozen=True, eq=False, repr=False)
class SummedEncoding(Encoding):
    """Terms of one shape that add up.

    Parameters
    ----------
    terms : tuple of Encoding
        At least one, of equal shape.

    Raises
    ------
    ShapeError
        If there is none, or shapes differ.
    DTypeError
        If a term is no Encoding.

    Notes
    -----
    float32, or float64 where a term is. Tier T1: the order of the sum is fixed.

    Examples
    --------
    >>> from .dense_leaf import dense
    >>> SummedEncoding((dense([1.0], "float16"), dense([0.25], "float16"))).decode()
    array([1.25], dtype=float32)
    """

    terms: tuple[Encoding, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "terms", check_parts(self.terms, "terms"))
        if not self.terms or len({t.shape for t in self.terms}) != 1:
            raise ShapeError(f"terms have shapes {[t.shape for t in self.terms]}; one is needed")

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The terms' shape."""
        return self.terms[0].shape

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """float64 if a term is, else float32."""
        return result_dtype(*[t.dtype for t in self.terms])

    def combine(self, parts: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """Return the sum, first to last."""
        first, *others = [p.astype(self.dtype) for p in parts.values()]
        for other in others:
            first = first + other
        return first

    def pull(
        self, grad: NDArray[Any], parts: Mapping[str, NDArray[Any]]
    ) -> dict[str, NDArray[Any]]:
        """Return the gradient itself for every term of floats."""
        return {name: grad for name, p in parts.items() if p.dtype.kind == "f"}
