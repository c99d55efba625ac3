"""The laws of rounding with data: least squares feedback, never worse than nearest (more of L3).

References
----------
.. [1] B. Hassibi, D. G. Stork, "Second Order Derivatives for Network Pruning: Optimal Brain
   Surgeon", NIPS 1992.
"""

from typing import Any

import numpy as np

from ...core.granularity import expand
from ...encodings import ScaledEncoding
from ..subjects import MethodSubject
from .registry import LawViolation, law

__all__ = ["feedback_is_least_squares", "learned_rounding_helps"]

#: of a step: the factor and the sums over columns in float64, for the sizes of the subjects
TOLERANCE = 1e-6


def _feeds_back(subject: MethodSubject) -> bool:
    return hasattr(subject.fitted, "order_") and "damping" in subject.method.parameters


@law(
    "L3 error feedback",
    sentence=(
        "Each code is the nearest to the weight as it stands after the columns still free have "
        "moved to the least squares solution for those already rounded."
    ),
    source="Frantar et al., arXiv:2210.17323, equations 2 and 3; Hassibi and Stork, NIPS 1992",
    applies_to="method",
    applies=_feeds_back,
)
def feedback_is_least_squares(subject: MethodSubject) -> None:
    """Solve the normal equations of the free columns anew for every column."""
    fitted: Any = subject.fitted
    e = subject.encoding
    if not isinstance(e, ScaledEncoding):
        return
    W = subject.given.astype(np.float64).reshape(len(subject.W), -1)
    x = subject.needed["inputs"].astype(np.float64)
    h = x.T @ x
    h[np.diag_indices_from(h)] += fitted.damping * np.trace(h) / len(h)
    scale = np.broadcast_to(expand(e.scale.decode(), e.shape, e.block_shape), e.shape)
    step = np.abs(scale.astype(np.float64)).reshape(W.shape)
    decoded = e.decode().astype(np.float64).reshape(W.shape)
    for place, j in enumerate(fitted.order_):
        done, free = fitted.order_[:place], fitted.order_[place:]
        missed = h[np.ix_(free, done)] @ (W - decoded)[:, done].T
        moved = W[:, j] + np.linalg.solve(h[np.ix_(free, free)], missed)[0]
        rows = np.abs(moved - decoded[:, j]) / step[:, j] > 0.5 + TOLERANCE
        # past the ends of the codes the last one is the nearest
        outward = np.sign(moved - decoded[:, j])
        codes = e.elements.decode().reshape(W.shape)[:, j]
        rows &= ~((outward > 0) & (codes == codes_end(e, 1)))
        rows &= ~((outward < 0) & (codes <= codes_end(e, -1)))
        if rows.any():
            row = int(np.argmax(rows))
            raise LawViolation(
                f"{subject!r}, row {row}, column {j}, number {place + 1} in the order",
                f"the level nearest to {moved[row]:.9g}",
                f"{decoded[row, j]:.9g}, {abs(moved[row] - decoded[row, j]) / step[row, j]:.6f} "
                "steps away",
            )


@law(
    "L3 learned rounding",
    sentence=(
        "On the inputs that it saw, no row of the outputs is farther from the float ones than with "
        "every weight rounded to its nearest code."
    ),
    source="Nagel et al., arXiv:2004.10568, equation 13: the objective",
    applies_to="method",
    applies=lambda subject: hasattr(subject.fitted, "up_"),
)
def learned_rounding_helps(subject: MethodSubject) -> None:
    """Compare with the quantizer's own codes; 1e-9 covers float64 sums of some hundred terms."""
    fitted: Any = subject.fitted
    W = subject.W.astype(np.float64).reshape(len(subject.W), -1)
    x = subject.needed["inputs"].astype(np.float64)
    nearest = fitted.quantizer.clone().fit(subject.W).encode(subject.W).decode()
    ours = fitted.encode(subject.W).decode()
    errors = [np.sum((x @ (W - q.reshape(W.shape)).T) ** 2, axis=0) for q in (ours, nearest)]
    # decoded levels are rounded to float32, which moves a difference by 2^-24 of its level
    room = 2.0**-20 * np.sum((x @ np.abs(W).T) ** 2, axis=0) + 1e-9 * errors[1]
    worse = errors[0] > errors[1] + room
    if worse.any():
        row = int(np.argmax(worse))
        raise LawViolation(
            f"{subject!r}, row {row}",
            f"a squared error of at most {errors[1][row]:.9g}",
            f"{errors[0][row]:.9g}",
        )


def codes_end(encoding: ScaledEncoding, side: int) -> int:
    """Return the outermost code: from the format, one less below for restricted codes.

    Parameters
    ----------
    encoding : ScaledEncoding
        Of integer elements.
    side : {1, -1}
        Above or below.

    Returns
    -------
    int
        The code.

    Examples
    --------
    >>> from ...encodings import dense
    >>> e = ScaledEncoding(dense([[3, -1]], "int4"), dense([[0.5]], "float16"), (1, 2))
    >>> codes_end(e, 1), codes_end(e, -1)
    (7, -7)
    """
    from ... import formats

    form: Any = formats.get(getattr(encoding.elements, "format", "int8"))
    if side > 0:
        return int(form.high)
    return int(form.low) + (encoding.zero_point is None and form.low < 0)
