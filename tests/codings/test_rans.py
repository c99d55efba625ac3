"""rANS against a reader written from the docstring in Python integers; bounds, broken streams."""

import contextlib
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.codings import entropy, get
from refq.codings.rans import LOWEST, RansCoding, scaled_frequencies
from refq.core.errors import FormatError, RangeError

rans = get("rans")


def read_by_the_docstring(buffer, size, bits):
    """Return the codes and the bits used; the stream is one little-endian integer."""
    whole, position = int.from_bytes(buffer, "little"), 0

    def take(width):
        nonlocal position
        position += width
        return (whole >> (position - width)) & ((1 << width) - 1)

    if size == 0:
        return [], 0
    kind, p, last = take(1), take(5), take(bits)
    if kind == 0 and p == 0:
        return [last] * size, position
    if kind == 0:
        table = [(symbol, take(p)) for symbol in range(last + 1)]
    else:
        symbols = [take(bits) for _ in range(last + 1)]
        table = [(symbol, take(p)) for symbol in symbols]
    slots = [symbol for symbol, f in table for _ in range(f)]
    first, total = {}, 0
    for symbol, f in table:
        first[symbol], total = total, total + f
    assert total == 1 << p
    state = take(31) + (1 << 23)
    codes = []
    for _ in range(size):
        quotient, rest = divmod(state, 1 << p)
        symbol = slots[rest]
        codes.append(symbol)
        state = dict(table)[symbol] * quotient + rest - first[symbol]
        while state < 1 << 23:
            state = state * 256 + take(8)
    assert state == 1 << 23
    return codes, position


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16, 33, 64])
@given(data=st.data())
def test_a_reader_from_the_docstring_agrees(bits, data):
    top = min((1 << bits) - 1, 1 << 63)
    pool = data.draw(st.lists(st.integers(0, 6) | st.integers(0, top), min_size=1, max_size=12))
    codes = [c & top for c in data.draw(st.lists(st.sampled_from(pool), max_size=80))]
    buffer, nbits = rans.write(np.array(codes, np.uint64), bits)
    assert read_by_the_docstring(buffer, len(codes), bits) == (codes, nbits)
    assert rans.read(buffer, len(codes), bits).tolist() == codes


@given(
    st.lists(st.integers(1, 5) | st.sampled_from([1000, 1 << 20]), min_size=2, max_size=50),
    st.data(),
)
def test_frequencies(counts, data):
    p = data.draw(st.integers((len(counts) - 1).bit_length(), 16))
    found = scaled_frequencies(np.array(counts), p)
    assert found.sum() == 1 << p
    assert found.min() >= 1
    share = [Fraction(c << p, sum(counts)) for c in counts]
    raised = sum(s < 1 for s in share)
    if not raised:  # rounded down or up, and no smaller count has a larger frequency
        assert all(abs(int(f) - s) < 1 for f, s in zip(found, share, strict=True))
    order = np.argsort(counts, kind="stable")
    assert all(np.diff(found[order]) >= -1)


def test_many_rare_symbols_leave_one_slot_each():
    counts = np.ones(4096, np.int64)
    counts[7] = 1 << 20
    assert scaled_frequencies(counts, 12).tolist() == [1] * 4096
    assert scaled_frequencies(counts, 13).max() == 8192 - 4095


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99, 0.999])
def test_the_bound_of_the_payload(share):
    rng = np.random.default_rng(0)
    codes = (rng.random(20_000) > share).astype(np.uint8) * rng.integers(1, 4, 20_000).astype(
        np.uint8
    )
    n, p = codes.size, 12
    counts = np.bincount(codes, minlength=4)
    f = scaled_frequencies(counts, p)
    cross = float(-(counts / n) @ np.log2(f / 2**p))  # H'
    head = 1 + 5 + 2 + 4 * p
    bound = n * cross + 1.45 * n * 2.0 ** (p - 23) + 39 + head
    nbits = rans.nbits(codes, 2)
    assert n * entropy(counts) < nbits <= bound
    assert nbits < get("huffman").nbits(codes, 2) or share == 0.5


def test_less_than_one_bit_a_symbol():
    codes = np.zeros(100_000, np.uint8)
    codes[::1000] = 1
    assert rans.nbits(codes, 1) < 0.02 * codes.size < get("huffman").nbits(codes, 1)


def test_empty_and_one_symbol():
    assert rans.write(np.zeros(0, np.uint8), 8) == (b"", 0)
    assert rans.nbits(np.full(10**6, 9, np.uint8), 8) == 1 + 5 + 8


def stream():
    codes = np.array([0] * 40 + [1] * 7 + [3], np.uint8)
    return codes, rans.write(codes, 2)[0]


def test_no_flipped_bit_is_silent():
    codes, buffer = stream()
    for i in range(8 * len(buffer)):
        broken = bytearray(buffer)
        broken[i // 8] ^= 1 << i % 8
        with contextlib.suppress(FormatError):
            assert rans.read(bytes(broken), codes.size, 2).tolist() != codes.tolist()


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_stream_cut_short_is_refused(cut):
    codes, buffer = stream()
    with pytest.raises(FormatError):
        rans.read(buffer[:-cut], codes.size, 2)
    with pytest.raises(FormatError):
        rans.read(buffer, codes.size - 1, 2)
    with pytest.raises(FormatError):
        rans.read(buffer + b"\0" * cut, codes.size, 2)


def test_frequencies_with_another_sum_are_refused():
    # sparse and dense of two symbols: kind 0, p = 1, last = 1, frequencies 1 and 0
    text = "0" + "10000" + "1" + "1" + "1"
    good = int(text[::-1], 2)
    whole = good | (0 << 9)
    with pytest.raises(FormatError):
        rans.read(whole.to_bytes(5, "little"), 4, 1)  # the bytes end too early
    bad = int(("0" + "01000" + "1" + "10" + "10")[::-1], 2)  # p = 2: 1 + 1 is not 4
    with pytest.raises(FormatError, match="sum 2; it must be 2"):
        rans.read(bad.to_bytes(6, "little"), 4, 1)


def test_too_many_symbols_name_the_way_out(monkeypatch):
    monkeypatch.setattr("refq.codings.rans.MOST_PRECISION", 3)
    with pytest.raises(RangeError, match="use 'huffman' or 'raw'"):
        RansCoding().write(np.arange(9, dtype=np.uint8), 8)


def test_the_state_returns_to_its_first_value():
    assert LOWEST == 2**23
