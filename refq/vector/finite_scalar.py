"""Finite scalar quantization: a codebook that is a product of a few levels in each coordinate.

Problem
-------
Learned codebooks collapse: many codewords are never used. If every coordinate of a short vector is
rounded to one of a few levels, the codebook is the product of the levels; nothing is learned or
searched, and no codeword can die.

Equation
--------
In training, coordinate i of a latent z is bounded and rounded to one of L_i integers [1]_:
``bound(z) = half tanh(z + tan(offset / half)) - offset``, ``half = (L - 1) (1 - 0.001) / 2``,
``offset`` 1/2 for even L and 0 for odd L; ``values = round(bound(z)) / floor(L / 2)``. Backwards,
rounding counts as the identity (straight-through): ``dvalues/dz = half (1 - tanh^2) / floor(L/2)``.

The index of a codeword is ``sum_i digit_i prod_{j<i} L_j``, with ``digit = round(bound(z)) +
floor(L / 2)``: the first coordinate runs fastest.

Conventions
-----------
The method codes *weights*, which no tanh has bounded. Coordinate i has L_i evenly spaced levels
from -s_i to s_i, both included, where s_i is the largest magnitude of that coordinate. Rounding
every coordinate to its nearest level is finding the nearest codeword of the product, for a squared
distance is a sum over coordinates.

The product book of ``prod L_i`` codewords is stored as one factor for each coordinate, ``sum L_i``
rows: column i of factor i holds the levels, the other columns hold 1.

``tan`` in the bound's shift is the paper's; with the inverse of tanh the bound of 0 would be 0.

References
----------
.. [1] F. Mentzer, D. Minnen, E. Agustsson, M. Tschannen, "Finite Scalar Quantization: VQ-VAE Made
   Simple", 2023, arXiv:2309.15505, section 3 and appendix A.1.
"""

from collections.abc import Sequence
from math import prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import check_float_array, check_integer, check_integer_array
from ..core.errors import RangeError, ShapeError
from ..core.rounding import saturate
from ..encodings import Cast, FactoredEncoding, Method, stored
from ..encodings.legal import Legal, Of
from ..numerics import check_rows, nearest_codeword
from .codec import BookCodec, Books, rows_and_length

__all__ = [
    "FSQ",
    "fsq_bound",
    "fsq_digits",
    "fsq_index",
    "fsq_pullback",
    "fsq_values",
]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MAX_CODEWORDS = 1 << 16
_DEFAULT_CAST = Cast("float16")
_LETTERS = "abcdefghijklmnopqrst"  # 20 coordinates of 2 levels would be beyond MAX_CODEWORDS


def _checked_levels(levels: Sequence[int]) -> Integers:
    """Return the levels as an array, if their product is small enough."""
    found = [check_integer(n, f"levels[{i}]", 2, MAX_CODEWORDS) for i, n in enumerate(levels)]
    if not found or prod(found) > MAX_CODEWORDS:
        raise RangeError(
            f"levels = {tuple(levels)} must be some, with a product of at most {MAX_CODEWORDS}"
        )
    return np.array(found, np.int64)


def _latents(z: ArrayLike, levels: Sequence[int]) -> tuple[Floats, Floats, Floats]:
    """Return z, half and offset, all of them float64."""
    L = _checked_levels(levels)
    x = check_float_array(z, "z").astype(np.float64)
    if x.ndim == 0 or x.shape[-1] != len(L):
        raise ShapeError(f"z has shape {x.shape}; its last axis needs {len(L)} coordinates")
    return x, (L - 1) * (1 - 1e-3) / 2, np.where(L % 2 == 1, 0.0, 0.5)


def fsq_bound(z: ArrayLike, levels: Sequence[int]) -> Floats:
    """Return latents bounded so that each coordinate rounds to one of its levels.

    Parameters
    ----------
    z : array_like, shape (..., d)
        Latents.
    levels : sequence of int
        *L*, for each coordinate; at least 2 each, their product at most 65536.

    Returns
    -------
    ndarray of float64, shape (..., d)
        In ``(-floor(L/2) - 1/2, ceil(L/2) - 1/2)``.

    Raises
    ------
    ShapeError
        If the last axis has another length.
    RangeError
        If a level is not legal.

    References
    ----------
    arXiv:2309.15505, appendix A.1.

    Examples
    --------
    >>> fsq_bound([[0.0, 9.0]], (3, 3)).round(3)
    array([[0.   , 0.999]])
    """
    x, half, offset = _latents(z, levels)
    return np.tanh(x + np.tan(offset / half)) * half - offset


