"""Lists of levels that standards and papers fix: NormalFloat, bitsandbytes' FP4, powers of two.

Problem
-------
A level table is defined by its numbers. Here they are derived, step by step, in the arithmetic that
made them, so that every bit can be checked.

Conventions
-----------
NF4's numbers depend on the float32 steps that made them: quantiles of the normal distribution at
evenly spaced probabilities from 0.9677083 to one half, eight above zero and seven below, everything
rounded to float32, then divided by the largest. `normal_float_levels` repeats the steps.

References
----------
.. [1] T. Dettmers et al., "QLoRA: Efficient Finetuning of Quantized LLMs", arXiv:2305.14314, 2023.
.. [2] D. Miyashita, E. H. Lee, B. Murmann, "Convolutional Neural Networks using Logarithmic Data
   Representation", arXiv:1603.01025, 2016.
.. [3] A. Zhou et al., "Incremental Network Quantization: Towards Lossless CNNs with Low-Precision
   Weights", ICLR 2017, arXiv:1702.03044.
.. [4] Y. Li, X. Dong, W. Wang, "Additive Powers-of-Two Quantization: An Efficient Non-uniform
   Discretization for Neural Networks", ICLR 2020, arXiv:1909.13144.
"""

from fractions import Fraction
from itertools import pairwise, product
from statistics import NormalDist

import numpy as np

from ..core.checks import check_integer
from ..core.errors import RangeError

__all__ = [
    "additive_power_of_two_levels",
    "bitsandbytes_fp4_levels",
    "bitsandbytes_fp4_thresholds",
    "normal_float_levels",
    "power_of_two_levels",
]

_F = np.float32


def _even_spacing(start: float, stop: float, count: int) -> list[np.float32]:
    """Space float32 values from both ends towards the middle, as the published table did."""
    first, last = _F(start), _F(stop)
    step = (last - first) / _F(count - 1)
    return [
        first + step * _F(i) if i < count // 2 else last - step * _F(count - 1 - i)
        for i in range(count)
    ]


def normal_float_levels(bits: int = 4, offset: float = 0.9677083) -> tuple[float, ...]:
    """Return the levels of NormalFloat: NF4 for four bits, to the bit.

    Parameters
    ----------
    bits : int
        Width of a code, two or more.
    offset : float
        The probability whose quantile becomes 1.0.

    Returns
    -------
    tuple of float
        ``2**bits`` ascending float32 values from -1 to 1, zero among them.

    Notes
    -----
    Half of the levels are positive, one is zero, the rest negative. Tier T1.

    References
    ----------
    T. Dettmers et al., arXiv:2305.14314, section 3 and appendix E.

    Examples
    --------
    >>> normal_float_levels()[:3]
    (-1.0, -0.6961928009986877, -0.5250730514526367)
    """
    half = 1 << (bits - 1)
    quantile = NormalDist().inv_cdf
    above = [_F(quantile(float(p))) for p in _even_spacing(offset, 0.5, half + 1)[:-1]]
    below = [_F(-quantile(float(p))) for p in _even_spacing(offset, 0.5, half)[:-1]]
    levels = sorted([*below, _F(0), *above])
    return tuple(float(level / max(levels)) for level in levels)


def bitsandbytes_fp4_levels() -> tuple[float, ...]:
    """Return the sixteen levels of bitsandbytes' FP4 in the order of its codes, -0 at code 8.

    Returns
    -------
    tuple of float
        float32 values.

    Notes
    -----
    Bits are sign s, exponent e (two) and mantissa m (one), and larger exponents mean *smaller*
    numbers: ``2^(4 - e) * (1 + m/2) / 12`` for e > 0 and ``m / 16 / 12`` for e = 0, so that the
    largest is 12/12 = 1. This is not E2M1. Tier T1.

    References
    ----------
    bitsandbytes, ``csrc/kernels.cu``: ``dDequantizeFP4Tree``.

    Examples
    --------
    >>> [round(v, 4) for v in bitsandbytes_fp4_levels()[:8]]
    [0.0, 0.0052, 0.6667, 1.0, 0.3333, 0.5, 0.1667, 0.25]
    """
    magnitudes = [float(_F(float(v))) for v in _fp4_magnitudes()]
    return (*magnitudes, *(-v for v in magnitudes))


def _fp4_magnitudes() -> list[Fraction]:
    """Return what the codes 0 to 7 mean, exactly."""
    fields = [divmod(code, 2) for code in range(8)]
    subnormal = [Fraction(m, 16) for e, m in fields if e == 0]
    normal = [Fraction(2) ** (4 - e) * (1 + Fraction(m, 2)) for e, m in fields if e]
    return [v / 12 for v in (*subnormal, *normal)]


