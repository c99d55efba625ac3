"""How GGUF blocks lay codes into bytes.

Conventions
-----------
Codes have shape (n_blocks, size). Bytes are split into fields along the second axis. Within a run
of codes, byte j holds code j in its low bits and the code ``run / per_byte`` further in the next
ones: the planes lie one after the other, not interleaved.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["fields_of", "halves", "joined", "planes", "unplanes"]

Bytes = NDArray[np.uint8]


def fields_of(blocks: Bytes, *widths: int) -> list[Bytes]:
    """Split the bytes of each block into fields.

    Parameters
    ----------
    blocks : ndarray of uint8, shape (n, nbytes)
        Whole blocks.
    *widths : int
        Bytes of each field, in order; they add up to nbytes.

    Returns
    -------
    list of ndarray of uint8
        One of shape (n, width) each.

    Examples
    --------
    >>> [f.tolist() for f in fields_of(np.array([[1, 2, 3]], np.uint8), 1, 2)]
    [[[1]], [[2, 3]]]
    """
    ends = np.cumsum(widths)[:-1]
    return [np.ascontiguousarray(f) for f in np.split(blocks, [int(e) for e in ends], axis=1)]


def joined(*fields: NDArray[Any]) -> Bytes:
    """Join fields to blocks; 16-bit fields become little-endian bytes.

    Parameters
    ----------
    *fields : ndarray of uint8 or uint16, shape (n, width)
        In the order of the block.

    Returns
    -------
    ndarray of uint8, shape (n, nbytes)
        Whole blocks.

    Examples
    --------
    >>> joined(np.array([[0x3C00]], np.uint16), np.array([[7]], np.uint8)).tolist()
    [[0, 60, 7]]
    """
    raw = [
        np.ascontiguousarray(f, "<u2").view(np.uint8) if f.dtype.itemsize == 2 else f
        for f in fields
    ]
    return np.concatenate(raw, axis=1)


def halves(field: Bytes) -> NDArray[np.uint16]:
    """Return the 16-bit patterns of little-endian bytes.

    Parameters
    ----------
    field : ndarray of uint8, shape (n, 2 * k)
        As `fields_of` gives it.

    Returns
    -------
    ndarray of uint16, shape (n, k)
        The patterns.

    Examples
    --------
    >>> halves(np.array([[0, 60]], np.uint8)).tolist()
    [[15360]]
    """
    return np.ascontiguousarray(field).view("<u2").astype(np.uint16)


def planes(field: Bytes, bits: int, run: int) -> Bytes:
    """Return the codes that bytes hold in planes.

    Parameters
    ----------
    field : ndarray of uint8, shape (n, size * bits / 8)
        The bytes.
    bits : int
        1, 2 or 4: width of a code.
    run : int
        Codes per run; a multiple of 8 / bits.

    Returns
    -------
    ndarray of uint8, shape (n, size)
        The codes.

    Examples
    --------
    >>> planes(np.array([[0x21, 0x43]], np.uint8), 4, 4).tolist()
    [[1, 3, 2, 4]]
    """
    n, per_byte = field.shape[0], 8 // bits
    size = field.shape[1] * per_byte
    shifts = np.arange(0, 8, bits, dtype=np.uint8)[:, None]
    rows = field.reshape(n, size // run, 1, run // per_byte)
    return ((rows >> shifts) & np.uint8((1 << bits) - 1)).reshape(n, size)


def unplanes(codes: NDArray[Any], bits: int, run: int) -> Bytes:
    """Return the bytes that hold codes in planes: the inverse of `planes`.

    Parameters
    ----------
    codes : ndarray of integers, shape (n, size)
        Each below ``2**bits``.
    bits : int
        1, 2 or 4.
    run : int
        Codes per run.

    Returns
    -------
    ndarray of uint8, shape (n, size * bits / 8)
        The bytes.

    Examples
    --------
    >>> unplanes(np.array([[1, 3, 2, 4]]), 4, 4).tolist()
    [[33, 67]]
    """
    n, size = codes.shape
    per_byte = 8 // bits
    shifts = np.arange(0, 8, bits, dtype=np.uint8)[:, None]
    rows = codes.astype(np.uint8).reshape(n, size // run, per_byte, run // per_byte)
    joined_rows = np.bitwise_or.reduce(rows << shifts, axis=2)
    return np.asarray(joined_rows.reshape(n, size // per_byte), np.uint8)
