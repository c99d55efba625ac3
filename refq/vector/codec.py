"""What all codecs of books share: coding weights and data once the books are learned.

Equation
--------
``codes[r, p] = nearest(x_rp, book_p)``, where x_rp is the p-th piece of row r, and book_p the one
book there is, or the p-th.

Conventions
-----------
A weight of shape (n_rows, ...) is cut row by row in C order; a weight of one axis or none is one
row. Nothing is padded. Codes are computed against the books as they are *stored*.
"""

from abc import abstractmethod
from math import prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.errors import NotFittedError, ShapeError
from ..encodings import CodebookEncoding, Codec, Encoding, from_codes
from ..numerics import nearest_codeword
from .initialization import squared_distance_to
from .tables import check_codes, distance_tables, pieces

__all__ = ["BookCodec", "nearest_codes", "nearest_distances", "rows_and_length"]

Floats = NDArray[np.float64]


def rows_and_length(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return how many rows a weight has and how long one is.

    Parameters
    ----------
    shape : tuple of int
        The weight's; one axis or none is one row.

    Returns
    -------
    n_rows, length : int
        Their product is the size.

    Examples
    --------
    >>> rows_and_length((8, 3, 5, 5)), rows_and_length((7,))
    ((8, 75), (1, 7))
    """
    return (shape[0], prod(shape[1:])) if len(shape) > 1 else (1, prod(shape))


def nearest_codes(cut: NDArray[Any], books: NDArray[Any]) -> NDArray[np.int64]:
    """Return the nearest codeword of every piece.

    Parameters
    ----------
    cut : ndarray of float, shape (n, n_positions, d)
        Pieces.
    books : ndarray of float, shape (1 or n_positions, K, d)
        One book for all positions, or one for each.

    Returns
    -------
    ndarray of int64, shape (n, n_positions)
        Exact, see `refq.numerics.nearest`; the lowest index on a tie.

    Examples
    --------
    >>> nearest_codes(np.array([[[1.0], [1.0]]]), np.array([[[0.0], [3.0]], [[3.0], [1.0]]]))
    array([[0, 1]])
    """
    n, n_positions, d = cut.shape
    if len(books) == 1:
        return nearest_codeword(cut.reshape(n * n_positions, d), books[0]).reshape(n, n_positions)
    columns = [nearest_codeword(cut[:, p], books[p]) for p in range(n_positions)]
    return np.stack(columns, axis=1)


def nearest_distances(cut: Floats, books: Floats) -> Floats:
    """Return a bound on the distance of every piece to its nearest codeword.

    Parameters
    ----------
    cut : ndarray of float64, shape (n, n_positions, d)
        Pieces.
    books : ndarray of float64, shape (1 or n_positions, K, d)
        One book for all positions, or one for each.

    Returns
    -------
    ndarray of float64, shape (n, n_positions)
        At or just above the exact distance: the rounding of the computation is added.

    Examples
    --------
    >>> nearest_distances(np.array([[[0.5]]]), np.array([[[0.0], [2.0]]])).round(12)
    array([[0.5]])
    """
    n, n_positions, d = cut.shape
    least = np.full((n, n_positions), np.inf)
    for p in range(n_positions):
        for codeword in books[p if len(books) > 1 else 0]:
            least[:, p] = np.minimum(least[:, p], squared_distance_to(cut[:, p], codeword))
    return np.sqrt(least + d * 2.0**-1070) * (1 + (d + 8) * 2.0**-52)


class BookCodec(Codec):
    """A codec whose learned state is a stack of books, and its parent class's duties.

    Attributes
    ----------
    codebook_encoding_ : Encoding, shape (n_books, n_codewords, codeword_size)
        What is stored; every encoding that the codec makes shares it.
    """

    memoryless: ClassVar[bool] = True
    noun: ClassVar[str] = "CodebookEncoding"
    codebook_encoding_: Encoding
    codebook_: NDArray[Any]

    @property
    @abstractmethod
    def _books(self) -> NDArray[Any]:
        """The stored books, shape (n_books, n_codewords, codeword_size)."""

    @property
    @abstractmethod
    def _n_positions(self) -> int | None:
        """How many pieces a row must have; None allows any number."""

    @abstractmethod
    def _codeword_size(self, length: int) -> int:
        """Return the codeword size for rows of that length, or say why there is none."""

    def _cut_to_learn(self, W: NDArray[Any]) -> NDArray[Any]:
        """Return the weight in pieces by the parameters, shape (n_rows, n_positions, d)."""
        if W.size == 0:
            raise ShapeError(f"W has shape {W.shape}: an empty array has no codebook")
        n_rows, length = rows_and_length(W.shape)
        d = self._codeword_size(length)
        return W.reshape(n_rows, length // d, d)

    def _cut(self, W: NDArray[Any]) -> NDArray[Any]:
        """Return the weight in pieces by the learned books, shape (n_rows, n_positions, d)."""
        n_rows, length = rows_and_length(W.shape)
        d = self._books.shape[2]
        if length % d or (self._n_positions is not None and length // d != self._n_positions):
            want = f"a multiple of {d}" if self._n_positions is None else d * self._n_positions
            raise ShapeError(f"W of shape {W.shape} has row length {length}; it needs {want}")
        return W.reshape(n_rows, length // d, d)

    def _fitted_books(self) -> NDArray[Any]:
        if not hasattr(self, "codebook_"):
            raise NotFittedError(f"{type(self).__name__} is not fitted: call fit(W) first")
        return self._books

    def _pieces(self, X: ArrayLike) -> Floats:
        d = self._fitted_books().shape[2]
        return pieces(X, None if self._n_positions is None else self._n_positions * d, d)

    def _encode(self, W: NDArray[Any]) -> CodebookEncoding:
        codes = nearest_codes(self._cut(W), self._books)
        leaf = from_codes(codes, self._books.shape[1])
        return CodebookEncoding(leaf, self.codebook_encoding_, W.shape)

    def error_bound(self, W: NDArray[Any], encoding: Encoding) -> NDArray[Any]:
        """Each vector's Euclidean distance to its nearest stored codeword."""
        cut = self._cut(np.asarray(W)).astype(np.float64)
        bound = nearest_distances(cut, self._books.astype(np.float64))
        return np.broadcast_to(bound[:, :, None], cut.shape).reshape(np.shape(W))

    def encode_codes(self, X: ArrayLike) -> NDArray[Any]:
        """See `Codec.encode_codes`."""
        cut = self._pieces(X)
        dtype = np.uint8 if self._books.shape[1] <= 256 else np.uint16
        return nearest_codes(cut, self._books).astype(dtype)

    def decode_codes(self, codes: ArrayLike) -> NDArray[Any]:
        """See `Codec.decode_codes`."""
        books = self._fitted_books()
        where = check_codes(codes, self._n_positions, books.shape[1])
        rows = np.arange(where.shape[1]) % len(books)
        return books[rows[None, :], where].reshape(len(where), where.shape[1] * books.shape[2])

    def distance_table(self, queries: ArrayLike) -> Floats:
        """Return the squared distances of the queries' pieces to the codewords.

        Parameters
        ----------
        queries : array_like, shape (n, n_features)
            Finite numbers, of the length that `encode_codes` takes.

        Returns
        -------
        ndarray of float64, shape (n, n_positions, n_codewords)
            For `refq.vector.sum_of_entries`, which adds them up for coded vectors.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        ShapeError
            If the queries do not fit.
        """
        return distance_tables(self._pieces(queries), self._books)
