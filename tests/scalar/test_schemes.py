"""Schemes: three symmetric scales, integer zero points, and zero in every range."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refq import formats
from refq.core.errors import RangeError, ShapeError
from refq.scalar import (
    SCHEMES,
    affine_parameters,
    code_range,
    format_of,
    has_zero_point,
    is_symmetric,
    scale_of,
    zero_point_of,
)
from refq.scalar.schemes import check_reach, steps_of

LEGAL = [(b, s) for s in SCHEMES for b in range(1, 17) if b > 1 or not is_symmetric(s)]


@pytest.mark.parametrize(("bits", "scheme"), LEGAL)
def test_codes_fill_their_format(bits, scheme):
    low, high = code_range(bits, scheme)
    form = formats.get(format_of(bits, scheme))
    spare = 1 if scheme == "symmetric" else 0  # the restricted range leaves the lowest code out
    assert (low, high) == (form.low + spare, form.high)
    assert low <= 0 <= high


@pytest.mark.parametrize("scheme", ["symmetric", "symmetric_full", "symmetric_half"])
def test_one_bit_symmetric_is_refused_with_a_reason(scheme):
    with pytest.raises(RangeError, match=r"bits = 1 .* has .*level.* binary"):
        format_of(1, scheme)


@pytest.mark.parametrize("bits", [-1, 0, 17, 2.5, True, "8", None])
def test_other_widths_are_refused(bits):
    with pytest.raises(RangeError, match=r"\[1, 16\]"):
        code_range(bits, "asymmetric")


def test_unknown_scheme():
    with pytest.raises(RangeError, match="'symmetric_half'"):
        format_of(8, "restricted")


def test_three_symmetric_scales_are_three_numbers():
    """Inventory H2: "symmetric" names three scales, and [-128, 127] is not symmetric."""
    scales = {
        s: Fraction(float(scale_of(-127.5, 3.0, 8, s)))
        for s in ("symmetric", "symmetric_full", "symmetric_half")
    }
    assert scales["symmetric_half"] == 1
    assert scales["symmetric_full"] == Fraction(255, 256)
    assert scales["symmetric"] == Fraction(127.5 / 127)
    low, high = code_range(8, "symmetric_full")
    assert -low != high
    low, high = code_range(8, "symmetric")
    assert -low == high == 127


def test_common_zero_point_is_neither_an_integer_nor_a_code():
    """Inventory H1: -min/scale as a float; then a zero point outside of the codes."""
    x = np.array([-1, 0, 0.3, 2.5])
    scale = 3.5 / 255
    wrong = x / scale + -(x.min() / scale)
    assert not np.allclose(wrong, np.rint(wrong), atol=0.1)
    got, z = affine_parameters(-1.0, 2.5, 8, "asymmetric")
    assert (float(got), int(z), z.dtype) == (float(np.float32(3.5 / 255)), 73, np.uint8)

    # On [.5, 2] the common rule gives -85, outside 0..255; the range must first hold zero.
    assert round(-0.5 / (1.5 / 255)) == -85
    got, z = affine_parameters(0.5, 2.0, 8, "asymmetric")
    assert (float(got), int(z)) == (float(np.float32(2 / 255)), 0)


@given(
    low=st.floats(-1e4, 1e4, width=32),
    width=st.floats(0, 1e4, width=32),
    case=st.sampled_from(LEGAL),
)
@example(0.0, 0.0, (8, "asymmetric"))
@example(-1.0, 0.0, (1, "asymmetric_signed"))
@example(3.0, 0.0, (1, "unsigned"))
def test_range_is_covered_up_to_half_a_step(low, width, case):
    """The levels reach both limits within scale/2, but for the extremes that schemes clip."""
    bits, scheme = case
    high = float(np.float32(low + width))
    if scheme == "unsigned":
        low, high = abs(low), abs(low) + width
    lo, hi = min(low, high), max(low, high)
    scale = scale_of(lo, hi, bits, scheme)
    zero = int(zero_point_of(lo, scale, bits, scheme))
    first, last = code_range(bits, scheme)
    assert first <= zero <= last
    s = Fraction(float(scale))
    slack = s / 2 + abs(Fraction(lo)) / 2**40 + abs(Fraction(hi)) / 2**40
    lost = s if scheme == "symmetric_full" else slack  # one whole step: it has no code for +absmax
    if lo == hi == 0:
        assert s == 1
    assert s * (first - zero) <= min(Fraction(lo), 0) + slack
    assert s * (last - zero) >= max(Fraction(hi), 0) - lost


@pytest.mark.parametrize(("bits", "scheme"), LEGAL)
def test_scale_inverts_steps(bits, scheme):
    high = 3.0
    low = 0.0 if scheme == "unsigned" else -1.0
    width = high - low if has_zero_point(scheme) else high
    assert float(scale_of(low, high, bits, scheme)) == width / steps_of(bits, scheme)


def test_arrays_keep_their_shape_and_rows_are_independent():
    low, high = np.array([[-1.0], [0.0]]), np.array([[1.0], [0.0]])
    scale, z = affine_parameters(low, high, 4, "asymmetric_signed")
    assert scale.dtype == np.float32
    assert z.dtype == np.int8
    assert scale.tolist() == [[float(np.float32(2 / 15))], [1.0]]
    # float32(2/15) is above 2/15: -8 + 7.4999998 lies below -0.5
    assert z.tolist() == [[-1], [-8]]


def test_bad_limits():
    with pytest.raises(RangeError, match=r"low\[1\] = 2.0 is above high = 1.0"):
        affine_parameters([0.0, 2.0], [1.0, 1.0], 8, "asymmetric")
    with pytest.raises(RangeError, match=r"high\[0\] = inf must be finite"):
        affine_parameters([0.0], [np.inf], 8, "asymmetric")
    with pytest.raises(RangeError, match=r"low\[1\] = -0.25 is negative.*'asymmetric'"):
        affine_parameters([0.0, -0.25], [1.0, 1.0], 8, "unsigned")
    with pytest.raises(ShapeError, match="must be equal"):
        affine_parameters([0.0], 1.0, 8, "asymmetric")
    with pytest.raises(RangeError, match="finite and > 0"):
        affine_parameters(-1e300, 1e300, 8, "symmetric")  # no float32
    with pytest.raises(RangeError, match="finite and > 0"):
        affine_parameters(0.0, 1e-60, 8, "symmetric")


def test_reach():
    limits = np.finfo(np.float32)
    tiny, largest = np.array([limits.tiny]), np.array([limits.max])
    assert check_reach(tiny, 1.0, 127.0) is tiny
    with pytest.raises(RangeError, match=r"scale\[0\].*below the smallest normal.*multiply"):
        check_reach(tiny / np.float32(2), 1.0, 127.0)
    with pytest.raises(RangeError, match=r"scale\[0\].*beyond the largest.*divide"):
        check_reach(largest / np.float32(126), 1.0, 127.0)
