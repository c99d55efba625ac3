"""How laws compare: every bit, and the words for the first difference."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.checks import shown
from .registry import LawViolation

__all__ = ["first_difference", "need", "need_same", "same_bits"]


def same_bits(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Return whether dtype, shape and every bit agree; NaN equals the same NaN, -0 is not 0.

    Parameters
    ----------
    a, b : ndarray
        Any.

    Returns
    -------
    bool
        True if nothing differs.

    Examples
    --------
    >>> same_bits(np.array([0.0]), np.array([-0.0]))
    False
    """
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def first_difference(expected: NDArray[Any], got: NDArray[Any]) -> tuple[str, str]:
    """Return two words that show where arrays differ first.

    Parameters
    ----------
    expected, got : ndarray
        They differ in dtype, shape or an element.

    Returns
    -------
    expected : str
        What stands in the first.
    got : str
        What stands in the second.

    Examples
    --------
    >>> first_difference(np.array([1, 2]), np.array([1, 3]))
    ('[1]: 2', '[1]: 3')
    """
    if expected.dtype != got.dtype or expected.shape != got.shape:
        return f"{expected.dtype} {expected.shape}", f"{got.dtype} {got.shape}"
    for index in np.ndindex(*expected.shape):
        a, b = expected[index], got[index]
        if a.tobytes() != b.tobytes():
            return f"{shown(index)}: {a!s}", f"{shown(index)}: {b!s}"
    return "the same", "the same"


def need_same(given: str, expected: NDArray[Any], got: NDArray[Any]) -> None:
    """Raise unless dtype, shape and every bit agree.

    Parameters
    ----------
    given : str
        The first line of the story.
    expected, got : ndarray
        What is compared.

    Raises
    ------
    LawViolation
        Showing the first difference.

    Examples
    --------
    >>> need_same("two ones", np.ones(2), np.ones(2))
    """
    if not same_bits(expected, got):
        raise LawViolation(given, *first_difference(expected, got))


def need(ok: bool, given: str, expected: str, got: str) -> None:
    """Raise unless `ok`.

    Parameters
    ----------
    ok : bool
        Whether the law holds here.
    given, expected, got : str
        The story.

    Raises
    ------
    LawViolation
        With that story.

    Examples
    --------
    >>> need(True, "", "", "")
    """
    if not ok:
        raise LawViolation(given, expected, got)
