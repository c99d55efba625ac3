"""How a parameter lies along an axis: one per tensor, one per index, one per block.

Conventions
-----------
Kernels see every array as (outer, channels, inner), in C order, with one parameter per channel.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.checks import normalize_axis
from ..core.errors import ShapeError
from ..core.granularity import expand

__all__ = ["along_axis", "channel_view", "over_blocks"]


def channel_view(x: NDArray[Any], axis: int | None) -> NDArray[Any]:
    """Return `x` as (outer, channels, inner), contiguous.

    Parameters
    ----------
    x : ndarray
        Any shape.
    axis : int or None
        The channels' axis; None means one channel.

    Returns
    -------
    ndarray of three axes
        A view where `x` is C-contiguous, else a copy.

    Examples
    --------
    >>> channel_view(np.zeros((2, 3, 4, 5)), 1).shape, channel_view(np.zeros(6), None).shape
    ((2, 3, 20), (1, 1, 6))
    """
    x = np.ascontiguousarray(x)
    if axis is None:
        return x.reshape(1, 1, x.size)
    axis = normalize_axis(axis, x.ndim)
    outer = int(np.prod(x.shape[:axis], dtype=np.int64))
    inner = int(np.prod(x.shape[axis + 1 :], dtype=np.int64))
    return x.reshape(outer, x.shape[axis], inner)


def along_axis(parameter: NDArray[Any], shape: tuple[int, ...], axis: int, name: str) -> Any:
    """Return a one-dimensional parameter so that it broadcasts along `axis` of `shape`.

    Parameters
    ----------
    parameter : ndarray
        One value per index of the axis.
    shape : tuple of int
        Of the array that it belongs to.
    axis : int
        Which axis.
    name : str
        How the message calls it.

    Returns
    -------
    ndarray
        As many axes as `shape`, lengths one but for `axis`.

    Raises
    ------
    ShapeError
        If the lengths differ.

    Examples
    --------
    >>> along_axis(np.zeros(3), (2, 3, 4), 1, "scale").shape
    (1, 3, 1)
    """
    axis = normalize_axis(axis, len(shape))
    if parameter.shape != (shape[axis],):
        raise ShapeError(
            f"{name} has shape {parameter.shape}; axis {axis} of {shape} needs ({shape[axis]},)"
        )
    return parameter.reshape([-1 if i == axis else 1 for i in range(len(shape))])


def over_blocks(
    parameter: NDArray[Any], shape: tuple[int, ...], axis: int, block_size: int, name: str
) -> NDArray[Any]:
    """Repeat blocked parameters over their blocks of `block_size` along `axis`.

    Parameters
    ----------
    parameter : ndarray
        As many axes as `shape`; ceil(shape[axis] / block_size) along `axis`.
    shape : tuple of int
        Of the array that it belongs to.
    axis : int
        The blocked axis.
    block_size : int
        At least one; the last block may be smaller.
    name : str
        How the message calls it.

    Returns
    -------
    ndarray
        Broadcasts against `shape`.

    Raises
    ------
    ShapeError
        If the parameter's shape is another.

    Examples
    --------
    >>> over_blocks(np.array([[1, 2]]), (1, 3), 1, 2, "scale")
    array([[1, 1, 2]])
    """
    axis = normalize_axis(axis, len(shape))
    blocks = -(-shape[axis] // block_size)
    want = tuple(blocks if i == axis else n for i, n in enumerate(shape))
    if parameter.shape != want:
        raise ShapeError(
            f"{name} has shape {parameter.shape}; "
            f"blocks of {block_size} along axis {axis} of {shape} need {want}"
        )
    # one block of all has its own length, so that `expand` repeats nothing
    size = max(min(block_size, shape[axis]), 1)
    return expand(parameter, shape, tuple(size if i == axis else 1 for i in range(len(shape))))
