"""Draws for the kernel that counts ones."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from numpy.typing import NDArray

from .registry import register

__all__: list[str] = []

Arguments = tuple[Any, ...]

_WORDS = st.sampled_from([0, 1, 1 << 63, (1 << 64) - 1, 0x5555555555555555, 0x8000000000000001])


@st.composite
def _rows_of_words(draw: DrawFn) -> Arguments:
    width = draw(st.integers(0, 3))
    word = st.one_of(_WORDS, st.integers(0, (1 << 64) - 1))

    def rows() -> NDArray[np.uint64]:
        n = draw(st.integers(0, 3))
        found = draw(st.lists(word, min_size=n * width, max_size=n * width))
        return np.array(found, np.uint64).reshape(n, width)

    return rows(), rows(), draw(st.booleans())


@register(
    "refq.ops.binary_products._ones",
    edges=[
        (np.zeros((0, 1), np.uint64), np.zeros((2, 1), np.uint64), True),
        (np.zeros((1, 0), np.uint64), np.zeros((1, 0), np.uint64), False),
        (np.full((1, 1), (1 << 64) - 1, np.uint64), np.zeros((1, 1), np.uint64), True),
        (np.full((2, 3), (1 << 64) - 1, np.uint64), np.full((1, 3), 1, np.uint64), False),
    ],
)
def _ones() -> SearchStrategy[Arguments]:
    """Draw ``(a, b, differ)``."""
    return _rows_of_words()
