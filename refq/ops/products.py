"""Products of integer differences: rows by rows, and windows of images by rows.

Problem
-------
A matrix product and a convolution spend their time in the same place: dot products of small
integers, summed in int32.

Equation
--------
``c[i, j] = sum_k a[i, k] b[j, k]  (mod 2^32)``

Conventions
-----------
Operands hold codes less their zero points, in int16, or in int32 where 16 bits do not do. Both lie
in rows along k, so the inner loop is a dot product with an int32 sum, which compilers turn into
multiply-add instructions. int32 arithmetic is exact modulo 2^32: an intermediate wrap is harmless
when the result fits. Callers check the accumulator. Tier T1: any number of threads.

References
----------
.. [1] K. Goto and R. van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM Trans.
   Mathematical Software 34(3), 2008: blocks that stay in the cache, tiles that stay in registers.
"""

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ..core.twins import kernel, prange, subroutine

__all__ = ["LANES", "row_products", "window_products"]

LANES = 16  #: rows are padded with zeros to a multiple of this, so that no loop has a slow tail
BLOCK = 1 << 17  #: how many numbers of b a thread works through before it takes other rows of a
WINDOWS = 1 << 16  #: how many numbers of windows a thread lays out at a time
SMALL = 1 << 20  #: below so many products one thread is faster than waking the others


@subroutine
def _dot(a: NDArray[Any], b: NDArray[Any], i: int, j: int) -> Any:
    """Return one dot product, modulo 2^32."""
    s = np.int32(0)
    for k in range(a.shape[1]):
        s = np.int32(s + np.int32(a[i, k]) * np.int32(b[j, k]))
    return s


@subroutine
def _tile(a: NDArray[Any], b: NDArray[Any], c: NDArray[Any], i: int, j: int) -> None:
    """Write sixteen dot products: eight loads feed sixteen sums that stay in registers."""
    zero = np.int32(0)
    s00, s01, s02, s03 = zero, zero, zero, zero
    s10, s11, s12, s13 = zero, zero, zero, zero
    s20, s21, s22, s23 = zero, zero, zero, zero
    s30, s31, s32, s33 = zero, zero, zero, zero
    for k in range(a.shape[1]):
        x0, x1 = np.int32(a[i, k]), np.int32(a[i + 1, k])
        x2, x3 = np.int32(a[i + 2, k]), np.int32(a[i + 3, k])
        y0, y1 = np.int32(b[j, k]), np.int32(b[j + 1, k])
        y2, y3 = np.int32(b[j + 2, k]), np.int32(b[j + 3, k])
        s00 = np.int32(s00 + x0 * y0)
        s01 = np.int32(s01 + x0 * y1)
        s02 = np.int32(s02 + x0 * y2)
        s03 = np.int32(s03 + x0 * y3)
        s10 = np.int32(s10 + x1 * y0)
        s11 = np.int32(s11 + x1 * y1)
        s12 = np.int32(s12 + x1 * y2)
        s13 = np.int32(s13 + x1 * y3)
        s20 = np.int32(s20 + x2 * y0)
        s21 = np.int32(s21 + x2 * y1)
        s22 = np.int32(s22 + x2 * y2)
        s23 = np.int32(s23 + x2 * y3)
        s30 = np.int32(s30 + x3 * y0)
        s31 = np.int32(s31 + x3 * y1)
        s32 = np.int32(s32 + x3 * y2)
        s33 = np.int32(s33 + x3 * y3)
    c[i, j], c[i, j + 1], c[i, j + 2], c[i, j + 3] = s00, s01, s02, s03
    c[i + 1, j], c[i + 1, j + 1], c[i + 1, j + 2], c[i + 1, j + 3] = s10, s11, s12, s13
    c[i + 2, j], c[i + 2, j + 1], c[i + 2, j + 2], c[i + 2, j + 3] = s20, s21, s22, s23
    c[i + 3, j], c[i + 3, j + 1], c[i + 3, j + 2], c[i + 3, j + 3] = s30, s31, s32, s33


