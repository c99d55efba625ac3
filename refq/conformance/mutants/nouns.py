"""Mistakes in the nouns' arithmetic: L1, L9."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import formats
from ...encodings import (
    CodebookEncoding,
    ConcatenatedEncoding,
    DenseEncoding,
    Encoding,
    FactoredEncoding,
    MaskedEncoding,
    ScaledEncoding,
    SummedEncoding,
    dense,
)
from .registry import noun_subjects, plant

__all__: list[str] = []

Parts = Mapping[str, NDArray[Any]]

_honest_combine = {
    noun: noun.combine
    for noun in (MaskedEncoding, ScaledEncoding, CodebookEncoding, FactoredEncoding)
}


def _boolean_index(self: Any, parts: Parts) -> NDArray[Any]:
    x = _honest_combine[MaskedEncoding](self, parts)
    return x[np.ones(self.shape, bool)]


def _wide_product(self: Any, parts: Parts) -> NDArray[Any]:
    return _honest_combine[ScaledEncoding](self, parts).astype(np.float64)


def _no_copy(self: Encoding) -> NDArray[Any]:
    if isinstance(self, DenseEncoding) and formats.get(self.format).is_integer:
        object.__setattr__(self, "codes", self.codes.copy())
        return self.codes
    return self._decoded()[id(self)].copy()


_L1 = "L1 shape and dtype"
plant(
    "array flattened by a boolean index",
    _L1,
    "x[mask] has one axis, whatever x had.",
    MaskedEncoding,
    "combine",
    _boolean_index,
    noun_subjects,
)
plant(
    "product left in float64",
    _L1,
    "int32 times float32 is float64 in NumPy.",
    ScaledEncoding,
    "combine",
    _wide_product,
    noun_subjects,
)
plant(
    "inner array handed out",
    _L1,
    "decode returns the codes themselves, and the caller writes into them.",
    Encoding,
    "decode",
    _no_copy,
    noun_subjects,
)


def _fill_fortran(self: Any, parts: Parts) -> NDArray[Any]:
    x = np.zeros(self.array_shape[::-1], self.dtype)
    x[self._kept(parts["mask"]).T] = parts["values"].reshape(-1)
    return x.T


def _always_first_axis(self: Any, parts: Parts) -> NDArray[Any]:
    pieces = [p.astype(self.dtype) for p in parts.values()]
    return np.concatenate([p.reshape(-1) for p in pieces]).reshape(self.shape)


def _transposed(self: Any, parts: Parts) -> NDArray[Any]:
    x = _honest_combine[FactoredEncoding](self, parts)
    return x.reshape(self.array_shape[0], -1).T.reshape(self.array_shape)


def _next_book(self: Any, parts: Parts) -> NDArray[Any]:
    books = np.roll(parts["codebook"], 1, axis=0)
    return _honest_combine[CodebookEncoding](self, {**parts, "codebook": books})


def _added_zero_point(self: Any, parts: Parts) -> NDArray[Any]:
    flipped = {k: -p.astype(np.int64) if k == "zero_point" else p for k, p in parts.items()}
    return _honest_combine[ScaledEncoding](self, flipped)


def _tiled(self: Any, parts: Parts, name: str) -> NDArray[Any]:
    counts = [-(-n // m) for n, m in zip(self.shape, parts[name].shape, strict=True)]
    return np.tile(parts[name], counts)[tuple(slice(n) for n in self.shape)]


def _offset_scaled(self: Any, parts: Parts) -> NDArray[Any]:
    bare = {k: p for k, p in parts.items() if k != "offset"}
    x = _honest_combine[ScaledEncoding](self, bare)
    if "offset" not in parts:
        return x
    scale = self._spread(parts, "scale").astype(self.dtype)
    return x + scale * self._spread(parts, "offset").astype(self.dtype)


def _narrow_difference(self: Any, parts: Parts) -> NDArray[Any]:
    q = parts["elements"]
    if "zero_point" not in parts:
        return q
    with np.errstate(over="ignore"):
        return q.astype(np.int8) - self._spread(parts, "zero_point").astype(np.int8)


def _sum_in_float64(self: Any, parts: Parts) -> NDArray[Any]:
    total = sum(p.astype(np.float64) for p in parts.values())
    return np.asarray(total).astype(self.dtype)


def _sum_subjects() -> list[Any]:
    terms = [dense(np.array(v, np.float32)) for v in ([1.0, 1.0], [2.0**-24] * 2, [2.0**-24] * 2)]
    return [SummedEncoding(tuple(terms))]


def _wide_codes() -> list[Any]:
    codes, zero = dense([[200, 3]], "uint8"), dense([[10]], "uint8")
    return [ScaledEncoding(codes, dense([[0.5]], "float16"), (1, 2), zero)]


_L9 = "L9 composition"
plant(
    "values filled in Fortran order",
    _L9,
    "The packed values run down the columns.",
    MaskedEncoding,
    "combine",
    _fill_fortran,
    noun_subjects,
)
plant(
    "axis ignored",
    _L9,
    "Pieces are laid end to end and reshaped, whatever the axis.",
    ConcatenatedEncoding,
    "combine",
    _always_first_axis,
    noun_subjects,
)
plant(
    "product transposed",
    _L9,
    "The einsum's result is read by columns.",
    FactoredEncoding,
    "combine",
    _transposed,
    noun_subjects,
)
plant(
    "off by one book",
    _L9,
    "Position p gathers from book p - 1.",
    CodebookEncoding,
    "combine",
    _next_book,
    noun_subjects,
)
plant(
    "zero point added",
    _L9,
    "scale * (q + z): the sign of somebody else's convention.",
    ScaledEncoding,
    "combine",
    _added_zero_point,
    noun_subjects,
)
plant(
    "scales tiled",
    _L9,
    "np.tile instead of np.repeat: neighbours get each other's scale.",
    ScaledEncoding,
    "_spread",
    _tiled,
    noun_subjects,
)
plant(
    "offset inside the product",
    _L9,
    "scale * (q - z + offset).",
    ScaledEncoding,
    "combine",
    _offset_scaled,
    noun_subjects,
)
plant(
    "difference in int8",
    _L9,
    "q - z wraps: 200 - 10 is -66.",
    ScaledEncoding,
    "_centred",
    _narrow_difference,
    _wide_codes,
)
plant(
    "sum rounded once",
    _L9,
    "Terms are added in float64 and rounded at the end.",
    SummedEncoding,
    "combine",
    _sum_in_float64,
    _sum_subjects,
)
