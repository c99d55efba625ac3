"""Prefix codes: the lengths that Huffman gives, and the codewords that follow from lengths.

Problem
-------
Quantized weights use some codes more often than others. Among all codes that give each symbol a
codeword of whole bits, Huffman's [1]_ has the smallest mean length.

Equation
--------
With counts c_s of n symbols, p_s = c_s / n and codeword lengths l_s::

    H = -sum p_s log2 p_s      L = sum p_s l_s      H <= L < H + 1      sum 2^-l_s = 1

for two symbols or more. A symbol alone needs no bits: its codeword is empty.

Conventions
-----------
*Ties.* Symbols are nodes 0, 1, ... in ascending order; each merge makes the next node. A merge
takes the two nodes that are first by (weight, node number). This keeps the longest codeword short.

*Canonical codewords* [2]_. Symbols are ranked by (length, symbol). The first codeword is all zeros,
the next is the one before plus one, with zeros appended up to its own length. So the lengths alone
fix the code.

*Depth.* Codewords have at most 63 bits: a length fits in 6 bits, a codeword in a 64-bit integer. A
codeword of 64 bits needs Fibonacci-like counts whose sum exceeds 10^13, more than an array may
have elements, so no stream meets the limit.

References
----------
.. [1] D. A. Huffman, "A Method for the Construction of Minimum-Redundancy Codes", Proceedings of
   the IRE 40(9), 1952.
.. [2] E. S. Schwartz and B. Kallick, "Generating a Canonical Prefix Encoding", Communications of
   the ACM 7(3), 1964.
"""

import heapq
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import check_integer_array, shown
from ..core.errors import FormatError, LimitError, RangeError, ShapeError
from ..core.twins import kernel

__all__ = [
    "MAX_DEPTH",
    "canonical_codes",
    "code_lengths",
    "entropy",
    "length_tally",
    "mean_length",
]

MAX_DEPTH = 63  #: no codeword is longer


