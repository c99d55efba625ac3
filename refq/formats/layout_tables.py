"""Tables that only other people's layouts use.

Problem
-------
GGUF and bitsandbytes fix tables of their own: numbers for the codes of IQ4_NL and MXFP4, a map of
eight bits for scales. They cost no bits, as a standard fixes them, and are no formats that anybody
would choose.

References
----------
.. [1] ggml: https://github.com/ggml-org/ggml, ``src/ggml-common.h``.
.. [2] T. Dettmers, "8-Bit Approximations for Parallelism in Deep Learning", 2015, arXiv:1511.04561:
   the dynamic tree of eight bits; bitsandbytes, ``create_dynamic_map``.
"""

import numpy as np
from numpy.typing import NDArray

from .level_tables import LevelTable

__all__ = ["LAYOUT_TABLES", "dynamic_levels"]

_F = np.float32


def _fused_spacing(start: float, stop: float, parts: int) -> NDArray[np.float32]:
    """Cut [start, stop] into equal parts from both ends, each point rounded to float32 once.

    The published map was made with fused multiply-adds: products of a float32 step and a small
    integer, and their sum with an end, are exact in float64.
    """
    first, last = float(_F(start)), float(_F(stop))
    step = float((_F(stop) - _F(start)) / _F(parts))
    i = np.arange(parts + 1)
    points = np.where(i < (parts + 1) // 2, first + step * i, last - step * (parts - i))
    return points.astype(np.float32)


def dynamic_levels() -> tuple[float, ...]:
    """Return the 256 levels of bitsandbytes' dynamic map of eight bits, to the bit.

    Returns
    -------
    tuple of float
        Ascending float32 values from -0.99296874 to 1, zero among them.

    Notes
    -----
    For the decades i = 0..6, [0.1, 1] is cut into ``2^i`` equal parts, and the middle of each,
    times ``10^(i - 6)``, is a level with either sign; 0 and 1 are added. Every step is rounded to
    float32, the spacing by one fused multiply-add. Tier T1.

    References
    ----------
    T. Dettmers, arXiv:1511.04561; bitsandbytes 0.50.2, ``create_dynamic_map``.

    Examples
    --------
    >>> levels = dynamic_levels()
    >>> len(levels), levels[0], levels[127], levels[255]
    (256, -0.992968738079071, 0.0, 1.0)
    """
    found = [0.0, 1.0]
    for i in range(7):
        ends = _fused_spacing(0.1, 1.0, 1 << i)
        middles = (ends[:-1] + ends[1:]) / _F(2) * _F(10.0 ** (i - 6))
        found += [*middles.tolist(), *(-middles).tolist()]
    return tuple(sorted(found))


_UNEVEN = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
_DOUBLED = (0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)

#: The tables that only somebody's layout uses: `get` knows them, `FORMATS` does not list them.
#: ``ggml_e8m0_half`` is half of each power of two, since ``ggml_mxfp4`` is E2M1 doubled; ggml
#: gives its code 255 a number too.
LAYOUT_TABLES: dict[str, LevelTable] = {
    table.name: table
    for table in (
        LevelTable(_UNEVEN, name="ggml_iq4_nl"),
        LevelTable(_DOUBLED, name="ggml_mxfp4"),
        LevelTable(tuple(2.0 ** (e - 128) for e in range(256)), name="ggml_e8m0_half"),
        LevelTable(dynamic_levels(), name="bnb_dynamic8"),
    )
}
