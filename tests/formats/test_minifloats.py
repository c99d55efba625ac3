"""Small floats: published anchors, any parameters against Fractions, one rounding, policies."""

import tracemalloc
from bisect import bisect_right
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from refq import formats
from refq.core.errors import DTypeError, FormatError, RangeError
from refq.core.rounding import ROUNDINGS
from refq.core.twins import jit_enabled
from refq.formats import Minifloat, PowersOfTwo
from refq.formats.minifloats import CHUNK

E4M3 = formats.get("float8_e4m3fn")
E5M2 = formats.get("float8_e5m2")
E8M0 = formats.get("float8_e8m0fnu")

# largest, smallest normal, smallest above zero, how many NaN codes: from the formats' own texts
PUBLISHED = {
    "bfloat16": (3.3895313892515355e38, 2.0**-126, 2.0**-133, 254),
    "float8_e4m3fn": (448, 2.0**-6, 2.0**-9, 2),
    "float8_e4m3fnuz": (240, 2.0**-7, 2.0**-10, 1),
    "float8_e5m2": (57344, 2.0**-14, 2.0**-16, 6),
    "float8_e5m2fnuz": (57344, 2.0**-15, 2.0**-17, 1),
    "float8_e3m4": (15.5, 0.25, 2.0**-6, 30),
    "float8_e4m3b11fnuz": (30, 2.0**-10, 2.0**-13, 1),
    "float6_e2m3fn": (7.5, 1, 0.125, 0),
    "float6_e3m2fn": (28, 0.25, 0.0625, 0),
    "float4_e2m1fn": (6, 1, 0.5, 0),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_anchors(name):
    largest, normal, least, n_nan = PUBLISHED[name]
    form = formats.get(name)
    values = form.values
    assert (form.max, form.min, form.least_positive) == (largest, -largest, least)
    assert values[1 << form.mantissa_bits] == normal
    assert np.isnan(values).sum() == n_nan
    assert np.isinf(values).sum() == (
        2 if name in ("bfloat16", "float8_e5m2", "float8_e3m4") else 0
    )
    assert values.dtype == np.float32


def test_values_of_e2m1_and_e8m0():
    half = [0, 0.5, 1, 1.5, 2, 3, 4, 6]
    values = formats.get("float4_e2m1fn").values
    assert values.tolist() == half + [-v for v in half]
    assert np.signbit(values).tolist() == [False] * 8 + [True] * 8
    assert E8M0.values[:255].tolist() == [2.0 ** (e - 127) for e in range(255)]
    assert np.isnan(E8M0.values[255])


@pytest.mark.parametrize("name", [n for n in PUBLISHED if n.endswith("uz")])
def test_fnuz_has_one_nan_and_no_minus_zero(name):
    form = formats.get(name)
    assert np.isnan(form.decode(np.array([0x80])))
    assert form.encode([-0.0, -1e-30, 0.0]).tolist() == [0, 0, 0]
    assert form.encode([np.nan], nan="keep").tolist() == [0x80]


def test_codes_by_hand():
    """1.0 has the bias as its field; -1.75 is S 0111 110; 0.3 lies between 0.28125 and 0.3125."""
    x = np.array([1.0, -1.75, 2.0**-9, 2.0**-10, 3 * 2.0**-10, 448.0, -0.0, 0.3])
    want = [0x38, 0xBE, 0x01, 0x00, 0x02, 0x7E, 0x80, 0x2A]
    assert E4M3.encode(x).tolist() == want
    assert formats.get("bfloat16").encode([1.0, np.pi]).tolist() == [0x3F80, 0x4049]


def test_float16_and_bfloat16_by_parameters_agree_with_the_machine():
    mine = Minifloat(5, 10, 15, True, "ieee", True)
    half = formats.get("float16")
    np.testing.assert_array_equal(mine.values, half.values)
    ordinary = ~np.isnan(half.values)
    assert mine.values[ordinary].tobytes() == half.values[ordinary].tobytes()
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 1 << 63, 20_000, dtype=np.uint64) * np.uint64(2)
    near = rng.standard_normal(20_000) * 10.0 ** rng.uniform(-9, 6, 20_000)
    for x in (bits.view(np.float64), near, near.astype(np.float32), mine.values):
        for overflow in ("saturate", "infinity"):
            with np.errstate(invalid="ignore"):
                kept = x[~np.isnan(x)]
            got = mine.encode(kept, overflow=overflow)
            np.testing.assert_array_equal(got, half.encode(kept, overflow=overflow))
    brain = formats.get("bfloat16").values
    top = (np.arange(1 << 16, dtype=np.uint32) << 16).view(np.float32)
    assert brain[~np.isnan(brain)].tobytes() == top[~np.isnan(top)].tobytes()


