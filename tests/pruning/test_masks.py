"""How many and which: exact counts, stable ties, and no better mask of the same size."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refq.core.errors import RangeError, ShapeError
from refq.pruning import count_pruned, mask_at_least, mask_of_largest


@pytest.mark.parametrize("n", range(1, 41))
def test_k_of_n_is_k(n):
    for k in range(n):
        assert count_pruned(k / n, n) == k


@given(hundredths=st.integers(0, 99), size=st.integers(1, 10**6))
@example(29, 100)  # float 0.29 * 100 = 28.999999999999996
@example(57, 100)
@example(90, 10)
def test_decimals_mean_what_they_say(hundredths, size):
    assert count_pruned(float(f"0.{hundredths:02d}"), size) == hundredths * size // 100


@given(sparsity=st.floats(0, 1 - 1e-9), size=st.integers(1, 10**6))
def test_the_count_rounds_down_and_leaves_one(sparsity, size):
    count = count_pruned(sparsity, size)
    assert 0 <= count < size
    # the fraction that stands for a float lies within 1e-9 of it
    near = Fraction(sparsity) * size
    assert near - 1 - Fraction(size, 10**9) <= count <= near + Fraction(size, 10**9)


def test_float32_shares():
    assert count_pruned(np.float32(0.5), 10) == 5


@pytest.mark.parametrize(
    "sparsity", [-0.1, 1.0, 1.5, float("nan"), float("inf"), np.nextafter(1, 0), True, "0.5", None]
)
def test_shares_that_are_not_legal(sparsity):
    with pytest.raises(RangeError, match="sparsity"):
        count_pruned(sparsity, 10)


@pytest.mark.parametrize("size", [0, -1, 2.5])
def test_sizes_that_are_not_legal(size):
    with pytest.raises(RangeError, match="size"):
        count_pruned(0.5, size)


def stable_oracle(values: list[float], n_keep: int) -> list[bool]:
    kept = set(sorted(range(len(values)), key=lambda i: (-values[i], i))[:n_keep])
    return [i in kept for i in range(len(values))]


@pytest.mark.parametrize("n", range(1, 7))
def test_every_vector_of_three_levels(n):
    for values in itertools.product([0.0, 1.0, 2.0], repeat=n):
        for n_keep in range(n + 1):
            got = mask_of_largest(list(values), n_keep).tolist()
            assert got == stable_oracle(list(values), n_keep)


@given(values=st.lists(st.integers(-5, 5), min_size=1, max_size=8), data=st.data())
def test_no_other_mask_keeps_more(values, data):
    n_keep = data.draw(st.integers(0, len(values)))
    mask = mask_of_largest(np.array(values, float), n_keep)
    assert mask.dtype == bool
    assert mask.sum() == n_keep
    best = max(sum(c) for c in itertools.combinations(values, n_keep))
    assert sum(itertools.compress(values, mask)) == best


def test_long_runs_of_ties_stay_stable():  # short arrays are sorted by insertion, always stable
    assert mask_of_largest(np.ones(5000), 1234).tolist() == [True] * 1234 + [False] * 3766
    values = np.tile([1.0, 2.0], 2500).tolist()
    assert mask_of_largest(values, 3000).tolist() == stable_oracle(values, 3000)


def test_zeros_of_both_signs_tie():
    assert mask_of_largest([-0.0, 0.0, -0.0], 1).tolist() == [True, False, False]


def test_indices_count_in_c_order():
    saliency = np.asfortranarray([[1.0, 1.0], [1.0, 1.0]])
    assert mask_of_largest(saliency, 2).tolist() == [[True, True], [False, False]]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_saliency_must_be_finite(bad):
    with pytest.raises(RangeError, match=r"saliency\[1\]"):
        mask_of_largest([1.0, bad], 1)
    with pytest.raises(RangeError, match=r"saliency\[1\]"):
        mask_at_least([1.0, bad], 0.5)


@pytest.mark.parametrize("n_keep", [-1, 4, 1.0])
def test_a_count_must_fit(n_keep):
    with pytest.raises(RangeError, match="n_keep"):
        mask_of_largest([1.0, 2.0, 3.0], n_keep)


def test_the_threshold_itself_is_kept():
    below, above = np.nextafter(1.0, 0), np.nextafter(1.0, 2)
    assert mask_at_least([below, 1.0, above], 1.0).tolist() == [False, True, True]


def test_a_threshold_is_compared_in_float64():
    assert mask_at_least(np.float32([0.1, 1.0]), 0.1).tolist() == [True, True]  # 0.1f > 0.1
    assert mask_at_least(np.float32([0.3, 1.0]), 0.3).tolist() == [True, True]
    assert mask_at_least(np.float32([0.7, 1.0]), 0.7).tolist() == [False, True]  # 0.7f < 0.7


@pytest.mark.parametrize("saliency", [[0.5], []])
def test_keeping_nothing_is_an_error(saliency):
    with pytest.raises(ShapeError, match="threshold"):
        mask_at_least(saliency, 1.0)
