"""Addition and multiplication of codes as PyTorch's CPU kernels compute them, and QNNPACK's sum.

Problem
-------
A vectorized loop takes 64 elements at a time; what is left over goes through a scalar loop. In
PyTorch's addition the two loops round differently, so a code depends on where it stands.

Conventions
-----------
A rule is frozen, and its methods *are* the implementation. Elements are counted in C order; the
arrays are contiguous, of one shape, and one thread computes them. Tier T1.

Equation
--------
QNNPACK adds uint8 codes in integers: ``((a - za) ma + (b - zb) mb) / 2^s``, rounded once, half away
from zero; ``ma = round(a_scale / y_scale * 2^s)``, with s such that the larger one has 22 bits.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .elementwise_rule import Float32Elementwise, Operand, Target
from .errors import RangeError
from .fixed_point import divide_and_round
from .quantize_rule import QuantizeRule, sum_to_float32

__all__ = ["QnnpackElementwise", "TorchElementwise"]

LANES = 64  #: 8-bit codes in a register of 512 bits


@dataclass(frozen=True)
class TorchElementwise(Float32Elementwise):
    """Addition and multiplication as PyTorch computes them; the rest in plain float32.

    Parameters
    ----------
    quantize : QuantizeRule
        How a sum becomes a code in the vectorized loop.
    quantize_rest : QuantizeRule
        How it does in the scalar loop.

    Notes
    -----
    Vectorized, a code becomes a number by one fused multiply-add, ``code * scale - fl(zero_point *
    scale)``; in the scalar loop by ``(code - zero_point) * scale``. Only `add` and `multiply` are
    proved against the runtime.

    Examples
    --------
    >>> tenth = np.float32(0.1)
    >>> a, y = Operand(np.uint8([3, 5]), tenth, 0), Target(np.float32(0.2), 0, 0, 255, np.uint8)
    >>> TorchElementwise().add(a, a, y)
    array([3, 5], dtype=uint8)
    """

    quantize: QuantizeRule = QuantizeRule("reciprocal", "float32")
    quantize_rest: QuantizeRule = QuantizeRule("reciprocal", "float32", zero_point="before")

    kind: ClassVar[str] = "torch"

    def add(self, a: Operand, b: Operand, y: Target) -> NDArray[Any]:
        """Return the codes of one float32 addition, by two loops."""
        x, z = np.broadcast_arrays(a.codes, b.codes)
        left, right = (a._replace(codes=x.ravel()), b._replace(codes=z.ravel()))
        whole = x.size - x.size % LANES
        codes = np.empty(x.size, y.dtype)
        with np.errstate(all="ignore"):
            sums = _fused(left, whole) + _fused(right, whole)
            codes[:whole] = self.encoded(sums, y)
            rest = [v._replace(codes=v.codes[whole:]).numbers() for v in (left, right)]
            codes[whole:] = self.quantize_rest.apply(
                rest[0] + rest[1], np.asarray(y.scale), y.zero_point, y.low, y.high, y.dtype
            )
        return codes.reshape(x.shape)

    def multiply(self, a: Operand, b: Operand, y: Target) -> NDArray[Any]:
        """Return the codes of the integer product times ``(a_scale b_scale) (1 / y_scale)``."""
        sa, sb, sy = (np.float32(v.scale) for v in (a, b, y))
        with np.errstate(all="ignore"):
            factor = sa * sb * (np.float32(1) / sy)
            product = (a.differences * b.differences).astype(np.float32) * factor
        one = QuantizeRule(precision="float32")
        unit = np.asarray(np.float32(1))
        return one.apply(product, unit, y.zero_point, y.low, y.high, y.dtype)


@dataclass(frozen=True)
class QnnpackElementwise(TorchElementwise):
    """The same, but uint8 codes are added in integers, with multipliers of 22 bits.

    Parameters
    ----------
    quantize, quantize_rest : QuantizeRule
        As in `TorchElementwise`, for int8 codes.

    Notes
    -----
    Defined where the larger of the two ratios ``scale / y_scale`` lies in [2^-10, 2^8), and the
    smaller one is at least 2^-14: beyond, the runtime refuses, or leaves 32 bits.

    Examples
    --------
    >>> a, b = (Operand(np.uint8([c]), np.float32(1), 4) for c in (3, 4))
    >>> y = Target(np.float32(2), 9, 0, 255, np.uint8)
    >>> QnnpackElementwise().add(a, b, y), TorchElementwise().add(a, b, y)  # -1/2 away from zero
    (array([8], dtype=uint8), array([8], dtype=uint8))
    """

    kind: ClassVar[str] = "qnnpack"

    def add(self, a: Operand, b: Operand, y: Target) -> NDArray[Any]:
        """Return the codes of a sum in fixed point; of int8 codes as the base class does."""
        if np.dtype(y.dtype) != np.uint8:
            return super().add(a, b, y)
        ratios = [np.float32(x.scale) / np.float32(y.scale) for x in (a, b)]
        if not 2.0**-10 <= max(ratios) < 2.0**8 or min(ratios) < 2.0**-14:
            raise RangeError(
                f"scale / y_scale = {ratios[0]}, {ratios[1]}; the larger must be in [2^-10, 2^8), "
                "the smaller at least 2^-14: choose another y_scale"
            )
        shift = 22 - int(np.frexp(max(ratios))[1])
        factors = [int(np.rint(np.ldexp(ratio, shift))) for ratio in ratios]  # exact before rint
        total = a.differences * factors[0] + b.differences * factors[1]
        return y.codes(divide_and_round(total, 1 << shift, "half_away"))


def _fused(x: Operand, count: int) -> NDArray[np.float32]:
    """Return the first numbers, each by one fused multiply-add."""
    scale = np.float32(x.scale)
    offset = np.asarray(-(np.float32(x.zero_point) * scale), np.float64)
    exact = np.float64(scale) * x.codes[:count].astype(np.float64)  # 24 + 8 bits
    return sum_to_float32(exact, offset)
