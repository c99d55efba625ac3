"""Theorem 4: quantize(dequantize(q)) == q for every code, as long as no product overflows."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refq import formats, ops

LARGEST = np.finfo(np.float32).max
LEAST = np.float32(2.0**-149)
NAMES = ["int2", "uint4", "int4", "int8", "uint8", "int16", "uint16"]
SCALE = st.floats(0, exclude_min=True, allow_infinity=False, width=32, allow_subnormal=True)


def largest_scale(reach):
    """Return the largest float32 whose product with `reach` is finite, by stepping."""
    s = np.float32(LARGEST / np.float64(reach))
    while np.isfinite(np.float64(s) * reach) and np.float64(s) * reach < 2.0**128 - 2.0**103:
        s = np.nextafter(s, np.float32(np.inf))
    while np.float64(s) * reach >= 2.0**128 - 2.0**103:  # rounds to infinity
        s = np.nextafter(s, np.float32(0))
    return s


def reach_of(form, zero_point):
    return max(form.high - zero_point, zero_point - form.low)


@example("int8", LEAST, 0)
@example("uint16", np.float32(1e-40), 1)
@given(st.sampled_from(NAMES), SCALE, st.integers(0, 2))
def test_every_code_survives(name, scale, where):
    form = formats.get(name)
    z = (0, form.low, form.high)[where]
    s = min(np.float32(scale), largest_scale(reach_of(form, z)))
    codes = np.arange(form.low, form.high + 1, dtype=form.dtype)
    x = ops.dequantize_linear(codes, s, np.array(z, form.dtype))
    assert np.array_equal(ops.quantize_linear(x, s, z, format=name), codes)


@pytest.mark.parametrize("name", ["int8", "uint8", "int16", "uint16"])
def test_the_bound_on_the_scale_is_sharp(name):
    form = formats.get(name)
    s = largest_scale(reach_of(form, 0))
    codes = np.arange(form.low, form.high + 1, dtype=form.dtype)
    x = ops.dequantize_linear(codes, s)
    assert np.isfinite(x).all()
    assert np.array_equal(ops.quantize_linear(x, s, 0, format=name), codes)
    x = ops.dequantize_linear(codes, np.nextafter(s, np.float32(np.inf)))
    assert np.isinf(x).any()


@pytest.mark.exhaustive
@pytest.mark.parametrize("d", [1, 3, 5, 85, 127, 171, 255, 32767, 65535, (1 << 22) - 1])
def test_every_mantissa_of_the_scale(d):
    """Powers of two scale everything exactly, so one binade holds every normal scale."""
    s = np.arange(0x3F800000, 0x40000000, dtype=np.uint32).view(np.float32)
    back = (np.float32(d) * s) / s
    assert np.array_equal(np.rint(back), np.full(s.shape, d, np.float32))


def test_the_bound_on_the_difference_is_needed():
    """Past 2^22 a difference can come back as another one, once float32 has no halves left."""
    s = np.arange(0x3F800000, 0x3F800000 + (1 << 16), dtype=np.uint32).view(np.float32)
    d = np.float32((1 << 24) - 1)
    assert np.any(np.rint((d * s) / s) != d)