@subroutine
def _block(a: NDArray[Any], b: NDArray[Any], c: NDArray[Any]) -> None:
    """Multiply rows by rows in tiles of four by four; what is left over, one by one."""
    m, n = a.shape[0], b.shape[0]
    rows, columns = m // 4 * 4, n // 4 * 4
    for i in range(0, rows, 4):
        for j in range(0, columns, 4):
            _tile(a, b, c, i, j)
        for r in range(i, i + 4):
            for j in range(columns, n):
                c[r, j] = _dot(a, b, r, j)
    for r in range(rows, m):
        for j in range(n):
            c[r, j] = _dot(a, b, r, j)


def _rows_definition(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.int32]:
    """Multiply rows by rows, modulo 2^32: (batch, m, k) and (batch, n, k) give (batch, m, n)."""
    exact = np.matmul(a.astype(np.int64), b.astype(np.int64).transpose(0, 2, 1))
    return exact.astype(np.int32)  # from int64: the low 32 bits


@subroutine
def _rows_task(
    a: NDArray[Any], b: NDArray[Any], c: NDArray[Any], task: int, strips: int, width: int
) -> None:
    """Multiply four rows of a by `width` rows of b, which the next tasks will find in the cache."""
    blocks = (b.shape[1] + width - 1) // width
    item, rest = task // (blocks * strips), task % (blocks * strips)
    i, j = 4 * (rest % strips), width * (rest // strips)
    _block(a[item, i : i + 4], b[item, j : j + width], c[item, i : i + 4, j : j + width])


@kernel(_rows_definition, parallel=True)
def _rows_kernel(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.int32]:
    """Share out tasks: four rows of a times a block of rows of b that stays in the cache."""
    batch, m, k = a.shape
    n = b.shape[1]
    c = np.empty((batch, m, n), np.int32)
    width = max(4, min(256, BLOCK // max(k, 1)) // 4 * 4)
    strips = (m + 3) // 4
    tasks = batch * ((n + width - 1) // width) * strips
    if batch * m * n * k < SMALL:
        for task in range(tasks):
            _rows_task(a, b, c, task, strips, width)
    else:
        for task in prange(tasks):
            _rows_task(a, b, c, task, strips, width)
    return c


def row_products(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.int32]:
    """Multiply rows by rows, modulo 2^32.

    Parameters
    ----------
    a : ndarray of int16 or int32, shape (batch, m, k), C-contiguous
        Differences of codes and zero points.
    b : ndarray of a's dtype, shape (batch, n, k), C-contiguous
        Likewise.

    Returns
    -------
    ndarray of int32, shape (batch, m, n)
        Exact where the true sums fit int32.

    Notes
    -----
    The caller checks the accumulator. Fastest where k is a multiple of 16. Tier T1.

    Examples
    --------
    >>> row_products(np.int16([[[1, 2]]]), np.int16([[[3, 4], [5, 6]]]))
    array([[[11, 17]]], dtype=int32)
    """
    return _rows_kernel(a, b)


def _windows_definition(
    x: NDArray[Any],
    w: NDArray[Any],
    groups: int,
    stride_height: int,
    stride_width: int,
    dilation_height: int,
    dilation_width: int,
) -> NDArray[np.int32]:
    """Multiply windows of (n, height, width, channels) by (out, kh, kw, channels / groups)."""
    outputs, kernel_height, kernel_width, depth = w.shape
    span = ((kernel_height - 1) * dilation_height + 1, (kernel_width - 1) * dilation_width + 1)
    view = sliding_window_view(x, span, axis=(1, 2))  # (n, height, width, channels, *span)
    view = view[:, ::stride_height, ::stride_width, :, ::dilation_height, ::dilation_width]
    n, height, width = view.shape[:3]
    view = view.reshape(n, height, width, groups, depth, kernel_height, kernel_width)
    rows = w.reshape(groups, outputs // groups, kernel_height, kernel_width, depth)
    exact = np.einsum("nhwgcij,goijc->ngohw", view.astype(np.int64), rows.astype(np.int64))
    return exact.reshape(n, outputs, height, width).astype(np.int32)


@subroutine
def _lay_out(
    windows: NDArray[Any],
    row: int,
    x: NDArray[Any],
    image: int,
    top: int,
    left: int,
    first: int,
    shape: tuple[int, int, int],
    dilation: tuple[int, int],
) -> None:
    """Lay the window of `shape` that starts at (top, left) out as a row."""
    k = 0
    for p in range(shape[0]):
        for q in range(shape[1]):
            i, j = top + p * dilation[0], left + q * dilation[1]
            for c in range(shape[2]):  # unsigned, or the compiler asks each time if it is negative
                windows[row, np.uintp(k + c)] = x[image, i, j, np.uintp(first + c)]
            k += shape[2]


@subroutine
def _windows_task(
    x: NDArray[Any],
    rows: NDArray[Any],
    y: NDArray[Any],
    groups: int,
    shape: tuple[int, int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    task: int,
    share: int,
) -> None:
    """Compute `share` rows of one image's pixels, all outputs; y is (n, out, height, width)."""
    outputs, height, width = y.shape[1:]
    shares = (height + share - 1) // share
    image, start = task // shares, task % shares * share
    stop = min(start + share, height)
    windows = np.zeros(((stop - start) * width, rows.shape[1]), x.dtype)
    some = outputs // groups
    flat = y[image].reshape(outputs, height * width)
    for g in range(groups):
        for i in range(start, stop):
            for j in range(width):
                row, top, left = (i - start) * width + j, i * stride[0], j * stride[1]
                _lay_out(windows, row, x, image, top, left, g * shape[2], shape, dilation)
        first, last = g * some, (g + 1) * some
        _block(rows[first:last], windows, flat[first:last, start * width : stop * width])


@kernel(_windows_definition, parallel=True)
def _windows_kernel(
    x: NDArray[Any],
    w: NDArray[Any],
    groups: int,
    stride_height: int,
    stride_width: int,
    dilation_height: int,
    dilation_width: int,
) -> NDArray[np.int32]:
    """Share out tasks: some rows of one image's pixels, all outputs."""
    n, padded_height, padded_width, _ = x.shape
    outputs, kernel_height, kernel_width, depth = w.shape
    shape = (kernel_height, kernel_width, depth)
    stride, dilation = (stride_height, stride_width), (dilation_height, dilation_width)
    height = (padded_height - (kernel_height - 1) * dilation_height - 1) // stride_height + 1
    width = (padded_width - (kernel_width - 1) * dilation_width - 1) // stride_width + 1
    k = kernel_height * kernel_width * depth
    length = (k + LANES - 1) // LANES * LANES
    rows, flat = np.empty((outputs, length), x.dtype), w.reshape(outputs, k)
    for o in range(outputs):  # loops: an array expression would wake the threads here
        for i in range(length):
            rows[o, i] = flat[o, i] if i < k else 0
    y = np.empty((n, outputs, height, width), np.int32)
    share = max(1, min(height, WINDOWS // (width * length)))
    tasks = n * ((height + share - 1) // share)
    if y.size * k < SMALL:
        for task in range(tasks):
            _windows_task(x, rows, y, groups, shape, stride, dilation, task, share)
    else:
        for task in prange(tasks):
            _windows_task(x, rows, y, groups, shape, stride, dilation, task, share)
    return y


def window_products(
    x: NDArray[Any],
    w: NDArray[Any],
    groups: int,
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> NDArray[np.int32]:
    """Multiply every window of images by every kernel, modulo 2^32.

    Parameters
    ----------
    x : ndarray of int16 or int32, shape (n, height, width, channels), C-contiguous
        Differences of codes and the zero point, padded with zeros.
    w : ndarray of x's dtype, shape (out, kh, kw, channels / groups), C-contiguous
        Differences of codes and their zero points.
    groups : int
        Output channels see only the input channels of their group.
    stride, dilation : pair of int
        (vertical, horizontal).

    Returns
    -------
    ndarray of int32, shape (n, out, out_height, out_width)
        Exact where the true sums fit int32. Channels come first again.

    Notes
    -----
    The caller checks shapes and the accumulator. Beside the result only about 2^16 numbers for
    each thread are held. Tier T1.

    Examples
    --------
    >>> x = np.arange(9, dtype=np.int16).reshape(1, 3, 3, 1)
    >>> window_products(x, np.ones((1, 2, 2, 1), np.int16), 1, (1, 1), (1, 1))
    array([[[[ 8, 12],
             [20, 24]]]], dtype=int32)
    """
    return _windows_kernel(x, w, groups, stride[0], stride[1], dilation[0], dilation[1])
