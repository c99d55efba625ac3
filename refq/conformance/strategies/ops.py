"""Strategies for the kernels of `refq.ops`.

Conventions
-----------
Numbers to quantize are near ties of their own channel's scale. Accumulators to requantize are near
ties of their multiplier: the code is drawn, the accumulator follows. Codes are drawn among the
extremes of their dtype first. Zero points are odd more often than not.
"""

from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from .registry import Arguments, register
from .tie_draws import SCALES, near_tie

__all__ = ["codes_of", "tie_accumulators"]

_NARROW = (np.int8, np.uint8, np.int16, np.uint16)
_SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 4), st.sampled_from([1, 2, 1, 5, 17]))


def codes_of(dtype: Any, shape: tuple[int, ...]) -> st.SearchStrategy[NDArray[Any]]:
    """Draw codes of an integer dtype, its extremes and the neighbours of zero first.

    Parameters
    ----------
    dtype : dtype
        Of the codes.
    shape : tuple of int
        Of the array.

    Returns
    -------
    hypothesis.strategies.SearchStrategy
        Of arrays: at most eight drawn codes, repeated in an order that no stride hides.

    Examples
    --------
    >>> codes_of(np.int8, (2, 3)).__class__.__name__
    'LazyStrategy'
    """
    info = np.iinfo(dtype)
    low, high = int(info.min), int(info.max)
    one = st.sampled_from([0, high, low, 1, max(low, -1)]) | st.integers(low, high)
    size = int(np.prod(shape))

    def spread(few: list[int], seed: int) -> NDArray[Any]:
        picks = np.random.default_rng(seed).integers(0, len(few), size)
        return np.array(few, dtype)[picks].reshape(shape)

    return st.builds(spread, st.lists(one, min_size=1, max_size=8), st.integers(0, 99))


def tie_accumulators(mantissa: int, shift: int, code: int, offset: int) -> int:
    """Return the int32 whose fixed-point product is nearest to ``code + 1/2``, moved by `offset`.

    Parameters
    ----------
    mantissa, shift : int
        The multiplier.
    code : int
        Below the tie.
    offset : int
        How many accumulators to move.

    Returns
    -------
    int
        Clipped to int32.

    Examples
    --------
    >>> tie_accumulators(1 << 30, 31, 3, 0)
    7
    """
    exact = (Fraction(code) + Fraction(1, 2)) * Fraction(2) ** shift / mantissa
    return min(max(round(exact) + offset, -(1 << 31)), (1 << 31) - 1)


@st.composite
def _quantize(draw: st.DrawFn) -> Arguments:
    dtype = draw(st.sampled_from(_NARROW))
    info: Any = np.iinfo(np.dtype(dtype))
    low, high = int(info.min), int(info.max)
    shape = draw(_SHAPES)
    scales = np.array([draw(st.sampled_from(SCALES)) for _ in range(shape[1])], np.float32)
    zero = st.sampled_from([0, 1, low, high, 3]).filter(lambda z: low <= z <= high)
    zeros = np.array([draw(zero) for _ in range(shape[1])], np.int64)
    x = np.empty(shape, np.float32)
    for c in range(shape[1]):
        ulps, ties = st.sampled_from([0, 1, -1]), st.booleans()
        codes = st.sampled_from([low, high, 0, 1]) | st.integers(low - 2, high + 2)
        few = [
            near_tie(float(scales[c]), draw(codes) - int(zeros[c]), draw(ties), draw(ulps))
            for _ in range(4)
        ]
        few += [np.float32(v) for v in (np.inf, -np.inf, 1e-45, -0.0, 3e38)]
        few += [np.float32(np.nan)] * draw(st.integers(0, 1))
        x[:, c] = np.resize(np.array(few, np.float32), (shape[0], shape[2]))
    if draw(st.booleans()):
        x = x[:, :, ::-1]
    return x, scales, zeros, low, high, np.empty(0, dtype)


_ONE = np.ones(1, np.float32)
_Z = np.zeros(1, np.int64)
_BYTE = np.empty(0, np.int8)

