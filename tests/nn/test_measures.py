import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq import nn
from refq.core.errors import DTypeError, RangeError, ShapeError

LOGITS = st.integers(1, 6).flatmap(
    lambda n: st.lists(st.lists(st.integers(-3, 3), min_size=3, max_size=3), min_size=n, max_size=n)
)


def answer(row):
    """Return the lowest class among the largest logits."""
    return row.index(max(row))


@given(LOGITS, st.data())
def test_counts_equal_the_definition(before, data):
    n = len(before)
    row = st.lists(st.integers(-3, 3), min_size=3, max_size=3)
    after = data.draw(st.lists(row, min_size=n, max_size=n))
    y = data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
    old, new = ([answer(r) == c for r, c in zip(rows, y, strict=True)] for rows in (before, after))
    assert nn.accuracy(before, y) == float(Fraction(sum(old), n))
    assert nn.accuracy(np.array(before, np.int32), np.array(y, np.uint8)) == nn.accuracy(before, y)
    alike = sum(answer(a) == answer(b) for a, b in zip(before, after, strict=True))
    assert nn.top1_agreement(before, after) == float(Fraction(alike, n))
    better, worse = nn.changed_answers(before, after, y)
    assert better == sum(b and not a for a, b in zip(old, new, strict=True))
    assert worse == sum(a and not b for a, b in zip(old, new, strict=True))
    assert better - worse == sum(new) - sum(old)


@given(st.lists(st.tuples(st.integers(-99, 99), st.integers(-99, 99)), min_size=1, max_size=9))
def test_errors_equal_the_definition(pairs):
    a, b = (np.array(v, np.float32) for v in zip(*pairs, strict=True))
    n = len(pairs)
    assert nn.mean_absolute_error(a, b) == float(Fraction(sum(abs(p - q) for p, q in pairs), n))
    want = math.sqrt(Fraction(sum((p - q) ** 2 for p, q in pairs), n))
    assert nn.root_mean_squared_error(a, b) == pytest.approx(want, rel=2**-51)


def test_errors_are_computed_in_float64():
    a = np.array([2.0**24, 2.0**24], np.float32)
    assert nn.mean_absolute_error(a, np.array([1, 1], np.int64)) == 2.0**24 - 1
    assert nn.root_mean_squared_error(np.array([1e30], np.float32), [0.0]) == np.float32(1e30)


@given(LOGITS, st.integers(-9, 9), st.data())
def test_kl_divergence_equals_the_definition(p, shift, data):
    row = st.lists(st.integers(-3, 3), min_size=3, max_size=3)
    q = data.draw(st.lists(row, min_size=len(p), max_size=len(p)))

    def softmax(row):
        e = [math.exp(v) for v in row]
        return [v / math.fsum(e) for v in e]

    want = math.fsum(
        s * math.log(s / t)
        for a, b in zip(p, q, strict=True)
        for s, t in zip(softmax(a), softmax(b), strict=True)
    ) / len(p)
    got = nn.kl_divergence(p, q)
    # three terms below 7 per example, each through about ten roundings
    assert got == pytest.approx(want, abs=3 * 7 * 16 * 2.0**-53)
    assert got >= -3 * 7 * 16 * 2.0**-53
    assert nn.kl_divergence(p, p) == 0
    moved = np.array(q, np.float64) + shift
    assert nn.kl_divergence(p, moved) == pytest.approx(got, abs=1e-14)


def test_kl_divergence_survives_logits_that_underflow():
    with np.errstate(all="raise"):
        assert nn.kl_divergence([[0.0, -1e5]], [[-1e5, 0.0]]) == 1e5


@pytest.mark.parametrize(
    ("logits", "y", "error", "message"),
    [
        ([[0, 1]], [2], RangeError, r"y\[0\] = 2 must lie in \[0, 2\)"),
        ([[0, 1]], [-1], RangeError, r"y\[0\] = -1"),
        ([[0, 1]], [0, 1], ShapeError, "y has shape"),
        ([[0, 1]], [[0]], ShapeError, "y has shape"),
        ([0, 1], [0, 1], ShapeError, "logits has shape"),
        (np.zeros((0, 2)), np.zeros(0, int), ShapeError, "logits has shape"),
        ([[0, np.nan]], [0], RangeError, r"logits\[0, 1\] = nan"),
        ([[0, 1]], [0.0], DTypeError, "y has dtype"),
    ],
)
def test_bad_input(logits, y, error, message):
    with pytest.raises(error, match=message):
        nn.accuracy(logits, y)


def test_shapes_must_agree():
    a, b = np.zeros((2, 3)), np.zeros((3, 3))
    for measure in (nn.top1_agreement, nn.kl_divergence, nn.mean_absolute_error):
        with pytest.raises(ShapeError, match="must be equal"):
            measure(a, b)
    with pytest.raises(ShapeError, match="before"):
        nn.changed_answers(a, b, [0, 0])
    with pytest.raises(ShapeError, match="nothing"):
        nn.root_mean_squared_error([], [])
