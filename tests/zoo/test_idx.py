"""IDX files: every dtype, every truncation, and sizes that must not be believed."""

import gzip
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import FormatError, LimitError
from refq.zoo.idx import decode_idx, gunzip, read_idx, read_plain

CODES = {0x08: "B", 0x09: "b", 0x0B: "h", 0x0C: "i", 0x0D: "f", 0x0E: "d"}
RANGES = {"B": (0, 255), "b": (-128, 127), "h": (-(2**15), 2**15 - 1), "i": (-(2**31), 2**31 - 1)}


def idx_bytes(code, shape, values):
    """Write an IDX file with `struct`, after the format's text."""
    head = bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
    return head + struct.pack(f">{len(values)}{CODES[code]}", *values)


SMALL = idx_bytes(0x0B, (2, 3), [1, -2, 3, -4, 5, -6])


@st.composite
def files(draw):
    code = draw(st.sampled_from(sorted(CODES)))
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    size = int(np.prod(shape, dtype=int))
    low, high = RANGES.get(CODES[code], (-(2**20), 2**20))
    values = draw(st.lists(st.integers(low, high), min_size=size, max_size=size))
    return code, shape, values


@given(files())
def test_what_struct_writes_is_read(file):
    code, shape, values = file
    array = decode_idx(idx_bytes(code, shape, values))
    assert array.shape == tuple(shape)
    assert array.dtype == np.dtype(CODES[code])  # native byte order
    assert array.reshape(-1).tolist() == values


def test_every_truncation_is_refused(tmp_path):
    path = tmp_path / "cut"
    for buffer in (SMALL, gzip.compress(SMALL, mtime=0)):
        for n in range(len(buffer)):
            path.write_bytes(buffer[:n])
            with pytest.raises(FormatError):
                read_idx(path)


def test_every_flipped_bit_of_a_gzip_file_is_refused_or_harmless(tmp_path):
    whole, path = gzip.compress(SMALL, mtime=0), tmp_path / "flipped"
    for i in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[i // 8] ^= 1 << i % 8
        path.write_bytes(damaged)
        try:
            got = read_idx(path)
        except (FormatError, LimitError):
            continue
        # time and system in the header, and the padding of the last deflate byte, say nothing
        np.testing.assert_array_equal(got, decode_idx(SMALL))


@pytest.mark.parametrize("tail", [b"\0", b"anything"])
def test_trailing_bytes_are_refused(tmp_path, tail):
    path = tmp_path / "long"
    packed = gzip.compress(SMALL)
    for buffer in (SMALL + tail, gzip.compress(SMALL + tail), packed + tail, packed + packed):
        path.write_bytes(buffer)
        with pytest.raises(FormatError, match=r"trailing|after the gzip stream"):
            read_idx(path)


@pytest.mark.parametrize("magic", [b"", b"\0\0\x08", b"\1\0\x08\0", b"\0\1\x08\0", b"\0\0\x0a\0"])
def test_a_wrong_magic_is_refused(magic):
    with pytest.raises(FormatError, match="begins with"):
        decode_idx(magic + b"\0" if len(magic) == 4 else magic)


def test_huge_claims_are_refused_before_anything_is_allocated():
    head = bytes([0, 0, 0x0E, 4]) + b"\xff" * 16  # 2^128 doubles
    with pytest.raises(LimitError, match="claims shape"):
        decode_idx(head)
    with pytest.raises(LimitError, match="200 axes"):
        decode_idx(bytes([0, 0, 8, 200]) + b"\0\0\0\1" * 200 + b"\7")


def test_the_limit_and_one_past_it():
    assert decode_idx(SMALL, len(SMALL)).size == 6
    with pytest.raises(LimitError):
        decode_idx(SMALL, len(SMALL) - 1)
    packed = gzip.compress(SMALL)
    assert gunzip(packed, len(SMALL)) == SMALL
    with pytest.raises(LimitError):
        gunzip(packed, len(SMALL) - 1)


def test_a_bomb_is_not_unpacked(tmp_path):
    packer = zlib.compressobj(9, wbits=31)
    zeros = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    path = tmp_path / "bomb"
    path.write_bytes(zeros)
    assert len(zeros) < 1 << 17
    tracemalloc.start()
    with pytest.raises(LimitError, match="more than 1000 bytes"):
        gunzip(zeros, 1000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20  # of 64 MiB
    with pytest.raises(LimitError):
        read_plain(path, 1 << 20)


def test_a_long_file_is_not_read(tmp_path):
    path = tmp_path / "long"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # sparse: reading it would take a terabyte
    with pytest.raises(LimitError, match="has 1099511627776 bytes"):
        read_idx(path)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(FormatError, match="is no file"):
        read_idx(tmp_path)
