"""The residual add against fractions; clips of codes."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refq.core.errors import DTypeError, RangeError, ShapeError
from refq.core.fixed_point import fixed_point_multiplier
from refq.ops import add_integer, clamp, relu

HALF = Fraction(1, 2)
MANTISSA = st.sampled_from([2**30, 2**31 - 1, 3 << 29]) | st.integers(2**30, 2**31 - 1)
INT8 = st.sampled_from([0, 127, -128, 1, -1]) | st.integers(-128, 127)


@given(INT8, INT8, INT8, INT8, MANTISSA, MANTISSA, st.integers(1, 62), st.integers(-22, 22))
@example(1, 0, 1, 1, 2**30, 2**30, 31, 0)
@example(-1, 0, 0, 0, 2**30, 2**30, 31, 0)
@example(127, -128, -128, 127, 2**31 - 1, 2**31 - 1, 62, -22)
@example(127, -128, 127, -128, 2**31 - 1, 2**31 - 1, 40, 22)
def test_one_rounding_half_up(a, za, b, zb, ma, mb, sa, gap):
    sb = min(max(sa + gap, 1), 62)
    exact = (a - za) * ma * Fraction(2) ** -sa + (b - zb) * mb * Fraction(2) ** -sb
    low, high = -(2**31), 2**31 - 1
    got = add_integer(np.int8([a]), za, ma, sa, np.int8([b]), zb, mb, sb, 3, low, high, np.int32)
    assert got.tolist() == [min(max(math.floor(exact + HALF) + 3, low), high)]


def test_16_bits():
    a, b = np.uint16([0, 65535]), np.int16([-32768, 32767])
    one, tiny = (2**31 - 1, 31), (2**30, 45)
    got = add_integer(a, 65535, *one, b, 32767, *tiny, 0, -(2**31), 2**31 - 1, np.int32)
    for i in range(2):
        exact = (int(a[i]) - 65535) * Fraction(one[0], 2**31)
        exact += (int(b[i]) - 32767) * Fraction(tiny[0], 2**45)
        assert got[i] == math.floor(exact + HALF)
    with pytest.raises(RangeError, match="allows a difference of 14"):
        add_integer(a, 0, *one, b, 0, 2**30, 46, 0, 0, 255, np.uint8)


@given(st.floats(0.01, 10), st.floats(0.01, 10), INT8, INT8)
def test_it_is_the_real_sum_to_within_half_a_step(ra, rb, a, b):
    args_a, args_b = fixed_point_multiplier(ra), fixed_point_multiplier(rb)
    got = add_integer(
        np.int8([a]), 0, *args_a, np.int8([b]), 0, *args_b, 0, -(2**31), 2**31 - 1, np.int32
    )
    real = a * Fraction(ra) + b * Fraction(rb)
    share = (abs(a) * Fraction(ra) + abs(b) * Fraction(rb)) / 2**31
    assert abs(int(got[0]) - real) <= HALF + share


def test_shapes_and_layouts():
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-128, 128, (3, 4, 5)).astype(np.int8) for _ in range(2))
    m = (2**30, 30)
    args = lambda x, y: (x, 1, *m, y, -2, *m, 0, -128, 127, np.int8)  # noqa: E731
    want = np.clip(a.astype(int) - 1 + b + 2, -128, 127)
    np.testing.assert_array_equal(add_integer(*args(a, b)), want)
    np.testing.assert_array_equal(
        add_integer(*args(np.asfortranarray(a), b[::-1].copy()[::-1])), want
    )
    for shape in ((), (0,), (2, 0)):
        x = np.ones(shape, np.int8)
        assert add_integer(*args(x, x)).shape == shape


def test_clips():
    q = np.int8([-128, -3, 0, 5, 127])
    assert relu(q, -3).tolist() == [-3, -3, 0, 5, 127]
    assert clamp(q, -3, 5).tolist() == [-3, -3, 0, 5, 5]
    assert clamp(q, -3, 5).dtype == np.int8


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda a, m: add_integer(a, 0, *m, a[:1], 0, *m, 0, 0, 9, np.int8), ShapeError, "equal"),
        (lambda a, m: add_integer(a, 200, *m, a, 0, *m, 0, 0, 9, np.int8), RangeError, "a_zero"),
        (lambda a, m: add_integer(a, 0, 5, 3, a, 0, *m, 0, 0, 9, np.int8), RangeError, "a_mant"),
        (lambda a, m: add_integer(a, 0, *m, a, 0, m[0], 63, 0, 0, 9, np.int8), RangeError, "b_sh"),
        (lambda a, m: add_integer(a, 0, *m, a, 0, m[0], 53, 0, 0, 9, np.int8), RangeError, "apart"),
        (lambda a, m: add_integer(a, 0, *m, a, 0, *m, 0, 0, 300, np.int8), RangeError, "high"),
        (lambda a, m: add_integer(a / 2, 0, *m, a, 0, *m, 0, 0, 9, np.int8), DTypeError, "a has"),
        (lambda a, m: clamp(a, 5, 3), RangeError, "high = 3"),
        (lambda a, m: relu(a, 200), RangeError, "low = 200"),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call(np.int8([1, 2]), (2**30, 30))
