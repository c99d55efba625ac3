"""Arrays to fit methods to: near ties, wide ranges, constants, ragged shapes, subnormals.

Conventions
-----------
A few parameters are drawn and the array is computed from them, so that shrinking is fast and ends
at something that can be read. Every array is finite; methods may still refuse some (a scale below
what float16 holds, fewer rows than codewords), but only with a `RefqError`, never the plain one.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from .strategies.tie_draws import near_tie_arrays

__all__ = ["KINDS", "PLAIN_SHAPES", "RAGGED_SHAPES", "weight_arrays"]

#: two axes, and the four of a convolution
PLAIN_SHAPES: tuple[tuple[int, ...], ...] = ((12, 16), (8, 3, 2, 2))

#: one axis, one row, one column, primes
RAGGED_SHAPES: tuple[tuple[int, ...], ...] = ((7,), (1, 5), (5, 1), (1, 1), (11, 13), (3, 2, 5))


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    return rng.standard_normal(shape)


def _constant(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    return np.full(shape, rng.choice([0.0, 0.1, -1.0, 3.0]))


def _sparse(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    return rng.standard_normal(shape) * (rng.random(shape) < 0.2)


def _wide(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    return rng.standard_normal(shape) * 2.0 ** rng.integers(-20, 12, shape)


def _subnormal(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    tiny = float(np.finfo(np.float32).smallest_subnormal)
    return tiny * rng.integers(-50, 50, shape) + (rng.random(shape) < 0.3) * 0.5


def _signed_zeros(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    return np.copysign(0.0, rng.standard_normal(shape)) + 0.25 * (rng.random(shape) < 0.1)


def _outlier(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    x = 0.01 * rng.standard_normal(shape)
    x.reshape(-1)[rng.integers(x.size)] = 30.0
    return x


def _few_values(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    return rng.choice([-1.5, -0.5, 0.5, 0.5, 1.5], shape)


#: name -> function of (generator, shape)
KINDS = {
    "normal": _normal,
    "constant": _constant,
    "few values": _few_values,
    "sparse": _sparse,
    "outlier": _outlier,
    "wide": _wide,
    "signed zeros": _signed_zeros,
    "subnormal": _subnormal,
}


@st.composite
def weight_arrays(
    draw: st.DrawFn,
    shapes: Sequence[tuple[int, ...]] = (*PLAIN_SHAPES, *RAGGED_SHAPES),
    dtypes: Sequence[Any] = (np.float32, np.float64),
) -> NDArray[Any]:
    """Draw a weight: half of the time of near ties, else of one of `KINDS`.

    Parameters
    ----------
    draw : callable
        Given by hypothesis.
    shapes : sequence of tuple
        Which shapes; simple ones first.
    dtypes : sequence of dtype
        float32, float64 or both.

    Returns
    -------
    ndarray
        Finite, never empty unless a shape is.

    Examples
    --------
    >>> weight_arrays().__class__.__name__
    'LazyStrategy'
    """
    shape = draw(st.sampled_from(list(shapes)))
    dtype = draw(st.sampled_from(list(dtypes)))
    if draw(st.booleans()):
        return draw(near_tie_arrays(shape, draw(st.sampled_from([8, 4, 2])), dtype))
    kind = draw(st.sampled_from(list(KINDS)))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 16)))
    return KINDS[kind](rng, shape).astype(dtype)
