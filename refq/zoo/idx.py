"""The IDX format: one array of numbers in a file, as MNIST and its followers ship it.

Equation
--------
``0, 0, type, n_axes``, one byte each; then `n_axes` lengths, big-endian uint32; then the elements,
big-endian, in C order, and nothing after them.

Conventions
-----------
A file may be plain or gzip; its first two bytes tell, its name does not. A header is believed only
as far as the bytes bear it out: the length must be right to the byte. Sizes are computed in Python
integers and checked against a limit before anything is allocated, and decompression stops there.

References
----------
.. [1] Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits" (section
   "the IDX file format").
.. [2] P. Deutsch, "GZIP file format specification version 4.3", RFC 1952, 1996.
"""

import os
import zlib
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import FormatError, LimitError

__all__ = ["IDX_DTYPES", "MAX_IDX_BYTES", "decode_idx", "gunzip", "read_idx", "read_plain"]

MAX_IDX_BYTES = 1 << 30  #: the default limit on an IDX file, after decompression

#: The type byte -> dtype of the elements.
IDX_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

_GZIP_MAGIC = b"\x1f\x8b"
_MAX_AXES = 32


def _header(buffer: bytes, name: str) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """Return dtype, shape and the offset of the first element."""
    if len(buffer) < 4 or buffer[:2] != b"\0\0" or buffer[2] not in IDX_DTYPES:
        kinds = ", ".join(f"{k:02x}" for k in IDX_DTYPES)
        raise FormatError(
            f"{name} begins with {buffer[:4].hex(' ') or 'nothing'}; an IDX file begins with "
            f"00 00, a type among {kinds}, and the number of axes"
        )
    n_axes = buffer[3]
    start = 4 + 4 * n_axes
    if n_axes > _MAX_AXES:
        raise LimitError(f"{name} claims {n_axes} axes; at most {_MAX_AXES}")
    if len(buffer) < start:
        raise FormatError(f"{name} ends inside its header: {len(buffer)} bytes of {start}")
    lengths = np.frombuffer(buffer, ">u4", count=n_axes, offset=4)
    return np.dtype(IDX_DTYPES[buffer[2]]), tuple(int(n) for n in lengths), start


def decode_idx(buffer: bytes, max_bytes: int = MAX_IDX_BYTES, name: str = "buffer") -> NDArray[Any]:
    """Return the array that IDX bytes hold.

    Parameters
    ----------
    buffer : bytes
        Plain, not compressed.
    max_bytes : int
        The limit on header and elements.
    name : str
        How messages call it.

    Returns
    -------
    ndarray
        In native byte order; a copy.

    Raises
    ------
    FormatError
        If the header is no IDX header, or bytes are missing or left over.
    LimitError
        If the header claims more than `max_bytes`.

    Notes
    -----
    Tier T1.

    Examples
    --------
    >>> decode_idx(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]))
    array([7, 8, 9], dtype=uint8)
    """
    dtype, shape, start = _header(buffer, name)
    size = start + prod(shape) * dtype.itemsize
    if size > max_bytes:
        raise LimitError(f"{name} claims shape {shape}: {size} bytes; at most {max_bytes}")
    if len(buffer) != size:
        what = "is truncated" if len(buffer) < size else "has trailing bytes"
        raise FormatError(f"{name} {what}: shape {shape} needs {size} bytes, got {len(buffer)}")
    elements = np.frombuffer(buffer, dtype, offset=start).reshape(shape)
    return elements.astype(dtype.newbyteorder("="))


def gunzip(buffer: bytes, max_bytes: int = MAX_IDX_BYTES, name: str = "buffer") -> bytes:
    """Return what a gzip member holds, never more than `max_bytes` of it.

    Parameters
    ----------
    buffer : bytes
        One gzip member and nothing else.
    max_bytes : int
        The limit on the result.
    name : str
        How messages call it.

    Returns
    -------
    bytes
        Decompressed; gzip's own CRC-32 and length have been checked.

    Raises
    ------
    FormatError
        If the stream is damaged or truncated, or bytes follow it.
    LimitError
        If it holds more than `max_bytes`; no more than that is ever decompressed.

    Notes
    -----
    Tier T1.

    Examples
    --------
    >>> import gzip
    >>> gunzip(gzip.compress(b"abc"))
    b'abc'
    """
    stream = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        # one byte of room past the limit tells "just fits" from "too long"
        data = stream.decompress(buffer, max_bytes + 1)
    except zlib.error as error:
        raise FormatError(f"{name} is no sound gzip stream: {error}") from error
    if len(data) > max_bytes:
        raise LimitError(f"{name} decompresses to more than {max_bytes} bytes")
    if not stream.eof:
        raise FormatError(f"{name} is truncated: the gzip stream does not end")
    if stream.unused_data:
        raise FormatError(f"{name} has {len(stream.unused_data)} bytes after the gzip stream")
    return data


def read_plain(path: str | os.PathLike[str], max_bytes: int = MAX_IDX_BYTES) -> bytes:
    """Return the bytes of a plain or gzip file, decompressed.

    Parameters
    ----------
    path : path_like
        The file.
    max_bytes : int
        The limit on the file and on what it decompresses to.

    Returns
    -------
    bytes
        Plain bytes.

    Raises
    ------
    FormatError
        If there is no such file, or its gzip stream is damaged.
    LimitError
        If it is too long; found before reading, or while decompressing.

    Examples
    --------
    >>> read_plain("no such file")
    Traceback (most recent call last):
    refq.core.errors.FormatError: no such file is no file
    """
    source = Path(path)
    if not source.is_file():
        raise FormatError(f"{source} is no file")
    size = source.stat().st_size
    # bytes that do not compress become a little longer: 5 for every 16 kB and a header
    if size > max_bytes + max_bytes // 1024 + 4096:
        raise LimitError(f"{source} has {size} bytes; at most {max_bytes}")
    data = source.read_bytes()
    return gunzip(data, max_bytes, source.name) if data[:2] == _GZIP_MAGIC else data


def read_idx(path: str | os.PathLike[str], max_bytes: int = MAX_IDX_BYTES) -> NDArray[Any]:
    """Return the array in an IDX file, plain or gzip.

    Parameters
    ----------
    path : path_like
        The file.
    max_bytes : int
        The limit on its bytes, decompressed.

    Returns
    -------
    ndarray
        In native byte order.

    Raises
    ------
    FormatError
        If it is missing, damaged, or not an IDX file.
    LimitError
        If it exceeds the limit.

    Notes
    -----
    Tier T1.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "two.idx")
    ...     _ = path.write_bytes(bytes([0, 0, 9, 1, 0, 0, 0, 2, 1, 255]))
    ...     read_idx(path)
    array([ 1, -1], dtype=int8)
    """
    return decode_idx(read_plain(path, max_bytes), max_bytes, Path(path).name)
