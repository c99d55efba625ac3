"""Microscaling tensors: packed elements, then their scales: MXFP8, MXFP6, MXFP4, MXINT8, NVFP4.

Problem
-------
The text of MX [1]_ says what a block means, not where its bits lie. Runtimes keep two arrays: the
elements, packed, and a byte for each block's scale. This layout is these arrays, one after the
other.

Conventions
-----------
Blocks of 32 (NVFP4: 16) run along the last axis, whose length must be a multiple. Elements are
packed as in ONNX and PyTorch: the first in the low bits. Then the scales, one byte each in C order:
E8M0, or E4M3 in NVFP4, which ends with the tensor's float32 scale.

MXINT8's elements count in steps of 2^-6 in the text and of one in refq: a scale's code is the
text's less six. The text's codes 0 to 5, scales below 2^-121, have no such code and are refused;
255, NaN, stays.

References
----------
.. [1] Open Compute Project, "OCP Microscaling Formats (MX) Specification", version 1.0, 2023.
"""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import codings, formats
from ..core.checks import check_shape
from ..core.errors import FormatError, ShapeError
from ..encodings import DenseEncoding, Encoding, ScaledEncoding
from .alike import check_alike, refuse
from .byte_fields import joined_fields, split_fields

__all__ = ["TYPES", "nbits", "read", "write"]

#: type -> element format, scale format, block
TYPES = {
    "mxfp8_e5m2": ("float8_e5m2", "float8_e8m0fnu", 32),
    "mxfp8_e4m3": ("float8_e4m3fn", "float8_e8m0fnu", 32),
    "mxfp6_e3m2": ("float6_e3m2fn", "float8_e8m0fnu", 32),
    "mxfp6_e2m3": ("float6_e2m3fn", "float8_e8m0fnu", 32),
    "mxfp4": ("float4_e2m1fn", "float8_e8m0fnu", 32),
    "mxint8": ("int8", "float8_e8m0fnu", 32),
    "nvfp4": ("float4_e2m1fn", "float8_e4m3fn", 16),
}
_SHIFT = 6  #: refq's MXINT8 scale is the text's over 2^6
_NAN = 255


