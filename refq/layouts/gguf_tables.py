"""GGUF's blocks whose codes are indices into a fixed table: IQ4_NL, IQ4_XS, MXFP4.

Equation
--------
IQ4_NL's table has sixteen uneven integers; a code is the nearest one's index, and the scale is the
least squares one, ``sum(x^2 x v) / sum(x^2 v v)``. IQ4_XS tries fifteen more scales for each of its
groups of 32, and keeps them as codes of six bits. MXFP4's table is E2M1 doubled; the scale is a
power of two.

Conventions
-----------
IQ4_NL leaves the codes of a block of zeros as they are in memory: those of the nearest block before
it that is not zero. Where there is none, the memory is not set, and refq writes zeros. All of these
decode to zeros.

MXFP4's table has 0 twice, as code 0 and code 8: an integer has no negative zero.

References
----------
ggml 0.25.3: ``quantize_row_iq4_nl_ref``, ``quantize_row_iq4_xs_ref``, ``quantize_row_mxfp4_ref``.
"""

import numpy as np
from numpy.typing import NDArray

from .. import formats
from .gguf_arithmetic import (
    Floats,
    half_bits,
    low_bits,
    nearest_integer,
    ordered_sum,
    reciprocal,
    signed_extreme,
)
from .gguf_bits import fields_of, halves, joined, planes, unplanes
from .gguf_block import BlockType, Fields

__all__ = ["TABLES"]

Bytes = NDArray[np.uint8]

_F = np.float32
_EMPTY = _F(1e-15)

_LEVELS: Floats = formats.get("ggml_iq4_nl").values
_DOUBLED: Floats = formats.get("ggml_mxfp4").values
_POWERS: Floats = formats.get("ggml_e8m0_half").values


def _nearest_level(x: Floats) -> NDArray[np.intp]:
    """Return the index of the nearest level, the upper one on a tie."""
    above = np.clip(np.searchsorted(_LEVELS, x, side="right"), 1, 15)
    with np.errstate(invalid="ignore"):
        below_is_nearer = x - _LEVELS[above - 1] < _LEVELS[above] - x
    index = np.where(below_is_nearer, above - 1, above)
    return np.where(x <= _LEVELS[0], 0, np.where(x >= _LEVELS[15], 15, index))


def _moments(x: Floats, w: Floats, codes: NDArray[np.intp]) -> tuple[Floats, Floats]:
    q = _LEVELS[codes]
    return ordered_sum(w * q * x), ordered_sum(w * q * q)


def _search_level_scale(x: Floats, n_tries: int) -> tuple[NDArray[np.intp], Floats]:
    """Return codes and a scale for groups in columns, zero for a group of zeros."""
    extreme, magnitude = signed_extreme(x)
    w = x * x
    first = extreme / _LEVELS[0] if n_tries == 0 else -extreme / _LEVELS[0]
    codes = _nearest_level(_F(1) / first * x)
    sum_qx, sum_q2 = _moments(x, w, codes)
    scale = np.where(sum_q2 > 0, sum_qx / sum_q2, _F(0))
    best = scale * sum_qx
    for i in range(-n_tries, n_tries + 1) if n_tries else ():
        inverse = (_F(i) + _LEVELS[0]) / extreme
        sum_qx, sum_q2 = _moments(x, w, _nearest_level(inverse * x))
        better = (sum_q2 > 0) & (sum_qx * sum_qx > best * sum_q2)
        scale = np.where(better, sum_qx / sum_q2, scale)
        best = np.where(better, scale * sum_qx, best)
    return codes, np.where(magnitude < _EMPTY, _F(0), scale)


def _search_levels(x: Floats) -> Fields:
    """IQ4_NL: the least squares scale for codes of the first guess."""
    with np.errstate(all="ignore"):
        codes, scale = _search_level_scale(np.ascontiguousarray(x.T), 0)
    empty = np.abs(x).max(axis=1) < _EMPTY
    source = np.maximum.accumulate(np.where(empty, -1, np.arange(len(x))))
    kept = np.where(source[:, None] < 0, 0, codes.T[source])
    return {"codes": kept.astype(np.uint8), "scale": half_bits(scale)[:, None]}


