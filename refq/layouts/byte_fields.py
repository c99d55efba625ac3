"""Buffers that hold several arrays one after the other."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import FormatError

__all__ = ["joined_fields", "split_fields"]


def split_fields(
    buffer: bytes | bytearray | memoryview, layout: str, fields: Mapping[str, tuple[str, int]]
) -> dict[str, NDArray[Any]]:
    """Cut a buffer into arrays.

    Parameters
    ----------
    buffer : bytes
        Exactly the arrays.
    layout : str
        How messages call the layout's type.
    fields : mapping of str to (str, int)
        The dtype and the length of each, in order.

    Returns
    -------
    dict of str to ndarray
        Flat arrays in native byte order.

    Raises
    ------
    FormatError
        If it is no buffer of bytes, or has another length.

    Examples
    --------
    >>> split_fields(bytes([7, 0, 0, 128, 63]), "demo", {"a": ("u1", 1), "b": ("f4", 1)})["b"]
    array([1.], dtype=float32)
    """
    if not isinstance(buffer, (bytes, bytearray, memoryview)):
        raise FormatError(f"buffer must be bytes, not {buffer.__class__.__name__}")
    data = bytes(buffer)
    wanted = sum(np.dtype(kind).itemsize * n for kind, n in fields.values())
    if len(data) != wanted:
        shown = ", ".join(f"{n} of {name}" for name, (_, n) in fields.items())
        raise FormatError(f"buffer has {len(data)} bytes; {layout} has {wanted}: {shown}")
    found, start = {}, 0
    for name, (kind, n) in fields.items():
        little = np.dtype(kind).newbyteorder("<")
        found[name] = np.frombuffer(data, little, n, start).astype(little.newbyteorder("="))
        start += little.itemsize * n
    return found


def joined_fields(fields: Mapping[str, NDArray[Any]]) -> bytes:
    """Return arrays as bytes, one after the other, little-endian: the inverse of `split_fields`.

    Parameters
    ----------
    fields : mapping of str to ndarray
        In order.

    Returns
    -------
    bytes
        All of them.

    Examples
    --------
    >>> joined_fields({"a": np.array([1], np.uint8), "b": np.array([2], np.uint16)}).hex()
    '010200'
    """
    little = (np.ascontiguousarray(a, a.dtype.newbyteorder("<")) for a in fields.values())
    return b"".join(a.tobytes() for a in little)
