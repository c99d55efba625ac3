"""The laws of binary and ternary codes: the best scale is known, a draw has the right mean (L3).

References
----------
.. [1] M. Rastegari et al., "XNOR-Net: ImageNet Classification Using Binary Convolutional Neural
   Networks", ECCV 2016, arXiv:1603.05279.
.. [2] M. Courbariaux, Y. Bengio, J.-P. David, "BinaryConnect", NeurIPS 2015, arXiv:1511.00363.
"""

from typing import cast

import numpy as np
from numpy.typing import NDArray

from ...core.granularity import blocks_of
from ...encodings import Cast
from ...scalar.binary import BinaryQuantizer
from ...scalar.ternary import TernaryQuantizer
from ..subjects import MethodSubject
from .registry import LawViolation, law

__all__ = ["draws_are_unbiased", "no_scale_is_better"]

Floats = NDArray[np.float64]

DRAWS = 100  #: encodings that are drawn


def _is_optimal(subject: MethodSubject) -> bool:
    method = subject.method
    if isinstance(method, BinaryQuantizer):
        return method.rounding == "deterministic" and method.scale == "mean"
    return isinstance(method, TernaryQuantizer) and method.threshold == "optimal"


def _least(x: Floats, is_binary: bool) -> float:
    """Return the least squared error: over the numbers kept, sorted by magnitude."""
    ordered = np.sort(np.abs(x))[::-1]
    kept = [x.size] if is_binary else range(x.size + 1)
    errors = []
    for m in kept:
        alpha = float(np.mean(ordered[:m])) if m else 0.0
        errors.append(float(np.sum((ordered[:m] - alpha) ** 2) + np.sum(ordered[m:] ** 2)))
    return min(errors)


@law(
    "L3 optimal scale",
    sentence="No other codes and no other scale of a block have less squared error.",
    source="Rastegari et al., arXiv:1603.05279; the sweep of `refq.scalar.ternary`",
    applies_to="method",
    applies=_is_optimal,
)
def no_scale_is_better(subject: MethodSubject) -> None:
    """Scales in float64; the least error over every number of kept magnitudes, block by block.

    Both are float64 sums of n squares, right to a relative n 2^-51. A scale that is off by n units
    in the last place adds n times its square.
    """
    method = subject.method.clone().set_params(scale_method=Cast("float64"))
    method.fit(subject.W, **subject.needed)
    W, y = subject.W.astype(np.float64), method.encode(subject.W).decode().astype(np.float64)
    granularity = cast("BinaryQuantizer | TernaryQuantizer", method).granularity
    for block in blocks_of(W.shape, granularity.block_shape(W.shape)):
        x = W[block].reshape(-1)
        got = float(np.sum((x - y[block].reshape(-1)) ** 2))
        least = _least(x, isinstance(method, BinaryQuantizer))
        off = x.size * 2.0**-52 * float(np.max(np.abs(x)))
        if not got <= least * (1 + 2.0**-30) + x.size * off**2:
            raise LawViolation(
                f"{subject!r}, scales in float64, block {block}",
                f"a squared error of {least!r}, the least",
                f"{got!r}",
            )


def _draws(subject: MethodSubject) -> bool:
    method = subject.method
    return isinstance(method, BinaryQuantizer) and method.rounding == "stochastic"


@law(
    "L3 unbiased draw",
    sentence="A stochastic binary code has the mean clip(x, -alpha, alpha).",
    source="Courbariaux et al., arXiv:1511.00363: the probability is a hard sigmoid",
    applies_to="method",
    applies=_draws,
)
def draws_are_unbiased(subject: MethodSubject) -> None:
    """Draw 100 codes by seed and sum the squared deviations of the means, over their variances.

    For n numbers that sum has the mean n and a variance of about 2 n, at most n (2 + 1 / p) / 100
    more for probabilities p of the rarer sign; numbers with p below 0.02 are left out, and are
    judged by their mean alone elsewhere. Ten standard deviations are allowed.
    """
    method = cast(BinaryQuantizer, subject.method.clone())
    W = subject.W.astype(np.float64)
    total = np.zeros(W.shape)
    for seed in range(DRAWS):
        fitted = method.set_params(random_state=seed).fit(subject.W, **subject.needed)
        total += fitted.encode(subject.W).decode()
    alpha = np.abs(fitted.encode(subject.W).decode().astype(np.float64))
    want = np.clip(W, -alpha, alpha)
    rarer = (1 - np.abs(want) / alpha) / 2
    judged = rarer >= 0.02
    deviation = (total / DRAWS - want)[judged] ** 2
    chi = float(np.sum(deviation / ((alpha**2 - want**2)[judged] / DRAWS)))
    n = int(judged.sum())
    limit = n + 10 * (n * (2 + 0.52)) ** 0.5
    if chi > limit:
        raise LawViolation(
            f"{subject!r}, {DRAWS} seeds, {n} numbers",
            f"a sum of squared deviations below {limit:.0f}",
            f"{chi:.0f}",
        )
