"""Mistakes in reading and writing other people's bytes: L11."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...layouts import bitsandbytes, gguf, gguf_bits, gguf_graph
from ..layout_subjects import layout_examples
from .registry import plant, plant_function

__all__: list[str] = []


def _subjects() -> list[Any]:
    return [subject for _, subject in layout_examples()]


def _four_bits_of_a_number() -> list[Any]:
    return [dict(layout_examples())["bitsandbytes nf4"]]


def _interleaved(codes: NDArray[Any], bits: int, run: int) -> NDArray[np.uint8]:
    return _unplanes(codes, bits, 8 // bits)


def _sign_forgotten(kind: Any, encoding: Any, n: int) -> dict[str, NDArray[Any]]:
    found = _collect(kind, encoding, n)
    if "offset_codes" in found:
        found["offset"] = found["offset"] ^ np.uint16(0x8000)
    return found


def _codes_only(shape: tuple[int, ...], type: str) -> int:
    return int(np.prod(shape)) * gguf.TYPES[type].bits


def _bytes_swapped(field: NDArray[np.uint8]) -> NDArray[np.uint16]:
    return np.ascontiguousarray(field).view(">u2").astype(np.uint16)


def _first_scale_for_all(kind: Any, fields: Any, shape: Any) -> Any:
    one = np.broadcast_to(fields["scale"][:1], fields["scale"].shape)
    return _graph_of(kind, {**fields, "scale": np.array(one)}, shape)


def _low_nibble_first(codes: NDArray[np.uint8], format: str) -> NDArray[np.uint8]:
    packed = _bytes_of_codes(codes, format)
    return np.asarray((packed >> np.uint8(4)) | (packed << np.uint8(4)))


_bytes_of_codes = bitsandbytes._bytes_of_codes
_unplanes = gguf_bits.unplanes
_collect = gguf_graph._collect
_graph_of = gguf_graph.graph_of

plant_function(
    "neighbours share a byte",
    "L11 written back",
    "Neighbouring codes share a byte, where the format puts half a run between them.",
    gguf_bits.unplanes,
    _interleaved,
    _subjects,
)
plant(
    "sign of the minimum forgotten",
    "L11 written back",
    "The minimum, kept with the opposite sign in the graph, is written without turning it back.",
    gguf_graph,
    "_collect",
    _sign_forgotten,
    _subjects,
)
plant_function(
    "big-endian scales",
    "L11 written back",
    "float16 scales are read with the bytes swapped.",
    gguf_bits.halves,
    _bytes_swapped,
    _subjects,
)
plant(
    "only codes counted",
    "L11 same size",
    "The size of the codes is given as the size of the blocks.",
    gguf,
    "nbits",
    _codes_only,
    _subjects,
)
plant_function(
    "one scale for all",
    "L11 blocks apart",
    "Every block decodes by the first block's scale.",
    gguf_graph.graph_of,
    _first_scale_for_all,
    _subjects,
)
plant(
    "bitsandbytes packed as ONNX",
    "L11 written back",
    "The first code of a byte is written to its low bits, where bitsandbytes has it in the high.",
    bitsandbytes,
    "_bytes_of_codes",
    _low_nibble_first,
    _four_bits_of_a_number,
)
