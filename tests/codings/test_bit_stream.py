"""Joining and reading bit streams, against strings of '0' and '1'."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.codings.bit_stream import BitReader, join_bits
from refq.core.errors import FormatError

BITS = st.text("01", max_size=40)


def to_stream(text):
    return sum(1 << i for i, c in enumerate(text) if c == "1").to_bytes(
        -(-len(text) // 8), "little"
    )


@given(st.lists(BITS, max_size=5))
def test_join_puts_bits_side_by_side(texts):
    whole = "".join(texts)
    pieces = [(to_stream(t), len(t)) for t in texts]
    assert join_bits(*pieces) == (to_stream(whole), len(whole))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 64), st.randoms()), max_size=5))
def test_fields_come_back_in_order(plan):
    values = [[rng.getrandbits(width) for _ in range(count)] for count, width, rng in plan]
    text = "".join(
        f"{v:0{width}b}"[::-1] for row, (_, width, _) in zip(values, plan, strict=True) for v in row
    )
    one, many = BitReader(to_stream(text)), BitReader(to_stream(text))
    for row, (count, width, _) in zip(values, plan, strict=True):
        assert [one.field(width) for _ in range(count)] == row
        assert many.fields(count, width).tolist() == row
    assert one.position == many.position == len(text)
    one.finish()


def test_nothing_is_read_past_the_end():
    reader = BitReader(b"\xff")
    reader.skip(3)
    with pytest.raises(FormatError, match="6 bits are needed at bit 3, 5 are left"):
        reader.field(6)
    with pytest.raises(FormatError, match="are left"):
        reader.fields(1 << 80, 64)
    assert reader.position == 3


def test_finish_wants_the_last_byte_and_zeros():
    reader = BitReader(b"\x81\x00")
    reader.skip(7)
    with pytest.raises(FormatError, match="2 bytes; a stream of 7 bits has 1"):
        reader.finish()
    reader = BitReader(b"\x81")
    reader.skip(7)
    with pytest.raises(FormatError, match="1 bits after the stream must be zero"):
        reader.finish()