def fsq_digits(z: ArrayLike, levels: Sequence[int]) -> Integers:
    """Return which level each coordinate of latents rounds to.

    Parameters
    ----------
    z : array_like, shape (..., d)
        Latents.
    levels : sequence of int
        *L*, for each coordinate.

    Returns
    -------
    ndarray of int64, shape (..., d)
        In [0, L); halves round to even before ``floor(L/2)`` is added.

    References
    ----------
    arXiv:2309.15505, section 3.1.

    Examples
    --------
    >>> fsq_digits([[0.25, 0.6, -7.0]], (3, 5, 4))
    array([[1, 3, 0]])
    """
    bounded = fsq_bound(z, levels)
    L = _checked_levels(levels)
    rounded: Integers = saturate(np.rint(bounded), -MAX_CODEWORDS, MAX_CODEWORDS, np.int64)
    return rounded + L // 2


def fsq_values(digits: ArrayLike, levels: Sequence[int]) -> Floats:
    """Return what a decoder network sees: ``(digit - floor(L/2)) / floor(L/2)``.

    Parameters
    ----------
    digits : array_like of int, shape (..., d)
        In [0, L).
    levels : sequence of int
        *L*, for each coordinate.

    Returns
    -------
    ndarray of float64, shape (..., d)
        In [-1, 1]; an even L does not reach 1.

    References
    ----------
    arXiv:2309.15505, appendix A.1.

    Examples
    --------
    >>> fsq_values([[0, 2], [2, 3]], (3, 4))
    array([[-1. ,  0. ],
           [ 1. ,  0.5]])
    """
    half = _checked_levels(levels) // 2
    return np.asarray((check_integer_array(digits, "digits") - half) / half)


def fsq_index(digits: ArrayLike, levels: Sequence[int]) -> Integers:
    """Return the codeword's number: digits of a mixed radix, the first one the least significant.

    Parameters
    ----------
    digits : array_like of int, shape (..., d)
        In [0, L).
    levels : sequence of int
        *L*, for each coordinate.

    Returns
    -------
    ndarray of int64, shape (...)
        In [0, prod L).

    Raises
    ------
    RangeError
        If a digit is none.

    References
    ----------
    arXiv:2309.15505, appendix A.1.

    Examples
    --------
    >>> fsq_index([[1, 3, 0], [2, 4, 3]], (3, 5, 4))
    array([10, 59])
    """
    L = _checked_levels(levels)
    d = check_integer_array(digits, "digits").astype(np.int64)
    if d.ndim == 0 or d.shape[-1] != len(L) or ((d < 0) | (d >= L)).any():
        raise RangeError(f"digits of shape {d.shape} must be {len(L)} a row, each in [0, {L})")
    return np.asarray((d * _basis(L)).sum(axis=-1), np.int64)


def _basis(L: Integers) -> Integers:
    """Return the weights of the digits."""
    return np.concatenate([[1], np.cumprod(L[:-1])])


