"""The gradient check that every layer's test shares.

A backward pass gives the gradient of L = sum(R * y) for a fixed random R. The central difference
D(h) = (L(t + h) - L(t - h)) / 2h equals dL/dt + c h^2 + O(h^4), so |D(2h) - D(h)| = 3 |c| h^2 up to
the fourth order: it bounds the truncation error of D(h) with a factor 3 to spare. The rounding
error of L is below k eps S, with S the sum of the sizes of what L adds and k the few operations
that each term goes through; D divides it by h.
"""

import numpy as np
import pytest

H = 2.0**-13
EPS = float(np.finfo(np.float64).eps)


def _loss(layer, inputs, R, training, seed):
    rng = None if seed is None else np.random.default_rng(seed)
    y, cache = layer.forward(*inputs, training=training, rng=rng)
    return float(np.sum(R * y)), y, cache


def _differences(evaluate, array):
    """Return D(h) and D(2h) for every element of `array`."""
    found = []
    for step in (H, 2 * H):
        D = np.zeros(array.shape)
        for index in np.ndindex(array.shape):
            up, down = array.copy(), array.copy()
            up[index] += step
            down[index] -= step
            D[index] = (evaluate(up) - evaluate(down)) / (up[index] - down[index])
        found.append(D)
    return found


def _compare(got, evaluate, array, size, what):
    D, D2 = _differences(evaluate, array)
    rounding = 64 * EPS * size / H
    tolerance = np.abs(D2 - D) + rounding
    # the check has teeth: the tolerance stays far below the gradients it judges
    assert tolerance.max(initial=0) <= 1e-3 * (1 + np.abs(D).max(initial=0)), what
    assert got.shape == array.shape, what
    assert got.dtype == np.float64, what
    assert np.all(np.abs(got - D) <= tolerance), (what, got, D)


@pytest.fixture(scope="session")
def check_gradients():
    """check(layer, *inputs, training=False, seed=None, size=1.0): raise where a gradient is off.

    `size` bounds the sum of the absolute values of the products inside one output.
    """

    def check(layer, *inputs, training=False, seed=None, size=1.0):
        y, _ = layer.forward(
            *inputs, training=training, rng=None if seed is None else np.random.default_rng(seed)
        )
        R = np.random.default_rng(99).uniform(-1, 1, y.shape)
        S = (1 + size) * (1 + np.abs(R).sum())
        _, _, cache = _loss(layer, inputs, R, training, seed)
        input_gradients, gradients = layer.backward(R, cache)
        assert len(input_gradients) == len(inputs)
        for i, x in enumerate(inputs):

            def along_input(moved, i=i):
                changed = [moved if j == i else other for j, other in enumerate(inputs)]
                return _loss(layer, changed, R, training, seed)[0]

            _compare(input_gradients[i], along_input, x, S, f"input {i}")
        assert set(gradients) == set(layer.parameters())
        for name, tensor in layer.parameters().items():

            def along_parameter(moved, name=name):
                return _loss(layer.replace(**{name: moved}), inputs, R, training, seed)[0]

            _compare(gradients[name], along_parameter, tensor.astype(np.float64), S, name)

    return check
