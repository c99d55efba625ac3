"""Level tables: NF4 to the bit, the nearest level decided exactly, policies."""

import struct
from fractions import Fraction

import numpy as np
import pytest

from refq import formats
from refq.core.errors import DTypeError, FormatError, RangeError
from refq.formats import (
    LevelTable,
    additive_power_of_two_levels,
    normal_float_levels,
    power_of_two_levels,
)
from refq.formats.level_tables import TABLE_ROUNDINGS

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


def code_of(level, table):
    """Return the code that encoding gives to a level: both zeros get 0's."""
    wanted = level + 0.0 if level else 0.0
    return [str(v) for v in table.levels].index(str(wanted))


@pytest.mark.parametrize("table", TABLES, ids=lambda f: f.name)
def test_every_code_survives_a_round_trip(table):
    codes = np.arange(len(table.levels), dtype=table.dtype)
    want = [code_of(v, table) for v in table.levels]
    assert sum(w != c for w, c in zip(want, codes, strict=True)) == (table.name == "bnb_fp4")
    for x in (table.decode(codes), table.decode(codes).astype(np.float64)):
        for rounding in TABLE_ROUNDINGS:
            if rounding != "toward_zero" or table.name != "binary":
                np.testing.assert_array_equal(table.encode(x, rounding), want)


def neighbour(x, table, rounding):
    """Return the code in exact arithmetic, by looking at all levels."""
    exact = Fraction(x)
    levels = sorted({Fraction(v) for v in table.levels})
    exact = min(max(exact, levels[0]), levels[-1])
    low = max(v for v in levels if v <= exact)
    high = min(v for v in levels if v >= exact)
    middle = (low + high) / 2
    if table.thresholds and low != high:
        middle = next(t for t in map(Fraction, table.thresholds) if low <= t <= high and t)
    tie = {
        "half_even": low if table.ties == "down" else min(low, high, key=abs),
        "half_up": high,
        "half_away": high if abs(high) >= abs(low) else low,
    }
    if rounding in tie:
        taken = tie[rounding] if exact == middle else (low if exact < middle else high)
    elif rounding == "toward_zero":
        taken = min(low, high, key=abs)
    else:
        taken = low if rounding == "floor" else high
    if taken == 0 and x < 0 and "-0.0" in map(str, table.levels):
        return [str(v) for v in table.levels].index("-0.0")
    return code_of(float(taken), table)


@pytest.mark.parametrize("rounding", TABLE_ROUNDINGS)
@pytest.mark.parametrize("table", TABLES, ids=lambda f: f.name)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_beside_midpoints_thresholds_and_levels(table, dtype, rounding):
    ascending = np.unique(table.levels)
    middles = (ascending[:-1] + ascending[1:]) / 2
    x = np.concatenate([middles, table.thresholds, ascending]).astype(dtype)
    down, up = (np.nextafter(x, dtype(s)) for s in (-np.inf, np.inf))
    points = np.concatenate([x, down, up, dtype([-0.0, 0.0, 9.0, -9.0])])
    if rounding == "toward_zero" and table.name == "binary":
        with pytest.raises(RangeError, match="needs a zero among the levels"):
            table.encode(points, rounding)
        return
    want = [neighbour(float(p), table, rounding) for p in points]
    assert table.encode(points, rounding).tolist() == want


def test_a_tie_goes_where_the_table_says():
    levels = (-3.0, -1.0, 0.0, 1.0, 3.0)
    x = [-2.0, -0.5, 0.5, 2.0]
    assert LevelTable(levels).encode(x).tolist() == [0, 1, 2, 3]
    assert LevelTable(levels, ties="toward_zero").encode(x).tolist() == [1, 2, 2, 3]
    assert LevelTable(levels).encode(x, "half_up").tolist() == [1, 2, 3, 4]
    assert LevelTable(levels).encode(x, "half_away").tolist() == [0, 1, 3, 4]


