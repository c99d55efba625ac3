"""Rounding to integers, and the one function that turns floats into integers.

Problem
-------
"Round to nearest" is five different functions, and casting a float that is out of range to an
integer is undefined in C and wraps in NumPy: ``np.float32(1e10).astype(np.int8)`` is not 127.

Equation
--------
``saturate(x) = cast(clip(round(x), low, high))``: clip in float, then cast, in this order.

Conventions
-----------
A rounding maps floats to integral floats of the same dtype, keeps NaN and infinities, and is exact:
no ``x + 0.5`` (which rounds a second time: 0.49999997 + 0.5 is 1.0 in float32).

References
----------
.. [1] IEEE Std 754-2019, section 4.3: rounding-direction attributes.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checks import check_choice, shown
from .errors import RangeError

__all__ = ["NAN_POLICIES", "ROUNDINGS", "round_to_integer", "saturate", "stochastic_round"]


def _half_away(x: NDArray[Any]) -> NDArray[Any]:
    whole = np.trunc(x)
    # x - trunc(x) is exact (Sterbenz), so the comparison with one half is exact too
    with np.errstate(invalid="ignore"):
        return np.where(np.abs(x - whole) >= 0.5, whole + np.sign(x), whole).astype(x.dtype)


def _half_up(x: NDArray[Any]) -> NDArray[Any]:
    below = np.floor(x)
    # For tiny negative x the difference rounds to 1; it is still >= 0.5, and so is the true one
    with np.errstate(invalid="ignore"):
        return np.where(x - below >= 0.5, below + 1, below).astype(x.dtype)


def _odd(x: NDArray[Any]) -> NDArray[Any]:
    below, above = np.floor(x), np.ceil(x)
    with np.errstate(invalid="ignore"):
        return np.where(np.fmod(below, 2) == 0, above, below).astype(x.dtype)


#: Every deterministic rounding by name. "odd": what is not an integer goes to the odd neighbour.
ROUNDINGS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "half_even": np.rint,
    "half_away": _half_away,
    "half_up": _half_up,
    "toward_zero": np.trunc,
    "floor": np.floor,
    "ceil": np.ceil,
    "odd": _odd,
}

NAN_POLICIES = ("error", "zero", "low", "high")  #: what `saturate` may do with NaN


def stochastic_round(x: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Round up with probability equal to the fraction, so that the mean is `x`.

    Parameters
    ----------
    x : ndarray of float
        Any shape.
    rng : numpy.random.Generator
        Its state moves by ``x.size`` draws of float64.

    Returns
    -------
    ndarray
        Integral floats, same shape and dtype.

    Notes
    -----
    Unbiased up to the 53-bit grid of the draw. Tier T1 for a given generator state.

    Examples
    --------
    >>> x = np.full(10000, 0.25)
    >>> bool(abs(stochastic_round(x, np.random.default_rng(0)).mean() - 0.25) < 0.02)
    True
    """
    below = np.floor(x)
    with np.errstate(invalid="ignore"):
        return (below + (rng.random(x.shape) < x - below)).astype(x.dtype)


def round_to_integer(
    x: NDArray[Any], rounding: str | np.random.Generator = "half_even"
) -> NDArray[Any]:
    """Round to integral floats by the named rule.

    Parameters
    ----------
    x : ndarray of float
        Any shape.
    rounding : str or numpy.random.Generator
        One of `ROUNDINGS`, or a Generator for stochastic rounding.

    Returns
    -------
    ndarray
        Integral floats, same shape and dtype; NaN and infinities stay.

    Raises
    ------
    RangeError
        If the name is unknown.

    Notes
    -----
    Exact: no rule adds one half. Tier T1.

    Examples
    --------
    >>> x = np.array([-2.5, -0.5, 0.5, 1.5, 2.5])
    >>> for name in ("half_even", "half_away", "half_up"):
    ...     print(name, round_to_integer(x, name) + 0.0)
    half_even [-2.  0.  0.  2.  2.]
    half_away [-3. -1.  1.  2.  3.]
    half_up [-2.  0.  1.  2.  3.]
    """
    if isinstance(rounding, np.random.Generator):
        return stochastic_round(x, rounding)
    return ROUNDINGS[check_choice(rounding, "rounding", ROUNDINGS)](x)


def saturate(
    x: NDArray[Any], low: int, high: int, dtype: Any, nan: str = "error", name: str = "x"
) -> NDArray[Any]:
    """Clip integral floats to [low, high], then cast: the only cast from float to integer in refq.

    Parameters
    ----------
    x : ndarray of float
        Already rounded. Infinities saturate.
    low, high : int
        Inclusive; both within `dtype`.
    dtype : dtype
        The integer dtype of the result.
    nan : {"error", "zero", "low", "high"}
        What NaN becomes.
    name : str
        How the message calls `x`.

    Returns
    -------
    ndarray
        Of `dtype`, same shape.

    Raises
    ------
    RangeError
        If an element is NaN and ``nan="error"``, with its index.

    Notes
    -----
    `high` may not be a float of x's dtype (2^31 - 1 in float32): the comparison is made in float,
    what lies at or above it becomes `high` as an integer. Tier T1.

    Examples
    --------
    >>> saturate(np.array([-1e10, 3.0, np.inf], np.float32), -128, 127, np.int8)
    array([-128,    3,  127], dtype=int8)
    """
    check_choice(nan, "nan", NAN_POLICIES)
    missing = np.isnan(x)
    if missing.any():
        if nan == "error":
            where = shown(np.unravel_index(int(np.argmax(missing)), x.shape))
            raise RangeError(f"{name}{where} is nan; pass nan='zero', 'low' or 'high' to allow it")
        x = np.where(missing, {"zero": 0, "low": low, "high": high}[nan], x)
    under, over = x <= low, x >= high
    inside = np.where(under | over, x.dtype.type(0), x).astype(dtype)
    return np.where(over, np.asarray(high, dtype), np.where(under, np.asarray(low, dtype), inside))
