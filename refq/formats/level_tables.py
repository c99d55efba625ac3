"""Level tables: formats whose codes stand for any listed numbers.

Problem
-------
A few levels, put where the numbers are, serve better than evenly spaced ones: NF4's lie at
quantiles of the normal distribution, powers of two make products shifts.

Equation
--------
With the levels in ascending order, a <= x < b for two neighbours. "half_even", the default rounding
of every format, means the nearer one. It is decided against the midpoint (a + b) / 2 in float64,
where the sum of two float32 levels is exact (unless their exponents differ by more than 29) and so
is its half; or against a listed threshold, where a standard has its own.

Conventions
-----------
Levels stand in the order of their codes, which need not ascend. A table has no even and no odd
neighbour, so "half_even" sends a tie where the table says: "down", to the lower level (NF4, and
bitsandbytes' strict comparison of signed numbers), or "toward_zero", to the smaller magnitude
(bitsandbytes' FP4, which compares magnitudes). "half_up" and "half_away" override that: a tie goes
to the upper level, or to the larger magnitude. "floor", "ceil" and "toward_zero" take the neighbour
on their side; "toward_zero" needs a zero if the levels have both signs. A Generator takes b with
probability (x - a) / (b - a). "odd" has no meaning here and is refused. Beyond the ends nothing is
rounded: the end is taken.

``binary`` has no zero: a number of exactly 0 is a tie between -1 and +1. It goes *down*, to -1;
with ``rounding="half_up"`` or "half_away" it goes to +1: sign(0) = +1 of binarized networks.

Where both -0 and 0 are levels, negative numbers that become zero get -0; both zeros get 0, as
bitsandbytes does, which asks whether x < 0. The code of -0 is not canonical, then: its value is
encoded to another. So it is with all but the lowest of the codes of one level. See
`LevelTable.canonical`.
"""

import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import check_array, check_choice, shown
from ..core.dtypes import smallest_unsigned
from ..core.errors import DTypeError, FormatError, RangeError
from .format import OVERFLOWS, Format
from .small_floats import table_values

__all__ = ["TABLE_ROUNDINGS", "LevelTable"]

#: the roundings that are defined between two levels; a Generator rounds stochastically
TABLE_ROUNDINGS = ("half_even", "half_away", "half_up", "toward_zero", "floor", "ceil")
TIES = ("down", "toward_zero")  #: where half_even sends a tie
MAX_BITS = 16  #: width of the codes of the largest table


