"""bitsandbytes' four-bit tensors: NF4 and FP4, with one scale per 64 numbers, itself in eight bits.

Problem
-------
QLoRA [1]_ keeps a weight as codes of 4 bits over the largest magnitude of each block, and, by
*double quantization*, these magnitudes as codes of 8 bits. Files hold the parts as tensors of their
own; this layout is these tensors, one after the other.

Equation
--------
``x' = absmax * level[code]``; doubled, ``absmax = nested_absmax * map[byte] + nested_offset``, each
product and sum rounded to float32.

Conventions
-----------
Blocks run over the *flattened* array; the last one may be smaller. The buffer is: the codes, two in
a byte, the first in the *high* bits (the code of zero fills the last byte); the absmax of each
block, float32. Doubled: the codes; a byte for each block; the absmax of each 256 of these, float32;
the offset, float32.

`quantize` takes the steps of bitsandbytes' portable backend: a full block is multiplied by the
reciprocal of its absmax (at least 1e-38), the last one, if smaller, divided by it; a number equal
to the midpoint of two levels goes to the lower one; midpoints are float32. Its x86 library codes
the eight-bit map by a table of 65,536 entries instead, so that numbers near a midpoint may get a
neighbour's code there. The offset is the mean of all absmax, here rounded once from float64;
bitsandbytes adds in float32, in an order of its own, so `offset` may be given.

References
----------
.. [1] T. Dettmers et al., "QLoRA: Efficient Finetuning of Quantized LLMs", 2023, arXiv:2305.14314.
.. [2] bitsandbytes 0.50.2, ``functional.quantize_4bit`` and ``backends/default/ops.py``.
"""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import formats
from ..core.checks import check_choice, check_finite, check_float_array, check_real, check_shape
from ..core.errors import FormatError, ShapeError
from ..encodings import (
    DenseEncoding,
    Encoding,
    FactoredEncoding,
    GeneratedEncoding,
    ScaledEncoding,
)
from .alike import check_alike
from .byte_fields import joined_fields, split_fields

__all__ = [
    "BLOCK_SIZES",
    "TYPES",
    "dequantize",
    "nbits",
    "quantize",
    "read",
    "split",
    "write",
]

#: type -> format of the codes, whether the scales are quantized too
TYPES = {
    "nf4": ("nf4", False),
    "fp4": ("bnb_fp4", False),
    "nf4_double": ("nf4", True),
    "fp4_double": ("bnb_fp4", True),
}
BLOCK_SIZES = (32, 64, 128, 256, 512, 1024, 2048, 4096)
NESTED = 256  #: how many absmax share one of their own

_F = np.float32
_LEAST = _F(1e-38)
_MAP = "bnb_dynamic8"
#: codes in the order of their levels; of FP4's two zeros, 0 comes before 8
_ORDERS = {
    "nf4": tuple(range(16)),
    "bnb_fp4": (11, 10, 13, 12, 15, 14, 9, 0, 8, 1, 6, 7, 4, 5, 2, 3),
    _MAP: tuple(range(256)),
}


