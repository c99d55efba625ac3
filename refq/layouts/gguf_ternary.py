"""GGUF's ternary blocks: TQ1_0 and TQ2_0.

Equation
--------
The scale is the largest magnitude d; the code is ``round(x / d) + 1``, one of 0, 1, 2. TQ2_0 keeps
two bits a code. TQ1_0 keeps five codes in a byte: the number 0..242 with these digits in base 3,
times 256 / 243, rounded up, so that multiplying by 3 brings one digit after the other above 255.

Conventions
-----------
13 of 256 bytes of TQ1_0 are no such number, and its last four bytes have four digits each; other
bytes decode, but are written back as the canonical byte of the same digits.

References
----------
ggml 0.25.3: ``quantize_row_tq1_0_ref``, ``quantize_row_tq2_0_ref``.
"""

import numpy as np
from numpy.typing import NDArray

from .gguf_arithmetic import Floats, half_bits, reciprocal, rounded_away
from .gguf_bits import fields_of, halves, joined, planes, unplanes
from .gguf_block import BlockType, Fields

__all__ = ["TERNARY"]

Bytes = NDArray[np.uint8]

_POWERS = np.array([1, 3, 9, 27, 81], np.uint8)
_RUNS = ((32, 5), (16, 5), (4, 4))  #: bytes of each run, digits in each byte


def _search(x: Floats) -> Fields:
    with np.errstate(all="ignore"):
        d = np.abs(x).max(axis=1)
        q = rounded_away(x * reciprocal(d)[:, None]) + 1
    return {"codes": (q & 3).astype(np.uint8), "scale": half_bits(d)[:, None]}


def _split_digits(blocks: Bytes) -> Fields:
    *runs, d = fields_of(blocks, 32, 16, 4, 2)
    codes = []
    for run, (width, digits) in zip(runs, _RUNS, strict=True):
        shifted = run[:, None, :] * _POWERS[:digits, None]  # modulo 256
        codes.append(((shifted.astype(np.uint16) * 3) >> 8).reshape(len(run), width * digits))
    return {"codes": np.concatenate(codes, axis=1).astype(np.uint8), "scale": halves(d)}


def _join_digits(fields: Fields) -> Bytes:
    codes, fields_out, start = fields["codes"].astype(np.uint16), [], 0
    for width, digits in _RUNS:
        part = codes[:, start : start + width * digits].reshape(len(codes), digits, width)
        start += width * digits
        # the first digit is the most significant of five
        weights = np.uint16(81) // _POWERS[:digits].astype(np.uint16)
        number = (part * weights[:, None]).sum(axis=1, dtype=np.uint16)
        fields_out.append(((number * 256 + 242) // 243).astype(np.uint8))
    return joined(*fields_out, fields["scale"])


def _split_pairs(blocks: Bytes) -> Fields:
    qs, d = fields_of(blocks, 64, 2)
    return {"codes": planes(qs, 2, 128), "scale": halves(d)}


def _join_pairs(fields: Fields) -> Bytes:
    return joined(unplanes(fields["codes"], 2, 128), fields["scale"])


#: name -> block type
TERNARY = {
    "TQ1_0": BlockType(
        "TQ1_0", 256, 54, 2, _split_digits, _join_digits, _search, zero_point=True, padding=True
    ),
    "TQ2_0": BlockType("TQ2_0", 256, 66, 2, _split_pairs, _join_pairs, _search, zero_point=True),
}
