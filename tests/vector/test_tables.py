"""Search by integer tables gives what sorting all float64 sums gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import RangeError, ShapeError
from refq.vector import nearest_coded, sum_of_entries, tables
from refq.vector.tables import symmetric_tables


def sorted_sums(t, codes, k):
    sums = sum_of_entries(t, codes)
    order = np.argsort(sums, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(sums, order, axis=1), order


@st.composite
def near_equal_tables(draw):
    """Entries that differ by units, by ulps, or by many orders of magnitude."""
    n_queries, n, P, K = (draw(st.integers(a, b)) for a, b in [(0, 3), (1, 12), (1, 4), (1, 4)])
    base = draw(st.sampled_from([0.0, 1.0, 1e12]))
    step = draw(st.sampled_from([0.0, 1.0, 2.0**-52, 2.0**-30, 1e-300, 1e250]))
    entries = draw(
        st.lists(st.integers(0, 5), min_size=n_queries * P * K, max_size=n_queries * P * K)
    )
    fine = draw(st.sampled_from([0.0, 2.0**-20, 2.0**-40])) * step  # below a unit of the integers
    parts = np.array(entries, np.float64).reshape(n_queries, P, K)
    t = base + step * parts + fine * np.sin(997 * (np.arange(parts.size) + 1)).reshape(parts.shape)
    t = np.abs(t)
    codes = draw(st.lists(st.integers(0, K - 1), min_size=n * P, max_size=n * P))
    return t, np.array(codes, np.uint8).reshape(n, P), draw(st.integers(1, n))


@given(near_equal_tables())
def test_search_is_sorting(case):
    distances, indices = nearest_coded(*case)
    want, order = sorted_sums(*case)
    assert distances.tolist() == want.tolist()
    assert indices.tolist() == order.tolist()


@pytest.mark.parametrize("k", [1, 7, 500])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64])
def test_search_of_many(k, dtype, monkeypatch):
    rng = np.random.default_rng(0)
    t = rng.random((9, 8, 64)) ** 4 + 1e3
    codes = rng.integers(0, 64, (500, 8)).astype(dtype)
    want, order = sorted_sums(t, codes, k)
    for lanes, held in ((32, 1 << 16), (4, 100), (1, 1)):
        monkeypatch.setattr(tables, "_LANES", lanes)
        monkeypatch.setattr(tables, "_CODES", held)
        distances, indices = nearest_coded(t, codes, k)
        assert distances.tobytes() == want.tobytes()
        assert indices.tolist() == order.tolist()


def test_symmetric_tables_are_distances_between_codewords():
    books = np.array([[[0.0, 0.0], [3.0, 4.0]], [[1.0, 1.0], [1.0, 2.0]]])
    got = symmetric_tables(np.array([[1, 0]]), books)
    assert got.tolist() == [[[25.0, 0.0], [0.0, 1.0]]]
    shared = symmetric_tables(np.array([[1, 0, 1]]), books[:1])
    assert shared.tolist() == [[[25.0, 0.0], [0.0, 25.0], [25.0, 0.0]]]


def test_errors():
    t = np.zeros((1, 2, 3))
    with pytest.raises(RangeError, match="k = 3 must be an integer in"):
        nearest_coded(t, [[0, 0], [0, 1]], 3)
    with pytest.raises(RangeError, match="k = 0"):
        nearest_coded(t, [[0, 0]], 0)
    with pytest.raises(RangeError, match=r"codes\[0, 1\] = 3"):
        nearest_coded(t, [[0, 3]], 1)
    with pytest.raises(ShapeError, match="tables has shape"):
        nearest_coded(t[0], [[0, 0]], 1)
    with pytest.raises(RangeError, match="not negative"):
        nearest_coded(t - 1, [[0, 0]], 1)
    with pytest.raises(RangeError, match="k = 1"):
        nearest_coded(t, np.zeros((0, 2), np.uint8), 1)
