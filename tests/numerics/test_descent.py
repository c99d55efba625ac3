"""SGD and Adam against exact fractions, closed forms, and their known differences."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.numerics.descent import adam_step, sgd_step

EIGHTHS = st.integers(-64, 64).map(lambda k: k / 8)
COEFFICIENTS = st.sampled_from([0.0, 0.5, 0.25, 0.75])


def exact_sgd(p, g, velocity, rate, momentum, nesterov, decay):
    """Run the textbook's recursion on fractions."""
    p, g, velocity = map(Fraction, (p, g, velocity))
    rate, momentum, decay = map(Fraction, (rate, momentum, decay))
    g = g + decay * p
    velocity = momentum * velocity + g
    step = momentum * velocity + g if nesterov else velocity
    return p - rate * step, velocity


@given(EIGHTHS, EIGHTHS, EIGHTHS, COEFFICIENTS, COEFFICIENTS, st.booleans(), COEFFICIENTS)
def test_sgd_step_is_exact_on_dyadic_numbers(p, g, velocity, rate, momentum, nesterov, decay):
    settings = (rate, momentum, nesterov, decay)
    new, v = sgd_step(np.array([p]), np.array([g]), np.array([velocity]), *settings)
    assert (Fraction(new[0]), Fraction(v[0])) == exact_sgd(p, g, velocity, *settings)


def test_velocity_grows_to_the_geometric_sum():
    p, v = np.zeros(1), np.zeros(1)
    for _ in range(40):
        p, v = sgd_step(p, np.ones(1), v, 0.0, 0.5, False, 0.0)
    assert v[0] == 2.0 - 2.0**-39


@given(st.integers(1, 12), st.sampled_from([0.0, 0.5, 0.9]), st.sampled_from([0.0, 0.5, 0.999]))
def test_bias_correction_makes_means_of_a_steady_gradient_exact(n, beta1, beta2):
    # mean = g (1 - beta^t) before the correction: with a steady g each step is rate * sign(g)
    p, m, v = np.array([1.0]), np.zeros(1), np.zeros(1)
    for t in range(1, n + 1):
        p, m, v = adam_step(p, np.array([-3.0]), m, v, t, 0.25, beta1, beta2, 0.0, 0.0)
    np.testing.assert_allclose(p, 1.0 + 0.25 * n, rtol=1e-12)


def test_adam_against_the_sums_written_out():
    rng = np.random.default_rng(0)
    gradients = rng.standard_normal((7, 3))
    p, m, v = np.ones(3), np.zeros(3), np.zeros(3)
    for t, g in enumerate(gradients, 1):
        before = p
        p, m, v = adam_step(p, g, m, v, t, 0.1, 0.9, 0.99, 1e-3, 0.0)
    # the running means as weighted sums over all past gradients
    ages = np.arange(6, -1, -1)[:, None]
    mean = (0.9**ages * gradients).sum(0) / (0.9**ages).sum()
    square = (0.99**ages * gradients**2).sum(0) / (0.99**ages).sum()
    np.testing.assert_allclose(p, before - 0.1 * mean / (np.sqrt(square) + 1e-3), rtol=1e-12)


def test_epsilon_stands_outside_of_the_root():
    p, _, _ = adam_step(np.zeros(1), np.array([4.0]), np.zeros(1), np.zeros(1), 1, 1, 0, 0, 4.0, 0)
    assert p[0] == -4.0 / (4.0 + 4.0)


def l2_adam(p, g, m, v, t, decay):
    """Put the decay into the gradient instead: what AdamW is not."""
    return adam_step(p, g + decay * p, m, v, t, 0.1, 0.9, 0.999, 1e-8, 0.0)


def shrinkage(rule, gradient, decay):
    """Return by how much the decay moves a weight of 3 in a step, beside the gradient's part."""
    p, g, zero = np.array([3.0]), np.array([gradient]), np.zeros(1)
    return (rule(p, g, zero, zero, 1, 0.0)[0] - rule(p, g, zero, zero, 1, decay)[0])[0]


def test_under_adam_decay_is_not_l2():
    def decoupled(p, g, m, v, t, decay):
        return adam_step(p, g, m, v, t, 0.1, 0.9, 0.999, 1e-8, decay)

    for gradient in (0.01, 1.0, 100.0):
        # AdamW: learning rate * decay * weight, whatever the gradient is
        np.testing.assert_allclose(shrinkage(decoupled, gradient, 0.5), 0.1 * 0.5 * 3.0, rtol=1e-9)
        # L2: the division by the root of the mean square cancels it
        assert abs(shrinkage(l2_adam, gradient, 0.5)) < 1e-6


def test_for_plain_sgd_decay_and_l2_are_one():
    p, g = np.array([3.0]), np.array([0.5])
    new, _ = sgd_step(p, g, np.zeros(1), 0.25, 0.0, False, 0.5)
    assert new[0] == p[0] * (1 - 0.25 * 0.5) - 0.25 * g[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_dtype_and_shape_stay_and_arguments_too(dtype, shape):
    p = np.full(shape, 0.3, dtype)
    g, zero = np.full(shape, 0.7), np.zeros(shape, dtype)
    for array in (p, g, zero):
        array.flags.writeable = False
    results = [
        *sgd_step(p, g, zero, 0.1, 0.9, True, 0.1),
        *adam_step(p, g, zero, zero, 1, 0.1, 0.9, 0.999, 1e-8, 0.1),
    ]
    for result in results:
        assert isinstance(result, np.ndarray)
        assert (result.dtype, result.shape) == (dtype, shape)
