"""Draws for the kernels of `refq.numerics`: points at midpoints of codewords, ulps beside them."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from numpy.typing import NDArray

from .registry import register

__all__ = ["near_midpoints"]

Arguments = tuple[Any, ...]

SCALES = (1.0, 0.5, 2.0, 1 / 3, 0.1, 0.9, 1e20, 2.0**-149)


@st.composite
def near_midpoints(
    draw: DrawFn, dtype: Any = np.float64, max_d: int = 4
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Draw points and a codebook; a point is a midpoint of two codewords, moved by some ulps.

    Parameters
    ----------
    draw : callable
        Given by hypothesis.
    dtype : dtype
        float32 or float64.
    max_d : int
        The most coordinates.

    Returns
    -------
    X : ndarray, shape (n, d)
        Up to four points.
    codebook : ndarray, shape (K, d)
        One to five codewords, equal ones among them.
    """
    d, K = draw(st.integers(1, max_d)), draw(st.integers(1, 5))
    scale = draw(st.sampled_from(SCALES))
    grid = draw(st.lists(st.integers(-4, 4), min_size=K * d, max_size=K * d))
    codebook = (np.array(grid, np.float64) * scale).astype(dtype).reshape(K, d)
    points = []
    for _ in range(draw(st.integers(0, 4))):
        a, b = draw(st.integers(0, K - 1)), draw(st.integers(0, K - 1))
        x = codebook[a] / 2 + codebook[b] / 2
        ulps = draw(st.lists(st.integers(-2, 2), min_size=d, max_size=d))
        points.append(x + np.spacing(np.abs(x)) * np.array(ulps))
    return np.array(points, dtype).reshape(-1, d), codebook


@register(
    "refq.numerics.nearest.nearest_two",
    edges=[
        (np.zeros((0, 2)), np.zeros((1, 2))),
        (np.zeros((1, 1)), np.zeros((1, 1))),
        (np.array([[0.5, 0.0]]), np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]])),
        (np.array([[1e20, -1e20]]), np.array([[1e20, 1e20], [-1e20, -1e20]])),
        (np.arange(12.0).reshape(4, 3)[::-1, ::-1], np.arange(6.0).reshape(2, 3)[:, ::-1]),
        (np.full((1, 3), 5e-324), np.zeros((2, 3))),
    ],
)
def _nearest_two() -> SearchStrategy[Arguments]:
    """Draw ``(X, codebook)``."""
    return near_midpoints()


@st.composite
def _weighed_cells(draw: DrawFn) -> Arguments:
    n, d, K = draw(st.integers(0, 9)), draw(st.integers(1, 3)), draw(st.integers(1, 4))
    values = st.sampled_from([0.0, -0.0, 1.0, 0.1, -0.3, 1e16, -1e16, 1e-300])
    kind = draw(st.sampled_from([np.float64, np.float32]))
    rows = draw(st.lists(values, min_size=n * d, max_size=n * d))
    centers = draw(st.lists(values, min_size=K * d, max_size=K * d))
    weights = draw(st.lists(st.sampled_from([1.0, 0.0, 0.3]), min_size=n, max_size=n))
    codes = draw(st.lists(st.integers(0, K - 1), min_size=n, max_size=n))
    X = np.array(rows).reshape(n, d).astype(kind)
    return X, np.array(weights), np.array(codes, np.int64), np.array(centers).reshape(K, d)


@register(
    "refq.numerics.cells._moments",
    edges=[
        (np.zeros((0, 1)), np.zeros(0), np.zeros(0, np.int64), np.zeros((1, 1))),
        (
            np.array([[1e16], [1.0], [-1e16]]),
            np.ones(3),
            np.zeros(3, np.int64),
            np.array([[0.1], [2.0]]),
        ),
        (np.array([[-0.0], [-0.0]]), np.ones(2), np.array([1, 1]), np.zeros((2, 1))),
        (
            np.arange(6.0).reshape(3, 2)[::-1, ::-1],
            np.ones(3),
            np.array([0, 2, 0])[::-1],
            np.arange(6.0).reshape(3, 2)[:, ::-1],
        ),
    ],
)
def _moments() -> SearchStrategy[Arguments]:
    """Draw ``(X, weights, codes, centers)``."""
    return _weighed_cells()


@st.composite
def _shifted_rows(draw: DrawFn) -> Arguments:
    kind = draw(st.sampled_from([np.float32, np.float64]))
    X, codebook = draw(near_midpoints(kind))
    huge = draw(st.sampled_from([1.0, 2.0**61, 1e-40]))
    with np.errstate(over="ignore"):
        moved = (X * kind(huge)).astype(kind)
    return np.where(np.isfinite(moved), moved, X), codebook[0].astype(np.float64)


@register(
    "refq.numerics.screening.prepare_rows",
    edges=[
        (np.zeros((0, 2)), np.zeros(2)),
        (np.zeros((1, 1), np.float32), np.ones(1)),
        (np.array([[1e20, 1.0], [-1.0, 2.0]]), np.zeros(2)),
        (np.full((1, 1), 2.0**60), np.zeros(1)),
        (np.arange(6.0).reshape(3, 2)[::-1, ::-1], np.arange(4.0)[::2]),
    ],
)
def _prepare_rows() -> SearchStrategy[Arguments]:
    """Draw ``(X, shift)``: rows within and beyond the norm that float32 can take."""
    return _shifted_rows()


@st.composite
def _scored_rows(draw: DrawFn) -> Arguments:
    n, K = draw(st.integers(0, 4)), draw(st.integers(1, 20))
    values = st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e-45, -1e-45, 3e38, -3e38, 1 + 2.0**-23, 0.5])
    scores = draw(st.lists(values, min_size=n * K, max_size=n * K))
    margins = draw(st.lists(st.sampled_from([0.0, 2.0**-23, 1.0, np.inf]), min_size=n, max_size=n))
    return np.array(scores, np.float32).reshape(n, K), np.array(margins, np.float32)


@register(
    "refq.numerics.screening.least_keys",
    edges=[
        (np.zeros((0, 3), np.float32), np.zeros(0, np.float32)),
        (np.array([[-0.0]], np.float32), np.zeros(1, np.float32)),
        (np.array([[0.0, -0.0, 0.0]], np.float32), np.zeros(1, np.float32)),
        (np.array([[3e38, -3e38]], np.float32), np.full(1, np.inf, np.float32)),
        (np.array([[1.0, 1.0, 2.0]], np.float32), np.ones(1, np.float32)),
    ],
)
def _least_keys() -> SearchStrategy[Arguments]:
    """Draw ``(scores, margins)``."""
    return _scored_rows()


@st.composite
def _coded_scores(draw: DrawFn) -> Arguments:
    scores, _ = draw(_scored_rows())
    n, K = scores.shape
    codes = draw(st.lists(st.integers(0, K - 1), min_size=n, max_size=n))
    return scores, np.array(codes, np.int64)


@register(
    "refq.numerics.screening.second_keys",
    edges=[
        (np.zeros((0, 3), np.float32), np.zeros(0, np.int64)),
        (np.array([[-1.0]], np.float32), np.zeros(1, np.int64)),
        (np.array([[0.0, -0.0, 0.0]], np.float32), np.ones(1, np.int64)),
        (np.array([[3e38, -3e38]], np.float32), np.ones(1, np.int64)),
    ],
)
def _second_keys() -> SearchStrategy[Arguments]:
    """Draw ``(scores, codes)``."""
    return _coded_scores()
