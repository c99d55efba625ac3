"""Eckart and Young, executed: the tail is the error, and no other matrix of the rank is nearer."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import NotFittedError, RangeError, ShapeError
from refq.encodings import Cast, Encoding, FactoredEncoding, Method, ScaledEncoding, dense
from refq.lowrank import (
    SVDFactorizer,
    break_even_rank,
    canonical_signs,
    numerical_rank,
    rank_of_energy,
    tail_norm,
    truncated_svd,
)

EPS = 2.0**-52


def rounding(W: np.ndarray) -> float:
    """Return what float64 may add to an error: p(m, n) eps norm(W).

    LAPACK's factors are exact for W + E with norm(E) <= p eps norm(W) and p of low degree; the
    product of factors adds gamma(r) norm(A) norm(B), r <= min(m, n), and norm(A) norm(B) <= sum(s)
    <= sqrt(min(m, n)) norm(W). Ten times m + n covers both at these sizes.
    """
    return 10 * sum(W.shape) * EPS * float(np.linalg.norm(W))


SHAPES = list(itertools.product(range(1, 7), range(1, 7)))


def matrix(seed: int, shape: tuple[int, int], true_rank: int | None = None) -> np.ndarray:
    rng = np.random.default_rng(seed)
    r = min(shape) if true_rank is None else true_rank
    return rng.integers(-4, 5, (shape[0], r)) @ rng.integers(-4, 5, (r, shape[1])) * 1.0


def exact(rank: int | None = None, energy: float | None = None) -> SVDFactorizer:
    return SVDFactorizer(rank, energy, Cast("float64"))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("deficit", [0, 1, 2])
def test_the_tail_is_the_error_for_every_rank(shape, deficit):
    W = matrix(sum(shape), shape, max(min(shape) - deficit, 0))
    for rank in range(1, min(shape) + 1):
        method = exact(rank).fit(W)
        e = method.encode(W)
        error = float(np.linalg.norm(W - e.decode()))
        assert e.shape == W.shape
        assert [f.shape for f in e.factors] == [(shape[0], rank), (rank, shape[1])]
        assert abs(error - method.tail_) <= rounding(W)
        # the tail against the exact sum: all squares add up to an integer
        kept = math.fsum(s * s for s in method.singular_values_[:rank])
        total = int((W.astype(int) ** 2).sum())
        assert abs(kept + method.tail_**2 - total) <= 10 * sum(shape) * EPS * total


@pytest.mark.parametrize("shape", SHAPES)
def test_full_rank_reconstructs(shape):
    W = np.random.default_rng(7).standard_normal(shape)
    assert np.linalg.norm(W - exact(min(shape)).fit_encode(W).decode()) <= rounding(W)


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.sampled_from(SHAPES),
    data=st.data(),
    distance=st.sampled_from([0.0, 1e-6, 1e-3, 1.0]),
)
def test_no_other_matrix_of_the_rank_is_nearer(seed, shape, data, distance):
    W = matrix(seed, shape)
    rank = data.draw(st.integers(1, min(shape)))
    e = exact(rank).fit_encode(W)
    rng = np.random.default_rng(seed)
    # a neighbour of the optimum, improved by alternating least squares: the strongest rival
    left, right = (f.decode() + distance * rng.standard_normal(f.shape) for f in e.factors)
    for _ in range(3):
        right = np.linalg.lstsq(left, W, rcond=None)[0]
        left = np.linalg.lstsq(right.T, W.T, rcond=None)[0].T
    rival = np.linalg.norm(W - left @ right)
    assert np.linalg.norm(W - e.decode()) <= rival + rounding(W)


def test_two_by_two_in_closed_form():
    # s^2 = (trace +- sqrt(trace^2 - 4 det^2)) / 2 of W W^T: here 45 and 5
    W = np.array([[3.0, 0.0], [4.0, 5.0]])
    method = exact(1).fit(W)
    assert np.allclose(method.singular_values_**2, [45, 5], rtol=1e-14, atol=0)
    assert abs(method.tail_ - math.sqrt(5)) < 1e-14
    assert np.allclose(method.encode(W).decode(), [[1.5, 1.5], [4.5, 4.5]], rtol=1e-14, atol=0)


@pytest.mark.parametrize("shape", [(6, 2, 3, 3), (5, 1, 2), (2, 3, 1, 2, 2)])
def test_more_axes_are_a_matrix_by_the_first(shape):
    W = np.random.default_rng(0).standard_normal(shape)
    flat = exact(2).fit_encode(W.reshape(shape[0], -1)).decode()
    assert (exact(2).fit_encode(W).decode() == flat.reshape(shape)).all()


@given(seed=st.integers(0, 2**32 - 1), shape=st.sampled_from(SHAPES))
def test_signs_are_canonical_and_values_split_evenly(seed, shape):
    W = matrix(seed, shape)
    left, right = truncated_svd(W, min(shape))
    for column in left.T:
        if column.any():
            assert column[np.argmax(np.abs(column))] > 0
    s = np.linalg.svd(W, compute_uv=False)
    for side in (np.linalg.norm(left, axis=0) ** 2, np.linalg.norm(right, axis=1) ** 2):
        assert np.allclose(side, s, rtol=0, atol=rounding(W) + 1e-300)


def test_on_a_tie_of_magnitudes_the_first_entry_is_positive():
    U = np.array([[-1.0, 1.0], [1.0, -1.0]])
    turned, Vt = canonical_signs(U, np.eye(2))
    assert turned.tolist() == [[1.0, 1.0], [-1.0, -1.0]]
    assert (turned @ Vt == U @ np.eye(2)).all()


def test_zeros_stay_zeros():
    W = np.zeros((3, 4))
    for method in (exact(2), exact(energy=0.5)):
        e = method.fit(W).encode(W)
        assert not e.decode().any()
        assert method.tail_ == 0
        assert not np.signbit(e.decode()).any()
    assert method.rank_ == 1


# Ranks by energy ------------------------------------------------------------------------------


@given(
    values=st.lists(st.integers(0, 20), min_size=1, max_size=6),
    share=st.sampled_from([0.1, 0.5, 0.8, 0.9, 0.99, 1.0]),
)
def test_energy_picks_the_smallest_rank_exactly(values, share):
    s = sorted(values, reverse=True)
    need = Fraction(str(share)) * sum(v * v for v in s)
    want = next(r for r in range(1, len(s) + 1) if sum(v * v for v in s[:r]) >= need)
    assert rank_of_energy(np.array(s, float), share) == want


def test_a_share_that_is_met_exactly_is_met():
    assert rank_of_energy([3.0, 1.0], 0.9) == 1  # float 0.9 lies above 9/10
    assert rank_of_energy([3.0, 1.0], 0.9 + 1e-8) == 2


@pytest.mark.parametrize("true_rank", [1, 2, 3])
def test_all_energy_is_the_rank_of_the_matrix(true_rank):
    rng = np.random.default_rng(0)
    W = rng.standard_normal((6, true_rank)) @ rng.standard_normal((true_rank, 5))
    method = exact(energy=1.0).fit(W)
    assert method.rank_ == true_rank
    assert np.linalg.norm(W - method.encode(W).decode()) <= rounding(W)


def test_energies_do_not_overflow():
    assert rank_of_energy([1e200, 1e200, 1.0], 0.6) == 2
    assert tail_norm([1e200, 4e180, 3e180], 1) == pytest.approx(5e180, rel=1e-15)
    assert tail_norm([4e-180, 3e-180], 0) == pytest.approx(5e-180, rel=1e-15)


@pytest.mark.parametrize("shape", SHAPES)
def test_break_even(shape):
    m, n = shape
    r = break_even_rank(shape)
    assert r == 0 or r * (m + n) < m * n
    assert (r + 1) * (m + n) >= m * n


@pytest.mark.parametrize("values", [[], [1.0, 2.0], [-1.0], [float("nan")], [[1.0]]])
def test_wrong_singular_values(values):
    for function in (
        lambda: rank_of_energy(values, 0.5),
        lambda: tail_norm(values, 0),
        lambda: numerical_rank(values, (1, 1)),
    ):
        with pytest.raises((RangeError, ShapeError)):
            function()


# Storing the factors --------------------------------------------------------------------------


class _Rows(Method):
    """Codes 1 to 15 of each row's own maximum: a stand-in for a scalar quantizer."""

    parameters = {}

    @classmethod
    def examples(cls):
        return [cls()]

    def _learn(self, W, y, inputs, gradients):
        self.scale_ = np.abs(W).max(axis=1, keepdims=True) / 7

    def _encode(self, W):
        codes = np.rint(W / self.scale_).astype(int)
        return ScaledEncoding(dense(codes, "int4"), dense(self.scale_, "float64"), (1, W.shape[1]))


