"""The table in front of an entropy coded stream: which symbols occur, and a number for each.

Problem
-------
Huffman keeps a codeword length for every symbol, rANS a frequency. Where most symbols of the
alphabet occur, the numbers alone are the shortest list; where few do, the symbols are named.

Conventions
-----------
*Head* (fields as in `refq.codings.coding`): `kind` of 1 bit (0 dense, 1 sparse), `width` of as many
bits as the coding says, and `last` of `bits` bits: dense, the largest symbol; sparse, the number
of symbols minus one.

Dense table: ``last + 1`` numbers of `width` bits, of the symbols 0, 1, ..., `last`; 0 says that the
symbol does not occur; the last one is not 0. Sparse table: ``last + 1`` symbols of `bits` bits,
strictly ascending, then their numbers of `width` bits in the same order, none of them 0. The table
is of the kind that takes fewer bits, dense if equal; a reader refuses the other. Dense with
``width = 0``: `last` is the only symbol, and no table follows.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.dtypes import smallest_unsigned
from ..core.errors import FormatError
from .bit_stream import BitReader, join_bits
from .packing import pack

__all__ = ["histogram", "ranks_of", "read_table", "table_bits", "write_table"]

_DENSE, _SPARSE = 0, 1


def histogram(codes: NDArray[Any], bits: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the symbols that occur, ascending, and their counts.

    Parameters
    ----------
    codes : ndarray of unsigned, shape (n,)
        Each below ``2**bits``.
    bits : int
        Width of one code.

    Returns
    -------
    symbols : ndarray of unsigned, shape (m,)
        Distinct.
    counts : ndarray of int64, shape (m,)
        Positive.

    Examples
    --------
    >>> histogram(np.array([3, 1, 3], np.uint8), 2)
    (array([1, 3], dtype=uint8), array([1, 2]))
    """
    if bits > 16:
        symbols, counts = np.unique(codes, return_counts=True)
        return symbols, counts.astype(np.int64)
    dense = np.bincount(codes)
    used = np.flatnonzero(dense)
    return used.astype(smallest_unsigned(bits)), dense[used].astype(np.int64)


def ranks_of(codes: NDArray[Any], symbols: NDArray[Any], bits: int) -> NDArray[np.int64]:
    """Return the place of each code among the symbols.

    Parameters
    ----------
    codes : ndarray of unsigned, shape (n,)
        Each one of `symbols`.
    symbols : ndarray of unsigned, shape (m,)
        Ascending.
    bits : int
        Width of one code.

    Returns
    -------
    ndarray of int64, shape (n,)
        Indices into `symbols`.

    Examples
    --------
    >>> ranks_of(np.array([9, 4], np.uint8), np.array([4, 9], np.uint8), 4)
    array([1, 0])
    """
    if bits > 16:
        return np.searchsorted(symbols, codes)
    rank_of = np.zeros(int(symbols[-1]) + 1, np.int64)
    rank_of[symbols] = np.arange(symbols.size)
    return rank_of[codes]


def _bits_of(kind: int, last: int, symbols: int, width: int, bits: int) -> int:
    return (last + 1) * width if kind == _DENSE else symbols * (bits + width)


def _shorter_kind(last: int, symbols: int, width: int, bits: int) -> int:
    """Return the kind that takes fewer bits, dense if equal."""
    return min((_DENSE, _SPARSE), key=lambda kind: _bits_of(kind, last, symbols, width, bits))


def table_bits(last: int, symbols: int, width: int, bits: int, width_bits: int) -> int:
    """Return the bits of the head and the table.

    Parameters
    ----------
    last : int
        The largest symbol.
    symbols : int
        How many there are.
    width : int
        Bits of a number.
    bits : int
        Width of one code.
    width_bits : int
        Bits of the field `width`.

    Returns
    -------
    int
        The count.

    Examples
    --------
    >>> table_bits(last=3, symbols=4, width=2, bits=4, width_bits=3)
    16
    """
    kind = _shorter_kind(last, symbols, width, bits)
    return 1 + width_bits + bits + _bits_of(kind, last, symbols, width, bits)


def write_table(
    symbols: NDArray[Any], numbers: NDArray[np.int64], width: int, bits: int, width_bits: int
) -> tuple[bytes, int]:
    """Return the head and the table, and their bits.

    Parameters
    ----------
    symbols : ndarray of unsigned, shape (m,)
        Ascending.
    numbers : ndarray of int64, shape (m,)
        In ``[1, 2**width)``; ignored where `width` is 0.
    width : int
        Bits of a number; 0 for one symbol alone.
    bits : int
        Width of one code.
    width_bits : int
        Bits of the field `width`.

    Returns
    -------
    buffer : bytes
        The stream.
    nbits : int
        Its bits.

    Examples
    --------
    >>> write_table(np.array([3], np.uint8), np.array([0]), 0, 4, 3)
    (b'0', 8)
    """
    last = int(symbols[-1])
    kind = _shorter_kind(last, symbols.size, width, bits)
    count = last if kind == _DENSE else symbols.size - 1
    first = 1 + width_bits
    head = (kind | width << 1 | count << first).to_bytes(10, "little"), first + bits
    if width == 0:
        return join_bits(head)
    unsigned = smallest_unsigned(width)
    if kind == _DENSE:
        every = np.zeros(last + 1, unsigned)
        every[symbols] = numbers
        return join_bits(head, (pack(every, width), every.size * width))
    return join_bits(
        head,
        (pack(symbols, bits), symbols.size * bits),
        (pack(numbers.astype(unsigned), width), symbols.size * width),
    )


def read_table(
    reader: BitReader, bits: int, width_bits: int, most: int
) -> tuple[NDArray[Any], NDArray[np.int64], int]:
    """Read a head and a table, or say why they are none.

    Parameters
    ----------
    reader : BitReader
        At the first bit.
    bits : int
        Width of one code.
    width_bits : int
        Bits of the field `width`.
    most : int
        The largest width allowed.

    Returns
    -------
    symbols : ndarray of unsigned, shape (m,)
        Ascending.
    numbers : ndarray of int64, shape (m,)
        Positive; zero for one symbol alone.
    width : int
        Bits of a number.

    Raises
    ------
    FormatError
        If it is no table, or the other kind takes fewer bits.

    Examples
    --------
    >>> read_table(BitReader(b"0"), 4, 3, 6)
    (array([3], dtype=uint8), array([0]), 0)
    """
    kind, width, last = reader.field(1), reader.field(width_bits), reader.field(bits)
    if width == 0 and kind == _DENSE:
        return np.array([last], smallest_unsigned(bits)), np.zeros(1, np.int64), 0
    if not 1 <= width <= most:
        raise FormatError(f"width = {width} of the table's numbers must be in [1, {most}]")
    if kind == _DENSE:
        every = reader.fields(last + 1, width)
        used = np.flatnonzero(every)
        symbols, numbers = used.astype(smallest_unsigned(bits)), every[used]
        if every[-1] == 0:
            raise FormatError(f"the last symbol, {last}, must have a number in the table")
    else:
        symbols, numbers = reader.fields(last + 1, bits), reader.fields(last + 1, width)
        if not np.all(symbols[1:] > symbols[:-1]) or not np.all(numbers):
            raise FormatError("a sparse table must list ascending symbols with numbers > 0")
    if kind != _shorter_kind(int(symbols[-1]), symbols.size, width, bits):
        raise FormatError(f"kind = {kind} of the table: the other kind takes fewer bits")
    return symbols, numbers.astype(np.int64), width
