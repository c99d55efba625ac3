"""GGUF's super-blocks of 256 numbers: Q2_K to Q6_K.

Equation
--------
Each group of 16 or 32 numbers has a code for its scale (and one for its minimum), which count in
units of the super-block's float16 numbers: ``d * s * q - dmin * m``. A search proposes scales,
these are rounded to codes, and every number is coded again against the scale as it will decode;
where that is zero, the codes of the search stay.

References
----------
ggml 0.25.3: ``quantize_row_q2_K_ref`` and its sisters, without an importance matrix.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .gguf_arithmetic import (
    Floats,
    half_bits,
    nearest_integer,
    ordered_sum,
    signed_extreme,
    widen_half,
)
from .gguf_bits import fields_of, halves, joined, planes, unplanes
from .gguf_block import BlockType, Fields
from .gguf_searches import search_affine, search_by_element, search_symmetric

__all__ = ["K_BLOCKS"]

Bytes = NDArray[np.uint8]
Codes = NDArray[np.int32]

_F = np.float32


# Searches --------------------------------------------------------------------------------


def _columns(x: Floats, size: int) -> Floats:
    """Return groups as columns, ready for the searches."""
    return np.ascontiguousarray(x.reshape(-1, size).T)


def _rows(a: NDArray[Any], n: int) -> NDArray[Any]:
    """Return columns as rows, one row of groups per block."""
    return np.ascontiguousarray(a.T).reshape(n, -1)


def _coded_again(
    x: Floats, codes: NDArray[Any], d: Floats, shift: Floats | None, low: int, high: int
) -> Codes:
    """Code ``(x + shift) / d`` where d is not zero, from `low`; else keep the codes."""
    size = x.shape[1] // d.shape[1]
    step = np.repeat(d, size, axis=1)
    with np.errstate(all="ignore"):
        moved = x if shift is None else x + np.repeat(shift, size, axis=1)
        found = np.clip(nearest_integer(moved / step), np.int32(low), np.int32(high))
    return np.where(step != 0, found - np.int32(low), codes)


def _largest(x: Floats) -> Floats:
    """Return the largest number above zero of each row, NaN passed over, else zero."""
    return np.fmax.reduce(x, axis=1, initial=_F(0))


def _search_twos(x: Floats) -> Fields:
    """Q2_K: weights |x|, absolute errors, codes of four bits for scales and minima."""
    columns = _columns(x, 16)
    found = search_affine(columns, np.abs(columns), 3, -0.5, 0.1, 15, True)
    codes, scales, minima = (_rows(a, len(x)) for a in found)
    d, s = _nibble_codes(scales)
    dmin, m = _nibble_codes(minima)
    # a byte has both codes; a negative code of a scale runs into the other nibble
    both = (s | (m << 4)).astype(np.uint8)
    s_code, m_code = both & np.uint8(15), both >> np.uint8(4)
    return _affine_fields(x, codes, (d, s_code), (dmin, m_code), 3)


def _nibble_codes(x: Floats) -> tuple[NDArray[np.uint16], Codes]:
    top = _largest(x)
    with np.errstate(all="ignore"):
        codes = nearest_integer((_F(15) / top)[:, None] * x)
        d = half_bits(np.where(top > 0, top / _F(15), _F(0)))
    return d, np.where(top[:, None] > 0, codes, np.int32(0))


def _affine_fields(
    x: Floats,
    codes: NDArray[Any],
    scale: tuple[NDArray[np.uint16], Bytes],
    minimum: tuple[NDArray[np.uint16], Bytes],
    top: int,
) -> Fields:
    (d, s), (dmin, m) = scale, minimum
    with np.errstate(all="ignore"):
        steps = widen_half(d)[:, None] * s.astype(np.float32)
        shifts = widen_half(dmin)[:, None] * m.astype(np.float32)
    return {
        "codes": _coded_again(x, codes, steps, shifts, 0, top).astype(np.uint8),
        "scale": d[:, None],
        "scale_codes": s,
        "offset": dmin[:, None],
        "offset_codes": m,
    }


def _search_with_minima(x: Floats, top: int, start: float, n_steps: int) -> Fields:
    """Q4_K and Q5_K: weights |x| + root mean square, codes of six bits."""
    columns = _columns(x, 32)
    with np.errstate(over="ignore"):
        mean = np.sqrt(ordered_sum(columns * columns) / _F(32))
        weights = mean + np.abs(columns)
    found = search_affine(columns, weights, top, start, 0.1, n_steps, False)
    codes, scales, minima = (_rows(a, len(x)) for a in found)
    scale = _six_bit_codes(scales)
    return _affine_fields(x, codes, scale, _six_bit_codes(minima), top)


def _six_bit_codes(x: Floats) -> tuple[NDArray[np.uint16], Bytes]:
    top = _largest(x)
    with np.errstate(all="ignore"):
        inverse = np.where(top > 0, _F(63) / top, _F(0))
        codes = nearest_integer(inverse[:, None] * x)
    return half_bits(top / _F(63)), np.minimum(codes.astype(np.uint8), np.uint8(63))


def _search_threes(x: Floats) -> Fields:
    """Q3_K: signed codes of six bits for scales; the largest scale gets code -32."""
    found, scales = (_rows(a, len(x)) for a in search_by_element(_columns(x, 16), 4))
    top = signed_extreme(scales.T)[0]
    with np.errstate(all="ignore"):
        inverse = _F(-32) / top
        s = np.clip(nearest_integer(inverse[:, None] * scales).astype(np.int8), -32, 31)
        d = half_bits(np.where(top != 0, _F(1) / inverse, _F(0)))
        # with no scale at all, the code's bits stay zero, which means -32
        s = np.where(top[:, None] != 0, s, np.int8(-32))
        steps = widen_half(d)[:, None] * s.astype(np.float32)
    codes = _coded_again(x, found, steps, None, -4, 3)
    return {
        "codes": codes.astype(np.uint8),
        "scale": d[:, None],
        "scale_codes": (s + np.int8(32)).astype(np.uint8),
    }


def _search_sixes(x: Floats) -> Fields:
    """Q6_K: signed codes of eight bits for scales; the largest scale gets code -128."""
    found, scales = (_rows(a, len(x)) for a in search_symmetric(_columns(x, 16), 32))
    top, magnitude = signed_extreme(scales.T)
    with np.errstate(all="ignore"):
        inverse = _F(-128) / top
        s = np.minimum(nearest_integer(inverse[:, None] * scales), 127).astype(np.int8)
        d = half_bits(_F(1) / inverse)
        steps = widen_half(d)[:, None] * s.astype(np.float32)
    codes = _coded_again(x, found, steps, None, -32, 31)
    empty = (magnitude < _F(1e-15))[:, None]  # then every byte is zero
    return {
        "codes": np.where(empty, 0, codes).astype(np.uint8),
        "scale": np.where(empty, 0, d[:, None]).astype(np.uint16),
        "scale_codes": np.where(empty, 0, s).astype(np.int8).view(np.uint8) ^ np.uint8(0x80),
    }


# Bytes -----------------------------------------------------------------------------------


def _split_twos(blocks: Bytes) -> Fields:
    scales, qs, d = fields_of(blocks, 16, 64, 4)
    return {
        "codes": planes(qs, 2, 128),
        "scale": halves(d)[:, :1],
        "scale_codes": scales & 15,
        "offset": halves(d)[:, 1:],
        "offset_codes": scales >> 4,
    }


def _join_twos(f: Fields) -> Bytes:
    scales = f["scale_codes"] | (f["offset_codes"] << 4)
    return joined(scales, unplanes(f["codes"], 2, 128), f["scale"], f["offset"])


def _split_threes(blocks: Bytes) -> Fields:
    high, qs, packed, d = fields_of(blocks, 32, 64, 12, 2)
    codes = planes(qs, 2, 128) | (planes(high, 1, 256) << np.uint8(2))
    scales = planes(packed[:, :8], 4, 16) | (planes(packed[:, 8:], 2, 16) << np.uint8(4))
    return {"codes": codes, "scale": halves(d), "scale_codes": scales}


def _join_threes(f: Fields) -> Bytes:
    codes, scales = f["codes"], f["scale_codes"]
    low, high = unplanes(scales & 15, 4, 16), unplanes(scales >> 4, 2, 16)
    return joined(unplanes(codes >> 2, 1, 256), unplanes(codes & 3, 2, 128), low, high, f["scale"])


def _split_six_bits(packed: Bytes) -> tuple[Bytes, Bytes]:
    """Return eight codes of scales and eight of minima from twelve bytes."""
    first, second, rest = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    s = np.concatenate([first & 63, (rest & 15) | ((first >> 6) << 4)], axis=1)
    m = np.concatenate([second & 63, (rest >> 4) | ((second >> 6) << 4)], axis=1)
    return s, m


def _join_six_bits(s: Bytes, m: Bytes) -> Bytes:
    first = s[:, :4] | ((s[:, 4:] >> 4) << 6)
    second = m[:, :4] | ((m[:, 4:] >> 4) << 6)
    return np.concatenate([first, second, (s[:, 4:] & 15) | ((m[:, 4:] & 15) << 4)], axis=1)


def _with_minima(d: Bytes, packed: Bytes, codes: Bytes) -> Fields:
    s, m = _split_six_bits(packed)
    both = halves(d)
    return {
        "codes": codes,
        "scale": both[:, :1],
        "scale_codes": s,
        "offset": both[:, 1:],
        "offset_codes": m,
    }


def _split_fours(blocks: Bytes) -> Fields:
    d, packed, qs = fields_of(blocks, 4, 12, 128)
    return _with_minima(d, packed, planes(qs, 4, 64))


def _join_fours(f: Fields) -> Bytes:
    scales = _join_six_bits(f["scale_codes"], f["offset_codes"])
    return joined(f["scale"], f["offset"], scales, unplanes(f["codes"], 4, 64))


def _split_fives(blocks: Bytes) -> Fields:
    d, packed, qh, qs = fields_of(blocks, 4, 12, 32, 128)
    return _with_minima(d, packed, planes(qs, 4, 64) | (planes(qh, 1, 256) << np.uint8(4)))


def _join_fives(f: Fields) -> Bytes:
    scales, codes = _join_six_bits(f["scale_codes"], f["offset_codes"]), f["codes"]
    high, low = unplanes(codes >> 4, 1, 256), unplanes(codes & 15, 4, 64)
    return joined(f["scale"], f["offset"], scales, high, low)


def _split_sixes(blocks: Bytes) -> Fields:
    ql, qh, scales, d = fields_of(blocks, 128, 64, 16, 2)
    codes = planes(ql, 4, 128) | (planes(qh, 2, 128) << np.uint8(4))
    return {"codes": codes, "scale": halves(d), "scale_codes": scales ^ np.uint8(0x80)}


def _join_sixes(f: Fields) -> Bytes:
    low, high = unplanes(f["codes"] & 15, 4, 128), unplanes(f["codes"] >> 4, 2, 128)
    return joined(low, high, f["scale_codes"] ^ np.uint8(0x80), f["scale"])


#: name -> block type
K_BLOCKS = {
    made.name: made
    for made in (
        BlockType(
            *("Q2_K", 256, 84, 2, _split_twos, _join_twos, _search_twos),
            sub_size=16,
            scale_bits=4,
            offset=True,
        ),
        BlockType(
            *("Q3_K", 256, 110, 3, _split_threes, _join_threes, _search_threes),
            low=-4,
            sub_size=16,
            scale_bits=6,
            scale_low=-32,
        ),
        BlockType(
            *("Q4_K", 256, 144, 4, _split_fours, _join_fours),
            lambda x: _search_with_minima(x, 15, -1.0, 20),
            sub_size=32,
            scale_bits=6,
            offset=True,
        ),
        BlockType(
            *("Q5_K", 256, 176, 5, _split_fives, _join_fives),
            lambda x: _search_with_minima(x, 31, -0.5, 15),
            sub_size=32,
            scale_bits=6,
            offset=True,
        ),
        BlockType(
            *("Q6_K", 256, 210, 6, _split_sixes, _join_sixes, _search_sixes),
            low=-32,
            sub_size=16,
            scale_bits=8,
            scale_low=-128,
        ),
    )
}
