"""HQQ: the shrinkage against a search, the descent of its objective, outliers, edges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import refq
from refq import HQQ, AffineQuantizer, Cast
from refq.conformance.laws.rounding import envelope
from refq.core.errors import RangeError
from refq.scalar import shrink

GRID = AffineQuantizer(3, refq.PerGroup(32))


def heavy(seed, shape=(16, 64)):
    return np.random.default_rng(seed).standard_t(3, shape).astype(np.float32)


@given(st.floats(-4, 4), st.floats(0.5, 50), st.sampled_from([0.3, 0.7, 1.0]))
def test_envelope_is_the_integral_of_what_is_forgiven(r, beta, p):
    """The slope of the envelope is beta (r - shrink(r)): what makes the alternation descend."""
    h = 1e-5
    ends = envelope(np.array([r - h, r + h]), beta, p)
    t = beta ** (-1 / (2 - p))
    # second derivative at most beta, third beta / t beyond the kink; at the kink, half a step of it
    room = 2 * h * beta * (1 + 1 / t) + 1e-16 * ends.max() / h * 4
    slope = float(beta * (r - shrink(np.array([r]), beta, p)[0]))
    assert abs((ends[1] - ends[0]) / (2 * h) - slope) <= room


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=9), st.floats(0.5, 50))
def test_shrinkage_does_not_decrease_and_never_changes_a_sign(values, beta):
    r = np.sort(np.array(values))
    for p in (0.1, 0.7, 1.0):
        e = shrink(r, beta, p)
        assert (np.diff(e) >= -1e-12).all()
        assert (np.abs(e) <= np.abs(r)).all()
        assert (e * r >= 0).all()


def test_soft_threshold_by_hand():
    assert shrink(np.array([3.0, -3.0, 0.4]), 2.0, 1.0).tolist() == [2.5, -2.5, 0.0]


def test_one_step_by_hand():
    """W / s = (0, 1.25, 3), s = 1: residuals (0, 0.25, 0), all below the threshold 1 / beta."""
    w = np.array([[0.0, 1.25, 3.0]])
    grid = AffineQuantizer(bits=2, scale_method=Cast("float64"))
    method = HQQ(grid, p=1.0, beta=1.0, steps=1, zero_method=Cast("float64")).fit(w)
    # so e = 0 and z = mean(q - w / s) = -0.25 / 3
    assert method.path_[:, 0, 0] == pytest.approx([0.0, -0.25 / 3], abs=1e-15)


@pytest.mark.parametrize("seed", range(4))
def test_better_in_the_p_norm_on_heavy_tails(seed):
    w = heavy(seed)
    errors = [np.abs(w - m.fit_encode(w).decode()) for m in (HQQ(GRID), GRID)]
    ours, before = ((e**0.7).reshape(16, 2, 32).sum(axis=2) for e in errors)
    assert (ours <= before * (1 + 1e-4)).all()  # float32 decoding; see the law for the room
    assert ours.sum() < 0.97 * before.sum()  # measured: 0.93 to 0.95
    assert np.median(errors[0]) < np.median(errors[1])


def test_scale_and_sharing():
    w = heavy(5)
    e, before = HQQ(GRID).fit_encode(w), GRID.fit_encode(w)
    assert np.array_equal(e.scale.decode(), before.scale.decode())
    # a zero point of 16 bits in place of 3
    assert e.stored_bits - before.stored_bits == 13 * e.scale.size


def test_a_coarse_zero_point_is_never_worse_than_the_first():
    """bfloat16 keeps whole zero points up to 256, and between 128 and 256 no others."""
    w = heavy(6, (64, 16))
    grid = AffineQuantizer(8, refq.PerAxis(0))
    e = HQQ(grid, zero_method=Cast("bfloat16")).fit_encode(w)
    errors = [(np.abs(w - x.decode()) ** 0.7).sum(axis=1) for x in (e, grid.fit_encode(w))]
    assert (errors[0] <= errors[1] * (1 + 1e-4)).all()
    zero = e.zero_point.decode()
    assert (zero[zero > 128] == np.rint(zero[zero > 128])).all()
    assert (zero != np.rint(zero)).any()


def test_a_format_that_cannot_hold_the_first_zero_point_is_refused():
    grid = AffineQuantizer(4, refq.PerAxis(0))
    with pytest.raises(RangeError, match=r"keeps 9\.0 as another number"):
        HQQ(grid, zero_method=Cast("float8_e5m2")).fit([[-9.0, 0.0, 6.0]])


BAD = {
    "p": ({"p": 0.0}, "p"),
    "p above": ({"p": 1.5}, "p"),
    "beta": ({"beta": -1.0}, "beta"),
    "kappa": ({"kappa": 0.5}, "kappa"),
    "steps": ({"steps": 0}, "steps"),
    "zero": ({"zero_method": AffineQuantizer()}, "zero_method"),
    "noun": ({"quantizer": Cast("float16")}, "lands on"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    settings, message = BAD[name]
    with pytest.raises(RangeError, match=message):
        HQQ(**settings).fit(np.ones((2, 3)))
