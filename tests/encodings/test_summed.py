"""Parts that add up, first to last, in the result's dtype."""

import time

import numpy as np
import pytest

from refq.core.errors import DTypeError, ShapeError
from refq.encodings import Encoding, GeneratedEncoding, SummedEncoding, dense


def test_the_order_of_the_sum_is_fixed():
    big, one = dense([2.0**24], "float32"), dense([1.0], "float32")
    assert SummedEncoding((big, one, one)).decode().tolist() == [2.0**24]
    assert SummedEncoding((one, one, big)).decode().tolist() == [2.0**24 + 2]
    double = dense([0.0], "float64")
    assert SummedEncoding((big, one, double)).decode().tolist() == [2.0**24 + 1]


def test_one_term_and_integers():
    assert SummedEncoding((dense([3], "int8"),)).decode().dtype == np.float32
    assert SummedEncoding([dense([3], "int8"), dense([4], "int8")]).decode().tolist() == [7.0]


def test_sixty_doublings_decode_count_and_differentiate_linearly():
    e = dense([1.0, -1.0], "float32")
    for _ in range(60):
        e = SummedEncoding((e, e))
    began = time.perf_counter()
    assert e.decode().tolist() == [2.0**60, -(2.0**60)]
    assert e.stored_bits == 64
    assert e.payload_bytes == 8
    assert len(e.nodes()) == 61
    (path,) = e.float_leaves()
    assert path == ".".join(["terms.0"] * 60)
    assert e.pullback(np.ones(2))[path].tolist() == [2.0**60, 2.0**60]
    assert repr(e).startswith("SummedEncoding(shape=(2,)")
    back = Encoding.from_bytes(e.to_bytes())
    assert len(back.nodes()) == 61
    assert back.map_leaves(lambda leaf: dense([2.0, 0.0])).decode().tolist() == [2.0**61, 0.0]
    assert time.perf_counter() - began < 5


def test_deep_graphs_do_not_recurse():
    e = dense([0.0], "float64")
    one = dense([1.0], "float64")
    for _ in range(3000):
        e = SummedEncoding((e, one))
    assert e.decode().tolist() == [3000.0]
    assert e.dtype == np.float64
    assert e.stored_bits == 128


def test_decoding_lets_arrays_go_after_their_last_use():
    import tracemalloc

    e = GeneratedEncoding("ones", (1 << 16,))
    for _ in range(50):
        e = SummedEncoding((e, e))
    tracemalloc.start()
    try:
        assert e.decode()[0] == 2.0**50
        assert tracemalloc.get_traced_memory()[1] < 8 * 4 * (1 << 16)  # 50 arrays would be 13 MB
    finally:
        tracemalloc.stop()


def test_what_does_not_fit():
    a = dense([1.0, 2.0])
    with pytest.raises(ShapeError, match="one is needed"):
        SummedEncoding(())
    with pytest.raises(ShapeError, match=r"\(2,\), \(1,\)"):
        SummedEncoding((a, dense([1.0])))
    with pytest.raises(DTypeError, match=r"terms\[0\] is a list"):
        SummedEncoding(([1.0, 2.0],))
