"""Sliding windows: kernel size, stride, padding, dilation, and the size of what they give.

Equation
--------
``out = floor((in + before + after - (dilation * (kernel - 1) + 1)) / stride) + 1``

Conventions
-----------
Pairs are (height, width). Padding is an int, a pair, or (top, left, bottom, right) as in ONNX.
"""

from typing import Any

from ..core.checks import check_integer
from ..core.errors import ShapeError

__all__ = ["check_padding", "check_pair", "output_length"]


def check_pair(value: Any, name: str, low: int = 1) -> tuple[int, int]:
    """Return (height, width) of one integer or two.

    Parameters
    ----------
    value : int or pair of int
        One integer stands for both.
    name : str
        How messages call it.
    low : int
        The least that is allowed.

    Returns
    -------
    tuple of int
        Two integers.

    Raises
    ------
    ShapeError
        If there are not one or two.
    RangeError
        If one is below `low` or no integer.

    Examples
    --------
    >>> check_pair(3, "stride"), check_pair((1, 2), "stride")
    ((3, 3), (1, 2))
    """
    values = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(values) != 2:
        raise ShapeError(f"{name} = {value!r} must be an int or a pair (height, width)")
    return check_integer(values[0], name, low), check_integer(values[1], name, low)


def check_padding(value: Any, name: str = "padding") -> tuple[int, int, int, int]:
    """Return (top, left, bottom, right) of one integer, two or four.

    Parameters
    ----------
    value : int, pair or four of int
        A pair is (vertical, horizontal), each on both sides.
    name : str
        How messages call it.

    Returns
    -------
    tuple of int
        Four integers, none negative.

    Raises
    ------
    ShapeError
        If there are not one, two or four.
    RangeError
        If one is negative or no integer.

    Examples
    --------
    >>> check_padding(1), check_padding((1, 2)), check_padding((0, 1, 2, 3))
    ((1, 1, 1, 1), (1, 2, 1, 2), (0, 1, 2, 3))
    """
    values = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(values) == 2:
        values = (*values, *values)
    if len(values) != 4:
        raise ShapeError(
            f"{name} = {value!r} must be an int, a pair, or (top, left, bottom, right)"
        )
    top, left, bottom, right = (check_integer(v, name, 0) for v in values)
    return top, left, bottom, right


def output_length(
    length: int, kernel: int, stride: int, dilation: int, padding: int, name: str
) -> int:
    """Return how many windows fit along one axis.

    Parameters
    ----------
    length, kernel, stride, dilation : int
        Of that axis.
    padding : int
        Before and after, together.
    name : str
        The axis, for the message.

    Returns
    -------
    int
        At least one.

    Raises
    ------
    ShapeError
        If not even one window fits.

    Examples
    --------
    >>> output_length(8, 3, 2, 1, 2, "height")
    4
    """
    span = dilation * (kernel - 1) + 1
    if length + padding < span:
        raise ShapeError(
            f"the kernel spans {span} along the {name}, the padded input only {length + padding}"
        )
    return (length + padding - span) // stride + 1
