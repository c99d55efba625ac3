"""GGUF's simple blocks: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0.

Equation
--------
Q4_0 and Q5_0 divide the number of largest magnitude, sign kept, by -8 or -16; Q4_1 and Q5_1 spread
15 or 31 steps from the minimum to the maximum; Q8_0 divides the largest magnitude by 127 and rounds
half away from zero. Codes are computed against the scale before it is rounded to float16.

References
----------
ggml 0.25.3, as shipped with llama-cpp-python 0.3.36: ``quantize_row_q4_0_ref`` and its sisters.
"""

import numpy as np
from numpy.typing import NDArray

from .gguf_arithmetic import Floats, half_bits, low_bits, reciprocal, rounded_away, signed_extreme
from .gguf_bits import fields_of, halves, joined, planes, unplanes
from .gguf_block import BlockType, Fields

__all__ = ["SIMPLE"]

Bytes = NDArray[np.uint8]


def _search_symmetric(x: Floats, bits: int) -> Fields:
    """Q4_0 and Q5_0: ``min(top, trunc(x / d + half + 0.5))``."""
    half = 1 << (bits - 1)
    with np.errstate(all="ignore"):
        d = signed_extreme(x.T)[0] / np.float32(-half)
        q = low_bits(x * reciprocal(d)[:, None] + np.float32(half + 0.5))
    codes = np.minimum(q.astype(np.int8), np.int8(2 * half - 1)).astype(np.uint8)
    return {"codes": codes & np.uint8(2 * half - 1), "scale": half_bits(d)[:, None]}


def _search_affine(x: Floats, bits: int) -> Fields:
    """Q4_1 and Q5_1: ``trunc((x - min) / d + 0.5)``."""
    top = (1 << bits) - 1
    rows = np.arange(len(x))
    low, high = x[rows, x.argmin(axis=1)], x[rows, x.argmax(axis=1)]  # the first of equals
    with np.errstate(all="ignore"):
        d = (high - low) / np.float32(top)
        q = low_bits((x - low[:, None]) * reciprocal(d)[:, None] + np.float32(0.5))
    # the reference clips four bits after its cast to int8, and leaves five bits as they are
    kept = np.minimum(q.astype(np.int8), np.int8(15)) if bits == 4 else q
    codes = kept.astype(np.uint8) & np.uint8(top)
    return {"codes": codes, "scale": half_bits(d)[:, None], "offset": half_bits(low)[:, None]}


def _search_bytes(x: Floats) -> Fields:
    """Q8_0: ``round(x / d)``, half away from zero."""
    with np.errstate(all="ignore"):
        d = np.abs(x).max(axis=1) / np.float32(127)
        q = rounded_away(x * reciprocal(d)[:, None])
    return {"codes": _biased(q.astype(np.int8)), "scale": half_bits(d)[:, None]}


def _biased(q: NDArray[np.int8]) -> Bytes:
    return (q.view(np.uint8) ^ np.uint8(0x80)).astype(np.uint8)


def _split_nibbles(blocks: Bytes, offset: bool) -> Fields:
    d, qs = fields_of(blocks, 4 if offset else 2, 16)
    return _with_floats(d, planes(qs, 4, 32))


def _split_fives(blocks: Bytes, offset: bool) -> Fields:
    d, qh, qs = fields_of(blocks, 4 if offset else 2, 4, 16)
    high = np.unpackbits(qh, axis=1, bitorder="little")
    return _with_floats(d, planes(qs, 4, 32) | (high << np.uint8(4)))


def _with_floats(field: Bytes, codes: Bytes) -> Fields:
    floats = halves(field)
    names = ("scale", "offset")[: floats.shape[1]]
    return {"codes": codes} | {name: floats[:, i : i + 1] for i, name in enumerate(names)}


def _floats(fields: Fields) -> list[NDArray[np.uint16]]:
    return [fields[name] for name in ("scale", "offset") if name in fields]


def _join_nibbles(fields: Fields) -> Bytes:
    return joined(*_floats(fields), unplanes(fields["codes"], 4, 32))


def _join_fives(fields: Fields) -> Bytes:
    codes = fields["codes"]
    high = np.packbits(codes >> 4, axis=1, bitorder="little")
    return joined(*_floats(fields), high, unplanes(codes & 15, 4, 32))


def _split_bytes(blocks: Bytes) -> Fields:
    d, qs = fields_of(blocks, 2, 32)
    return {"codes": qs ^ np.uint8(0x80), "scale": halves(d)}


def _join_bytes(fields: Fields) -> Bytes:
    return joined(fields["scale"], fields["codes"].astype(np.uint8) ^ np.uint8(0x80))


def _small(name: str, nbytes: int, bits: int, offset: bool) -> BlockType:
    split, join = (_split_nibbles, _join_nibbles) if bits == 4 else (_split_fives, _join_fives)
    search = _search_affine if offset else _search_symmetric
    return BlockType(
        name,
        32,
        nbytes,
        bits,
        lambda blocks: split(blocks, offset),
        join,
        lambda x: search(x, bits),
        low=0 if offset else -(1 << (bits - 1)),
        offset=offset,
    )


#: name -> block type
SIMPLE = {
    made.name: made
    for made in (
        _small("Q4_0", 18, 4, False),
        _small("Q4_1", 20, 4, True),
        _small("Q5_0", 22, 5, False),
        _small("Q5_1", 24, 5, True),
        BlockType("Q8_0", 32, 34, 8, _split_bytes, _join_bytes, _search_bytes, low=-128),
    )
}
