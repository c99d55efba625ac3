"""How codes are added, multiplied, averaged, rescaled and bent: a rule, as a value.

Problem
-------
Between the products of a quantized network stand additions, poolings and activations, each with
scales of its own; runtimes compute them in exact integers, in float32 or in fixed point.

Equation
--------
``y = saturate(round(f(real numbers) / y_scale) + y_zero_point)`` with the real numbers
``(code - zero_point) * scale``.

Conventions
-----------
A rule is frozen, and its methods *are* the implementation. `ElementwiseRule` is the text: real
arithmetic, rounded once, ties to even. A runtime that computes otherwise is a subclass that
overrides what differs; `Float32Elementwise` is the plainest. Scales are scalars: one per tensor.
Tier T1.

References
----------
.. [1] ONNX operator specification, opset 28: QuantizeLinear's formula. The com.microsoft operators
   QLinearAdd, QLinearMul, QLinearAveragePool, QLinearConcat, QLinearLeakyRelu, QLinearSigmoid and
   QLinearSoftmax name operands and results; their text gives no arithmetic of its own.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .exact_exponentials import round_reciprocal_of_exponentials
from .exact_rounding import round_combination, round_estimate
from .fixed_point import as_fractions
from .quantize_rule import WIDE, QuantizeRule

__all__ = ["ElementwiseRule", "Float32Elementwise", "Operand", "Target", "sum_in_order"]


class Operand(NamedTuple):
    """An array of codes and what they mean.

    Parameters
    ----------
    codes : ndarray of integers
        At most 16 bits.
    scale : ndarray of float, no axes
        Finite and positive.
    zero_point : int
        A code.

    Examples
    --------
    >>> Operand(np.uint8([3]), np.float32(0.5), 1).differences
    array([2])
    """

    codes: NDArray[Any]
    scale: Any
    zero_point: int

    @property
    def differences(self) -> NDArray[np.int64]:
        """The codes less the zero point, in int64."""
        return self.codes.astype(np.int64) - self.zero_point

    @property
    def exact_scale(self) -> Fraction:
        """The scale as a fraction."""
        return _exact(self.scale)

    def numbers(self) -> NDArray[np.float32]:
        """Return ``(codes - zero_point) * scale`` in float32.

        Returns
        -------
        ndarray of float32
            Of the codes' shape.
        """
        with np.errstate(all="ignore"):
            return np.asarray(self.differences.astype(np.float32) * np.float32(self.scale))


class Target(NamedTuple):
    """What the codes of a result are.

    Parameters
    ----------
    scale : ndarray of float, no axes
        Finite and positive.
    zero_point : int
        A code.
    low, high : int
        The inclusive range of codes.
    dtype : dtype
        Of the codes.

    Examples
    --------
    >>> Target(np.float32(1), 3, 0, 255, np.uint8).codes(np.array([-9, 4, 999]))
    array([  0,   7, 255], dtype=uint8)
    """

    scale: Any
    zero_point: int
    low: int
    high: int
    dtype: Any

    @property
    def exact_scale(self) -> Fraction:
        """The scale as a fraction."""
        return _exact(self.scale)

    def codes(self, rounded: NDArray[np.int64]) -> NDArray[Any]:
        """Add the zero point to rounded numbers and saturate.

        Parameters
        ----------
        rounded : ndarray of int64
            Multiples of the scale.

        Returns
        -------
        ndarray
            Codes.
        """
        return np.clip(rounded + self.zero_point, self.low, self.high).astype(self.dtype)


def _exact(scale: Any) -> Fraction:
    found: Any = as_fractions(scale, "scale")[()]
    return Fraction(found)


def _factor(value: Fraction) -> NDArray[Any]:
    return np.array(value, dtype=object)


@dataclass(frozen=True)
class ElementwiseRule:
    """The text: real arithmetic, rounded once, ties to even; then the zero point, then saturation.

    Attributes
    ----------
    kind : str
        "exact"; a subclass has another word.

    Examples
    --------
    >>> half, codes = np.float32(0.5), np.uint8([3, 4])
    >>> a, y = Operand(codes, half, 0), Target(np.float32(1), 0, 0, 255, np.uint8)
    >>> ElementwiseRule().add(a, Operand(codes[::-1], np.float32(0.25), 0), y)
    array([2, 3], dtype=uint8)
    """

    kind: ClassVar[str] = "exact"

    def add(self, a: Operand, b: Operand, y: Target) -> NDArray[Any]:
        """Return the codes of ``a + b``.

        Parameters
        ----------
        a, b : Operand
            Their codes broadcast.
        y : Target
            The result.

        Returns
        -------
        ndarray
            Codes.
        """
        factors = (_factor(x.exact_scale / y.exact_scale) for x in (a, b))
        terms = zip((a.differences, b.differences), factors, strict=True)
        return y.codes(round_combination(list(terms)))

    def multiply(self, a: Operand, b: Operand, y: Target) -> NDArray[Any]:
        """Return the codes of ``a * b``.

        Parameters
        ----------
        a, b : Operand
            Their codes broadcast.
        y : Target
            The result.

        Returns
        -------
        ndarray
            Codes.
        """
        factor = _factor(a.exact_scale * b.exact_scale / y.exact_scale)
        return y.codes(round_combination([(a.differences * b.differences, factor)]))

    def rescale(self, x: Operand, y: Target) -> NDArray[Any]:
        """Return the codes of the same numbers in another scale.

        Parameters
        ----------
        x : Operand
            The part.
        y : Target
            The result.

        Returns
        -------
        ndarray
            Codes.
        """
        factor = _factor(x.exact_scale / y.exact_scale)
        return y.codes(round_combination([(x.differences, factor)]))

    def join(self, x: Operand, y: Target) -> NDArray[Any]:
        """Return a part of a concatenation, in the result's scale; here as `rescale`.

        Parameters
        ----------
        x : Operand
            The part.
        y : Target
            The result.

        Returns
        -------
        ndarray
            Codes.
        """
        return self.rescale(x, y)

    def leaky_relu(self, x: Operand, alpha: float, y: Target) -> NDArray[Any]:
        """Return the codes of x, or of ``alpha x`` where x is negative.

        Parameters
        ----------
        x : Operand
            The argument.
        alpha : float
            Finite; it stands for its exact value.
        y : Target
            The result.

        Returns
        -------
        ndarray
            Codes.
        """
        ratio = x.exact_scale / y.exact_scale
        d = x.differences
        terms = [(np.maximum(d, 0), _factor(ratio))]
        terms.append((np.minimum(d, 0), _factor(ratio * Fraction(alpha))))
        return y.codes(round_combination(terms))

    def mean(self, windows: Operand, count: NDArray[np.int64], y: Target) -> NDArray[Any]:
        """Return the codes of the sums over the last axis, divided by `count`.

        Parameters
        ----------
        windows : Operand
            Codes (..., size); padding is the zero point.
        count : ndarray of int64
            Positive; broadcasts against the sums.
        y : Target
            The result.

        Returns
        -------
        ndarray
            Codes.
        """
        ratio = windows.exact_scale / y.exact_scale
        distinct, which = np.unique(count, return_inverse=True)
        factors = np.empty(distinct.size, object)
        factors[:] = [ratio / int(n) for n in distinct]
        sums = windows.differences.sum(axis=-1)
        spread = np.asarray(factors[which.reshape(count.shape)], dtype=object)
        return y.codes(round_combination([(sums, spread)]))

    def global_mean(self, pixels: Operand, y: Target) -> NDArray[Any]:
        """Return the codes of the means over the last axis: all pixels of a channel.

        Parameters
        ----------
        pixels : Operand
            Codes (..., pixels).
        y : Target
            The result.

        Returns
        -------
        ndarray
            Codes.
        """
        return self.mean(pixels, np.array(pixels.codes.shape[-1], np.int64), y)

    def sigmoid(self, x: Operand, y: Target) -> NDArray[Any]:
        """Return the codes of ``1 / (1 + e^-x)``, correctly rounded.

        Parameters
        ----------
        x : Operand
            The argument; each distinct code is computed once.
        y : Target
            The result.

        Returns
        -------
        ndarray
            Codes.

        Notes
        -----
        The estimate is in float64. The argument is rounded twice at most (the scale has up to 53
        bits, the difference up to 17), to within ``2^-52 |x|``; where ``|x| > 746`` the result is 0
        or 1 to within float64's least number. An exponential that is off by less than 32 units in
        the last place, one addition and two divisions then stay within
        ``(1492 + 32 + 4) 2^-53 < 2^-42``, relatively. What is closer to a tie is settled with as
        many digits as it takes.
        """
        d, back = np.unique(x.differences, return_inverse=True)
        with np.errstate(all="ignore"):
            real = d.astype(np.float64) * float(x.scale)
            estimate = 1 / (1 + np.exp(-real)) / float(y.scale)
        sx, sy = x.exact_scale, y.exact_scale

        def settle(near: NDArray[np.bool_]) -> NDArray[np.int64]:
            exact = [_sigmoid(int(n) * sx, sy) for n in d[near]]
            return np.array(exact, dtype=object).clip(-WIDE, WIDE).astype(np.int64)

        margin = (np.abs(estimate) + 1) * 2.0**-42
        rounded = round_estimate(estimate, margin, settle)
        return y.codes(rounded[back.reshape(x.codes.shape)])

    def softmax(self, x: Operand, y: Target) -> NDArray[Any]:
        """Return the codes of ``e^x / sum e^x`` over the last axis, correctly rounded.

        Parameters
        ----------
        x : Operand
            Codes (..., n), n at least one.
        y : Target
            The result.

        Returns
        -------
        ndarray
            Codes.

        Notes
        -----
        As in `sigmoid`: numerator and sum are each within ``(1492 + 32) 2^-53``, the sum of n
        positive numbers within n more, one of which is 1. What is closer to a tie than
        ``(n + 2^12) 2^-53``, relatively, is settled with as many digits as it takes.
        """
        d = x.differences.reshape(-1, x.codes.shape[-1])
        d = d - d.max(axis=-1, keepdims=True)
        with np.errstate(all="ignore"):
            power = np.exp(d.astype(np.float64) * float(x.scale))
            estimate = power / power.sum(axis=-1, keepdims=True) / float(y.scale)
        sx, sy = x.exact_scale, y.exact_scale

        def settle(near: NDArray[np.bool_]) -> NDArray[np.int64]:
            exact = [_softmax(d[row], int(d[row, i]), sx, sy) for row, i in np.argwhere(near)]
            return np.array(exact, dtype=object).clip(-WIDE, WIDE).astype(np.int64)

        margin = (np.abs(estimate) + 1) * ((d.shape[-1] + 4096) * 2.0**-53)
        return y.codes(round_estimate(estimate, margin, settle)).reshape(x.codes.shape)


def _sigmoid(x: Fraction, unit: Fraction) -> int:
    if x == 0:
        return round(1 / (2 * unit))
    return round_reciprocal_of_exponentials([1, 1], [Fraction(0), -x], unit)


def _softmax(row: NDArray[np.int64], own: int, scale: Fraction, unit: Fraction) -> int:
    levels, counts = np.unique(row - own, return_counts=True)
    exponents = [int(n) * scale for n in levels]
    return round_reciprocal_of_exponentials(counts.tolist(), exponents, unit)


@dataclass(frozen=True)
class Float32Elementwise(ElementwiseRule):
    """Dequantize every operand in float32, compute in float32, quantize.

    Parameters
    ----------
    quantize : QuantizeRule
        How the float32 result becomes codes.

    Notes
    -----
    What a graph of DequantizeLinear, the float operator and QuantizeLinear computes, with sums
    added from first to last. Exponentials are correctly rounded to float32 where NumPy's float64
    ones are within 2^28 units in the last place: a runtime's own float32 exponential may differ.

    Examples
    --------
    >>> tenth = np.float32(0.1)
    >>> a, y = Operand(np.uint8([1, 5]), tenth, 0), Target(tenth, 0, 0, 255, np.uint8)
    >>> Float32Elementwise().multiply(a, Operand(np.uint8([5, 5]), np.float32(1), 0), y)
    array([ 5, 25], dtype=uint8)
    """

    quantize: QuantizeRule = QuantizeRule(precision="float32")

    kind: ClassVar[str] = "float32"

    def encoded(self, x: NDArray[Any], y: Target) -> NDArray[Any]:
        """Return the codes of float32 numbers.

        Parameters
        ----------
        x : ndarray of float32
            The result before it is quantized.
        y : Target
            What its codes are.

        Returns
        -------
        ndarray
            Codes.
        """
        return self.quantize.apply(x, np.asarray(y.scale), y.zero_point, y.low, y.high, y.dtype)

    def add(self, a: Operand, b: Operand, y: Target) -> NDArray[Any]:
        """Return the codes of one float32 addition."""
        with np.errstate(all="ignore"):
            return self.encoded(a.numbers() + b.numbers(), y)

    def multiply(self, a: Operand, b: Operand, y: Target) -> NDArray[Any]:
        """Return the codes of one float32 multiplication."""
        with np.errstate(all="ignore"):
            return self.encoded(a.numbers() * b.numbers(), y)

    def rescale(self, x: Operand, y: Target) -> NDArray[Any]:
        """Return the codes of the dequantized numbers."""
        return self.encoded(x.numbers(), y)

    def leaky_relu(self, x: Operand, alpha: float, y: Target) -> NDArray[Any]:
        """Return the codes of x, or of ``alpha x``, one float32 multiplication."""
        real = x.numbers()
        with np.errstate(all="ignore"):
            return self.encoded(np.where(real < 0, np.float32(alpha) * real, real), y)

    def mean(self, windows: Operand, count: NDArray[np.int64], y: Target) -> NDArray[Any]:
        """Return the codes of float32 sums, first to last, over the count."""
        total = sum_in_order(windows.numbers())
        with np.errstate(all="ignore"):
            return self.encoded(total / count.astype(np.float32), y)

    def sigmoid(self, x: Operand, y: Target) -> NDArray[Any]:
        """Return the codes of ``1 / (1 + e^-x)``, every step rounded to float32."""
        with np.errstate(all="ignore"):
            power = np.exp(-x.numbers().astype(np.float64)).astype(np.float32)
            return self.encoded(np.float32(1) / (np.float32(1) + power), y)

    def softmax(self, x: Operand, y: Target) -> NDArray[Any]:
        """Return the codes of exponentials less the maximum, over their float32 sum."""
        real = x.numbers()
        with np.errstate(all="ignore"):
            shifted = (real - real.max(axis=-1, keepdims=True)).astype(np.float64)
            power = np.exp(shifted).astype(np.float32)
            return self.encoded(power / sum_in_order(power)[..., None], y)


def sum_in_order(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return float32 sums over the last axis, from first to last; NumPy's own add pairwise.

    Parameters
    ----------
    x : ndarray of float32
        Finite or not.

    Returns
    -------
    ndarray of float32
        Every addition rounded.

    Examples
    --------
    >>> float(sum_in_order(np.float32([2**24, 1, 1])))
    16777216.0
    """
    total = np.zeros(x.shape[:-1], np.float32)
    with np.errstate(all="ignore"):
        for i in range(x.shape[-1]):
            total = total + x[..., i]
    return total
