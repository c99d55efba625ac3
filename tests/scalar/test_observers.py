"""Observers: what equals a look at everything is proved so; the rest has a counter-example."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refq.core.errors import NotFittedError, RangeError, ShapeError
from refq.encodings import Cast
from refq.scalar import (
    AffineQuantizer,
    EntropyRange,
    MeanSquaredErrorRange,
    MinMaxRange,
    PercentileRange,
)
from refq.scalar.observers import (
    FixedRange,
    HistogramObserver,
    HistogramRange,
    MinMaxObserver,
    MovingAverageObserver,
    MovingAverageRange,
    SampleObserver,
    global_range,
)

values = st.one_of(
    st.integers(-1000, 1000).map(lambda i: i / 8), st.sampled_from([0.0, 1e-12, -3e5, 2.0**-40])
)
batches = st.lists(st.lists(values, max_size=6), min_size=1, max_size=6).filter(any)


def fed(observer, parts):
    for part in parts:
        observer.update(part)
    return observer


@given(batches, st.randoms(use_true_random=False))
def test_extremes_do_not_depend_on_the_batches(parts, random):
    everything = [v for part in parts for v in part]
    shuffled = random.sample(parts, len(parts))
    seen = fed(MinMaxObserver(), shuffled)
    assert seen.range_of() == MinMaxRange().find(everything, 8, "asymmetric")
    assert seen.n_seen == len(everything)


@given(batches, st.sampled_from(["symmetric", "asymmetric"]))
def test_a_kept_sample_gives_what_the_method_gives(parts, scheme):
    everything = [v for part in parts for v in part]
    for method in (MinMaxRange(), PercentileRange(90), MeanSquaredErrorRange(), EntropyRange(32)):
        seen = fed(SampleObserver(method), parts)
        assert seen.range_of(3, scheme) == method.find(everything, 3, scheme)


def histogram(x, width, n_bins):
    """Counts by exact division."""
    counts = [0] * (2 * n_bins)
    for v in x:
        counts[(Fraction(v) / Fraction(width)).__floor__() + n_bins if width else n_bins] += 1
    return counts


@given(batches, st.sampled_from([2, 3, 16, 100]), st.randoms(use_true_random=False))
@example([[0.0], [1.0], [-1024.0]], 2, __import__("random").Random(0))
def test_histograms_do_not_depend_on_the_batches(parts, n_bins, random):
    everything = [v for part in parts for v in part]
    one = fed(HistogramObserver(n_bins), [everything])
    many = fed(HistogramObserver(n_bins), random.sample(parts, len(parts)))
    assert one.width == many.width
    assert one.counts.tolist() == many.counts.tolist()
    assert one.counts.tolist() == histogram(everything, one.width, n_bins)
    largest = max(map(abs, everything))
    if largest:  # the least power of two at which the extremes have a bin
        assert largest < n_bins * one.width
        assert largest >= n_bins * one.width / 2 * (1 - 2.0**-50)


@given(batches, st.sampled_from([0, 1, 10, 50, 90, 99.9, 100]), st.booleans())
def test_percentiles_are_within_half_a_bin(parts, p, magnitudes):
    everything = np.array([v for part in parts for v in part])
    seen = fed(HistogramObserver(64), parts)
    exact = np.percentile(np.abs(everything) if magnitudes else everything, p)
    # the interpolations of both round a few times
    bound = seen.width / 2 + 8 * 2.0**-53 * (np.max(np.abs(everything)) + seen.width)
    assert abs(seen.percentile(p, magnitudes) - exact) <= bound


def test_a_negative_number_stays_below_zero_where_the_quotient_vanishes():
    seen = HistogramObserver(4).update([-5e-324, 8.0])
    assert seen.counts.tolist() == [0, 0, 0, 1, 0, 0, 1, 0]
    tiny = HistogramObserver(4).update([-5e-324]).update([1e-310])
    assert tiny.width == 2.0**-1000
    assert tiny.counts.tolist() == [0, 0, 0, 1, 1, 0, 0, 0]


def test_a_histogram_is_not_the_sample():
    """The bound is all there is: three numbers of one bin have one percentile."""
    x = [0.0, 1.0, 1.5, 8.0]
    seen = HistogramObserver(4).update(x)
    assert seen.width == 4.0
    assert seen.percentile(50) == 2.0
    assert np.percentile(x, 50) == 1.25


def test_a_histogram_with_the_first_batchs_edges_forgets():
    """Why the width doubles: edges that stay lose what lies beyond them, so order matters."""
    batches = [np.linspace(-1, 1, 9), np.array([50.0])]

    def counted(parts):
        edges = np.linspace(parts[0].min(), parts[0].max() + 1e-9, 9)
        return sum(np.histogram(part, edges)[0].sum() for part in parts)

    assert counted(batches) != counted(batches[::-1])
    one, other = (fed(HistogramObserver(8), order) for order in (batches, batches[::-1]))
    assert one.counts.tolist() == other.counts.tolist()


def test_moving_averages_depend_on_the_order_and_on_the_cut():
    first, second = [-1.0, 1.0], [-3.0, 9.0]
    forth, back = (fed(MovingAverageObserver(0.5), parts).range_of()
                   for parts in ([first, second], [second, first]))  # fmt: skip
    assert forth == back == (-2.0, 5.0)  # two batches, one half each
    forth, back = (fed(MovingAverageObserver(0.25), parts).range_of()
                   for parts in ([first, second], [second, first]))  # fmt: skip
    assert forth == (-1.5, 3.0)
    assert back == (-2.5, 7.0)
    whole = MovingAverageObserver(0.25).update(first + second).range_of()
    assert whole == (-3.0, 9.0)
    assert fed(MovingAverageObserver(1.0), [second, first]).range_of() == (-1.0, 1.0)


@given(st.lists(values, min_size=1, max_size=20), st.integers(1, 25))
def test_moving_average_range_is_the_observer(x, size):
    parts = [x[i : i + size] for i in range(0, len(x), size)]
    want = fed(MovingAverageObserver(0.125), parts).range_of()
    assert MovingAverageRange(size, 0.125).find(x, 8, "asymmetric") == want
    low, high = want
    assert min(x) <= low <= high <= max(x) or len(x) > 1
    # the exact recurrence, in fractions
    lo = Fraction(min(parts[0]))
    for part in parts[1:]:
        lo += Fraction(1, 8) * (Fraction(min(part)) - lo)
    assert abs(Fraction(low) - lo) <= 60 * Fraction(1, 2**53) * max(map(abs, map(Fraction, x)))


@given(
    st.lists(values, min_size=1, max_size=20),
    st.sampled_from([50, 90, 99, 100]),
    st.sampled_from(["symmetric", "asymmetric", "unsigned"]),
)
def test_histogram_range_is_near_the_percentile(x, p, scheme):
    if scheme == "unsigned":
        x = [abs(v) for v in x]
    got = HistogramRange(p, 256).find(x, 8, scheme)
    want = PercentileRange(p).find(x, 8, scheme)
    bound = 2 * max(map(abs, x)) / 256 + 1e-300
    assert all(abs(a - b) <= bound for a, b in zip(got, want, strict=True))
    top = max(map(abs, x))
    assert -top <= got[0] <= got[1] <= top


def test_one_threshold_for_all():
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((4, 5)), 3 * rng.standard_normal(30)]
    one = global_range(arrays)
    everything = np.concatenate([a.reshape(-1) for a in arrays])
    assert (one.low, one.high) == (everything.min(), everything.max())
    kept = Cast("float64")
    q = AffineQuantizer(8, scheme="symmetric", range_method=one, scale_method=kept)
    scales = {float(q.fit(a).scale_[(0,) * a.ndim]) for a in arrays}
    assert scales == {np.max(np.abs(everything)) / 127}
    own = AffineQuantizer(8, scheme="symmetric", scale_method=kept)
    # the wide layer pays nothing, the narrow one with a coarser step
    assert own.fit(arrays[0]).scale_[0, 0] < q.fit(arrays[0]).scale_[0, 0]
    assert global_range(arrays, PercentileRange(90), 8, "symmetric").high < one.high


def test_frozen_observers_serve_a_quantizer():
    seen = MinMaxObserver().update([0.0, 4.0]).update([-1.0])
    q = AffineQuantizer(8, range_method=seen.fixed(), scale_method=Cast("float64")).fit([0.5])
    assert q.scale_.tolist() == [5 / 255]


@pytest.mark.parametrize(
    "make", [MinMaxObserver, MovingAverageObserver, HistogramObserver,
             lambda: SampleObserver(MinMaxRange())],
)  # fmt: skip
def test_edges(make):
    with pytest.raises(NotFittedError, match="has seen nothing"):
        make().range_of()
    seen = make().update([]).update(np.zeros((2, 2)))
    assert seen.n_seen == 4
    assert seen.range_of() == (0.0, 0.0)
    with pytest.raises(RangeError, match=r"batch\[1\] = nan"):
        seen.update([1.0, float("nan")])
    assert seen.range_of() == (0.0, 0.0)
    for scale in (5e-324, 1e-300, 1e300):
        low, high = make().update([scale, -scale]).range_of()
        assert np.isfinite([low, high]).all()


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: FixedRange(1.0, 0.0), RangeError, "above"),
        (lambda: FixedRange(float("nan"), 0.0), RangeError, "low"),
        (lambda: FixedRange(0.0, 1.0).find([], 8, "symmetric"), ShapeError, "empty"),
        (lambda: MovingAverageObserver(0.0), RangeError, "momentum"),
        (lambda: MovingAverageRange(0), RangeError, "batch_size"),
        (lambda: HistogramObserver(1), RangeError, "n_bins"),
        (lambda: HistogramRange(40), RangeError, "percentile"),
        (lambda: global_range([[]]), ShapeError, "no number"),
    ],
)
def test_refusals(call, error, match):
    with pytest.raises(error, match=match):
        call()
