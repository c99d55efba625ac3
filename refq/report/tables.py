"""Tables of text: aligned columns that fit a terminal.

Conventions
-----------
A missing number is "-". Columns are two spaces apart; words stand left, numbers right.
"""

import math
from collections.abc import Collection, Iterable, Sequence

__all__ = ["number", "text_table"]


def number(value: float | None, digits: int) -> str:
    """Return a number with so many digits after the point.

    Parameters
    ----------
    value : float or None
        None and NaN are shown as "-".
    digits : int
        After the point.

    Returns
    -------
    str
        With commas between thousands; "inf" stays.

    Examples
    --------
    >>> number(1234.5, 2), number(None, 2), number(float("inf"), 1)
    ('1,234.50', '-', 'inf')
    """
    return "-" if value is None or math.isnan(value) else f"{value:,.{digits}f}"


def text_table(
    head: Sequence[str], rows: Iterable[Sequence[str]], left: Collection[int] = (0,)
) -> str:
    """Return a table as text.

    Parameters
    ----------
    head : sequence of str
        One word per column.
    rows : iterable of sequence of str
        As many cells each.
    left : collection of int
        The columns that are aligned left.

    Returns
    -------
    str
        Lines without trailing spaces; a rule below the head.

    Examples
    --------
    >>> print(text_table(("plan", "bytes"), [("a", "12"), ("bc", "345")]))
    plan  bytes
    ----  -----
    a        12
    bc      345
    """
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
