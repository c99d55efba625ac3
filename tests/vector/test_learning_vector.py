"""LVQ: steps by hand, GLVQ's gradient by differences, and what sets it apart from k-means."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from refq.core.errors import NotFittedError, RangeError, ShapeError
from refq.encodings import Cast
from refq.vector import KMeansQuantizer, LVQQuantizer, glvq_gradient, glvq_loss
from refq.vector.learning_rules import glvq_shares, lvq1_shares, lvq3_shares, lvq21_shares

EXACT = Cast("float64")


def started(rule, codewords, labels, **settings):
    """A quantizer whose codewords are the given ones: no epoch moves them."""
    book = np.array(codewords, np.float64)
    q = LVQQuantizer(rule, init=book, epochs=0, codebook_method=EXACT, **settings)
    q.n_codewords_per_class = len(labels) // len(set(labels))
    return q.fit(book, labels)


# One step each, computed by hand -------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "label", "after"),
    [
        # the nearest is (0, 0) of class 0, at rate 1/4 of the way (1, 2)
        ((1.0, 2.0), 0, [[0.25, 0.5], [8.0, 0.0]]),
        ((1.0, 2.0), 1, [[-0.25, -0.5], [8.0, 0.0]]),
        # the nearest is (8, 0) of class 1, the way is (-2, 4)
        ((6.0, 4.0), 1, [[0.0, 0.0], [7.5, 1.0]]),
        ((6.0, 4.0), 0, [[0.0, 0.0], [8.5, -1.0]]),
        # halfway: the lower index
        ((4.0, 0.0), 0, [[1.0, 0.0], [8.0, 0.0]]),
    ],
)
def test_one_step_of_lvq1(x, label, after):
    q = started("lvq1", [[0, 0], [8, 0]], [0, 1], learning_rate=0.25)
    assert q.step(x, label).tolist() == after


def test_one_step_of_lvq21():
    # distances 3 and 5 of x = 3: the ratio 3/5 is in the window if (1 - w) / (1 + w) < 3/5
    q = started("lvq2.1", [[0], [8]], [0, 1], learning_rate=0.5, window=0.5)
    assert q.step([3.0], 0).ravel().tolist() == [1.5, 10.5]
    assert q.step([3.0], 1).ravel().tolist() == [-1.5, 5.5]
    narrow = started("lvq2.1", [[0], [8]], [0, 1], learning_rate=0.5, window=0.2)
    assert narrow.step([3.0], 0).ravel().tolist() == [0.0, 8.0]  # 2/3 is not below 3/5
    # at the window's edge itself nothing moves: 3/5 > 3/5 is false with w = 1/4
    edge = started("lvq2.1", [[0], [8]], [0, 1], learning_rate=0.5, window=0.25)
    assert edge.step([3.0], 0).ravel().tolist() == [0.0, 8.0]


def test_lvq21_leaves_two_codewords_of_one_class():
    q = started("lvq2.1", [[0], [2], [90], [99]], [0, 0, 1, 1], learning_rate=0.5, window=1.0)
    assert q.step([1.0], 0).ravel().tolist() == [0, 2, 90, 99]
    assert q.step([1.0], 1).ravel().tolist() == [0, 2, 90, 99]


def test_one_step_of_lvq3():
    given = {"learning_rate": 0.5, "window": 0.5, "epsilon": 0.25}
    q = started("lvq3", [[0], [2], [6], [99]], [0, 0, 1, 1], **given)
    # both of x's class: an eighth of the way, whatever the window says
    assert q.step([8.0 - 8.0], 0).ravel().tolist() == [0.0, 1.75, 6.0, 99.0]
    # both of another class: nothing
    assert q.step([0.5], 1).ravel().tolist() == [0, 2, 6, 99]
    # 4 is midway between 2 (class 0) and 6 (class 1): as LVQ2.1
    assert q.step([4.0], 1).ravel().tolist() == [0, 1, 5, 99]
    assert q.step([4.0], 0).ravel().tolist() == [0, 3, 7, 99]


def test_one_step_of_glvq():
    # d_1 = d_2 = 1: mu = 0, f' = 1/4, both shares 4 (1/4) / 4 = 1/4 in units of the spread
    assert glvq_shares(np.array([1.0, 1.0]), np.array([True, False])).tolist() == [0.25, -0.25]
    q = started("glvq", [[-1], [1]], [0, 1], learning_rate=0.5)
    assert q._unit == 1.0
    assert q.step([0.0], 0).ravel().tolist() == [-0.875, 1.125]


def test_no_step_of_glvq_passes_the_example():
    """Near a border between near codewords the gradient is huge; its step ends at the example."""
    assert glvq_shares(np.array([0.0, 0.0]), np.array([True, False])).tolist() == [0.0, 0.0]
    e = 2.0**-20
    q = started("glvq", [[-e], [1.0], [e], [-1.0]], [0, 0, 1, 1], learning_rate=1.0)
    assert q.step([0.0], 0).ravel().tolist() == [0.0, 1.0, 2 * e, -1.0]
    assert q.step([0.0], 1).ravel().tolist() == [-2 * e, 1.0, 0.0, -1.0]


@given(
    st.sampled_from(["lvq1", "lvq2.1", "lvq3"]),
    st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 2)), min_size=2, max_size=6),
    st.integers(-9, 9),
    st.integers(0, 2),
    st.sampled_from([0.125, 0.25, 0.5, 1.0]),
)
def test_shares_against_the_text_in_fractions(rule, codewords, x, label, w):
    """Three rules written anew, with sorted Fractions instead of arrays."""
    squares = [Fraction(c - x) ** 2 for c, _ in codewords]
    own = [k == label for _, k in codewords]
    i, j = sorted(range(len(squares)), key=lambda k: (squares[k], k))[:2]
    s = (1 - Fraction(w)) / (1 + Fraction(w))
    # at the window's edge itself the rounding of (1 - w) / (1 + w) decides; else 1/81 is between
    assume(w == 1.0 or squares[i] != s * s * squares[j])
    want = [0.0] * len(squares)
    if rule == "lvq1":
        want[i] = 1.0 if own[i] else -1.0
    elif own[i] and own[j]:
        want[i] = want[j] = 0.25 if rule == "lvq3" else 0.0
    elif own[i] != own[j] and squares[i] > s * s * squares[j]:
        want[i], want[j] = (1.0, -1.0) if own[i] else (-1.0, 1.0)
    d, mine = np.array(squares, np.float64), np.array(own)
    shares = {
        "lvq1": lambda: lvq1_shares(d, mine),
        "lvq2.1": lambda: lvq21_shares(d, mine, w),
        "lvq3": lambda: lvq3_shares(d, mine, w, 0.25),
    }
    assert shares[rule]().tolist() == want


# GLVQ's gradient ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_glvq_gradient_equals_central_differences(seed):
    rng = np.random.default_rng(seed)
    book, X = rng.standard_normal((5, 3)), rng.standard_normal((8, 3))
    labels, y = np.array([0, 0, 1, 1, 2]), rng.integers(0, 3, 8)
    gradient = glvq_gradient(book, labels, X, y)
    h = 1e-5
    for k in range(5):
        for j in range(3):
            up, down = book.copy(), book.copy()
            up[k, j] += h
            down[k, j] -= h
            slope = (glvq_loss(up, labels, X, y) - glvq_loss(down, labels, X, y)) / (2 * h)
            # third derivatives are of order 10 here: h^2 of them, and 2^-50 / h of rounding
            assert abs(slope - gradient[k, j]) < 1e-8


@given(st.integers(0, 200))
def test_small_steps_along_the_gradient_lower_the_cost(seed):
    rng = np.random.default_rng(seed)
    book, X = rng.standard_normal((4, 2)), rng.standard_normal((6, 2))
    labels, y = np.array([0, 0, 1, 1]), rng.integers(0, 2, 6)
    gradient = glvq_gradient(book, labels, X, y)
    before = glvq_loss(book, labels, X, y)
    step = 1e-6 / (1 + np.abs(gradient).max() ** 2)
    after = glvq_loss(book - step * gradient, labels, X, y)
    assert after <= before + 1e-15 * len(X)


# Learning -----------------------------------------------------------------------------------


def bands(n=300, seed=0):
    """Two classes, one above the other, in two bands that are longer than far apart."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    X = np.stack([rng.uniform(0, 2, n), 0.6 * y + rng.uniform(-0.15, 0.15, n)], axis=1)
    return X, y


