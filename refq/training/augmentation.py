"""Augmentation: small changes of the inputs that do not change their class.

Conventions
-----------
An augmentation is a callable ``(X_batch, rng) -> X_batch`` that returns a new array and leaves its
argument as it was. Images are (n, channels, height, width).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.checks import check_integer
from ..core.errors import ShapeError

__all__ = ["Augmentation", "shift_images", "shifted"]

#: ``(X_batch, rng) -> X_batch``.
Augmentation = Callable[[NDArray[Any], np.random.Generator], NDArray[Any]]


def _shift(X: NDArray[Any], down: NDArray[Any], right: NDArray[Any], width: int) -> NDArray[Any]:
    """Move image i by ``down[i]`` rows and ``right[i]`` columns, each at most `width`."""
    n, channels, height, length = X.shape
    edge = ((0, 0), (0, 0), (width, width), (width, width))
    padded = np.pad(X, edge)
    rows = (width - down)[:, None] + np.arange(height)  # (n, height)
    columns = (width - right)[:, None] + np.arange(length)  # (n, length)
    images, maps = np.arange(n), np.arange(channels)
    return padded[
        images[:, None, None, None],
        maps[None, :, None, None],
        rows[:, None, :, None],
        columns[:, None, None, :],
    ]


def shifted(X: NDArray[Any], down: int, right: int) -> NDArray[Any]:
    """Return all images moved by the same whole pixels.

    Parameters
    ----------
    X : ndarray, shape (n, channels, height, width)
        Zero must mean background.
    down, right : int
        How far; negative is up and left.

    Returns
    -------
    ndarray
        A new array: what moves in is zero, what moves out is lost.

    Raises
    ------
    ShapeError
        If X has not four axes.

    Examples
    --------
    >>> shifted(np.arange(4.0).reshape(1, 1, 2, 2), 1, 0)[0, 0]
    array([[0., 0.],
           [0., 1.]])
    """
    if X.ndim != 4:
        raise ShapeError(f"X has shape {X.shape}; images are (n, channels, height, width)")
    moves = np.full((2, len(X)), [[down], [right]])
    return _shift(X, moves[0], moves[1], max(abs(down), abs(right)))


def shift_images(max_shift: int) -> Augmentation:
    """Return an augmentation that moves each image by a few whole pixels.

    Parameters
    ----------
    max_shift : int
        The largest move along each axis, either way; 0 moves nothing.

    Returns
    -------
    callable
        ``(X, rng) -> X``: every image gets its own two moves, uniform in [-max_shift, max_shift].
        What moves in is zero, what moves out is lost. It raises ShapeError if X has not four axes.

    Raises
    ------
    RangeError
        If `max_shift` is no integer >= 0.

    Notes
    -----
    Zero must mean background. Whole pixels: no interpolation, values stay exact. Tier T1 for a
    given generator state.

    Examples
    --------
    >>> X = np.ones((2, 1, 4, 4), np.float32)
    >>> shift_images(1)(X, np.random.default_rng(0)).shape
    (2, 1, 4, 4)
    """
    width = check_integer(max_shift, "max_shift", 0)

    def augment(X: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
        if X.ndim != 4:
            raise ShapeError(f"X has shape {X.shape}; images are (n, channels, height, width)")
        down, right = rng.integers(-width, width + 1, size=(2, len(X)))
        return _shift(X, down, right, width)

    return augment