# Any parameters: the door for formats that nobody has yet ----------------------------------------


@st.composite
def minifloats(draw):
    exponent_bits, mantissa_bits = draw(st.integers(1, 6)), draw(st.integers(0, 6))
    nans = draw(st.sampled_from(["ieee", "all_ones", "minus_zero", "none"]))
    infinities = nans == "ieee" or draw(st.booleans())
    bits = 1 + exponent_bits + mantissa_bits
    specials = infinities + (nans == "all_ones")
    assume(mantissa_bits > 0 if nans == "ieee" else (1 << (bits - 1)) - 1 - specials >= 1)
    bias = draw(st.integers(-40, 90))
    made = (exponent_bits, mantissa_bits, bias, infinities, nans, nans != "minus_zero")
    return Minifloat(*made, name="mine")


def meaning(form, code):
    """Return the value of a magnitude code as if the exponent had no end."""
    field, mantissa = divmod(code, 1 << form.mantissa_bits)
    significand = mantissa + ((1 << form.mantissa_bits) if field else 0)
    return significand * Fraction(2) ** (max(field, 1) - form.bias - form.mantissa_bits)


def last_finite(form):
    whole = 1 << (form.bits - 1)
    if form.nans == "ieee":
        return whole - (1 << form.mantissa_bits) - 1
    return whole - 1 - form.infinities - (form.nans == "all_ones")


def expected(form, x, rule):
    """Return (saturated code, overflow) of a Fraction by search among all codes."""
    last = last_finite(form)
    low = bisect_right(range(1, 2 * last + 4), abs(x), key=lambda c: meaning(form, c))
    if low > last:
        low, up = last, True
    else:
        a, b = meaning(form, low), meaning(form, low + 1)
        side = (abs(x) - a) - (b - abs(x))
        up = (
            abs(x) != a
            and {
                "half_even": side > 0 or (side == 0 and low % 2 == 1),
                "half_away": side >= 0,
                "half_up": side > 0 or (side == 0 and x > 0),
                "toward_zero": False,
                "floor": x < 0,
                "ceil": x > 0,
                "odd": low % 2 == 0,
            }[rule]
        )
    code = low + up
    beyond, code = code > last, min(code, last)
    minus = x < 0 and (form.signed_zero or code)
    return code + (1 << (form.bits - 1) if minus else 0), beyond


@given(
    form=minifloats(),
    code=st.integers(0, 1 << 12),
    place=st.sampled_from([Fraction(0), Fraction(1, 2), Fraction(1, 3), Fraction(7, 8)]),
    ulps=st.integers(-1, 1),
    sign=st.sampled_from([1, -1]),
    rule=st.sampled_from(sorted(ROUNDINGS)),
)
@example(Minifloat(5, 2, 16, True, "minus_zero", False, name="m"), 126, Fraction(1, 2), 0, 1, "odd")
@example(Minifloat(3, 0, 3, False, "none", True, name="m"), 2, Fraction(1, 2), 0, -1, "half_even")
def test_any_minifloat_rounds_as_fractions_do(form, code, place, ulps, sign, rule):
    last = last_finite(form)
    code %= last + 2
    a, b = meaning(form, code), meaning(form, code + 1)
    x = float(sign * (a + place * (b - a)))
    x = float(np.nextafter(x, ulps * np.inf)) if ulps else x
    want, beyond = expected(form, Fraction(x), rule)
    if x == 0:
        want = (1 << form.bits - 1) if form.signed_zero and np.signbit(x) else 0
    assert form.encode(x, rule) == want
    if beyond:
        with pytest.raises(RangeError, match="overflows m"):
            form.encode(x, rule, overflow="error")
    else:
        assert form.encode(x, rule, overflow="error") == want


