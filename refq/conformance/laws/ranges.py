"""The laws of ranges: batches, one threshold for several arrays, least error and divergence (L3).

Conventions
-----------
A method is judged if it has a ``range_method``. The laws put their own range methods there, so that
every such method is judged by all of them.

References
----------
.. [1] H. Wu et al., "Integer Quantization for Deep Learning Inference: Principles and Empirical
   Evaluation", 2020, arXiv:2004.09602.
.. [2] S. Migacz, "8-bit Inference with TensorRT", GTC 2017 (S7310).
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...encodings import Cast, Method
from ...scalar.clipping import EntropyRange, MeanSquaredErrorRange
from ...scalar.observers import (
    HistogramObserver,
    MinMaxObserver,
    RangeObserver,
    SampleObserver,
    global_range,
)
from ...scalar.ranges import MinMaxRange, PercentileRange
from ..subjects import MethodSubject
from .registry import LawViolation, law

__all__ = [
    "batches_are_one_sample",
    "entropy_not_above_min_max",
    "least_squares_is_least",
    "one_range_for_all",
]


def _has_range(subject: MethodSubject) -> bool:
    params = subject.method.get_params(deep=False)
    return "range_method" in params and subject.W.size > 0


def _known(observer: RangeObserver, scheme: str) -> str:
    counts = getattr(observer, "counts", np.zeros(0))
    width = getattr(observer, "width", 0.0)
    held = {int(i): int(n) for i, n in enumerate(counts) if n}
    low, high = observer.range_of(8, scheme)  # of equal zeros either sign may come first
    return f"{(low + 0.0, high + 0.0)}, width {width}, counts {held}"


@law(
    "L3 batches",
    sentence="Extremes, histograms and kept samples are the same for any cut into batches.",
    source="`refq.scalar.observers`: minimum and maximum are associative, bins merge in pairs",
    applies_to="method",
    applies=_has_range,
)
def batches_are_one_sample(subject: MethodSubject) -> None:
    """Feed the array whole, and in seven batches, the widest in the middle."""
    flat = subject.W.reshape(-1)
    cuts = np.array_split(flat, min(7, flat.size))
    batches = sorted(cuts, key=lambda batch: float(np.max(np.abs(batch))))
    batches = [*batches[::2], *batches[1::2][::-1]]
    whole: list[RangeObserver] = [
        MinMaxObserver(),
        HistogramObserver(16, 90.0),
        SampleObserver(PercentileRange(90.0)),
    ]
    parts: list[RangeObserver] = [
        MinMaxObserver(),
        HistogramObserver(16, 90.0),
        SampleObserver(PercentileRange(90.0)),
    ]
    for one, many in zip(whole, parts, strict=True):
        one.update(flat)
        for batch in batches:
            many.update(batch)
        for scheme in ("symmetric", "asymmetric"):
            expected, got = _known(one, scheme), _known(many, scheme)
            if expected != got:
                name = type(one).__name__
                raise LawViolation(f"{subject!r}, {name}, in batches", expected, got)


@law(
    "L3 one range",
    sentence="A range found over several arrays gives all of them the same scale.",
    source="`refq.scalar.global_range`; TVM's global_scale is one constant for all layers",
    applies_to="method",
    applies=_has_range,
)
def one_range_for_all(subject: MethodSubject) -> None:
    """Fit the method to the array and to a third of it, under their common range."""
    arrays = [subject.W, subject.W / np.float32(3)]
    bits, scheme = vars(subject.method)["bits"], vars(subject.method)["scheme"]
    shared = global_range(arrays, MinMaxRange(), bits, scheme)
    scales: set[float] = set()
    for a in arrays:
        fitted = subject.method.clone().set_params(range_method=shared)
        fitted.fit(a, **subject.needed)
        scales.update(np.unique(vars(fitted)["scale_"]).tolist())
    if len(scales) != 1:
        raise LawViolation(f"{subject!r}, {shared!r}", "one scale", f"{sorted(scales)[:4]}")


def _error(method: Method, W: NDArray[Any]) -> float:
    decoded = method.encode(W).decode().astype(np.float64)
    return float(np.sum((W.astype(np.float64) - decoded) ** 2))


@law(
    "L3 least-squares range",
    sentence="No clipping of the min-max range has less squared error than the searched range.",
    source="`refq.scalar.clipping`: the sweep visits every parabola of the envelope",
    applies_to="method",
    applies=_has_range,
)
def least_squares_is_least(subject: MethodSubject) -> None:
    """Compare with min-max times 1/20, 2/20, ..., 1, scales in float64, as one block.

    Each error is a float64 sum of squares, right to a relative n 2^-50; products of codes and
    scales are rounded, which adds a relative 2^-52 of every number to its error.
    """
    from ...core.granularity import PerTensor

    W = subject.W.astype(np.float64)
    free = subject.method.clone().set_params(granularity=PerTensor(), scale_method=Cast("float64"))
    method = free.clone().set_params(range_method=MeanSquaredErrorRange()).fit(W, **subject.needed)
    found = _error(method, W)
    low, high = float(W.min()), float(W.max())
    rounding = W.size * (2.0**-50 * float(np.max(np.abs(W)))) ** 2
    for i in range(1, 21):
        clipped = global_range([[low * i / 20, high * i / 20]])
        rival = free.clone().set_params(range_method=clipped).fit(W, **subject.needed)
        error = _error(rival, W)
        if not found <= error * (1 + 2.0**-20) + rounding:
            raise LawViolation(
                f"{subject!r}, least squares against {clipped!r}",
                f"a squared error of at most {error!r}",
                f"{found!r}",
            )


def _kl(counts: list[int], kept: int, levels: int) -> float:
    """Return KL(P || Q): P clips, Q spreads each level's counts over its bins that are not empty.

    Written from the slides of [2]_ with loops, apart from the library's own.
    """
    P = [float(c) for c in counts[:kept]]
    P[-1] += sum(counts[kept:])
    Q = [0.0] * kept
    for level in range(levels):
        bins = [i for i in range(kept) if i * levels // kept == level and counts[i]]
        for i in bins:
            Q[i] = sum(counts[j] for j in bins) / len(bins)
    if any(p and not q for p, q in zip(P, Q, strict=True)):
        return math.inf
    total, spread = math.fsum(P), math.fsum(Q)
    pairs = zip(P, Q, strict=True)
    return math.fsum(p / total * math.log(p * spread / (q * total)) for p, q in pairs if p)


@law(
    "L3 entropy range",
    sentence=(
        "On the same histogram the range of least divergence is never farther from its levels, by "
        "Kullback and Leibler, than the min-max range."
    ),
    source="Migacz, GTC 2017 (S7310); `refq.scalar.clipping`: all bins are a candidate",
    applies_to="method",
    applies=_has_range,
)
def entropy_not_above_min_max(subject: MethodSubject) -> None:
    """Find the kept bins of 64 at four bits, and measure both divergences anew.

    A divergence is a sum of at most 64 terms of at most 64 log 64 in size, each right to a relative
    2^-50: their errors together stay below 2^-34.
    """
    x = np.abs(subject.W.reshape(-1).astype(np.float64))
    top = float(x.max())
    if top == 0:
        return
    exponent = int(np.frexp(top)[1])  # as the method does: bins of subnormals keep their width
    unit, end = np.ldexp(x, -exponent), float(np.ldexp(top, -exponent))
    counts = [int(c) for c in np.histogram(unit, 64, (0.0, end))[0]]
    t = EntropyRange(64).find(subject.W, 4, "symmetric")[1]
    kept = 64 if t == top else round(float(np.ldexp(t, -exponent)) / end * 64 - 0.5)
    found, widest = _kl(counts, kept, 8), _kl(counts, 64, 8)
    if not found <= widest + 2.0**-34:
        raise LawViolation(
            f"{subject!r}, 64 bins of |x|, 8 levels, {kept} bins kept",
            f"a divergence of at most {widest!r}, that of all bins",
            f"{found!r}",
        )
