"""Planes of codes in bytes, against a loop over bits."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from refq.layouts.gguf_bits import fields_of, halves, joined, planes, unplanes

SHAPES = st.tuples(st.sampled_from([1, 2, 4]), st.sampled_from([8, 16, 32]), st.integers(1, 3))


def by_hand(row, bits, run):
    """Put each code where the conventions say: byte j of a run holds code j, and those after it."""
    per_byte = 8 // bits
    out = [0] * (len(row) * bits // 8)
    width = run // per_byte
    for i, code in enumerate(row):
        r, k = divmod(i, run)
        plane, j = divmod(k, width)
        out[r * width + j] |= int(code) << (bits * plane)
    return out


@given(shape=SHAPES, seed=st.integers(0, 1 << 16))
def test_planes_are_where_they_belong(shape, seed):
    bits, run, runs = shape
    codes = np.random.default_rng(seed).integers(0, 1 << bits, (2, run * runs))
    packed = unplanes(codes, bits, run)
    assert packed.tolist() == [by_hand(row, bits, run) for row in codes]
    assert (planes(packed, bits, run) == codes).all()


def test_no_blocks():
    assert planes(np.zeros((0, 16), np.uint8), 4, 32).shape == (0, 32)
    assert unplanes(np.zeros((0, 32), np.uint8), 4, 32).shape == (0, 16)


def test_fields_join_again():
    blocks = np.arange(22, dtype=np.uint8).reshape(2, 11)
    d, q, rest = fields_of(blocks, 4, 2, 5)
    assert halves(d).tolist() == [[0x0100, 0x0302], [0x0C0B, 0x0E0D]]
    assert (joined(halves(d), q, rest) == blocks).all()