def merge_depths(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the depth of each leaf of the Huffman tree, merged on a heap: the definition.

    Parameters
    ----------
    counts : ndarray of int64, shape (m,)
        Not negative; their sum is below 2^63.

    Returns
    -------
    ndarray of int64, shape (m,)
        The depths; 0 for a leaf alone.

    Notes
    -----
    O(m log m). Tier T1.

    Examples
    --------
    >>> merge_depths(np.array([5, 1, 1]))
    array([1, 2, 2])
    """
    m = counts.size
    heap = [(int(c), node) for node, c in enumerate(counts)]
    heapq.heapify(heap)
    parent = [0] * max(2 * m - 1, 0)
    for node in range(m, 2 * m - 1):
        (a, i), (b, j) = heapq.heappop(heap), heapq.heappop(heap)
        parent[i] = parent[j] = node
        heapq.heappush(heap, (a + b, node))
    depth = [0] * len(parent)
    for node in range(2 * m - 3, -1, -1):
        depth[node] = depth[parent[node]] + 1
    return np.array(depth[:m], np.int64)


@kernel(merge_depths)
def merge_depths_kernel(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Merge from two queues: sorted leaves, and merged nodes, whose weights only grow."""
    m = counts.size
    order = np.argsort(counts, kind="mergesort")  # stable: equal counts keep the symbols' order
    weight = np.zeros(m, np.int64)  # of node m + k
    parent = np.zeros(2 * m, np.int64)
    leaf = merged = 0
    for k in range(m - 1):
        for _ in range(2):
            # <= : on a tie the leaf goes first, its number is the smaller one
            if leaf < m and (merged == k or counts[order[leaf]] <= weight[merged]):
                node = order[leaf]
                weight[k] += counts[node]
                leaf += 1
            else:
                node = m + merged
                weight[k] += weight[merged]
                merged += 1
            parent[node] = m + k
    depth = np.zeros(2 * m, np.int64)
    for node in range(2 * m - 3, -1, -1):
        depth[node] = depth[parent[node]] + 1
    return depth[:m].copy()


def _check_counts(counts: ArrayLike) -> NDArray[Any]:
    a = check_integer_array(counts, "counts")
    if a.ndim != 1:
        raise ShapeError(f"counts has shape {a.shape}; one axis is needed")
    if a.size and int(a.min()) < 0:
        index = int(np.argmax(a < 0))
        raise RangeError(f"counts{shown(index)} = {a[index]} must be >= 0")
    if a.size and int(a.max()) * a.size >> 63 and sum(a.tolist()) >> 63:
        raise LimitError("the sum of counts must be below 2**63")
    return a.astype(np.int64)


def code_lengths(counts: ArrayLike) -> NDArray[np.int64]:
    """Return the length of each symbol's Huffman codeword.

    Parameters
    ----------
    counts : array_like of int, shape (m,)
        How often each symbol occurs.

    Returns
    -------
    ndarray of int64, shape (m,)
        0 for a symbol that does not occur, and for one that occurs alone.

    Raises
    ------
    RangeError, ShapeError
        If a count is negative, or the counts are not flat.
    LimitError
        If the counts sum to 2^63, or a codeword would exceed 63 bits.

    Notes
    -----
    O(m log m) for sorting. No prefix code has a smaller total length. Tier T1.

    References
    ----------
    Huffman 1952; the tie rule stands in the module's docstring.

    Examples
    --------
    >>> code_lengths([4, 0, 2, 1, 1])
    array([1, 0, 2, 3, 3])
    """
    a = _check_counts(counts)
    lengths = np.zeros(a.size, np.int64)
    used = np.flatnonzero(a)
    lengths[used] = merge_depths_kernel(a[used])
    if lengths.size and int(lengths.max()) > MAX_DEPTH:
        raise LimitError(f"a codeword would have {lengths.max()} bits; at most {MAX_DEPTH}")
    return lengths


def length_tally(lengths: NDArray[Any]) -> NDArray[np.int64]:
    """Count the codewords of each length, if they fill the code space exactly.

    Parameters
    ----------
    lengths : ndarray of integers, shape (m,)
        Not negative; 0 means no codeword.

    Returns
    -------
    ndarray of int64, shape (64,)
        Entry l is the number of codewords of length l; entry 0 is 0.

    Raises
    ------
    FormatError
        If a length exceeds 63, or sum 2^-length over the codewords is not 1.

    Examples
    --------
    >>> length_tally(np.array([1, 2, 0, 2]))[:4]
    array([0, 1, 2, 0])
    >>> length_tally(np.array([1, 2]))
    Traceback (most recent call last):
    refq.core.errors.FormatError: the codeword lengths are under-full: sum 2**-length must be 1
    """
    if lengths.size and int(lengths.max()) > MAX_DEPTH:
        index = int(np.argmax(lengths > MAX_DEPTH))
        raise FormatError(f"lengths{shown(index)} = {lengths[index]}; at most {MAX_DEPTH}")
    tally = np.bincount(lengths.astype(np.int64), minlength=MAX_DEPTH + 1)
    filled = sum(int(c) << (MAX_DEPTH - n) for n, c in enumerate(tally) if n)
    if filled and filled != 1 << MAX_DEPTH:
        state = "over" if filled > 1 << MAX_DEPTH else "under"
        raise FormatError(f"the codeword lengths are {state}-full: sum 2**-length must be 1")
    tally[0] = 0
    return tally


def canonical_codes(lengths: ArrayLike) -> NDArray[np.uint64]:
    """Return the canonical codeword of each symbol.

    Parameters
    ----------
    lengths : array_like of int, shape (m,)
        Codeword lengths; 0 means no codeword.

    Returns
    -------
    ndarray of uint64, shape (m,)
        Codewords as integers: the first bit, at the root, is the most significant of `length`.

    Raises
    ------
    FormatError
        If the lengths do not fill the code space exactly, or one exceeds 63.
    RangeError, ShapeError
        If a length is negative, or the lengths are not flat.

    Notes
    -----
    Codeword k begins where k - 1 ended: in units of 2^-63, the lengths 2^(63 - l) add up. Tier T1.

    References
    ----------
    Schwartz and Kallick 1964.

    Examples
    --------
    >>> [f"{w:0{n}b}" for w, n in zip(canonical_codes([2, 1, 3, 3]), [2, 1, 3, 3])]
    ['10', '0', '110', '111']
    """
    a = _check_counts(lengths)
    length_tally(a)
    words = np.zeros(a.size, np.uint64)
    used = np.flatnonzero(a)
    ranked = used[np.argsort(a[used], kind="stable")]
    spare = (MAX_DEPTH - a[ranked]).astype(np.uint64)
    share = np.uint64(1) << spare
    words[ranked] = (np.cumsum(share, dtype=np.uint64) - share) >> spare
    return words


def entropy(counts: ArrayLike) -> float:
    """Return the entropy of the counts in bits per symbol, the limit of any code.

    Parameters
    ----------
    counts : array_like of int, shape (m,)
        How often each symbol occurs; not all zero.

    Returns
    -------
    float
        H, in [0, log2 m].

    Raises
    ------
    RangeError, ShapeError
        If a count is negative or all are zero, or the counts are not flat.

    Notes
    -----
    Tier T3: within ``(m + 8) H 2^-53 + 2^-52`` for counts below 2^53: the quotient is rounded once,
    the logarithm within four ulp, and m terms are added.

    Examples
    --------
    >>> entropy([2, 1, 1])
    1.5
    """
    a = _check_counts(counts)
    a = a[a > 0]
    if a.size == 0:
        raise RangeError("counts are all zero: the entropy of nothing is not defined")
    p = a / a.sum()
    return float(np.sum(p * -np.log2(p)) + 0.0)


def mean_length(counts: ArrayLike, lengths: ArrayLike) -> float:
    """Return the mean codeword length in bits per symbol.

    Parameters
    ----------
    counts : array_like of int, shape (m,)
        How often each symbol occurs; not all zero.
    lengths : array_like of int, shape (m,)
        Codeword lengths.

    Returns
    -------
    float
        L = sum counts * lengths / sum counts, rounded once.

    Raises
    ------
    RangeError, ShapeError
        If a count is negative or all are zero, or the two differ in shape.

    Examples
    --------
    >>> mean_length([2, 1, 1], code_lengths([2, 1, 1]))
    1.5
    """
    a, b = _check_counts(counts), _check_counts(lengths)
    if a.shape != b.shape:
        raise ShapeError(f"counts has shape {a.shape}, lengths {b.shape}; they must be equal")
    if not a.any():
        raise RangeError("counts are all zero: the mean length of nothing is not defined")
    return sum(c * n for c, n in zip(a.tolist(), b.tolist(), strict=True)) / int(a.sum())
