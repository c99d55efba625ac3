"""Huffman streams against a reader written from the docstring, and broken tables."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.codings import code_lengths, get
from refq.codings.huffman import (
    decode_ranks,
    decode_ranks_kernel,
    encode_ranks,
    encode_ranks_kernel,
)
from refq.conformance.strategies import codings as _registers  # noqa: F401
from refq.conformance.strategies import edges_of, strategy_of
from refq.core.errors import FormatError, LimitError

WIDTHS = [*range(1, 17), 31, 32, 33, 64]
huffman = get("huffman")


def unsigned(bits):
    return next(f"u{n}" for n in (1, 2, 4, 8) if 8 * n >= bits)


def field(value, width):
    return f"{value:0{width}b}"[::-1] if width else ""


def to_stream(text):
    return sum(1 << i for i, c in enumerate(text) if c == "1").to_bytes(
        -(-len(text) // 8), "little"
    )


def read_by_the_docstring(buffer, size, bits):
    """Return the codes and the bits used, with strings and a dictionary."""
    text = "".join(field(byte, 8) for byte in buffer)
    position = 0

    def take(width):
        nonlocal position
        position += width
        return int("0" + text[position - width : position][::-1], 2)

    if size == 0:
        return [], 0
    kind, width, last = take(1), take(3), take(bits)
    if kind == 0:
        lengths = {s: take(width) for s in range(last + 1)} if width else {last: 0}
    else:
        symbols = [take(bits) for _ in range(last + 1)]
        lengths = {s: take(width) for s in symbols}
    if width == 0:
        return [last] * size, position
    word, before, table = -1, None, {}
    for length, symbol in sorted((n, s) for s, n in lengths.items() if n):
        word = (word + 1) << (length - (before or length))
        before = length
        table[f"{word:0{length}b}"] = symbol
    codes = []
    for _ in range(size):
        path = ""
        while path not in table:
            path += text[position]
            position += 1
        codes.append(table[path])
    return codes, position


@pytest.mark.parametrize("bits", WIDTHS)
@given(data=st.data())
def test_a_reader_from_the_docstring_agrees(bits, data):
    top = min((1 << bits) - 1, 1 << 63)
    pool = data.draw(st.lists(st.integers(0, 6) | st.integers(0, top), min_size=1, max_size=12))
    codes = [c & top for c in data.draw(st.lists(st.sampled_from(pool), max_size=60))]
    a = np.array(codes, unsigned(bits))
    buffer, nbits = huffman.write(a, bits)
    assert read_by_the_docstring(buffer, len(codes), bits) == (codes, nbits)
    assert len(buffer) == -(-nbits // 8)
    assert huffman.nbits(a, bits) == nbits
    back = huffman.read(buffer, len(codes), bits)
    assert back.dtype == a.dtype
    assert back.tolist() == codes


def test_exact_bits_of_a_small_stream():
    # head 1 + 3 + 2, three lengths of 2 bits (1, 2, 2), then 0 10 0 11 0
    codes = np.array([0, 1, 0, 2, 0], np.uint8)
    text = "0" + field(2, 3) + field(2, 2) + field(1, 2) + field(2, 2) * 2 + "0100110"
    assert huffman.write(codes, 2) == (to_stream(text), len(text))


def test_a_uniform_codebook_of_16_costs_58_bits_of_table():
    codes = np.tile(np.arange(16, dtype=np.uint8), 100)
    assert huffman.nbits(codes, 4) == 1600 * 4 + 1 + 3 + 4 + 16 * 3


@pytest.mark.parametrize("bits", [1, 4, 8, 16, 32, 64])
def test_one_symbol_costs_its_name(bits):
    for symbol in {0, 1, (1 << bits) - 1}:
        a = np.full(1000, symbol, unsigned(bits))
        buffer, nbits = huffman.write(a, bits)
        assert nbits == 1 + 3 + bits
        np.testing.assert_array_equal(huffman.read(buffer, 1000, bits), a)


def test_the_cheaper_table_is_taken_and_dense_on_a_tie():
    # bits 3, two symbols of length 1: dense (last + 1) * 1, sparse 2 * (3 + 1) = 8
    for last, kind in ((5, 0), (6, 0), (7, 0)):
        buffer, nbits = huffman.write(np.array([0, last], np.uint8), 3)
        assert (buffer[0] & 1, nbits) == (kind, 1 + 3 + 3 + last + 1 + 2)
    # bits 8: sparse 2 * 9 = 18 bits, so dense up to last = 17
    for last, kind in ((16, 0), (17, 0), (18, 1), (255, 1)):
        buffer, nbits = huffman.write(np.array([0, last], np.uint8), 8)
        assert (buffer[0] & 1, nbits) == (kind, 12 + min(last + 1, 18) + 2)


def test_fibonacci_depths_make_a_stream():
    counts = [1, 1]
    while len(counts) < 24:
        counts.append(counts[-1] + counts[-2])
    codes = np.repeat(np.arange(24, dtype=np.uint8), counts)
    np.random.default_rng(0).shuffle(codes)
    buffer, nbits = huffman.write(codes, 5)
    payload = sum(c * int(n) for c, n in zip(counts, code_lengths(counts), strict=True))
    assert nbits == 1 + 3 + 5 + 24 * 5 + payload
    np.testing.assert_array_equal(huffman.read(buffer, codes.size, 5), codes)


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_a_hundred_thousand_codes(bits):
    rng = np.random.default_rng(bits)
    codes = (rng.geometric(0.02, 100_000) % (1 << bits)).astype(unsigned(bits))
    buffer, nbits = huffman.write(codes, bits)
    assert nbits == huffman.nbits(codes, bits) < 100_000 * bits
    np.testing.assert_array_equal(huffman.read(buffer, codes.size, bits), codes)


#: name -> (bits, size, stream, what the message says); each is one mistake away from a good stream
BROKEN = {
    "under-full": (
        2,
        2,
        "0" + field(2, 3) + field(1, 2) + field(1, 2) + field(2, 2) + "00",
        "under",
    ),
    "over-full": (2, 2, "0" + field(1, 3) + field(2, 2) + "111" + "00", "over"),
    "alone, length 1": (2, 2, "0" + field(1, 3) + field(0, 2) + "1" + "00", "under"),
    "width 7": (2, 2, "0" + field(7, 3) + field(1, 2) + field(1, 7) * 2 + "00", "width = 7"),
    "width too large": (
        2,
        2,
        "0" + field(2, 3) + field(1, 2) + field(1, 2) * 2 + "00",
        "width = 2",
    ),
    "last absent": (2, 2, "0" + field(1, 3) + field(2, 2) + "110" + "00", "last symbol"),
    "sparse, width 0": (2, 2, "1" + field(0, 3) + field(1, 2) + field(1, 2) * 2, "width = 0"),
    "not ascending": (8, 2, "1" + field(1, 3) + field(1, 8) + field(99, 8) * 2 + "1100", "ascend"),
    "descending": (
        8,
        2,
        "1" + field(1, 3) + field(1, 8) + field(99, 8) + field(9, 8) + "1100",
        "ascend",
    ),
    "sparse, length 0": (
        8,
        2,
        "1" + field(1, 3) + field(1, 8) + field(9, 8) + field(99, 8) + "1000",
        "numbers > 0",
    ),
    "sparse where dense is smaller": (
        8,
        2,
        "1" + field(1, 3) + field(1, 8) + field(0, 8) + field(17, 8) + "1100",
        "other kind",
    ),
    "dense where sparse is smaller": (
        8,
        2,
        "0" + field(1, 3) + field(18, 8) + "1" + "0" * 17 + "1" + "00",
        "other kind",
    ),
    "table cut": (8, 2, "0" + field(6, 3) + field(255, 8) + "1" * 40, "too early"),
    "payload cut": (1, 9, "0" + field(1, 3) + "1" + "11" + "0", "9 codewords"),
    "codeword cut": (
        2,
        7,
        "0" + field(2, 3) + field(2, 2) + field(1, 2) + "0101" + "0" + "1" * 11,
        "within codeword 6 of 7",
    ),
    "trailing byte": (1, 1, "0" + field(1, 3) + "1" + "11" + "0" + "0" * 8, "8 bits has 1"),
    "padding set": (1, 2, "0" + field(1, 3) + "1" + "11" + "00" + "0000001", "must be zero"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_streams_are_refused(name):
    bits, size, text, message = BROKEN[name]
    with pytest.raises(FormatError, match=message):
        huffman.read(to_stream(text), size, bits)


def test_tables_of_absurd_size_are_refused_before_allocation():
    for kind in "01":
        text = kind + field(6, 3) + "1" * 64 + "1" * 64
        with pytest.raises(FormatError, match="too early"):
            huffman.read(to_stream(text), 3, 64)
    good = to_stream("0" + field(1, 3) + "1" + "11" + "00")
    with pytest.raises(FormatError, match=r"codewords cannot stand in \d+ bits"):
        huffman.read(good, 1 << 34, 1)
    with pytest.raises(LimitError):
        huffman.read(good, 1 << 80, 1)


@pytest.mark.parametrize("bits", [3, 8, 40])
def test_every_bit_flip_of_a_wider_stream(bits):
    codes = np.array([5, 5, 1, 5, 2, 7, 5, 1, 0, 5], unsigned(bits))
    buffer, nbits = huffman.write(codes, bits)
    refused = 0
    for i in range(8 * len(buffer)):
        broken = bytearray(buffer)
        broken[i // 8] ^= 1 << i % 8
        try:
            back = huffman.read(bytes(broken), codes.size, bits)
        except FormatError:
            refused += 1
            continue
        assert i < nbits
        assert back.shape == codes.shape
        assert back.dtype == codes.dtype
        assert int(back.max()) < 1 << bits
        assert (back != codes).any()
    assert refused > 0
    for end in range(len(buffer)):
        with pytest.raises(FormatError):
            huffman.read(buffer[:end], codes.size, bits)


@pytest.mark.parametrize(
    ("definition", "kernel"),
    [(encode_ranks, encode_ranks_kernel), (decode_ranks, decode_ranks_kernel)],
)
class TestTwins:
    def test_edges(self, definition, kernel):
        for arguments in edges_of(kernel.name):
            self.check(definition, kernel, arguments)

    @given(data=st.data())
    def test_drawn(self, definition, kernel, data):
        self.check(definition, kernel, data.draw(strategy_of(kernel.name)))

    @staticmethod
    def check(definition, kernel, arguments):
        expected = definition(*arguments)
        for result in (kernel(*arguments), kernel.python(*arguments)):
            assert result.dtype == expected.dtype
            np.testing.assert_array_equal(result, expected)
