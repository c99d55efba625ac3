"""GGUF's block types: bytes as ggml's scalar reference functions write and read them.

Problem
-------
A GGUF file holds tensors in blocks of 32 or 256 numbers. Two writers agree on a file only if every
float32 step of the search for scales agrees, so the steps are the definition.

Conventions
-----------
Blocks run along the last axis, whose length must be a multiple of the block. Bytes are those of the
functions ``quantize_row_*_ref`` of ggml 0.25.3 (in llama-cpp-python 0.3.36), compiled for x86-64
without contraction and without assertions, with no importance matrix. Foreign scales may be zero,
negative, infinite or NaN: they decode by the reference's arithmetic; which NaN comes out is not
specified.

References
----------
GGUF and ggml: https://github.com/ggml-org/ggml, ``docs/gguf.md`` and ``src/ggml-quants.c``.
"""

from collections.abc import Mapping
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import check_float_array, check_shape, shown
from ..core.errors import FormatError, RangeError, ShapeError
from ..encodings import Encoding, ScaledEncoding
from .gguf_block import BlockType
from .gguf_graph import fields_from, graph_of
from .gguf_k import K_BLOCKS
from .gguf_kernels import (
    ENDLESS,
    block_scales,
    nibble_blocks_kernel,
    nibble_numbers_kernel,
    octet_blocks_kernel,
    octet_numbers_kernel,
)
from .gguf_simple import SIMPLE
from .gguf_tables import TABLES
from .gguf_ternary import TERNARY

__all__ = ["TYPES", "dequantize", "nbits", "quantize", "read", "write"]

#: name -> block type: sizes in numbers and bytes, codes, tables
TYPES: Mapping[str, BlockType] = MappingProxyType({**SIMPLE, **K_BLOCKS, **TABLES, **TERNARY})

#: type -> the kernels that write and read its blocks
_KERNELS: dict[str, tuple[Any, Any]] = {
    "Q4_0": (nibble_blocks_kernel, nibble_numbers_kernel),
    "Q8_0": (octet_blocks_kernel, octet_numbers_kernel),
}

_CHUNK = 1 << 18  #: numbers that a search takes at a time, so that its temporaries stay small


def _kind(type: str) -> BlockType:
    if not isinstance(type, str) or type not in TYPES:
        raise FormatError(f"type = {type!r} is no GGUF block type; there are {', '.join(TYPES)}")
    return TYPES[type]


def _blocks(shape: tuple[int, ...], kind: BlockType) -> int:
    if not shape or shape[-1] % kind.size:
        raise ShapeError(
            f"shape {shape} has no last axis that is a multiple of {kind.name}'s block of "
            f"{kind.size}"
        )
    return prod(shape) // kind.size


def nbits(shape: tuple[int, ...], type: str) -> int:
    """Return how many bits an array takes in a GGUF file.

    Parameters
    ----------
    shape : tuple of int
        Of the array; the last axis a multiple of the block.
    type : str
        One of `TYPES`.

    Returns
    -------
    int
        Eight times the bytes of all blocks.

    Raises
    ------
    FormatError
        If the type is unknown.
    ShapeError
        If the last axis is no multiple of the block.

    Examples
    --------
    >>> nbits((2, 256), "Q4_K")
    2304
    """
    kind = _kind(type)
    return 8 * kind.nbytes * _blocks(check_shape(shape), kind)


def read(buffer: bytes | bytearray | memoryview, type: str, shape: Any) -> ScaledEncoding:
    """Return the graph of nouns that the bytes of blocks stand for.

    Parameters
    ----------
    buffer : bytes
        Exactly the blocks.
    type : str
        One of `TYPES`.
    shape : tuple of int
        Of the array; the last axis a multiple of the block.

    Returns
    -------
    ScaledEncoding
        ``write(read(b, type, shape), type) == b``, except for bytes of TQ1_0 that no codes have.

    Raises
    ------
    FormatError
        If the type is unknown, or the buffer has another length.
    ShapeError
        If the last axis is no multiple of the block.

    Notes
    -----
    O(n). Tier T1. `stored_bits` of the graph is `nbits`, but for TQ1_0, whose digits are kept in
    two bits each.

    Examples
    --------
    >>> read(bytes([0, 0x3C, *range(32)]), "Q8_0", (1, 32)).decode()[0, :4]
    array([0., 1., 2., 3.], dtype=float32)
    """
    kind = _kind(type)
    blocks, wanted = _split_blocks(buffer, kind, shape)
    return graph_of(kind, kind.split(blocks), wanted)


def _split_blocks(
    buffer: bytes | bytearray | memoryview, kind: BlockType, shape: Any
) -> tuple[NDArray[np.uint8], tuple[int, ...]]:
    """Return the bytes, one row per block, and the checked shape."""
    wanted, data = check_shape(shape), _bytes(buffer)
    n = _blocks(wanted, kind)
    if data.size != n * kind.nbytes:
        raise FormatError(
            f"buffer has {data.size} bytes; {n} blocks of {kind.name} for shape {wanted} have "
            f"{n * kind.nbytes}"
        )
    return data.reshape(n, kind.nbytes), wanted


