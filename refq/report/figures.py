"""Figures without a window: matplotlib's object interface, one style, colours for every eye.

Conventions
-----------
A plot takes ``ax=None`` and returns the axes it drew on; with None it makes a figure of its own,
which is not registered anywhere and vanishes with its axes. Colours are those of Okabe and Ito
[1]_, which keep apart for all common kinds of colour blindness; marks differ in shape too. Figures
are meant to be read at 100 dots per inch.

References
----------
.. [1] M. Okabe, K. Ito, "Color Universal Design", 2008.
"""

import io
from typing import Any

__all__ = ["BLUE", "GREEN", "GREY", "INK", "ORANGE", "PINK", "SKY", "VERMILION", "new_axes", "png"]

BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"
VERMILION, SKY, PINK = "#D55E00", "#56B4E9", "#CC79A7"
INK, GREY = "#222222", "#8A8A8A"


def new_axes(width: float, height: float, rows: int = 1) -> Any:
    """Return the axes of a new figure.

    Parameters
    ----------
    width, height : float
        Inches.
    rows : int
        How many axes, one above the other.

    Returns
    -------
    Axes or ndarray of Axes
        An array if there are several rows.

    Examples
    --------
    >>> new_axes(4, 3).figure.get_size_inches()
    array([4., 3.])
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure.subplots(rows, 1)


def tidy(ax: Any) -> None:
    """Remove what carries no information: two spines, dark ticks.

    Parameters
    ----------
    ax : Axes
        Changed in place.
    """
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(GREY)
    ax.tick_params(colors=INK, which="both", labelsize=9)
    ax.set_axisbelow(True)


def png(figure: Any, dpi: int = 100) -> bytes:
    """Return a figure as the bytes of a PNG file.

    Parameters
    ----------
    figure : Figure
        Any.
    dpi : int
        Dots per inch.

    Returns
    -------
    bytes
        Without the date or the name of a program: the same figure gives the same bytes.

    Examples
    --------
    >>> png(new_axes(1, 1).figure)[1:4]
    b'PNG'
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()
