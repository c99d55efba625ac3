"""Draws for the kernels of `refq.vector`: distances to centers, tables and codes."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from .numerics import near_midpoints
from .registry import register

__all__: list[str] = []

Arguments = tuple[Any, ...]


@st.composite
def _points_and_center(draw: DrawFn) -> Arguments:
    X, codebook = draw(near_midpoints(draw(st.sampled_from([np.float32, np.float64]))))
    values = st.sampled_from([np.inf, 0.0, 1.0, 1e40])
    distances = draw(st.lists(values, min_size=len(X), max_size=len(X)))
    return X, codebook[0].astype(np.float64), np.array(distances)


@register(
    "refq.vector.initialization.nearer",
    edges=[
        (np.zeros((0, 2)), np.zeros(2), np.zeros(0)),
        (np.zeros((1, 1), np.float32), np.zeros(1), np.full(1, np.inf)),
        (np.array([[1e20, -1e20]]), np.array([-1e20, 1e20]), np.array([5.0])),
        (np.full((1, 2), 5e-324), np.zeros(2), np.array([0.0])),
        (np.arange(6.0).reshape(3, 2)[::-1, ::-1], np.arange(4.0)[::2], np.arange(3.0)[::-1]),
    ],
)
def _nearer() -> SearchStrategy[Arguments]:
    """Draw ``(X, center, distances)``."""
    return _points_and_center()


@st.composite
def _tables_and_codes(draw: DrawFn, limited: bool) -> Arguments:
    lanes, n, P, K = (draw(st.integers(a, b)) for a, b in [(0, 4), (1, 5), (1, 9), (1, 4)])
    kind = draw(st.sampled_from([np.uint8, np.uint16, np.int64]))
    entries = st.sampled_from([0, 1, 2, 3, 1 << 20, ((1 << 31) - 1) // P])
    tables = draw(st.lists(entries, min_size=lanes * P * K, max_size=lanes * P * K))
    codes = draw(st.lists(st.integers(0, K - 1), min_size=n * P, max_size=n * P))
    limits = st.sampled_from([-1, 0, 3, P, (1 << 31) - 1])
    return (
        np.array(tables, np.int32).reshape(P, K, lanes),
        np.array(codes, kind).reshape(n, P),
        np.array([draw(limits) for _ in range(lanes)], np.int32)
        if limited
        else draw(st.integers(1, n)),
    )


@register(
    "refq.vector.lane_sums.lane_limits",
    edges=[
        (np.zeros((1, 1, 0), np.int32), np.zeros((1, 1), np.uint8), 1),
        (np.full((1, 1, 1), (1 << 31) - 1, np.int32), np.zeros((1, 1), np.uint8), 1),
        (np.array([[[3], [1], [2]]], np.int32), np.array([[0], [1], [2], [1]], np.uint8), 4),
        (np.array([[[3], [1], [2]]], np.int32), np.array([[0], [0], [1], [2]], np.uint16), 2),
        # more than one tile, and more vectors than lanes of the processor
        (np.arange(40, dtype=np.int32).reshape(1, 2, 20), np.arange(1100)[:, None] % 2, 551),
        (np.arange(80, dtype=np.int32).reshape(5, 16, 1), np.arange(5500).reshape(-1, 5) % 16, 3),
    ],
)
def _lane_limits() -> SearchStrategy[Arguments]:
    """Draw ``(tables, codes, k)``."""
    return _tables_and_codes(False)


@register(
    "refq.vector.lane_sums.lane_hits",
    edges=[
        (np.zeros((1, 1, 0), np.int32), np.zeros((1, 1), np.uint8), np.zeros(0, np.int32)),
        (np.ones((1, 1, 1), np.int32), np.zeros((0, 1), np.uint8), np.ones(1, np.int32)),
        # lists that double, over more than one tile
        (np.ones((1, 1, 3), np.int32), np.zeros((700, 1), np.int64), np.array([1, 0, 2], np.int32)),
    ],
)
def _lane_hits() -> SearchStrategy[Arguments]:
    """Draw ``(tables, codes, limits)``."""
    return _tables_and_codes(True)
