"""Theorems 5 and 6: s^2/12 and 6.02 b + c, where they hold and where they do not."""

from fractions import Fraction

import numpy as np
import pytest

import refq
from refq import ops

N = 1 << 18  # points; the midpoint rule over n points a cell errs by 1/n^2 of s^2/12


def noise(x, s, low=-(1 << 15), high=(1 << 15) - 1):
    codes = np.clip(np.rint(x / s), low, high)
    return np.mean((x - codes * s) ** 2)


@pytest.mark.parametrize("cells", [1, 2, 7, 256])
def test_uniform_over_whole_cells(cells):
    n = N // cells
    s = Fraction(1, 8)
    x = (np.arange(cells * n) + 0.5) / n * float(s) - float(s) / 2  # whole cells around 0, 1, ...
    # points at the middles of n parts: mean square = s^2/12 (1 - 1/n^2), rounding apart
    assert noise(x, float(s)) == pytest.approx(float(s) ** 2 / 12 * (1 - 1 / n**2), rel=1e-9)


def test_smooth_and_wide_is_near():
    x = np.random.default_rng(0).standard_normal(N)
    # by Poisson summation the normal density errs by about 2 exp(-2 (pi sigma / s)^2): none here;
    # what is left is the sample's: sd of e^2 is s^2 / sqrt(180), so 5 sd = 0.45 % of s^2/12
    assert noise(x, 0.5) == pytest.approx(0.5**2 / 12, rel=5 * np.sqrt(144 / 180) / np.sqrt(N))


def test_data_on_the_grid_has_no_noise():
    assert noise(np.arange(-9, 10) * 0.25, 0.25) == 0


def test_two_points_have_their_own():
    x = np.array([0.1, -0.1])
    assert noise(x, 1.0) == pytest.approx(0.01)  # not 1/12
    assert noise(x, 1.0) < 1 / 12 / 8


def test_narrower_than_a_step_is_lost_whole():
    x = np.linspace(-0.4, 0.4, 1001)
    assert noise(x, 1.0) == np.mean(x**2)


def test_overload_has_no_bound():
    x = np.linspace(-1000, 1000, 1001)
    assert noise(x, 1.0, -128, 127) > 1e5


def sqnr_of_cells(x, bits, top):
    """Return the ratio in dB of 2^bits whole cells over [-top, top), decoded to their middles."""
    s = 2 * top / 2**bits
    cell = np.clip(np.floor(x / s), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return refq.sqnr_db(x, (cell + 0.5) * s)


@pytest.mark.parametrize("bits", range(1, 13))
def test_uniform_signal_has_c_zero(bits):
    x = (np.arange(N) + 0.5) / N * 2 - 1
    # the midpoint rule errs by 2^(2 bits) / N^2 of each power: below 1e-3 dB up to 12 bits
    assert sqnr_of_cells(x, bits, 1.0) == pytest.approx(20 * np.log10(2) * bits, abs=2e-3)


@pytest.mark.parametrize("bits", range(8, 13))
def test_full_sine_has_c_176(bits):
    x = np.sin(2 * np.pi * (np.arange(N) + 0.5) / N)
    c = sqnr_of_cells(x, bits, 1.0) - 20 * np.log10(2) * bits
    # the density is far from constant in the two outer cells, which hold 4 / pi * 2^(-bits / 2) of
    # the sine; their noise is at most 3 times s^2/12, so 2 * 4 / pi * 4.34 dB * 2^(-bits / 2)
    assert c == pytest.approx(10 * np.log10(1.5), abs=11.1 * 2.0 ** (-bits / 2))


def test_normal_clipped_at_four_deviations():
    x = np.random.default_rng(1).standard_normal(N)
    c = [sqnr_of_cells(x, bits, 4.0) - 20 * np.log10(2) * bits for bits in (4, 6, 8, 12)]
    assert c[1] == pytest.approx(10 * np.log10(12 / 64), abs=0.2)  # -7.27 dB while steps prevail
    assert c[3] < c[1] - 5  # 12 bits: what lies beyond four deviations prevails


def test_restricted_range_of_two_bits_is_far_from_the_law():
    x = ((np.arange(N) + 0.5) / N * 2 - 1).astype(np.float32)
    e = refq.AffineQuantizer(bits=2, scheme="symmetric").fit(x[None]).encode(x[None])
    # levels -1, 0, 1: two cells of width 1 each; SQNR = 20 log10(2), as if b were 1
    assert refq.sqnr_db(x[None], e.decode()) == pytest.approx(20 * np.log10(2), abs=2e-3)


def test_dequantized_middle_codes_are_the_grid():
    codes = np.arange(-128, 128, dtype=np.int8)
    x = ops.dequantize_linear(codes, np.float32(0.25))
    assert noise(x.astype(np.float64), 0.25, -128, 127) == 0