def _sizes(
    shape: tuple[int, ...], type: str
) -> tuple[formats.Format, int, dict[str, tuple[str, int]]]:
    """Return the element format, the block, and the fields of the buffer."""
    if not isinstance(type, str) or type not in TYPES:
        raise FormatError(f"type = {type!r} is no microscaling type; there are {', '.join(TYPES)}")
    element, scale, block = TYPES[type]
    if not shape or shape[-1] % block:
        raise ShapeError(
            f"shape {shape} has no last axis that is a multiple of {type}'s block of {block}"
        )
    form, n = formats.get(element), prod(shape)
    fields = {"elements": ("u1", n * form.bits // 8), "scales": ("u1", n // block)}
    if scale == "float8_e4m3fn":
        fields["tensor_scale"] = ("f4", 1)
    return form, block, fields


def nbits(shape: tuple[int, ...], type: str) -> int:
    """Return how many bits the two arrays take.

    Parameters
    ----------
    shape : tuple of int
        Of the array; the last axis a multiple of the block.
    type : str
        One of `TYPES`.

    Returns
    -------
    int
        Elements, scales, and NVFP4's tensor scale.

    Raises
    ------
    FormatError
        If the type is unknown.
    ShapeError
        If the last axis is no multiple of the block.

    Examples
    --------
    >>> nbits((2, 64), "mxfp4"), nbits((2, 64), "nvfp4")
    (544, 608)
    """
    fields = _sizes(check_shape(shape), type)[2]
    return sum(8 * np.dtype(kind).itemsize * n for kind, n in fields.values())


def read(buffer: bytes | bytearray | memoryview, type: str, shape: Any) -> ScaledEncoding:
    """Return the graph that elements and scales stand for.

    Parameters
    ----------
    buffer : bytes
        `nbits` / 8 of them.
    type : str
        One of `TYPES`.
    shape : tuple of int
        Of the array; the last axis a multiple of the block.

    Returns
    -------
    ScaledEncoding
        As `BlockScaledQuantizer` makes it; a scale that is NaN makes its block NaN.

    Raises
    ------
    FormatError
        If the type is unknown, the buffer has another length, or a scale of MXINT8 is below 2^-121.
    ShapeError
        If the last axis is no multiple of the block.

    Notes
    -----
    O(n). Tier T1. ``write(read(b, type, shape), type) == b``.

    Examples
    --------
    >>> read(bytes([0x21] + [0] * 15 + [128]), "mxfp4", (32,)).decode()[:2]
    array([1., 2.], dtype=float32)
    """
    wanted = check_shape(shape)
    form, block, fields = _sizes(wanted, type)
    found = split_fields(buffer, f"{type} of shape {wanted}", fields)
    patterns = codings.unpack(found["elements"].tobytes(), prod(wanted), form.bits)
    elements = DenseEncoding(form.from_patterns(patterns).reshape(wanted), form.name)
    blocks = (*wanted[:-1], wanted[-1] // block)
    scale = _scale(found, type, blocks)
    return ScaledEncoding(elements, scale, (1,) * (len(wanted) - 1) + (block,))


def _scale(found: dict[str, NDArray[Any]], type: str, blocks: tuple[int, ...]) -> Encoding:
    codes, format = found["scales"].reshape(blocks), TYPES[type][1]
    if type == "mxint8":
        low = (codes < _SHIFT).reshape(-1)
        if low.any():
            raise FormatError(
                f"scale {int(np.argmax(low))} has the code {codes.reshape(-1)[np.argmax(low)]}; "
                f"elements in steps of one need at least {_SHIFT}"
            )
        codes = np.where(codes == _NAN, codes, codes - np.uint8(_SHIFT)).astype(np.uint8)
    leaf = DenseEncoding(codes, format)
    if "tensor_scale" not in found:
        return leaf
    tensor = found["tensor_scale"].view(np.uint32).reshape((1,) * len(blocks))
    whole = tuple(max(n, 1) for n in blocks)
    return ScaledEncoding(leaf, DenseEncoding(tensor, "float32"), whole)


def write(encoding: Encoding, type: str) -> bytes:
    """Return elements and scales of a graph that `read` or `BlockScaledQuantizer` made.

    Parameters
    ----------
    encoding : Encoding
        Of the type's form; leaves may be under any coding.
    type : str
        One of `TYPES`.

    Returns
    -------
    bytes
        `nbits` / 8 of them.

    Raises
    ------
    FormatError
        If the type is unknown, the graph has another form, or a scale of MXINT8 is too large for
        the text's code.
    ShapeError
        If the last axis is no multiple of the block.

    Examples
    --------
    >>> buffer = bytes(range(17))
    >>> write(read(buffer, "mxfp4", (1, 32)), "mxfp4") == buffer
    True
    """
    form, _, fields = _sizes(encoding.shape, type)
    zeros = {name: np.zeros(n, kind) for name, (kind, n) in fields.items()}
    zeros["scales"] += np.uint8(_SHIFT)
    check_alike(type, encoding, read(joined_fields(zeros), type, encoding.shape))
    leaves = encoding.leaves()
    elements = _leaf(leaves, "elements")
    patterns = np.ascontiguousarray(form.to_patterns(elements.codes).reshape(-1))
    found = {"elements": np.frombuffer(codings.pack(patterns, form.bits), np.uint8)}
    if "tensor_scale" in fields:
        found["scales"] = _leaf(leaves, "scale.elements").codes
        found["tensor_scale"] = _leaf(leaves, "scale.scale").codes
        return joined_fields(found)
    codes = _leaf(leaves, "scale").codes
    if type == "mxint8":
        if ((codes >= _NAN - _SHIFT) & (codes != _NAN)).any():
            refuse(type, encoding, f"a scale's code is above {_NAN - 1 - _SHIFT}")
        codes = np.where(codes == _NAN, codes, codes + np.uint8(_SHIFT)).astype(np.uint8)
    return joined_fields({**found, "scales": codes})


def _leaf(leaves: dict[str, Any], path: str) -> DenseEncoding:
    found = leaves[path]
    if not isinstance(found, DenseEncoding):
        raise FormatError(f"{path} is {found}, no leaf of codes")
    return found
