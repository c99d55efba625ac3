import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import ShapeError
from refq.nn.windows import Windows


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def cases(draw):
    windows = Windows(draw(pairs(1, 3)), draw(pairs(1, 3)), draw(pairs(0, 2)), draw(pairs(1, 2)))
    reach = [d * (k - 1) + 1 for k, d in zip(windows.kernel_size, windows.dilation, strict=True)]
    size = tuple(
        max(1, r - 2 * p) + draw(st.integers(0, 4))
        for r, p in zip(reach, windows.padding, strict=True)
    )
    return windows, size


def positions(n, k, s, p, d):
    """List, window by window, the indices into the unpadded axis: written from the definition."""
    start, found = -p, []
    while start + d * (k - 1) <= n - 1 + p:
        found.append([start + d * t for t in range(k)])
        start += s
    return found


@given(cases())
def test_columns_hold_what_the_windows_meet(case):
    windows, (h, w) = case
    parts = zip(windows.kernel_size, windows.stride, windows.padding, windows.dilation, strict=True)
    rows, columns = (positions(n, *part) for n, part in zip((h, w), parts, strict=True))
    assert windows.counts((h, w)) == (len(rows), len(columns))
    x = np.arange(1.0, 2 * 3 * h * w + 1).reshape(2, 3, h, w)
    got = windows.columns(x)
    assert got.shape == (3, *windows.kernel_size, 2, len(rows), len(columns))
    for c, i, j, n, r, s in np.ndindex(got.shape):
        a, b = rows[r][i], columns[s][j]
        want = x[n, c, a, b] if 0 <= a < h and 0 <= b < w else 0.0
        assert got[c, i, j, n, r, s] == want


@given(cases(), st.integers(0, 2**32))
def test_images_is_the_transpose_of_columns(case, seed):
    windows, size = case
    rng = np.random.default_rng(seed)
    x = rng.integers(-9, 10, (2, 2, *size)).astype(np.float64)
    columns = windows.columns(x)
    other = rng.integers(-9, 10, columns.shape).astype(np.float64)
    back = windows.images(other, size)
    assert back.shape == x.shape
    assert np.sum(columns * other) == np.sum(x * back)  # integers: exact


@given(cases())
def test_pad_and_unpad(case):
    windows, size = case
    x = np.arange(1.0, 6 * size[0] * size[1] + 1).reshape(2, 3, *size)
    padded = windows.pad(x, -7.0)
    assert (windows.unpad(padded, size) == x).all()
    assert np.sum(padded == -7.0) == padded.size - x.size


def test_a_window_that_does_not_fit():
    with pytest.raises(ShapeError, match=r"window of \(5, 1\) does not fit an image of \(2, 9\)"):
        Windows((3, 1), (1, 1), (1, 0), (2, 1)).counts((2, 9))
    assert Windows((3, 1), (1, 1), (1, 0), (2, 1)).counts((3, 9)) == (1, 9)
