"""Mistakes in formats: L2 values come back, L3 nearest value, L3 on their side."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...core.rounding import saturate
from ...formats import Integer, LevelTable, Minifloat, get
from ...formats.small_floats import SmallFloat
from .registry import plant

__all__: list[str] = []


def _small_floats() -> list[Any]:
    return [Minifloat(4, 3, 7, False, "all_ones", True), Minifloat(2, 1, 1, False, "none", True)]


def _tables() -> list[Any]:
    return [LevelTable((1.0, -1.0, 0.0, 4.0)), LevelTable(tuple(get("nf4").values.tolist()))]


def _integers() -> list[Any]:
    return [Integer(4), Integer(8, False)]


def _every_step_up(
    self: SmallFloat,
    x: ArrayLike,
    rounding: Any = "half_even",
    overflow: str = "saturate",
    nan: str = "error",
) -> NDArray[Any]:
    if rounding == "ceil":
        spread = np.asarray(x, np.float64) * (1 + 2.0**-40)
        return _encode_small(self, spread, rounding, overflow, nan)
    return _encode_small(self, x, rounding, overflow, nan)


def _through_float32(
    self: SmallFloat,
    x: ArrayLike,
    rounding: Any = "half_even",
    overflow: str = "saturate",
    nan: str = "error",
) -> NDArray[Any]:
    return _encode_small(self, np.asarray(x, np.float32), rounding, overflow, nan)


def _by_float32_midpoints(
    self: LevelTable,
    x: ArrayLike,
    rounding: Any = "half_even",
    overflow: str = "saturate",
    nan: str = "error",
) -> NDArray[Any]:
    v = np.array(sorted(self.levels), np.float32)
    rank = np.searchsorted((v[:-1] + v[1:]) / np.float32(2), np.asarray(x, np.float64))
    return np.argsort(self.levels)[rank].astype(self.dtype)


def _rank_for_code(self: LevelTable, x: ArrayLike, *policies: Any) -> NDArray[Any]:
    codes = _encode_table(self, x, *policies)
    return np.argsort(np.argsort(self.levels))[codes].astype(self.dtype)


def _truncated(
    self: Integer,
    x: ArrayLike,
    rounding: Any = "half_even",
    overflow: str = "saturate",
    nan: str = "error",
) -> NDArray[Any]:
    if rounding == "floor":
        return np.asarray(saturate(np.trunc(np.asarray(x)), self.low, self.high, self.dtype))
    return _encode_integer(self, x, rounding, overflow, nan)


_encode_small = SmallFloat.encode
_encode_table = LevelTable.encode
_encode_integer = Integer.encode

plant(
    "place instead of code",
    "L2 values come back",
    "A table in another order than ascending gives the place of the level instead of its code.",
    LevelTable,
    "encode",
    _rank_for_code,
    _tables,
)
plant(
    "a value rounded up",
    "L2 values come back",
    "A number is nudged before it is rounded up, so that a value goes to the next one.",
    SmallFloat,
    "encode",
    _every_step_up,
    _small_floats,
)
plant(
    "through float32",
    "L3 nearest value",
    "A float64 number is rounded to float32 first, and a near tie becomes a tie.",
    SmallFloat,
    "encode",
    _through_float32,
    _small_floats,
)
plant(
    "midpoints in float32",
    "L3 nearest value",
    "The midpoint of two levels is rounded to float32.",
    LevelTable,
    "encode",
    _by_float32_midpoints,
    _tables,
)
plant(
    "floor truncates",
    "L3 on their side",
    "floor drops the fraction of negative numbers too.",
    Integer,
    "encode",
    _truncated,
    _integers,
)
