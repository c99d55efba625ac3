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
def _tables_and_codes(draw: DrawFn) -> Arguments:
    n_queries, n, P, K = (draw(st.integers(a, 4)) for a in (0, 1, 1, 1))
    kind = draw(st.sampled_from([np.uint8, np.uint16, np.int64]))
    entries = st.sampled_from([0, 1, 2, 3, 1 << 20, (1 << 28) - 1])
    tables = draw(st.lists(entries, min_size=n_queries * P * K, max_size=n_queries * P * K))
    codes = draw(st.lists(st.integers(0, K - 1), min_size=n * P, max_size=n * P))
    return (
        np.array(tables, np.int32).reshape(n_queries, P, K),
        np.array(codes, kind).reshape(n, P),
        draw(st.integers(1, n)),
    )


@register(
    "refq.vector.tables.integer_sums",
    edges=[
        (np.zeros((0, 1, 1), np.int32), np.zeros((1, 1), np.uint8), 1),
        (np.full((1, 1, 1), 1 << 30, np.int32), np.zeros((1, 1), np.uint8), 1),
        (np.array([[[3, 1, 2]]], np.int32), np.array([[0], [1], [2], [1]], np.uint8), 4),
        (np.array([[[3, 1, 2]]], np.int32), np.array([[0], [0], [1], [2]], np.uint16), 2),
    ],
)
def _integer_sums() -> SearchStrategy[Arguments]:
    """Draw ``(tables, codes, k)``."""
    return _tables_and_codes()
