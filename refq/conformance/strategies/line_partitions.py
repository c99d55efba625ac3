"""Draws for the kernels that cut a line into cells: sorted numbers, weights, prices, limits."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from numpy.typing import NDArray

from ...numerics.line_partition import prefix_moments
from .registry import register

__all__ = ["lines"]

Arguments = tuple[Any, ...]


@st.composite
def lines(draw: DrawFn, least: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw ascending numbers within a half of zero, and their weights.

    The numbers come from a seed: a kernel need not break an exact tie as its definition does.

    Parameters
    ----------
    draw : callable
        Given by hypothesis.
    least : int
        The fewest numbers.

    Returns
    -------
    x, w : ndarray of float64, shape (n,)
        At most 24.
    """
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    n = draw(st.integers(least, 24))
    x = np.sort(rng.random(n) - 0.5)
    if draw(st.booleans()):  # clusters, tight ones among them
        x = np.sort(np.round(x * 2) / 4 + x * draw(st.sampled_from([1e-2, 1e-9])))
    w = np.ones(n) if draw(st.booleans()) else rng.random(n) + 2.0**-20
    return x, w


@register(
    "refq.numerics.line_partition.prefix_moments",
    edges=[
        (np.zeros(0), np.zeros(0)),
        (np.array([0.25]), np.array([1.0])),
        (np.array([-0.5, 0.1, 0.5]), np.array([1.0, 1e-300, 0.3])),
        (np.arange(6.0)[::-2] / 8, np.ones(6)[::2]),
    ],
)
def _prefix_moments() -> SearchStrategy[Arguments]:
    """Draw ``(x, w)``."""
    return lines()


def _moments(x: list[float]) -> NDArray[np.float64]:
    return prefix_moments(np.array(x), np.ones(len(x)))


@st.composite
def _prices(draw: DrawFn) -> Arguments:
    x, w = draw(lines(1))
    return prefix_moments(x, w), draw(st.sampled_from([1e-3, 1e-1, 10.0, 1e-6, 1e-20, 2.0**-1000]))


@register(
    "refq.numerics.line_partition.penalized_path",
    edges=[
        (_moments([0.0]), 1.0),
        (_moments([0.0, 0.25]), 2.0**-5),  # the price of a cell is what it saves
        (_moments([0.0, 0.125, 0.25, 0.375]), 2.0**-6),
        (_moments([0.0, 2.0**-40, 0.25, 0.25 + 2.0**-40]), 2.0**-60),
    ],
)
def _penalized_path() -> SearchStrategy[Arguments]:
    """Draw ``(P, penalty)``."""
    return _prices()


@st.composite
def _limits(draw: DrawFn) -> Arguments:
    x, w = draw(lines(1))
    n = len(x)
    k = draw(st.integers(1, n))
    inner = st.permutations(range(1, n)).map(lambda places: np.sort(places[: k - 1]))
    borders = [np.array(draw(inner), np.int64) for _ in range(2)]
    low, high = np.minimum(*borders), np.maximum(*borders)
    ends = [np.concatenate([[0], cut, [n]]).astype(np.int64) for cut in (low, high)]
    return prefix_moments(x, w), *ends


@register(
    "refq.numerics.line_partition.limited_borders",
    edges=[
        (_moments([0.0]), np.array([0, 1]), np.array([0, 1])),
        (_moments([0.0, 0.125, 0.25]), np.array([0, 1, 3]), np.array([0, 2, 3])),
        (_moments([0.0, 0.125, 0.25, 0.5]), np.array([0, 1, 2, 4]), np.array([0, 2, 3, 4])),
    ],
)
def _limited_borders() -> SearchStrategy[Arguments]:
    """Draw ``(P, low, high)``."""
    return _limits()
