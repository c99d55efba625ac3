"""Gaps: a sparse mask as the distances between its ones, entropy-coded.

Problem
-------
A mask with few ones carries far less than a bit per position. Deep Compression [1]_ stores where
the kept weights are as differences of a few bits, with a filler where a difference is too large.

Equation
--------
The gap before a one is the number of zeros between it and the one before (or the start). With w-bit
gap codes and E = 2^w - 1, the gap g is written as ``g // E`` codes E (the *escape*: E zeros and no
one) and the code ``g % E`` (so many zeros, then a one). Every gap has exactly one spelling. For
independent ones of probability p the n bits cannot take less than n H(p) on average.

Conventions
-----------
Codes have one bit. The gap codes are written by `refq.codings.huffman`, table included. Where ones
are more frequent than zeros, the gaps between zeros are written instead.

*Stream* (fields as in `refq.codings.coding`, least significant bit first). No codes: no bits. Else

======  ====================  =======================================================
field   bits                  meaning
======  ====================  =======================================================
form    1                     0 raw: the `size` bits of the mask follow, and no more; 1 gaps
value   1                     the value whose positions follow; 1 unless ones are the majority
width   4                     w - 3, in [0, 13]; 0 if `count` is 0
count   bit length of `size`  the number of gap codes, the last one no escape
gaps                          a Huffman stream of `count` codes of w bits; no bits if count is 0
======  ====================  =======================================================

The writer takes the w in [3, 16] with the fewest bits, the smaller w if equal, and raw unless gaps
take fewer bits: a mask of n > 0 bits never costs more than n + 1. The reader accepts any form and
width, but not the more frequent value, and no escape at the end.

References
----------
.. [1] S. Han, H. Mao, W. J. Dally, "Deep Compression", ICLR 2016, arXiv:1510.00149, section 2.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.checks import check_integer
from ..core.errors import FormatError
from .bit_stream import BitReader, join_bits
from .coding import Buffer, Coding, check_codes, check_size
from .huffman import read_stream, stream_bits, write_stream
from .packing import pack

__all__ = ["WIDTHS", "GapsCoding", "gap_codes", "gap_positions"]

WIDTHS = range(3, 17)  #: the gap widths there are
_RAW, _GAPS = 0, 1
_HEAD = 1 + 1 + 4  #: bits of `form`, `value` and `width`


def gap_codes(gaps: NDArray[np.int64], width: int) -> NDArray[Any]:
    """Return gaps as codes of `width` bits, with escapes where one does not fit.

    Parameters
    ----------
    gaps : ndarray of int64, shape (k,)
        Numbers of positions skipped before each one.
    width : int
        Bits of a gap code.

    Returns
    -------
    ndarray of uint16
        The codes.

    Examples
    --------
    >>> gap_codes(np.array([2, 7, 15]), 3)
    array([2, 7, 0, 7, 7, 1], dtype=uint16)
    """
    escape = (1 << width) - 1
    escapes, rest = np.divmod(gaps, escape)
    codes = np.full(int(escapes.sum()) + gaps.size, escape, np.uint16)
    codes[np.cumsum(escapes + 1) - 1] = rest
    return codes


def gap_positions(codes: NDArray[Any], width: int) -> NDArray[np.int64]:
    """Return the positions that gap codes stand for.

    Parameters
    ----------
    codes : ndarray of unsigned, shape (k,)
        Gap codes.
    width : int
        Bits of a gap code.

    Returns
    -------
    ndarray of int64
        Ascending positions.

    Raises
    ------
    FormatError
        If the last code is an escape.

    Examples
    --------
    >>> gap_positions(np.array([2, 7, 0, 7, 7, 1], np.uint16), 3)
    array([ 2, 10, 26])
    """
    escape = (1 << width) - 1
    marks = codes != escape
    if codes.size and not marks[-1]:
        raise FormatError("an escape after the last position must not be written")
    ends = np.cumsum(codes.astype(np.int64) + marks)
    return (ends - 1)[marks]


def _gaps_of(mask: NDArray[Any]) -> tuple[int, NDArray[np.int64]]:
    """Return the rarer value, 1 if equal, and the gaps between its positions."""
    value = int(2 * np.count_nonzero(mask) <= mask.size)
    return value, np.diff(np.flatnonzero(mask == value), prepend=-1) - 1


def _codes_bits(gaps: NDArray[Any], tally: NDArray[Any], width: int) -> int:
    """Return the Huffman bits of the gap codes, from the histogram of the gaps."""
    escapes, rest = np.divmod(gaps, (1 << width) - 1)
    counts = np.zeros(1 << width, np.int64)
    np.add.at(counts, rest, tally)  # integers: bincount with weights would go through float
    counts[-1] = int(np.sum(escapes * tally))
    used = np.flatnonzero(counts)
    return stream_bits(used, counts[used], width)


def _best_width(gaps: NDArray[np.int64], size: int) -> tuple[int, int]:
    """Return the fewest bits of the form "gaps" and the smallest width that has them."""
    distinct, tally = np.unique(gaps, return_counts=True)
    head = _HEAD + size.bit_length()
    return min((head + _codes_bits(distinct, tally, w), w) for w in WIDTHS)


@dataclass(frozen=True)
class GapsCoding(Coding):
    """The positions of the rarer value as gaps, for masks of one bit.

    Parameters
    ----------
    name : str
        "gaps".

    Examples
    --------
    >>> coding = GapsCoding()
    >>> mask = np.zeros(10000, np.uint8)
    >>> mask[::1000] = 1
    >>> buffer, nbits = coding.write(mask, 1)
    >>> nbits, bool((coding.read(buffer, 10000, 1) == mask).all())
    (66, True)
    """

    name: str = "gaps"

    def write(self, codes: NDArray[Any], bits: int) -> tuple[bytes, int]:
        """Write the gaps, or the mask as it is where that takes no more."""
        check_integer(bits, "bits of the coding 'gaps'", 1, 1)
        mask = check_codes(codes, 1)
        if mask.size == 0:
            return b"", 0
        value, gaps = _gaps_of(mask)
        nbits, width = _best_width(gaps, mask.size)
        if nbits > mask.size:
            return join_bits((bytes([_RAW]), 1), (pack(mask, 1), mask.size))
        coded = gap_codes(gaps, width)
        head = _GAPS | value << 1 | (width - WIDTHS.start) << 2
        count_bits = mask.size.bit_length()
        return join_bits(
            (bytes([head]), _HEAD),
            (coded.size.to_bytes(8, "little"), count_bits),
            write_stream(coded, width),
        )

    def read(self, buffer: Buffer, size: int, bits: int) -> NDArray[Any]:
        """Read the gaps or the mask, then nothing more."""
        check_integer(bits, "bits of the coding 'gaps'", 1, 1)
        size, reader = check_size(size), BitReader(buffer)
        if size == 0:
            mask = np.zeros(0, np.uint8)
        elif reader.field(1) == _RAW:
            mask = reader.fields(size, 1)
        else:
            mask = self._read_gaps(reader, size)
        reader.finish()
        return mask

    @staticmethod
    def _read_gaps(reader: BitReader, size: int) -> NDArray[np.uint8]:
        value, width = reader.field(1), reader.field(4) + WIDTHS.start
        count = reader.field(size.bit_length())
        if width not in WIDTHS:
            raise FormatError(f"width = {width} of the gaps must be in [3, 16]")
        if count == 0 and width != WIDTHS.start:
            raise FormatError(f"width = {width} of no gaps must be {WIDTHS.start}")
        if count > size:
            raise FormatError(f"{count} gap codes cannot stand for {size} positions")
        positions = gap_positions(read_stream(reader, count, width), width)
        if positions.size and int(positions[-1]) >= size:
            raise FormatError(f"position {positions[-1]} lies outside a mask of {size} bits")
        if 2 * positions.size > size or (value == 0 and 2 * positions.size == size):
            raise FormatError(f"{positions.size} of {size} positions: not the rarer value")
        mask = np.full(size, 1 - value, np.uint8)
        mask[positions] = value
        return mask

    def nbits(self, codes: NDArray[Any], bits: int) -> int:
        """Return the bits of the cheapest form, from the histogram of the gaps."""
        check_integer(bits, "bits of the coding 'gaps'", 1, 1)
        mask = check_codes(codes, 1)
        if mask.size == 0:
            return 0
        return min(mask.size + 1, _best_width(_gaps_of(mask)[1], mask.size)[0])