@given(form=minifloats())
def test_any_minifloat_comes_back_from_its_values(form):
    values, last = form.values, last_finite(form)
    assert [Fraction(v) for v in values[: last + 1].tolist()] == [
        meaning(form, c) for c in range(last + 1)
    ]
    finite = np.flatnonzero(np.isfinite(values))
    for rule in ROUNDINGS:
        assert form.encode(values[finite], rule, overflow="error").tolist() == finite.tolist()
    assert finite.size == 2 * (last + 1) - (not form.signed_zero)
    infinite = np.flatnonzero(np.isinf(values))
    assert infinite.size == 2 * form.infinities
    if form.infinities:
        got = form.encode(values[infinite], overflow="infinity")
        assert got.tolist() == infinite.tolist()
    if form.nans != "none":
        assert np.isnan(form.decode(form.encode([-np.nan], nan="keep"))).all()


def test_p3109_by_parameters():
    """binary8p3 with infinities: NaN at 0x80, infinities at 0x7F and 0xFF, 49152 below them."""
    form = Minifloat(5, 2, 16, True, "minus_zero", False)
    assert form.decode(np.array([0x7E, 0x7F, 0xFF, 0x40])).tolist() == [49152, np.inf, -np.inf, 1]
    assert form.special_codes == {"infinity": 0x7F, "nan": 0x80}


def test_values_wider_than_float32_are_float64():
    wide = Minifloat(10, 5, 511, True, "ieee", True)
    assert wide.value_dtype == wide.values.dtype == np.float64
    assert wide.max == (2 - 2.0**-5) * 2.0**511


# One rounding, from any input ---------------------------------------------------------------------


