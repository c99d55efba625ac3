"""Schedules: the named points of their curves, and what every schedule promises."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import RangeError
from refq.training import Constant, Cosine, StepDecay

UNIT = st.floats(0, 1)
SCHEDULES = st.one_of(
    st.just(Constant()),
    st.builds(StepDecay, st.just((0.3, 0.6)), UNIT),
    st.builds(Cosine, UNIT, UNIT),
)


@given(SCHEDULES, st.integers(1, 300), st.data())
def test_every_factor_is_in_the_unit_interval(schedule, n_steps, data):
    step = data.draw(st.integers(0, n_steps - 1))
    assert 0.0 <= schedule.factor(step, n_steps) <= 1.0


@given(UNIT, UNIT, st.integers(1, 300))
def test_the_cosine_rises_to_one_then_falls(warmup, last, n_steps):
    factors = [Cosine(warmup, last).factor(i, n_steps) for i in range(n_steps)]
    n_warm = round(warmup * n_steps)
    assert factors[:n_warm] == [(i + 1) / n_warm for i in range(n_warm)]
    falling = factors[n_warm:]
    assert all(b <= a + 1e-15 for a, b in pairwise(falling))
    if falling:
        assert abs(falling[0] - 1.0) < 1e-15
        assert falling[-1] >= last - 1e-15


def test_quarters_of_the_cosine():
    cosine = Cosine(last=0.5)
    want = [0.5 + 0.25 * (1 + c) for c in (1, math.sqrt(0.5), 0, -math.sqrt(0.5))]
    assert [cosine.factor(i, 4) for i in range(4)] == pytest.approx(want, abs=1e-15)


def test_the_whole_training_may_be_warmup():
    assert [Cosine(warmup=1.0).factor(i, 4) for i in range(4)] == [0.25, 0.5, 0.75, 1.0]


def test_step_decay_counts_the_milestones_behind():
    schedule = StepDecay((0.5, 0.75), 0.5)
    assert [schedule.factor(i, 8) for i in range(8)] == [1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25]


def test_a_constant_is_one():
    assert {Constant().factor(i, 3) for i in range(3)} == {1.0}


@pytest.mark.parametrize(("step", "n_steps"), [(-1, 4), (4, 4), (0, 0), (0.0, 4)])
def test_steps_outside_are_refused(step, n_steps):
    for schedule in (Constant(), StepDecay(), Cosine()):
        with pytest.raises(RangeError, match="step"):
            schedule.factor(step, n_steps)


@pytest.mark.parametrize(
    "make",
    [
        lambda: StepDecay((0.5, 0.5)),
        lambda: StepDecay((0.75, 0.5)),
        lambda: StepDecay((0.0,)),
        lambda: StepDecay((1.0,)),
        lambda: StepDecay(decay=1.5),
        lambda: Cosine(warmup=-0.1),
        lambda: Cosine(warmup=1.1),
        lambda: Cosine(last=2),
    ],
)
def test_settings_are_checked(make):
    with pytest.raises(RangeError):
        make()
