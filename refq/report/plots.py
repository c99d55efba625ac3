"""The plots of a report: accuracy against bytes, bits and error per layer.

Conventions
-----------
See `refq.report.figures`: ``ax=None`` in, axes out.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import RangeError
from .accounts import Entry
from .figures import BLUE, GREEN, GREY, INK, VERMILION, new_axes, tidy
from .label_placement import place_labels
from .results import Report

__all__ = ["layers", "pareto"]

RIVAL = "dense small"  #: the plan that is no compression: a small network trained as it is


def pareto(report: Report, ax: Any = None) -> Any:
    """Plot test accuracy against the bytes of the file.

    Parameters
    ----------
    report : Report
        With at least one plan.
    ax : Axes or None
        Where; None makes a figure.

    Returns
    -------
    Axes
        Bytes on a logarithmic axis; the float model is a square, the rival a diamond, and a line
        joins the plans that no other one beats on both axes.

    Examples
    --------
    >>> from refq.report.results import PlanResult
    >>> report = Report("digits", 0, {}, 0.99, 200000, 1)
    >>> report.plans.append(PlanResult("int8", 0.985, 50000, 8.0, 4.0, 0, 3, 1, 40.0))
    >>> pareto(report).get_xscale()
    'log'
    """
    ax = new_axes(9.0, 5.5) if ax is None else ax
    tidy(ax)
    names = ["float32", *(plan.name for plan in report.plans)]
    sizes = np.array([report.float_bytes, *(plan.bytes for plan in report.plans)], np.float64)
    scores = 100 * np.array([report.float_accuracy, *(p.accuracy for p in report.plans)])
    front = _front(sizes, scores)
    ax.plot(sizes[front], scores[front], color=GREY, lw=1.2, ls="--", zorder=1)
    for name, x, y in zip(names, sizes, scores, strict=True):
        marker, color = _mark(name)
        # a pale face and a dark edge: of two plans at one place, both shapes are seen
        ax.plot(x, y, marker, mfc=f"{color}70", mec=color, mew=1.6, ms=9, zorder=3)
    ax.set_xscale("log")
    ax.set_xlim(sizes.min() / 1.7, sizes.max() * 1.7)
    gap = max(float(np.ptp(scores)), 0.5)
    ax.set_ylim(scores.min() - 0.22 * gap, min(scores.max() + 0.22 * gap, 100 + 0.05 * gap))
    _byte_ticks(ax)
    ax.grid(True, which="major", color="#E4E4E4", lw=0.8)
    ax.set_xlabel("bytes of the saved file", color=INK)
    ax.set_ylabel("test accuracy, %", color=INK)
    title = "smaller is left, better is up"
    title += "; dashed: no plan is both smaller and better" if len(front) > 1 else ""
    ax.set_title(f"{report.model}: {title}", loc="left", fontsize=10, color=INK)
    _label(ax, names, sizes, scores, front)
    return ax


def _mark(name: str) -> tuple[str, str]:
    if name == "float32":
        return "s", INK
    if name == RIVAL:
        return "D", VERMILION
    return ("^", GREEN) if name.startswith("int") else ("o", BLUE)


def _front(sizes: NDArray[np.float64], scores: NDArray[np.float64]) -> list[int]:
    """Return the points that no other one beats on both axes, from small to large."""
    best, front = -math.inf, []
    for i in np.lexsort((-scores, sizes)):
        if scores[i] > best:
            best = scores[i]
            front.append(int(i))
    return front


def _byte_ticks(ax: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.xaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _short_bytes(x)))
    ax.xaxis.set_minor_formatter(NullFormatter())


def _short_bytes(n: float) -> str:
    for unit, size in (("MB", 1e6), ("kB", 1e3)):
        if n >= size:
            return f"{n / size:g} {unit}"
    return f"{n:g} B"


def _label(
    ax: Any,
    names: Sequence[str],
    xs: NDArray[np.float64],
    ys: NDArray[np.float64],
    front: Sequence[int],
) -> None:
    """Write every name near its point, with a thin line where it had to stand apart."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = ax.figure
    FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]  # settles the layout, so that data can be turned into dots
    points = ax.transData.transform(np.column_stack([xs, ys]))
    height = 8.5 * figure.dpi / 72  # the font's size in dots
    sizes = [(0.58 * height * len(name), 1.25 * height) for name in names]
    left, bottom, right, top = map(float, ax.get_window_extent().extents)
    boxes = place_labels(
        points, sizes, (left, bottom, right, top), 0.075 * figure.dpi, points[front]
    )
    back = ax.transData.inverted()
    for name, box, x, y in zip(names, boxes, xs, ys, strict=True):
        middle = back.transform(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2))
        ax.annotate(
            name,
            (x, y),
            xytext=tuple(middle),
            ha="center",
            va="center",
            fontsize=8.5,
            color=INK,
            zorder=4,
            arrowprops={"arrowstyle": "-", "color": GREY, "lw": 0.6, "shrinkA": 0, "shrinkB": 5},
        )


