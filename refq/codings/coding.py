"""What a coding is: a reversible map from codes to bits that counts every bit it writes.

Problem
-------
The codes of a leaf are unsigned patterns of one width. A coding turns a flat array of them into a
buffer of bytes, and back, and says how many bits of the buffer mean something.

Conventions
-----------
A buffer is a *bit stream*, least significant bit first: bit i of the stream is bit ``i % 8`` of
byte ``i // 8``, so the buffer is one little-endian integer. A *field* of w bits holds an unsigned
integer, its least significant bit first. The bits after the last one, up to the end of the byte,
are zero.

How many codes there are, and how wide they are, stands outside the stream: the reader is told.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.checks import MAX_ELEMENTS, check_array, check_integer, shown
from ..core.dtypes import smallest_unsigned
from ..core.errors import DTypeError, FormatError, LimitError, RangeError, ShapeError

__all__ = [
    "Buffer",
    "Coding",
    "check_buffer",
    "check_codes",
    "check_end",
    "check_size",
]

Buffer = bytes | bytearray | memoryview


def check_codes(codes: NDArray[Any], bits: int) -> NDArray[Any]:
    """Return `codes` in the smallest unsigned dtype if every one is below ``2**bits``.

    Parameters
    ----------
    codes : ndarray of unsigned or bool, shape (n,)
        The codes.
    bits : int
        Width of one code, in [1, 64].

    Returns
    -------
    ndarray
        The same codes in native byte order.

    Raises
    ------
    DTypeError, ShapeError
        If it is not unsigned, or not one-dimensional.
    RangeError
        Naming the first code that is too large.

    Examples
    --------
    >>> check_codes(np.array([3, 4], np.uint8), 2)
    Traceback (most recent call last):
    refq.core.errors.RangeError: codes[1] = 4 does not fit in 2 bits; the largest code is 3
    """
    dtype = smallest_unsigned(bits)
    a = check_array(codes, "codes", "ub")
    if a.ndim != 1:
        raise ShapeError(f"codes has shape {a.shape}; one axis is needed: pass codes.ravel()")
    if a.size and int(a.max()) >> bits:
        index = int(np.argmax(a > (1 << bits) - 1))
        raise RangeError(
            f"codes{shown(index)} = {a[index]} does not fit in {bits} bits; "
            f"the largest code is {(1 << bits) - 1}"
        )
    return a.astype(dtype, copy=False)


def check_size(size: int) -> int:
    """Return `size` if refq allows an array of so many elements.

    Parameters
    ----------
    size : int
        The number of codes that a reader was told.

    Returns
    -------
    int
        The size.

    Raises
    ------
    RangeError
        If it is negative or no integer.
    LimitError
        If it exceeds `refq.core.checks.MAX_ELEMENTS`.

    Examples
    --------
    >>> check_size(-1)
    Traceback (most recent call last):
    refq.core.errors.RangeError: size = -1 must be an integer in [0, inf]
    """
    size = check_integer(size, "size", 0)
    if size > MAX_ELEMENTS:
        raise LimitError(f"size = {size} codes; at most {MAX_ELEMENTS} are allowed")
    return size


def check_buffer(buffer: Buffer) -> bytes:
    """Return `buffer` as bytes.

    Parameters
    ----------
    buffer : bytes, bytearray or memoryview
        A stream.

    Returns
    -------
    bytes
        The same bytes; the object itself if it is bytes.

    Raises
    ------
    DTypeError
        If it is something else.

    Examples
    --------
    >>> check_buffer([1, 2])
    Traceback (most recent call last):
    refq.core.errors.DTypeError: buffer is a list; bytes are needed
    """
    if not isinstance(buffer, (bytes, bytearray, memoryview)):
        raise DTypeError(f"buffer is a {type(buffer).__name__}; bytes are needed")
    return bytes(buffer)


def check_end(buffer: bytes, nbits: int) -> None:
    """Check that a stream of `nbits` bits fills `buffer` and is padded with zeros.

    Parameters
    ----------
    buffer : bytes
        The stream.
    nbits : int
        Where it ends.

    Raises
    ------
    FormatError
        If bytes are missing or left over, or a padding bit is set.

    Examples
    --------
    >>> check_end(bytes([0b1111]), 3)
    Traceback (most recent call last):
    refq.core.errors.FormatError: buffer[0] = 0b1111: the 5 bits after the stream must be zero
    """
    needed = (nbits + 7) // 8
    if len(buffer) != needed:
        raise FormatError(f"buffer has {len(buffer)} bytes; a stream of {nbits} bits has {needed}")
    spare = 8 * needed - nbits
    if spare and buffer[-1] >> (8 - spare):
        raise FormatError(
            f"buffer[{needed - 1}] = {buffer[-1]:#b}: "
            f"the {spare} bits after the stream must be zero"
        )


@dataclass(frozen=True)
class Coding(ABC):
    """How a flat array of codes is kept in bits.

    Parameters
    ----------
    name : str
        The name that files use.
    """

    name: str

    @abstractmethod
    def write(self, codes: NDArray[Any], bits: int) -> tuple[bytes, int]:
        """Return the codes as a bit stream, and its exact number of bits.

        Parameters
        ----------
        codes : ndarray of unsigned, shape (n,)
            Each below ``2**bits``.
        bits : int
            Width of one code, in [1, 64].

        Returns
        -------
        buffer : bytes
            ``ceil(nbits / 8)`` bytes; the unused bits of the last one are zero.
        nbits : int
            Everything that `read` needs beyond `size` and `bits`, tables included.

        Raises
        ------
        DTypeError, ShapeError, RangeError
            If the codes are not flat unsigned integers of that width.
        """

    @abstractmethod
    def read(self, buffer: Buffer, size: int, bits: int) -> NDArray[Any]:
        """Return the codes of a bit stream.

        Parameters
        ----------
        buffer : bytes
            All of the stream and nothing else.
        size : int
            How many codes there are.
        bits : int
            Width of one code, in [1, 64].

        Returns
        -------
        ndarray, shape (size,)
            In the smallest unsigned dtype.

        Raises
        ------
        FormatError
            If the buffer is too short, too long, or is no stream of this coding.
        LimitError, RangeError
            If `size` or `bits` is not allowed.
        """

    def nbits(self, codes: NDArray[Any], bits: int) -> int:
        """Return the number of bits that `write` would count.

        Parameters
        ----------
        codes : ndarray of unsigned, shape (n,)
            Each below ``2**bits``.
        bits : int
            Width of one code, in [1, 64].

        Returns
        -------
        int
            The count.
        """
        return self.write(codes, bits)[1]
