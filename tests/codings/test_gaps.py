"""Gaps against a reader written from the docstring, their cost, and broken streams."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.codings import get
from refq.codings.gaps import WIDTHS, gap_codes, gap_positions
from refq.codings.huffman import write_stream
from refq.core.errors import FormatError, RangeError

gaps, huffman = get("gaps"), get("huffman")


def field(value, width):
    return f"{value:0{width}b}"[::-1] if width else ""


def to_text(buffer, nbits):
    return "".join(field(byte, 8) for byte in buffer)[:nbits]


def to_stream(text):
    return sum(1 << i for i, c in enumerate(text) if c == "1").to_bytes(
        -(-len(text) // 8), "little"
    )


def gaps_stream(size, value, width, codes, count=None):
    """Return the form "gaps" as the docstring lays it out."""
    coded = to_text(*huffman.write(np.array(codes, np.uint16), width))
    count = len(codes) if count is None else count
    head = "1" + str(value) + field(width - 3, 4) + field(count, size.bit_length())
    return to_stream(head + coded)


def read_by_the_docstring(buffer, nbits, size):
    text = to_text(buffer, nbits)
    if size == 0:
        return []
    if text[0] == "0":
        return [int(c) for c in text[1:]]
    value, width = int(text[1]), 3 + int(text[2:6][::-1], 2)
    split = 6 + size.bit_length()
    count = int(text[6:split][::-1], 2)
    codes = huffman.read(to_stream(text[split:]), count, width).tolist()
    mask, position = [1 - value] * size, 0
    for code in codes:
        position += code
        if code != (1 << width) - 1:
            mask[position] = value
            position += 1
    return mask


@st.composite
def masks(draw):
    """Draw gaps, not positions: around the largest gap of each small width, and nothing."""
    edge = st.sampled_from([6, 7, 8, 13, 14, 15, 16, 0, 1, 30, 31, 32, 62, 63, 64, 127])
    steps = draw(st.lists(edge | st.integers(0, 40), max_size=25))
    bits = [b for step in steps for b in [0] * step + [1]] + [0] * draw(st.integers(0, 40))
    return np.array(bits, np.uint8) ^ np.uint8(draw(st.booleans()))


@given(masks())
def test_a_reader_from_the_docstring_agrees(mask):
    buffer, nbits = gaps.write(mask, 1)
    assert read_by_the_docstring(buffer, nbits, mask.size) == mask.tolist()
    np.testing.assert_array_equal(gaps.read(buffer, mask.size, 1), mask)
    assert nbits == gaps.nbits(mask, 1)
    assert nbits <= mask.size + 1


@given(masks().filter(len))
def test_the_cheapest_width_is_taken_then_the_smallest(mask):
    ones = int(mask.sum())
    value = 0 if 2 * ones > mask.size else 1
    steps = np.diff(np.flatnonzero(mask == value), prepend=-1) - 1
    head = 6 + mask.size.bit_length()
    cost = {w: head + write_stream(gap_codes(steps, w), w)[1] for w in WIDTHS}
    best = min(cost.values())
    buffer, nbits = gaps.write(mask, 1)
    assert nbits == min(best, mask.size + 1)
    assert (buffer[0] & 1) == (best <= mask.size)
    if best <= mask.size:
        assert (buffer[0] >> 1) & 1 == value
        assert 3 + ((buffer[0] >> 2) & 15) == min(w for w in WIDTHS if cost[w] == best)


@pytest.mark.parametrize("width", WIDTHS)
def test_escapes_at_the_border(width):
    escape = (1 << width) - 1
    steps = np.array([0, escape - 1, escape, escape + 1, 2 * escape, 0])
    codes = gap_codes(steps, width)
    assert codes.tolist() == [0, escape - 1, escape, 0, escape, 1, escape, escape, 0, 0]
    assert gap_positions(codes, width).tolist() == (np.cumsum(steps + 1) - 1).tolist()


def entropy_bits(ones, n):
    return sum(c * math.log2(n / c) for c in (ones, n - ones) if c)


@pytest.mark.parametrize("p", [0.02, 0.1, 0.2, 0.5, 0.8, 0.98])
def test_near_the_entropy(p):
    n = 20_000
    mask = (np.random.default_rng(20).random(n) < p).astype(np.uint8)
    # p = 0.02 is the tightest: n H is 2,699 bits, so 15 % + 64 leaves 468 for the head (21), the
    # table of w = 5 (9 + 32 lengths of 3 bits) and Huffman's own loss. In theory the loss may reach
    # one bit for each of the 845 gap codes; with this seed the three together take 128 bits.
    nbits = gaps.nbits(mask, 1)
    assert nbits <= 1.15 * entropy_bits(int(mask.sum()), n) + 64
    assert nbits <= n + 1


def test_complement_costs_the_same():
    mask = (np.random.default_rng(1).random(5000) < 0.05).astype(np.uint8)
    assert gaps.nbits(mask, 1) == gaps.nbits(1 - mask, 1)


@pytest.mark.parametrize("n", [1, 2, 10, 11, 12, 1000, 1 << 20])
@pytest.mark.parametrize("value", [0, 1])
def test_a_constant_mask_costs_its_head(n, value):
    mask = np.full(n, value, np.uint8)
    buffer, nbits = gaps.write(mask, 1)
    assert nbits == min(n + 1, 6 + n.bit_length())
    np.testing.assert_array_equal(gaps.read(buffer, n, 1), mask)


def test_only_masks_of_one_bit():
    for call in (gaps.write, gaps.nbits):
        with pytest.raises(RangeError, match="bits of the coding 'gaps' = 2"):
            call(np.zeros(3, np.uint8), 2)
    with pytest.raises(RangeError, match="bits of the coding 'gaps' = 2"):
        gaps.read(b"\0", 3, 2)


def test_any_width_and_form_is_read():
    mask = np.zeros(100, np.uint8)
    mask[[5, 40, 99]] = 1
    steps = np.array([5, 34, 58])
    for width in WIDTHS:
        stream = gaps_stream(100, 1, width, gap_codes(steps, width))
        np.testing.assert_array_equal(gaps.read(stream, 100, 1), mask)
    raw = to_stream("0" + "".join(map(str, mask)))
    np.testing.assert_array_equal(gaps.read(raw, 100, 1), mask)


BROKEN = {
    "width 17": (to_stream("11" + field(14, 4) + "0" * 7), "width = 17"),
    "width of nothing": (gaps_stream(100, 1, 4, []), "width = 4 of no gaps"),
    "escape at the end": (gaps_stream(100, 1, 3, [1, 2, 7]), "escape after the last"),
    "only an escape": (gaps_stream(100, 1, 3, [7]), "escape after the last"),
    "position = size": (gaps_stream(100, 1, 7, [100]), "position 100 lies outside"),
    "position far outside": (gaps_stream(100, 1, 16, [65534] * 9), "outside"),
    "too many codes": (gaps_stream(100, 1, 3, [], count=101), "101 gap codes"),
    "more codes than bits": (gaps_stream(100, 1, 3, [1, 2], count=90), "cannot stand"),
    "the more frequent value": (gaps_stream(100, 1, 3, [0] * 51), "not the rarer"),
    "zeros on a tie": (gaps_stream(100, 0, 3, [0] * 50), "not the rarer"),
    "raw, one short": (to_stream("0" * 96), "too early"),
    "raw, one byte more": (bytes(14), "14 bytes"),
    "raw, padding": (to_stream("0" * 101 + "1"), "must be zero"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_streams_are_refused(name):
    stream, message = BROKEN[name]
    with pytest.raises(FormatError, match=message):
        gaps.read(stream, 100, 1)


def test_ones_on_a_tie_are_written():
    mask = np.tile(np.array([0, 1], np.uint8), 50)
    expected = gaps_stream(100, 1, 3, [1] * 50)  # one symbol: no payload
    assert gaps.write(mask, 1) == (expected, 6 + 7 + 1 + 3 + 3)


def test_ones_on_a_tie_are_read():
    mask = gaps.read(gaps_stream(100, 1, 3, [0] * 50), 100, 1)
    assert mask.tolist() == [1] * 50 + [0] * 50
