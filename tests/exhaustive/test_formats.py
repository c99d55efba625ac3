"""Every bfloat16 and every float16 number into every format of 8 bits or fewer, every rounding.

The oracle reads sign, significand and exponent out of the bits of the input and rounds in int64, by
shifts and remainders; a second oracle, in Fractions and by search, judges the first on a sample.
The formats' parameters stand here a second time, as codes in hexadecimal.
"""

from bisect import bisect_right
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from refq import formats
from refq.core.errors import RangeError
from refq.core.rounding import ROUNDINGS

pytestmark = pytest.mark.exhaustive

# mantissa bits, bias, code of max, of infinity, of NaN, whether there is -0
FLOATS = {
    "float8_e4m3fn": (3, 7, 0x7E, None, 0x7F, True),
    "float8_e4m3fnuz": (3, 8, 0x7F, None, 0x80, False),
    "float8_e5m2": (2, 15, 0x7B, 0x7C, 0x7E, True),
    "float8_e5m2fnuz": (2, 16, 0x7F, None, 0x80, False),
    "float8_e3m4": (4, 3, 0x6F, 0x70, 0x78, True),
    "float8_e4m3b11fnuz": (3, 11, 0x7F, None, 0x80, False),
    "float6_e2m3fn": (3, 1, 0x1F, None, None, True),
    "float6_e3m2fn": (2, 3, 0x1F, None, None, True),
    "float4_e2m1fn": (1, 1, 0x7, None, None, True),
}
INTEGERS = [f"{kind}{bits}" for kind in ("int", "uint") for bits in range(1, 9)]
TABLES = ["nf4", "bnb_fp4", "binary", "ternary", "pot4", "apot5"]
TABLE_ROUNDINGS = ["half_even", "half_away", "half_up", "toward_zero", "floor", "ceil"]
SMALL = {name for name, form in formats.FORMATS.items() if form.bits <= 8}


class Numbers:
    """All numbers of a 16-bit source: the array, and (-1)^negative * m * 2^e from its bits."""

    def __init__(self, mantissa_bits, array):
        codes = np.arange(1 << 16, dtype=np.int64)
        rest = codes & 0x7FFF
        field, low = rest >> mantissa_bits, rest & ((1 << mantissa_bits) - 1)
        last = 0x7FFF >> mantissa_bits
        self.negative = codes >= 0x8000
        self.nan = (field == last) & (low > 0)
        self.infinite = (field == last) & (low == 0)
        finite = field < last
        self.m = np.where(finite, low + ((field > 0) << mantissa_bits), 0)
        self.e = np.maximum(field, 1) - (last >> 1) - mantissa_bits
        self.array = array
        # floor(log2 m), by counting
        self.top = sum((self.m >= 1 << k).astype(np.int64) for k in range(1, mantissa_bits + 1))

    def fraction(self, i):
        sign = -1 if self.negative[i] else 1
        return sign * Fraction(int(self.m[i])) * Fraction(2) ** int(self.e[i])


_ALL = np.arange(1 << 16, dtype=np.uint32)
SOURCES = {
    "bfloat16": Numbers(7, (_ALL << 16).view(np.float32)),
    "float16": Numbers(10, _ALL.astype(np.uint16).view(np.float16)),
}


def rounded(rule, negative, low_is_odd, remainder, shift):
    """Return whether the larger magnitude is taken; the fraction is remainder / 2^shift."""
    inexact = remainder > 0
    side = np.sign(2 * remainder - (np.int64(1) << shift))
    up = {
        "half_even": (side > 0) | ((side == 0) & low_is_odd),
        "half_away": side >= 0,
        "half_up": (side > 0) | ((side == 0) & ~negative),
        "toward_zero": False,
        "floor": negative,
        "ceil": ~negative,
        "odd": ~low_is_odd,
    }[rule]
    return inexact & up


def above_zero(source, rule, mantissa_bits, bias):
    """Return how many codes |x| is above zero in the format without an upper end."""
    least = 1 - bias
    exponent = np.maximum(source.top + source.e, least)
    shift = np.clip(exponent - mantissa_bits - source.e, -20, 40)
    right, left = np.maximum(shift, 0), np.maximum(-shift, 0)
    whole = (source.m << left) >> right
    remainder = np.where(right > 0, source.m - (whole << right), 0)
    low = ((exponent - least) << mantissa_bits) + whole
    low = np.where(source.m == 0, 0, low)
    return low + rounded(rule, source.negative, low % 2 == 1, remainder, right)


