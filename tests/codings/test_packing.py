"""Packing against Python integers: a stream is one little-endian integer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.codings import get, pack, packing, unpack
from refq.codings.packing import pack_bits, pack_bits_kernel, unpack_bits, unpack_bits_kernel
from refq.conformance.strategies import codings as _registers  # noqa: F401
from refq.conformance.strategies import edges_of, strategy_of
from refq.core.errors import FormatError

WIDTHS = [*range(1, 17), 31, 32, 33, 63, 64]
DTYPES = {8: np.uint8, 16: np.uint16, 32: np.uint32, 64: np.uint64}


def as_integer(codes, bits):
    return sum(code << i * bits for i, code in enumerate(codes))


def expected_dtype(bits):
    return next(DTYPES[b] for b in sorted(DTYPES) if b >= bits)


@pytest.mark.parametrize("bits", WIDTHS)
@given(data=st.data())
def test_pack_is_one_little_endian_integer(bits, data):
    top = (1 << bits) - 1
    one = st.sampled_from([0, top, 1, 1 << (bits - 1)]) | st.integers(0, top)
    codes = data.draw(st.lists(one, max_size=25))
    a = np.array(codes, expected_dtype(bits))
    buffer, nbits = get("raw").write(a, bits)
    assert nbits == len(codes) * bits == get("raw").nbits(a, bits)
    assert buffer == as_integer(codes, bits).to_bytes((nbits + 7) // 8, "little")
    back = get("raw").read(buffer, len(codes), bits)
    assert back.dtype == a.dtype
    assert back.tolist() == codes


def test_low_nibble_first_as_in_onnx():
    assert pack(np.array([1, 2, 3], np.uint8), 4) == bytes([0x21, 0x03])


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
def test_whole_bytes_are_little_endian(bits):
    a = np.array([1, 2, (1 << bits) - 2], DTYPES[bits])
    assert pack(a, bits) == a.astype(a.dtype.newbyteorder("<")).tobytes()
    assert pack(a.astype(a.dtype.newbyteorder(">")), bits) == pack(a, bits)
    assert unpack(pack(a, bits), 3, bits).dtype.isnative


@pytest.mark.parametrize("bits", [1, 3, 12])
def test_chunks_join_without_a_seam(bits, monkeypatch):
    monkeypatch.setattr(packing, "_CHUNK", 8)
    rng = np.random.default_rng(bits)
    for size in (7, 8, 9, 16, 37):
        codes = rng.integers(0, 1 << bits, size).astype(expected_dtype(bits))
        buffer = pack(codes, bits)
        assert int.from_bytes(buffer, "little") == as_integer(codes.tolist(), bits)
        np.testing.assert_array_equal(unpack(buffer, size, bits), codes)


@pytest.mark.parametrize("bits", WIDTHS)
def test_wrong_length_and_padding_are_refused(bits):
    codes = np.zeros(3, expected_dtype(bits))
    buffer = pack(codes, bits)
    with pytest.raises(FormatError, match="bytes"):
        unpack(buffer[:-1], 3, bits)
    with pytest.raises(FormatError, match="bytes"):
        unpack(buffer + b"\0", 3, bits)
    for bit in range(3 * bits % 8 or 8, 8):
        with pytest.raises(FormatError, match="must be zero"):
            unpack(buffer[:-1] + bytes([1 << bit]), 3, bits)


def test_a_huge_size_is_refused_before_anything_is_allocated():
    for bits in (1, 4, 8, 64):
        with pytest.raises(FormatError, match="buffer has 1 bytes"):
            unpack(b"\0", 1 << 34, bits)


@pytest.mark.parametrize(
    ("definition", "kernel"),
    [(pack_bits, pack_bits_kernel), (unpack_bits, unpack_bits_kernel)],
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