def test_the_sign_of_zero_in_binary():
    binary = formats.get("binary")
    x = [0.0, -0.0, 5e-324, -5e-324]
    assert binary.encode(x).tolist() == [0, 0, 1, 0]
    assert binary.encode(x, "half_up").tolist() == [1, 1, 1, 0]
    assert binary.encode(x, "half_away").tolist() == [1, 1, 1, 0]


def test_levels_stand_in_the_order_of_their_codes():
    table = LevelTable([4.0, -1.0, 0.0])
    assert (table.bits, table.min, table.max) == (2, -1.0, 4.0)
    assert table.encode([-9.0, 0.1, 3.0]).tolist() == [1, 2, 0]
    assert table.reach(np.array([0, 1, 2])).tolist() == [2.0, 0.5, 2.0]


def test_stochastic_rounding_is_unbiased_between_neighbours():
    table = LevelTable([0.0, 1.0, 4.0])
    x = np.full(40_000, 1.75)  # a quarter of the way from 1 to 4
    y = table.decode(table.encode(x, np.random.default_rng(0)))
    assert set(y.tolist()) == {1.0, 4.0}
    # five standard deviations of the mean: 5 * 3 * sqrt(3 / 16) / 200
    assert abs(y.mean() - 1.75) < 0.033
    again = table.encode(x, np.random.default_rng(0))
    np.testing.assert_array_equal(table.encode(x, np.random.default_rng(0)), again)


def magnitude_code(x):
    """Decide as the published source does: nested comparisons of a float32 magnitude."""
    t = np.float32([0.29166667, 0.583333, 0.8333333, 0.4166667, 0.0859375, 0.20833333, 0.00260417])
    if x > t[0]:
        if x > t[1]:
            return 3 if x > t[2] else 2
        return 5 if x > t[3] else 4
    if x > t[4]:
        return 7 if x > t[5] else 6
    return 1 if x > t[6] else 0


def test_bnb_fp4_decides_as_published():
    table = formats.get("bnb_fp4")
    published = [0, 5.208333333e-03, 0.66666667, 1, 0.33333333, 0.5, 0.16666667, 0.25]
    assert table.levels[:8] == tuple(np.float32(published).tolist())
    assert [str(v) for v in table.levels[8:]] == [str(-v) for v in table.levels[:8]]
    near = np.array([t for t in table.thresholds if t > 0], np.float32)
    steps = (near.view(np.int32)[:, None] + np.arange(-20, 21)).astype(np.int32).ravel()
    x = np.concatenate([steps.view(np.float32), np.linspace(0, 1.1, 999, dtype=np.float32)])
    want = np.array([magnitude_code(v) for v in x])
    np.testing.assert_array_equal(table.encode(x), want)
    np.testing.assert_array_equal(table.encode(-x), np.where(x > 0, want + 8, 0))


def test_where_bnb_fp4_is_not_the_nearest():
    """0.583333 for 7/12: the float32 numbers between go up, though 1/2 is nearer."""
    table = formats.get("bnb_fp4")
    low = np.float32(0.583333).view(np.int32)
    x = (low + np.arange(-3, 12)).astype(np.int32).view(np.float32)
    half, two_thirds = Fraction(1, 2), Fraction(table.levels[2])
    farther = [
        v
        for v in x.tolist()
        if Fraction(v) - half < two_thirds - Fraction(v) and v > np.float32(0.583333)
    ]
    assert len(farther) == 5
    assert set(table.encode(np.float32(farther)).tolist()) == {2}
    nearest = LevelTable(table.levels, ties="toward_zero")
    assert set(nearest.encode(np.float32(farther)).tolist()) == {5}


@pytest.mark.parametrize("x", [1e10, np.inf, -np.inf, -1e300])
def test_what_lies_beyond_saturates_or_is_an_error(x):
    nf4 = formats.get("nf4")
    assert nf4.encode([x]).tolist() == [15 if x > 0 else 0]
    with pytest.raises(RangeError, match=r"x\[0\] = .* is outside nf4's \[-1.0, 1.0\]"):
        nf4.encode([x], overflow="error")


