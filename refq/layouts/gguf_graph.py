"""From the fields of GGUF blocks to nouns, and back.

Equation
--------
``scale * (elements - zero_point) + offset``; in super-blocks scale and offset are themselves
``d * codes``. The file keeps ``dmin`` and subtracts; the graph keeps ``-dmin`` and adds, which
rounds alike.
"""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import FormatError
from ..encodings import (
    DenseEncoding,
    Encoding,
    GeneratedEncoding,
    ScaledEncoding,
)
from .alike import check_alike, refuse
from .gguf_block import BlockType, Fields

__all__ = ["fields_from", "graph_of"]

Shape = tuple[int, ...]

_SIGN = np.uint16(0x8000)


def _integers(codes: NDArray[Any], bits: int, low: int) -> DenseEncoding:
    if low == 0:
        return DenseEncoding(codes.astype(np.uint8), f"uint{bits}")
    return DenseEncoding((codes.astype(np.int16) + low).astype(np.int8), f"int{bits}")


def _patterns(leaf: DenseEncoding, low: int) -> NDArray[np.uint8]:
    return (leaf.codes.astype(np.int16) - low).astype(np.uint8)


def _block_shape(shape: Shape, size: int) -> Shape:
    return (1,) * (len(shape) - 1) + (size,)


def graph_of(kind: BlockType, fields: Fields, shape: Shape) -> ScaledEncoding:
    """Return the graph of nouns that fields stand for.

    Parameters
    ----------
    kind : BlockType
        Of the fields.
    fields : dict of str to ndarray
        As `BlockType.split` gives them.
    shape : tuple of int
        Of the decoded array; the last axis a multiple of the block.

    Returns
    -------
    ScaledEncoding
        Decodes as ggml does.

    Examples
    --------
    >>> from .gguf_simple import SIMPLE
    >>> kind = SIMPLE["Q8_0"]
    >>> graph_of(kind, kind.split(np.zeros((1, 34), np.uint8)), (1, 32)).stored_bits
    272
    """
    codes = fields["codes"].reshape(shape)
    if kind.format is not None:
        elements = DenseEncoding(codes, kind.format)
    else:
        elements = _integers(codes, kind.bits, kind.low)
    blocks = (*shape[:-1], shape[-1] // kind.size)
    scale, offset = _parameters(kind, fields, blocks)
    zero = GeneratedEncoding("ones", blocks) if kind.zero_point else None
    size = kind.sub_size or kind.size
    return ScaledEncoding(elements, scale, _block_shape(shape, size), zero, offset)


def _parameters(kind: BlockType, fields: Fields, blocks: Shape) -> tuple[Encoding, Encoding | None]:
    """Return scale and offset, which are codes times a float16 in super-blocks."""
    d = fields["scale"].reshape(blocks)
    scale: Encoding = DenseEncoding(d, kind.scale_format)
    if kind.sub_size is None:
        found = DenseEncoding(fields["offset"].reshape(blocks), "float16") if kind.offset else None
        return scale, found
    per_block = kind.size // kind.sub_size
    groups = (*blocks[:-1], blocks[-1] * per_block)
    size = _block_shape(blocks, per_block)
    s = _integers(fields["scale_codes"].reshape(groups), kind.scale_bits, kind.scale_low)
    if not kind.offset:
        return ScaledEncoding(s, scale, size), None
    m = _integers(fields["offset_codes"].reshape(groups), kind.scale_bits, 0)
    negative = DenseEncoding(fields["offset"].reshape(blocks) ^ _SIGN, "float16")
    return ScaledEncoding(s, scale, size), ScaledEncoding(m, negative, size)


def fields_from(kind: BlockType, encoding: Encoding) -> Fields:
    """Return the fields that a graph stands for: the inverse of `graph_of`.

    Parameters
    ----------
    kind : BlockType
        Which one is written.
    encoding : Encoding
        A graph as `graph_of` makes it; its leaves may be under any coding.

    Returns
    -------
    dict of str to ndarray
        As `BlockType.join` takes them.

    Raises
    ------
    FormatError
        If the graph has another form: a part, a format or a block shape differs.

    Examples
    --------
    >>> from .gguf_simple import SIMPLE
    >>> from ..encodings import dense
    >>> fields_from(SIMPLE["Q8_0"], dense([1.0], "float16"))
    Traceback (most recent call last):
    refq.core.errors.FormatError: a DenseEncoding of shape (1,) is no Q8_0: it must be \
ScaledEncoding
    """
    if not isinstance(encoding, ScaledEncoding):
        refuse(kind.name, encoding, "it must be ScaledEncoding")
    shape = encoding.shape
    if not shape or shape[-1] % kind.size:
        refuse(kind.name, encoding, f"the last axis must be a multiple of {kind.size}")
    blocks = (*shape[:-1], shape[-1] // kind.size)
    template = graph_of(kind, _zeros(kind, prod(blocks)), shape)
    check_alike(kind.name, encoding, template)
    return _collect(kind, encoding, prod(blocks))


def _zeros(kind: BlockType, n: int) -> Fields:
    return kind.split(np.zeros((n, kind.nbytes), np.uint8))


def _codes_of(part: Encoding | None) -> DenseEncoding:
    """Return the leaf of codes in a part that was compared with the template."""
    while not isinstance(part, DenseEncoding):
        if not isinstance(part, ScaledEncoding):
            raise FormatError(f"{part} holds no codes")
        part = part.elements
    return part


def _collect(kind: BlockType, encoding: ScaledEncoding, n: int) -> Fields:
    elements, scale, offset = encoding.elements, encoding.scale, encoding.offset
    groups = kind.size // (kind.sub_size or kind.size)
    found: Fields = {"codes": _patterns(_codes_of(elements), kind.low).reshape(n, kind.size)}
    if isinstance(scale, ScaledEncoding):
        found["scale_codes"] = _patterns(_codes_of(scale), kind.scale_low).reshape(n, groups)
        scale = scale.scale
    found["scale"] = _codes_of(scale).codes.reshape(n, 1)
    if isinstance(offset, ScaledEncoding):
        found["offset_codes"] = _patterns(_codes_of(offset), 0).reshape(n, groups)
        found["offset"] = _codes_of(offset.scale).codes.reshape(n, 1) ^ _SIGN
    elif offset is not None:
        found["offset"] = _codes_of(offset).codes.reshape(n, 1)
    return found