@pytest.mark.parametrize("rule", ["lvq1", "glvq"])
def test_lvq_classifies_where_unsupervised_codewords_do_not(rule):
    X, y = bands()
    held, truth = bands(1000, 1)
    q = LVQQuantizer(rule, 1, 0.1, 10, random_state=0).fit(X, y)
    supervised = np.mean(q.predict(held) == truth)
    k = KMeansQuantizer(2, 2, random_state=0).fit(X)
    # the best that labels given afterwards can do
    codes, mine = k.encode_codes(held)[:, 0], k.encode_codes(X)[:, 0]
    majority = np.array([np.bincount(y[mine == c], minlength=2).argmax() for c in range(2)])
    assert supervised > 0.9
    assert np.mean(majority[codes] == truth) < 0.65
    # and k-means is the one that reconstructs
    assert k.inertia_ < np.sum((X - q.decode_codes(q.encode_codes(X))) ** 2)


@pytest.mark.parametrize("rule", ["lvq2.1", "lvq3"])
def test_window_rules_mend_a_border_that_is_off(rule):
    X = np.random.default_rng(0).uniform(0, 2, (300, 1))
    y = (X[:, 0] > 1).astype(int)
    start = np.array([[0.0], [1.2]])  # the border lies at 0.6 and should at 1
    off = LVQQuantizer(rule, 1, init=start, epochs=0).fit(X, y)
    mended = LVQQuantizer(rule, 1, 0.02, 10, 0.3, 0.1, init=start, random_state=0).fit(X, y)
    assert np.mean(off.predict(X) == y) < 0.85
    assert np.mean(mended.predict(X) == y) > 0.95


