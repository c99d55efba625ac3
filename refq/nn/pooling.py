"""Pooling: the maximum or the mean of every window, or of a whole image.

Conventions
-----------
The stride is the kernel's size unless given. Padding is at most half the kernel, so every window
meets the image; the border never wins a maximum and never counts in a mean. Where several elements
of a window are the largest, the first in row order gets the gradient.
"""

from typing import Any

import numpy as np

from ..core.errors import RangeError, ShapeError
from .layer import Array, Layer, Shape, as_pair
from .windows import Windows

__all__ = ["AvgPool", "GlobalAvgPool", "MaxPool"]


class _Pool(Layer):
    """What the two windowed poolings share."""

    config_names = ("kernel_size", "stride", "padding")

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        self.kernel_size = as_pair(kernel_size, "kernel_size", 1)
        self.stride = self.kernel_size if stride is None else as_pair(stride, "stride", 1)
        self.padding = as_pair(padding, "padding", 0)
        if any(2 * p > k for p, k in zip(self.padding, self.kernel_size, strict=True)):
            raise RangeError(
                f"padding = {self.padding} must be at most half of kernel_size = "
                f"{self.kernel_size}: a window outside the image has no maximum and no mean"
            )

    @property
    def windows(self) -> Windows:
        """The windows that are pooled."""
        return Windows(self.kernel_size, self.stride, self.padding, (1, 1))

    def output_shape(self, *input_shapes: Shape) -> Shape:
        """Return (channels, height, width)."""
        (shape,) = input_shapes
        if len(shape) != 3:
            raise ShapeError(f"{self!r} takes shape (channels, height, width), not {tuple(shape)}")
        return (shape[0], *self.windows.counts(shape[1:]))


class MaxPool(_Pool):
    """The maximum of every window.

    Parameters
    ----------
    kernel_size : int or tuple of int
        Of the window.
    stride : int, tuple of int or None
        From window to window; None means `kernel_size`.
    padding : int or tuple of int
        Border that never wins; at most half the kernel.

    Raises
    ------
    RangeError
        If the padding is too wide.

    Examples
    --------
    >>> MaxPool(2).forward(np.arange(16.0).reshape(1, 1, 4, 4))[0]
    array([[[[ 5.,  7.],
             [13., 15.]]]])
    """

    def forward(
        self, *inputs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        """Return the maxima."""
        (x,) = self._inputs(inputs)
        size = x.shape[2:]
        padded = self.windows.pad(x, -np.inf)
        best = np.full((*padded.shape[:2], *self.windows.counts(size)), -np.inf, x.dtype)
        for *_, where in self.windows.slices(size):
            np.maximum(best, padded[:, :, *where], out=best)
        return best.transpose(1, 0, 2, 3), (padded, best, size)

    def backward(self, grad: Array, cache: Any) -> tuple[tuple[Array, ...], dict[str, Array]]:
        """Give each window's gradient to its first maximum."""
        padded, best, size = cache
        left = grad.transpose(1, 0, 2, 3)  # what no element of the window has claimed yet
        back = np.zeros(padded.shape, grad.dtype)
        for *_, where in self.windows.slices(size):
            claimed = left * (padded[:, :, *where] == best)
            back[:, :, *where] += claimed
            left = left - claimed
        return (self.windows.unpad(back, size),), {}


class AvgPool(_Pool):
    """The mean of every window's part inside the image.

    Parameters
    ----------
    kernel_size : int or tuple of int
        Of the window.
    stride : int, tuple of int or None
        From window to window; None means `kernel_size`.
    padding : int or tuple of int
        Border that does not count; at most half the kernel.

    Raises
    ------
    RangeError
        If the padding is too wide.

    Notes
    -----
    This is ONNX's ``count_include_pad = 0``.

    Examples
    --------
    >>> AvgPool(2, padding=1).forward(np.ones((1, 1, 2, 2)))[0]
    array([[[[1., 1.],
             [1., 1.]]]])
    """

    def forward(
        self, *inputs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        """Return the sums over the counts."""
        (x,) = self._inputs(inputs)
        size = x.shape[2:]
        padded = self.windows.pad(x)
        total = np.zeros((*padded.shape[:2], *self.windows.counts(size)), x.dtype)
        for *_, where in self.windows.slices(size):
            total += padded[:, :, *where]
        counts = self.counts(size).astype(x.dtype)
        return (total / counts).transpose(1, 0, 2, 3), (counts, size)

    def counts(self, size: Shape) -> Array:
        """Return how many elements of the image each window holds.

        Parameters
        ----------
        size : tuple of int
            Height and width of the image.

        Returns
        -------
        ndarray of int64, shape (oh, ow)
            At least one everywhere.

        Examples
        --------
        >>> AvgPool(2, padding=1).counts((2, 2))
        array([[1, 1],
               [1, 1]])
        """
        inside = self.windows.pad(np.ones((1, 1, *size), np.int64))[0, 0]
        total = np.zeros(self.windows.counts(size), np.int64)
        for *_, where in self.windows.slices(size):
            total += inside[where]
        return total

    def backward(self, grad: Array, cache: Any) -> tuple[tuple[Array, ...], dict[str, Array]]:
        """Share each window's gradient among its elements."""
        counts, size = cache
        (ph, pw), (h, w) = self.padding, size
        share = grad.transpose(1, 0, 2, 3) / counts
        padded = np.zeros((*share.shape[:2], h + 2 * ph, w + 2 * pw), grad.dtype)
        for *_, where in self.windows.slices(size):
            padded[:, :, *where] += share
        return (self.windows.unpad(padded, size),), {}


class GlobalAvgPool(Layer):
    """The mean of every channel: (n, c, h, w) becomes (n, c).

    Examples
    --------
    >>> GlobalAvgPool().forward(np.arange(4.0).reshape(1, 1, 2, 2))[0]
    array([[1.5]])
    """

    def output_shape(self, *input_shapes: Shape) -> Shape:
        """Return (channels,)."""
        (shape,) = input_shapes
        if len(shape) != 3 or 0 in shape[1:]:
            raise ShapeError(f"{self!r} takes shape (channels, height, width), not {tuple(shape)}")
        return (shape[0],)

    def forward(
        self, *inputs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        """Return the means."""
        (x,) = self._inputs(inputs)
        return x.mean(axis=(2, 3)), x.shape

    def backward(self, grad: Array, cache: Any) -> tuple[tuple[Array, ...], dict[str, Array]]:
        """Share the gradient among the image's elements."""
        area = cache[2] * cache[3]
        share = (grad / area)[:, :, None, None]
        return (np.broadcast_to(share, cache).copy(),), {}
