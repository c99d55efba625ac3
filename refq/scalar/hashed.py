"""Hashed weight sharing: a hash decides which weights share a value; no index is stored.

Problem
-------
Weight sharing by k-means stores an index for every weight. A hash of the position costs nothing.

Equation
--------
``w'_i = xi(i) v_h(i)`` with a bucket ``h(i)`` in [0, K) and a sign ``xi(i)`` in {-1, +1}, both from
hashes of the position [1]_. The values of least squared error are the means of what shares them,
``v_k = mean of xi(i) w_i over h(i) = k``; the gradient of a value is the *sum* over its bucket,
``dL/dv_k = sum over h(i) = k of xi(i) dL/dw'_i``.

Conventions
-----------
Position i is the index in C order. The hash is SplitMix64 of seed and position (see
`refq.encodings.GeneratedEncoding`): bucket from `seed`, sign from ``seed + 1`` modulo 2^64. The
number of buckets is a power of two. An empty bucket has the value 0.

References
----------
.. [1] W. Chen, J. T. Wilson, S. Tyree, K. Q. Weinberger, Y. Chen, "Compressing Neural Networks with
   the Hashing Trick", ICML 2015, arXiv:1504.04788.
"""

from math import prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..core.errors import ShapeError
from ..encodings import (
    Cast,
    CodebookEncoding,
    GeneratedEncoding,
    Method,
    ScaledEncoding,
    stored,
)
from ..encodings.legal import Legal, Of, Whole

__all__ = ["HashedQuantizer"]


def _rows(shape: tuple[int, ...]) -> tuple[int, int]:
    return (shape[0], prod(shape[1:])) if len(shape) > 1 else (1, prod(shape))


class HashedQuantizer(Method):
    """Weights in the same hash bucket share a value, up to a hashed sign.

    Parameters
    ----------
    bits : int
        ``2^bits`` buckets, in [1, 16].
    seed : int
        Of the hash, in [0, 2^64).
    codebook_method : Method
        How the values, of shape (1, 2**bits, 1), are stored.

    Attributes
    ----------
    buckets_ : ndarray, shape (2**bits,)
        The values as they are stored.

    Notes
    -----
    ``stored_bits`` are those of the values: indices and signs are made by rule. The encoding
    depends on the fitted values only, so an array that is encoded later does not change it: train
    the values through ``Encoding.pullback`` instead. The squared error is the least for this hash,
    before the values are stored; for weights without structure it leaves about ``1 - K / n`` of
    their energy, far more than learned indices do: the method is made for training. O(n). Tier T1.

    References
    ----------
    W. Chen et al., arXiv:1504.04788.

    Examples
    --------
    >>> e = HashedQuantizer(bits=2).fit_encode(np.arange(12.0).reshape(3, 4))
    >>> e.stored_bits, e.shape
    (64, (3, 4))
    """

    # the codes do not depend on the array at all, and a constant does not survive the signs
    memoryless: ClassVar[bool] = False
    noun: ClassVar[str] = "ScaledEncoding"
    parameters: ClassVar[dict[str, Legal]] = {
        "bits": Whole(1, 16),
        "seed": Whole(0, (1 << 64) - 1),
        "codebook_method": Of(Method),
    }

    def __init__(
        self,
        bits: int = 6,
        seed: int = 0,
        codebook_method: Method = Cast("float16"),  # noqa: B008 (never changed: it is cloned)
    ) -> None:
        self.bits = bits
        self.seed = seed
        self.codebook_method = codebook_method

    @classmethod
    def examples(cls) -> list[Method]:
        """See `Method.examples`."""
        return [cls(), cls(3, seed=7, codebook_method=Cast("float32"))]

    def _hashes(self, shape: tuple[int, ...]) -> tuple[GeneratedEncoding, GeneratedEncoding]:
        where = GeneratedEncoding(f"buckets{self.bits}", _rows(shape), self.seed)
        return where, GeneratedEncoding("signs", shape, (self.seed + 1) % (1 << 64))

    def _learn(
        self,
        W: NDArray[Any],
        y: NDArray[Any] | None,
        inputs: NDArray[Any] | None,
        gradients: NDArray[Any] | None,
    ) -> None:
        """Take the mean of every bucket."""
        if W.size == 0:
            raise ShapeError(f"W has shape {W.shape}: an empty array has no values to share")
        where, signs = self._hashes(W.shape)
        codes = where.decode().reshape(-1)
        turned = (W * signs.decode()).reshape(-1).astype(np.float64)
        counts = np.bincount(codes, minlength=1 << self.bits)
        share = turned / np.maximum(counts, 1)[codes]  # divided first: no sum overflows
        values = np.bincount(codes, share, minlength=1 << self.bits)
        self._book, book = stored(values[None, :, None], self.codebook_method)
        self.buckets_ = book[0, :, 0]

    def _encode(self, W: NDArray[Any]) -> ScaledEncoding:
        where, signs = self._hashes(self._same_shape(W).shape)
        shared = CodebookEncoding(where, self._book, W.shape)
        return ScaledEncoding(shared, signs, (1,) * W.ndim)