register(
    "refq.ops.quantize_kernels._quantize_definition",
    edges=[
        (np.zeros((0, 1, 3), np.float32), _ONE, _Z, -128, 127, _BYTE),
        (np.zeros((1, 0, 3), np.float32), _ONE[:0], _Z[:0], -128, 127, _BYTE),
        (np.array([[[0.5, 1.5, 2.5, -0.5]]], np.float32), _ONE, _Z + 1, -128, 127, _BYTE),
        (np.array([[[np.inf, -np.inf, -0.0]]], np.float32), _ONE, _Z - 128, -128, 127, _BYTE),
        (np.array([[[1.0, np.nan]]], np.float32), _ONE, _Z + 1, -128, 127, _BYTE),
        (np.array([[[1e-45, 1.0]]], np.float32), _ONE * np.float32(1e-45), _Z, -8, 7, _BYTE),
    ],
)(_quantize)


@st.composite
def _dequantize(draw: st.DrawFn) -> Arguments:
    dtype = draw(st.sampled_from(_NARROW))
    shape = draw(_SHAPES)
    scales = np.array([draw(st.sampled_from(SCALES)) for _ in range(shape[1])], np.float32)
    zeros = draw(codes_of(dtype, (shape[1],))).astype(np.int64)
    q = draw(codes_of(dtype, shape))
    return (q[:, ::-1] if draw(st.booleans()) else q), scales, zeros


register(
    "refq.ops.quantize_kernels._dequantize_definition",
    edges=[
        (np.zeros((0, 1, 3), np.int8), _ONE, _Z),
        (np.array([[[0, 255]]], np.uint8), _ONE * np.float32(3e38), _Z + 255),
        (np.array([[[-32768, 32767]]], np.int16), _ONE * np.float32(0.1), _Z + 32767),
    ],
)(_dequantize)


@st.composite
def _fixed_point(draw: st.DrawFn, least_shift: int) -> Arguments:
    dtype = draw(st.sampled_from([np.int8, np.int32]))
    shape = draw(_SHAPES)
    mantissa = np.empty(shape[1], np.int64)
    shift = np.empty(shape[1], np.int64)
    acc = np.empty(shape, np.int32)
    for c in range(shape[1]):
        mantissa[c] = draw(st.sampled_from([1 << 30, (1 << 31) - 1, 3 << 29, 0x5555_5555]))
        shift[c] = draw(
            st.sampled_from([31, 32, 38, 61, 62, 63, 93, 94, 200]) | st.integers(least_shift, 70)
        )
        ties = [
            tie_accumulators(
                int(mantissa[c]),
                int(shift[c]),
                draw(st.sampled_from([0, -1, 1, -2, 127, -129])),
                draw(st.sampled_from([0, 1, -1])),
            )
            for _ in range(4)
        ]
        few = [*ties, 0, (1 << 31) - 1, -(1 << 31)]
        acc[:, c] = np.resize(np.array(few, np.int32), (shape[0], shape[2]))
    info: Any = np.iinfo(np.dtype(dtype))
    zero = draw(st.sampled_from([0, 1, -3, 127]))
    return acc, mantissa, shift, zero, int(info.min), int(info.max), np.empty(0, dtype)


_HALF = (np.array([1 << 30], np.int64), np.array([31], np.int64))
_FIXED_EDGES: list[Arguments] = [
    (np.zeros((1, 1, 0), np.int32), *_HALF, 0, -128, 127, _BYTE),
    (np.array([[[-3, -1, 1, 3, 2**31 - 1, -(2**31)]]], np.int32), *_HALF, 1, -128, 127, _BYTE),
]

register("refq.ops.requantization._once_definition", edges=_FIXED_EDGES)(lambda: _fixed_point(1))
# to the left of 31 gemmlowp's int32 shift must not overflow: the public function sees to it
register("refq.ops.requantization._twice_definition", edges=_FIXED_EDGES)(lambda: _fixed_point(31))


@st.composite
def _rows(draw: st.DrawFn) -> Arguments:
    dtype = draw(st.sampled_from([np.int16, np.int32]))
    batch, m, n = draw(st.integers(1, 2)), draw(st.integers(1, 9)), draw(st.integers(1, 9))
    k = draw(st.sampled_from([1, 16, 3, 31, 64]))
    narrow = np.int16 if dtype == np.int16 else np.int32
    a, b = draw(codes_of(narrow, (batch, m, k))), draw(codes_of(narrow, (batch, n, k)))
    if dtype == np.int16:  # differences of 8-bit codes
        a, b = np.clip(a, -255, 255), np.clip(b, -255, 255)
    else:  # 17 bits: int32 wraps
        a, b = a >> 15, b >> 15
    return a, b


