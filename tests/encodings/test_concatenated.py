"""Parts side by side."""

import numpy as np
import pytest

from refq.core.errors import DTypeError, LimitError, ShapeError
from refq.encodings import ConcatenatedEncoding, GeneratedEncoding, dense


@pytest.mark.parametrize("axis", [0, 1, -1, -2])
def test_against_lists(axis):
    a, b = np.arange(6).reshape(2, 3), 10 + np.arange(6).reshape(2, 3)
    e = ConcatenatedEncoding((dense(a, "int8"), dense(b, "int8")), axis)
    rows = [*a.tolist(), *b.tolist()]
    columns = [x + y for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    assert e.decode().tolist() == (rows if axis in (0, -2) else columns)
    assert e.decode().dtype == np.int8
    assert e.axis in (0, 1)


def test_dtypes():
    half, single, double = (dense([1.5], f"float{b}") for b in (16, 32, 64))
    whole, byte = dense([3], "int8"), dense([4], "int16")
    assert ConcatenatedEncoding((half, single)).decode().dtype == np.float32
    assert ConcatenatedEncoding((half, double)).decode().dtype == np.float64
    assert ConcatenatedEncoding((whole, byte)).decode().tolist() == [3.0, 4.0]
    assert ConcatenatedEncoding([whole, whole]).decode().dtype == np.int8


def test_pullback_slices():
    a, b = dense(np.zeros((2, 1))), dense(np.zeros((2, 3)))
    grad = np.arange(8.0).reshape(2, 4)
    pulled = ConcatenatedEncoding((a, b), 1).pullback(grad)
    assert pulled["pieces.0"].tolist() == [[0.0], [4.0]]
    assert pulled["pieces.1"].tolist() == [[1.0, 2.0, 3.0], [5.0, 6.0, 7.0]]
    twice = ConcatenatedEncoding((a, a), 1).pullback(grad[:, :2])
    assert twice == {"pieces.0": pytest.approx(np.array([[1.0], [9.0]]))}


def test_what_does_not_fit():
    a = dense(np.zeros((2, 3)))
    with pytest.raises(ShapeError, match="at least one is needed"):
        ConcatenatedEncoding(())
    with pytest.raises(ShapeError, match="do not fit along axis 1"):
        ConcatenatedEncoding((a, dense(np.zeros((3, 3)))), 1)
    for other in (np.zeros(3), np.zeros((2, 3, 1))):
        with pytest.raises(ShapeError, match="do not fit along axis 0"):
            ConcatenatedEncoding((a, dense(other)))
    with pytest.raises(ShapeError, match="axis = 2 does not exist"):
        ConcatenatedEncoding((a,), 2)
    with pytest.raises(ShapeError, match="does not exist in an array of 0 axes"):
        ConcatenatedEncoding((dense(1.0),))
    with pytest.raises(DTypeError, match=r"pieces\[1\] is a ndarray"):
        ConcatenatedEncoding((a, np.zeros((2, 3))))
    with pytest.raises(DTypeError, match="a tuple of Encodings is needed"):
        ConcatenatedEncoding(a)


def test_doubling_ends_at_the_limit():
    e = GeneratedEncoding("ones", (1,))
    for _ in range(34):
        e = ConcatenatedEncoding((e, e))
    assert e.size == 1 << 34
    with pytest.raises(LimitError, match="claims 34359738368 elements"):
        ConcatenatedEncoding((e, e))
