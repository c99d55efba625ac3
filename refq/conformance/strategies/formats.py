"""Strategies for the kernels of `refq.formats`.

Conventions
-----------
The target's parameters are drawn, then a code of it, then a number beside the code or beside the
middle to the next: never random floats. NaN, infinities, zeros and subnormals of the source stand
among them.
"""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from ...formats.casting import FIELDS
from .registry import Arguments, register

__all__: list[str] = []

_SPECIAL = (np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0)


def _beside(kind: Any, code: int, half: bool, ulps: int, mantissa_bits: int, exponent: int) -> Any:
    """Return the float at a code of a small float, or at the middle to the next one."""
    field, mantissa = divmod(code, 1 << mantissa_bits)
    significand = mantissa + (1 << mantissa_bits) * (field > 0) + 0.5 * half
    with np.errstate(over="ignore", under="ignore"):
        x: Any = np.ldexp(significand, max(field, 1) - 1 + exponent - mantissa_bits)
        x = kind(x)
        return np.nextafter(x, kind(np.inf * ulps)) if ulps else x


@st.composite
def _casts(draw: st.DrawFn) -> Arguments:
    size = draw(st.sampled_from([4, 2, 8]))
    kind: Any = np.dtype(f"f{size}").type
    info: Any = np.finfo(kind)
    width, bias = FIELDS[size]
    mantissa_bits = draw(st.integers(0, min(width - 1, 8)))
    exponent_bits = draw(st.integers(1, 6))
    least = draw(st.sampled_from([1, bias - 6, bias, bias + 3]) | st.integers(1, 2 * bias + 5))
    sign = 1 << (mantissa_bits + exponent_bits)
    last = sign - 1 - draw(st.integers(0, min(2, sign - 2)))
    codes = st.sampled_from([last, 0, 1 << mantissa_bits]) | st.integers(0, last + 1)
    numbers = [
        _beside(kind, draw(codes), draw(st.booleans()), draw(st.integers(-1, 1)), mantissa_bits, e)
        * kind(draw(st.sampled_from([1, -1])))
        for e in [least - bias] * 6
    ]
    tiny = [np.nextafter(kind(0), kind(1)), -info.tiny, info.max]
    every = np.array([*numbers, *_SPECIAL, *tiny], kind)
    keep = draw(st.integers(0, every.size))
    ends = draw(st.sampled_from([(last, last | sign), (sign - 1, sign - 1)]))
    policy = (int(draw(st.booleans())), *ends, draw(st.sampled_from([0, sign])))
    like = np.empty(0, np.uint8 if sign <= 128 else np.uint16)
    return every[:keep].view(f"u{size}"), mantissa_bits, least, last, sign, *policy, like


_BYTE = np.empty(0, np.uint8)


def _ties(size: int) -> Any:
    x = np.array([464.0, 1.0625, -(2.0**-10), 3 * 2.0**-10, np.inf, np.nan])
    return x.astype(f"f{size}").view(f"u{size}")


register(
    "refq.formats.casting._cast_definition",
    edges=[
        (np.zeros(0, np.uint32), 3, 121, 126, 128, 1, 126, 254, 127, _BYTE),
        (np.zeros(1, np.uint16), 3, 9, 126, 128, 1, 126, 254, 127, _BYTE),
        (_ties(2), 3, 9, 126, 128, 1, 126, 254, 127, _BYTE),
        (_ties(4), 3, 121, 126, 128, 0, 127, 127, 127, _BYTE),
        (_ties(8), 3, 1017, 126, 128, 1, 126, 254, 127, _BYTE),
        (_ties(8), 0, 2047, 6, 8, 1, 6, 14, 0, _BYTE),
    ],
)(_casts)


@st.composite
def _look_ups(draw: st.DrawFn) -> Arguments:
    kind = draw(st.sampled_from(["u1", "u2"]))
    table = np.arange(draw(st.integers(1, 9)), dtype=draw(st.sampled_from(["f4", "f8"]))) / 4 - 1
    codes = draw(st.lists(st.integers(0, table.size - 1), max_size=9))
    return np.array(codes, kind), table


register(
    "refq.formats.casting._look_up_definition",
    edges=[
        (np.zeros(0, np.uint8), np.ones(1, np.float32)),
        (np.array([1, 0], np.uint8), np.array([-0.0, np.nan], np.float32)),
        (np.array([65535], np.uint16), np.arange(65536.0)),
    ],
)(_look_ups)
