"""ONNX's packed tensors: 4-bit and 2-bit elements, the first in the low bits of a byte.

Problem
-------
An ONNX tensor of int4, uint4, int2, uint2 or float4e2m1 keeps two or four elements in a byte of
``raw_data``. Quantized weights are three such tensors: codes, scales, zero points.

Equation
--------
Element i of the flattened array lies in the bits ``[i * bits, (i + 1) * bits)`` of the stream, the
least significant bit first; bits after the last element are zero. Weights of a blocked
QuantizeLinear mean ``(codes - zero_point) * scale``, a parameter for each block along an axis.

References
----------
.. [1] ONNX documentation, technical details, pages "int4" and "float4"; operators QuantizeLinear-21
   and DequantizeLinear-21.
"""

from math import prod
from typing import Any

import numpy as np

from .. import codings, formats
from ..core.checks import check_integer, check_shape, normalize_axis
from ..core.errors import FormatError
from ..core.granularity import parameter_shape
from ..encodings import DenseEncoding, Encoding, ScaledEncoding
from .alike import refuse

__all__ = ["TYPES", "nbits", "read", "read_linear", "write", "write_linear"]

#: ONNX's name -> refq's format
TYPES = {
    "INT4": "int4",
    "UINT4": "uint4",
    "INT2": "int2",
    "UINT2": "uint2",
    "FLOAT4E2M1": "float4_e2m1fn",
}
_WIDE = {
    "FLOAT": "float32",
    "FLOAT16": "float16",
    "BFLOAT16": "bfloat16",
    "FLOAT8E8M0": "float8_e8m0fnu",
}


def _format(type: str, allowed: dict[str, str]) -> formats.Format:
    if not isinstance(type, str) or type not in allowed:
        raise FormatError(f"type = {type!r} is none of ONNX's here; there are {', '.join(allowed)}")
    return formats.get(allowed[type])


