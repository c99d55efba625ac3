"""Product quantization: every slice of a row has a codebook of its own.

Problem
-------
A codebook of ``K^M`` codewords is too large to store and to search. Split the space into M
sub-spaces and quantize each with K codewords: their Cartesian product has ``K^M`` members, and M K
short codewords are stored.

Equation
--------
``q(x) = (q_1(x_1), ..., q_M(x_M))`` with ``q_m`` the k-means quantizer of the m-th slice x_m
(section II-B of [1]_).

Conventions
-----------
A weight of shape (n_rows, ...) is n_rows rows; a convolution's filter is one row. The books are
stacked: shape (M, K, d) with ``d = row length / M``. M must divide the row length.

References
----------
.. [1] H. Jégou, M. Douze, C. Schmid, "Product Quantization for Nearest Neighbor Search", IEEE TPAMI
   33(1), 2011.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..core.checks import check_random_state
from ..core.errors import RangeError, ShapeError
from ..encodings import Cast, Method, stored
from ..encodings.legal import Choice, Legal, Of, Seed, Whole
from ..numerics import check_points
from .codec import BookCodec
from .initialization import starting_centers
from .kmeans import MAX_CODEWORDS, lloyd

__all__ = ["ProductQuantizer", "spawned"]

_DEFAULT_CAST = Cast("float16")


def spawned(random_state: Any, n: int) -> list[np.random.Generator]:
    """Return independent generators, the same ones for the same seed.

    Parameters
    ----------
    random_state : int, SeedSequence, Generator or None
        A Generator gives other children each time it is asked; a seed the same ones.
    n : int
        How many.

    Returns
    -------
    list of numpy.random.Generator
        Child m does not depend on n.

    Examples
    --------
    >>> a, b = spawned(0, 2), spawned(0, 3)
    >>> bool(a[1].random() == b[1].random())
    True
    """
    if isinstance(random_state, np.random.SeedSequence):  # a copy: spawning counts its children
        s = random_state
        random_state = np.random.SeedSequence(
            s.entropy, spawn_key=s.spawn_key, pool_size=s.pool_size
        )
    return check_random_state(random_state).spawn(n)


class ProductQuantizer(BookCodec):
    """Quantize each of M slices of the rows with K codewords of its own.

    Parameters
    ----------
    n_subspaces : int
        *M* in [1]_ (where it is m); it must divide the row length.
    n_codewords : int
        *K* in each book (k* in [1]_), in [1, 65536] and at most the number of rows.
    codebook_method : Method
        How the stacked books, of shape (n_subspaces, n_codewords, row length / n_subspaces), are
        stored.
    max_iter : int
        The most Lloyd iterations in a sub-space.
    init : {"k-means++", "random"}
        The start in each sub-space.
    random_state : int, SeedSequence, Generator or None
        Each sub-space draws from a child of its own.

    Attributes
    ----------
    codebook_ : ndarray, shape (n_subspaces, n_codewords, row length / n_subspaces)
        The books as they are stored, which is what codes are computed against.
    inertia_ : ndarray of float64, shape (n_subspaces,)
        Each sub-space's distortion, before the books were stored.
    n_iter_ : ndarray of int64, shape (n_subspaces,)
        Iterations in each sub-space.

    Notes
    -----
    ``stored_bits = n_rows M max(1, ceil(log2 K)) + bits of the books``. With few rows the books
    outweigh the codes: K = n_rows memorizes the array. Bound: every slice's distance to what it
    decodes to is the least over its stored book. Needs the array only. O(max_iter n K) time, n the
    number of weights. Tier T1 for a given seed.

    References
    ----------
    .. [1] H. Jégou, M. Douze, C. Schmid, "Product Quantization for Nearest Neighbor Search", IEEE
       TPAMI 33(1), 2011.

    Examples
    --------
    >>> W = np.array([[0, 0, 5], [0, 1, 5], [4, 0, 7], [4, 1, 7]]).repeat(2, axis=1)
    >>> q = ProductQuantizer(n_subspaces=3, n_codewords=2, random_state=0)
    >>> e = q.fit(W).encode(W)
    >>> bool((e.decode() == W).all()), e.stored_bits
    (True, 204)
    """

    parameters: ClassVar[dict[str, Legal]] = {
        "n_subspaces": Whole(1),
        "n_codewords": Whole(1, MAX_CODEWORDS),
        "codebook_method": Of(Method),
        "max_iter": Whole(0),
        "init": Choice("k-means++", "random"),
        "random_state": Seed(),
    }

    def __init__(
        self,
        n_subspaces: int = 8,
        n_codewords: int = 256,
        codebook_method: Method = _DEFAULT_CAST,
        max_iter: int = 25,
        init: str = "k-means++",
        random_state: int | np.random.SeedSequence | np.random.Generator | None = None,
    ) -> None:
        self.n_subspaces = n_subspaces
        self.n_codewords = n_codewords
        self.codebook_method = codebook_method
        self.max_iter = max_iter
        self.init = init
        self.random_state = random_state

    @classmethod
    def examples(cls) -> list[Method]:
        """See `Method.examples`."""
        return [
            cls(4, 4, random_state=0),
            cls(8, 12, codebook_method=Cast("float32"), random_state=1),
            cls(1, 3, init="random", random_state=2),
        ]

    def _learn(
        self,
        W: NDArray[Any],
        y: NDArray[Any] | None,
        inputs: NDArray[Any] | None,
        gradients: NDArray[Any] | None,
    ) -> None:
        cut = self._cut_to_learn(W)  # (n_rows, n_subspaces, codeword_size)
        if len(cut) < self.n_codewords:
            raise RangeError(
                f"n_codewords = {self.n_codewords} exceeds the {len(cut)} rows of an array of "
                f"shape {W.shape}; choose fewer"
            )
        runs = []
        for m, rng in enumerate(spawned(self.random_state, self.n_subspaces)):
            X = check_points(cut[:, m], "W")
            start = starting_centers(X, self.n_codewords, self.init, rng)
            runs.append(lloyd(X, start, self.max_iter))
        self.inertia_ = np.array([run[2] for run in runs])
        self.n_iter_ = np.array([run[3] for run in runs])
        books = np.stack([run[0] for run in runs])
        self.codebook_encoding_, self.codebook_ = stored(books, self.codebook_method)

    @property
    def _books(self) -> NDArray[Any]:
        return self.codebook_

    @property
    def _n_positions(self) -> int:
        return len(self.codebook_)

    def _codeword_size(self, length: int) -> int:
        M = self.n_subspaces
        if length == 0 or length % M:
            divisors = [n for n in range(1, min(length, 4096) + 1) if length % n == 0]
            raise ShapeError(
                f"n_subspaces = {M} does not divide the row length {length}; it must be among "
                f"{divisors}"
            )
        return length // M
