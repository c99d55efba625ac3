"""Bit streams: joining them, and reading them without ever running past the end.

Conventions
-----------
A stream is one little-endian integer (see `refq.codings.coding`): joining two is a shift and an or,
taking a part is a shift and a mask. Both are linear in the number of bytes.
"""

from typing import Any

from numpy.typing import NDArray

from ..core.errors import FormatError
from .coding import Buffer, check_buffer, check_end
from .packing import unpack

__all__ = ["BitReader", "join_bits"]


def join_bits(*pieces: tuple[bytes, int]) -> tuple[bytes, int]:
    r"""Return bit streams one after the other, without padding between them.

    Parameters
    ----------
    *pieces : tuple of (bytes, int)
        A buffer, zero after its last bit, and its number of bits.

    Returns
    -------
    buffer : bytes
        The joined stream.
    nbits : int
        The sum of the numbers of bits.

    Notes
    -----
    A stream is a little-endian integer, so joining is shifting and adding. O(bytes * pieces).

    Examples
    --------
    >>> join_bits((b"\x01", 1), (b"\x03", 2))
    (b'\x07', 3)
    """
    total = nbits = 0
    for buffer, count in pieces:
        total |= int.from_bytes(buffer, "little") << nbits
        nbits += count
    return total.to_bytes((nbits + 7) // 8, "little"), nbits


class BitReader:
    """A position in a bit stream that never runs past the end.

    Parameters
    ----------
    buffer : bytes
        The stream.

    Attributes
    ----------
    buffer : bytes
        The stream.
    position : int
        How many bits were read.

    Examples
    --------
    >>> reader = BitReader(bytes([0b00_101_110]))
    >>> reader.field(3), reader.fields(1, 3), reader.finish()
    (6, array([5], dtype=uint8), None)
    """

    def __init__(self, buffer: Buffer) -> None:
        self.buffer = check_buffer(buffer)
        self.position = 0

    @property
    def remaining(self) -> int:
        """The number of bits after the position, padding included."""
        return 8 * len(self.buffer) - self.position

    def skip(self, nbits: int) -> None:
        """Move forward.

        Parameters
        ----------
        nbits : int
            By how many bits.

        Raises
        ------
        FormatError
            If the stream is shorter.
        """
        if nbits > self.remaining:
            raise FormatError(
                f"the stream of {len(self.buffer)} bytes ends too early: "
                f"{nbits} bits are needed at bit {self.position}, {self.remaining} are left"
            )
        self.position += nbits

    def _take(self, nbits: int) -> bytes:
        start = self.position
        self.skip(nbits)
        if start % 8 == 0 and nbits % 8 == 0:
            return self.buffer[start // 8 : self.position // 8]
        whole = int.from_bytes(self.buffer[start // 8 : (self.position + 7) // 8], "little")
        part = (whole >> start % 8) & ((1 << nbits) - 1)
        return part.to_bytes((nbits + 7) // 8, "little")

    def field(self, width: int) -> int:
        """Read one unsigned integer.

        Parameters
        ----------
        width : int
            Its number of bits.

        Returns
        -------
        int
            Below ``2**width``.

        Raises
        ------
        FormatError
            If the stream ends before.
        """
        return int.from_bytes(self._take(width), "little")

    def fields(self, count: int, width: int) -> NDArray[Any]:
        """Read `count` unsigned integers.

        Parameters
        ----------
        count : int
            How many.
        width : int
            The number of bits of each, in [1, 64].

        Returns
        -------
        ndarray, shape (count,)
            In the smallest unsigned dtype.

        Raises
        ------
        FormatError
            If the stream ends before; checked before anything is allocated.
        """
        return unpack(self._take(count * width), count, width)

    def finish(self) -> None:
        """Check that only zero bits of padding are left, fewer than eight.

        Raises
        ------
        FormatError
            If whole bytes follow, or a padding bit is set.
        """
        check_end(self.buffer, self.position)