def layers(ledgers: Mapping[str, Sequence[Entry]], axes: Any = None) -> Any:
    """Show bits per weight and error of every layer under every plan, as two tables of colours.

    Parameters
    ----------
    ledgers : mapping of str to sequence of Entry
        By the plan's name, from `ledger`.
    axes : sequence of two Axes, or None
        Where; None makes a figure.

    Returns
    -------
    sequence of two Axes
        Bits per weight above, signal to quantization noise ratio below. A cell without a number has
        no counterpart in the float model.

    Raises
    ------
    RangeError
        If there is nothing to show.

    Examples
    --------
    >>> entry = Entry("fc1.weight", (2, 3), "Scaled", "int8", True, 48, 0, 6, 192, 40.0)
    >>> [ax.get_title(loc="left") for ax in layers({"int8": [entry]})]
    ['bits per weight', 'error of the weights: SQNR in dB (more is better; -: no counterpart)']
    """
    plans = {
        plan: {e.name.removesuffix(".weight"): e for e in entries if _is_weight(e)}
        for plan, entries in ledgers.items()
    }
    names = list(dict.fromkeys(name for plan in plans.values() for name in plan))
    if not names:
        raise RangeError("no ledger has a weight: there is nothing to show")
    if axes is None:
        width = 2.6 + 0.78 * len(names)
        axes = new_axes(max(width, 6.0), 1.9 + 0.62 * len(plans), rows=2)
    bits = [[_of(plan.get(name), "bits") for name in names] for plan in plans.values()]
    error = [[_of(plan.get(name), "sqnr_db") for name in names] for plan in plans.values()]
    _heat(axes[0], np.array(bits), list(plans), names, "bits per weight", high=16.0)
    title = "error of the weights: SQNR in dB (more is better; -: no counterpart)"
    _heat(axes[1], np.array(error), list(plans), names, title, high=50.0)
    return axes


def _is_weight(entry: Entry) -> bool:
    return entry.is_parameter and entry.name.endswith(".weight") and len(entry.shape) > 1


def _of(entry: Entry | None, what: str) -> float:
    """Return an entry's bits per original weight or its error; NaN if there is none."""
    if entry is None:
        return math.nan
    if what == "bits":
        return (entry.stored_bits + entry.shared_bits) / (entry.original_bits / 32 or math.nan)
    return math.nan if entry.sqnr_db is None else entry.sqnr_db


def _heat(
    ax: Any,
    cells: NDArray[np.float64],
    rows: list[str],
    columns: list[str],
    title: str,
    high: float,
) -> None:
    ax.imshow(np.clip(cells, 0, high), cmap="Blues", vmin=0, vmax=1.15 * high, aspect="auto")
    for (i, j), value in np.ndenumerate(cells):
        color = "white" if value > 0.7 * high else INK
        text = "-" if np.isnan(value) else "exact" if np.isinf(value) else f"{value:.3g}"
        ax.text(j, i, text, ha="center", va="center", fontsize=8.5, color=color)
    ax.set_xticks(range(len(columns)), columns, fontsize=9)
    ax.set_yticks(range(len(rows)), rows, fontsize=9)
    ax.tick_params(length=0, colors=INK)
    ax.spines[:].set_visible(False)
    ax.set_xticks(np.arange(0.5, len(columns) - 1), minor=True)
    ax.set_yticks(np.arange(0.5, len(rows) - 1), minor=True)
    ax.grid(which="minor", color="white", lw=1.5)
    ax.tick_params(which="minor", length=0)
    ax.set_title(title, loc="left", fontsize=10, color=INK)
