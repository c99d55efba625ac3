"""float16, float32, float64: one rounding, every pattern survives, policies."""

import struct
from fractions import Fraction

import numpy as np
import pytest

from refq import formats
from refq.core.errors import FormatError, RangeError

HALF = formats.get("float16")
FLOATS = [formats.get(f"float{b}") for b in (16, 32, 64)]


def half_value(pattern):
    """Return what a finite float16 pattern means, from its fields, as a Fraction."""
    exponent, fraction = (pattern >> 10) & 31, pattern & 1023
    magnitude = (
        Fraction(1024 + fraction, 1024) * Fraction(2) ** (exponent - 15)
        if exponent
        else Fraction(fraction, 1024) * Fraction(2) ** -14
    )
    return -magnitude if pattern >> 15 else magnitude


def test_every_finite_float16_means_what_its_fields_say():
    patterns = np.arange(1 << 16, dtype=np.uint16)
    values = HALF.values
    finite = np.isfinite(values)
    assert int((~finite).sum()) == 2 * 1024
    step = 17  # a Fraction for each of 63,488 patterns would take a second; 17 is odd
    for p in patterns[finite][::step].tolist():
        assert Fraction(float(values[p])) == half_value(p)
    np.testing.assert_array_equal(HALF.encode(values[finite], overflow="error"), patterns[finite])


def test_nan_and_infinity_patterns_decode_and_survive():
    codes = np.array([0x7C00, 0xFC00, 0x7E01, 0x8000], np.uint16)
    values = HALF.decode(codes)
    assert values[:2].tolist() == [np.inf, -np.inf]
    assert np.isnan(values[2])
    assert np.signbit(values[3])
    kept = HALF.encode(values, overflow="infinity", nan="keep")
    assert kept[[0, 1, 3]].tolist() == codes[[0, 1, 3]].tolist()


@pytest.mark.parametrize("sign", [1, -1])
def test_float64_is_rounded_once(sign):
    """Midpoints times (1 +- 2^-40) lie on one side; a detour over float32 makes ties of them."""
    for low in [*range(0, 0x7BFF, 331), 0, 1, 0x3FF, 0x400, 0x7BFE]:
        middle = (half_value(low) + half_value(low + 1)) / 2
        x = [float(middle * (1 + k * Fraction(1, 2**40))) * sign for k in (-1, 0, 1)]
        want = [low, low if low % 2 == 0 else low + 1, low + 1]
        top = 0 if sign > 0 else 1 << 15
        assert HALF.encode(np.array(x)).tolist() == [w | top for w in want], low


@pytest.mark.parametrize("form", FLOATS, ids=lambda f: f.name)
def test_codes_are_the_bytes_that_struct_writes(form):
    letters = {16: "e", 32: "f", 64: "d"}[form.bits]
    x = np.array([0.0, -0.0, 1.0, -2.5, 0.5, 2.0**-14, 2.0**-24, 65504.0])
    want = [int.from_bytes(struct.pack(f"<{letters}", v), "little") for v in x.tolist()]
    assert form.encode(x).tolist() == want
    assert form.decode(form.encode(x)).dtype == form.value_dtype


def test_overflow_policies():
    assert HALF.decode(HALF.encode([1e10, -1e300, np.inf])).tolist() == [65504, -65504, 65504]
    assert HALF.decode(HALF.encode([65519.99, 65520.0])).tolist() == [65504, 65504]
    assert HALF.decode(HALF.encode([65520.0], overflow="infinity")).tolist() == [np.inf]
    assert HALF.decode(HALF.encode([65519.99], overflow="error")).tolist() == [65504]
    with pytest.raises(RangeError, match=r"x\[1\] = 65520.0 overflows float16, whose largest"):
        HALF.encode([0.0, 65520.0], overflow="error")
    with pytest.raises(RangeError, match="overflow = 'wrap'"):
        HALF.encode([0.0], overflow="wrap")


def test_nan_is_an_error_unless_kept():
    with pytest.raises(RangeError, match=r"x\[0, 1\] = nan must not be nan"):
        HALF.encode([[0.0, np.nan]])
    assert np.isnan(HALF.decode(HALF.encode([np.nan], nan="keep"))).all()


def test_only_half_even_is_defined():
    with pytest.raises(RangeError, match="rounding = 'floor'"):
        HALF.encode([0.1], rounding="floor")


@pytest.mark.parametrize(
    "codes", [np.array([-1, 5]), np.array([1 << 16]), np.array([0.5]), np.array([1 << 40])]
)
def test_codes_that_are_no_patterns(codes):
    with pytest.raises(FormatError, match="unsigned integers of 16 bits"):
        HALF.decode(codes)


def test_big_endian_codes_and_underflow_under_strict_errors():
    codes = np.array([0x3C00, 0x4000], ">u2")
    assert HALF.decode(codes).tolist() == [1.0, 2.0]
    with np.errstate(all="raise"):
        assert HALF.encode([1e-300]).tolist() == [0]


@pytest.mark.parametrize("form", FLOATS, ids=lambda f: f.name)
def test_integers_are_numbers_too(form):
    assert form.decode(form.encode(np.array([2047, -3], np.int64))).tolist() == [2047, -3]
    with pytest.raises(ValueError, match="values lists"):
        _ = formats.get("float32").values