def _fields(shape: tuple[int, ...], type: str, block_size: int) -> dict[str, tuple[str, int]]:
    """Return the tensors' names in a state dict, their dtypes and lengths."""
    if not isinstance(type, str) or type not in TYPES:
        raise FormatError(f"type = {type!r} is none of bitsandbytes'; there are {', '.join(TYPES)}")
    check_choice(block_size, "block_size", BLOCK_SIZES)
    n = prod(shape)
    if n == 0:
        raise ShapeError(f"shape {shape} has no element: a block without numbers has no absmax")
    blocks = -(-n // block_size)
    fields = {"weight": ("u1", -(-n // 2))}
    if not TYPES[type][1]:
        return fields | {"absmax": ("f4", blocks)}
    nested = {"nested_absmax": ("f4", -(-blocks // NESTED)), "nested_offset": ("f4", 1)}
    return fields | {"absmax": ("u1", blocks)} | nested


def nbits(shape: tuple[int, ...], type: str, block_size: int = 64) -> int:
    """Return how many bits the tensors take.

    Parameters
    ----------
    shape : tuple of int
        Of the array.
    type : str
        One of `TYPES`.
    block_size : int
        One of `BLOCK_SIZES`.

    Returns
    -------
    int
        Codes and scales; the tables are fixed and not counted.

    Raises
    ------
    FormatError
        If the type is unknown.
    ShapeError
        If the array has no element.
    RangeError
        If the block size is none of bitsandbytes'.

    Examples
    --------
    >>> nbits((64, 64), "nf4") / 4096, nbits((256, 256), "nf4_double") / 65536
    (4.5, 4.12744140625)
    """
    fields = _fields(check_shape(shape), type, block_size)
    return sum(8 * np.dtype(kind).itemsize * n for kind, n in fields.values())


def split(
    buffer: bytes | bytearray | memoryview, type: str, shape: Any, block_size: int = 64
) -> dict[str, NDArray[Any]]:
    """Return the tensors that the buffer holds, by their names in a state dict.

    Parameters
    ----------
    buffer : bytes
        `nbits` / 8 of them.
    type : str
        One of `TYPES`.
    shape : tuple of int
        Of the array.
    block_size : int
        One of `BLOCK_SIZES`.

    Returns
    -------
    dict of str to ndarray
        "weight" (uint8), "absmax" (float32; uint8 if doubled), and, doubled, "nested_absmax" and
        "nested_offset" (float32). Their bytes, joined in this order, are the buffer.

    Raises
    ------
    FormatError
        If the type is unknown or the buffer has another length.
    ShapeError, RangeError
        As `nbits`.

    Examples
    --------
    >>> split(bytes([0x70, 0, 0, 128, 63]), "nf4", (2,))
    {'weight': array([112], dtype=uint8), 'absmax': array([1.], dtype=float32)}
    """
    wanted = check_shape(shape)
    fields = _fields(wanted, type, block_size)
    return split_fields(buffer, f"{type} of shape {wanted}", fields)


def read(
    buffer: bytes | bytearray | memoryview, type: str, shape: Any, block_size: int = 64
) -> Encoding:
    """Return the graph that the tensors stand for.

    Parameters
    ----------
    buffer : bytes
        `nbits` / 8 of them.
    type : str
        One of `TYPES`.
    shape : tuple of int
        Of the array.
    block_size : int
        One of `BLOCK_SIZES`.

    Returns
    -------
    Encoding
        A `ScaledEncoding` where blocks do not cross rows; else a flat one, reshaped by a
        `FactoredEncoding` of one factor.

    Raises
    ------
    FormatError
        If the type is unknown, the buffer has another length, or an odd last code is not followed
        by the code of zero.
    ShapeError, RangeError
        As `nbits`.

    Notes
    -----
    O(n). Tier T1. ``write(read(b, type, shape), type) == b``. FP4's code 8 decodes to -0, where
    some of bitsandbytes' backends give 0.

    Examples
    --------
    >>> read(bytes([0xF0, 0, 0, 0, 64]), "nf4", (2,)).decode()
    array([ 2., -2.], dtype=float32)
    """
    wanted = check_shape(shape)
    found, (format, double) = split(buffer, type, wanted, block_size), TYPES[type]
    codes = np.stack([found["weight"] >> 4, found["weight"] & 15], axis=1).reshape(-1)
    n = prod(wanted)
    if codes.size > n and codes[n] != _zero(format):
        raise FormatError(
            f"the last byte of {type} ends with code {codes[n]}; {_zero(format)}, zero, fills it"
        )

    def absmax(blocks: tuple[int, ...]) -> Encoding:
        if double:
            return _nested(found, blocks)
        return DenseEncoding(found["absmax"].view(np.uint32).reshape(blocks), "float32")

    return _blocked(codes[:n], format, wanted, block_size, absmax)


def _zero(format: str) -> int:
    return int(np.flatnonzero(formats.get(format).values == 0)[0])


def _blocked(
    codes: NDArray[np.uint8],
    format: str,
    shape: tuple[int, ...],
    size: int,
    scale: Callable[[tuple[int, ...]], Encoding],
    offset: Callable[[tuple[int, ...]], Encoding] | None = None,
) -> Encoding:
    """Return codes over blocks of the flattened array, along the last axis where they fit."""
    if len(shape) != 1 and (not shape or shape[-1] % size):
        flat = _blocked(codes, format, (codes.size,), size, scale, offset)
        return FactoredEncoding((flat,), "a->a", shape)
    blocks = (*shape[:-1], -(-shape[-1] // size))
    leaf = DenseEncoding(codes.reshape(shape), format)
    block_shape = (1,) * (len(shape) - 1) + (size,)
    shift = None if offset is None else offset(blocks)
    return ScaledEncoding(leaf, scale(blocks), block_shape, offset=shift)


def _nested(found: dict[str, NDArray[Any]], shape: tuple[int, ...]) -> Encoding:
    """Return the absmax as codes of the dynamic map over their own absmax, plus one offset."""

    def scale(blocks: tuple[int, ...]) -> Encoding:
        return DenseEncoding(found["nested_absmax"].view(np.uint32).reshape(blocks), "float32")

    def offset(blocks: tuple[int, ...]) -> Encoding:
        one = found["nested_offset"].view(np.uint32).reshape((1,) * len(blocks))
        return ScaledEncoding(
            GeneratedEncoding("ones", blocks), DenseEncoding(one, "float32"), blocks
        )

    return _blocked(found["absmax"], _MAP, shape, NESTED, scale, offset)


def write(encoding: Encoding, type: str, block_size: int = 64) -> bytes:
    """Return the tensors of a graph that `read` made, or of one with the same form.

    Parameters
    ----------
    encoding : Encoding
        As `read` gives it; leaves may be under any coding.
        ``LevelQuantizer("nf4", scale_method=Cast("float32"))`` makes the form of "nf4" where the
        last axis is a multiple of the block.
    type : str
        One of `TYPES`.
    block_size : int
        One of `BLOCK_SIZES`.

    Returns
    -------
    bytes
        `nbits` / 8 of them.

    Raises
    ------
    FormatError
        If the type is unknown, or the graph has another form.
    ShapeError, RangeError
        As `nbits`.

    Examples
    --------
    >>> buffer = quantize(np.arange(70.0), "fp4_double")
    >>> write(read(buffer, "fp4_double", (70,)), "fp4_double") == buffer
    True
    """
    fields, format = _fields(encoding.shape, type, block_size), TYPES[type][0]
    zeros = {name: np.zeros(n, kind) for name, (kind, n) in fields.items()}
    zeros["weight"] += np.uint8(17 * _zero(format))
    template = read(joined_fields(zeros), type, encoding.shape, block_size)
    check_alike(type, encoding, template)
    outer = _inside(encoding)
    found = {"weight": _bytes_of_codes(_codes(outer.elements), format)}
    if not TYPES[type][1]:
        return joined_fields(found | {"absmax": _codes(outer.scale)})
    inner = _inside(outer.scale)
    offset = _inside(inner.offset)
    found |= {"absmax": _codes(inner.elements), "nested_absmax": _codes(inner.scale)}
    return joined_fields(found | {"nested_offset": _codes(offset.scale)})


def _inside(part: Encoding | None) -> ScaledEncoding:
    """Return the scaled node, out of its reshape."""
    if isinstance(part, FactoredEncoding):
        part = part.factors[0]
    if not isinstance(part, ScaledEncoding):
        raise FormatError(f"{part} has no scale")
    return part


def _codes(leaf: Encoding) -> NDArray[Any]:
    if not isinstance(leaf, DenseEncoding):
        raise FormatError(f"{leaf} is no leaf of codes")
    return leaf.codes.reshape(-1)


def _bytes_of_codes(codes: NDArray[np.uint8], format: str) -> NDArray[np.uint8]:
    filled = np.append(codes, np.uint8(_zero(format))) if codes.size % 2 else codes
    return np.asarray((filled[::2] << np.uint8(4)) | filled[1::2])


def _nearest(x: NDArray[np.float32], format: str) -> NDArray[np.uint8]:
    """Return codes by float32 midpoints, the lower level on a tie."""
    order = np.array(_ORDERS[format], np.uint8)
    levels = formats.get(format).values[order]
    return order[np.searchsorted((levels[1:] + levels[:-1]) / _F(2), x, side="left")]


def _coded(
    x: NDArray[np.float32], format: str, size: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return the codes of flat numbers and the absmax of each block."""
    full = x.size - x.size % size
    rows, rest = x[:full].reshape(-1, size), x[full:]
    absmax = np.abs(rows).max(axis=1, initial=0)
    with np.errstate(over="ignore"):
        t = rows * (_F(1) / np.maximum(absmax, _LEAST))[:, None]
        if rest.size:
            last = np.maximum(np.abs(rest).max(), _LEAST)
            t, absmax = np.append(t, rest / last), np.append(absmax, last)
    return _nearest(np.clip(t.reshape(-1), _F(-1), _F(1)), format), absmax


def quantize(x: ArrayLike, type: str, block_size: int = 64, offset: float | None = None) -> bytes:
    """Return the tensors that bitsandbytes' portable backend makes of an array.

    Parameters
    ----------
    x : array_like
        Finite numbers, rounded to float32 once.
    type : str
        One of `TYPES`.
    block_size : int
        One of `BLOCK_SIZES`.
    offset : float or None
        What is subtracted from the absmax before they are coded; None means their mean. Only
        doubled types have one.

    Returns
    -------
    bytes
        `nbits` / 8 of them.

    Raises
    ------
    FormatError
        If the type is unknown.
    ShapeError
        If the array has no element.
    RangeError
        If a number is NaN or infinite, or overflows float32.

    Notes
    -----
    O(n log n_levels). Tier T1.

    Examples
    --------
    >>> quantize([0.0, -1.0, 1.0], "nf4").hex()
    '70f70000803f'
    """
    a = check_float_array(x)
    _fields(a.shape, type, block_size)
    with np.errstate(over="ignore"):
        flat = check_finite(a.astype(np.float32)).reshape(-1)
    format, double = TYPES[type]
    codes, absmax = _coded(flat, format, block_size)
    found: dict[str, NDArray[Any]] = {"weight": _bytes_of_codes(codes, format)}
    if not double:
        return joined_fields(found | {"absmax": absmax})
    mean = absmax.mean(dtype=np.float64) if offset is None else check_real(offset, "offset")
    shift = np.array([mean], np.float32)
    nested, top = _coded(absmax - shift, _MAP, NESTED)
    return joined_fields(found | {"absmax": nested, "nested_absmax": top, "nested_offset": shift})


def dequantize(
    buffer: bytes | bytearray | memoryview, type: str, shape: Any, block_size: int = 64
) -> NDArray[np.float32]:
    """Return the numbers that the tensors stand for.

    Parameters
    ----------
    buffer : bytes
        `nbits` / 8 of them.
    type : str
        One of `TYPES`.
    shape : tuple of int
        Of the array.
    block_size : int
        One of `BLOCK_SIZES`.

    Returns
    -------
    ndarray of float32
        ``read(buffer, type, shape).decode()``.

    Raises
    ------
    FormatError, ShapeError, RangeError
        As `read`.

    Examples
    --------
    >>> dequantize(quantize([0.0, -3.0, 3.0], "nf4"), "nf4", (3,))
    array([ 0., -3.,  3.], dtype=float32)
    """
    return read(buffer, type, shape, block_size).decode()
