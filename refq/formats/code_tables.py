"""Code tables: formats whose codes stand for listed numbers, in an order of their own.

Problem
-------
Other people's tables need not ascend, and may spend two codes on one number: ggml's MXFP4 has its
negative numbers last, and a second zero. Their bytes are kept only if every code keeps its place.

Equation
--------
``decode(c) = levels[c]``. Encoding takes the nearest number, the lower one on a tie (decided
against the midpoint in float64, where it is exact for float32 levels whose exponents differ by at
most 29), and the lowest of the codes that mean it.

References
----------
.. [1] ggml: https://github.com/ggml-org/ggml, ``src/ggml-common.h``.
.. [2] T. Dettmers, "8-Bit Approximations for Parallelism in Deep Learning", 2015, arXiv:1511.04561:
   the dynamic tree of eight bits; bitsandbytes, ``create_dynamic_map``.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import check_array, check_choice, shown
from ..core.dtypes import smallest_unsigned
from ..core.errors import DTypeError, FormatError, RangeError, RefqError
from .format import OVERFLOWS, Format

__all__ = ["CODE_TABLES", "CodeTable", "dynamic_levels"]

_F = np.float32


@dataclass(frozen=True)
class CodeTable(Format):
    """A format given by what each of its codes means.

    Parameters
    ----------
    name : str
        The table's name.
    bits : int
        Width of one code.
    levels : tuple of float
        ``2**bits`` finite float32 values, in any order; equal ones are allowed.

    Raises
    ------
    RangeError
        If there are more or fewer values, or one is no finite float32.

    Examples
    --------
    >>> signs = CodeTable("signs", 2, (0.0, 1.0, 0.0, -1.0))
    >>> signs.encode([0.1, -2.0, 0.5]), signs.decode(np.array([2, 3], np.uint8))
    (array([0, 3, 0], dtype=uint8), array([ 0., -1.], dtype=float32))
    """

    levels: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        table = np.array(self.levels, np.float64)
        if table.size != 1 << self.bits:
            raise RangeError(f"levels has {table.size} values; {self.bits} bits need 2**bits")
        if not np.all(np.isfinite(table)) or np.any(table.astype(np.float32) != table):
            raise RangeError("levels must be finite float32 values: round them before")

    @cached_property
    def _table(self) -> NDArray[np.float32]:
        return np.array(self.levels, np.float32)

    @cached_property
    def _ascending(self) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """The midpoints of the distinct values, and the lowest code of each value."""
        values, codes = np.unique(np.array(self.levels, np.float64), return_index=True)
        return (values[:-1] + values[1:]) / 2, codes

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest unsigned dtype."""
        return smallest_unsigned(self.bits)

    @property
    def value_dtype(self) -> np.dtype[Any]:
        """float32."""
        return np.dtype(np.float32)

    def encode(
        self,
        x: ArrayLike,
        rounding: str | np.random.Generator = "half_even",
        overflow: str = "saturate",
        nan: str = "error",
    ) -> NDArray[Any]:
        """Return the nearest number's lowest code; a tie goes to the lower number.

        See `Format.encode`. `rounding` is accepted as "half_even" for the common signature.
        """
        a = check_array(x).astype(np.float64)
        check_choice(rounding, "rounding", ["half_even"])
        check_choice(overflow, "overflow", OVERFLOWS)
        check_choice(nan, "nan", ["error"])
        self._refuse(np.isnan(a), a, "must not be nan", RangeError)
        if overflow == "error":
            low, high = min(self.levels), max(self.levels)
            span = f"is outside {self.name}'s [{low}, {high}]"
            self._refuse((a < low) | (a > high), a, span, RangeError)
        midpoints, codes = self._ascending
        return codes[np.searchsorted(midpoints, a, side="left")].astype(self.dtype)

    def decode(self, codes: NDArray[Any]) -> NDArray[Any]:
        """Return what the codes mean."""
        if codes.dtype.kind not in "iu":
            raise DTypeError(f"codes of {self.name} have dtype {codes.dtype}; integers are needed")
        if codes.dtype != self.dtype or self.bits != 8 * self.dtype.itemsize:
            self._refuse((codes < 0) | (codes >= 1 << self.bits), codes, f"is no {self.name}")
        return np.asarray(self._table[codes])

    @staticmethod
    def _refuse(
        bad: NDArray[Any], a: NDArray[Any], why: str, error: type[RefqError] = FormatError
    ) -> None:
        if bad.any():
            index = np.unravel_index(int(np.argmax(bad)), a.shape)
            raise error(f"x{shown(index)} = {a[index]} {why}")


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


def _fp4_levels() -> tuple[float, ...]:
    up = [float(_F(v) / _F(12)) for v in (0.0, 0.0625, 8.0, 12.0, 4.0, 6.0, 2.0, 3.0)]
    return (*up, *(-v for v in up))


_UNEVEN = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
_DOUBLED = (0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)

#: The tables that only somebody's layout uses: `get` knows them, `FORMATS` does not list them.
#: ``ggml_e8m0_half`` is half of each power of two, since ``ggml_mxfp4`` is E2M1 doubled; ggml
#: gives its code 255 a number too.
CODE_TABLES: dict[str, Format] = {
    table.name: table
    for table in (
        CodeTable("ggml_iq4_nl", 4, tuple(map(float, _UNEVEN))),
        CodeTable("ggml_mxfp4", 4, tuple(map(float, _DOUBLED))),
        CodeTable("ggml_e8m0_half", 8, tuple(2.0 ** (e - 128) for e in range(256))),
        CodeTable("bnb_dynamic8", 8, dynamic_levels()),
        CodeTable("bnb_fp4", 4, _fp4_levels()),
    )
}
