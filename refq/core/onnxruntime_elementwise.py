"""What ONNX Runtime's com.microsoft operators compute between the products.

Problem
-------
QLinearAdd, QLinearMul and their like are float32 kernels, each with an order of its own, and one of
them overflows.

Conventions
-----------
For x86-64 with AVX2 and FMA: QLinearAdd has three fused multiply-adds, the sigmoid is a rational
approximation by fused multiply-adds. Numbers beyond int32 become -2^31 when they are converted, so
they saturate at the lowest code, whatever their sign. Proved on near ties in tests/against.
Tier T1.

References
----------
.. [1] ONNX Runtime 1.31.1, its com.microsoft operators, observed.
"""

import functools
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .elementwise_rule import Float32Elementwise, Operand, Target, sum_in_order
from .errors import RangeError
from .quantize_rule import sum_to_float32

__all__ = ["OnnxRuntimeElementwise"]

Floats = NDArray[np.float32]

#: The sigmoid's numerator and denominator, powers of x^2 from the highest down.
NUMERATOR = tuple(
    np.float32(c)
    for c in (
        4.37031012579801e-11,
        1.15627324459942e-07,
        6.08574864600143e-05,
        8.51377133304701e-03,
        2.48287947061529e-01,
    )
)
DENOMINATOR = tuple(
    np.float32(c)
    for c in (
        6.10247389755681e-13,
        5.76102136993427e-09,
        6.29106785017040e-06,
        1.70198817374094e-03,
        1.16817656904453e-01,
        9.93151921023180e-01,
    )
)


def _fused(x: Any, y: Any, z: Any) -> Floats:
    """Return ``x * y + z`` of float32, rounded once: the product is exact in float64."""
    with np.errstate(all="ignore"):
        product = np.asarray(np.asarray(x, np.float64) * np.asarray(y, np.float64))
        return np.asarray(sum_to_float32(product, np.asarray(z, np.float64)))


def _int32(x: NDArray[Any]) -> NDArray[np.int64]:
    """Round to even and convert as the processor does: what is no int32 becomes -2^31."""
    with np.errstate(all="ignore"):
        rounded = np.rint(x).astype(np.float64)
        inside = (rounded >= -(2.0**31)) & (rounded < 2.0**31)
    return np.where(inside, np.where(inside, rounded, 0.0).astype(np.int64), -(1 << 31))


def _saturated(level: NDArray[Any], y: Target) -> NDArray[Any]:
    """Return codes of numbers to which the zero point was added."""
    return np.clip(_int32(level), y.low, y.high).astype(y.dtype)


