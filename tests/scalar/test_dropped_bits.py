"""Dropped bits: shifts by integers, the bounds, the bias, what composes and what does not."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import RangeError
from refq.encodings import Cast
from refq.scalar import DroppedBitsQuantizer, drop_bits

EXACT = Cast("float64")
RULES = ["truncate", "toward_zero", "round"]


@pytest.mark.parametrize("drop", RULES)
def test_every_code_by_integers(drop):
    for from_bits in range(2, 11):
        half = 1 << (from_bits - 1)
        q = np.arange(-half, half)
        for bits in range(2, from_bits + 1):
            step, top = 1 << (from_bits - bits), (1 << (bits - 1)) - 1
            exact = {
                "truncate": [v >> (from_bits - bits) for v in q.tolist()],
                "toward_zero": [abs(v) // step * (1 if v > 0 else -1) for v in q.tolist()],
                "round": [min(round(Fraction(v, step)), top) for v in q.tolist()],
            }[drop]
            assert drop_bits(q, from_bits, bits, drop).tolist() == exact


@pytest.mark.parametrize(("drop", "share"), [("truncate", 1), ("toward_zero", 1), ("round", 0.5)])
def test_the_error_is_within_two_to_the_minus_b_of_the_range(drop, share):
    """What dropping adds to the first error, over the width of the codes 2^B s."""
    q = np.arange(-127, 128)
    for bits in range(2, 8):
        step = 1 << (8 - bits)
        error = np.abs(q - step * drop_bits(q, 8, bits, drop).astype(int)) / 256
        clipped = drop == "round", q > step * ((1 << (bits - 1)) - 1)
        inside = error[~clipped[1]] if clipped[0] else error
        assert inside.max() <= share * 2.0**-bits
        assert inside.max() > 0.4 * share * 2.0**-bits  # the bound is near


def test_truncation_is_biased_and_rounding_is_not():
    q = np.arange(-112, 112)  # whole cells of sixteen, nothing clipped
    errors = {drop: (16 * drop_bits(q, 8, 4, drop).astype(int) - q) for drop in RULES}
    assert errors["truncate"].mean() == -7.5
    assert errors["round"].mean() == 0.0
    assert errors["toward_zero"][q > 0].mean() < 0 < errors["toward_zero"][q < 0].mean()


def test_truncating_twice_is_truncating_once_and_rounding_is_not():
    q = np.arange(-128, 128)
    for drop in ("truncate", "toward_zero"):
        twice = drop_bits(drop_bits(q, 8, 6, drop), 6, 3, drop)
        assert np.array_equal(twice, drop_bits(q, 8, 3, drop))
    # 7/16 rounds to 0; to a quarter of it first: 7/4 is 2, and 2/4, a tie, ... 23/16 shows it
    assert drop_bits(np.array([23]), 8, 4, "round") == 1
    assert drop_bits(drop_bits(np.array([23]), 8, 6, "round"), 6, 4, "round") == 2


@given(
    st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=12).filter(any),
    st.integers(2, 8),
    st.sampled_from(RULES),
)
def test_encoding_is_the_formula(x, bits, drop):
    W = np.array(x, np.float32).astype(np.float64)
    try:
        q = DroppedBitsQuantizer(8, bits, drop, scale_method=EXACT).fit(W)
    except RangeError:
        return  # the absmax is next to nothing
    fine = Fraction(float(q.scale_[0])) / 2 ** (8 - bits)
    codes = q.encode(W).elements.decode()
    first = np.array([max(-127, min(127, round(float(v) / float(fine)))) for v in W])
    assert np.array_equal(codes, drop_bits(first, 8, bits, drop))
    # eight bits kept are the affine quantizer's
    assert abs(float(fine) - np.max(np.abs(W)) / 127) <= 2.0**-52 * np.max(np.abs(W))


def test_bits_are_counted():
    e = DroppedBitsQuantizer(8, 3).fit_encode(np.eye(4))
    assert e.stored_bits == 16 * 3 + 16


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"from_bits": 4, "bits": 5}, "bits = 5 exceeds from_bits = 4"),
        ({"bits": 1}, "bits = 1"),
        ({"from_bits": 17}, "from_bits"),
        ({"drop": "ceil"}, "drop = 'ceil'"),
    ],
)
def test_refusals(params, match):
    with pytest.raises(RangeError, match=match):
        DroppedBitsQuantizer(**params).fit([1.0])