def _bytes(buffer: bytes | bytearray | memoryview) -> NDArray[np.uint8]:
    if not isinstance(buffer, (bytes, bytearray, memoryview)):
        raise FormatError(f"buffer must be bytes, not {buffer.__class__.__name__}")
    return np.frombuffer(buffer if isinstance(buffer, bytes) else bytes(buffer), np.uint8)


def write(encoding: Encoding, type: str) -> bytes:
    """Return the bytes of a graph that `read` made, or of one with the same form.

    Parameters
    ----------
    encoding : Encoding
        As `read` gives it; leaves may be under any coding.
    type : str
        One of `TYPES`.

    Returns
    -------
    bytes
        Whole blocks.

    Raises
    ------
    FormatError
        If the type is unknown, or the graph has another form.

    Notes
    -----
    O(n). Tier T1.

    Examples
    --------
    >>> block = bytes(range(34))
    >>> write(read(block, "Q8_0", (32,)), "Q8_0") == block
    True
    """
    kind = _kind(type)
    return kind.join(fields_from(kind, encoding)).tobytes()


def quantize(x: ArrayLike, type: str) -> bytes:
    """Return the blocks that ggml's reference function writes for an array.

    Parameters
    ----------
    x : array_like
        Finite numbers, rounded to float32 once; the last axis a multiple of the block.
    type : str
        One of `TYPES`.

    Returns
    -------
    bytes
        `nbits` / 8 of them.

    Raises
    ------
    FormatError
        If the type is unknown.
    ShapeError
        If the last axis is no multiple of the block.
    RangeError
        If a number is NaN or infinite, or overflows float32.

    Notes
    -----
    O(n) for the simple types, O(20 n) for those that search. Tier T1. Scales of numbers beyond
    float16's range become infinite, as they do in the reference.

    Examples
    --------
    >>> quantize([8.0] + [0.0] * 31, "Q4_0").hex()
    '00bc80888888888888888888888888888888'
    """
    kind = _kind(type)
    at_once = _at_once(x, kind)
    if at_once is not None:
        return at_once
    a = check_float_array(x)
    n = _blocks(a.shape, kind)
    with np.errstate(over="ignore"):
        rows = np.ascontiguousarray(a, np.float32).reshape(n, kind.size)
    if not np.isfinite(rows).all():
        index = np.unravel_index(int(np.argmin(np.isfinite(rows))), a.shape)
        raise RangeError(f"x{shown(index)} = {a[index]} overflows float32")
    if n == 0:
        return b""
    parts = [kind.search(rows[s]) for s in _slices(kind, n)]
    found = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
    return kind.join(found).tobytes()


def _at_once(x: ArrayLike, kind: BlockType) -> bytes | None:
    """Return the blocks by a kernel, where there is one and `x` needs no conversion."""
    if kind.name not in _KERNELS or not isinstance(x, np.ndarray) or x.dtype != np.float32:
        return None
    if isinstance(x, np.ma.MaskedArray) or not x.dtype.isnative or not x.flags.c_contiguous:
        return None
    blocks, worst = _KERNELS[kind.name][0](x.reshape(_blocks(x.shape, kind), kind.size))
    return blocks.tobytes() if worst < ENDLESS else None  # the other way says which number it was


def _slices(kind: BlockType, n: int) -> list[slice]:
    # IQ4_NL's blocks of zeros look back to the block before them
    step = n if kind.looks_back else max(1, _CHUNK // kind.size)
    return [slice(i, i + step) for i in range(0, n, step)]


def dequantize(
    buffer: bytes | bytearray | memoryview, type: str, shape: Any = None
) -> NDArray[np.float32]:
    """Return the numbers of blocks, as ggml's ``dequantize_row_*`` gives them.

    Parameters
    ----------
    buffer : bytes
        Exactly the blocks.
    type : str
        One of `TYPES`.
    shape : tuple of int or None
        Of the array; None means one axis.

    Returns
    -------
    ndarray of float32
        ``read(buffer, type, shape).decode()``.

    Raises
    ------
    FormatError
        If the type is unknown, or the buffer has another length.
    ShapeError
        If the last axis is no multiple of the block.

    Notes
    -----
    O(n). Tier T1.

    Examples
    --------
    >>> dequantize(quantize([8.0] + [0.75] * 31, "Q4_0"), "Q4_0")[:2]
    array([8., 1.], dtype=float32)
    """
    kind = _kind(type)
    if shape is None:
        size = _bytes(buffer).size
        if size % kind.nbytes:
            raise FormatError(f"buffer has {size} bytes; blocks of {type} have {kind.nbytes}")
        shape = (size // kind.nbytes * kind.size,)
    if type not in _KERNELS:
        return read(buffer, type, shape).decode()
    blocks, wanted = _split_blocks(buffer, kind, shape)
    out = np.empty((len(blocks), kind.size), np.float32)
    _KERNELS[type][1](blocks, block_scales(blocks), out)
    return out.reshape(wanted)
