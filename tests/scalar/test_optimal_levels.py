"""Optimal levels: brute force on all small multisets, weights, rivals, storage."""

from fractions import Fraction
from itertools import combinations, combinations_with_replacement, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import RangeError, ShapeError
from refq.encodings import Cast
from refq.scalar import AffineQuantizer, LloydMaxQuantizer, OptimalLevelQuantizer
from refq.scalar.clipping import MeanSquaredErrorRange
from refq.scalar.optimal_levels import cell_means

EXACT = Cast("float64")


def least(points, weights, n_levels) -> Fraction:
    """All partitions of the sorted multiset into at most so many runs, in exact arithmetic."""
    pairs = sorted((Fraction(x), Fraction(h)) for x, h in zip(points, weights, strict=True) if h)
    n, found = len(pairs), []
    for k in range(1, min(n_levels, n) + 1):
        for cut in combinations(range(1, n), k - 1):
            ends, total = [0, *cut, n], Fraction(0)
            for i, j in pairwise(ends):
                H = sum(h for _, h in pairs[i:j])
                mean = sum(x * h for x, h in pairs[i:j]) / H
                total += sum(h * (x - mean) ** 2 for x, h in pairs[i:j])
            found.append(total)
    return min(found)


def test_all_small_multisets():
    for size in range(1, 7):
        for multiset in combinations_with_replacement([0, 1, 2, 5], size):
            W = np.array(multiset, np.float64)
            for k in range(1, size + 2):
                q = OptimalLevelQuantizer(k, codebook_method=EXACT).fit(W)
                want = least(multiset, [1] * size, k)
                assert abs(Fraction(q.inertia_) - want) <= Fraction(1, 2**45)
                assert len(q.levels_) == min(k, len(set(multiset)))
                decoded = q.encode(W).decode()
                assert abs(Fraction(float(np.sum((W - decoded) ** 2))) - want) <= 2.0**-45


@given(
    st.lists(st.tuples(st.integers(-9, 9), st.sampled_from([0, 1, 3, 0.5])), min_size=1, max_size=7)
    .filter(lambda pairs: any(h for _, h in pairs)),
    st.integers(1, 4),
)  # fmt: skip
def test_weighted(pairs, k):
    x, h = (np.array(side, np.float64) for side in zip(*pairs, strict=True))
    q = OptimalLevelQuantizer(k, weights=h, codebook_method=EXACT).fit(x)
    assert abs(Fraction(q.inertia_) - least(x, h, k)) <= Fraction(1, 2**40)
    decoded = q.encode(x).decode()
    assert abs(float(np.sum(h * (x - decoded) ** 2)) - q.inertia_) <= 2.0**-40


def test_named_weights_are_the_formulas():
    rng = np.random.default_rng(0)
    W, inputs = rng.standard_normal((6, 5)), rng.standard_normal((9, 5)) * np.arange(1, 6)
    gradients = rng.standard_normal((6, 5))
    by_name = OptimalLevelQuantizer(3, weights="inputs").fit(W, inputs=inputs)
    by_hand = OptimalLevelQuantizer(3, weights=np.tile((inputs**2).mean(axis=0), (6, 1))).fit(W)
    assert np.array_equal(by_name.levels_, by_hand.levels_)
    by_name = OptimalLevelQuantizer(3, weights="gradients").fit(W, gradients=gradients)
    by_hand = OptimalLevelQuantizer(3, weights=gradients**2).fit(W)
    assert np.array_equal(by_name.levels_, by_hand.levels_)