def _search_level_groups(x: Floats) -> Fields:
    """IQ4_XS: scales of 8 groups as codes of six bits, the largest one -32."""
    n = len(x)
    with np.errstate(all="ignore"):
        columns = np.ascontiguousarray(x.reshape(-1, 32).T)
        scales = _search_level_scale(columns, 7)[1].reshape(n, 8)
        d = -signed_extreme(np.ascontiguousarray(scales.T))[0] / _F(32)
        s = np.clip(nearest_integer(reciprocal(d)[:, None] * scales), -32, 31)
        steps = d[:, None] * s.astype(np.float32)
        codes = _nearest_level(np.repeat(reciprocal(steps), 32, axis=1) * x)
    return {
        "codes": codes.astype(np.uint8),
        "scale": half_bits(d)[:, None],
        "scale_codes": (s + 32).astype(np.uint8),
    }


def _search_powers(x: Floats) -> Fields:
    """MXFP4: the exponent of the largest magnitude, less two; the nearest of sixteen values."""
    top = np.abs(x).max(axis=1)
    with np.errstate(all="ignore"):
        # a float32 logarithm: just below a power of two it may round up to the integer
        power = np.floor(np.log2(top.astype(np.float64)).astype(np.float32))
        e = np.where(top > 0, low_bits(power - _F(2) + _F(127)), 0).astype(np.uint8)
        d = _POWERS[e][:, None]
        codes = np.zeros(x.shape, np.uint8)
        best = np.abs(_F(0) * d - x)
        for i, value in enumerate(_DOUBLED[1:], 1):
            error = np.abs(value * d - x)
            codes[error < best] = i
            best = np.minimum(best, error)
    return {"codes": codes, "scale": e[:, None]}


def _split_levels(blocks: Bytes) -> Fields:
    d, qs = fields_of(blocks, 2, 16)
    return {"codes": planes(qs, 4, 32), "scale": halves(d)}


def _split_powers(blocks: Bytes) -> Fields:
    e, qs = fields_of(blocks, 1, 16)
    return {"codes": planes(qs, 4, 32), "scale": e}


def _join_both(f: Fields) -> Bytes:
    return joined(f["scale"], unplanes(f["codes"], 4, 32))


def _split_level_groups(blocks: Bytes) -> Fields:
    d, high, low, qs = fields_of(blocks, 2, 2, 4, 128)
    # the codes of scales lie interleaved, not in planes: runs as short as one byte
    scales = planes(low, 4, 2) | (planes(high, 2, 4) << np.uint8(4))
    return {"codes": planes(qs, 4, 32), "scale": halves(d), "scale_codes": scales}


def _join_level_groups(f: Fields) -> Bytes:
    s = f["scale_codes"]
    low, high = unplanes(s & 15, 4, 2), unplanes(s >> 4, 2, 4)
    return joined(f["scale"], high, low, unplanes(f["codes"], 4, 32))


#: name -> block type
TABLES = {
    made.name: made
    for made in (
        BlockType(
            *("IQ4_NL", 32, 18, 4, _split_levels, _join_both, _search_levels),
            format="ggml_iq4_nl",
            looks_back=True,
        ),
        BlockType(
            *("IQ4_XS", 256, 136, 4, _split_level_groups, _join_level_groups),
            _search_level_groups,
            format="ggml_iq4_nl",
            sub_size=32,
            scale_bits=6,
            scale_low=-32,
        ),
        BlockType(
            *("MXFP4", 32, 17, 4, _split_powers, _join_both, _search_powers),
            format="ggml_mxfp4",
            scale_format="ggml_e8m0_half",
        ),
    )
}
