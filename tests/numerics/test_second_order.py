"""Error feedback against exact linear algebra, and the least squares step solved anew."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.numerics import damped_hessian, feedback_factor, round_with_feedback


def inverse(matrix):
    """Return the exact inverse of a matrix of Fractions by elimination."""
    n = len(matrix)
    rows = [list(r) + [Fraction(int(i == j)) for j in range(n)] for i, r in enumerate(matrix)]
    for i in range(n):
        pivot = next(r for r in range(i, n) if rows[r][i])
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [v / rows[i][i] for v in rows[i]]
        for r in range(n):
            if r != i:
                rows[r] = [a - rows[r][i] * b for a, b in zip(rows[r], rows[i], strict=True)]
    return [r[n:] for r in rows]


def small_hessian(seed, n):
    rng = np.random.default_rng(seed)
    x = rng.integers(-3, 4, (n + 3, n))
    return x.T @ x + np.eye(n, dtype=np.int64)


@given(st.integers(0, 10**6), st.integers(1, 6))
def test_factor_squares_to_the_exact_inverse(seed, n):
    h = small_hessian(seed, n)
    exact = np.array(
        [[float(v) for v in r] for r in inverse([[Fraction(int(v)) for v in r] for r in h])]
    )
    u = feedback_factor(h.astype(float))
    assert np.array_equal(u, np.triu(u))
    assert (np.diag(u) > 0).all()
    # condition numbers here stay below 2e3 (H >= I, entries below 9 * 9 * 6): 1e-10 is 2^-53 times
    # that, squared
    np.testing.assert_allclose(u.T @ u, exact, atol=1e-10)


@given(st.integers(0, 10**6), st.integers(2, 6))
def test_feedback_is_the_least_squares_update(seed, n):
    """After columns 0..j are fixed, the free ones minimize the quadratic form, solved anew."""
    h = small_hessian(seed, n).astype(float)
    w = np.random.default_rng(seed).standard_normal((2, n)) * 3
    seen = round_with_feedback(w, feedback_factor(h), lambda column, j: np.rint(column))
    q = np.rint(seen)
    for j in range(1, n):
        fixed = w[:, :j] - q[:, :j]  # minimize over d: (fixed, d) H (fixed, d)^T
        free = -np.linalg.solve(h[j:, j:], h[j:, :j] @ fixed.T).T
        np.testing.assert_allclose(seen[:, j], w[:, j] - free[:, 0], atol=1e-9)


@pytest.mark.parametrize("k", [1, 63, 64, 65, 130])
def test_blocks_change_nothing(k):
    rng = np.random.default_rng(k)
    x = rng.standard_normal((2 * k, k))
    factor = feedback_factor(damped_hessian(x, 0.01))
    w = rng.standard_normal((3, k))
    seen = round_with_feedback(w, factor, lambda column, j: np.rint(column))
    work = w.copy()
    for j in range(k):
        error = (work[:, j] - np.rint(work[:, j])) / factor[j, j]
        work[:, j + 1 :] -= np.outer(error, factor[j, j + 1 :])
    # the same sums in another order: k terms of size below 10
    np.testing.assert_allclose(seen, work, atol=10 * k * 2.0**-50)


def test_what_is_never_seen_does_not_move():
    x = np.array([[1.0, 0.0, 2.0], [2.0, 0.0, 1.0]])
    h = damped_hessian(x, 0.0)
    assert h.tolist() == [[5, 0, 4], [0, 1, 0], [4, 0, 5]]
    seen = round_with_feedback(
        np.array([[0.4, 0.3, 0.4]]), feedback_factor(h), lambda c, j: np.rint(c)
    )
    assert seen[0, 1] == 0.3


def test_the_caller_keeps_its_array():
    w = np.full((2, 3), 0.4)
    round_with_feedback(w, np.triu(np.ones((3, 3))), lambda column, j: np.rint(column))
    assert (w == 0.4).all()
