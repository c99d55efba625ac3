"""Losses: one number for a batch, and its gradient by the model's output.

Problem
-------
Training needs a loss and the gradient of that loss; written apart, the two drift.

Equation
--------
``cross_entropy = mean_n (log sum_k exp(z_nk) - sum_k t_nk z_nk)``, gradient ``(softmax(z) - t)/N``;
the target ``t`` is one-hot, or mixed with the uniform distribution by `label_smoothing`.
``squared_error = mean (output - target)^2`` over all elements, gradient ``2 (output - target)/n``.

Conventions
-----------
Every loss is a *mean*, so the learning rate does not depend on the batch size. Sums run in float64;
the gradient comes back in the output's dtype. The largest logit of each row is subtracted first, so
that no exponential overflows.

References
----------
.. [1] C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna, "Rethinking the Inception
   Architecture for Computer Vision", arXiv:1512.00567 (section 7: label smoothing).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import check_float_array, check_integer_array, check_real, shown
from ..core.errors import RangeError, ShapeError

__all__ = ["LOSSES", "Loss", "cross_entropy", "squared_error"]

#: A loss: (output of the model, targets of the batch) -> (loss, gradient by the output).
Loss = Callable[[NDArray[Any], NDArray[Any]], tuple[float, NDArray[Any]]]


def _check_labels(y: ArrayLike, n: int, n_classes: int) -> NDArray[Any]:
    labels = check_integer_array(y, "y")
    if labels.shape != (n,):
        raise ShapeError(f"y has shape {labels.shape}; {n} rows of logits need ({n},)")
    bad = (labels < 0) | (labels >= n_classes)
    if bad.any():
        i = int(np.argmax(bad))
        raise RangeError(f"y{shown(i)} = {labels[i]} must be in [0, {n_classes - 1}]")
    return labels.astype(np.int64)


def cross_entropy(
    logits: ArrayLike, y: ArrayLike, label_smoothing: float = 0.0
) -> tuple[float, NDArray[Any]]:
    """Return the mean cross entropy of a batch, and its gradient by the logits.

    Parameters
    ----------
    logits : array_like, shape (n, n_classes)
        Finite scores before the softmax.
    y : array_like of int, shape (n,)
        The true classes, in [0, n_classes).
    label_smoothing : float
        In [0, 1]: the weight of the uniform distribution in the target.

    Returns
    -------
    loss : float
        In nats; at least the target's entropy, which is 0 without smoothing.
    gradient : ndarray, shape (n, n_classes)
        Of the logits' dtype; each row sums to zero.

    Raises
    ------
    ShapeError
        If logits are not a matrix with at least one row and column, or `y` does not fit.
    RangeError
        If a logit is not finite or a class does not exist.
    DTypeError
        If `y` does not hold integers.

    Notes
    -----
    Exponentials of differences to the row's largest logit; cost O(n n_classes). Tier T2.

    References
    ----------
    [1]_ for label smoothing.

    Examples
    --------
    >>> loss, gradient = cross_entropy([[0.0, 0.0]], [1])
    >>> round(loss, 6), gradient
    (0.693147, array([[ 0.5, -0.5]]))
    """
    given = check_float_array(logits, "logits")
    smoothing = check_real(label_smoothing, "label_smoothing", 0.0, 1.0)
    if given.ndim != 2 or given.size == 0:
        raise ShapeError(f"logits have shape {given.shape}; they must be (n, n_classes), not empty")
    n, n_classes = given.shape
    labels, rows = _check_labels(y, n, n_classes), np.arange(n)
    with np.errstate(over="ignore", under="ignore"):
        z = given.astype(np.float64)
        z -= z.max(axis=1, keepdims=True)
        weights = np.exp(z)
        total = weights.sum(axis=1, keepdims=True)
        loss = np.log(total[:, 0]) - (1.0 - smoothing) * z[rows, labels]
        if smoothing:
            loss -= smoothing * z.mean(axis=1)
        gradient = weights / total - smoothing / n_classes
        gradient[rows, labels] -= 1.0 - smoothing
        return float(loss.mean()), (gradient / n).astype(given.dtype)


def squared_error(output: ArrayLike, target: ArrayLike) -> tuple[float, NDArray[Any]]:
    """Return the mean of squares over *all* elements, and its gradient by the output.

    Parameters
    ----------
    output : array_like
        What the model gave; any shape, not empty.
    target : array_like
        What it should give; same shape: nothing is broadcast.

    Returns
    -------
    loss : float
        In the square of the output's unit; infinite where float64 overflows.
    gradient : ndarray
        Of the output's shape and dtype.

    Raises
    ------
    ShapeError
        If the shapes differ or are empty.
    RangeError
        If an element is not finite.

    Notes
    -----
    The mean runs over elements, not over rows: twice as many outputs do not double it. Tier T2.

    Examples
    --------
    >>> squared_error([[1.0, 0.0]], [[0.0, 0.0]])
    (0.5, array([[1., 0.]]))
    """
    given, wanted = check_float_array(output, "output"), check_float_array(target, "target")
    if given.shape != wanted.shape or given.size == 0:
        raise ShapeError(f"output has shape {given.shape}, target {wanted.shape}; equal, not empty")
    with np.errstate(over="ignore", under="ignore"):
        error = given.astype(np.float64) - wanted
        return float(np.mean(error * error)), (2.0 * error / error.size).astype(given.dtype)


#: The losses that `fit` knows by name.
LOSSES: dict[str, Loss] = {"cross_entropy": cross_entropy, "squared_error": squared_error}
