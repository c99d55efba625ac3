"""Which NumPy dtype holds codes of a width that NumPy has no dtype for."""

from typing import Any

import numpy as np

from .checks import check_integer

__all__ = ["smallest_unsigned"]


def smallest_unsigned(bits: int) -> np.dtype[Any]:
    """Return the smallest unsigned dtype of at least `bits` bits.

    Parameters
    ----------
    bits : int
        In [1, 64].

    Returns
    -------
    dtype
        uint8, uint16, uint32 or uint64.

    Raises
    ------
    RangeError
        If `bits` is outside.

    Examples
    --------
    >>> smallest_unsigned(17)
    dtype('uint32')
    """
    check_integer(bits, "bits", 1, 64)
    return np.dtype(next(f"u{n}" for n in (1, 2, 4, 8) if 8 * n >= bits))
