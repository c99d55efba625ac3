"""Rounding exact real numbers to integers, fast: an estimate, and exact work where it is close.

Problem
-------
Codes of another scale are sums of integers times rational numbers, or a sigmoid of one; a float
estimate decides nearly all of them, but not those beside a tie.

Equation
--------
``round(sum_t n_t M_t)`` with integers n_t and rational M_t, rounded once.

Conventions
-----------
An estimate `e` with a known error `m` decides where no tie is within `m` of it. The others are
settled exactly, each distinct one once. Results are clipped to `WIDE`. Tier T1.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .fixed_point import divide_and_round
from .quantize_rule import WIDE
from .rounding import saturate

__all__ = ["round_combination", "round_estimate"]

Term = tuple[NDArray[Any], NDArray[Any]]


def round_estimate(
    estimate: NDArray[np.float64],
    margin: NDArray[np.float64],
    settle: Callable[[NDArray[np.bool_]], NDArray[np.int64]],
) -> NDArray[np.int64]:
    """Round an estimate to nearest where it decides; ask `settle` for the rest.

    Parameters
    ----------
    estimate : ndarray of float64
        Infinities saturate.
    margin : ndarray of float64, of the estimate's shape
        How far the exact number may be from the estimate.
    settle : callable
        Takes the mask of what is too close to a tie, returns exact integers for it, in order.

    Returns
    -------
    ndarray of int64
        Clipped to plus or minus `refq.core.quantize_rule.WIDE`.

    Notes
    -----
    An estimate beyond `WIDE` is clipped: no code is that large. Tier T1.

    Examples
    --------
    >>> tie = np.array([0.2, 2.5])
    >>> round_estimate(tie, np.array([1e-9, 1e-9]), lambda near: np.array([3]))
    array([0, 3])
    """
    inside = np.abs(estimate) < WIDE
    level = np.where(inside, estimate, 0.0)
    near = inside & (np.abs(level - np.floor(level) - 0.5) <= margin)
    codes = saturate(np.rint(estimate), -WIDE, WIDE, np.int64)
    if near.any():
        codes[near] = np.clip(settle(near), -WIDE, WIDE)
    return codes


def round_combination(terms: Sequence[Term], rounding: str = "half_even") -> NDArray[np.int64]:
    """Return ``round(sum of integers * factors)`` of exact rational factors, rounded once.

    Parameters
    ----------
    terms : sequence of (ndarray of integers, ndarray of Fraction)
        Integers of at most 64 bits; a factor's array broadcasts against them.
    rounding : {"half_even", "half_away", "half_up"}
        Where a tie goes.

    Returns
    -------
    ndarray of int64
        Of the shape that all integers and factors broadcast to; clipped to plus or minus
        `refq.core.quantize_rule.WIDE`.

    Notes
    -----
    The estimate is ``e = fl(sum fl(fl(n) fl(M)))``. Each product is within ``(1 + u)^3`` of the
    exact one, ``u = 2^-53``, and T - 1 additions add as many factors, so that
    ``|e - exact| <= 1.01 (T + 2) u sum |n M|``: below the margin ``(T + 2) 2^-52 (sum |fl| + 1)``.
    Factors that float64 could not hold with full precision are settled exactly. Tier T1.

    Examples
    --------
    >>> third, half = (np.array(Fraction(1, n), dtype=object) for n in (3, 2))
    >>> round_combination([(np.array([1, 3, 4]), third), (np.array([1, 3, 0]), half)])
    array([1, 2, 1])
    """
    shape = np.broadcast_shapes(*(part.shape for term in terms for part in term))
    estimate, size = np.zeros(shape), np.zeros(shape)
    fits = all(_fits_float64(factor) for _, factor in terms)
    for integers, factor in terms if fits else ():
        product = integers.astype(np.float64) * factor.astype(np.float64)
        estimate, size = estimate + product, size + np.abs(product)
    margin = (size + 1) * ((len(terms) + 2) * 2.0**-52)
    if not fits:
        margin = np.full(shape, np.inf)
    return round_estimate(estimate, margin, lambda near: _settle(terms, near, rounding))


def _fits_float64(factor: NDArray[Any]) -> bool:
    """Return whether no factor comes near float64's subnormals or its overflow."""
    sizes = [f.numerator.bit_length() - f.denominator.bit_length() for f in factor.ravel().tolist()]
    return all(-900 < size < 900 for size in sizes)


def _settle(terms: Sequence[Term], near: NDArray[np.bool_], rounding: str) -> NDArray[np.int64]:
    """Round the sums at `near` in Python integers, each distinct one once."""
    rows, tables = [], []
    for integers, factor in terms:
        which = np.arange(factor.size).reshape(factor.shape)
        rows.append(np.broadcast_to(integers, near.shape)[near].astype(np.int64))
        rows.append(np.broadcast_to(which, near.shape)[near])
        tables.append(factor.ravel().tolist())
    distinct, back = np.unique(np.stack(rows), axis=1, return_inverse=True)
    sums = [
        sum((int(n) * t[int(i)] for n, i, t in zip(c[::2], c[1::2], tables, strict=True)), _ZERO)
        for c in distinct.T
    ]
    top, bottom = np.empty(len(sums), object), np.empty(len(sums), object)
    top[:], bottom[:] = [s.numerator for s in sums], [s.denominator for s in sums]
    rounded = np.clip(divide_and_round(top, bottom, rounding), -WIDE, WIDE)
    return np.asarray(rounded.astype(np.int64)[back.ravel()])


_ZERO = Fraction(0)
