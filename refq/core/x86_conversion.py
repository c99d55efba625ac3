"""A float that becomes an integer on x86: the one conversion that every preset shares.

Problem
-------
A conversion to an integer that cannot hold the number has no answer in C. x86 has one, the "integer
indefinite": -2^31 for int32, -2^63 for int64, whatever the sign; NaN and infinities give it too.
Integers that are added afterwards wrap.

Conventions
-----------
Numbers are integral floats, kept as float64: every int32 and both indefinites are one. Tier T1.

References
----------
.. [1] Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, section 4.2.3.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["convert_on_x86", "wrap_to_int32"]


def convert_on_x86(x: NDArray[Any], bits: int = 32) -> NDArray[np.float64]:
    """Return what x86 makes of integral floats that it converts to an integer.

    Parameters
    ----------
    x : ndarray of float
        Already rounded; NaN and infinities are numbers like others here.
    bits : {32, 64}
        Of the integer.

    Returns
    -------
    ndarray of float64
        The same numbers where the integer holds them, elsewhere ``-2^(bits - 1)``.

    Notes
    -----
    Tier T1.

    Examples
    --------
    >>> convert_on_x86(np.array([7.0, 2.0**31, -np.inf, np.nan]))
    array([ 7.00000000e+00, -2.14748365e+09, -2.14748365e+09, -2.14748365e+09])
    """
    edge = 2.0 ** (bits - 1)
    wide = np.asarray(x, np.float64)
    return np.where((wide >= -edge) & (wide < edge), wide, -edge)


def wrap_to_int32(x: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return integers modulo 2^32, in the range of int32.

    Parameters
    ----------
    x : ndarray of int64
        Sums of two int32.

    Returns
    -------
    ndarray of int64
        In [-2^31, 2^31).

    Notes
    -----
    Tier T1.

    Examples
    --------
    >>> wrap_to_int32(np.array([-(2**31) - 1, 5]))
    array([2147483647,          5])
    """
    half = 1 << 31
    return ((x + half) & 0xFFFFFFFF) - half
