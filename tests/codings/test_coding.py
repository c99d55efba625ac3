"""What every coding promises, whichever it is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.codings import CODINGS, Coding, get
from refq.codings.coding import check_codes
from refq.core.checks import MAX_ELEMENTS
from refq.core.errors import DTypeError, FormatError, LimitError, RangeError, ShapeError

NAMES = sorted(CODINGS)
#: one small array per coding and shape of stream; bits 1 so that every coding takes it
MASKS = {
    "one bit": [1],
    "zeros": [0] * 40,
    "ones": [1] * 40,
    "sparse": [int(i in (3, 77, 150, 151, 290)) for i in range(300)],
    "dense": [int(i not in (3, 77, 150)) for i in range(200)],
    "mixed": [0, 1, 1, 0, 1, 0, 0, 1, 1],
}


def mask(key):
    return np.array(MASKS[key], np.uint8)


@pytest.mark.parametrize("name", NAMES)
def test_get_by_name_or_value(name):
    assert get(name).name == name
    assert get(get(name)) is get(name)


def test_get_unknown_lists_the_names():
    with pytest.raises(RangeError, match=r"'zip' is unknown; there are gaps, huffman, rans, raw"):
        get("zip")


@pytest.mark.parametrize("name", NAMES)
def test_empty_costs_nothing(name):
    coding = get(name)
    empty = np.zeros(0, np.uint8)
    assert coding.write(empty, 1) == (b"", 0)
    assert coding.nbits(empty, 1) == 0
    back = coding.read(b"", 0, 1)
    assert back.dtype == np.uint8
    assert back.shape == (0,)
    with pytest.raises(FormatError):
        coding.read(b"\0", 0, 1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", MASKS)
def test_round_trip_and_count(name, key):
    coding, codes = get(name), mask(key)
    buffer, nbits = coding.write(codes, 1)
    assert type(buffer) is bytes
    assert 0 <= 8 * len(buffer) - nbits < 8
    assert nbits == coding.nbits(codes, 1) == Coding.nbits(coding, codes, 1)
    back = coding.read(buffer, codes.size, 1)
    assert back.dtype == np.uint8
    assert back.flags.writeable
    np.testing.assert_array_equal(back, codes)
    np.testing.assert_array_equal(coding.read(memoryview(bytearray(buffer)), codes.size, 1), codes)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", MASKS)
def test_every_truncation_and_extension_is_refused(name, key):
    coding, codes = get(name), mask(key)
    buffer, _ = coding.write(codes, 1)
    for end in range(len(buffer)):
        with pytest.raises(FormatError):
            coding.read(buffer[:end], codes.size, 1)
    for tail in (b"\0", b"\1", bytes(9)):
        with pytest.raises(FormatError):
            coding.read(buffer + tail, codes.size, 1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", MASKS)
def test_every_bit_flip_is_refused_or_another_array(name, key):
    coding, codes = get(name), mask(key)
    buffer, nbits = coding.write(codes, 1)
    for i in range(8 * len(buffer)):
        broken = bytearray(buffer)
        broken[i // 8] ^= 1 << i % 8
        try:
            back = coding.read(bytes(broken), codes.size, 1)
        except FormatError:
            continue
        assert i < nbits  # a flip in the padding is always refused
        assert back.shape == codes.shape
        assert back.dtype == np.uint8
        assert back.max() <= 1
        assert (back != codes).any()  # so it is for these streams: a flip is never silent


@pytest.mark.parametrize("name", NAMES)
@given(data=st.binary(max_size=12), size=st.integers(0, 70), bits=st.sampled_from([1, 2, 5, 33]))
def test_any_bytes_are_refused_or_an_array(name, data, size, bits):
    if name == "gaps" and bits > 1:
        return
    try:
        codes = get(name).read(data, size, bits)
    except FormatError:
        return
    assert codes.shape == (size,)
    assert codes.dtype == np.uint64 if bits > 32 else codes.dtype == np.uint8
    again, nbits = get(name).write(codes, bits)
    assert nbits == get(name).nbits(codes, bits)
    np.testing.assert_array_equal(get(name).read(again, size, bits), codes)


@pytest.mark.parametrize("name", NAMES)
def test_sizes_that_are_not_allowed(name):
    with pytest.raises(RangeError, match="size = -1"):
        get(name).read(b"", -1, 1)
    with pytest.raises(LimitError, match="size = "):
        get(name).read(b"\0", MAX_ELEMENTS + 1, 1)
    with pytest.raises(DTypeError, match="buffer is a str"):
        get(name).read("text", 1, 1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bits", [0, 65, -1, 1.0, True, "8"])
def test_bits_that_are_not_allowed(name, bits):
    codes = np.zeros(1, np.uint8)
    for call in (get(name).write, get(name).nbits):
        with pytest.raises(RangeError, match="bits"):
            call(codes, bits)
    with pytest.raises(RangeError, match="bits"):
        get(name).read(b"\0", 1, bits)


@pytest.mark.parametrize("name", NAMES)
def test_codes_that_are_not_allowed(name):
    coding = get(name)
    for call in (coding.write, coding.nbits):
        with pytest.raises(ShapeError, match=r"shape \(1, 1\)"):
            call(np.zeros((1, 1), np.uint8), 1)
        with pytest.raises(DTypeError, match="int8"):
            call(np.zeros(1, np.int8), 1)
        with pytest.raises(DTypeError, match="float32"):
            call(np.zeros(1, np.float32), 1)
        with pytest.raises(RangeError, match=r"codes\[1\] = 2 does not fit in 1 bits"):
            call(np.array([1, 2, 3], np.uint8), 1)


@pytest.mark.parametrize("bits", [1, 7, 8, 9, 31, 32, 33, 63, 64])
def test_largest_code_and_one_past_it(bits):
    top = (1 << bits) - 1
    assert check_codes(np.array([0, top], np.uint64), bits)[1] == top
    if bits < 64:
        with pytest.raises(RangeError, match=rf"codes\[1\] = {top + 1}"):
            check_codes(np.array([0, top + 1], np.uint64), bits)


@pytest.mark.parametrize("name", NAMES)
def test_layout_of_the_array_does_not_matter(name):
    plain = mask("sparse")
    expected = get(name).write(plain, 1)
    spread = np.zeros(2 * plain.size, np.uint8)
    spread[::2] = plain
    frozen = plain.copy()
    frozen.flags.writeable = False
    variants = (spread[::2], plain[::-1].copy()[::-1], plain.astype(">u4"), plain == 1, frozen)
    for variant in variants:
        assert get(name).write(variant, 1) == expected
    np.testing.assert_array_equal(frozen, mask("sparse"))