def nbits(shape: tuple[int, ...], type: str) -> int:
    """Return how many bits the packed elements take.

    Parameters
    ----------
    shape : tuple of int
        Of the array.
    type : str
        One of `TYPES`.

    Returns
    -------
    int
        Whole bytes, in bits.

    Raises
    ------
    FormatError
        If the type is unknown.

    Examples
    --------
    >>> nbits((3,), "INT4")
    16
    """
    return 8 * -(-prod(check_shape(shape)) * _format(type, TYPES).bits // 8)


def read(buffer: bytes | bytearray | memoryview, type: str, shape: Any) -> DenseEncoding:
    """Return the leaf that packed elements stand for.

    Parameters
    ----------
    buffer : bytes
        The tensor's ``raw_data``.
    type : str
        One of `TYPES`.
    shape : tuple of int
        Of the array.

    Returns
    -------
    DenseEncoding
        ``write(read(b, type, shape), type) == b``.

    Raises
    ------
    FormatError
        If the type is unknown, the buffer has another length, or a bit after the last element is
        not zero.

    Examples
    --------
    >>> read(bytes([0x81, 0x07]), "INT4", (3,)).decode()
    array([ 1, -8,  7], dtype=int8)
    """
    return _leaf(buffer, _format(type, TYPES), check_shape(shape))


def _leaf(buffer: Any, form: formats.Format, shape: tuple[int, ...]) -> DenseEncoding:
    if not isinstance(buffer, (bytes, bytearray, memoryview)):
        raise FormatError(f"buffer must be bytes, not {buffer.__class__.__name__}")
    patterns = codings.unpack(bytes(buffer), prod(shape), form.bits)
    return DenseEncoding(form.from_patterns(patterns).reshape(shape), form.name)


def write(encoding: Encoding, type: str) -> bytes:
    """Return the packed elements of a leaf.

    Parameters
    ----------
    encoding : Encoding
        A leaf of the type's format, under any coding.
    type : str
        One of `TYPES`.

    Returns
    -------
    bytes
        ``raw_data``; it is also what ONNX's ``int32_data`` holds, one byte in each number.

    Raises
    ------
    FormatError
        If the type is unknown, or the leaf has another format.

    Examples
    --------
    >>> from ..encodings import dense
    >>> write(dense([1, -8, 7], "int4"), "INT4").hex()
    '8107'
    """
    return _packed(encoding, _format(type, TYPES), type)


def _packed(encoding: Encoding, form: formats.Format, type: str) -> bytes:
    if not isinstance(encoding, DenseEncoding) or encoding.format != form.name:
        refuse(type, encoding, f"it must be a leaf of {form.name}")
    patterns = form.to_patterns(encoding.codes).reshape(-1)
    return codings.pack(np.ascontiguousarray(patterns), form.bits)


def read_linear(
    data: bytes,
    scale: bytes,
    zero_point: bytes | None,
    shape: Any,
    *,
    type: str = "INT4",
    scale_type: str = "FLOAT",
    axis: int = 1,
    block_size: int = 0,
) -> ScaledEncoding:
    """Return what DequantizeLinear's three tensors stand for.

    Parameters
    ----------
    data, scale, zero_point : bytes
        Their ``raw_data``; None where there is no zero point.
    shape : tuple of int
        Of the data.
    type : str
        One of `TYPES`: of data and zero point.
    scale_type : {"FLOAT", "FLOAT16", "BFLOAT16", "FLOAT8E8M0"}
        Of the scales.
    axis : int
        As in the operator.
    block_size : int
        As in the operator: 0 means a scale for each index of `axis`. A scalar scale is
        ``block_size = 0`` over an axis of one block: it is told by its length.

    Returns
    -------
    ScaledEncoding
        Decodes to DequantizeLinear's float32 result.

    Raises
    ------
    FormatError
        If a type is unknown or a buffer has another length.
    ShapeError
        If there is no such axis.

    Examples
    --------
    >>> scale = np.float32([0.5, 2.0]).tobytes()
    >>> e = read_linear(bytes([0x21, 0x43]), scale, None, (1, 4), block_size=2)
    >>> e.decode()
    array([[0.5, 1. , 6. , 8. ]], dtype=float32)
    """
    wanted, form = check_shape(shape), _format(type, TYPES)
    wide = _format(scale_type, _WIDE)
    blocks = _block_shape(wanted, axis, check_integer(block_size, "block_size", 0))
    if len(scale) * 8 == wide.bits:
        blocks = tuple(max(n, 1) for n in wanted)  # a scalar
    parameters = parameter_shape(wanted, blocks)
    zero = None if zero_point is None else _leaf(zero_point, form, parameters)
    return ScaledEncoding(_leaf(data, form, wanted), _leaf(scale, wide, parameters), blocks, zero)


def _block_shape(shape: tuple[int, ...], axis: int, block_size: int) -> tuple[int, ...]:
    where = normalize_axis(axis, len(shape))
    if block_size:
        return tuple(block_size if i == where else 1 for i in range(len(shape)))
    return tuple(1 if i == where else max(n, 1) for i, n in enumerate(shape))


def write_linear(encoding: Encoding) -> dict[str, bytes]:
    """Return the ``raw_data`` of DequantizeLinear's tensors.

    Parameters
    ----------
    encoding : Encoding
        A `ScaledEncoding` of a leaf in one of the formats of `TYPES`, with leaves for scale and
        zero point.

    Returns
    -------
    dict of str to bytes
        "data", "scale" and, where there is one, "zero_point".

    Raises
    ------
    FormatError
        If the graph has another form: an offset, a scale that is no leaf, another format.

    Examples
    --------
    >>> scale = np.float32([0.5, 2.0]).tobytes()
    >>> e = read_linear(bytes([0x21, 0x43]), scale, None, (1, 4), block_size=2)
    >>> write_linear(e)["data"].hex(), write_linear(e)["scale"] == scale
    ('2143', True)
    """
    names = {format: type for type, format in (TYPES | _WIDE).items()}
    if not isinstance(encoding, ScaledEncoding) or encoding.offset is not None:
        refuse("DequantizeLinear", encoding, "it must be a ScaledEncoding without an offset")
    parts = {"data": encoding.elements, "scale": encoding.scale, "zero_point": encoding.zero_point}
    found = {}
    for name, part in parts.items():
        if part is None:
            continue
        if not isinstance(part, DenseEncoding) or part.format not in names:
            refuse("DequantizeLinear", part, f"{name} must be a leaf of {', '.join(names)}")
        found[name] = _packed(part, formats.get(part.format), names[part.format])
    return found