@pytest.mark.parametrize("factor_method", [Cast("float16"), Cast("float32"), _Rows()])
def test_the_error_with_rounded_factors_is_bounded(factor_method):
    W = np.random.default_rng(3).standard_normal((9, 7))
    method = SVDFactorizer(rank=4, factor_method=factor_method).fit(W)
    e = method.encode(W)
    A, B = truncated_svd(W, 4)
    a, b = (f.decode().astype(np.float64) for f in e.factors)
    dA, dB = np.linalg.norm(a - A), np.linalg.norm(b - B)
    norm_a, norm_b = np.linalg.norm(A), np.linalg.norm(B)
    product = 4 * 2.0**-23 * (norm_a + dA) * (norm_b + dB)  # gamma(4) of float32, rounded up
    bound = method.tail_ + dA * norm_b + norm_a * dB + dA * dB + product + rounding(W)
    assert np.linalg.norm(W - e.decode()) <= bound
    assert dA > 0


def test_each_factor_has_a_method_of_its_own():
    shared = _Rows()
    W = np.random.default_rng(3).standard_normal((9, 7))
    e = SVDFactorizer(rank=2, factor_method=shared).fit_encode(W)
    assert not hasattr(shared, "fitted_shape_")
    assert [f.scale.shape for f in e.factors] == [(9, 1), (2, 1)]


