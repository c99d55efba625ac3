"""Operators between the products, on codes: real arithmetic, then ONNX's quantization formula.

Conventions
-----------
Codes are `int`, scales `Fraction`. An operand is ``(code - zero_point) * scale``; a result is
``saturate(round_half_even(real / y_scale) + y_zero_point)``. What is not rational is enclosed
between two fractions that round alike. The operators are com.microsoft's QLinearAdd, QLinearMul,
QLinearAveragePool, QLinearConcat, QLinearLeakyRelu, QLinearSigmoid and QLinearSoftmax.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction

from .onnx_quantization import round_half_even, saturate

__all__ = ["code_of", "exponential", "leaky_relu", "mean", "real", "sigmoid", "softmax"]

Interval = tuple[Fraction, Fraction]


def real(code: int, scale: Fraction, zero_point: int) -> Fraction:
    """Return the number that a code means.

    Parameters
    ----------
    code : int
        Of an operand.
    scale : Fraction
        Positive.
    zero_point : int
        The code that means zero.

    Returns
    -------
    Fraction
        ``(code - zero_point) * scale``.

    Examples
    --------
    >>> real(3, Fraction(1, 2), 1)
    Fraction(1, 1)
    """
    return (code - zero_point) * scale


def code_of(number: Fraction, scale: Fraction, zero_point: int, low: int, high: int) -> int:
    """Return the code of a number: a sum, a product, or the number itself.

    Parameters
    ----------
    number : Fraction
        Any rational number.
    scale : Fraction
        Positive.
    zero_point, low, high : int
        Codes.

    Returns
    -------
    int
        In [low, high].

    Examples
    --------
    >>> code_of(Fraction(5, 2), Fraction(1), 1, 0, 255)
    3
    """
    return saturate(round_half_even(number / scale) + zero_point, low, high)


def leaky_relu(number: Fraction, alpha: Fraction) -> Fraction:
    """Return the number, or alpha times it where it is negative.

    Parameters
    ----------
    number, alpha : Fraction
        Any rational numbers.

    Returns
    -------
    Fraction
        Exact.

    Examples
    --------
    >>> leaky_relu(Fraction(-4), Fraction(1, 8))
    Fraction(-1, 2)
    """
    return number if number >= 0 else alpha * number


def mean(numbers: Sequence[Fraction], count: int) -> Fraction:
    """Return the sum of numbers over a count, which may include padding.

    Parameters
    ----------
    numbers : sequence of Fraction
        Of one window.
    count : int
        Positive.

    Returns
    -------
    Fraction
        Exact.

    Examples
    --------
    >>> mean([Fraction(1), Fraction(2)], 2)
    Fraction(3, 2)
    """
    return sum(numbers, Fraction(0)) / count


def exponential(x: Fraction, digits: int) -> Interval:
    """Enclose e^x.

    Parameters
    ----------
    x : Fraction
        Any rational number.
    digits : int
        How many decimal digits, about.

    Returns
    -------
    low, high : Fraction
        ``low <= e^x <= high``, relatively ``10^-digits`` apart or less.

    Examples
    --------
    >>> low, high = exponential(Fraction(1), 20)
    >>> float(low), float(high)
    (2.718281828459045, 2.718281828459045)
    """
    halvings = max(0, (abs(x.numerator) // x.denominator).bit_length() + 1)
    small = x / 2**halvings  # below one half
    term, total, n = Fraction(1), Fraction(0), 0
    grid = 10 ** (digits + halvings + 5)
    while abs(term) * grid >= 1:
        total, n = total + term, n + 1
        term = Fraction(round_half_even(term * small / n * grid * 1000), grid * 1000)
    low = Fraction(total.numerator * grid // total.denominator - 3, grid)
    high = low + Fraction(7, grid)
    for _ in range(halvings):
        low = Fraction(int(low * low * grid), grid)
        high = Fraction(int(high * high * grid) + 1, grid)
    return low, high


def sigmoid(x: Fraction, scale: Fraction, zero_point: int, low: int, high: int) -> int:
    """Return the code of ``1 / (1 + e^-x)``.

    Parameters
    ----------
    x : Fraction
        The argument, in [-80, 80].
    scale : Fraction
        Positive.
    zero_point, low, high : int
        Codes.

    Returns
    -------
    int
        In [low, high].

    Examples
    --------
    >>> sigmoid(Fraction(0), Fraction(1, 256), 0, 0, 255)
    128
    """
    if x == 0:
        return code_of(Fraction(1, 2), scale, zero_point, low, high)

    def enclose(digits: int) -> Interval:
        least, most = exponential(-x, digits)
        return 1 / (1 + most), 1 / (1 + least)

    return _decided(enclose, lambda v: code_of(v, scale, zero_point, low, high))


def softmax(
    numbers: Sequence[Fraction], scale: Fraction, zero_point: int, low: int, high: int
) -> list[int]:
    """Return the codes of ``e^x / sum e^x``.

    Parameters
    ----------
    numbers : sequence of Fraction
        At most 80 apart.
    scale : Fraction
        Positive.
    zero_point, low, high : int
        Codes.

    Returns
    -------
    list of int
        In [low, high].

    Examples
    --------
    >>> softmax([Fraction(1), Fraction(1)], Fraction(1, 256), 0, 0, 255)
    [128, 128]
    """
    if len(set(numbers)) == 1:
        share = Fraction(1, len(numbers))
        return [code_of(share, scale, zero_point, low, high)] * len(numbers)

    def one(x: Fraction) -> int:
        def enclose(digits: int) -> Interval:
            powers = [exponential(other - x, digits) for other in numbers]
            return 1 / sum((p[1] for p in powers), Fraction(0)), 1 / sum(
                (p[0] for p in powers), Fraction(0)
            )

        return _decided(enclose, lambda v: code_of(v, scale, zero_point, low, high))

    return [one(x) for x in numbers]


def _decided(enclose: Callable[[int], Interval], code: Callable[[Fraction], int]) -> int:
    """Return the code on which both ends of an enclosure agree."""
    digits = 50
    while True:
        least, most = enclose(digits)
        if code(least) == code(most):
            return code(least)
        digits *= 2
