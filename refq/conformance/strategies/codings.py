"""Strategies for the kernels of `refq.codings`.

Conventions
-----------
Widths cluster where carries break: 1, 7..9, 31..33, 63, 64. Codes are drawn from a small pool that
holds zero, all ones and the top bit, so that every bit of a byte border is met both ways. Codeword
lengths come from drawn counts: a full code is never guessed.
"""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from ...codings.prefix_codes import canonical_codes, code_lengths
from ...codings.rans import scaled_frequencies
from .registry import Arguments, register

__all__: list[str] = []

_WIDTHS = st.sampled_from([1, 4, 3, 8, 2, 7, 9, 16, 31, 33, 63, 64]) | st.integers(1, 64)
_EMPTY = np.zeros(0, np.uint8)
_DEEP = np.array([*range(1, 64), 63])  #: the deepest code there may be


def _codes(bits: int) -> st.SearchStrategy[int]:
    top = (1 << bits) - 1
    return st.sampled_from([0, top, 1 << (bits - 1), 1]) | st.integers(0, top)


@st.composite
def _packed(draw: st.DrawFn) -> Arguments:
    bits = draw(_WIDTHS)
    return np.array(draw(st.lists(_codes(bits), max_size=20)), np.uint64), bits


@st.composite
def _streams(draw: st.DrawFn) -> Arguments:
    bits, size = draw(_WIDTHS), draw(st.integers(0, 20))
    needed = (size * bits + 7) // 8
    spare = draw(st.integers(0, 2))
    data = draw(st.binary(min_size=needed, max_size=needed)) + bytes(spare)
    return np.frombuffer(data, np.uint8).copy(), size, bits


def _counts() -> st.SearchStrategy[NDArray[Any]]:
    # few distinct values make ties, powers of two make depth
    one = st.integers(1, 3) | st.sampled_from([1 << k for k in range(0, 50, 7)])
    return st.lists(one, min_size=2, max_size=40).map(lambda c: np.array(c, np.int64))


@st.composite
def _ranks(draw: st.DrawFn) -> Arguments:
    lengths = code_lengths(draw(_counts()))
    ranks = draw(st.lists(st.integers(0, lengths.size - 1), max_size=40))
    return np.array(ranks, np.int64), canonical_codes(lengths), lengths


@st.composite
def _codewords(draw: st.DrawFn) -> Arguments:
    tally = np.bincount(code_lengths(draw(_counts())), minlength=64)
    data = np.frombuffer(draw(st.binary(max_size=24)), np.uint8).copy()
    return data, draw(st.integers(0, 9)), draw(st.integers(0, 60)), tally


@register(
    "refq.codings.packing.pack_bits",
    edges=[
        (np.zeros(0, np.uint64), 1),
        (np.array([(1 << 64) - 1], np.uint64), 64),
        (np.array([(1 << 63) - 1, 0, 1 << 62], np.uint64), 63),
        (np.array([1, 2, 3], np.uint64), 4),
        (np.array([255, 0, 255], np.uint64), 3),  # what does not fit is cut off
    ],
)
def _pack_bits() -> st.SearchStrategy[Arguments]:
    return _packed()


@register(
    "refq.codings.packing.unpack_bits",
    edges=[
        (_EMPTY, 0, 1),
        (np.full(8, 255, np.uint8), 1, 64),
        (np.full(16, 255, np.uint8), 2, 63),
        (np.array([0x21, 0x03], np.uint8), 3, 4),
    ],
)
def _unpack_bits() -> st.SearchStrategy[Arguments]:
    return _streams()


@register(
    "refq.codings.prefix_codes.merge_depths",
    edges=[
        (np.zeros(0, np.int64),),
        (np.array([5]),),
        (np.array([1, 1]),),
        (np.array([1, 1, 2, 2, 1, 1]),),
        (np.array([1 << 61, 1 << 61, 1]),),
    ],
)
def _merge_depths() -> st.SearchStrategy[Arguments]:
    return st.tuples(_counts())


@register(
    "refq.codings.huffman.encode_ranks",
    edges=[
        (np.zeros(0, np.int64), np.array([0, 1], np.uint64), np.array([1, 1])),
        (np.arange(64), canonical_codes(_DEEP), _DEEP),
    ],
)
def _encode_ranks() -> st.SearchStrategy[Arguments]:
    return _ranks()


@register(
    "refq.codings.huffman.decode_ranks",
    edges=[
        (_EMPTY, 0, 0, np.bincount([1, 1], minlength=64)),
        (_EMPTY, 0, 2, np.bincount([1, 1], minlength=64)),
        (np.array([1], np.uint8), 8, 1, np.bincount([1, 1], minlength=64)),
        (np.full(16, 255, np.uint8), 1, 3, np.bincount(_DEEP, minlength=64)),
        (np.array([255] * 7 + [63], np.uint8), 0, 2, np.bincount(_DEEP, minlength=64)),
    ],
)
def _decode_ranks() -> st.SearchStrategy[Arguments]:
    return _codewords()


@st.composite
def _rans_ranks(draw: st.DrawFn) -> Arguments:
    counts = draw(_counts())
    precision = draw(st.integers((counts.size - 1).bit_length(), 14)) or 1
    frequencies = scaled_frequencies(np.minimum(counts, 1 << 30), precision)
    ranks = draw(st.lists(st.integers(0, counts.size - 1), max_size=60))
    return np.array(ranks, np.int64), frequencies, precision


@st.composite
def _rans_states(draw: st.DrawFn) -> Arguments:
    _, frequencies, precision = draw(_rans_ranks())
    state = draw(st.integers(1 << 23, (1 << 31) - 1))
    body = np.frombuffer(draw(st.binary(max_size=12)), np.uint8).copy()
    return state, body, draw(st.integers(0, 30)), frequencies, precision


@register(
    "refq.codings.rans.encode_states",
    edges=[
        (np.zeros(0, np.int64), np.array([1, 1]), 1),
        (np.array([0] * 9), np.array([1, (1 << 22) - 1]), 22),
        (np.array([1] * 40), np.array([1, (1 << 12) - 1]), 12),
    ],
)
def _encode_states() -> st.SearchStrategy[Arguments]:
    return _rans_ranks()


@register(
    "refq.codings.rans.decode_states",
    edges=[
        (1 << 23, _EMPTY, 0, np.array([1, 1]), 1),
        (1 << 23, _EMPTY, 3, np.array([1, 3]), 2),
        ((1 << 31) - 1, np.full(6, 255, np.uint8), 9, np.array([1, (1 << 22) - 1]), 22),
    ],
)
def _decode_states() -> st.SearchStrategy[Arguments]:
    return _rans_states()