def test_every_bit_is_counted():
    e = SVDFactorizer(rank=3).fit_encode(np.random.default_rng(0).standard_normal((8, 4, 2, 2)))
    assert e.stored_bits == 16 * 3 * (8 + 16)
    back = Encoding.from_bytes(e.to_bytes())
    assert isinstance(back, FactoredEncoding)
    assert back.decode().tobytes() == e.decode().tobytes()


def test_defaults_are_not_shared_state():
    SVDFactorizer(rank=1).set_params(factor_method__format="float64")
    assert SVDFactorizer(rank=1).factor_method.format == "float16"


def test_every_layout_gives_the_same_bits():
    W = np.random.default_rng(1).standard_normal((5, 6)).astype(np.float32)
    want = SVDFactorizer(rank=2).fit_encode(W).to_bytes()
    twice = np.repeat(np.repeat(W, 2, 0), 2, 1)
    frozen = W.copy()
    frozen.flags.writeable = False
    for layout in (
        np.asfortranarray(W),
        W[::-1, ::-1].copy()[::-1, ::-1],
        twice[::2, ::2],
        frozen,
        W.astype(W.dtype.newbyteorder()),
    ):
        assert SVDFactorizer(rank=2).fit_encode(layout).to_bytes() == want


# Errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (5, 3), (4, 2, 3)])
def test_ranks_past_the_ends(shape):
    W = np.ones(shape)
    top = min(shape[0], math.prod(shape[1:]))
    exact(top).fit(W)
    for rank in (0, -1, top + 1):
        with pytest.raises(ShapeError, match=rf"\[1, {top}\]"):
            exact(rank).fit(W)


@pytest.mark.parametrize("shape", [(), (3,), (0, 3), (3, 0)])
def test_shapes_that_are_no_matrix(shape):
    for method in (exact(1), exact(energy=0.5)):
        with pytest.raises(ShapeError):
            method.fit(np.ones(shape))


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"rank": 1, "energy": 0.5},
        {"rank": 1.0},
        {"rank": True},
        {"energy": 0.0},
        {"energy": -0.1},
        {"energy": 1.1},
        {"energy": float("nan")},
        {"rank": 1, "factor_method": "float16"},
    ],
)
def test_parameters_that_are_not_legal(params):
    with pytest.raises(RangeError):
        SVDFactorizer(**params).fit(np.ones((3, 3)))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_not_finite(bad):
    W = np.ones((2, 2))
    W[1, 0] = bad
    with pytest.raises(RangeError, match=r"W\[1, 0\]"):
        exact(1).fit(W)


def test_norms_past_float64_are_an_error():
    with pytest.raises(RangeError):
        exact(1).fit(np.full((4, 4), 1.7e308))


def test_encode_needs_the_fitted_shape():
    with pytest.raises(NotFittedError):
        exact(1).encode(np.ones((2, 2)))
    with pytest.raises(ShapeError):
        exact(1).fit(np.ones((2, 2))).encode(np.ones((2, 3)))
