"""Level tables: formats whose codes stand for any listed numbers.

Problem
-------
NF4 [1]_ puts its sixteen levels at quantiles of the normal distribution, so that normally
distributed weights use every code about equally often.

Equation
--------
Encoding takes the nearest level. Between two levels a < b the decision is made against the
midpoint (a + b) / 2 in float64, where the sum of two float32 levels is exact (unless their
exponents differ by more than 29) and so is its half. A tie goes to the lower code.

Conventions
-----------
NF4's numbers depend on the float32 steps that made them: quantiles of the normal distribution at
evenly spaced probabilities from 0.9677083 to one half, eight above zero and seven below, everything
rounded to float32, then divided by the largest. `normal_float_levels` repeats the steps.

References
----------
.. [1] T. Dettmers et al., "QLoRA: Efficient Finetuning of Quantized LLMs", arXiv:2305.14314, 2023.
"""

from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import check_array, check_choice, shown
from ..core.dtypes import smallest_unsigned
from ..core.errors import DTypeError, FormatError, RangeError
from .format import OVERFLOWS, Format

__all__ = ["LevelTable", "normal_float_levels"]

_F = np.float32


def _even_spacing(start: float, stop: float, count: int) -> list[np.float32]:
    """Space float32 values from both ends towards the middle, as the published table did."""
    first, last = _F(start), _F(stop)
    step = (last - first) / _F(count - 1)
    return [
        first + step * _F(i) if i < count // 2 else last - step * _F(count - 1 - i)
        for i in range(count)
    ]


def normal_float_levels(bits: int = 4, offset: float = 0.9677083) -> tuple[float, ...]:
    """Return the levels of NormalFloat: NF4 for four bits, to the bit.

    Parameters
    ----------
    bits : int
        Width of a code, two or more.
    offset : float
        The probability whose quantile becomes 1.0.

    Returns
    -------
    tuple of float
        ``2**bits`` ascending float32 values from -1 to 1, zero among them.

    Notes
    -----
    Half of the levels are positive, one is zero, the rest negative. Tier T1.

    References
    ----------
    T. Dettmers et al., arXiv:2305.14314, section 3 and appendix E.

    Examples
    --------
    >>> normal_float_levels()[:3]
    (-1.0, -0.6961928009986877, -0.5250730514526367)
    """
    half = 1 << (bits - 1)
    quantile = NormalDist().inv_cdf
    above = [_F(quantile(float(p))) for p in _even_spacing(offset, 0.5, half + 1)[:-1]]
    below = [_F(-quantile(float(p))) for p in _even_spacing(offset, 0.5, half)[:-1]]
    levels = sorted([*below, _F(0), *above])
    return tuple(float(level / max(levels)) for level in levels)


@dataclass(frozen=True)
class LevelTable(Format):
    """A format given by the ascending list of its values.

    Parameters
    ----------
    name : str
        The table's name.
    bits : int
        Width of one code.
    levels : tuple of float
        Ascending, distinct float32 values, at most ``2**bits``.

    Examples
    --------
    >>> table = LevelTable("thirds", 2, (-1.0, 0.0, 1.0))
    >>> table.encode([-2.0, 0.5, 0.6]), table.values
    (array([0, 1, 2], dtype=uint8), array([-1.,  0.,  1., nan], dtype=float32))
    """

    levels: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        table = np.array(self.levels, np.float64)
        if not 2 <= table.size <= 1 << self.bits:
            raise RangeError(f"levels has {table.size} values; {self.bits} bits need 2..2**bits")
        if not np.all(np.isfinite(table)) or not np.all(np.diff(table) > 0):
            raise RangeError("levels must be finite and strictly ascending")
        if np.any(table.astype(np.float32) != table):
            raise RangeError("levels must be float32 values: round them before")

    @cached_property
    def _table(self) -> NDArray[np.float32]:
        full = np.full(1 << self.bits, np.nan, np.float32)
        full[: len(self.levels)] = self.levels
        return full

    @cached_property
    def _midpoints(self) -> NDArray[np.float64]:
        table = np.array(self.levels, np.float64)
        return (table[:-1] + table[1:]) / 2

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
        """Return the nearest level's code; only one rounding is defined, ties go to the lower code.

        See `Format.encode`. `rounding` is accepted as "half_even" for the common signature.
        """
        a = check_array(x).astype(np.float64)  # exact for floats; float16 could not hold the levels
        check_choice(rounding, "rounding", ["half_even"])
        check_choice(overflow, "overflow", OVERFLOWS)
        check_choice(nan, "nan", ["error"])
        self._refuse(np.isnan(a), a, "must not be nan")
        if overflow == "error":
            beyond = (a < self.levels[0]) | (a > self.levels[-1])
            span = f"[{self.levels[0]}, {self.levels[-1]}]"
            self._refuse(beyond, a, f"is outside {self.name}'s {span}")
        # side="left" counts the midpoints strictly below a: on a tie the lower level stays
        return np.asarray(np.searchsorted(self._midpoints, a, side="left")).astype(self.dtype)

    def decode(self, codes: NDArray[Any]) -> NDArray[Any]:
        """Return the levels; a code past the table is NaN only in `values`, else an error."""
        if codes.dtype.kind not in "iu":
            raise DTypeError(f"codes of {self.name} have dtype {codes.dtype}; integers are needed")
        bad = (codes < 0) | (codes >= len(self.levels))
        if bad.any():
            index = np.unravel_index(int(np.argmax(bad)), codes.shape)
            raise FormatError(
                f"codes{shown(index)} = {codes[index]}; {self.name} has {len(self.levels)} codes"
            )
        return np.asarray(self._table[codes])

    @property
    def values(self) -> NDArray[Any]:
        """Every level in order of its code, NaN where there is none."""
        return self._table.copy()

    @staticmethod
    def _refuse(bad: NDArray[Any], a: NDArray[Any], why: str) -> None:
        if bad.any():
            index = np.unravel_index(int(np.argmax(bad)), a.shape)
            raise RangeError(f"x{shown(index)} = {a[index]} {why}")
