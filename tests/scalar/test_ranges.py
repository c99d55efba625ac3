"""Range methods: min-max and percentile against their definitions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import RangeError, ShapeError
from refq.core.granularity import blocks_of
from refq.scalar.clipping import EntropyRange, MeanSquaredErrorRange
from refq.scalar.ranges import MinMaxRange, PercentileRange, RangeMethod

EVERY = [MinMaxRange(), PercentileRange(), MeanSquaredErrorRange(), EntropyRange(64)]
numbers = st.lists(st.integers(-1000, 1000).map(lambda i: i / 8), min_size=1, max_size=30)


def interpolated(values, percent: Fraction) -> Fraction:
    """Linear interpolation between order statistics, position (n - 1) p / 100."""
    ordered = sorted(Fraction(v) for v in values)
    h = (len(ordered) - 1) * percent / 100
    i = h.numerator // h.denominator
    return ordered[i] + (h - i) * (ordered[min(i + 1, len(ordered) - 1)] - ordered[i])


@given(numbers, st.permutations(range(5)))
def test_min_max_is_exact_and_ignores_order(x, order):
    assert MinMaxRange().find(x, 8, "asymmetric") == (min(x), max(x))
    shuffled = [x[i % len(x)] for i in order] + x
    assert MinMaxRange().find(shuffled, 8, "symmetric") == (min(x), max(x))


@given(numbers, st.sampled_from([50, 75, 90, 99, 99.9, 100]))
def test_percentile_is_the_stated_quantile(x, p):
    q, step = Fraction(p), 2.0**-40
    low, high = PercentileRange(p).find(x, 8, "asymmetric")
    assert abs(high - float(interpolated(x, q))) <= step * 1000
    assert abs(low - float(interpolated(x, 100 - q))) <= step * 1000
    low, high = PercentileRange(p).find(x, 8, "symmetric")
    assert low == -high
    assert abs(high - float(interpolated([abs(v) for v in x], q))) <= step * 1000
    low, high = PercentileRange(p).find([abs(v) for v in x], 8, "unsigned")
    assert low == min(abs(v) for v in x)
    assert abs(high - float(interpolated([abs(v) for v in x], q))) <= step * 1000


def test_percentile_100_is_min_max():
    x = np.random.default_rng(0).standard_normal(99)
    assert PercentileRange(100).find(x, 8, "asymmetric") == MinMaxRange().find(x, 8, "asymmetric")


@pytest.mark.parametrize("method", EVERY, ids=repr)
@pytest.mark.parametrize("scheme", ["symmetric", "asymmetric"])
def test_blocks_are_the_flat_samples(method, scheme):
    W = np.random.default_rng(1).standard_normal((3, 11)).astype(np.float32)
    low, high = method.find_blocks(W, (2, 4), 3, scheme)
    assert low.shape == high.shape == (2, 3)
    assert low.dtype == high.dtype == np.float64
    want = [method.find(W[block], 3, scheme) for block in blocks_of(W.shape, (2, 4))]
    assert list(zip(low.reshape(-1), high.reshape(-1), strict=True)) == want


@pytest.mark.parametrize("method", EVERY, ids=repr)
def test_edges(method):
    assert isinstance(method, RangeMethod)
    assert eval(repr(method)) == method
    with pytest.raises(ShapeError, match="empty"):
        method.find([], 8, "symmetric")
    with pytest.raises(ShapeError, match="empty"):
        method.find_blocks(np.zeros((0, 2)), (1, 2), 8, "symmetric")
    with pytest.raises(RangeError, match=r"sample\[1\] = nan"):
        method.find([0.0, float("nan")], 8, "symmetric")
    low, high = method.find(np.zeros(5), 8, "asymmetric")
    assert (low, high) == (0.0, 0.0)
    for scale in (1e-300, 1e300, 5e-324):
        low, high = method.find(np.array([-1.0, 0.5, 1.0]) * scale, 4, "asymmetric")
        assert low <= 0 <= high
        assert np.isfinite([low, high]).all()


@pytest.mark.parametrize("percentile", [49.9, 100.1, float("nan"), True, "99"])
def test_percentile_is_checked(percentile):
    with pytest.raises(RangeError, match="percentile"):
        PercentileRange(percentile)
