"""Labels of points that cover neither each other nor the points.

Problem
-------
A dozen plans lie close together in a plot of accuracy against bytes; labels at a fixed offset would
lie on top of each other.

Equation
--------
Greedy: points are taken from the most crowded to the least; each label goes to the first place, out
of rings of growing radius, where its box meets no point, no box placed before, and no edge. If
there is none, the place with the least overlap is taken.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["place_labels"]

Box = tuple[float, float, float, float]  # left, bottom, right, top, in dots

_RADII = (11.0, 20.0, 32.0, 46.0, 64.0, 86.0)
#: where a label stands as seen from its point: right first, then left, above, below, diagonals
_DIRECTIONS = (
    *((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)),
    *((0.7, 0.7), (0.7, -0.7), (-0.7, 0.7), (-0.7, -0.7)),
)


def place_labels(
    points: NDArray[np.float64],
    sizes: Sequence[tuple[float, float]],
    frame: Box,
    mark: float = 7.0,
    line: NDArray[np.float64] | None = None,
) -> list[Box]:
    """Return a box for the label of every point.

    Parameters
    ----------
    points : ndarray of float64, shape (n, 2)
        In dots.
    sizes : sequence of (float, float)
        Width and height of each label, in dots.
    frame : tuple of float
        Left, bottom, right, top: labels stay inside where they can.
    mark : float
        Half the width of a point's mark.
    line : ndarray of float64, shape (m, 2), or None
        Corners of a line that labels should not stand on, in dots.

    Returns
    -------
    list of tuple of float
        Left, bottom, right, top, in the order of the points.

    Notes
    -----
    Quadratic in the number of points. Tier T1.

    Examples
    --------
    >>> place_labels(np.array([[50.0, 50.0]]), [(20.0, 10.0)], (0.0, 0.0, 100.0, 100.0))
    [(61.0, 45.0, 81.0, 55.0)]
    """
    marks = [(x - mark, y - mark, x + mark, y + mark) for x, y in points.tolist()]
    strokes = [] if line is None else _strokes(line)
    placed: dict[int, Box] = {}
    for i in _crowded_first(points):
        others = [m for j, m in enumerate(marks) if j != i] + list(placed.values()) + strokes
        candidates = _candidates(points[i], sizes[i])
        costs = [sum(_overlap(c, o) for o in others) + _outside(c, frame) for c in candidates]
        placed[i] = candidates[int(np.argmin(costs))]  # the first of the best
    return [placed[i] for i in range(len(points))]


def _crowded_first(points: NDArray[np.float64]) -> list[int]:
    if len(points) < 2:
        return list(range(len(points)))
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    nearest = np.sort(distances, axis=1)[:, 1]
    return [int(i) for i in np.argsort(nearest, kind="stable")]


def _strokes(line: NDArray[np.float64]) -> list[Box]:
    """Return small boxes along a line, close enough that no label fits between them."""
    boxes = []
    for start, stop in pairwise(line):
        for t in np.linspace(0, 1, 2 + int(np.hypot(*(stop - start)) // 4)):
            x, y = (start + t * (stop - start)).tolist()
            boxes.append((x - 2.0, y - 2.0, x + 2.0, y + 2.0))
    return boxes


def _candidates(point: NDArray[np.float64], size: tuple[float, float]) -> list[Box]:
    width, height = size
    boxes = []
    for radius in _RADII:
        for dx, dy in _DIRECTIONS:
            # the edge that faces the point stands on the ring
            x = float(point[0]) + dx * radius + (np.sign(dx) - 1) * width / 2
            y = float(point[1]) + dy * radius + (np.sign(dy) - 1) * height / 2
            boxes.append((float(x), float(y), float(x) + width, float(y) + height))
    return boxes


def _overlap(a: Box, b: Box) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0.0) * max(height, 0.0)


def _outside(box: Box, frame: Box) -> float:
    """Return the area of the box beyond the frame."""
    area = (box[2] - box[0]) * (box[3] - box[1])
    return 4 * (area - _overlap(box, frame))  # worse than covering as much of another label