def bitsandbytes_fp4_thresholds() -> tuple[float, ...]:
    """Return the fifteen numbers at which bitsandbytes' FP4 changes its level, ascending.

    Returns
    -------
    tuple of float
        float32 values; zero lies between -0 and 0.

    Notes
    -----
    They are the midpoints in exact arithmetic, written with six to eight decimals and read as
    float32, as the kernel's source has them. Where six decimals were kept, 7/12 became 0.583333:
    five float32 numbers above it go to 2/3, though 1/2 is nearer. Tier T1.

    References
    ----------
    bitsandbytes, ``csrc/kernels.cu``: ``dQuantizeFP4``.

    Examples
    --------
    >>> [f"{t:.8f}" for t in bitsandbytes_fp4_thresholds()[8:]][-3:]
    ['0.41666669', '0.58333302', '0.83333331']
    """
    middles = [(a + b) / 2 for a, b in pairwise(sorted(_fp4_magnitudes()))]
    decimals = zip(middles, _FP4_DECIMALS, strict=True)
    above = [float(_F(f"{float(middle):.{places}f}")) for middle, places in decimals]
    return (*(-t for t in reversed(above)), 0.0, *above)


#: how many decimals bitsandbytes writes of each midpoint, from the lowest up
_FP4_DECIMALS = (8, 8, 8, 8, 7, 6, 7)


def power_of_two_levels(bits: int, largest: int = 0, signed: bool = True) -> tuple[float, ...]:
    """Return zero and the powers of two from ``2^largest`` down, as many as `bits` can tell apart.

    Parameters
    ----------
    bits : int
        In [2, 8].
    largest : int
        The exponent of the largest level, in [-30, 30].
    signed : bool
        Whether -2^k is a level where 2^k is one.

    Returns
    -------
    tuple of float
        Ascending: ``2^(bits - 1) - 1`` powers of either sign and zero, ``2^bits - 1`` in all; or,
        unsigned, ``2^bits - 1`` powers and zero.

    Raises
    ------
    RangeError
        If a parameter is outside its range, or the least power is no float32.

    Notes
    -----
    A product with such a level is a shift. Between 2^k and 2^(k + 1) the nearest level is at most
    a third of the number away: ``|x - x'| <= |x| / 3``. Tier T1.

    References
    ----------
    D. Miyashita et al., arXiv:1603.01025; A. Zhou et al., arXiv:1702.03044.

    Examples
    --------
    >>> power_of_two_levels(3)
    (-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0)
    """
    check_integer(bits, "bits", 2, 8)
    check_integer(largest, "largest", -30, 30)
    count = (1 << (bits - signed)) - 1
    if largest - count + 1 < -149:
        raise RangeError(f"the least level, 2^{largest - count + 1}, is no float32: lower bits")
    powers = [2.0 ** (largest - k) for k in reversed(range(count))]
    return (*(-p for p in reversed(powers) if signed), 0.0, *powers)


def additive_power_of_two_levels(
    terms: int = 2, term_bits: int = 2, signed: bool = True
) -> tuple[float, ...]:
    """Return APoT's levels: all sums of `terms` powers of two, each out of its own small set.

    Parameters
    ----------
    terms : int
        *n*, how many summands, in [1, 4].
    term_bits : int
        *k*, bits that choose one summand, in [1, 4].
    signed : bool
        Whether the negatives are levels too, for one more bit.

    Returns
    -------
    tuple of float
        Ascending; ``2^(n k)`` sums, without the factor that makes the largest one 1: a scale's
        business.

    Raises
    ------
    RangeError
        If a parameter is outside its range or the sums need more than 8 bits.

    Notes
    -----
    Summand i is out of ``{0, 2^-i, 2^-(i + n), ..., 2^-(i + (2^k - 2) n)}``, so every sum has its
    own binary digits and no two are equal. One term gives the powers of two, one bit a term gives
    the integers from 0 to ``2^n - 1`` over ``2^(n - 1)``: uniform. Tier T1.

    References
    ----------
    Y. Li et al., arXiv:1909.13144.

    Examples
    --------
    >>> additive_power_of_two_levels(2, 1, signed=False)
    (0.0, 0.5, 1.0, 1.5)
    >>> len(additive_power_of_two_levels()), max(additive_power_of_two_levels())
    (31, 1.5)
    """
    check_integer(terms, "terms", 1, 4)
    check_integer(term_bits, "term_bits", 1, 4)
    if terms * term_bits + signed > 8:
        raise RangeError(f"terms * term_bits = {terms * term_bits} needs more than 8 bits")
    sets = [
        [0.0, *(2.0 ** -(i + j * terms) for j in range((1 << term_bits) - 1))] for i in range(terms)
    ]
    sums = sorted(sum(chosen) for chosen in product(*sets))
    return (*(-s for s in reversed(sums[1:]) if signed), *sums)