def fsq_pullback(z: ArrayLike, levels: Sequence[int], grad: ArrayLike) -> Floats:
    """Return the straight-through gradient: rounding counts as the identity.

    Parameters
    ----------
    z : array_like, shape (..., d)
        Latents.
    levels : sequence of int
        *L*, for each coordinate.
    grad : array_like, shape (..., d)
        Of a loss, with respect to `fsq_values`.

    Returns
    -------
    ndarray of float64, shape (..., d)
        With respect to z: that of ``bound(z) / floor(L/2)``.

    References
    ----------
    arXiv:2309.15505, section 3.1; Y. Bengio, N. Leonard, A. Courville, arXiv:1308.3432.

    Examples
    --------
    >>> fsq_pullback([[0.0]], (3,), [[2.0]]).round(3)
    array([[1.998]])
    """
    x, half, offset = _latents(z, levels)
    t = np.tanh(x + np.tan(offset / half))
    slope = half * (1 - t * t) / (_checked_levels(levels) // 2)
    return np.asarray(check_float_array(grad, "grad") * slope)


class FSQ(BookCodec):
    """Round every coordinate of short vectors of weights to one of a few levels.

    Parameters
    ----------
    levels : tuple of int
        *L*, for each coordinate of a vector: at least 2 each, their product at most 65536. The
        number of coordinates must divide the row length.
    codebook_method : Method
        How the factors of the product book are stored; it must keep 1 exactly.

    Attributes
    ----------
    levels_ : list of ndarray
        Each coordinate's levels as they are stored, rising.
    codebook_ : ndarray, shape (prod(levels), len(levels))
        Their product.

    Notes
    -----
    ``stored_bits = n_vectors max(1, ceil(log2 prod L)) + bits of sum(L) len(L) factor values``.
    Bound: each vector's distance to what it decodes to is the least over the product book. A vector
    of zeros is kept where all levels are odd. Needs the array only. O(n log L) time. Tier T1.

    References
    ----------
    .. [1] F. Mentzer, D. Minnen, E. Agustsson, M. Tschannen, "Finite Scalar Quantization: VQ-VAE
       Made Simple", arXiv:2309.15505.

    Examples
    --------
    >>> q = FSQ((3, 5)).fit([[1.0, 0.3, -0.4, -0.5]])
    >>> e = q.encode([[1.0, 0.3, -0.4, -0.5]])
    >>> e.decode(), e.codes.decode(), e.stored_bits
    (array([[ 1.  ,  0.25,  0.  , -0.5 ]], dtype=float32), array([[11,  1]], dtype=uint8), 264)
    """

    parameters: ClassVar[dict[str, Legal]] = {"levels": Of(tuple), "codebook_method": Of(Method)}
    codebook_: NDArray[Any]

    def __init__(
        self, levels: tuple[int, ...] = (8, 5, 5, 5), codebook_method: Method = _DEFAULT_CAST
    ) -> None:
        self.levels = levels
        self.codebook_method = codebook_method

    @classmethod
    def examples(cls) -> list[Method]:
        """See `Method.examples`."""
        return [cls((5, 3)), cls((4, 3, 2, 2)), cls((7,), Cast("float32"))]

    def _learn(
        self,
        W: NDArray[Any],
        y: NDArray[Any] | None,
        inputs: NDArray[Any] | None,
        gradients: NDArray[Any] | None,
    ) -> None:
        L = _checked_levels(self.levels)
        d = len(L)
        if W.size == 0 or rows_and_length(W.shape)[1] % d:
            raise ShapeError(
                f"W has shape {W.shape}: rows with elements, of a multiple of {d}, are needed; "
                f"nothing is padded"
            )
        largest = np.abs(check_rows(W.reshape(-1, d), "W")).max(axis=0).astype(np.float64)
        factors, decoded = [], []
        for i in range(d):
            factor = np.ones((int(L[i]), d))
            # the numerators are whole: the middle of an odd number of levels is 0 exactly
            factor[:, i] = largest[i] * ((2 * np.arange(L[i]) - (L[i] - 1)) / (L[i] - 1))
            encoding, values = stored(factor, self.codebook_method)
            if (np.delete(values, i, axis=1) != 1).any():
                raise RangeError(f"codebook_method = {self.codebook_method!r} does not keep 1")
            factors.append(encoding)
            decoded.append(values[:, i])
        self.levels_ = decoded
        self._books = self._product(tuple(factors))
        self.codebook_ = self._books.stored[0]

    def _product(self, factors: tuple[Any, ...]) -> Books:
        """Return the product book, the first coordinate running fastest."""
        letters = _LETTERS[: len(factors)]
        terms = ",".join(f"{letter}x" for letter in letters)
        shape = (1, prod(self.levels), len(factors))
        encoding = FactoredEncoding(factors, f"{terms}->{letters[::-1]}x", shape)
        decoded = encoding.decode()
        return Books(decoded, encoding, decoded)

    def _nearest(self, cut: NDArray[Any], books: NDArray[Any]) -> Integers:
        """Return the codewords of the nearest levels: of ties the lowest digit, so the index."""
        flat = cut.reshape(-1, cut.shape[2])
        digits = [
            nearest_codeword(flat[:, i, None], level[:, None])
            for i, level in enumerate(self.levels_)
        ]
        return fsq_index(np.stack(digits, axis=1), self.levels).reshape(cut.shape[:2])

    @property
    def _any_length(self) -> bool:
        return True

    @property
    def _stacks(self) -> list[Books]:
        return [self._books] if hasattr(self, "_books") else []