@dataclass(frozen=True)
class OnnxRuntimeElementwise(Float32Elementwise):
    """ONNX Runtime's own float32 kernels, on x86-64 with AVX2 and FMA.

    Parameters
    ----------
    quantize : QuantizeRule
        How its tables are quantized; the default is what it does.

    Notes
    -----
    Concatenation and leaky ReLU are `Float32Elementwise`'s: a table of 256 codes, dequantized,
    computed, divided by the scale. The others differ:

    - add: ``a ra + (b rb + (zy - (za ra + zb rb)))`` with ``ra = a_scale / y_scale``, likewise rb,
      every multiply-add fused (but for ``zb rb``); where a's codes have one element along the
      innermost axis that b has more along, a and b change places;
    - multiply: ``(a - za)(b - zb) * (a_scale b_scale / y_scale) + zy``, two roundings;
    - average pool: the zero point is added before rounding;
    - global average pool (and an average pool whose window is the image): the integer sum times
      ``x_scale / (y_scale * count)``;
    - sigmoid: a rational function of x, clipped to [-18, 18];
    - softmax: a table of exponentials up to ``2^128 / (e^5 n)``, times ``floor(1 / y_scale)``, over
      their sum. Where ``y_scale < 1 / (e^5 n)``, about 1 / (148 n), that product overflows, and the
      most probable entries get the code 0 (uint8) or the lowest.

    Examples
    --------
    >>> sure = Operand(np.uint8([[7]]), np.float32(1), 0)  # the softmax of one entry is 1
    >>> for scale in (1 / 128, 1 / 256):
    ...     OnnxRuntimeElementwise().softmax(sure, Target(np.float32(scale), 0, 0, 255, np.uint8))
    array([[128]], dtype=uint8)
    array([[0]], dtype=uint8)
    """

    kind: ClassVar[str] = "onnxruntime"

    def add(self, a: Operand, b: Operand, y: Target) -> NDArray[Any]:
        """Return the codes of two fused multiply-adds on a fixed part."""
        with np.errstate(all="ignore"):
            if _is_innermost_scalar(a.codes.shape, b.codes.shape):
                a, b = b, a
            ra, rb = (np.float32(x.scale) / np.float32(y.scale) for x in (a, b))
            zeros = _fused(ra, a.zero_point, rb * np.float32(b.zero_point))
            fixed = np.float32(y.zero_point) - zeros
        level = _fused(a.codes, ra, _fused(b.codes, rb, fixed))
        return _saturated(level, y)

    def multiply(self, a: Operand, b: Operand, y: Target) -> NDArray[Any]:
        """Return the codes of the integer product times one float32, plus the zero point."""
        with np.errstate(all="ignore"):
            ratio = np.float32(a.scale) * np.float32(b.scale) / np.float32(y.scale)
            product = (a.differences * b.differences).astype(np.float32)
            return _saturated(product * ratio + np.float32(y.zero_point), y)

    def mean(self, windows: Operand, count: NDArray[np.int64], y: Target) -> NDArray[Any]:
        """Return the codes of float32 means, the zero point added before rounding."""
        with np.errstate(all="ignore"):
            level = sum_in_order(windows.numbers()) / count.astype(np.float32)
            return _saturated(level / np.float32(y.scale) + np.float32(y.zero_point), y)

    def global_mean(self, pixels: Operand, y: Target) -> NDArray[Any]:
        """Return the codes of integer sums times one float32."""
        count = np.float32(pixels.codes.shape[-1])
        with np.errstate(all="ignore"):
            ratio = np.float32(pixels.scale) / (np.float32(y.scale) * count)
            if not 2.0**-32 <= ratio < 256:
                raise RangeError(
                    f"x_scale / (y_scale * {int(count)}) = {ratio}; ONNX Runtime computes a global "
                    "average pool only where it is in [2^-32, 256)"
                )
            level = pixels.differences.sum(axis=-1).astype(np.float32) * ratio
        low, high = np.float32(y.low - y.zero_point), np.float32(y.high - y.zero_point)
        return _saturated(np.rint(np.clip(level, low, high)) + np.float32(y.zero_point), y)

    def sigmoid(self, x: Operand, y: Target) -> NDArray[Any]:
        """Return the codes of a rational approximation, by fused multiply-adds."""
        real = np.clip(x.numbers(), np.float32(-18), np.float32(18))
        square = real * real
        top, bottom = (_polynomial(square, c) for c in (NUMERATOR, DENOMINATOR))
        value = top * real / bottom + np.float32(0.5)
        return self.encoded(np.clip(value, np.float32(0), np.float32(1)), y)

    def softmax(self, x: Operand, y: Target) -> NDArray[Any]:
        """Return the codes of table entries over their float32 sum."""
        table = _exponentials(float(np.float32(x.scale)), x.codes.shape[-1])
        codes = x.codes.astype(np.int64)
        power = table[255 - codes.max(axis=-1, keepdims=True) + codes]
        with np.errstate(all="ignore"):
            steps = np.floor(np.float32(1) / np.float32(y.scale))
            level = power * steps / sum_in_order(power)[..., None]
        found = _int32(level) + y.zero_point
        if y.low == 0:  # an infinite level is -2^31, whose low byte is 0: no lower limit
            return (np.minimum(found, 255) & 255).astype(y.dtype)
        return np.clip(found.astype(np.int32), y.low, y.high).astype(y.dtype)


def _polynomial(square: Floats, coefficients: tuple[np.float32, ...]) -> Floats:
    value = np.full(square.shape, coefficients[0], np.float32)
    for c in coefficients[1:]:
        value = _fused(value, square, c)
    return value


def _is_innermost_scalar(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    """Return whether `a` has one element where the innermost longer axis of the result lies."""
    rank = max(len(a), len(b))
    pairs = zip((1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b, strict=True)
    longer = [p == 1 for p, q in pairs if max(p, q) > 1]
    return longer[-1] if longer else True


@functools.lru_cache(maxsize=64)
def _exponentials(scale: float, length: int) -> Floats:
    """Return ``e^((i - 255) scale + shift)`` for i in 0..255, a sum of `length` below 2^128 / e^5.

    The logarithm is rounded to float32, all else is computed in float64.
    """
    room = float(np.float32(_rounded(Context.ln, np.finfo(np.float32).max / np.float32(length))))
    shift = max(0.0, room - 5.0) / scale
    with np.errstate(all="ignore"):
        powers = [_rounded(Context.exp, (i - 255 + shift) * scale) for i in range(256)]
        return np.array(powers).astype(np.float32)


def _rounded(function: Any, x: Any) -> float:
    """Return a function of the decimal module at a float, correctly rounded but for 1 in 10^20."""
    return float(function(Context(prec=40), Decimal(float(x))))
