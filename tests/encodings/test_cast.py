"""The named cast, and scales that are stored before codes are computed against them."""

from fractions import Fraction

import numpy as np
import pytest

from refq import formats
from refq.core.errors import NotFittedError, RangeError
from refq.encodings import Cast, dense, stored, stored_scale


@pytest.mark.parametrize("form", ["float16", "float32", "float64"])
def test_a_cast_rounds_once_within_its_bound(form):
    W = np.random.default_rng(0).standard_normal((5, 7)) * 10.0 ** np.arange(-4, 3)
    m = Cast(form)
    e = m.fit(W).encode(W)
    np.testing.assert_array_equal(e.decode(), W.astype(form))
    bound = m.error_bound(W, e)
    error = np.abs(W - e.decode().astype(np.float64))
    assert (error <= bound).all()
    if form == "float16":
        assert (error > 0.4 * bound).any()  # the bound is not idle
    assert e.stored_bits == 35 * int(form.removeprefix("float"))


def test_at_a_power_of_two_the_wider_neighbour_counts():
    m = Cast("float16").fit([0.0])
    x = 2.0 - 2.0**-11  # the tie between 2 - 2^-10 and 2
    e = m.encode([x])
    assert abs(e.decode()[0] - x) <= m.error_bound(np.array([x]), e)[0]


SMALL = [n for n, f in formats.FORMATS.items() if f.bits <= 8]


@pytest.mark.parametrize("form", SMALL)
def test_the_bound_of_small_formats_holds_exactly_and_is_reached(form):
    """At every middle of two values, and one float to either side: in fractions."""
    values = formats.get(form).values.astype(np.float64)
    values = np.unique(values[np.isfinite(values)])
    middles = (values[:-1] + values[1:]) / 2
    decisions = getattr(formats.get(form), "thresholds", ())
    middles = np.concatenate([middles, decisions])
    x = np.concatenate([values, middles, *(np.nextafter(middles, s) for s in (-np.inf, np.inf))])
    m = Cast(form)
    e = m.fit(x).encode(x)
    bound = m.error_bound(x, e)
    pairs = zip(x.tolist(), e.decode().tolist(), bound.tolist(), strict=True)
    gaps = [Fraction(b) - abs(Fraction(v) - Fraction(y)) for v, y, b in pairs]
    assert min(gaps) == 0


def test_the_last_binade_reaches_beyond_the_largest_value():
    """464 lies halfway to 480, which float8_e4m3fn does not have; half even takes 448."""
    m = Cast("float8_e4m3fn").fit([464.0])
    e = m.encode([464.0])
    assert m.error_bound(np.array([464.0]), e).tolist() == [16.0]
    with pytest.raises(RangeError, match="overflows"):
        m.encode([464.5])


def test_overflow_is_an_error_and_unknown_formats_too():
    with pytest.raises(RangeError, match=r"x\[1\] = 100000.0 overflows float16"):
        Cast().fit([1.0, 1e5]).encode([1.0, 1e5])
    with pytest.raises(RangeError, match="format = 'half' must be one of"):
        Cast("half").fit([1.0])
    with pytest.raises(NotFittedError, match="Cast is not fitted"):
        Cast().encode([1.0])


def test_examples_run():
    assert len(Cast.examples()) <= 4
    for m in Cast.examples():
        W = np.ones((12, 16))
        np.testing.assert_array_equal(m.fit(W).encode(W).decode(), W)


def test_stored_returns_what_a_decoder_will_use():
    m = Cast("float16")
    e, decoded = stored(np.array([0.1]), m)
    assert decoded.tolist() == e.decode().tolist() == [np.float16(0.1)]
    assert not hasattr(m, "fitted_shape_")


def test_stored_scales_are_named_when_they_vanish_or_overflow():
    with pytest.raises(RangeError, match=r"stored scale\[0, 1\] = 0.0 must be finite and > 0"):
        stored_scale(np.array([[1.0, 1e-9]]), Cast("float16"))
    with pytest.raises(RangeError, match=r"x\[0\] = 70000.0 overflows float16"):
        stored_scale(np.array([7e4]), Cast("float16"))
    with pytest.raises(RangeError, match=r"scale\[0\] = -1.0 must be finite"):
        stored_scale(np.array([-1.0]), Cast("float16"))
    e, decoded = stored_scale(np.array([2.0**-24]), Cast("float16"))
    assert decoded.tolist() == [2.0**-24]
    assert e.stored_bits == dense([0.0], "float16").stored_bits