def above_zero_by_search(x, rule, mantissa_bits, bias):
    """Return the same for one Fraction, by search among the values of all codes."""
    size = 1 << mantissa_bits

    def value(code):
        field, mantissa = divmod(code, size)
        return Fraction(mantissa + (size if field else 0), size) * Fraction(2) ** (
            max(field, 1) - bias
        )

    magnitude, codes = abs(x), range(1, 330 << mantissa_bits)
    low = bisect_right(codes, magnitude, key=value)  # code `low` is the last not above
    a, b = value(low), value(low + 1)
    if a == magnitude:
        return low
    nearer_b, tie = magnitude - a > b - magnitude, magnitude - a == b - magnitude
    return (
        low
        + {
            "half_even": nearer_b or (tie and low % 2 == 1),
            "half_away": nearer_b or tie,
            "half_up": nearer_b or (tie and x > 0),
            "toward_zero": False,
            "floor": x < 0,
            "ceil": x > 0,
            "odd": low % 2 == 0,
        }[rule]
    )


def check_policies(form, source, rule, codes, beyond, specials):
    """Compare `encode` under every overflow policy that the format has."""
    x, some = source.array[~source.nan], ~source.nan
    np.testing.assert_array_equal(form.encode(x, rule), codes[some])
    fits = some & ~beyond
    got = form.encode(source.array[fits], rule, overflow="error")
    np.testing.assert_array_equal(got, codes[fits])
    for i in np.flatnonzero(some & beyond)[:: max(1, int(beyond.sum()) // 5)]:
        with pytest.raises(RangeError):
            form.encode(source.array[i : i + 1], rule, overflow="error")
    for policy, special in specials.items():
        want = np.where(beyond, special, codes)[some]
        np.testing.assert_array_equal(form.encode(x, rule, overflow=policy), want)


@pytest.mark.parametrize("rule", ROUNDINGS)
@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("source", SOURCES.values(), ids=list(SOURCES))
def test_minifloats(source, name, rule):
    mantissa_bits, bias, last, infinity, nan, minus_zero = FLOATS[name]
    form = formats.get(name)
    above = above_zero(source, rule, mantissa_bits, bias)
    beyond = (above > last) | source.infinite
    magnitude = np.where(beyond, last, above)
    sign = 1 << (form.bits - 1)
    codes = magnitude + sign * (source.negative & ((magnitude > 0) | minus_zero))
    specials = {}
    if infinity is not None:
        specials["infinity"] = infinity + sign * source.negative
    if nan is not None:
        specials["nan"] = nan
        kept = form.encode(source.array, rule, nan="keep")
        np.testing.assert_array_equal(kept, np.where(source.nan, nan, codes))
    check_policies(form, source, rule, codes, beyond, specials)


@pytest.mark.parametrize("rule", ROUNDINGS)
@pytest.mark.parametrize("source", SOURCES.values(), ids=list(SOURCES))
def test_powers_of_two(source, rule):
    exponent = source.top + source.e
    low = exponent + 127
    remainder = source.m - (np.int64(1) << source.top)
    codes = low + rounded(rule, source.negative, low % 2 == 1, remainder, source.top)
    none = (source.m == 0) | source.negative  # zero and what is negative lie below the least value
    beyond = none | (codes < 0) | (codes > 254) | source.infinite
    codes = np.where(source.infinite & ~source.negative, 254, np.where(none, 0, codes))
    codes = codes.clip(0, 254)
    check_policies(formats.get("float8_e8m0fnu"), source, rule, codes, beyond, {"nan": 255})


@pytest.mark.parametrize("name", INTEGERS)
@pytest.mark.parametrize("source", SOURCES.values(), ids=list(SOURCES))
def test_integers(source, name):
    form, bits = formats.get(name), int(name.lstrip("uint"))
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if name[0] == "i" else (0, (1 << bits) - 1)
    right, left = np.clip(-source.e, 0, 40), np.clip(source.e, 0, 20)
    whole = (source.m << left) >> right
    remainder = np.where(right > 0, source.m - (whole << right), 0)
    for rule in ROUNDINGS:
        n = whole + rounded(rule, source.negative, whole % 2 == 1, remainder, right)
        n = np.where(source.infinite, 1 << 30, n) * np.where(source.negative, -1, 1)
        beyond = (n < low) | (n > high)
        check_policies(form, source, rule, n.clip(low, high), beyond, {})


def in_steps(number):
    """Return a float as an integer of steps of 2^-60, which must hold it."""
    exact = Fraction(number) * 2**60
    assert exact.denominator == 1
    return int(exact)


def taken(rule, x, levels, thresholds, ties):
    """Return which of the ascending levels is taken; integers throughout."""
    low = np.maximum(sum((x >= v).astype(np.int64) for v in levels) - 1, 0)
    high = np.minimum(low + 1, len(levels) - 1)
    a, b = np.array(levels)[low], np.array(levels)[high]
    middle = np.array([*thresholds, 1 << 62])[low]
    tie_up = {
        "half_even": (middle <= 0) & (ties == "toward_zero"),
        "half_away": abs(b) >= abs(a),
        "half_up": True,
    }
    if rule in tie_up:
        up = (x > middle) | ((x == middle) & tie_up[rule])
    else:
        up = {"toward_zero": x < 0, "floor": False, "ceil": True}[rule] & (x > a)
    return np.where(up, high, low)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("source", SOURCES.values(), ids=list(SOURCES))
def test_level_tables(source, name):
    form = formats.get(name)
    by_level = {in_steps(v): code for code, v in enumerate(form.levels) if str(v) != "-0.0"}
    minus_zero = [code for code, v in enumerate(form.levels) if str(v) == "-0.0"]
    levels = sorted(by_level)
    thresholds = [(a + b) // 2 for a, b in pairwise(levels)]
    assert all((a + b) % 2 == 0 for a, b in pairwise(levels))
    if form.thresholds:  # the one at zero lies between -0 and 0
        thresholds = [in_steps(t) for t in form.thresholds if t]
    # what is smaller than 2^-60 lies on the same side of every midpoint as a nearer number does
    up = np.clip(source.e + 60, -40, 61 - source.top)
    x = np.where(up >= 0, source.m << np.maximum(up, 0), source.m >> np.maximum(-up, 0))
    x = np.where(source.infinite, 1 << 61, np.maximum(x, source.m > 0))
    x = np.where(source.negative, -x, x)
    beyond = (x < levels[0]) | (x > levels[-1])
    for rule in TABLE_ROUNDINGS:
        if rule == "toward_zero" and 0 not in by_level:
            with pytest.raises(RangeError, match="needs a zero"):
                form.encode(source.array[:1], rule)
            continue
        rank = taken(rule, x, levels, thresholds, form.ties)
        codes = np.array([by_level[v] for v in levels])[rank]
        if minus_zero:
            zero = codes == by_level[0]
            codes = np.where(zero & (x < 0), minus_zero[0], codes)
        check_policies(form, source, rule, codes, beyond, {})
    with pytest.raises(RangeError, match="rounding = 'odd'"):
        form.encode(source.array[:1], "odd")


@pytest.mark.parametrize("rule", ROUNDINGS)
@pytest.mark.parametrize("name", FLOATS)
def test_the_oracle_against_fractions(name, rule):
    mantissa_bits, bias = FLOATS[name][:2]
    for number, source in enumerate(SOURCES.values()):
        above = above_zero(source, rule, mantissa_bits, bias)
        finite = np.flatnonzero(~source.nan & ~source.infinite)
        for i in finite[number::1327]:
            want = above_zero_by_search(source.fraction(i), rule, mantissa_bits, bias)
            assert above[i] == want, (name, rule, source.fraction(i))


def test_no_small_format_is_left_out():
    assert {*FLOATS, *INTEGERS, *TABLES, "float8_e8m0fnu"} == SMALL


@pytest.mark.parametrize("form", formats.FORMATS.values(), ids=lambda f: f.name)
def test_every_code_of_every_format_round_trips(form):
    """Values back to their codes, under every rounding; NaN codes give the one canonical NaN."""
    if form.bits > 16:
        patterns = np.arange(0, 1 << 32, 65_521, dtype=np.uint64).astype(f"u{form.bits // 8}")
    else:
        patterns = np.arange(1 << form.bits, dtype=f"u{form.dtype.itemsize}")
    if isinstance(form, formats.LevelTable):
        # -0 is no canonical code: zero has its own
        patterns = patterns[[i for i, v in enumerate(form.levels) if str(v) != "-0.0"]]
    codes = form.from_patterns(patterns)
    values = form.decode(codes)
    with np.errstate(invalid="ignore"):
        finite = np.isfinite(values)
    rules = ["half_even"] if isinstance(form, formats.NativeFloat) else list(ROUNDINGS)
    if isinstance(form, formats.LevelTable):
        rules = [r for r in TABLE_ROUNDINGS if 0.0 in form.levels or r != "toward_zero"]
    for rule in rules:
        got = form.encode(values[finite], rule, overflow="error")
        np.testing.assert_array_equal(got, codes[finite])
    if isinstance(form, formats.SmallFloat):
        special = form.decode(np.array([*form.special_codes.values()], form.dtype))
        assert not np.isfinite(special).any()
        if "infinity" in form.special_codes:
            endless = np.isinf(values)
            assert endless.sum() == 2
            got = form.encode(values[endless], overflow="infinity")
            np.testing.assert_array_equal(got, codes[endless])
        if "nan" in form.special_codes:
            got = form.encode(values[np.isnan(values)], nan="keep")
            assert set(got.tolist()) == {form.special_codes["nan"]}
