"""Bits against precision: levels, range and step of every width.

Equation
--------
b bits have ``2^b`` levels. Over [-1, 1] they lie ``2 / (2^b - 1)`` apart if both ends are levels
(asymmetric), ``1 / 2^(b-1)`` if the codes are those of two's complement (full), and
``1 / (2^(b-1) - 1)`` if the lowest code is left out so that the range is symmetric (restricted).

Conventions
-----------
Steps are exact fractions. One bit more halves the full step; the other two come closer to half from
either side. Rounding to nearest is off by at most half a step.

References
----------
.. [1] R. Krishnamoorthi, "Quantizing deep convolutional networks for efficient inference: A
   whitepaper", 2018, arXiv:1806.08342.
"""

from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

from ..core.checks import check_integer

__all__ = ["Width", "width_table"]


class Width(NamedTuple):
    """What so many bits can hold.

    Parameters
    ----------
    bits : int
        Of one code.
    levels : int
        How many codes.
    signed, unsigned : pair of int
        The inclusive range of codes.
    asymmetric, full : Fraction
        The step over [-1, 1].
    restricted : Fraction or None
        Likewise; one bit has no symmetric codes.

    Examples
    --------
    >>> width_table([2])[0].restricted
    Fraction(1, 1)
    """

    bits: int
    levels: int
    signed: tuple[int, int]
    unsigned: tuple[int, int]
    asymmetric: Fraction
    full: Fraction
    restricted: Fraction | None


def width_table(bits: Iterable[int] = range(1, 17)) -> list[Width]:
    """Return levels, ranges and steps per width.

    Parameters
    ----------
    bits : iterable of int
        Each in [1, 64].

    Returns
    -------
    list of Width
        One row each.

    Raises
    ------
    RangeError
        If a width is out of range.

    Examples
    --------
    >>> for row in width_table([4, 8]):
    ...     print(row.bits, row.levels, row.signed, row.asymmetric, row.full, row.restricted)
    4 16 (-8, 7) 2/15 1/8 1/7
    8 256 (-128, 127) 2/255 1/128 1/127
    """
    rows = []
    for b in (check_integer(b, "bits", 1, 64) for b in bits):
        half, levels = 1 << (b - 1), 1 << b
        rows.append(
            Width(
                bits=b,
                levels=levels,
                signed=(-half, half - 1),
                unsigned=(0, levels - 1),
                asymmetric=Fraction(2, levels - 1),
                full=Fraction(1, half),
                restricted=Fraction(1, half - 1) if b > 1 else None,
            )
        )
    return rows