register(
    "refq.ops.products._rows_definition",
    edges=[
        (np.zeros((1, 0, 16), np.int16), np.zeros((1, 3, 16), np.int16)),
        (np.zeros((0, 2, 16), np.int16), np.zeros((0, 3, 16), np.int16)),
        (np.zeros((1, 2, 0), np.int16), np.zeros((1, 3, 0), np.int16)),
        (np.full((1, 5, 16), -128, np.int16), np.full((1, 9, 16), -128, np.int16)),
        (np.full((1, 4, 4), 65535, np.int32), np.full((1, 300, 4), 65535, np.int32)),
    ],
)(_rows)


@st.composite
def _windows(draw: st.DrawFn) -> Arguments:
    dtype = draw(st.sampled_from([np.int16, np.int32]))
    groups, depth, n = draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(1, 2))
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    size, steps, spread = draw(pair), draw(pair), draw(pair)
    spare = draw(st.tuples(st.integers(0, 4), st.integers(0, 4)))
    height, width = ((s - 1) * d + 1 + e for s, d, e in zip(size, spread, spare, strict=True))
    x = draw(codes_of(np.int16, (n, height, width, groups * depth))).astype(dtype)
    w = draw(codes_of(np.int16, (groups * draw(st.integers(1, 5)), *size, depth))).astype(dtype)
    if dtype == np.int16:  # differences of 8-bit codes
        x, w = np.clip(x, -255, 255), np.clip(w, -255, 255)
    return x, w, groups, *steps, *spread


register(
    "refq.ops.products._windows_definition",
    edges=[
        (np.zeros((0, 3, 3, 2), np.int16), np.ones((2, 2, 2, 1), np.int16), 2, 1, 1, 1, 1),
        (np.full((1, 1, 1, 1), 5, np.int16), np.full((1, 1, 1, 1), 7, np.int16), 1, 1, 1, 1, 1),
        (
            np.full((1, 2, 2, 9), -32768, np.int32),
            np.full((5, 2, 2, 9), 65535, np.int32),
            1,
            1,
            1,
            1,
            1,
        ),
    ],
)(_windows)


@st.composite
def _add(draw: st.DrawFn) -> Arguments:
    a_dtype, b_dtype = draw(st.sampled_from([(np.int8, np.int8), (np.uint8, np.int8)]))
    n = draw(st.integers(1, 20))
    a, b = draw(codes_of(a_dtype, (n,))), draw(codes_of(b_dtype, (n,)))
    mantissas = st.sampled_from([1 << 30, (1 << 31) - 1, 3 << 29, 0x5555_5555])
    gap, shift = draw(st.integers(0, 22)), draw(st.sampled_from([23, 31, 40, 62]))
    factors = [draw(mantissas) << gap, draw(mantissas)]
    if draw(st.booleans()):
        factors.reverse()
    zeros = int(draw(codes_of(a_dtype, (1,)))[0]), int(draw(codes_of(b_dtype, (1,)))[0])
    like = np.empty(0, np.int8)
    z = draw(st.sampled_from([0, 1, -128]))
    return a, zeros[0], factors[0], b, zeros[1], factors[1], shift, z, -128, 127, like


register(
    "refq.ops.elementwise._add_definition",
    edges=[
        (_BYTE, 0, 1 << 30, _BYTE, 0, 1 << 30, 30, 0, -128, 127, _BYTE),
        (
            np.array([-128, 127], np.int8),
            0,
            1 << 30,
            np.array([-128, 127], np.int8),
            0,
            1 << 30,
            31,
            1,
            -9,
            9,
            _BYTE,
        ),
    ],
)(_add)


@st.composite
def _pairs(draw: st.DrawFn) -> Arguments:
    m, n, k = draw(st.integers(1, 3)), draw(st.integers(1, 3)), 2 * draw(st.integers(1, 9))
    a, b = draw(codes_of(np.uint8, (m, k))), draw(codes_of(np.int8, (n, k)))
    return (a[:, ::-1], b[:, ::-1]) if draw(st.booleans()) else (a, b)


register(
    "refq.ops.saturating_pairs._pairs_definition",
    edges=[
        (np.zeros((0, 2), np.uint8), np.zeros((3, 2), np.int8)),
        (np.zeros((2, 0), np.uint8), np.zeros((3, 0), np.int8)),
        (np.full((1, 4), 255, np.uint8), np.full((1, 4), 127, np.int8)),
        (np.full((1, 2), 255, np.uint8), np.full((1, 2), -128, np.int8)),
        (np.full((1, 2), 255, np.uint8), np.array([[-128, 127]], np.int8)),
    ],
)(_pairs)
