"""Mistakes in counting and in the container: L4."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...codings import code_lengths
from ...encodings import (
    DenseEncoding,
    Encoding,
    Leaf,
    container,
    dense,
)
from .registry import noun_subjects, plant, plant_function

__all__: list[str] = []


def _without_scale(self: Encoding) -> int:
    return sum(leaf.leaf_bits for path, leaf in self.leaves().items() if "scale" not in path)


def _by_path(self: Encoding) -> int:
    if isinstance(self, Leaf):
        return self.leaf_bits
    return sum(_by_path(part) for part in self.parts().values())


def _without_table(self: DenseEncoding) -> int:
    raw = self.size * self.bits
    if self.coding == "raw":
        return raw
    _, counts = np.unique(self.codes, return_counts=True)
    p = counts / max(self.size, 1)
    return int(np.ceil(-(p * np.log2(p)).sum() * self.size)) if self.size else 0


def _whole_bytes(self: DenseEncoding) -> int:
    return self.size * 8 * -(-self.bits // 8)


_L4 = "L4 honest size"
plant(
    "scales not counted",
    _L4,
    "stored_bits counts the codes and forgets the scales.",
    Encoding,
    "stored_bits",
    property(_without_scale),
    noun_subjects,
)
plant(
    "shared leaf counted twice",
    _L4,
    "stored_bits walks paths, not nodes.",
    Encoding,
    "stored_bits",
    property(_by_path),
    noun_subjects,
)
plant(
    "entropy instead of bits",
    _L4,
    "The entropy is counted, the code table is not.",
    DenseEncoding,
    "leaf_bits",
    property(_without_table),
    noun_subjects,
)
plant(
    "codes counted as bytes",
    _L4,
    "A four-bit code is counted as eight bits.",
    DenseEncoding,
    "leaf_bits",
    property(_whole_bytes),
    noun_subjects,
)

_honest_config = DenseEncoding.config
_honest_from_payload = DenseEncoding.from_payload.__func__  # type: ignore[attr-defined]


def _config_with_codes(self: DenseEncoding) -> dict[str, Any]:
    return {**_honest_config(self), "shape": [*self.codes.ravel().tolist(), *self.shape]}


def _config_with_values(self: DenseEncoding) -> dict[str, Any]:
    return {**_honest_config(self), "largest": float(np.max(self.codes, initial=0))}


_HEADER = "L4 header without data"
plant(
    "codes in the header",
    _HEADER,
    "The header lists the codes, which nobody counts.",
    DenseEncoding,
    "config",
    _config_with_codes,
    noun_subjects,
)


plant(
    "float in the header",
    _HEADER,
    "The scale stands in the header as a float.",
    DenseEncoding,
    "config",
    _config_with_values,
    noun_subjects,
)


def _unshared(self: Encoding) -> Encoding:
    parts = {name: _unshared(part) for name, part in self.parts().items()}
    return self._with_parts(parts) if parts else replace(self)


def _write_unshared(self: Encoding) -> bytes:
    return container.write_graph("encoding", [_unshared(self)], {})


def _map_naively(self: Encoding, fn: Any) -> Encoding:
    if isinstance(self, Leaf):
        return fn(self)
    return self._with_parts({k: p.map_leaves(fn) for k, p in self.parts().items()})


_SHARING = "L4 sharing"
plant(
    "sharing lost in to_bytes",
    _SHARING,
    "A part that is reached twice is written twice.",
    Encoding,
    "to_bytes",
    _write_unshared,
    noun_subjects,
)
plant(
    "sharing lost in map_leaves",
    _SHARING,
    "map_leaves recurses and maps a leaf on each path.",
    Encoding,
    "map_leaves",
    _map_naively,
    noun_subjects,
)

_counter = itertools.count()


def _write_dated(self: Encoding) -> bytes:
    return container.write_graph("encoding", [self], {"saved": next(_counter)})


def _read_big_endian(cls: type[DenseEncoding], config: Any, payload: bytes) -> DenseEncoding:
    leaf: DenseEncoding = _honest_from_payload(cls, config, payload)
    return replace(leaf, codes=leaf.codes.byteswap()) if leaf.bits in (16, 32, 64) else leaf


def _read_unsigned(cls: type[DenseEncoding], config: Any, payload: bytes) -> DenseEncoding:
    leaf: DenseEncoding = _honest_from_payload(cls, config, payload)
    signed = leaf.format.startswith("int")
    return replace(leaf, codes=np.abs(leaf.codes)) if signed and leaf.bits == 4 else leaf


_TRIP = "L4 round trip"
plant(
    "time of saving in the file",
    _TRIP,
    "Two saves of one encoding differ.",
    Encoding,
    "to_bytes",
    _write_dated,
    noun_subjects,
)
plant(
    "file read big-endian",
    _TRIP,
    "16-bit patterns are read in the other byte order.",
    DenseEncoding,
    "from_payload",
    classmethod(_read_big_endian),
    noun_subjects,
)
plant(
    "sign bit lost",
    _TRIP,
    "Patterns are not sign-extended when they are read.",
    DenseEncoding,
    "from_payload",
    classmethod(_read_unsigned),
    noun_subjects,
)


def _lengths_by_rank(counts: Any) -> NDArray[np.int64]:
    """Return 1, 2, 3, ..., m - 1, m - 1 from the most frequent symbol on: a unary code."""
    a = np.asarray(counts)
    lengths = np.zeros(a.size, np.int64)
    order = np.argsort(-a, kind="stable")[: int(np.count_nonzero(a))]
    lengths[order] = np.minimum(np.arange(1, order.size + 1), order.size - 1)
    return lengths


def _skewed_leaves() -> list[Any]:
    return [dense(np.repeat(np.arange(16), 4), "uint4"), dense(np.zeros(5), "uint4")]


plant_function(
    "unary codewords",
    "L4 Huffman",
    "The most frequent symbol gets one bit, the next two, and so on: no tree is built.",
    code_lengths,
    _lengths_by_rank,
    _skewed_leaves,
)
