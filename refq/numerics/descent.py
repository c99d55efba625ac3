"""Descent: the update rules of SGD and Adam, as pure functions of arrays.

Problem
-------
Choose the next parameters from the gradient of the loss, remembering a little of the past.

Equation
--------
SGD: ``v' = momentum v + g``, ``p' = p - learning_rate v'``; with Nesterov's look-ahead
``p' = p - learning_rate (g + momentum v')``.
Adam: ``m' = beta1 m + (1 - beta1) g``, ``v' = beta2 v + (1 - beta2) g^2``,
``p' = p - learning_rate (m' / (1 - beta1^t)) / (sqrt(v' / (1 - beta2^t)) + eps)``.

Conventions
-----------
Nothing is changed in place; results have the dtype of `p`. Every operation is elementwise, without
BLAS, so arrays of any shape do; tier T2, since ``beta ** t`` is the C library's.
Weight decay of SGD is L2: ``weight_decay * p`` is added to the gradient. Weight decay of Adam is
decoupled [3]_: the parameter shrinks by ``learning_rate * weight_decay`` beside the step. The two
are one thing for SGD without momentum. Under Adam they are not: an L2 term passes through the
division by ``sqrt(v)``, so a weight whose gradients are large is hardly decayed at all.

References
----------
.. [1] I. Sutskever, J. Martens, G. Dahl, G. Hinton, "On the importance of initialization and
   momentum in deep learning", ICML 2013 (Nesterov's momentum in this form).
.. [2] D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization", arXiv:1412.6980.
.. [3] I. Loshchilov and F. Hutter, "Decoupled Weight Decay Regularization", arXiv:1711.05101.
   Its lambda is ``learning_rate * weight_decay`` here.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["adam_step", "sgd_step"]

Array = NDArray[Any]


def sgd_step(
    p: Array,
    g: Array,
    velocity: Array,
    learning_rate: float,
    momentum: float,
    nesterov: bool,
    weight_decay: float,
) -> tuple[Array, Array]:
    """Take one step of stochastic gradient descent with momentum.

    Parameters
    ----------
    p : ndarray of float
        The parameters.
    g : ndarray
        The gradient of the loss at `p`, same shape.
    velocity : ndarray
        What the last step returned; zeros at first.
    learning_rate : float
        Length of the step.
    momentum : float
        In [0, 1).
    nesterov : bool
        Whether the step looks ahead along the new velocity.
    weight_decay : float
        Coefficient of the L2 term that is added to the gradient.

    Returns
    -------
    p : ndarray
        The new parameters, same dtype.
    velocity : ndarray
        The new velocity, same dtype.

    Notes
    -----
    The velocity is a sum, not a mean: under a steady gradient it grows to ``g / (1 - momentum)``.

    References
    ----------
    [1]_, with the learning rate outside of the velocity.

    Examples
    --------
    >>> one, zero = np.array([1.0]), np.array([0.0])
    >>> sgd_step(one, np.array([2.0]), zero, 0.25, 0.5, False, 0.0)
    (array([0.5]), array([2.]))
    """
    g = g + weight_decay * p
    velocity = np.asarray(momentum * velocity + g, p.dtype)
    ahead = g + momentum * velocity if nesterov else velocity
    return np.asarray(p - learning_rate * ahead, p.dtype), velocity


def adam_step(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    t: int,
    learning_rate: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
) -> tuple[Array, Array, Array]:
    """Take one step of Adam with decoupled weight decay (AdamW).

    Parameters
    ----------
    p : ndarray of float
        The parameters.
    g : ndarray
        The gradient of the loss at `p`, same shape.
    m, v : ndarray
        The running means of the gradient and of its square; zeros at first.
    t : int
        The number of this step, from 1.
    learning_rate : float
        Length of the step: each parameter moves by about this much at first.
    beta1, beta2 : float
        In [0, 1): how much of the running means stays.
    eps : float
        Keeps the division finite; it stands outside of the root.
    weight_decay : float
        The parameter shrinks by ``learning_rate * weight_decay * p``, whatever its gradient is.

    Returns
    -------
    p, m, v : ndarray
        The new parameters and running means, of p's dtype.

    Notes
    -----
    The divisors ``1 - beta^t`` undo the bias of means that began at zero, so the first step is
    ``learning_rate * sign(g)`` up to `eps`.

    References
    ----------
    [2]_ algorithm 1 and [3]_ algorithm 2.

    Examples
    --------
    >>> p, zero = np.array([1.0, 1.0]), np.zeros(2)
    >>> adam_step(p, np.array([1e-3, 50.0]), zero, zero, 1, 0.5, 0.9, 0.999, 0.0, 0.0)[0].round(9)
    array([0.5, 0.5])
    """
    m = np.asarray(beta1 * m + (1.0 - beta1) * g, p.dtype)
    v = np.asarray(beta2 * v + (1.0 - beta2) * (g * g), p.dtype)
    size = np.sqrt(v / (1.0 - beta2**t)) + eps
    step = m / (1.0 - beta1**t) / size + weight_decay * p
    return np.asarray(p - learning_rate * step, p.dtype), m, v