@dataclass(frozen=True)
class LevelTable(Format):
    """A format given by the list of its values, in the order of their codes.

    Parameters
    ----------
    levels : sequence of float
        Two to 2^16 float32 values, at least two of them different; -0 and 0 count as different.
        Of equal ones the lowest code is used. Width: as many bits as they need.
    thresholds : sequence of float
        Where the level changes, ascending, one between each two neighbours of the ascending levels.
        Empty: the midpoints.
    ties : {"down", "toward_zero"}
        Where half_even sends a number that equals a threshold. At 0 "toward_zero" goes up.
    name : str
        Empty: a name with a checksum of the levels.

    Raises
    ------
    RangeError
        If levels or thresholds cannot be so.

    Notes
    -----
    Cost of encoding: O(n log n_levels). Tier T1.

    Examples
    --------
    >>> table = LevelTable([-1.0, 0.0, 1.0], name="thirds")
    >>> table.bits, table.encode([-2.0, 0.5, 0.6]), table.values
    (2, array([0, 1, 2], dtype=uint8), array([-1.,  0.,  1., nan], dtype=float32))
    >>> table.encode([0.5, -0.1], "floor")
    array([1, 0], dtype=uint8)
    """

    levels: tuple[float, ...]
    thresholds: tuple[float, ...] = ()
    ties: str = "down"

    def __post_init__(self) -> None:
        for field in ("levels", "thresholds"):
            given = check_array(getattr(self, field), field).astype(np.float64)
            object.__setattr__(self, field, tuple(given.reshape(-1).tolist()))
        check_choice(self.ties, "ties", TIES)
        table = np.array(self.levels)
        if not 2 <= table.size <= 1 << MAX_BITS:
            raise RangeError(f"levels has {table.size} values; a table has 2..2^{MAX_BITS}")
        if not np.all(np.isfinite(table)):
            raise RangeError("levels must be finite")
        if np.any(table.astype(np.float32) != table):
            raise RangeError("levels must be float32 values: pass np.float32(levels)")
        if self._ascending.size < 2:
            raise RangeError("levels must hold two different values")
        self._check_thresholds()
        checksum = zlib.crc32(np.array([*self.levels, *self.thresholds], "<f8").tobytes())
        bits = max(1, (table.size - 1).bit_length())
        self._settle(f"levels{table.size}_{self.ties}_{checksum:08x}", bits)

    def _check_thresholds(self) -> None:
        if not self.thresholds:
            return
        between, v = np.array(self.thresholds), self._ascending
        if between.size != v.size - 1 or not np.all((v[:-1] <= between) & (between <= v[1:])):
            raise RangeError(
                f"thresholds must be {v.size - 1} numbers, one between each two neighbours of the "
                f"{v.size} ascending levels; got {between.size}"
            )

    @cached_property
    def _order(self) -> NDArray[np.intp]:
        """The lowest codes of the different levels, ascending; -0 before 0."""
        table = np.array(self.levels, np.float64)
        order = np.lexsort((~np.signbit(table), table))  # stable: the lowest code comes first
        v, negative = table[order], np.signbit(table[order])
        new = np.append(True, (v[1:] != v[:-1]) | (negative[1:] != negative[:-1]))
        return np.asarray(order[new])

    @cached_property
    def _ascending(self) -> NDArray[np.float64]:
        return np.array(self.levels, np.float64)[self._order]

    @cached_property
    def _table(self) -> NDArray[np.float32]:
        full = np.full(1 << self.bits, np.nan, np.float32)
        full[: len(self.levels)] = self.levels
        return full

    @cached_property
    def _thresholds(self) -> NDArray[np.float64]:
        v = self._ascending
        return np.array(self.thresholds) if self.thresholds else (v[:-1] + v[1:]) / 2

    @property
    def min(self) -> float:
        """The lowest level."""
        return float(self._ascending[0])

    @property
    def max(self) -> float:
        """The highest level."""
        return float(self._ascending[-1])

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
        """Take one of the two neighbours, as the module's conventions say.

        See `Format.encode`. `rounding` is one of `TABLE_ROUNDINGS` or a Generator.
        """
        a = check_array(x).astype(np.float64)  # exact for floats; float16 could not hold the levels
        self._check_rounding(rounding)
        check_choice(overflow, "overflow", OVERFLOWS)
        check_choice(nan, "nan", ["error"])
        self._refuse(np.isnan(a), a, "must not be nan")
        if overflow == "error":
            beyond = (a < self.min) | (a > self.max)
            self._refuse(beyond, a, f"is outside {self.name}'s [{self.min}, {self.max}]")
        if rounding == "half_even" and self.ties == "down":
            # side="left" counts the thresholds strictly below a: on a tie the lower level stays
            rank = np.asarray(np.searchsorted(self._thresholds, a, side="left"))
            if 0.0 in self.levels:  # what is no negative number is no -0
                zero = np.searchsorted(self._ascending, 0.0, side="right") - 1
                rank = np.where(a == 0, zero, rank)
        else:
            rank = self._rank(np.clip(a, self.min, self.max), rounding)
        return np.asarray(self._order[rank]).astype(self.dtype)

    def _rank(
        self, x: NDArray[np.float64], rounding: str | np.random.Generator
    ) -> NDArray[np.intp]:
        """Return the place, among the ascending levels, of the neighbour that is taken."""
        v = self._ascending
        low = np.asarray(np.searchsorted(v, x, side="right")) - 1
        high = np.minimum(low + 1, v.size - 1)
        a, b = v[low], v[high]
        if isinstance(rounding, np.random.Generator):
            up = rounding.random(x.shape) * (b - a) < x - a
        elif rounding == "toward_zero":
            up = (x < 0) & (x > a)
        elif rounding in ("floor", "ceil"):
            up = (x > a) & (rounding == "ceil")
        else:
            middle = self._thresholds[np.minimum(low, v.size - 2)]
            up = (x > middle) | ((x == middle) & self._tie_goes_up(a, b, middle, rounding))
        return np.where(up & (x > a), high, low)

    def _tie_goes_up(
        self,
        a: NDArray[np.float64],
        b: NDArray[np.float64],
        middle: NDArray[np.float64],
        rounding: str,
    ) -> Any:
        if rounding == "half_even":
            return (middle <= 0) & (self.ties == "toward_zero")
        return np.abs(b) >= np.abs(a) if rounding == "half_away" else True

    def _check_rounding(self, rounding: str | np.random.Generator) -> None:
        if isinstance(rounding, np.random.Generator):
            return
        check_choice(rounding, "rounding", TABLE_ROUNDINGS)
        if rounding == "toward_zero" and self.min < 0 < self.max and 0.0 not in self.levels:
            raise RangeError(
                "rounding = 'toward_zero' needs a zero among the levels, "
                f"and {self.name} has none: use 'floor' or 'ceil'"
            )

    def decode(self, codes: NDArray[Any]) -> NDArray[Any]:
        """Return the levels; a code past the table is NaN only in `values`, else an error."""
        if codes.dtype.kind not in "iu":
            raise DTypeError(f"codes of {self.name} have dtype {codes.dtype}; integers are needed")
        if codes.size and (int(codes.max()) >= len(self.levels) or int(codes.min()) < 0):
            bad = (codes < 0) | (codes >= len(self.levels))
            index = np.unravel_index(int(np.argmax(bad)), codes.shape)
            raise FormatError(
                f"codes{shown(index)} = {codes[index]}; {self.name} has {len(self.levels)} codes"
            )
        return table_values(codes, self._table, self.dtype)

    def canonical(self, codes: NDArray[Any]) -> NDArray[Any]:
        """Return codes with 0's in the place of -0's: what encoding their values gives.

        Parameters
        ----------
        codes : ndarray of `dtype`
            Codes that exist.

        Returns
        -------
        ndarray of `dtype`
            Same shape, same values but for the sign of zero.

        Examples
        --------
        >>> LevelTable((-1.0, -0.0, 0.0, 1.0)).canonical(np.array([0, 1, 2], np.uint8))
        array([0, 2, 2], dtype=uint8)
        """
        return np.asarray(self.encode(np.array(self.levels, np.float32))[codes])

    @property
    def values(self) -> NDArray[Any]:
        """Every level in order of its code, NaN where there is none."""
        return self._table.copy()

    def reach(self, codes: NDArray[Any]) -> NDArray[np.float64]:
        """How far the farther of a level's two thresholds is; the ends reach no further outward."""
        v, t = self._ascending, self._thresholds
        up, down = np.append(t - v[:-1], 0.0), np.insert(v[1:] - t, 0, 0.0)
        by_level = dict(zip(v.tolist(), np.maximum(up, down).tolist(), strict=True))
        return np.array([by_level[level] for level in self.levels])[codes]

    @staticmethod
    def _refuse(bad: NDArray[Any], a: NDArray[Any], why: str) -> None:
        if bad.any():
            index = np.unravel_index(int(np.argmax(bad)), a.shape)
            raise RangeError(f"x{shown(index)} = {a[index]} {why}")
