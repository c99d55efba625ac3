"""Sliding windows: where they lie, how images become columns, and how columns go back.

Problem
-------
A convolution or a pooling visits windows of an image. Copying, for each of the few offsets in a
window, one strided slice of the whole batch is fast in NumPy; visiting the many windows is not.

Equation
--------
Along one axis of length n there are ``(n + 2 padding - dilation (kernel - 1) - 1) // stride + 1``
windows; window o meets the padded image at ``o stride + k dilation`` for k = 0 .. kernel - 1.

Conventions
-----------
Pairs are (height, width). Padding is added on both sides. Arrays keep the channel axis first in
memory, (channels, examples, height, width), because one matrix product over all examples then
needs no copy of its result; callers see the usual order of axes as a view.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..core.errors import ShapeError
from .layer import Array, Shape

__all__ = ["Windows"]

Pair = tuple[int, int]


@dataclass(frozen=True)
class Windows:
    """The windows of one kernel.

    Parameters
    ----------
    kernel_size, stride, padding, dilation : tuple of int
        Height and width of each.

    Examples
    --------
    >>> Windows((3, 3), (2, 2), (1, 1), (1, 1)).counts((8, 7))
    (4, 4)
    """

    kernel_size: Pair
    stride: Pair
    padding: Pair
    dilation: Pair

    def counts(self, size: Shape) -> Pair:
        """Return how many windows lie along each axis.

        Parameters
        ----------
        size : tuple of int
            Height and width of the image.

        Returns
        -------
        tuple of int
            Height and width of the output.

        Raises
        ------
        ShapeError
            If a window is larger than the padded image.

        Examples
        --------
        >>> Windows((3, 3), (1, 1), (0, 0), (1, 1)).counts((2, 5))
        Traceback (most recent call last):
        refq.core.errors.ShapeError: a window of (3, 3) does not fit an image of (2, 5)
        """
        reach = [d * (k - 1) + 1 for k, d in zip(self.kernel_size, self.dilation, strict=True)]
        room = [n + 2 * p - r for n, p, r in zip(size, self.padding, reach, strict=True)]
        if min(room) < 0:
            padded = f" padded by {self.padding}" if any(self.padding) else ""
            raise ShapeError(
                f"a window of {tuple(reach)} does not fit an image of {tuple(size)}{padded}"
            )
        return room[0] // self.stride[0] + 1, room[1] // self.stride[1] + 1

    def slices(self, size: Shape) -> Iterator[tuple[int, int, tuple[slice, slice]]]:
        """Yield, for every offset in the window, the slice of the padded image that it meets.

        Parameters
        ----------
        size : tuple of int
            Height and width of the image without padding.

        Yields
        ------
        i, j : int
            The offset, in rows and columns of the kernel.
        where : tuple of slice
            Along the last two axes of the padded image; its shape is ``counts(size)``.

        Examples
        --------
        >>> [w for *_, w in Windows((1, 2), (1, 2), (0, 0), (1, 1)).slices((1, 4))][1]
        (slice(0, 1, 1), slice(1, 4, 2))
        """
        counts = self.counts(size)
        for i in range(self.kernel_size[0]):
            for j in range(self.kernel_size[1]):
                starts = (i * self.dilation[0], j * self.dilation[1])
                rows, columns = (
                    slice(b, b + (c - 1) * s + 1, s)
                    for b, c, s in zip(starts, counts, self.stride, strict=True)
                )
                yield i, j, (rows, columns)

    def pad(self, x: Array, value: float = 0.0) -> Array:
        """Return the batch with its border, the channel axis first.

        Parameters
        ----------
        x : ndarray, shape (n, c, h, w)
            The images.
        value : float
            What the border holds.

        Returns
        -------
        ndarray, shape (c, n, h + 2 ph, w + 2 pw)
            A view of `x` where there is no border.

        Examples
        --------
        >>> Windows((1, 1), (1, 1), (0, 1), (1, 1)).pad(np.ones((2, 3, 4, 5))).shape
        (3, 2, 4, 7)
        """
        x = x.transpose(1, 0, 2, 3)
        if not any(self.padding):
            return x
        (ph, pw), (c, n, h, w) = self.padding, x.shape
        padded = np.full((c, n, h + 2 * ph, w + 2 * pw), value, x.dtype)
        padded[:, :, ph : ph + h, pw : pw + w] = x
        return padded

    def unpad(self, padded: Array, size: Shape) -> Array:
        """Return the images without their border, the batch axis first: the inverse of `pad`.

        Parameters
        ----------
        padded : ndarray, shape (c, n, h + 2 ph, w + 2 pw)
            As `pad` returns it.
        size : tuple of int
            Height and width of the images.

        Returns
        -------
        ndarray, shape (n, c, h, w)
            A view.

        Examples
        --------
        >>> windows = Windows((1, 1), (1, 1), (0, 1), (1, 1))
        >>> windows.unpad(windows.pad(np.ones((2, 3, 4, 5))), (4, 5)).sum() == 2 * 3 * 4 * 5
        np.True_
        """
        (ph, pw), (h, w) = self.padding, size
        return padded[:, :, ph : ph + h, pw : pw + w].transpose(1, 0, 2, 3)

    def columns(self, x: Array) -> Array:
        """Copy every window into a column ("im2col").

        Parameters
        ----------
        x : ndarray, shape (n, c, h, w)
            The images; the border is zero.

        Returns
        -------
        ndarray, shape (c, kh, kw, n, oh, ow)
            In C order, so that the first three and the last three axes merge without a copy.

        Examples
        --------
        >>> x = np.arange(4.0).reshape(1, 1, 1, 4)
        >>> Windows((1, 2), (1, 1), (0, 0), (1, 1)).columns(x).reshape(2, 3)
        array([[0., 1., 2.],
               [1., 2., 3.]])
        """
        padded, size = self.pad(x), x.shape[2:]
        shape = (padded.shape[0], *self.kernel_size, padded.shape[1], *self.counts(size))
        columns = np.empty(shape, x.dtype)
        for i, j, where in self.slices(size):
            columns[:, i, j] = padded[:, :, *where]
        return columns

    def images(self, columns: Array, size: Shape) -> Array:
        """Add every column back to where it came from ("col2im"): the transpose of `columns`.

        Parameters
        ----------
        columns : ndarray, shape (c, kh, kw, n, oh, ow)
            As `columns` returns them.
        size : tuple of int
            Height and width of the images.

        Returns
        -------
        ndarray, shape (n, c, h, w)
            Sums over the windows that share an element.

        Examples
        --------
        >>> Windows((1, 2), (1, 1), (0, 0), (1, 1)).images(np.ones((1, 1, 2, 1, 1, 3)), (1, 4))
        array([[[[1., 2., 2., 1.]]]])
        """
        (ph, pw), (h, w) = self.padding, size
        shape = (columns.shape[0], columns.shape[3], h + 2 * ph, w + 2 * pw)
        padded = np.zeros(shape, columns.dtype)
        for i, j, where in self.slices(size):
            padded[:, :, *where] += columns[:, i, j]
        return self.unpad(padded, size)
