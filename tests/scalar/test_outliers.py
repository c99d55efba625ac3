"""Outliers: which ones, what they cost, what the rest gains."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import RangeError, ShapeError
from refq.core.granularity import PerGroup
from refq.encodings import Cast, MaskedEncoding
from refq.scalar import AffineQuantizer, LevelQuantizer, OptimalLevelQuantizer, OutlierQuantizer

FOUR = AffineQuantizer(4, PerGroup(16), "symmetric")


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=30), st.sampled_from([0, 0.1, 1 / 3, 0.9]))
def test_the_mask_is_of_the_largest(x, fraction):
    q = OutlierQuantizer(fraction).fit(np.array(x, np.float32))
    inside = [abs(v) for v, m in zip(x, q.mask_, strict=True) if not m]
    outside = [abs(v) for v, m in zip(x, q.mask_, strict=True) if m]
    assert len(outside) <= fraction * len(x) + 1e-9
    assert inside  # not all are outliers
    assert min(outside, default=99) > max(inside)
    # as many as there may be: with the next magnitude, too many
    next_ones = [v for v in map(abs, x) if v >= max(inside)]
    assert len(next_ones) > fraction * len(x) - 1e-9


def test_the_sum_is_exact_in_both_places():
    rng = np.random.default_rng(0)
    W = rng.standard_normal((8, 32)).astype(np.float32)
    W[rng.random(W.shape) < 0.03] *= 50
    q = OutlierQuantizer(0.05, dense_method=FOUR, value_method=Cast("float32")).fit(W)
    e = q.encode(W)
    rest = np.where(q.mask_, 0, W).astype(np.float32)
    assert np.array_equal(e.decode()[q.mask_], W[q.mask_])
    assert np.array_equal(e.decode()[~q.mask_], FOUR.fit_encode(rest).decode()[~q.mask_])
    assert isinstance(e.terms[1], MaskedEncoding)


def test_bits_are_counted_and_worth_it():
    rng = np.random.default_rng(1)
    W = rng.standard_normal((64, 64)).astype(np.float32)
    W.reshape(-1)[rng.choice(W.size, 30, replace=False)] = 40
    plain = FOUR.fit_encode(W)
    e = OutlierQuantizer(30 / W.size, dense_method=FOUR).fit_encode(W)
    mask = e.terms[1].parts()["mask"]
    assert e.stored_bits == plain.stored_bits + 30 * 16 + mask.stored_bits
    assert mask.stored_bits < W.size / 4  # gaps: far below one bit a weight
    assert e.bits_per_weight < plain.bits_per_weight + 0.3
    errors = [np.sum((W - found.decode()) ** 2) for found in (plain, e)]
    assert errors[1] < errors[0] / 10


def test_no_outlier_no_table():
    e = OutlierQuantizer(0.0, dense_method=FOUR).fit_encode(np.ones((2, 16)))
    assert len(e.terms) == 1
    e = OutlierQuantizer(None, 9.0, dense_method=FOUR).fit_encode(np.ones((2, 16)))
    assert len(e.terms) == 1


def test_threshold_is_strict():
    q = OutlierQuantizer(None, 2.0).fit([2.0, -2.5, 1.0, 3.0])
    assert q.mask_.tolist() == [False, True, False, True]


def test_a_dense_method_without_zero_is_refused():
    W = np.array([1.0, 2.0, 50.0, 1.5])
    q = OutlierQuantizer(0.25, dense_method=OptimalLevelQuantizer(1)).fit(W)
    with pytest.raises(RangeError, match=r"decodes the zero at \[2\]"):
        q.encode(W)
    for kept in (LevelQuantizer(), AffineQuantizer(3)):
        OutlierQuantizer(0.25, dense_method=kept).fit_encode(W)


@pytest.mark.parametrize(
    ("q", "W", "error", "match"),
    [
        (OutlierQuantizer(None), [1.0], RangeError, "give exactly one"),
        (OutlierQuantizer(0.1, 1.0), [1.0], RangeError, "give exactly one"),
        (OutlierQuantizer(1.0), [1.0], RangeError, "fraction = 1.0"),
        (OutlierQuantizer(), [], ShapeError, "empty"),
    ],
)
def test_refusals(q, W, error, match):
    with pytest.raises(error, match=match):
        q.fit(W)
