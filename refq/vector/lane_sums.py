"""Integer distances of many queries side by side, without keeping them.

Problem
-------
A distance to a coded vector is a sum of table entries that its codes name. One query at a time,
each look-up costs a load, and nothing vectorizes. The codes are the same for all queries: with the
queries' entries side by side, a code names a whole row, and one vector addition serves them all.

Conventions
-----------
Tables have the queries last: ``tables[p, code]`` is a row with one *lane* for each query. Sums are
made for a tile of codes at a time, which stays in the first cache, and are thrown away: the k-th
least ones are found in one pass, what lies below a limit in another.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.twins import kernel, subroutine

__all__ = ["lane_hits", "lane_hits_kernel", "lane_limits", "lane_limits_kernel"]

Tables = NDArray[np.int32]
Integers = NDArray[np.int64]

_TILE = 512  #: coded vectors whose sums are held at once: 64 kB for 32 lanes
_MOST = np.int32(2147483647)


def _sums(tables: Tables, codes: NDArray[Any]) -> Tables:
    total = np.zeros((len(codes), tables.shape[2]), np.int32)
    for p in range(len(tables)):
        total += tables[p, codes[:, p]]
    return total


@subroutine
def _put_sums(tables: Tables, codes: NDArray[Any], first: int, n: int, sums: Tables) -> None:
    """Write the sums of n coded vectors from `first` on; four positions an addition."""
    n_positions, _, lanes = tables.shape
    fours = n_positions // 4 * 4
    for i in range(n):
        for j in range(lanes):
            sums[i, j] = 0
    for p in range(0, fours, 4):
        s, t, u, v = tables[p], tables[p + 1], tables[p + 2], tables[p + 3]
        for i in range(n):
            row = codes[first + i]
            # unsigned: no check for an index from the end
            a, b = np.uint64(row[p]), np.uint64(row[p + 1])
            c, d = np.uint64(row[p + 2]), np.uint64(row[p + 3])
            for j in range(lanes):
                sums[i, j] += s[a, j] + t[b, j] + u[c, j] + v[d, j]
    for p in range(fours, n_positions):
        s = tables[p]
        for i in range(n):
            a = np.uint64(codes[first + i, p])
            for j in range(lanes):
                sums[i, j] += s[a, j]


@subroutine
def _sift(heap: Tables, value: np.int32) -> None:
    """Replace the largest value of a heap by a smaller one."""
    at, child = 0, 1
    while child < heap.size:
        if child + 1 < heap.size and heap[child + 1] > heap[child]:
            child += 1
        if heap[child] <= value:
            break
        heap[at] = heap[child]
        at, child = child, 2 * child + 1
    heap[at] = value


def lane_limits(tables: Tables, codes: NDArray[Any], k: int) -> Tables:
    """Return the k-th least integer distance of each query: the definition.

    Parameters
    ----------
    tables : ndarray of int32, shape (n_positions, K, lanes)
        In C order. No sum of entries may leave int32.
    codes : ndarray of integers, shape (n, n_positions)
        In [0, K).
    k : int
        In [1, n].

    Returns
    -------
    ndarray of int32, shape (lanes,)
        Of each query.

    Notes
    -----
    O(n n_positions lanes) time; no sums are kept. Tier T1.

    Examples
    --------
    >>> tables = np.array([[[1], [5]], [[0], [2]]], np.int32)
    >>> lane_limits(tables, np.array([[0, 1], [1, 0]]), 2)
    array([5], dtype=int32)
    """
    return np.asarray(np.partition(_sums(tables, codes), k - 1, axis=0)[k - 1])


@kernel(lane_limits)
def lane_limits_kernel(tables: Tables, codes: NDArray[Any], k: int) -> Tables:
    """Return what `lane_limits` does; a heap for each lane holds its k least sums so far."""
    lanes = tables.shape[2]
    sums = np.empty((_TILE, lanes), np.int32)
    heaps = np.full((lanes, k), _MOST)
    limits = np.full(lanes, _MOST)
    for start in range(0, len(codes), _TILE):
        n = min(_TILE, len(codes) - start)
        _put_sums(tables, codes, start, n, sums)
        for i in range(n):
            below = np.int32(0)
            for j in range(lanes):
                below |= np.int32(sums[i, j] < limits[j])
            if below:  # seldom, after the first tiles
                for j in range(lanes):
                    if sums[i, j] < limits[j]:
                        _sift(heaps[j], sums[i, j])
                        limits[j] = heaps[j, 0]
    return limits


def lane_hits(tables: Tables, codes: NDArray[Any], limits: Tables) -> tuple[Integers, Integers]:
    """Return which integer distances are within the limits: the definition.

    Parameters
    ----------
    tables : ndarray of int32, shape (n_positions, K, lanes)
        In C order. No sum of entries may leave int32.
    codes : ndarray of integers, shape (n, n_positions)
        In [0, K).
    limits : ndarray of int32, shape (lanes,)
        The largest sum that counts, for each query.

    Returns
    -------
    rows, lanes : ndarray of int64
        Coded vectors and queries, the rows in order, and in a row the lanes.

    Notes
    -----
    O(n n_positions lanes) time. Tier T1.

    Examples
    --------
    >>> tables = np.array([[[1], [5]], [[0], [2]]], np.int32)
    >>> lane_hits(tables, np.array([[0, 1], [1, 0]]), np.array([4], np.int32))
    (array([0]), array([0]))
    """
    rows, lanes = np.nonzero(_sums(tables, codes) <= limits)
    return rows.astype(np.int64), lanes.astype(np.int64)


@kernel(lane_hits)
def lane_hits_kernel(
    tables: Tables, codes: NDArray[Any], limits: Tables
) -> tuple[Integers, Integers]:
    """Return what `lane_hits` does; the lists double when they are full."""
    lanes = tables.shape[2]
    sums = np.empty((_TILE, lanes), np.int32)
    found, count = np.empty((2, 64 + lanes), np.int64), 0
    for start in range(0, len(codes), _TILE):
        n = min(_TILE, len(codes) - start)
        _put_sums(tables, codes, start, n, sums)
        for i in range(n):
            within = np.int32(0)
            for j in range(lanes):
                within |= np.int32(sums[i, j] <= limits[j])
            if within:
                if count + lanes > found.shape[1]:
                    wider = np.empty((2, 2 * found.shape[1]), np.int64)
                    wider[:, :count] = found[:, :count]
                    found = wider
                for j in range(lanes):
                    if sums[i, j] <= limits[j]:
                        found[0, count], found[1, count] = start + i, j
                        count += 1
    return found[0, :count].copy(), found[1, :count].copy()
