"""Additive quantization by local search: books whose codewords are chosen together.

Problem
-------
Residual quantization chooses book by book and never looks back. The best sum of one codeword of
each book is another problem: it is NP-hard in general, since it is inference in a fully connected
random field, but local search does well.

Equation
--------
Minimize ``sum_i |x_i - sum_m C_m[b_im]|^2`` over books C and codes b [1]_. Two steps take turns:

*Books*: with codes fixed this is linear least squares, ``min_C |B C - X|_F`` with the 0-1 matrix B
of codes.

*Codes*: iterated conditional modes [2]_: one code after another is set to its best value while the
others stay, until nothing changes. Local search perturbs the codes at random, searches again, and
keeps for every vector what is nearer. No step can raise the objective.

Conventions
-----------
The start is a `ResidualQuantizer` of the same parameters. At the end the books are stored; should
coding with them be worse than with the start's books, the start's books are kept. So the result is
never worse than the start, on the array that was fitted.

References
----------
.. [1] A. Babenko and V. Lempitsky, "Additive Quantization for Extreme Vector Compression", CVPR
   2014, equation 2.
.. [2] J. Martinez, J. Clement, H. H. Hoos, J. J. Little, "Revisiting Additive Quantization", ECCV
   2016: local search quantization.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..encodings import Cast, Method
from ..encodings.legal import Legal, Of, Seed, Whole
from ..numerics import nearest_codeword
from .initialization import squared_distance_to
from .kmeans import MAX_CODEWORDS
from .residual import ResidualQuantizer
from .sum_codec import SumCodec, beam_codes, decoded_sum, distortion

__all__ = ["AdditiveQuantizer", "conditional_modes", "least_squares_books", "local_search"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_DEFAULT_CAST = Cast("float16")


def conditional_modes(
    X: NDArray[Any], books: list[NDArray[Any]], codes: Integers, max_sweeps: int
) -> Integers:
    """Set one code after another to its best value while the others stay.

    Parameters
    ----------
    X : ndarray of float, shape (n, d)
        Vectors.
    books : list of ndarray of float, shape (K, d)
        The books.
    codes : ndarray of int64, shape (n, n_books)
        Where to start.
    max_sweeps : int
        The most times that all books are gone through.

    Returns
    -------
    ndarray of int64, shape (n, n_books)
        No farther from X than the given ones, vector by vector (but for float64 rounding).

    Notes
    -----
    O(n K d n_books) time a sweep. Tier T1.

    Examples
    --------
    >>> books = [np.array([[0.0], [1.0]]), np.array([[0.9], [0.0]])]
    >>> conditional_modes(np.array([[1.8]]), books, np.array([[0, 0]]), 3)
    array([[1, 0]])
    """
    codes = codes.copy()
    for _ in range(max_sweeps):
        before = codes.copy()
        for m, book in enumerate(books):
            others = decoded_sum(codes, books) - book[codes[:, m]]
            codes[:, m] = nearest_codeword(X - others, book)
        if np.array_equal(codes, before):
            break
    return codes


def local_search(
    X: NDArray[Any],
    books: list[NDArray[Any]],
    codes: Integers,
    n_tries: int,
    n_sweeps: int,
    rng: np.random.Generator,
) -> Integers:
    """Change a code of every vector at random, search again, and keep what is nearer.

    Parameters
    ----------
    X : ndarray of float, shape (n, d)
        Vectors.
    books : list of ndarray of float, shape (K, d)
        The books.
    codes : ndarray of int64, shape (n, n_books)
        Where to start.
    n_tries : int
        How often.
    n_sweeps : int
        The most sweeps of conditional modes, before the first change and after each.
    rng : numpy.random.Generator
        For the changes.

    Returns
    -------
    ndarray of int64, shape (n, n_books)
        No farther from X than the given ones, vector by vector (but for float64 rounding).

    Notes
    -----
    O(n_tries n_sweeps n K d n_books) time. Tier T1 for a given generator state.

    Examples
    --------
    >>> books = [np.array([[0.0], [1.0]]), np.array([[0.9], [0.0]])]
    >>> rng = np.random.default_rng(0)
    >>> local_search(np.array([[1.8]]), books, np.array([[0, 1]]), 2, 3, rng)
    array([[1, 0]])
    """
    best = conditional_modes(X, books, codes, n_sweeps)
    least = squared_distance_to(X, decoded_sum(best, books))
    rows = np.arange(len(X))
    for _ in range(n_tries):
        tried = best.copy()
        where = rng.integers(len(books), size=len(X))
        tried[rows, where] = rng.integers(len(books[0]), size=len(X))
        tried = conditional_modes(X, books, tried, n_sweeps)
        distances = squared_distance_to(X, decoded_sum(tried, books))
        nearer = distances < least
        best[nearer], least[nearer] = tried[nearer], distances[nearer]
    return best


def least_squares_books(X: NDArray[Any], codes: Integers, n_codewords: int) -> list[Floats]:
    """Return the books that are best for given codes.

    Parameters
    ----------
    X : ndarray of float, shape (n, d)
        Vectors.
    codes : ndarray of int64, shape (n, n_books)
        One column a book.
    n_codewords : int
        *K* in each book.

    Returns
    -------
    list of ndarray of float64, shape (K, d)
        The solution of least norm: books may be shifted against one another, and codewords that no
        code names are zero.

    Notes
    -----
    O((n_books K)^3) time, by the normal equations' pseudo-inverse: their entries are counts. Tier
    T2.

    Examples
    --------
    >>> X = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> codes = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> bool(np.allclose(decoded_sum(codes, least_squares_books(X, codes, 2)), X))
    True
    """
    n_books = codes.shape[1]
    columns = codes + n_codewords * np.arange(n_books)
    total = n_books * n_codewords
    pairs = columns[:, :, None] * total + columns[:, None, :]
    counts = np.bincount(pairs.ravel(), minlength=total * total).reshape(total, total)
    sums = np.zeros((total, X.shape[1]))
    x = X.astype(np.float64)
    for m in range(n_books):
        np.add.at(sums, columns[:, m], x)
    solution = np.linalg.pinv(counts.astype(np.float64), hermitian=True) @ sums
    return list(solution.reshape(n_books, n_codewords, X.shape[1]))


class AdditiveQuantizer(SumCodec):
    """Replace every vector by a sum of codewords that are chosen together.

    Parameters
    ----------
    n_books : int
        *M* in [1]_, in [1, 64].
    n_codewords : int
        *K* in each book, in [1, 4096] and at most the number of vectors.
    codeword_size : int
        Values a codeword has; it must divide the row length.
    n_rounds : int
        Times that both steps are taken.
    n_sweeps : int
        The most sweeps of conditional modes in a search.
    n_tries : int
        Random changes of the codes, in a round and in coding.
    beam_width : int
        Of the residual quantizer, and of the search where conditional modes start in coding.
    codebook_method : Method
        How each book, of shape (1, n_codewords, codeword_size), is stored.
    random_state : int, SeedSequence, Generator or None
        Of the residual quantizer that is the start. Changes of codes are drawn from a fixed seed:
        coding is a function of the array.

    Attributes
    ----------
    codebooks_ : list of ndarray, shape (n_codewords, codeword_size)
        The books as they are stored.
    distortions_ : ndarray of float64, shape (2,)
        The sum of squared distances of the residual quantizer, and of this one, both with stored
        books. The second is never larger.

    Notes
    -----
    ``stored_bits`` as of a residual quantizer. Needs the array only. Coding takes
    O(n_tries n_sweeps n K M) time, n the number of weights, and learning n_rounds times that and
    ``(M K)^3``. Tier T2.

    References
    ----------
    .. [1] A. Babenko and V. Lempitsky, "Additive Quantization for Extreme Vector Compression", CVPR
       2014.

    Examples
    --------
    >>> W = np.random.default_rng(0).standard_normal((40, 4))
    >>> q = AdditiveQuantizer(3, 4, 4, beam_width=1, random_state=0).fit(W)
    >>> bool(q.distortions_[1] < q.distortions_[0])
    True
    """

    parameters: ClassVar[dict[str, Legal]] = {
        "n_books": Whole(1, 64),
        "n_codewords": Whole(1, min(MAX_CODEWORDS, 4096)),
        "codeword_size": Whole(1, 1 << 20),
        "n_rounds": Whole(0),
        "n_sweeps": Whole(1),
        "n_tries": Whole(0),
        "beam_width": Whole(1, 1 << 12),
        "codebook_method": Of(Method),
        "random_state": Seed(),
    }

    def __init__(
        self,
        n_books: int = 4,
        n_codewords: int = 16,
        codeword_size: int = 1,
        n_rounds: int = 10,
        n_sweeps: int = 4,
        n_tries: int = 4,
        beam_width: int = 4,
        codebook_method: Method = _DEFAULT_CAST,
        random_state: int | np.random.SeedSequence | np.random.Generator | None = None,
    ) -> None:
        self.n_books = n_books
        self.n_codewords = n_codewords
        self.codeword_size = codeword_size
        self.n_rounds = n_rounds
        self.n_sweeps = n_sweeps
        self.n_tries = n_tries
        self.beam_width = beam_width
        self.codebook_method = codebook_method
        self.random_state = random_state

    @classmethod
    def examples(cls) -> list[Method]:
        """See `Method.examples`."""
        return [
            cls(3, 4, 4, n_rounds=3, beam_width=1, random_state=0),
            cls(2, 5, 2, n_rounds=2, codebook_method=Cast("float32"), random_state=1),
        ]

    def _learn(
        self,
        W: NDArray[Any],
        y: NDArray[Any] | None,
        inputs: NDArray[Any] | None,
        gradients: NDArray[Any] | None,
    ) -> None:
        X = self._vectors_to_learn(W)
        start = ResidualQuantizer(
            self.n_books,
            self.n_codewords,
            self.codeword_size,
            self.beam_width,
            codebook_method=self.codebook_method,
            random_state=self.random_state,
        ).fit(W)
        books: list[NDArray[Any]] = start.codebooks_
        codes = beam_codes(X, books, self.beam_width)
        first = distortion(X, codes, books)
        for _ in range(self.n_rounds):
            books = least_squares_books(X, codes, self.n_codewords)
            codes = self._improved(X, books, codes)
        self._keep([np.asarray(b, np.float64) for b in books], self.codebook_method)
        if self._distortion(X) > self._distortion(X, start.codebooks_):
            self._keep([b.astype(np.float64) for b in start.codebooks_], self.codebook_method)
        self.distortions_ = np.array([first, self._distortion(X)])

    def _distortion(self, X: NDArray[Any], books: list[NDArray[Any]] | None = None) -> float:
        """Return the distortion of coding X with the stored books, or with others."""
        held = self.codebooks_ if books is None else books
        return distortion(X, self._find(X, held), held)

    def _find(self, X: NDArray[Any], books: list[NDArray[Any]]) -> Integers:
        start = beam_codes(X, books, self.beam_width)
        return self._improved(X, books, start)

    def _improved(self, X: NDArray[Any], books: list[NDArray[Any]], codes: Integers) -> Integers:
        rng = np.random.default_rng(0)
        return local_search(X, books, codes, self.n_tries, self.n_sweeps, rng)
