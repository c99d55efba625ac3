"""Lloyd-Max: the two conditions, monotone distortion step by step, Max's printed table."""

from fractions import Fraction
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from refq.core.errors import RangeError, ShapeError
from refq.encodings import Cast
from refq.numerics import nearest_codeword
from refq.scalar.lloyd_max import (
    LloydMaxQuantizer,
    lloyd_max_step,
    normal_levels,
    starting_levels,
)

EXACT = Cast("float64")

#: J. Max, 1960, table I: positive levels and mean squared errors, to the printed digits
MAX_TABLE = {
    1: ([0.0], 1.0),
    2: ([0.7980], 0.3634),
    3: ([0.0, 1.224], 0.1902),
    4: ([0.4528, 1.510], 0.1175),
    5: ([0.0, 0.7646, 1.724], 0.07994),
    6: ([0.3177, 1.000, 1.894], 0.05798),
    8: ([0.2451, 0.7560, 1.344, 2.152], 0.03454),
    16: ([0.1284, 0.3881, 0.6568, 0.9424, 1.256, 1.618, 2.069, 2.733], 0.009497),
}


class Lloyd(RuleBasedStateMachine):
    """Either of Lloyd's steps, in any order, never raises the distortion: in exact arithmetic."""

    @initialize(
        x=st.lists(st.integers(-30, 30), min_size=1, max_size=9, unique=True),
        levels=st.lists(st.integers(-40, 40), min_size=1, max_size=4),
        data=st.data(),
    )
    def start(self, x, levels, data):
        self.x = np.array(sorted(x), np.float64)
        self.w = np.array(data.draw(st.lists(st.integers(1, 5), min_size=len(x), max_size=len(x))))
        self.w = self.w.astype(np.float64)
        self.levels = np.sort(np.array(levels, np.float64))
        self.codes = np.zeros(len(x), np.int64)
        self.before = self.distortion()

    def distortion(self):
        pairs = zip(self.x, self.w, self.levels[self.codes], strict=True)
        return sum(Fraction(w) * (Fraction(x) - Fraction(level)) ** 2 for x, w, level in pairs)

    @rule()
    @precondition(lambda self: hasattr(self, "x"))
    def assign(self):
        self.codes = nearest_codeword(self.x[:, None], self.levels[:, None])

    @rule()
    @precondition(lambda self: hasattr(self, "x"))
    def move(self):
        self.levels = lloyd_max_step(self.x, self.w, self.levels, self.codes)

    @invariant()
    def never_rises(self):
        if hasattr(self, "x"):
            now = self.distortion()
            # a mean is off by a few units of 2^-53 of at most 80, weights sum to at most 45
            assert now <= self.before + 45 * Fraction(1, 2**80)
            self.before = now


TestLloyd = Lloyd.TestCase
TestLloyd.settings = settings(max_examples=40, stateful_step_count=8)


@given(
    st.lists(st.integers(-30, 30), min_size=1, max_size=12),
    st.integers(1, 5),
    st.sampled_from(["uniform", "quantile"]),
)
def test_both_conditions_at_the_end(x, k, init):
    q = LloydMaxQuantizer(k, init, codebook_method=EXACT).fit(np.array(x, np.float64))
    values = np.array(sorted(x), np.float64)
    codes = q.encode_codes(values[:, None])[:, 0]
    for cell in range(k):
        inside = values[codes == cell]
        if inside.size:  # the mean of whole numbers within +-30, rounded a few times
            assert abs(q.levels_[cell] - inside.mean()) <= 2.0**-46
    midpoints = (q.levels_[:-1] + q.levels_[1:]) / 2
    assert np.array_equal(q.levels_, np.sort(q.levels_))
    distance = np.abs(values[:, None] - q.levels_)
    assert np.array_equal(codes, np.argmin(distance, axis=1)) or np.isin(values, midpoints).any()


def test_a_tie_goes_to_the_lower_level():
    q = LloydMaxQuantizer(2, np.array([0.0, 2.0]), max_iter=0).fit([1.0])
    assert q.encode([1.0, np.nextafter(1.0, 2)]).codes.decode().tolist() == [[0, 1]]


def test_an_empty_cell_keeps_its_level():
    q = LloydMaxQuantizer(3, np.array([0.0, 100.0, 200.0])).fit([0.0, 1.0])
    assert q.levels_.tolist() == [0.5, 100.0, 200.0]


def test_starts():
    x, w = np.array([0.0, 1.0, 2.0, 10.0]), np.array([1.0, 1.0, 1.0, 1.0])
    assert starting_levels(x, w, 2, "uniform").tolist() == [2.5, 7.5]
    assert starting_levels(x, w, 4, "quantile").tolist() == [0.0, 1.0, 2.0, 10.0]
    assert starting_levels(x, np.array([1.0, 0, 0, 7]), 2, "quantile").tolist() == [10.0, 10.0]
    assert starting_levels(x, w, 2, np.array([3.0, 1.0])).tolist() == [1.0, 3.0]
    with pytest.raises(ShapeError, match="init has shape"):
        LloydMaxQuantizer(3, np.zeros(2)).fit([1.0])


@pytest.mark.parametrize("k", MAX_TABLE)
def test_the_table_of_max(k):
    """The printed digits; a unit in the last one for the table's own rounding."""
    positive, error = MAX_TABLE[k]
    levels = normal_levels(k)
    assert np.array_equal(levels, -levels[::-1])
    got = levels[k // 2 :]
    assert all(abs(a - b) <= 10.0 ** (np.floor(np.log10(b or 1)) - 3) * 1.5
               for a, b in zip(got, positive, strict=True))  # fmt: skip
    # at means of cells the error is the variance less the levels' own
    cdf = NormalDist().cdf
    ends = [-np.inf, *(levels[:-1] + levels[1:]) / 2, np.inf]
    chance = np.diff([cdf(t) for t in ends])
    assert abs(1 - float(np.sum(chance * levels**2)) - error) <= 0.6e-4 * error + 5e-5


@pytest.mark.parametrize("k", [2, 7, 64, 256])
def test_normal_levels_are_a_fixed_point(k):
    levels = normal_levels(k)
    assert (np.diff(levels) > 0).all()
    ends = [-np.inf, *(levels[:-1] + levels[1:]) / 2, np.inf]
    normal = NormalDist()
    for a, b, level in zip(ends[:-1], ends[1:], levels, strict=True):
        height = (0.0 if np.isinf(a) else normal.pdf(a)) - (0.0 if np.isinf(b) else normal.pdf(b))
        chance = normal.cdf(min(-a, 99)) - normal.cdf(min(-b, 99)) if a > 0 else normal.cdf(
            min(b, 99)) - normal.cdf(max(a, -99))  # fmt: skip
        # differences of numbers near one lose 2^-53 / chance
        assert abs(height / chance - level) <= 2.0**-40 + 2.0**-50 / chance


def test_samples_come_near_the_density():
    x = np.array([NormalDist().inv_cdf((i + 0.5) / 20000) for i in range(20000)])
    q = LloydMaxQuantizer(4, codebook_method=EXACT).fit(x)
    assert np.max(np.abs(q.levels_ - normal_levels(4))) < 2e-3


@pytest.mark.parametrize(
    ("params", "match"),
    [({"n_levels": 0}, "n_levels"), ({"init": "best"}, "init"), ({"tol": 2.0}, "tol")],
)
def test_refusals(params, match):
    with pytest.raises(RangeError, match=match):
        LloydMaxQuantizer(**params).fit([1.0, 2.0])
