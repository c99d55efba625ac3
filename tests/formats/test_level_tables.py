"""Level tables: NF4 to the bit, the nearest level decided exactly, policies."""

import struct
from fractions import Fraction

import numpy as np
import pytest

from refq import formats
from refq.core.errors import DTypeError, FormatError, RangeError
from refq.formats import LevelTable, normal_float_levels

#: as bitsandbytes lists them
PUBLISHED = (
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
)
TABLES = [f for f in formats.FORMATS.values() if isinstance(f, LevelTable)]


def test_nf4_is_the_published_list_to_the_bit():
    ours = [struct.pack("<f", v) for v in normal_float_levels()]
    assert ours == [struct.pack("<f", v) for v in PUBLISHED]
    assert formats.get("nf4").values.tobytes() == np.array(PUBLISHED, "<f4").tobytes()


def test_the_two_small_tables():
    assert formats.get("binary").levels == (-1.0, 1.0)
    assert formats.get("ternary").levels == (-1.0, 0.0, 1.0)
    assert np.isnan(formats.get("ternary").values[3])


@pytest.mark.parametrize("table", TABLES, ids=lambda f: f.name)
def test_every_code_survives_a_round_trip(table):
    codes = np.arange(len(table.levels), dtype=table.dtype)
    for x in (table.decode(codes), table.decode(codes).astype(np.float64)):
        np.testing.assert_array_equal(table.encode(x), codes)


def nearest(x, levels):
    """Return the code of the nearest level in exact arithmetic, the lower one on a tie."""
    distances = [abs(Fraction(x) - Fraction(v)) for v in levels]
    return distances.index(min(distances))


@pytest.mark.parametrize("table", TABLES, ids=lambda f: f.name)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_midpoints_and_their_neighbours_go_to_the_nearest_level(table, dtype):
    middles = (np.array(table.levels)[:-1] + np.array(table.levels)[1:]) / 2
    x = middles.astype(dtype)
    down, up = (np.nextafter(x, dtype(s)) for s in (-np.inf, np.inf))
    points = np.concatenate([x, down, up, np.array(table.levels, dtype)])
    want = [nearest(float(p), table.levels) for p in points]
    assert table.encode(points).tolist() == want


def test_a_tie_goes_to_the_lower_code():
    table = LevelTable("t", 2, (0.0, 1.0, 3.0))
    assert table.encode([0.5, 2.0]).tolist() == [0, 1]


@pytest.mark.parametrize("x", [1e10, np.inf, -np.inf, -1e300])
def test_what_lies_beyond_saturates_or_is_an_error(x):
    nf4 = formats.get("nf4")
    assert nf4.encode([x]).tolist() == [15 if x > 0 else 0]
    with pytest.raises(RangeError, match=r"x\[0\] = .* is outside nf4's \[-1.0, 1.0\]"):
        nf4.encode([x], overflow="error")


def test_overflow_is_judged_exactly_for_float16():
    table = LevelTable("tenth", 1, (0.0, float(np.float32(0.1))))
    x = np.float16([0.1])  # 0.0999755859375, below the float32 level
    assert table.encode(x, overflow="error").tolist() == [1]
    above = np.nextafter(np.float16(0.1), np.float16(1))
    with pytest.raises(RangeError, match="is outside"):
        table.encode(np.array([above]), overflow="error")


def test_nan_other_roundings_and_codes_past_the_table_are_errors():
    nf4 = formats.get("nf4")
    with pytest.raises(RangeError, match=r"x\[1\] = nan must not be nan"):
        nf4.encode([0.0, np.nan])
    with pytest.raises(RangeError, match="rounding"):
        nf4.encode([0.0], rounding="floor")
    with pytest.raises(RangeError, match="nan = 'zero'"):
        nf4.encode([0.0], nan="zero")
    with pytest.raises(FormatError, match=r"codes\[1\] = 3; ternary has 3 codes"):
        formats.get("ternary").decode(np.array([0, 3], np.uint8))
    with pytest.raises(FormatError, match="-1"):
        nf4.decode(np.array([-1]))
    with pytest.raises(DTypeError, match="integers are needed"):
        nf4.decode(np.array([0.0]))


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ((1.0,), "has 1 values"),
        ((0.0, 1.0, 2.0, 3.0, 4.0), "has 5 values"),
        ((0.0, 0.0), "strictly ascending"),
        ((1.0, 0.0), "strictly ascending"),
        ((0.0, np.inf), "finite"),
        ((0.0, 0.1), "must be float32 values"),
    ],
)
def test_a_table_that_cannot_be(levels, message):
    with pytest.raises(RangeError, match=message):
        LevelTable("bad", 2, levels)


def test_zero_dimensions_stay():
    nf4 = formats.get("nf4")
    code = nf4.encode(0.5)
    assert isinstance(code, np.ndarray)
    assert code.shape == ()
    assert isinstance(nf4.decode(code), np.ndarray)
