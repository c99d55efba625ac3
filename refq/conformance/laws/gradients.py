"""The law of gradients: the pullback equals central differences (L10).

Equation
--------
L10 compares ``<grad, d decode / d leaf>`` with the slope of ``t -> <grad, decode(leaf + t d)>``.
Decoding is a polynomial in each leaf (of degree one, or more where a leaf is shared), so a central
stencil of seven points [1]_ has no truncation error up to degree six, whatever its step.

References
----------
.. [1] B. Fornberg, "Generation of finite difference formulas on arbitrarily spaced grids",
   Math. Comp. 51, 1988.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ...encodings import Encoding
from .comparison import need
from .registry import law

__all__ = ["pullback_slopes"]

_STENCIL = {1: 45.0, 2: -9.0, 3: 1.0}  #: over 60: seven points, exact up to degree six


def _trainable(encoding: Encoding) -> bool:
    return bool(encoding.float_leaves()) and encoding.dtype.kind == "f" and encoding.size > 0


@law(
    "L10 pullback",
    sentence="The gradient through decode equals central differences, leaf by leaf.",
    source="`refq.encodings.Encoding.pullback`; Han et al., arXiv:1510.00149, section 3.3",
    applies_to="encoding",
    applies=_trainable,
)
def pullback_slopes(encoding: Encoding) -> None:
    """Compare the pullback with the stencil along one drawn direction per leaf.

    Leaves are rewritten in float64 first, so no storage format disturbs. The stencil's error is
    rounding only, a few eps of the summed magnitudes; 2^-30 of them leaves 2^22 for cancellation
    inside products, and the mistakes that matter are of the order of the gradient itself.
    """
    values = {path: leaf.decode() for path, leaf in encoding.float_leaves().items()}
    if not all(
        np.isfinite(v).all() and np.abs(v).max(initial=0.0) < 2.0**40 for v in values.values()
    ):
        return  # foreign scales decode, but have no slopes
    real = encoding.replace_leaves(
        {path: v.astype(np.float64) for path, v in values.items()}, format="float64"
    )
    rng = np.random.default_rng(len(values))
    grad = rng.standard_normal(real.shape)
    pulled = real.pullback(grad)
    given = f"{encoding!r}, leaves {', '.join(values)}"
    need(set(pulled) == set(values), given, f"gradients of {sorted(values)}", f"{sorted(pulled)}")
    for path, value in values.items():
        direction = rng.standard_normal(value.shape)
        need(
            pulled[path].shape == value.shape,
            f"{given}; {path}",
            f"shape {value.shape}",
            f"{pulled[path].shape}",
        )
        got = float(np.sum(pulled[path] * direction))
        base = value.astype(np.float64)
        slope, size = _slope(
            lambda t, p=path, b=base, d=direction: np.sum(  # type: ignore[misc]
                grad * real.replace_leaves({p: b + t * d}).decode()
            ),
            lambda t, p=path, b=base, d=direction: np.sum(  # type: ignore[misc]
                np.abs(grad * real.replace_leaves({p: b + t * d}).decode())
            ),
            1.0 if not value.size else max(float(np.abs(base).max()), 2.0**-20),
        )
        narrow = any(n.dtype == np.float32 and _moves(n) for n in real.nodes())
        tolerance = (2.0**-10 if narrow else 2.0**-30) * (size + abs(slope))
        need(
            abs(got - slope) <= tolerance,
            f"{given}; along a direction of {path}",
            f"{slope:.12g} within {tolerance:.2g}, by central differences",
            f"{got:.12g}",
        )


def _moves(node: Encoding) -> bool:
    """Return whether a node of arithmetic depends on leaves that training moves."""
    return bool(node.parts()) and bool(node.float_leaves())


def _slope(
    f: Callable[[float], Any], magnitude: Callable[[float], Any], step: float
) -> tuple[float, float]:
    """Return the slope at zero and the sum of magnitudes that it was computed from."""
    total = size = 0.0
    for k, weight in _STENCIL.items():
        total += weight * (float(f(k * step)) - float(f(-k * step))) / (60 * step)
        size += (
            abs(weight) * (float(magnitude(k * step)) + float(magnitude(-k * step))) / (60 * step)
        )
    return total, size
