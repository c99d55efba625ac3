"""Mistakes in ranges and in codes of few levels: more of L3."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...scalar import clipping, ternary
from ...scalar.binary import block_means, hard_sigmoid
from ...scalar.clipping import MeanSquaredErrorRange
from ...scalar.observers import FixedRange, HistogramObserver, MinMaxObserver
from ...scalar.ranges import MinMaxRange
from ...scalar.ternary import heuristic_ternary
from ..subjects import MethodSubject, method_examples, plain_array
from .registry import plant, plant_function

__all__: list[str] = []


def _named(name: str) -> list[Any]:
    skewed = plain_array()
    skewed[0, 0] = 9.0
    return [MethodSubject.of(m, skewed) for n, m in method_examples() if n.startswith(name + "-")]


def _affine() -> list[Any]:
    return _named("AffineQuantizer")


def _last_batch(self: MinMaxObserver, x: NDArray[Any]) -> None:
    self.low, self.high = float(x.min()), float(x.max())


def _counts_kept(self: HistogramObserver, width: float) -> None:
    self.width = max(self.width, width)


_BATCHES = "L3 batches"
plant(
    "last batch only",
    _BATCHES,
    "The extremes are overwritten instead of compared.",
    MinMaxObserver,
    "_update",
    _last_batch,
    _affine,
)
plant(
    "bins not merged",
    _BATCHES,
    "The bins grow wider, and the counts stay where they were.",
    HistogramObserver,
    "_widen",
    _counts_kept,
    _affine,
)


def _own_extremes(self: FixedRange, sample: Any, bits: int, scheme: str) -> tuple[float, float]:
    return MinMaxRange().find(sample, bits, scheme)


plant(
    "range of each array",
    "L3 one range",
    "The common range is forgotten, every array brings its own.",
    FixedRange,
    "find",
    _own_extremes,
    _affine,
)


def _tight(self: MeanSquaredErrorRange, sample: Any, bits: int, scheme: str) -> tuple[float, float]:
    low, high = MinMaxRange().find(sample, bits, scheme)
    return low / 20, high / 20  # the granular error alone has its least there


plant(
    "overload forgotten",
    "L3 least-squares range",
    "Only the granular error is minimized.",
    MeanSquaredErrorRange,
    "find",
    _tight,
    _affine,
)


_honest_divergence = clipping._divergence


def _without_outliers(counts: NDArray[Any], kept: int, levels: int) -> float:
    return _honest_divergence(counts[:kept], kept, levels)


plant(
    "outliers left out",
    "L3 entropy range",
    "What is clipped is not added to the last bin: the tightest range always looks best.",
    clipping,
    "_divergence",
    _without_outliers,
    _affine,
)


def _few_levels() -> list[Any]:
    return _named("BinaryQuantizer") + _named("TernaryQuantizer")


def _signed_mean(x: NDArray[Any], block_shape: tuple[int, ...]) -> NDArray[np.float64]:
    root: NDArray[np.float64] = np.sqrt(_honest_means(x * x, block_shape))
    return root


_honest_means = block_means
_SCALE = "L3 optimal scale"
plant_function(
    "root mean square as scale",
    _SCALE,
    "The scale keeps the energy instead of the mean magnitude.",
    block_means,
    _signed_mean,
    _few_levels,
)


def _by_formula(magnitudes: NDArray[np.float64]) -> tuple[float, float]:
    return heuristic_ternary(magnitudes)


def _optimal_rules() -> dict[str, Any]:
    return {"optimal": _by_formula, "heuristic": heuristic_ternary}


plant(
    "0.7 of the mean",
    _SCALE,
    "The heuristic threshold is called optimal.",
    ternary,
    "RULES",
    _optimal_rules(),
    _few_levels,
)


def _binary() -> list[Any]:
    examples = [m for n, m in method_examples() if n.startswith("BinaryQuantizer-")]
    return [MethodSubject.of(m, plain_array()) for m in examples]


def _logistic(x: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(1 / (1 + np.exp(-x)))


plant_function(
    "logistic sigmoid",
    "L3 unbiased draw",
    "The probability is a soft sigmoid: the mean is tanh(x / 2).",
    hard_sigmoid,
    _logistic,
    _binary,
)
