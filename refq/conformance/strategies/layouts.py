"""Strategies for the kernels of `refq.layouts`.

Conventions
-----------
A block's largest magnitude is drawn with its scale, the other numbers are near ties of that scale:
the code is drawn, the number follows. Blocks to be read are any bytes behind scales of all kinds.
"""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from .registry import Arguments, register
from .tie_draws import SCALES

__all__ = ["tie_blocks"]

_SPECIAL = (0.0, -0.0, 1e-45, -1e-45, 1e-38)


@st.composite
def tie_blocks(draw: st.DrawFn, half: int) -> NDArray[np.float32]:
    """Draw blocks of 32 numbers that lie at, or an ulp beside, ties between codes.

    Parameters
    ----------
    draw : callable
        Given by hypothesis.
    half : int
        The largest code: 8 or 127.

    Returns
    -------
    ndarray of float32, shape (n, 32)
        Up to three blocks.
    """
    rows = []
    for _ in range(draw(st.integers(0, 3))):
        scale = np.float32(draw(st.sampled_from((*SCALES, 1e-44, 1e-39, 1e30, 1e36))))
        codes = draw(st.lists(st.integers(-half, half - 1), min_size=1, max_size=6))
        codes += [draw(st.sampled_from([-half, half]))] * draw(st.integers(0, 2))
        ties = draw(st.sampled_from([0.0, 0.5]))
        row = (
            (np.resize(codes, 32) + ties * (np.abs(np.resize(codes, 32)) < half)) * scale
        ).astype(np.float32)
        ulps = draw(st.lists(st.integers(-1, 1), min_size=1, max_size=5))
        row = row + np.spacing(row) * np.resize(np.array(ulps, np.float32), 32)
        row[draw(st.integers(0, 31))] = draw(st.sampled_from(_SPECIAL))
        place = draw(st.integers(0, 31))
        row[place] = draw(st.sampled_from([-half, half])) * scale
        rows.append(row[:: draw(st.sampled_from([1, -1]))])
    return np.array(rows, np.float32).reshape(-1, 32)


def _edges() -> list[Arguments]:
    ramp = np.linspace(-1, 1, 32, dtype=np.float32)[None]
    largest = np.finfo(np.float32).max
    rows = [np.zeros((1, 32)), -np.zeros((2, 32)), np.full((1, 32), 1e-45), ramp * largest, ramp]
    halves = np.tile([2.5, -2.5, 127.0, -127.0], 8)[None]
    rows += [halves, -halves, np.tile([8.0, -8.0], 16)[None], ramp * 65520 * 8, ramp * 2.0**-24 * 8]
    plain = [np.zeros((0, 32), np.float32), *(np.asarray(r, np.float32) for r in rows)]
    return [(r,) for r in [*plain, np.tile(ramp, (3, 1))[::-1, ::-1]]]


register("refq.layouts.gguf_kernels.nibble_blocks", edges=_edges())(
    lambda: st.tuples(tie_blocks(8))
)
register("refq.layouts.gguf_kernels.octet_blocks", edges=_edges())(
    lambda: st.tuples(tie_blocks(127))
)

_PARAMETERS = (1.0, -0.5, 0.0, -0.0, 2.0**-24, 65504.0, np.inf, -np.inf)


def _any_blocks(nbytes: int) -> st.SearchStrategy[Arguments]:
    def build(seed: int, scales: list[float], reverse: bool) -> Arguments:
        blocks = np.random.default_rng(seed).integers(0, 256, (len(scales), nbytes))
        raw = blocks.astype(np.uint8)
        out = np.zeros((len(scales), 32), np.float32)
        return (raw[::-1] if reverse else raw), np.array(scales, np.float32), out

    few: Any = st.lists(st.sampled_from(_PARAMETERS), max_size=4)
    return st.builds(build, st.integers(0, 1 << 16), few, st.booleans())


def _read_edges(nbytes: int) -> list[Arguments]:
    count = len(_PARAMETERS)
    every = np.resize(np.arange(256, dtype=np.uint8), (count, nbytes))
    empty = np.zeros((0, nbytes), np.uint8), np.zeros(0, np.float32), np.zeros((0, 32), np.float32)
    return [empty, (every, np.array(_PARAMETERS, np.float32), np.ones((count, 32), np.float32))]


register("refq.layouts.gguf_kernels.nibble_numbers", edges=_read_edges(18))(lambda: _any_blocks(18))
register("refq.layouts.gguf_kernels.octet_numbers", edges=_read_edges(34))(lambda: _any_blocks(34))
