"""Sigmoid and softmax of exact rational numbers, rounded to codes correctly.

Problem
-------
``round(sigmoid(x) / scale)`` needs to know on which side of a tie a transcendental number lies.

Equation
--------
``sigmoid(x) = 1 / (1 + e^-x)`` and ``softmax(x)_i = 1 / sum_j e^(x_j - x_i)``.

Conventions
-----------
By the theorem of Lindemann and Weierstrass [1]_ exponentials of distinct rational numbers are
linearly independent over the rationals. So a sigmoid is rational only at 0, and a softmax only
where all entries are equal: those ties are decided in fractions, and for every other number some
finite precision decides. Precision doubles until it does. Tier T1.

References
----------
.. [1] A. Baker, "Transcendental Number Theory", Cambridge University Press, 1975, theorem 1.4.
"""

from collections.abc import Sequence
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from fractions import Fraction

__all__ = ["round_reciprocal_of_exponentials"]

FAR = 100_000  #: e to minus this is below 10^-43000: no term of a sum that any precision here sees


def round_reciprocal_of_exponentials(
    counts: Sequence[int], exponents: Sequence[Fraction], unit: Fraction
) -> int:
    """Return ``1 / (unit * sum counts * e^exponents)``, rounded to the nearest integer.

    Parameters
    ----------
    counts : sequence of int
        Positive.
    exponents : sequence of Fraction
        Distinct; a sigmoid has 0 and -x, a softmax every ``x_j - x_i``, zero among them.
    unit : Fraction
        The scale of the codes: a positive float16, float32 or float64.

    Returns
    -------
    int
        Ties, which only a single exponent of zero can make, go to even.

    Notes
    -----
    Terms below ``e^-FAR`` are left out and counted as error. If only the exponent zero is left, the
    sum is an integer n and a little more: the result is what rounds ``1 / (unit n)``, a tie going
    down. (Beside a tie that quotient stays away from it by more than 2^-200 where n has less than
    100 bits, which no term left out can bridge.) Else, with p digits, each exponential, product and
    sum is correctly rounded, and every term is positive, so that the relative error is below
    ``(len + 6) 10^(1-p)``; the exponents get as many more digits as the largest has before its
    point. Tier T1.

    Examples
    --------
    >>> round_reciprocal_of_exponentials([1, 1], [Fraction(0), Fraction(-1)], Fraction(1, 100))
    73
    """
    pairs = list(zip(counts, exponents, strict=True))
    kept = [(n, x) for n, x in pairs if x > -FAR]
    if any(x > FAR for _, x in kept):
        return 0
    if all(x == 0 for _, x in kept):
        value = 1 / (unit * sum(n for n, _ in kept))
        tie_goes_down = value.denominator == 2 and len(kept) < len(pairs)
        return value.numerator // 2 if tie_goes_down else round(value)
    digits = 40
    while True:
        value = 1 / (unit * _sum_of_exponentials(kept, digits))
        error = value * Fraction(len(pairs) + 6, 10 ** (digits - 1))
        low, high = round(value - error), round(value + error)
        if low == high:
            return low
        digits *= 2


def _sum_of_exponentials(pairs: Sequence[tuple[int, Fraction]], digits: int) -> Fraction:
    """Return ``sum n e^x`` with so many correct digits."""
    largest = max(abs(x) for _, x in pairs)
    context = Context(prec=digits + len(str(int(largest))) + 1, Emax=MAX_EMAX, Emin=MIN_EMIN)
    total = Decimal(0)
    for n, x in pairs:
        power = context.exp(context.divide(Decimal(x.numerator), Decimal(x.denominator)))
        total = context.add(total, context.multiply(Decimal(n), power))
    return Fraction(total)
