"""The node of every factorization: factors, the einsum that joins them, a final reshape.

Equation
--------
``einsum(subscripts, *factors).reshape(array_shape)``; a truncated SVD is ``ir,rj->ij``.

Conventions
-----------
Every index stands in at least two of the terms (the factors and the result), at most once in each,
so that the gradient with respect to a factor is again an einsum. Factors are joined from left to
right, and every intermediate's size is checked in Python integers before it is made.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.checks import MAX_AXES, MAX_ELEMENTS, check_shape
from ..core.errors import FormatError, LimitError, ShapeError
from .encoding import Encoding, check_parts, result_dtype

__all__ = ["FactoredEncoding"]

_SUBSCRIPTS = re.compile(r"[a-zA-Z]*(,[a-zA-Z]*)*->[a-zA-Z]*")


@dataclass(frozen=True, eq=False, repr=False)
class FactoredEncoding(Encoding):
    """Factors, the einsum that joins them, a final reshape.

    Parameters
    ----------
    factors : tuple of Encoding
        One per term before the arrow.
    subscripts : str
        For example ``ir,rj->ij``; letters only, no repeated letter in a term, no ellipsis.
    array_shape : tuple of int
        The decoded array's shape.

    Raises
    ------
    FormatError
        If `subscripts` is malformed.
    ShapeError
        If factors do not fit it.
    DTypeError
        If a factor is no Encoding.
    LimitError
        If an intermediate would be too large.

    Notes
    -----
    Tier T2: the product goes through BLAS.

    Examples
    --------
    >>> from .dense_leaf import dense
    >>> column, row = dense([[1.0], [2.0]], "float16"), dense([[3.0, 4.0]], "float16")
    >>> FactoredEncoding((column, row), "ir,rj->ij", (2, 2)).decode()
    array([[3., 4.],
           [6., 8.]], dtype=float32)
    """

    factors: tuple[Encoding, ...]
    subscripts: str
    array_shape: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "factors", check_parts(self.factors, "factors"))
        object.__setattr__(self, "array_shape", check_shape(self.array_shape, "array_shape"))
        terms, result = self._terms()
        lengths = self._lengths(terms)
        for letter in set("".join(terms)) | set(result):
            if sum(letter in term for term in [*terms, result]) < 2:
                raise FormatError(f"subscripts {self.subscripts!r}: {letter} stands in one term")
        if prod(lengths[c] for c in result) != prod(self.array_shape):
            raise ShapeError(
                f"{self.subscripts!r} gives {[lengths[c] for c in result]}, "
                f"which does not reshape to {self.array_shape}"
            )
        self._check_intermediates(terms, result, lengths)

    def _terms(self) -> tuple[list[str], str]:
        if not isinstance(self.subscripts, str) or not _SUBSCRIPTS.fullmatch(self.subscripts):
            raise FormatError(f"subscripts {self.subscripts!r} is no 'ab,bc->ac'")
        left, _, result = self.subscripts.partition("->")
        terms = left.split(",")
        if len(terms) != len(self.factors):
            raise FormatError(
                f"{self.subscripts!r} needs {len(terms)} factors, not the {len(self.factors)} given"
            )
        if any(len(set(term)) != len(term) for term in [*terms, result]):
            raise FormatError(f"subscripts {self.subscripts!r} repeats a letter in a term")
        return terms, result

    def _lengths(self, terms: list[str]) -> dict[str, int]:
        lengths: dict[str, int] = {}
        for i, (term, factor) in enumerate(zip(terms, self.factors, strict=True)):
            if len(term) != factor.ndim:
                raise ShapeError(f"factors[{i}] has shape {factor.shape}; {term!r} is needed")
            for letter, n in zip(term, factor.shape, strict=True):
                if lengths.setdefault(letter, n) != n:
                    raise ShapeError(f"factors[{i}]: {letter} is {n} here and {lengths[letter]}")
        return lengths

    def _check_intermediates(self, terms: list[str], result: str, lengths: dict[str, int]) -> None:
        if len(lengths) > MAX_AXES:
            raise LimitError(f"{self.subscripts!r} has {len(lengths)} letters; at most {MAX_AXES}")
        held = terms[0]
        for i in range(1, len(terms)):
            held = _joined(held, terms[i], terms[i + 1 :], result)
            if prod(lengths[c] for c in held) > MAX_ELEMENTS:
                raise LimitError(f"{self.subscripts!r} makes an intermediate past {MAX_ELEMENTS}")

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The shape it was given."""
        return self.array_shape

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """float64 if a factor is, else float32."""
        return result_dtype(*[f.dtype for f in self.factors])

    def config(self) -> dict[str, Any]:
        """Return the subscripts and the array's shape."""
        return {"array_shape": self.array_shape, "subscripts": self.subscripts}

    def combine(self, parts: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """Return the joined factors, reshaped."""
        terms, result = self._terms()
        arrays = [p.astype(self.dtype) for p in parts.values()]
        return _join(terms, result, arrays).reshape(self.array_shape)

    def pull(
        self, grad: NDArray[Any], parts: Mapping[str, NDArray[Any]]
    ) -> dict[str, NDArray[Any]]:
        """Return each factor's gradient: the einsum of the gradient and the other factors."""
        terms, result = self._terms()
        lengths = self._lengths(terms)
        arrays = [p.astype(np.float64) for p in parts.values()]
        outer = grad.reshape([lengths[c] for c in result])
        pulled: dict[str, NDArray[Any]] = {}
        for i, name in enumerate(parts):
            others = [result, *terms[:i], *terms[i + 1 :]]
            self._check_intermediates(others, terms[i], lengths)
            pulled[name] = _join(others, terms[i], [outer, *arrays[:i], *arrays[i + 1 :]])
        return pulled


def _joined(a: str, b: str, later: list[str], result: str) -> str:
    """Return the letters of the product of terms a and b that are needed afterwards."""
    needed = set(result).union(*later)
    return "".join(dict.fromkeys(c for c in a + b if c in needed))


def _join(terms: list[str], result: str, arrays: list[NDArray[Any]]) -> NDArray[Any]:
    """Join the factors from left to right; each step is one matrix product."""
    held, x = terms[0], arrays[0]
    for i in range(1, len(terms)):
        joined = _joined(held, terms[i], terms[i + 1 :], result)
        x = np.einsum(f"{held},{terms[i]}->{joined}", x, arrays[i], optimize=True)
        held = joined
    return np.asarray(np.einsum(f"{held}->{result}", x))
