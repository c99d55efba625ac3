"""The best partition of sorted numbers into k cells: exact k-means on a line.

Problem
-------
Lloyd's iteration stops at a local optimum. On a line the optimum itself can be found: the cells of
an optimal clustering are intervals of the sorted numbers, so dynamic programming over their borders
sees every candidate. Done plainly it takes ``O(k n^2)`` time.

Equation
--------
The cell of the points i..j-1, of weights w, costs ``c(i, j) = min_m sum w (x - m)^2``, attained at
their mean. Find borders ``0 = b_0 < b_1 < ... < b_k = n`` that minimize ``sum c(b_t, b_(t+1))``.

*Monge.* ``c(a, c) + c(b, d) <= c(a, d) + c(b, c)`` for ``a <= b <= c <= d`` [1]_. So the least cost
C_k of k cells is convex in k, and a later border that is the better predecessor once stays it.

*Penalty* [3]_. A price p for every cell makes the number of cells free: ``min_k C_k + p k``. By
convexity every k is the answer for some p. One pass costs O(n log n): a queue holds the candidates
for the predecessor, each with the first place from which it is the best, found by doubling steps
and bisection.

*Exact k.* The search over p looks at every g-th border first, then at all. It ends when a pass
gives k cells. Where C is linear around k, passes may only give ``k_1 < k < k_2``. Then the t-th
border of some optimal partition into k cells lies in ::

    max(A_(t - (k - k_1)), B_t) <= b_t <= min(A_t, B_(t + k_2 - k))

(exchange the paths where they cross), A and B being those of k_1 and k_2 cells. At the price
``(C_(k_1) - C_(k_2)) / (k_2 - k_1)`` both are equally good; if nothing is better there, no C_k
between lies below the straight line, and the exchange of A and B at one crossing, which has k cells
[3]_, lies on it. Should that fail by rounding, a layered program inside the limits, its rows halved
by divide and conquer, finishes.

Conventions
-----------
Sums are pairs of float64, *double-doubles*: their sum and product err by a few 2^-104 [2]_. Prefix
sums are taken relative to the middle number, exactly, so ``c = E - m (2 D - m W)``, with ``m =
fl(D / W)``, is off by about ``n 2^-102`` of the *whole* sum of squares, and then rounded once. The
costs along a path are added in float64 and the number of cells is counted apart, so the penalty
brings no rounding of its own: the partition costs at most ``1 + (4 k + 8) 2^-53`` times the
optimum, to first order, and ``k n 2^-102`` of the whole sum of squares more.

References
----------
.. [1] A. Grønlund et al., "Fast Exact k-Means, k-Medians and Bregman Divergence Clustering in 1D",
   arXiv:1701.07204, 2017.
.. [2] T. J. Dekker, "A Floating-Point Technique for Extending the Available Precision", Numerische
   Mathematik 18, 1971.
.. [3] A. Aggarwal, B. Schieber, T. Tokuyama, "Finding a Minimum-Weight k-Link Path in Graphs with
   the Concave Monge Property and Applications", Discrete and Computational Geometry 12, 1994.
.. [4] X. Wu, "Optimal Quantization by Matrix Searching", Journal of Algorithms 12, 1991.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import check_float_array, check_integer, shown
from ..core.errors import RangeError, ShapeError
from ..core.twins import kernel, subroutine

__all__ = ["optimal_borders"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

COARSE = 2048  #: the first search sees about so many borders, or eight for every cell; then 64
MANY = 60  #: passes at most: what is left open then is finished inside limits
ENOUGH = 5  #: after so many passes the price is taken at which the two nearest partitions tie
LIGHT = 2.0**-900  #: a weight below this part of the largest one counts as this


@subroutine
def _two_sum(a: Any, b: Any) -> Any:
    """Return a + b, rounded, and what was rounded away."""
    s = a + b
    part = s - a
    return s, (a - (s - part)) + (b - part)


@subroutine
def _two_product(a: Any, b: Any) -> Any:
    """Return a b, rounded, and what was rounded away."""
    p = a * b
    t = a * 134217729.0
    a1 = t - (t - a)
    a2 = a - a1
    t = b * 134217729.0
    b1 = t - (t - b)
    b2 = b - b1
    return p, ((a1 * b1 - p) + a1 * b2 + a2 * b1) + a2 * b2


@subroutine
def _add(a: Any, a_low: Any, b: Any, b_low: Any) -> Any:
    """Return the sum of two double-doubles."""
    s = a + b
    part = s - a
    e = ((a - (s - part)) + (b - part)) + (a_low + b_low)
    total = s + e
    return total, e - (total - s)


@subroutine
def _cost(P: Any, i: Any, j: Any) -> Any:
    """Return c(i, j) from the rows of prefix sums (weight, first, second moment), high and low."""
    W, W_low = _add(P[j, 0], P[j, 1], -P[i, 0], -P[i, 1])
    D, D_low = _add(P[j, 2], P[j, 3], -P[i, 2], -P[i, 3])
    E, E_low = _add(P[j, 4], P[j, 5], -P[i, 4], -P[i, 5])
    m = D / W
    p, e = _two_product(m, W)
    q, q_low = _add(2 * D, 2 * D_low, -p, -(e + m * W_low))
    p, e = _two_product(m, q)
    c, c_low = _add(E, E_low, -p, -(e + m * q_low))
    # rounding may leave a cell of equal numbers a little below zero
    return (c + c_low) * (c > 0)


def prefix_moments(x: Floats, w: Floats) -> Floats:
    """Return prefix sums of ``w``, ``w d`` and ``w d^2`` as double-doubles: the definition.

    Parameters
    ----------
    x : ndarray of float64, shape (n,)
        Numbers of magnitude at most 1.
    w : ndarray of float64, shape (n,)
        Their weights, at most 1.

    Returns
    -------
    ndarray of float64, shape (n + 1, 6)
        Row i holds the sums over the first i numbers, each as a high and a low part, with
        ``d = x - x[n // 2]``.

    Notes
    -----
    The differences are exact as pairs. Every addition and product errs by a few 2^-104 relative to
    the sum so far. O(n) time. Tier T1.

    Examples
    --------
    >>> prefix_moments(np.array([0.0, 1.0]), np.ones(2))[:, ::2]
    array([[ 0.,  0.,  0.],
           [ 1., -1.,  1.],
           [ 2., -1.,  1.]])
    """
    n = len(x)
    P = np.zeros((n + 1, 6))
    d, d_low = _two_sum(x, -x[n // 2]) if n else (x, x)
    first, e = _two_product(d, w)
    first_low = e + d_low * w
    second, e = _two_product(d, first)
    second_low = e + d * first_low + d_low * first
    for i in range(n):
        P[i + 1, 0:2] = _add(P[i, 0], P[i, 1], w[i], 0.0)
        P[i + 1, 2:4] = _add(P[i, 2], P[i, 3], first[i], first_low[i])
        P[i + 1, 4:6] = _add(P[i, 4], P[i, 5], second[i], second_low[i])
    return P


@kernel(prefix_moments)
def prefix_moments_kernel(x: Floats, w: Floats) -> Floats:
    """Return what `prefix_moments` does, in one loop."""
    n = len(x)
    P = np.zeros((n + 1, 6))
    for i in range(n):
        d, d_low = _two_sum(x[i], -x[n // 2])
        first, e = _two_product(d, w[i])
        first_low = e + d_low * w[i]
        second, e = _two_product(d, first)
        second_low = e + d * first_low + d_low * first
        P[i + 1, 0], P[i + 1, 1] = _add(P[i, 0], P[i, 1], w[i], 0.0)
        P[i + 1, 2], P[i + 1, 3] = _add(P[i, 2], P[i, 3], first, first_low)
        P[i + 1, 4], P[i + 1, 5] = _add(P[i, 4], P[i, 5], second, second_low)
    return P


def penalized_path(P: Floats, penalty: float) -> tuple[Integers, Integers]:
    """Return the best predecessor of every border at a price per cell: the definition.

    Parameters
    ----------
    P : ndarray of float64, shape (n + 1, 6)
        Prefix moments.
    penalty : float
        What a cell costs besides c; positive.

    Returns
    -------
    previous : ndarray of int64, shape (n + 1,)
        The last border before each, on its best path; the lowest index of equally good ones.
    counts : ndarray of int64, shape (n + 1,)
        The number of cells of that path.

    Notes
    -----
    O(n^2) time here, O(n log n) in the kernel, which relies on the Monge property. Tier T1.

    Examples
    --------
    >>> P = prefix_moments(np.array([0.0, 0.125, 1.0]), np.ones(3))
    >>> penalized_path(P, 0.1)
    (array([0, 0, 0, 2]), array([0, 1, 1, 2]))
    """
    n = len(P) - 1
    costs = np.zeros(n + 1)
    previous, counts = np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int64)
    for j in range(1, n + 1):
        totals = [costs[i] + _cost(P, i, j) for i in range(j)]
        best = 0
        for i in range(1, j):
            if totals[i] - totals[best] < penalty * (counts[best] - counts[i]):
                best = i
        previous[j], costs[j], counts[j] = best, totals[best], counts[best] + 1
    return previous, counts


@subroutine
def _rough(P: Any, i: Any, j: Any) -> Any:
    """Return c(i, j) from the high parts only, and the size of the mean."""
    W, D = P[j, 0] - P[i, 0], P[j, 2] - P[i, 2]
    m = D / W
    return (P[j, 4] - P[i, 4]) - m * D, abs(m)


@subroutine
def _beats(
    P: Any, penalty: Any, sizes: Any, costs: Any, counts: Any, b: Any, a: Any, t: Any
) -> Any:
    """Return whether b is a better predecessor of t than the earlier a."""
    c, m = _rough(P, b, t)
    d, other = _rough(P, a, t)
    m = max(m, other)
    price = penalty * (counts[a] - counts[b])
    rough = ((costs[b] + c) - (costs[a] + d)) - price
    # With W, A, T the sums of w, w |d|, w d^2, a rough cost errs by less than 2^-50 times
    # T + 2 m A + m^2 W, for prefix sums do by 2^-53 of them; so do the sums with costs
    if abs(rough) > 2.0**-47 * (sizes[2] + m * (sizes[1] + m * sizes[0])):
        return rough < 0
    difference = (costs[b] + _cost(P, b, t)) - (costs[a] + _cost(P, a, t))
    return difference < price


@subroutine
def _takeover(
    P: Any, penalty: Any, sizes: Any, costs: Any, counts: Any, b: Any, a: Any, low: Any
) -> Any:
    """Return the first t beyond `low` at which b beats a; n + 1 if there is none."""
    n = len(P) - 1
    step, high = 1, low + 1
    while high <= n and not _beats(P, penalty, sizes, costs, counts, b, a, high):
        low = high
        step *= 2
        high = low + step
    high = min(high, n + 1)
    while high - low > 1:
        middle = (low + high) // 2
        if _beats(P, penalty, sizes, costs, counts, b, a, middle):
            high = middle
        else:
            low = middle
    return high


@kernel(penalized_path)
def penalized_path_kernel(P: Floats, penalty: float) -> tuple[Integers, Integers]:
    """Return what `penalized_path` does, with a queue of candidates."""
    n = len(P) - 1
    costs = np.zeros(n + 1)
    previous, counts = np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int64)
    queue, starts = np.empty(n + 1, np.int64), np.empty(n + 1, np.int64)
    head, tail = 0, 1
    queue[0], starts[0] = 0, 1
    # d ascends: the sum of w d falls to its least, then rises
    sizes = np.array([P[n, 0], P[n, 2] - 2 * P[:, 2].min(), P[n, 4]])
    for j in range(1, n + 1):
        while head + 1 < tail and starts[head + 1] <= j:
            head += 1
        i = queue[head]
        previous[j], counts[j] = i, counts[i] + 1
        costs[j] = costs[i] + _cost(P, i, j)
        start = j + 1
        while start <= n and tail > head:
            last, low = queue[tail - 1], max(starts[tail - 1], j + 1)
            if _beats(P, penalty, sizes, costs, counts, j, last, low):
                tail -= 1
                start = low
            else:
                start = _takeover(P, penalty, sizes, costs, counts, j, last, low)
                break
        if start <= n:
            queue[tail], starts[tail] = j, start
            tail += 1
    return previous, counts


def limited_borders(P: Floats, low: Integers, high: Integers) -> Integers:
    """Return the best borders, each within its limits: the definition.

    Parameters
    ----------
    P : ndarray of float64, shape (n + 1, 6)
        Prefix moments.
    low, high : ndarray of int64, shape (k + 1,)
        ``low <= high``, both strictly ascending from 0 to n.

    Returns
    -------
    ndarray of int64, shape (k + 1,)
        Strictly ascending from 0 to n; the lowest predecessor of equally good ones.

    Notes
    -----
    For m places within a border's limits O(m^2) time here, O(m log m) in the kernel. Tier T1.

    Examples
    --------
    >>> P = prefix_moments(np.array([0.0, 0.125, 1.0]), np.ones(3))
    >>> limited_borders(P, np.array([0, 1, 3]), np.array([0, 2, 3]))
    array([0, 2, 3])
    """
    k = len(low) - 1
    costs = {0: 0.0}
    previous: list[dict[int, int]] = []
    for t in range(1, k + 1):
        layer: dict[int, float] = {}
        previous.append({})
        for j in range(low[t], high[t] + 1):
            totals = [(costs[i] + _cost(P, i, j), i) for i in costs if i < j]
            layer[j], previous[-1][j] = min(totals)
        costs = layer
    borders = np.full(k + 1, len(P) - 1, np.int64)
    for t in range(k, 0, -1):
        borders[t - 1] = previous[t - 1][int(borders[t])]
    return borders


@kernel(limited_borders)
def limited_borders_kernel(P: Floats, low: Integers, high: Integers) -> Integers:
    """Return what `limited_borders` does; the middle row first, then the halves beside it."""
    k = len(low) - 1
    offsets = np.zeros(k + 2, np.int64)
    for t in range(k + 1):
        offsets[t + 1] = offsets[t] + high[t] - low[t] + 1
    previous, costs = np.zeros(offsets[k + 1], np.int64), np.zeros(offsets[k + 1])
    stack = np.empty((128, 4), np.int64)
    for t in range(1, k + 1):
        here, there = offsets[t] - low[t], offsets[t - 1] - low[t - 1]
        stack[0, 0], stack[0, 1] = low[t], high[t]
        stack[0, 2], stack[0, 3] = low[t - 1], high[t - 1]
        size = 1
        while size:
            size -= 1
            first, last, left, right = stack[size]
            j = (first + last) // 2
            best, least = left, np.inf
            for i in range(left, min(right, j - 1) + 1):
                total = costs[there + i] + _cost(P, i, j)
                if total < least:
                    best, least = i, total
            previous[here + j], costs[here + j] = best, least
            if j < last:
                stack[size, 0], stack[size, 1], stack[size, 2], stack[size, 3] = (
                    j + 1,
                    last,
                    best,
                    right,
                )
                size += 1
            if first < j:
                stack[size, 0], stack[size, 1], stack[size, 2], stack[size, 3] = (
                    first,
                    j - 1,
                    left,
                    best,
                )
                size += 1
    borders = np.full(k + 1, len(P) - 1, np.int64)
    for t in range(k, 0, -1):
        borders[t - 1] = previous[offsets[t] - low[t] + borders[t]]
    return borders


@dataclass
class _Search:
    """What is known about the price: the nearest ones with too many and with too few cells."""

    n_cells: int
    penalty: float
    cheap: tuple[float, Integers] | None = None  # too many cells
    dear: tuple[float, Integers] | None = None  # too few

    def next_penalty(self, step: int) -> float:
        """Return the next price: cells fall about as its cube root, else halve the interval."""
        if self.cheap is None or self.dear is None:
            return self._extrapolated(step)
        (p, A), (q, B) = self.cheap, self.dear
        low, high = math.log2(p), math.log2(q)
        many, few = math.log2(len(A) - 1), math.log2(len(B) - 1)
        share = 0.5
        if step % 3:
            share = min(max((many - math.log2(self.n_cells)) / (many - few), 0.02), 0.98)
        return 2.0 ** (low + share * (high - low))

    def _extrapolated(self, step: int) -> float:
        p, borders = self.cheap if self.cheap is not None else self.dear  # type: ignore[misc]
        # a little farther than expected, and farther with every step, so that it is bracketed soon
        ratio = 3 * math.log2((len(borders) - 1) / self.n_cells)
        return p * 2.0 ** (ratio * 1.05 + math.copysign(min(2.0**step, 64.0) * 2.0**-6, ratio))

    @property
    def is_closed(self) -> bool:
        """Whether no price lies between the two."""
        if self.cheap is None or self.dear is None:
            return False
        return self.dear[0] <= self.cheap[0] * (1 + 2.0**-50)

    def is_late(self, step: int) -> bool:
        """Return whether it is time to ask at the price of a tie.

        Every other time only: where C falls by orders of magnitude, that price is near one end.
        """
        if self.cheap is None or self.dear is None or step < ENOUGH:
            return False
        return step % 2 == 1 or len(self.cheap[1]) - len(self.dear[1]) <= 3


def _borders(P: Floats, penalty: float) -> Integers:
    """Return the borders of the best path at a price."""
    previous, counts = penalized_path_kernel(P, penalty)
    borders = np.full(int(counts[-1]) + 1, len(P) - 1, np.int64)
    for t in range(len(borders) - 1, 0, -1):
        borders[t - 1] = previous[borders[t]]
    return borders


def _search(P: Floats, n_cells: int, penalty: float) -> tuple[float, Integers]:
    """Return a price near to which there are so many cells, and the borders."""
    found, is_tie = _Search(n_cells, penalty), False
    for step in range(MANY):
        borders = _borders(P, found.penalty)
        if len(borders) - 1 == n_cells:
            return found.penalty, borders
        if is_tie and _nothing_better(P, found, borders):
            exchanged = _exchanged(P, found)
            return found.penalty, _finished(P, found) if exchanged is None else exchanged
        if len(borders) - 1 > n_cells:
            found.cheap = found.penalty, borders
        else:
            found.dear = found.penalty, borders
        if found.is_closed:
            break
        found.penalty = found.next_penalty(step)
        is_tie = found.is_late(step)
        if is_tie:
            found.penalty = _common_price(P, found)
    return found.penalty, _finished(P, found)


def _path_cost(P: Floats, borders: Integers) -> float:
    """Return what a partition costs: each cell rounded once, the sum exact."""
    return math.fsum(_cost(P, borders[:-1], borders[1:]))


def _common_price(P: Floats, found: _Search) -> float:
    """Return the price at which the two nearest partitions are equally good."""
    if found.cheap is None or found.dear is None:
        return found.penalty
    many, few = found.cheap[1], found.dear[1]
    price = (_path_cost(P, few) - _path_cost(P, many)) / (len(many) - len(few))
    return max(price, 2.0**-1000)


def _nothing_better(P: Floats, found: _Search, borders: Integers) -> bool:
    """Return whether a path at the common price of two others is no better than they are."""
    if found.dear is None:
        return False
    few = found.dear[1]
    least = _path_cost(P, few)
    gain = least - _path_cost(P, borders) - found.penalty * (len(borders) - len(few))
    return gain <= least * 2.0**-50  # the costs and their difference are rounded


def _exchanged(P: Floats, found: _Search) -> Integers | None:
    """Return the first part of one path and the rest of the other, if it lies on their line."""
    if found.cheap is None or found.dear is None:
        return None
    A, B, k = found.dear[1], found.cheap[1], found.n_cells
    few, many = len(A) - 1, len(B) - 1
    # the first cell of A that holds a cell of B whose place leaves k cells
    i = int(np.argmax(B[many - k + 1 : many - k + few + 1] <= A[1:]))
    path = np.concatenate([A[: i + 1], B[i + many - k + 1 :]])
    line = (_path_cost(P, A) * (many - k) + _path_cost(P, B) * (k - few)) / (many - few)
    slack = line * (4 * k + 8) * 2.0**-53 + float(P[-1, 4]) * k * len(P) * 2.0**-102
    return path if _path_cost(P, path) <= line + slack else None


def _finished(P: Floats, found: _Search) -> Integers:
    """Return the best borders within the limits that too many and too few cells set."""
    k, n = found.n_cells, len(P) - 1
    A = np.array([0, n]) if found.dear is None else found.dear[1]
    B = np.arange(n + 1) if found.cheap is None else found.cheap[1]
    few, many = len(A) - 1, len(B) - 1
    t = np.arange(many + 1)
    # the two are made to interleave, which equally good ones need not
    B = np.minimum(B, A[np.minimum(t, few)])
    B = np.maximum(B, A[np.maximum(t - (many - few), 0)])
    t = np.arange(k + 1)
    low = np.maximum(A[np.maximum(t - (k - few), 0)], B[t])
    high = np.minimum(A[np.minimum(t, few)], B[t + many - k])
    return limited_borders_kernel(P, low, high)


def optimal_borders(x: ArrayLike, n_cells: int, weights: ArrayLike | None = None) -> Integers:
    """Return the borders of the cells with the least sum of squared distances to their means.

    Parameters
    ----------
    x : array_like, shape (n,)
        Strictly ascending; finite.
    n_cells : int
        *k*, in [1, n].
    weights : array_like or None, shape (n,)
        Positive; None means 1 each. 2^-900 of the largest is the least that counts.

    Returns
    -------
    ndarray of int64, shape (n_cells + 1,)
        Cell t holds ``x[borders[t]:borders[t + 1]]``.

    Raises
    ------
    ShapeError
        If the shapes do not fit.
    RangeError
        If x does not ascend, a weight is not positive, or there are more cells than numbers.

    Notes
    -----
    The optimum, to the bound in the module's docstring. About log n evaluations of a cost for each
    number and pass; commonly two to six passes. Where equally good counts leave k open, the finish
    takes O(m log n) for m places within the limits. Tier T1.

    References
    ----------
    A. Grønlund et al., arXiv:1701.07204.

    Examples
    --------
    >>> optimal_borders([0.0, 1.0, 5.0, 6.0, 7.0], 2)
    array([0, 2, 5])
    """
    points = check_float_array(x, "x").astype(np.float64)
    w = np.ones_like(points) if weights is None else check_float_array(weights, "weights")
    _check_line(points, w)
    n = points.size
    k = check_integer(n_cells, "n_cells", 1, n)
    if k in (1, n):
        return np.arange(n + 1) if k == n else np.array([0, n])
    largest = float(np.max(np.abs(points)))
    with np.errstate(under="ignore"):
        scaled = np.ldexp(points, -math.frexp(largest)[1] - 1)
        w = np.ldexp(w.astype(np.float64), -math.frexp(float(w.max()))[1])
        w = np.maximum(w, LIGHT)
    P = prefix_moments_kernel(scaled, w)
    whole = float(_cost(P, 0, n))
    penalty = max(2 * whole / k**3, 2.0**-1000)
    for about in sorted({max(COARSE, 8 * k), max(COARSE, 64 * k)}):
        if n > 2 * about:
            some = np.append(np.arange(0, n, n // about), n)
            penalty, _ = _search(np.ascontiguousarray(P[some]), k, penalty)
    return _search(P, k, penalty)[1]


def _check_line(x: Floats, w: NDArray[Any]) -> None:
    if x.ndim != 1 or x.size == 0 or w.shape != x.shape:
        raise ShapeError(f"x has shape {x.shape}, weights {w.shape}; both need one axis, not empty")
    falls = np.diff(x) <= 0
    if falls.any():
        i = int(np.argmax(falls)) + 1
        raise RangeError(f"x{shown(i)} = {x[i]} is not above x[{i - 1}] = {x[i - 1]}: sort, merge")
    bad = w <= 0
    if bad.any():
        i = int(np.argmax(bad))
        raise RangeError(f"weights{shown(i)} = {w[i]} must be > 0")
