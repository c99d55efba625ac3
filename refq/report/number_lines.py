"""Pictures of what quantization does to numbers: levels, arrows to them, transfer curves.

Conventions
-----------
See `refq.report.figures`: ``ax=None`` in, axes out. Originals are blue, what comes back is orange.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import check_finite, check_float_array, check_integer, check_real
from ..core.errors import RangeError, ShapeError
from ..encodings import Encoding, Method
from .figures import BLUE, GREEN, GREY, INK, ORANGE, new_axes, tidy

__all__ = ["grid", "number_line", "staircase"]

_MOST_LINES = 60  #: beyond as many numbers, single arrows cannot be told apart


def grid(values: ArrayLike, encoding: Encoding, ax: Any = None, bins: int = 80) -> Any:
    """Show the histogram of numbers above the levels that they come back on.

    Parameters
    ----------
    values : array_like
        The originals.
    encoding : Encoding
        What they became; same shape.
    ax : Axes or None
        Where; None makes a figure.
    bins : int
        Of the histogram.

    Returns
    -------
    Axes
        Upwards how many originals lie where; downwards a line at every level, as long as the share
        of the numbers that come back on it.

    Raises
    ------
    ShapeError
        If the shapes differ or there is nothing to show.

    Examples
    --------
    >>> from refq.encodings import Cast
    >>> x = np.linspace(-1, 1, 101, dtype=np.float32)
    >>> ax = grid(x, Cast("float16").fit_encode(x))
    >>> ax.get_xlabel()
    'value'
    """
    x, y = _pair(values, encoding)
    ax = new_axes(8.0, 3.2) if ax is None else ax
    tidy(ax)
    counts, edges = np.histogram(x, bins=check_integer(bins, "bins", 1))
    ax.stairs(counts / counts.max(), edges, fill=True, color=BLUE, alpha=0.75, label="originals")
    levels, times = np.unique(y, return_counts=True)
    depth = -times / times.max()
    ax.vlines(levels, 0, depth, color=ORANGE, lw=_width(levels), label="levels they come back on")
    ax.axhline(0, color=INK, lw=0.8)
    ax.set_ylim(-1.15, 1.3)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.set_xlabel("value", color=INK)
    words = f"{len(levels):,} levels in use, {encoding.bits_per_weight:.3g} bits per number"
    ax.set_title(words, loc="left", fontsize=10, color=INK)
    ax.legend(loc="upper right", fontsize=8.5, frameon=False, ncols=2)
    return ax


def _width(levels: NDArray[np.float64]) -> float:
    return float(np.clip(120 / max(len(levels), 1), 0.6, 3.0))


def number_line(values: ArrayLike, encoding: Encoding, ax: Any = None) -> Any:
    """Draw every number as a dot, and the way to the level it comes back on.

    Parameters
    ----------
    values : array_like
        The originals, at most sixty.
    encoding : Encoding
        What they became; same shape.
    ax : Axes or None
        Where; None makes a figure.

    Returns
    -------
    Axes
        Originals on the upper line, levels on the lower one.

    Raises
    ------
    ShapeError
        If the shapes differ, or there are none or too many numbers.

    Examples
    --------
    >>> from refq.encodings import Cast
    >>> number_line([0.1, 0.7], Cast("float16").fit_encode([0.1, 0.7])).get_yticks().tolist()
    [0, 1]
    """
    x, y = _pair(values, encoding)
    if x.size > _MOST_LINES:
        raise ShapeError(f"values has {x.size} numbers; at most {_MOST_LINES} can be told apart")
    ax = new_axes(8.0, 2.2) if ax is None else ax
    tidy(ax)
    ax.axhline(1, color=GREY, lw=0.8, zorder=1)
    ax.axhline(0, color=GREY, lw=0.8, zorder=1)
    ax.plot([x, y], [np.ones_like(x), np.zeros_like(x)], color=GREY, lw=0.9, zorder=2)
    ax.plot(x, np.ones_like(x), "o", color=BLUE, ms=6, mec="white", mew=0.8, zorder=3)
    ax.plot(np.unique(y), np.zeros(len(np.unique(y))), "|", color=ORANGE, ms=18, mew=2.5, zorder=3)
    ax.set_yticks([0, 1], ["what comes back", "originals"])
    ax.set_ylim(-0.35, 1.35)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return ax


def staircase(
    quantizer: Method | Callable[[NDArray[np.float64]], ArrayLike],
    low: float = -1.0,
    high: float = 1.0,
    ax: Any = None,
) -> Any:
    """Draw the transfer curve of a quantizer: what comes back for every number that goes in.

    Parameters
    ----------
    quantizer : Method or callable
        A method is fitted to evenly spaced numbers in [low, high]; a callable maps an array to an
        array of the same shape.
    low, high : float
        The range. The curve goes on for a quarter beyond, where it clips.
    ax : Axes or None
        Where; None makes a figure.

    Returns
    -------
    Axes
        The steps, the diagonal that no loss would follow, and the error between them.

    Raises
    ------
    RangeError
        If the range is empty.
    ShapeError
        If a callable changes the shape.

    Examples
    --------
    >>> staircase(np.round, -3, 3).get_ylabel()
    'what comes back'
    """
    low, high = check_real(low, "low"), check_real(high, "high")
    if not low < high:
        raise RangeError(f"low = {low} must be below high = {high}")
    margin = (high - low) / 8
    x = np.linspace(low - margin, high + margin, 2001)
    y = _through(quantizer, x, low, high)
    ax = new_axes(5.0, 4.6) if ax is None else ax
    tidy(ax)
    ax.plot(x, x, color=GREY, lw=1.0, ls="--", label="no loss")
    ax.plot(x, y, color=ORANGE, lw=2.0, label="quantized")
    ax.plot(x, y - x, color=GREEN, lw=1.0, label="error")
    ax.axhline(0, color=GREY, lw=0.6)
    ax.axvspan(low - margin, low, color="#F1F1F1", zorder=0, lw=0)
    ax.axvspan(high, high + margin, color="#F1F1F1", zorder=0, lw=0)
    ax.set_xlim(low - margin, high + margin)
    ax.set_xlabel("what goes in", color=INK)
    ax.set_ylabel("what comes back", color=INK)
    ax.legend(loc="upper left", fontsize=8.5, frameon=False)
    return ax


def _through(quantizer: Any, x: NDArray[np.float64], low: float, high: float) -> NDArray[Any]:
    if isinstance(quantizer, Method):
        # fitted to the range alone, so that the curve shows what happens beyond it
        fitted = quantizer.clone().fit(np.clip(x, low, high)[None])
        return np.asarray(fitted.encode(x[None]).decode()[0], np.float64)
    y = np.asarray(quantizer(x), np.float64)
    if y.shape != x.shape:
        raise ShapeError(f"the callable gave shape {y.shape} for {x.shape}; they must be equal")
    return y


def _pair(values: ArrayLike, encoding: Encoding) -> tuple[NDArray[Any], NDArray[Any]]:
    x = check_float_array(values, "values")
    if x.shape != encoding.shape or x.size == 0:
        raise ShapeError(
            f"values has shape {x.shape}, the encoding {encoding.shape}; they must be equal and "
            "not empty"
        )
    y = check_finite(encoding.decode(), "encoding.decode()")
    return x.reshape(-1).astype(np.float64), y.reshape(-1).astype(np.float64)