@pytest.mark.parametrize("sign", [1, -1])
def test_float64_is_rounded_once(sign):
    """Midpoints times (1 +- 2^-40): over float32 all three would be ties."""
    for form in (E4M3, E5M2, formats.get("bfloat16")):
        last = form.encode(form.max)
        for low in [0, 1, 5, 7, 8, 9, int(last) // 2, int(last) - 1]:
            middle = (meaning(form, low) + meaning(form, low + 1)) / 2
            x = [sign * float(middle * (1 + k * Fraction(1, 2**40))) for k in (-1, 0, 1)]
            top = 0 if sign > 0 else 1 << (form.bits - 1)
            want = [low, low + low % 2, low + 1]
            assert form.encode(np.array(x)).tolist() == [w | top for w in want], (form, low)


def test_integers_beyond_53_bits_are_rounded_once():
    """2^62 + 2^54 is the tie of bfloat16; one more or less is none, though float64 has neither."""
    form = formats.get("bfloat16")
    low = int(form.encode(2.0**62))
    tie = (1 << 62) + (1 << 54)
    x = np.array([tie - 1, tie, tie + 1], np.int64)
    assert form.encode(x).tolist() == [low, low, low + 1]
    assert form.encode(-x).tolist() == [c | 0x8000 for c in (low, low, low + 1)]
    assert form.encode(x.astype(np.uint64)).tolist() == [low, low, low + 1]
    least = np.array([np.iinfo(np.int64).min])
    assert form.decode(form.encode(least)).tolist() == [-(2.0**63)]
    assert form.encode(np.array(-(1 << 63))).shape == ()


def test_tiny_numbers_are_above_zero():
    far = Minifloat(4, 3, -900, False, "none", True)  # its values begin at 2^898
    assert far.encode([5e-324, 0.0, -5e-324], "ceil").tolist() == [1, 0, 0x80]
    assert E4M3.encode([5e-324, -5e-324, 0.0], "ceil").tolist() == [1, 0x80, 0]
    assert E4M3.encode([5e-324, -5e-324], "odd").tolist() == [1, 0x81]
    with np.errstate(all="raise"):
        assert far.encode([5e-324, 1.0]).tolist() == [0, 0]


def test_any_layout_and_dtype():
    x = np.array([[0.5, -3.0], [7.0, 96.0]])
    want = E4M3.encode(x)
    for y in (x.astype(">f8"), np.asfortranarray(x), x.astype(np.float16), x[::-1][::-1]):
        np.testing.assert_array_equal(E4M3.encode(y), want)
    assert E4M3.encode(np.array([True, False])).tolist() == [0x38, 0]
    codes = want.astype(">u2")
    np.testing.assert_array_equal(E4M3.decode(codes), x)


def test_stochastic_rounding_is_unbiased_between_neighbours():
    x = np.full(40_000, -17.5)  # three quarters of the way from -16 to -18
    rng = np.random.default_rng(3)
    y = E4M3.decode(E4M3.encode(x, rng))
    assert set(y.tolist()) == {-16.0, -18.0}
    assert abs(y.mean() + 17.5) < 0.02
    same = E4M3.encode(E4M3.values[:127], rng)
    assert same.tolist() == list(range(127))
    again = E4M3.decode(E4M3.encode(x, np.random.default_rng(3)))
    np.testing.assert_array_equal(y, again)


# Policies -----------------------------------------------------------------------------------------


def test_where_overflow_begins():
    """464 is the tie of 448 and 480: half even stays, half away leaves the range."""
    assert E4M3.encode([464.0], overflow="nan").tolist() == [0x7E]
    assert E4M3.encode([464.0], "half_away", overflow="nan").tolist() == [0x7F]
    assert E4M3.encode([464.1], overflow="nan").tolist() == [0x7F]
    assert E4M3.encode([479.0, 480.0], "toward_zero", overflow="nan").tolist() == [0x7E, 0x7F]
    assert E5M2.encode([61439.9, 61440.0, -1e9], overflow="infinity").tolist() == [0x7B, 0x7C, 0xFC]
    assert E5M2.encode([np.inf, -np.inf]).tolist() == [0x7B, 0xFB]
    assert E5M2.encode([np.inf], overflow="nan").tolist() == [0x7E]


@pytest.mark.parametrize(
    ("name", "policy", "message"),
    [
        ("float8_e4m3fn", {"overflow": "infinity"}, "overflow = 'infinity' needs a code for inf"),
        ("float4_e2m1fn", {"overflow": "nan"}, "overflow = 'nan' needs a code for nan"),
        ("float6_e3m2fn", {"nan": "keep"}, "nan = 'keep' needs a code for nan"),
        ("float8_e5m2", {"overflow": "wrap"}, "overflow = 'wrap'"),
        ("float8_e5m2", {"nan": "zero"}, "nan = 'zero'"),
        ("float8_e5m2", {"rounding": "up"}, "rounding = 'up'"),
    ],
)
def test_policies_that_a_format_does_not_have(name, policy, message):
    with pytest.raises(RangeError, match=message):
        formats.get(name).encode([1.0], **policy)


def test_errors_name_the_index():
    with pytest.raises(RangeError, match=r"x\[0, 1\] = nan must not be nan"):
        E4M3.encode([[0.0, np.nan]])
    with pytest.raises(RangeError, match=r"x\[1\] = 500.0 overflows float8_e4m3fn, whose values"):
        E4M3.encode([0.0, 500.0], overflow="error")
    with pytest.raises(RangeError, match=r"x\[0\] = 0.0 overflows float8_e8m0fnu"):
        E8M0.encode([0.0], overflow="error")
    with pytest.raises(FormatError, match=r"codes\[1\] = 64; float6_e2m3fn has codes 0..63"):
        formats.get("float6_e2m3fn").decode(np.array([0, 64], np.uint8))
    with pytest.raises(FormatError, match=r"codes\[0\] = -1"):
        E4M3.decode(np.array([-1], np.int8))
    with pytest.raises(FormatError, match=r"codes\[0\] = 256"):
        E4M3.decode(np.array([256]))
    with pytest.raises(DTypeError, match="integers are needed"):
        E4M3.decode(np.array([1.0]))


def test_e8m0_ties_and_ends():
    """Ties go to the even code: 1.5 is between 127 and 128, 3 between 128 and 129."""
    assert E8M0.encode([1.5, 3.0, 0.75, 6.0]).tolist() == [128, 128, 126, 130]
    assert E8M0.encode([1.5, 3.0], "half_away").tolist() == [128, 129]
    assert E8M0.encode([1.5, 3.0], "odd").tolist() == [127, 129]
    assert E8M0.encode([2.0**-128, -1.0, 0.0, 2.0**128, np.inf]).tolist() == [0, 0, 0, 254, 254]
    assert E8M0.encode([1e-300], "ceil", overflow="nan").tolist() == [255]
    assert E8M0.encode([2.0**-127.5], "ceil", overflow="nan").tolist() == [0]
    assert E8M0.encode([np.nan], nan="keep").tolist() == [255]


@pytest.mark.parametrize(
    "parameters",
    [
        (8, 8, 7, False, "none", True),  # 17 bits
        (0, 7, 7, False, "none", True),
        (8, -1, 7, False, "none", True),
        (4, 3, 7, False, "some", True),
        (4, 3, 7, False, "ieee", True),  # its highest exponent would mean nothing
        (7, 0, 63, True, "ieee", True),  # no mantissa left for NaN
        (4, 3, 7, False, "minus_zero", True),
        (4, 3, 7, False, "none", False),
        (1, 0, 0, False, "all_ones", True),  # zero only
        (11, 0, -1000, False, "none", True),  # beyond float64
    ],
)
def test_parameters_that_contradict_each_other(parameters):
    with pytest.raises(RangeError):
        Minifloat(*parameters)


def test_powers_of_two_of_other_widths():
    form = PowersOfTwo(3, 1)
    assert form.values[:7].tolist() == [0.5, 1, 2, 4, 8, 16, 32]
    assert form.encode([0.75, 1.5, 3.0, 6.0]).tolist() == [0, 2, 2, 4]
    with pytest.raises(RangeError, match="bits"):
        PowersOfTwo(9, 1)


# The kernel's path --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", [*PUBLISHED, "float8_e5m2"])
def test_the_kernels_path_equals_the_numpy_path(kind, name, monkeypatch):
    """On values and middles of the format, moved, with NaN and infinities, under all policies."""
    form = formats.get(name)
    values = np.unique(form.values[np.isfinite(form.values)].astype(np.float64))
    values = np.concatenate([values[:400], values[-400:]])
    with np.errstate(over="ignore", under="ignore"):
        x = np.concatenate([values, (values[:-1] + values[1:]) / 2, 1.1 * values]).astype(kind)
    x = np.concatenate([x, np.nextafter(x, kind(np.inf)), kind([np.inf, -np.inf, 0.0, -0.0])])
    policies = ["saturate"] + [p for p in ("infinity", "nan") if p in form.special_codes]
    missing = kind([np.nan, -np.nan]) if "nan" in form.special_codes else x[:0]
    every = np.concatenate([x, missing])
    got = [
        form.encode(every, overflow=p, nan="keep" if missing.size else "error") for p in policies
    ]
    monkeypatch.setattr("refq.formats.minifloats.jit_enabled", lambda: False)
    for policy, codes in zip(policies, got, strict=True):
        want = form.encode(every, overflow=policy, nan="keep" if missing.size else "error")
        np.testing.assert_array_equal(codes, want)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", ["float8_e4m3fn", "float4_e2m1fn", "bfloat16"])
@pytest.mark.skipif(not jit_enabled(), reason="the NumPy definitions use more")
def test_no_temporary_is_larger_than_the_input(kind, name):
    x = np.ones((600, 1000), kind)
    form = formats.get(name)
    codes = form.encode(x)
    values = form.decode(codes)
    for run, array, out in ((form.encode, x, codes), (form.decode, codes, values)):
        tracemalloc.start()
        try:
            run(array)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        # what is widened by the piece holds two pieces of float32 and one of codes, at most
        pieces = 10 * CHUNK if name == "bfloat16" and kind is np.float16 else 0
        assert peak <= out.nbytes + pieces + 20_000


def test_long_float16_arrays_are_widened_by_the_piece():
    x = (np.arange(200_001) % 1999 - 1000).astype(np.float16) / np.float16(8)
    form = formats.get("bfloat16")
    np.testing.assert_array_equal(form.encode(x), form.encode(x.astype(np.float64)))
    x[-1] = np.nan
    with pytest.raises(RangeError, match=r"x\[200000\] = nan"):
        form.encode(x)
