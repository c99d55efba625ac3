"""The kernels of the small floats: cast bit patterns of floats, look codes up.

Problem
-------
The NumPy definition of a cast makes some twenty passes over float64 copies. A float is a few bits
of integer: one pass over the pattern rounds it, and notes on the way whether it met NaN or a number
beyond the range.

Equation
--------
With the pattern's significand f, the leading one included, and a shift of s bits, half to even is
``(f + 2^(s - 1) - 1 + (f >> s & 1)) >> s``. Below the least normal value s grows by one for each
power of two. The code is that, plus 2^M for each power of two above the least.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.rounding import saturate
from ..core.twins import kernel
from .significands import codes_above_zero

__all__ = ["FIELDS", "MET_BEYOND", "MET_NAN", "cast_patterns", "look_up"]

MET_BEYOND, MET_NAN = 1, 2  #: what a cast met, added up
FIELDS = {2: (10, 15), 4: (23, 127), 8: (52, 1023)}  #: bytes of a float: mantissa bits, bias


def _cast_definition(
    patterns: NDArray[Any],
    mantissa_bits: int,
    least: int,
    last: int,
    sign: int,
    signed_zero: int,
    above: int,
    below: int,
    missing: int,
    like: NDArray[Any],
) -> tuple[NDArray[Any], int]:
    """Return codes and what was met; `least` is an exponent *field* of the patterns' float."""
    x = patterns.view(f"f{patterns.itemsize}")
    nan, endless = np.isnan(x), np.isinf(x)
    finite = np.where(nan | endless, x.dtype.type(0), x).astype(np.float64)
    least_exponent = least - FIELDS[patterns.itemsize][1]
    steps = codes_above_zero(finite, "half_even", mantissa_bits, least_exponent)
    beyond, negative = (steps > last) | endless, np.signbit(x)
    codes = saturate(steps, 0, last, np.int64)
    codes = np.where(negative & ((codes > 0) | bool(signed_zero)), codes | sign, codes)
    codes = np.where(beyond, np.where(negative, below, above), codes)
    met = MET_BEYOND * bool(beyond.any()) + MET_NAN * bool(nan.any())
    return np.where(nan, missing, codes).astype(like.dtype), met


@kernel(_cast_definition)
def cast_patterns(
    patterns: NDArray[Any],
    mantissa_bits: int,
    least: int,
    last: int,
    sign: int,
    signed_zero: int,
    above: int,
    below: int,
    missing: int,
    like: NDArray[Any],
) -> tuple[NDArray[Any], int]:
    """Cast patterns of one axis, half to even; every step stays in their width, without a branch.

    Parameters
    ----------
    patterns : ndarray of uint16, uint32 or uint64, shape (n,)
        Of float16, float32 or float64 numbers.
    mantissa_bits : int
        *M* of the target, below the source's.
    least : int
        The exponent field, in the source, of the target's least normal value; at least one.
    last : int
        The target's code of its largest value.
    sign : int
        The target's sign bit.
    signed_zero : int
        One if there is a -0, else zero.
    above, below : int
        The codes of what lies beyond the largest and the smallest value.
    missing : int
        The code of NaN.
    like : ndarray
        Empty, of the codes' dtype.

    Returns
    -------
    codes : ndarray, shape (n,)
        Of the dtype of `like`.
    met : int
        `MET_BEYOND` and `MET_NAN`, added up.

    Examples
    --------
    >>> x = np.array([1.0, -17.0, 1e9], np.float32).view(np.uint32)
    >>> cast_patterns(x, 3, 121, 126, 128, 1, 126, 254, 127, np.empty(0, np.uint8))
    (array([ 56, 216, 126], dtype=uint8), 1)
    """
    word = patterns.dtype.type
    zero, one, two = word(0), word(1), word(2)
    ones = np.uint64(word(~zero))  # all that depends on it is a constant to the compiler
    wide = 10 if ones == np.uint64(0xFFFF) else 23 if ones == np.uint64(0xFFFFFFFF) else 52
    within = word(
        15 if wide == 10 else 31 if wide == 23 else 63
    )  # a masked shift stays in its width
    width, mantissa = word(word(wide) & within), word(word(mantissa_bits) & within)
    top, fraction = word(word(one << within) - one), word(word(one << width) - one)
    infinity, leading = word(top - fraction), word(one << width)
    spare, deepest, most = word(wide - mantissa_bits), word(wide + 1), word(wide + 3)
    largest, minus, keeps = word(last), word(sign), word(signed_zero)
    over, under, nothing, first = word(above), word(below), word(missing), word(least)
    met = zero
    codes = np.empty(patterns.size, like.dtype)
    for i in range(patterns.size):
        magnitude = word(patterns[i] & top)
        field = word(magnitude >> width)
        implicit = leading if field != zero else zero
        field = max(field, one)
        significand = word(word(magnitude & fraction) | implicit)
        lower = word(first - field) if first > field else zero
        shift = word(min(word(spare + min(lower, deepest)), most) & within)
        steps = word(field - first) if field > first else zero
        base = word(steps << mantissa)
        odd = word(word(word(significand >> shift) + base) & one)
        half = word(word(one << word(word(shift - one) & within)) - one)
        code = word(word(word(word(significand + half) + odd) >> shift) + base)
        beyond = (code > largest) | (magnitude >= infinity)
        code = min(code, largest)
        negative = patterns[i] > top
        signed = minus if negative else zero
        code = word(code | (signed if word(code | keeps) != zero else zero))
        end = under if negative else over
        code = end if beyond else code
        nan = magnitude > infinity
        code = nothing if nan else code
        seen = one if beyond else zero
        met = word(met | (two if nan else seen))  # NaN lies beyond nothing
        codes[i] = code
    return codes, int(met)


def _look_up_definition(codes: NDArray[Any], table: NDArray[Any]) -> NDArray[Any]:
    """Return the entries; `codes` along one axis, each an index."""
    return np.asarray(table[codes])


@kernel(_look_up_definition)
def look_up(codes: NDArray[Any], table: NDArray[Any]) -> NDArray[Any]:
    """Return entries of a table, without the 64-bit indices that NumPy makes.

    Parameters
    ----------
    codes : ndarray of unsigned, shape (n,)
        Indices that exist.
    table : ndarray, shape (k,)
        Any dtype.

    Returns
    -------
    ndarray, shape (n,)
        Of the table's dtype.

    Examples
    --------
    >>> look_up(np.array([2, 0], np.uint8), np.array([0.5, 1.0, 4.0]))
    array([4. , 0.5])
    """
    values = np.empty(codes.size, table.dtype)
    for i in range(codes.size):
        values[i] = table[codes[i]]
    return values
