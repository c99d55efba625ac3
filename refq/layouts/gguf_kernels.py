"""Kernels for the two GGUF types that files are full of: Q4_0 and Q8_0.

Conventions
-----------
A definition is the search and the join of `gguf_simple`. The kernels take each block through both
steps while it is in the cache. Numbers are finite: the pattern of the largest magnitude is returned
beside the blocks, so that the caller can tell, without another pass, when they were not. Threads
share the blocks; no sum crosses a block.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.twins import kernel, prange, subroutine
from .gguf_arithmetic import Floats, widen_half
from .gguf_bits import halves
from .gguf_simple import SIMPLE

__all__ = [
    "ENDLESS",
    "block_scales",
    "nibble_blocks",
    "nibble_blocks_kernel",
    "nibble_numbers",
    "nibble_numbers_kernel",
    "octet_blocks",
    "octet_blocks_kernel",
    "octet_numbers",
    "octet_numbers_kernel",
]

Bytes = NDArray[np.uint8]

ENDLESS = 0x7F800000  #: from this pattern of a magnitude on, a float32 is no number
_TILE = 64  #: blocks of Q4_0 whose codes are held before they are joined


def block_scales(blocks: Bytes) -> Floats:
    """Return the float16 number that begins each block.

    Parameters
    ----------
    blocks : ndarray of uint8, shape (n, nbytes)
        Whole blocks.

    Returns
    -------
    ndarray of float32, shape (n,)
        Exact.

    Examples
    --------
    >>> block_scales(np.array([[0, 0x3C]], np.uint8))
    array([1.], dtype=float32)
    """
    return widen_half(halves(blocks[:, :2]))[:, 0]


def _largest_pattern(x: Floats) -> int:
    patterns = np.ascontiguousarray(x).view(np.uint32) & np.uint32(0x7FFFFFFF)
    return int(patterns.max(initial=0))


def _put_numbers(blocks: Bytes, scales: Floats, out: Floats, name: str) -> None:
    kind = SIMPLE[name]
    codes = kind.split(blocks)["codes"].astype(np.int16) + np.int16(kind.low)
    with np.errstate(all="ignore"):
        out[:] = codes.astype(np.float32) * scales[:, None]


@subroutine
def _half_pattern(bits: Any) -> Any:
    """Return the float16 pattern of a finite float32 pattern, half to even, by integers."""
    sign, rest = (bits >> 16) & 0x8000, bits & 0x7FFFFFFF
    if rest >= 0x47800000:  # 65536 and more
        return sign | 0x7C00
    if rest >= 0x38800000:  # 2^-14 and more: normal in float16; a carry may reach infinity
        moved = rest - 0x38000000
        return sign | ((moved + 0xFFF + ((moved >> 13) & 1)) >> 13)
    shift = 126 - (rest >> 23)
    if shift > 25:  # below 2^-25
        return sign
    mantissa = (rest & 0x7FFFFF) | 0x800000
    odd = (mantissa >> shift) & 1
    return sign | ((mantissa + (1 << (shift - 1)) - 1 + odd) >> shift)


@subroutine
def _is_first_below(patterns: NDArray[np.uint32], magnitude: Any) -> bool:
    """Return whether the first number of this magnitude is negative."""
    for j in range(len(patterns)):
        if patterns[j] & np.uint32(0x7FFFFFFF) == magnitude:
            return bool(patterns[j] >> np.uint32(31))
    return False


@subroutine
def _extreme_pattern(signed: Any, unsigned: Any, i: int) -> Any:
    """Return the pattern of the number of largest magnitude in row i; of equals the first."""
    # patterns: the largest signed one is the greatest number, the largest unsigned one the least
    most: Any = np.int32(-0x80000000)
    least: Any = np.uint32(0)
    for j in range(signed.shape[1]):
        most, least = max(most, signed[i, j]), max(least, unsigned[i, j])
    above: Any = max(np.int64(most), 0)
    below: Any = np.int64(least) & 0x7FFFFFFF
    if not np.int64(least) >> 31:
        below = 0
    if below > above or (below == above and below and _is_first_below(unsigned[i], below)):
        return below | 0x80000000
    return above


@subroutine
def _put_nibbles(
    rows: Floats, signed: Any, unsigned: Any, out: Bytes, pairs: Any, start: int, stop: int
) -> Any:
    """Write some blocks of Q4_0, and return the pattern of their largest magnitude.

    Whole arrays and indices: a view of a row would be counted by all threads. Loops run to a width
    that the compiler does not know: it would unroll 32 rounds before it could vectorize them.
    """
    worst: Any = np.int64(0)
    width = rows.shape[1]
    codes = np.empty((_TILE, 32), np.uint8)
    code_pairs = codes.view(np.uint16)  # two codes at a time, in any byte order
    for i in range(start, stop):
        pattern = np.int64(_extreme_pattern(signed, unsigned, i))
        worst = max(worst, pattern & 0x7FFFFFFF)
        d = np.float32(np.uint32(pattern).view(np.float32) / np.float32(-8))
        half = _half_pattern(np.int64(d.view(np.uint32)))
        out[i, 0], out[i, 1] = half & 255, half >> 8
        inverse = np.float32(0)
        if d != 0:
            inverse = np.float32(1) / d
        if np.abs(inverse) == np.inf:  # no code is in reach: C's cast gives zeros
            codes[i - start, :] = 0
            continue
        for j in range(width):
            # |x * inverse| is at most 8 and an ulp: the cast truncates to 0..16, and 16 is clipped
            code = np.int32(rows[i, j] * inverse + np.float32(8.5))
            codes[i - start, j] = np.int32(code - np.int32(code >> np.int32(4)))
    for i in range(start, stop):
        for j in range(8):
            high = np.uint16(code_pairs[i - start, j + 8] << np.uint16(4))
            pairs[i, j + 1] = code_pairs[i - start, j] | high
    return worst


def nibble_blocks(x: Floats) -> tuple[Bytes, int]:
    """Return the blocks of Q4_0, and the pattern of the largest magnitude.

    Parameters
    ----------
    x : ndarray of float32, shape (n, 32)
        Finite numbers.

    Returns
    -------
    blocks : ndarray of uint8, shape (n, 18)
        As ggml writes them.
    worst : int
        The largest magnitude's float32 pattern: below `ENDLESS` where all numbers are finite.

    Examples
    --------
    >>> nibble_blocks(np.zeros((1, 32), np.float32))[0].tobytes().hex()
    '008088888888888888888888888888888888'
    """
    kind = SIMPLE["Q4_0"]
    return kind.join(kind.search(x)), _largest_pattern(x)


@kernel(nibble_blocks, parallel=True)
def nibble_blocks_kernel(x: Floats) -> tuple[Bytes, int]:
    """See `nibble_blocks`."""
    rows = np.ascontiguousarray(x)
    signed, unsigned = rows.view(np.int32), rows.view(np.uint32)
    n = x.shape[0]
    out = np.empty((n, 18), np.uint8)
    pairs = out.view(np.uint16)
    worst: Any = 0
    for t in prange((n + _TILE - 1) // _TILE):
        start, stop = t * _TILE, min(n, t * _TILE + _TILE)
        worst = max(worst, _put_nibbles(rows, signed, unsigned, out, pairs, start, stop))
    return out, worst


def octet_blocks(x: Floats) -> tuple[Bytes, int]:
    """Return the blocks of Q8_0, and the pattern of the largest magnitude.

    Parameters
    ----------
    x : ndarray of float32, shape (n, 32)
        Finite numbers.

    Returns
    -------
    blocks : ndarray of uint8, shape (n, 34)
        As ggml writes them.
    worst : int
        As `nibble_blocks`.

    Examples
    --------
    >>> octet_blocks(np.full((1, 32), 127, np.float32))[0][0, :4].tolist()
    [0, 60, 127, 127]
    """
    kind = SIMPLE["Q8_0"]
    return kind.join(kind.search(x)), _largest_pattern(x)


@kernel(octet_blocks, parallel=True)
def octet_blocks_kernel(x: Floats) -> tuple[Bytes, int]:
    """See `octet_blocks`."""
    rows = np.ascontiguousarray(x)
    patterns = rows.view(np.uint32)
    out = np.empty((x.shape[0], 34), np.uint8)
    worst: Any = 0
    for i in prange(x.shape[0]):
        top: Any = np.uint32(0)
        for j in range(x.shape[1]):  # not 32: see `_put_nibbles`
            top = max(top, patterns[i, j] & np.uint32(0x7FFFFFFF))
        worst = max(worst, np.int64(top))
        d = np.float32(np.uint32(top).view(np.float32) / np.float32(127))
        half = _half_pattern(np.int64(d.view(np.uint32)))
        out[i, 0], out[i, 1] = half & 255, half >> 8
        inverse = np.float32(1) / d if d != 0 else np.float32(0)
        if inverse == np.inf:  # quotients are infinite or NaN: their codes are zero
            inverse = np.float32(0)
        for j in range(32):
            quotient = rows[i, j] * inverse  # at most 127 and an ulp
            whole = np.int32(quotient)
            rest = quotient - np.float32(whole)
            whole += np.int32(rest >= np.float32(0.5)) - np.int32(rest <= np.float32(-0.5))
            out[i, j + 2] = whole & np.int32(255)
    return out, worst


def nibble_numbers(blocks: Bytes, scales: Floats, out: Floats) -> None:
    """Write the numbers of Q4_0's blocks.

    Parameters
    ----------
    blocks : ndarray of uint8, shape (n, 18)
        Any bytes.
    scales : ndarray of float32, shape (n,)
        Of the blocks.
    out : ndarray of float32, shape (n, 32)
        Becomes ``scale * (code - 8)``. (The caller's array: NumPy asks for large pages.)

    Examples
    --------
    >>> blocks, out = nibble_blocks(np.full((1, 32), -4, np.float32))[0], np.empty((1, 32), "f4")
    >>> nibble_numbers(blocks, block_scales(blocks), out)
    >>> out[0, :3]
    array([-4., -4., -4.], dtype=float32)
    """
    _put_numbers(blocks, scales, out, "Q4_0")


@kernel(nibble_numbers, parallel=True)
def nibble_numbers_kernel(blocks: Bytes, scales: Floats, out: Floats) -> None:
    """See `nibble_numbers`."""
    for i in prange(blocks.shape[0]):
        d = scales[i]
        for j in range(16):
            byte = np.int32(blocks[i, j + 2])
            out[i, j] = np.float32((byte & np.int32(15)) - np.int32(8)) * d
            out[i, j + 16] = np.float32((byte >> np.int32(4)) - np.int32(8)) * d


def octet_numbers(blocks: Bytes, scales: Floats, out: Floats) -> None:
    """Write the numbers of Q8_0's blocks.

    Parameters
    ----------
    blocks : ndarray of uint8, shape (n, 34)
        Any bytes.
    scales : ndarray of float32, shape (n,)
        Of the blocks.
    out : ndarray of float32, shape (n, 32)
        Becomes ``scale * code``.

    Examples
    --------
    >>> blocks, out = octet_blocks(np.full((1, 32), -127, np.float32))[0], np.empty((1, 32), "f4")
    >>> octet_numbers(blocks, block_scales(blocks), out)
    >>> out[0, :2]
    array([-127., -127.], dtype=float32)
    """
    _put_numbers(blocks, scales, out, "Q8_0")


@kernel(octet_numbers, parallel=True)
def octet_numbers_kernel(blocks: Bytes, scales: Floats, out: Floats) -> None:
    """See `octet_numbers`."""
    for i in prange(blocks.shape[0]):
        d = scales[i]
        for j in range(32):
            byte = np.int32(blocks[i, j + 2])
            out[i, j] = np.float32((byte ^ np.int32(128)) - np.int32(128)) * d