def test_the_output_error_of_a_layer_falls_with_its_own_weights():
    """With uncorrelated inputs the expected output error is the weighted distortion."""
    rng = np.random.default_rng(3)
    W, inputs = rng.standard_normal((20, 8)), np.diag([100.0, *[0.1] * 7])
    plain = OptimalLevelQuantizer(4, codebook_method=EXACT).fit_encode(W).decode()
    q = OptimalLevelQuantizer(4, weights="inputs", codebook_method=EXACT)
    aware = q.fit(W, inputs=inputs).encode(W).decode()
    assert np.sum((inputs @ (W - aware).T) ** 2) < 0.9 * np.sum((inputs @ (W - plain).T) ** 2)
    assert np.sum((W - aware) ** 2) > np.sum((W - plain) ** 2)


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_no_rival_has_less_error(bits):
    """Before storage: every way to choose 2^bits levels, on several kinds of data."""
    rng = np.random.default_rng(bits)
    for W in (rng.standard_normal(300), rng.standard_cauchy(300), rng.integers(-20, 20, 300) * 1.0):
        best = OptimalLevelQuantizer(1 << bits, codebook_method=EXACT).fit(W).inertia_
        rivals = [LloydMaxQuantizer(1 << bits, init) for init in ("uniform", "quantile")]
        # two sums of 300 squares, each within 304 units of 2^-53
        assert all(best <= rival.fit(W).inertia_ * (1 + 2.0**-43) for rival in rivals)
        uniform = AffineQuantizer(bits, range_method=MeanSquaredErrorRange(), scale_method=EXACT)
        assert best <= np.sum((W - uniform.fit_encode(W).decode()) ** 2) * (1 + 2.0**-43)


def test_bits_are_counted():
    W = np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32)
    assert OptimalLevelQuantizer(5).fit_encode(W).stored_bits == 32 * 3 + 5 * 16
    assert OptimalLevelQuantizer(9).fit_encode(np.zeros((2, 2))).stored_bits == 4 + 16
    e = OptimalLevelQuantizer(4).fit_encode(np.zeros((2, 3, 2)) + np.arange(2))
    assert e.codes.shape == (2, 6)
    assert e.decode().shape == (2, 3, 2)


def test_pieces_of_data():
    q = OptimalLevelQuantizer(2).fit([0.0, 1.0, 9.0])
    codes = q.encode_codes([[9.0, 0.0], [4.0, 5.0]])
    assert codes.dtype == np.uint8
    assert codes.tolist() == [[1, 0], [0, 1]]
    assert q.decode_codes(codes).tolist() == [[9.0, 0.5], [0.5, 9.0]]
    with pytest.raises(RangeError, match=r"codes\[0, 1\] = 2"):
        q.decode_codes([[0, 2]])


def test_means_of_narrow_cells_far_from_zero():
    """Sums of these numbers would need more than 53 bits; their differences do not."""
    x = 2.0**40 + np.array([0.0, 2.0**-12, 1.0, 1.0 + 2.0**-10])
    means = cell_means(x, np.array([1.0, 3.0, 1.0, 1.0]), np.array([0, 2, 4]))
    exact = [2**40 + Fraction(3, 4 * 2**12), 2**40 + 1 + Fraction(1, 2**11)]
    assert all(abs(Fraction(m) - e) <= 2.0**-13 for m, e in zip(means, exact, strict=True))


@pytest.mark.parametrize(
    ("params", "W", "error", "match"),
    [
        ({"n_levels": 0}, [1.0], RangeError, "n_levels = 0"),
        ({"n_levels": 65537}, [1.0], RangeError, "n_levels"),
        ({"weights": "hessian"}, [1.0], RangeError, "weights = 'hessian'"),
        ({"weights": "inputs"}, [1.0], RangeError, "needs inputs="),
        ({"weights": np.ones(2)}, [1.0], ShapeError, "weights has shape"),
        ({"weights": np.array([1.0, -1.0])}, [1.0, 2.0], RangeError, r"weights\[1\] = -1.0"),
        ({"weights": np.zeros(2)}, [1.0, 2.0], RangeError, "all zero"),
        ({}, [], ShapeError, "empty"),
        ({}, [1e200], RangeError, "beyond"),
    ],
)
def test_refusals(params, W, error, match):
    with pytest.raises(error, match=match):
        OptimalLevelQuantizer(**params).fit(W)
