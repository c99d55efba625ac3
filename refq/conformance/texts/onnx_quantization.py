"""ONNX's text on quantization, sentence by sentence, in exact arithmetic.

Conventions
-----------
Numbers are `Fraction`, codes are `int`. Infinity is a float, everything else converts exactly.
The operators are QuantizeLinear and DequantizeLinear of opset 28, for integer types.
"""

import math
from fractions import Fraction

__all__ = [
    "FLOAT_TYPES",
    "INTEGER_RANGES",
    "add_zero_point",
    "dequantize_linear",
    "divide",
    "quantize_linear",
    "round_half_even",
    "round_to_float",
    "saturate",
]

#: "Saturation is done according to": inclusive ranges.
INTEGER_RANGES = {
    "uint16": (0, 65535),
    "int16": (-32768, 32767),
    "uint8": (0, 255),
    "int8": (-128, 127),
    "uint4": (0, 15),
    "int4": (-8, 7),
    "uint2": (0, 3),
    "int2": (-2, 1),
}

#: IEEE 754 binary formats: bits of the significand, smallest and largest exponent.
FLOAT_TYPES = {"float16": (11, -14, 15), "float32": (24, -126, 127), "float64": (53, -1022, 1023)}


def round_half_even(value: Fraction) -> int:
    """Return the nearest integer; "it rounds to the nearest even" of two that are as near.

    Parameters
    ----------
    value : Fraction
        Any rational number.

    Returns
    -------
    int
        The integer.

    Examples
    --------
    >>> round_half_even(Fraction(5, 2)), round_half_even(Fraction(-7, 2))
    (2, -4)
    """
    below = value.numerator // value.denominator
    rest = value - below
    if rest == Fraction(1, 2):
        return below if below % 2 == 0 else below + 1
    return below if rest < Fraction(1, 2) else below + 1


def round_to_float(value: Fraction, kind: str) -> Fraction | float:
    """Return the float nearest to a rational number, ties to even, as IEEE 754 rounds.

    Parameters
    ----------
    value : Fraction
        Any rational number.
    kind : {"float16", "float32", "float64"}
        The type.

    Returns
    -------
    Fraction or float
        The float's exact value; an infinity beyond the largest.

    Examples
    --------
    >>> round_to_float(Fraction(1, 10), "float32")
    Fraction(13421773, 134217728)
    """
    bits, least, largest = FLOAT_TYPES[kind]
    if value == 0:
        return Fraction(0)
    size = abs(value)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    if size < Fraction(2) ** exponent:
        exponent -= 1
    step = Fraction(2) ** (max(exponent, least) - bits + 1)
    rounded = round_half_even(size / step) * step
    if rounded >= Fraction(2) ** (largest + 1):
        return math.copysign(math.inf, value)
    return rounded if value > 0 else -rounded


def divide(x: Fraction | float, scale: Fraction, kind: str) -> Fraction | float:
    """Return ``x / y_scale``: "the type of y_scale determines the precision of the division".

    Parameters
    ----------
    x : Fraction or infinity
        Rounded to the type first.
    scale : Fraction
        A number of the type.
    kind : str
        One of `FLOAT_TYPES`.

    Returns
    -------
    Fraction or float
        The rounded quotient; an infinity where it overflows.

    Examples
    --------
    >>> divide(Fraction(1), Fraction(2), "float32")
    Fraction(1, 2)
    """
    if not isinstance(x, Fraction):
        return x
    near = round_to_float(x, kind)
    return round_to_float(near / scale, kind) if isinstance(near, Fraction) else near


def add_zero_point(quotient: Fraction | float, zero_point: int) -> int | float:
    """Return ``round(x / y_scale) + y_zero_point``: rounded first, then added.

    Parameters
    ----------
    quotient : Fraction or infinity
        What is rounded.
    zero_point : int
        What is added.

    Returns
    -------
    int or float
        An integer, or the infinity.

    Examples
    --------
    >>> add_zero_point(Fraction(1, 2), 1)
    1
    """
    if not isinstance(quotient, Fraction):
        return quotient
    return round_half_even(quotient) + zero_point


def saturate(value: int | float, low: int, high: int) -> int:
    """Return the nearest code.

    Parameters
    ----------
    value : int or infinity
        Before saturation.
    low, high : int
        The inclusive range.

    Returns
    -------
    int
        Within the range.

    Examples
    --------
    >>> saturate(300, 0, 255), saturate(-math.inf, 0, 255)
    (255, 0)
    """
    if value <= low:
        return low
    return high if value >= high else int(value)


def quantize_linear(
    x: Fraction | float, scale: Fraction, zero_point: int, kind: str, low: int, high: int
) -> int:
    """Return ``y = saturate(round(x / y_scale) + y_zero_point)``.

    Parameters
    ----------
    x : Fraction or infinity
        The number.
    scale : Fraction
        Positive, a number of the type `kind`.
    zero_point : int
        Within the range.
    kind : str
        The type of the scale, one of `FLOAT_TYPES`.
    low, high : int
        The range of codes.

    Returns
    -------
    int
        The code.

    Examples
    --------
    >>> quantize_linear(Fraction(5, 2), Fraction(1), 1, "float32", 0, 255)
    3
    """
    return saturate(add_zero_point(divide(x, scale, kind), zero_point), low, high)


def dequantize_linear(q: int, scale: Fraction, zero_point: int, kind: str) -> Fraction | float:
    """Return ``y = (x - x_zero_point) * x_scale``, the product rounded once.

    Parameters
    ----------
    q : int
        The code.
    scale : Fraction
        A number of the type `kind`.
    zero_point : int
        Subtracted in the integers: nothing overflows.
    kind : str
        The type of the scale, one of `FLOAT_TYPES`.

    Returns
    -------
    Fraction or float
        The number; an infinity where it overflows.

    Examples
    --------
    >>> dequantize_linear(255, Fraction(1, 2), 128, "float32")
    Fraction(127, 2)
    """
    return round_to_float((q - zero_point) * scale, kind)
