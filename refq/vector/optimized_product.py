"""Optimized product quantization: the rotation in which slices are cheapest to quantize.

Problem
-------
Product quantization treats slices apart, so it loses where coordinates of different slices go
together, or where some slices vary much more than others. A rotation before the cut mends both.

Equation
--------
Minimize ``sum_i |x_i R - q(x_i R)|^2`` over orthogonal R and the books of q (equation 5 of [1]_).
Two steps take turns (section 3.1): with R fixed, one iteration of Lloyd in every slice; with
``y_i = q(x_i R)`` fixed, the orthogonal Procrustes problem ``min_R |X R - Y|_F``, whose solution is
``R = U V^T`` with ``X^T Y = U S V^T`` [2]_. Neither can raise the objective.

Conventions
-----------
Rows are vectors; rotations stand on the right. R starts as the identity, so the first objective is
that of the product quantizer of the same seed. What is stored is ``R^T``, as the second factor of a
`FactoredEncoding`, whose first factor is the coded ``X R``.

References
----------
.. [1] T. Ge, K. He, Q. Ke, J. Sun, "Optimized Product Quantization for Approximate Nearest Neighbor
   Search", CVPR 2013.
.. [2] P. H. Schönemann, "A generalized solution of the orthogonal Procrustes problem",
   Psychometrika 31(1), 1966.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.errors import NotFittedError, RangeError, ShapeError
from ..encodings import Cast, Codec, FactoredEncoding, Method, stored
from ..encodings.legal import Legal, Of, Seed, Whole
from ..numerics import PointSearch, check_rows
from .centroids import inertia, lloyd_step
from .codec import rows_and_length
from .kmeans import MAX_CODEWORDS
from .product import ProductQuantizer, slices
from .tables import nearest_coded

__all__ = ["OptimizedProductQuantizer", "procrustes"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_DEFAULT_CAST = Cast("float16")
_ROTATION_CAST = Cast("float32")


def procrustes(X: Floats, Y: Floats) -> Floats:
    """Return the orthogonal matrix R that brings ``X R`` nearest to Y.

    Parameters
    ----------
    X, Y : ndarray of float64, shape (n, d)
        Rows.

    Returns
    -------
    ndarray of float64, shape (d, d)
        Orthogonal to a modest multiple of 2^-52.

    Raises
    ------
    RangeError
        If the singular values cannot be computed.

    Notes
    -----
    O(n d^2 + d^3) time. Tier T2.

    References
    ----------
    P. H. Schönemann, Psychometrika 31(1), 1966.

    Examples
    --------
    >>> procrustes(np.eye(2), np.array([[0.0, 2.0], [-3.0, 0.0]])) + 0.0
    array([[ 0.,  1.],
           [-1.,  0.]])
    """
    try:
        U, _, Vt = np.linalg.svd(X.T @ Y)
    except np.linalg.LinAlgError as error:
        raise RangeError(f"X^T Y has no computable singular values ({error}); scale X") from error
    return U @ Vt


class OptimizedProductQuantizer(Codec):
    """Rotate the rows, then quantize every slice with K codewords of its own.

    Parameters
    ----------
    n_subspaces : int
        *M* in [1]_, at most the row length.
    n_codewords : int
        *k* in each book, in [1, 65536] and at most the number of rows.
    max_iter : int
        Times that both steps are taken; 0 leaves the product quantizer it starts from.
    start_iter : int
        Lloyd iterations in each slice before the first rotation.
    codebook_method : Method
        How the books are stored.
    rotation_method : Method
        How the rotation, of shape (row length, row length), is stored.
    random_state : int, SeedSequence, Generator or None
        Each slice's start draws from a child of its own.

    Attributes
    ----------
    rotation_ : ndarray, shape (row length, row length)
        *R* as it is stored: its transpose is the factor that is kept.
    product_ : ProductQuantizer
        The quantizer of rotated rows.
    inertia_ : float
        The objective, before books and rotation were stored.
    n_iter_ : int
        Times that both steps were taken: `max_iter`.

    Notes
    -----
    ``stored_bits`` are those of the product quantizer and ``length^2`` numbers of the rotation: for
    few long rows they outweigh the codes. A stored rotation is orthogonal to its format's
    precision only, so codes are nearest for the rotated rows, not exactly for the rows. Needs the
    array only. O(max_iter n (K + length)) time, n the number of weights, and as many times
    ``length^3``. Tier T2.

    References
    ----------
    .. [1] T. Ge, K. He, Q. Ke, J. Sun, "Optimized Product Quantization for Approximate Nearest
       Neighbor Search", CVPR 2013.

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((60, 4))
    >>> W = rows @ [[4, 4, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, -1, 0, 0]]  # unequal slices
    >>> q = OptimizedProductQuantizer(2, 8, random_state=0).fit(W)
    >>> bool(q.inertia_ < ProductQuantizer(2, 8, random_state=0).fit(W).inertia_.sum())
    True
    """

    noun: ClassVar[str] = "FactoredEncoding"
    parameters: ClassVar[dict[str, Legal]] = {
        "n_subspaces": Whole(1),
        "n_codewords": Whole(1, MAX_CODEWORDS),
        "max_iter": Whole(0),
        "start_iter": Whole(0),
        "codebook_method": Of(Method),
        "rotation_method": Of(Method),
        "random_state": Seed(),
    }

    def __init__(
        self,
        n_subspaces: int = 8,
        n_codewords: int = 256,
        max_iter: int = 25,
        start_iter: int = 25,
        codebook_method: Method = _DEFAULT_CAST,
        rotation_method: Method = _ROTATION_CAST,
        random_state: int | np.random.SeedSequence | np.random.Generator | None = None,
    ) -> None:
        self.n_subspaces = n_subspaces
        self.n_codewords = n_codewords
        self.max_iter = max_iter
        self.start_iter = start_iter
        self.codebook_method = codebook_method
        self.rotation_method = rotation_method
        self.random_state = random_state

    @classmethod
    def examples(cls) -> list[Method]:
        """See `Method.examples`."""
        return [
            cls(4, 4, max_iter=5, random_state=0),
            cls(3, 5, max_iter=3, codebook_method=Cast("float32"), random_state=1),
        ]

    def _learn(
        self,
        W: NDArray[Any],
        y: NDArray[Any] | None,
        inputs: NDArray[Any] | None,
        gradients: NDArray[Any] | None,
    ) -> None:
        X = _plain_rows(W)
        start = ProductQuantizer(
            self.n_subspaces,
            self.n_codewords,
            Cast("float64"),
            self.start_iter,
            random_state=self.random_state,
        ).fit(X)
        parts, books = slices(X.shape[1], self.n_subspaces), list(start.codebooks_)
        rotation = np.eye(X.shape[1])
        codes, self.inertia_ = _assigned(X @ rotation, parts, books)
        for _ in range(self.max_iter):
            rotation, books, codes, self.inertia_ = _iterated(X, rotation, parts, books, codes)
        self.n_iter_ = self.max_iter
        self.rotation_encoding_, transposed = stored(rotation.T, self.rotation_method)
        self.rotation_ = transposed.T
        self.product_ = ProductQuantizer(self.n_subspaces, self.n_codewords, self.codebook_method)
        self.product_.keep(books)
        self.product_.fitted_shape_ = X.shape

    def _learned(self) -> ProductQuantizer:
        if not hasattr(self, "product_"):
            raise NotFittedError(f"{type(self).__name__} is not fitted: call fit(W) first")
        return self.product_

    def _rotated(self, rows: NDArray[Any]) -> Floats:
        self._learned()
        if rows.shape[1] != len(self.rotation_):
            raise ShapeError(f"rows have {rows.shape[1]} values; fitted to {len(self.rotation_)}")
        return rows.astype(np.float64) @ self.rotation_.astype(np.float64)

    def _encode(self, W: NDArray[Any]) -> FactoredEncoding:
        coded = self.product_.encode(self._rotated(W.reshape(rows_and_length(W.shape))))
        return FactoredEncoding((coded, self.rotation_encoding_), "ij,jk->ik", W.shape)

    def encode_codes(self, X: ArrayLike) -> NDArray[Any]:
        """See `Codec.encode_codes`; nearest for the rotated rows."""
        return self._learned().encode_codes(self._rotated(check_rows(X)))

    def decode_codes(self, codes: ArrayLike) -> NDArray[Any]:
        """See `Codec.decode_codes`."""
        rotated = self._learned().decode_codes(codes).astype(np.float64)
        return (rotated @ self.rotation_.T.astype(np.float64)).astype(np.float32)

    def distance_table(self, queries: ArrayLike) -> Floats:
        """Return the squared distances of the rotated queries' pieces to the codewords.

        Parameters
        ----------
        queries : array_like, shape (n, n_features)
            Finite numbers.

        Returns
        -------
        ndarray of float64, shape (n, n_subspaces, n_codewords)
            See `ProductQuantizer.distance_table`: a rotation keeps distances, as far as it is one.
        """
        return self._learned().distance_table(self._rotated(check_rows(queries)))

    def search(self, queries: ArrayLike, codes: ArrayLike, k: int = 1) -> tuple[Floats, Integers]:
        """Return the k coded vectors that are nearest to each query.

        Parameters
        ----------
        queries : array_like, shape (n, n_features)
            Finite numbers.
        codes : array_like of integers, shape (n_vectors, n_subspaces)
            As `encode_codes` gives them.
        k : int
            In [1, n_vectors].

        Returns
        -------
        distances : ndarray of float64, shape (n, k)
            Squared, of rotated vectors, the least first.
        indices : ndarray of int64, shape (n, k)
            Rows of `codes`.
        """
        return nearest_coded(self.distance_table(queries), codes, k)


def _plain_rows(W: NDArray[Any]) -> Floats:
    if W.size == 0:
        raise ShapeError(f"W has shape {W.shape}: an empty array has no codebook")
    rows = check_rows(W.reshape(rows_and_length(W.shape)), "W")
    return np.ascontiguousarray(rows, np.float64)


def _assigned(
    rotated: Floats, parts: list[slice], books: list[NDArray[Any]]
) -> tuple[list[Integers], float]:
    """Return each slice's nearest codewords, and the objective."""
    cuts = [np.ascontiguousarray(rotated[:, part]) for part in parts]
    codes = [PointSearch(x).codes(book) for x, book in zip(cuts, books, strict=True)]
    return codes, sum(inertia(x, b, c) for x, b, c in zip(cuts, books, codes, strict=True))


def _iterated(
    X: Floats,
    rotation: Floats,
    parts: list[slice],
    books: list[NDArray[Any]],
    codes: list[Integers],
) -> tuple[Floats, list[NDArray[Any]], list[Integers], float]:
    """Take both steps once: books for the rotation, a rotation for what they decode to."""
    rotated = X @ rotation
    moved = [
        lloyd_step(np.ascontiguousarray(rotated[:, part]), book, code)
        for part, book, code in zip(parts, books, codes, strict=True)
    ]
    codes, _ = _assigned(rotated, parts, moved)
    decoded = np.concatenate([b[c] for b, c in zip(moved, codes, strict=True)], axis=1)
    rotation = procrustes(X, decoded)
    codes, objective = _assigned(X @ rotation, parts, moved)
    return rotation, moved, codes, objective
