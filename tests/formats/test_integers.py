"""Integers: every code of every width up to 16 bits, exact decisions at the ties, policies."""

import math
from fractions import Fraction

import numpy as np
import pytest

from refq import formats
from refq.core.errors import DTypeError, FormatError, RangeError
from refq.formats import Integer
from refq.formats.integers import clip_integers

NARROW = [f for f in formats.FORMATS.values() if isinstance(f, Integer) and f.bits <= 16]
WIDE = [f for f in formats.FORMATS.values() if isinstance(f, Integer) and f.bits > 16]
FLOATS = [np.float16, np.float32, np.float64]


def half_even(x):
    """Round a Fraction half to even, in Python integers."""
    below = math.floor(x)
    rest = x - below
    return below + (rest > Fraction(1, 2) or (rest == Fraction(1, 2) and below % 2))


@pytest.mark.parametrize("form", NARROW, ids=lambda f: f.name)
def test_every_code(form):
    codes = np.arange(form.low, form.high + 1)
    assert codes.size == 1 << form.bits
    kept = form.check_codes(codes)
    assert kept.dtype == form.dtype
    np.testing.assert_array_equal(form.decode(kept), codes)
    for dtype in (np.float32, np.float64):  # both hold every integer of 16 bits
        np.testing.assert_array_equal(form.encode(form.decode(kept).astype(dtype)), codes)
    patterns = form.to_patterns(kept)
    assert sorted(patterns.tolist()) == list(range(1 << form.bits))
    assert patterns.tolist() == [c % (1 << form.bits) for c in codes.tolist()]
    np.testing.assert_array_equal(form.from_patterns(patterns), kept)
    np.testing.assert_array_equal(form.values, form.from_patterns(np.arange(1 << form.bits)))


@pytest.mark.parametrize("form", [f for f in NARROW if f.bits <= 8], ids=lambda f: f.name)
@pytest.mark.parametrize("dtype", FLOATS)
def test_ties_and_their_neighbours(form, dtype):
    middles = np.arange(form.low - 2, form.high + 2, dtype=dtype) + dtype(0.5)
    around = [np.nextafter(middles, dtype(s)) for s in (-np.inf, np.inf)]
    x = np.concatenate([middles, *around])
    want = [min(max(half_even(Fraction(float(v))), form.low), form.high) for v in x]
    assert form.encode(x).tolist() == want


@pytest.mark.parametrize("form", NARROW + WIDE, ids=lambda f: f.name)
@pytest.mark.parametrize("dtype", FLOATS)
def test_clip_comes_before_the_cast(form, dtype):
    x = np.array([1e10 if dtype != np.float16 else 6e4, np.inf, -np.inf], dtype)
    want = [min(int(float(x[0])), form.high), form.high, form.low]
    assert form.encode(x).tolist() == want


@pytest.mark.parametrize("form", NARROW + WIDE, ids=lambda f: f.name)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_overflow_is_an_error_from_the_first_integer_outside(form, dtype):
    above = dtype(form.high + 1)  # a power of two: a float of every dtype
    assert int(above) == form.high + 1
    with pytest.raises(RangeError, match=r"x\[1\] = .* is outside"):
        form.encode(np.array([0, above], dtype), overflow="error")
    inside = np.nextafter(above, dtype(0))
    if math.floor(float(inside)) == float(inside):  # else it may round up to what is outside
        assert form.encode(np.array([inside]), overflow="error").tolist() == [int(inside)]
    below = np.nextafter(dtype(form.low - 1), dtype(-np.inf))
    with pytest.raises(RangeError, match="is outside"):
        form.encode(np.array([below]), overflow="error")


def test_a_value_that_rounds_into_the_range_does_not_overflow():
    int8 = formats.get("int8")
    assert int8.encode([127.4, -128.5], overflow="error").tolist() == [127, -128]
    with pytest.raises(RangeError, match=r"x\[0\] = 128.0 is outside int8's \[-128, 127\]"):
        int8.encode([127.5], overflow="error")


@pytest.mark.parametrize(("nan", "want"), [("zero", 0), ("low", -8), ("high", 7)])
def test_nan_policies(nan, want):
    int4 = formats.get("int4")
    assert int4.encode([np.nan, 1.0], nan=nan).tolist() == [want, 1]
    with pytest.raises(RangeError, match=r"x\[0\] is nan; pass nan='zero'"):
        int4.encode([np.nan])


def test_unknown_policies_are_errors():
    int4 = formats.get("int4")
    with pytest.raises(RangeError, match="overflow = 'wrap' must be one of"):
        int4.encode([1.0], overflow="wrap")
    with pytest.raises(RangeError, match="nan = 'keep' must be one of"):
        int4.encode([1.0], nan="keep")
    with pytest.raises(RangeError, match="rounding = 'up' must be one of"):
        int4.encode([1.0], rounding="up")


@pytest.mark.parametrize("source", [np.int8, np.uint8, np.int32, np.uint64, np.int64, bool])
@pytest.mark.parametrize("name", ["int4", "uint4", "int8", "uint16", "int64", "uint64"])
def test_integers_are_only_clipped(source, name):
    form = formats.get(name)
    info = np.iinfo(source) if source is not bool else None
    x = np.array([info.min, 0, 5, info.max] if info else [False, True], source)
    want = [min(max(int(v), form.low), form.high) for v in x.tolist()]
    got = form.encode(x)
    assert got.dtype == form.dtype
    assert got.tolist() == want
    assert clip_integers(x, form.low, form.high).tolist() == want


@pytest.mark.parametrize("name", ["int4", "uint3", "int8", "uint16"])
def test_codes_that_do_not_exist_are_refused(name):
    form = formats.get(name)
    for bad in (form.low - 1, form.high + 1):
        with pytest.raises(FormatError, match=rf"x\[1\] = {bad} is outside {name}"):
            form.check_codes(np.array([0, bad], np.int64))
    with pytest.raises(DTypeError, match="integers are needed"):
        form.decode(np.array([0.0]))


def test_wide_integers_have_no_list_of_values():
    with pytest.raises(ValueError, match=r"values lists at most 2\*\*16"):
        _ = formats.get("int32").values


@pytest.mark.parametrize("x", [3, 3.0, np.float16(3)])
def test_zero_dimensions_stay(x):
    code = formats.get("int4").encode(x)
    assert isinstance(code, np.ndarray)
    assert (code.shape, code.dtype, int(code)) == ((), np.int8, 3)
    pattern = formats.get("int4").to_patterns(code)
    assert isinstance(formats.get("int4").from_patterns(np.asarray(pattern)), np.ndarray)


def test_stochastic_rounding_takes_a_generator():
    x = np.full(4000, 2.25)
    got = formats.get("int4").encode(x, rounding=np.random.default_rng(0))
    assert set(got.tolist()) == {2, 3}
    # four standard deviations of the mean of 4000 draws with p = 1/4
    assert abs(got.mean() - 2.25) < 4 * math.sqrt(0.25 * 0.75 / 4000)
