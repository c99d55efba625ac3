"""The laws of competitive learning: where a step moves codewords (more of L3).

References
----------
.. [1] T. Kohonen, "The Self-Organizing Map", Proceedings of the IEEE 78(9), 1990.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..subjects import MethodSubject
from .registry import LawViolation, law

__all__ = ["nearest_leads", "steps_on_the_line"]

Floats = NDArray[np.float64]

#: examples that are tried; each costs a step
N_EXAMPLES = 12


def _takes_steps(subject: MethodSubject) -> bool:
    return hasattr(subject.fitted, "codebook_") and hasattr(subject.fitted, "step")


def _steps(subject: MethodSubject) -> list[tuple[Floats, Floats, Any, Floats]]:
    """Return codewords, example, its label (None without classes) and the codewords after."""
    fitted: Any = subject.fitted
    book = fitted.codebook_.astype(np.float64)
    X = subject.W.reshape(-1, book.shape[1])
    labels = subject.needed.get("y")
    found = []
    for i in np.linspace(0, len(X) - 1, min(len(X), N_EXAMPLES)).astype(int):
        label = None if labels is None else labels[i]
        found.append((book, X[i].astype(np.float64), label, fitted.step(X[i], label)))
    return found


def _shares(book: Floats, x: Floats, after: Floats) -> tuple[Floats, Floats, Floats]:
    """Return each codeword's share of its way, what lies off the line, and both one's tolerance.

    A step has three roundings, of a difference, a product and a sum: 2^-51 of what they add. The
    projection on the way passes it on, times the root of d at most.
    """
    way, change = x - book, after - book
    size = np.abs(way).max(axis=1, keepdims=True)
    unit = np.where(size > 0, size, 1.0)
    w, c = way / unit, change / unit
    square = (w * w).sum(axis=1)
    shares = (w * c).sum(axis=1) / np.where(square > 0, square, 1.0)
    off = np.abs(c - shares[:, None] * w).max(axis=1)
    largest = (np.abs(book) + np.abs(x)).max(axis=1) + 2.0**-1000
    with np.errstate(over="ignore"):  # a way of a few subnormals tells nothing
        slack = 2.0**-48 * np.sqrt(book.shape[1]) * (largest / unit[:, 0])
    return shares, off, slack


@law(
    "L3 steps",
    sentence=(
        "A step of competitive learning moves codewords on the line to the example, never past it: "
        "those of its class towards it, those of other classes away from it."
    ),
    source="Kohonen, Proc. IEEE 78(9), 1990; Sato and Yamada, NIPS 8, 1995",
    applies_to="method",
    applies=_takes_steps,
)
def steps_on_the_line(subject: MethodSubject) -> None:
    """Make single steps from the learned codewords; a method without classes owns all of them."""
    for book, x, label, after in _steps(subject):
        names: Any = getattr(subject.fitted, "codebook_labels_", None)
        own = np.ones(len(book), bool) if names is None else names == label
        shares, off, slack = _shares(book, x, after)
        low, high = np.where(own, 0.0, -1.0), np.where(own, 1.0, 0.0)
        bad = (shares < low - slack) | (shares > high + slack) | (off > slack)
        if bad.any():
            k = int(np.argmax(bad))
            raise LawViolation(
                f"{subject!r}, codeword {k}, {'of' if own[k] else 'not of'} the example's class",
                f"a share of its way in [{low[k]:.0f}, {high[k]:.0f}]",
                f"{shares[k]!r}, off the line by {off[k]!r}",
            )


def _has_no_classes(subject: MethodSubject) -> bool:
    return _takes_steps(subject) and "y" not in type(subject.method).needs


@law(
    "L3 winner",
    sentence=(
        "Without classes, the codeword nearest to the example moves, and no other one by a larger "
        "share of its way."
    ),
    source="Kohonen, Biological Cybernetics 43, 1982; Martinetz et al., IEEE TNN 4(4), 1993",
    applies_to="method",
    applies=_has_no_classes,
)
def nearest_leads(subject: MethodSubject) -> None:
    """Compare shares, where the nearest codeword has a way to go that rounding does not blur.

    A squared distance is computed within a factor ``1 + (d + 3) 2^-52``; who is that near may lead.
    """
    for book, x, _, after in _steps(subject):
        squares = ((x - book) ** 2).sum(axis=1)
        tied = squares <= squares.min() * (1 + 2.0**-40) + 2.0**-1000
        shares, _, slack = _shares(book, x, after)
        lead, blur = shares[tied].max(), slack[tied].max()
        if squares.min() == 0 or blur > 2.0**-10:
            continue
        if not (lead > blur and (shares <= lead + slack + blur).all()):
            raise LawViolation(
                f"{subject!r}, x = {x.tolist()}",
                f"codeword {int(np.argmax(tied))} moves most, by more than nothing",
                f"shares {shares.tolist()}",
            )
