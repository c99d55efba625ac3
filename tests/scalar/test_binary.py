"""Binary weights: the optimum against all signs and scales, the draw's mean, both forms."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import RangeError, ShapeError
from refq.core.granularity import PerAxis, PerGroup
from refq.encodings import Cast
from refq.scalar import BinaryQuantizer, hard_sigmoid
from refq.scalar.binary import block_means

EXACT = Cast("float64")


def least(x) -> Fraction:
    """Every assignment of signs has its own best scale: sum x^2 - (sum b x)^2 / n."""
    n = len(x)
    gains = (Fraction(sum(b * v for b, v in zip(s, x, strict=True))) ** 2 / n
             for s in product((-1, 1), repeat=n))  # fmt: skip
    return sum(Fraction(v) ** 2 for v in x) - max(gains)


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=7).filter(any))
def test_sign_and_mean_are_the_optimum(x):
    e = BinaryQuantizer(scale_method=EXACT).fit_encode(np.array(x, np.float64))
    error = sum((Fraction(a) - Fraction(float(b))) ** 2 for a, b in zip(x, e.decode(), strict=True))
    # alpha is a mean of whole numbers up to 9, within 2^-49; the error is flat there
    assert error - least(x) <= len(x) * Fraction(1, 2**98)


@given(st.lists(st.floats(-4, 4, width=32), min_size=1, max_size=20).filter(any))
def test_signs_and_bits_decode_alike(x):
    W = np.array(x, np.float32)
    signs, bits = (BinaryQuantizer(form=form, scale_method=Cast("float32")) for form in
                   ("signs", "bits"))  # fmt: skip
    try:
        one = signs.fit_encode(W)
    except RangeError:
        return
    other = bits.fit_encode(W)
    assert one.decode().tobytes() == other.decode().tobytes()
    assert np.array_equal(2 * other.elements.decode().astype(int) - 1, one.elements.decode())
    assert other.stored_bits == one.stored_bits + 32  # the offset is stored as well


def test_zero_gets_the_sign_that_is_asked_for():
    W = np.array([0.0, -0.0, 2.0, -2.0], np.float32)
    assert BinaryQuantizer().fit_encode(W).decode().tolist() == [1.0, 1.0, 1.0, -1.0]
    assert BinaryQuantizer(zero="minus").fit_encode(W).decode().tolist() == [-1.0, -1.0, 1.0, -1.0]


def test_hard_sigmoid():
    x = np.array([-2.0, -1.0, -0.5, 0.0, 1.0, 7.0])
    assert hard_sigmoid(x).tolist() == [0.0, 0.0, 0.25, 0.5, 1.0, 1.0]


@pytest.mark.parametrize(("scale", "alpha"), [("one", 1.0), ("max", 1.75)])
def test_the_draw_is_unbiased_up_to_clipping(scale, alpha):
    """4000 seeds: the mean is within 5 standard errors of clip(x, -alpha, alpha)."""
    x = np.array([-1.75, -1.0, -0.5, 0.0, 0.25, 0.9, 1.5])
    q = BinaryQuantizer(scale=scale, rounding="stochastic", scale_method=EXACT)
    rng, n = np.random.default_rng(0), 4000
    draws = np.array([q.set_params(random_state=rng).fit_encode(x).decode() for _ in range(n)])
    assert set(np.unique(draws)) == {-alpha, alpha}
    want = np.clip(x, -alpha, alpha)
    error = np.sqrt((alpha**2 - want**2) / n)
    assert (np.abs(draws.mean(axis=0) - want) <= 5 * error).all()  # exact where clipped: error 0
    neighbours = np.corrcoef(draws[:, 2:6].T)[np.triu_indices(4, 1)]
    assert np.max(np.abs(neighbours)) < 5 / np.sqrt(n)  # positions draw apart


def test_encode_draws_nothing():
    x = np.linspace(-1, 1, 50)
    q = BinaryQuantizer(scale="max", rounding="stochastic", random_state=np.random.default_rng(1))
    q.fit(x)
    assert q.encode(x).to_bytes() == q.encode(x).to_bytes()
    other = q.clone().set_params(random_state=2).fit(x).encode(x)
    assert other.to_bytes() != q.encode(x).to_bytes()


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
def test_means_never_overflow(scale):
    x = np.array([[1.0, 2.0, 3.0], [7.0, 7.0, 7.0]]) * scale
    assert np.allclose(block_means(x, (1, 2)), [[1.5 * scale, 3 * scale], [7 * scale] * 2], 1e-15)
    assert block_means(x, (1, 3))[1, 0] == 7.0 * scale


def test_bits_are_counted():
    W = np.random.default_rng(0).standard_normal((4, 12))
    assert BinaryQuantizer().fit_encode(W).stored_bits == 48 + 16
    assert BinaryQuantizer(PerAxis(0)).fit_encode(W).stored_bits == 48 + 4 * 16
    assert BinaryQuantizer(PerGroup(5)).fit_encode(W).stored_bits == 48 + 12 * 16


@pytest.mark.parametrize(
    ("q", "W", "error", "match"),
    [
        (BinaryQuantizer(), np.zeros(3), RangeError, r"block \[0\] is all zero"),
        (BinaryQuantizer(PerAxis(0)), np.eye(2)[:1].T, RangeError, r"block \[1, 0\]"),
        (BinaryQuantizer(), np.zeros((0, 3)), ShapeError, "empty"),
        (BinaryQuantizer(scale="one"), np.zeros(0), ShapeError, "empty"),
        (BinaryQuantizer(scale="median"), np.ones(1), RangeError, "scale = 'median'"),
        (BinaryQuantizer(), np.full(2, 1e-20), RangeError, "stored scale"),
    ],
)
def test_refusals(q, W, error, match):
    with pytest.raises(error, match=match):
        q.fit(W)


def test_zeros_are_fine_where_the_scale_is_one():
    assert BinaryQuantizer(scale="one").fit_encode(np.zeros(2)).decode().tolist() == [1.0, 1.0]