def test_overflow_is_judged_exactly_for_float16():
    table = LevelTable(np.float32([0.0, 0.1]))
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
        nf4.encode([0.0], rounding="odd")
    with pytest.raises(RangeError, match="nan = 'zero'"):
        nf4.encode([0.0], nan="zero")
    with pytest.raises(FormatError, match=r"codes\[1\] = 3; ternary has 3 codes"):
        formats.get("ternary").decode(np.array([0, 3], np.uint8))
    with pytest.raises(FormatError, match="-1"):
        nf4.decode(np.array([-1]))
    with pytest.raises(DTypeError, match="integers are needed"):
        nf4.decode(np.array([0.0]))


@pytest.mark.parametrize(
    ("levels", "thresholds", "ties", "message"),
    [
        ((1.0,), (), "down", "has 1 values"),
        (range(1 << 17), (), "down", "has 131072 values"),
        ((0.0, 0.0), (), "down", "two different values"),
        ((0.0, np.inf), (), "down", "finite"),
        ((0.0, 0.1), (), "down", "must be float32 values"),
        ((0.0, 1.0), (0.5, 0.7), "down", "thresholds must be 1 numbers"),
        ((0.0, 1.0), (1.5,), "down", "one between each two neighbours"),
        ((0.0, 1.0, 2.0), (1.5, 0.5), "down", "one between each two neighbours"),
        ((0.0, 1.0), (), "up", "ties = 'up'"),
    ],
)
def test_a_table_that_cannot_be(levels, thresholds, ties, message):
    with pytest.raises(RangeError, match=message):
        LevelTable(levels, thresholds, ties)


@pytest.mark.parametrize("bits", range(2, 8))
@pytest.mark.parametrize("signed", [True, False])
def test_powers_of_two(bits, signed):
    levels = power_of_two_levels(bits, largest=1, signed=signed)
    assert LevelTable(levels).bits == bits
    positive = [v for v in levels if v > 0]
    assert positive == [2.0 ** (2 - len(positive) + i) for i in range(len(positive))]
    assert len(levels) == (1 << bits) - signed


def test_a_power_of_two_is_at_most_a_third_away():
    levels = power_of_two_levels(4)
    table = LevelTable(levels)
    x = np.array([v for v in np.linspace(2.0**-6, 1, 999) if v] + [0.75, 0.375, 1.5 * 2.0**-6])
    error = np.abs(table.decode(table.encode(x)) - x)
    assert (error <= x / 3).all()
    assert (error == x / 3).any()  # 0.75 lies there


def test_sums_of_powers_of_two():
    for terms, bits in [(1, 3), (2, 2), (2, 1), (4, 1), (2, 3)]:
        levels = additive_power_of_two_levels(terms, bits, signed=False)
        assert len(set(levels)) == 1 << (terms * bits)
        assert LevelTable(levels).bits == terms * bits
    assert additive_power_of_two_levels(1, 3, False) == power_of_two_levels(3, signed=False)
    assert additive_power_of_two_levels(4, 1, False) == tuple(i / 8 for i in range(16))
    # two bits for each of two terms: {0, 1, 1/4, 1/16} + {0, 1/2, 1/8, 1/32}
    sums = {a + b for a in (0, 1, 1 / 4, 1 / 16) for b in (0, 1 / 2, 1 / 8, 1 / 32)}
    assert set(additive_power_of_two_levels()) == sums | {-v for v in sums}


@pytest.mark.parametrize(
    "call",
    [
        lambda: power_of_two_levels(1),
        lambda: power_of_two_levels(9),
        lambda: power_of_two_levels(8, -23, signed=False),
        lambda: additive_power_of_two_levels(4, 2),
        lambda: additive_power_of_two_levels(0, 2),
        lambda: additive_power_of_two_levels(2, 5),
    ],
)
def test_level_lists_that_cannot_be(call):
    with pytest.raises(RangeError):
        call()


def test_zero_dimensions_stay():
    nf4 = formats.get("nf4")
    code = nf4.encode(0.5)
    assert isinstance(code, np.ndarray)
    assert code.shape == ()
    assert isinstance(nf4.decode(code), np.ndarray)