def test_lvq21_drifts_where_glvq_stays():
    """Example by example LVQ2.1 pushes the two sides of a border apart: Sato and Yamada's case."""
    X = np.random.default_rng(0).uniform(0, 2, (300, 1))
    y = (X[:, 0] > 1).astype(int)
    start = np.array([[0.5], [1.5]])
    apart = {}
    for rule in ("lvq2.1", "glvq"):
        for epochs in (5, 50):
            q = LVQQuantizer(rule, 1, 0.05, epochs, 0.3, init=start, random_state=0).fit(X, y)
            apart[rule, epochs] = float(q.codebook_[1, 0] - q.codebook_[0, 0])
    assert apart["lvq2.1", 50] > apart["lvq2.1", 5] + 1 > 2
    assert apart["glvq", 50] < 2


def test_fit_is_steps_in_the_drawn_order():
    X, y = bands(20)
    start = np.array([[2.0, 0.2], [8.0, 0.3], [2.0, 0.9], [8.0, 0.7]])
    q = LVQQuantizer("lvq1", 2, 0.5, 2, init=start, codebook_method=EXACT, random_state=7)
    q.fit(X, y)
    rng, book, labels, t = np.random.default_rng(7), start.copy(), [0, 0, 1, 1], 0
    for _ in range(2):
        for i in rng.permutation(20):
            k = int(np.argmin([np.sum((X[i] - c) ** 2) for c in book]))
            sign = 1 if labels[k] == y[i] else -1
            book[k] = book[k] + sign * (0.5 * (1 - t / 40)) * (X[i] - book[k])
            t += 1
    np.testing.assert_array_equal(q.codebook_, book)


def test_labels_may_be_any_numbers_and_order_does_not_matter():
    X = [[0.0], [1.0], [5.0], [6.0]]
    q = LVQQuantizer(n_codewords_per_class=1, random_state=0).fit(X, [7, 7, -2, -2])
    assert q.classes_.tolist() == [-2, 7]
    assert q.codebook_labels_.tolist() == [-2, 7]
    assert q.predict([[0.5], [5.5]]).tolist() == [7, -2]


def test_refusals():
    X, y = np.arange(8.0).reshape(4, 2), [0, 0, 1, 1]
    with pytest.raises(RangeError, match="needs y"):
        LVQQuantizer().fit(X)
    with pytest.raises(ShapeError, match="4 rows"):
        LVQQuantizer().fit(X, [0, 1])
    with pytest.raises(RangeError, match="class 1 has 1 rows"):
        LVQQuantizer().fit(X, [0, 0, 0, 1])
    for rule in ("lvq2.1", "glvq"):
        with pytest.raises(RangeError, match="one class"):
            LVQQuantizer(rule).fit(X, [0, 0, 0, 0])
    with pytest.raises(RangeError, match="codewords"):
        LVQQuantizer("lvq3", 1).fit(X, [0, 0, 0, 0])
    with pytest.raises(ShapeError, match="init"):
        LVQQuantizer(init=np.zeros((3, 2))).fit(X, y)
    with pytest.raises(NotFittedError):
        LVQQuantizer().predict(X)
    with pytest.raises(NotFittedError):
        LVQQuantizer().step([0.0, 0.0], 0)
    q = LVQQuantizer(random_state=0).fit(X, y)
    with pytest.raises(RangeError, match="label = 9"):
        q.step([0.0, 0.0], 9)
    with pytest.raises(ShapeError):
        q.step([0.0], 0)
    with pytest.raises(RangeError, match="progress"):
        q.step([0.0, 0.0], 0, progress=1.0)


@pytest.mark.parametrize("rule", ["lvq1", "lvq2.1", "lvq3", "glvq"])
@pytest.mark.parametrize("size", [2.0**-100, 1.0, 2.0**100])
def test_rules_do_not_depend_on_the_unit(rule, size):
    X, y = bands(40)
    settings = {"epochs": 2, "window": 0.5, "codebook_method": EXACT, "random_state": 0}
    plain = LVQQuantizer(rule, 2, **settings).fit(X, y).codebook_
    np.testing.assert_array_equal(
        LVQQuantizer(rule, 2, **settings).fit(X * size, y).codebook_ / size, plain
    )


@pytest.mark.parametrize("rule", ["lvq1", "lvq2.1", "lvq3", "glvq"])
def test_equal_rows_of_two_classes_stay_where_they_are(rule):
    X = np.full((4, 2), 0.75)
    q = LVQQuantizer(rule, 2, random_state=0).fit(X, [0, 0, 1, 1])
    assert q.encode(X).decode().tolist() == X.tolist()
    assert q.predict(X).tolist() == [0, 0, 0, 0]  # of equal codewords the first
