"""K-means quantization: weights share the nearest of a few learned codewords.

Problem
-------
Given points ``x_1..x_n``, find K centers ``c_k`` that minimize the distortion
``sum_i min_k |x_i - c_k|^2``, and keep for every point only the index of its center.

Equation
--------
Lloyd's iteration: assign every point to its nearest center, move every center to the mean of its
points, repeat. Neither step can raise the distortion.

Conventions
-----------
Centers are float64. Assignments are exact (`refq.numerics.nearest`), the lowest index on a tie.

*Empty cells.* A center without points moves to the point farthest from its nearest center (the
lowest index on a tie); several such centers move one after another. Where every point already lies
on a center they stay: K greater than the number of different points leaves codewords unused.

References
----------
.. [1] S. P. Lloyd, "Least Squares Quantization in PCM", IEEE Trans. Inf. Theory 28(2), 1982.
.. [2] S. Han, H. Mao, W. J. Dally, "Deep Compression", arXiv:1510.00149, section 3.
"""

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import check_integer, check_random_state, check_real
from ..core.errors import RangeError, ShapeError
from ..encodings import Cast, Method, stored
from ..encodings.legal import AnyOf, Choice, Legal, Of, Real, Seed, Whole
from ..numerics import check_points, nearest_codeword, sums_by_code
from .codec import BookCodec
from .initialization import INITIALIZATIONS, squared_distance_to, starting_centers

__all__ = ["KMeansQuantizer", "inertia", "lloyd", "lloyd_step"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MAX_CODEWORDS = 1 << 16
_DEFAULT_CAST = Cast("float16")


def inertia(X: Floats, centers: Floats, codes: Integers) -> float:
    """Return the distortion: the sum of squared distances to the assigned centers.

    Parameters
    ----------
    X : ndarray of float64, shape (n, d)
        Points.
    centers : ndarray of float64, shape (K, d)
        Centers.
    codes : ndarray of integers, shape (n,)
        Each point's center.

    Returns
    -------
    float
        In the square of X's unit.

    Notes
    -----
    Within a factor ``1 +- (m + d + 4) 2^-53``, m being the size of the largest cell: a cell is
    added in the order of its points, and the sum of cells is rounded once. Tier T1.

    Examples
    --------
    >>> inertia(np.array([[0.0], [3.0]]), np.array([[1.0]]), np.array([0, 0]))
    5.0
    """
    distances = squared_distance_to(X, centers[codes])
    return math.fsum(np.bincount(codes, distances, minlength=len(centers)))


def lloyd_step(X: Floats, centers: Floats, codes: Integers) -> Floats:
    """Move every center to the mean of its points, and empty ones to the farthest points.

    Parameters
    ----------
    X : ndarray of float64, shape (n, d)
        Points.
    centers : ndarray of float64, shape (K, d)
        Centers.
    codes : ndarray of int64, shape (n,)
        Each point's nearest center.

    Returns
    -------
    ndarray of float64, shape (K, d)
        The new ones.

    Notes
    -----
    O((n + K) d) time, O(n d) more for each empty cell. Tier T1.

    Examples
    --------
    >>> X = np.array([[0.0], [1.0], [6.0]])
    >>> lloyd_step(X, np.array([[0.0], [9.0]]), np.array([0, 0, 0])).ravel()
    array([2.33333333, 6.        ])
    """
    sums, counts = sums_by_code(X, codes, len(centers))
    used = counts > 0
    centers = np.where(used[:, None], sums / np.maximum(counts, 1)[:, None], centers)
    empty = np.flatnonzero(~used)
    if empty.size:
        distances = squared_distance_to(X, centers[codes])
    for k in empty.tolist():
        farthest = int(np.argmax(distances))
        if distances[farthest] == 0:
            break
        centers[k] = X[farthest]
        distances = np.minimum(distances, squared_distance_to(X, centers[k]))
    return centers


def lloyd(
    X: ArrayLike, centers: ArrayLike, max_iter: int = 100, tol: float = 0.0
) -> tuple[Floats, Integers, float, int]:
    """Iterate Lloyd's two steps until nothing changes.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Points, at least one.
    centers : array_like, shape (K, d)
        Where to start.
    max_iter : int
        The most iterations; 0 only assigns.
    tol : float
        Stop also when an iteration lowers the distortion by less than this fraction of it. At 0 it
        stops only when rounding raises the distortion.

    Returns
    -------
    centers : ndarray of float64, shape (K, d)
        The last centers.
    codes : ndarray of int64, shape (n,)
        Each point's nearest one.
    inertia : float
        The distortion of these two.
    n_iter : int
        How many iterations were made.

    Raises
    ------
    ShapeError
        If the shapes do not fit or X is empty.

    Notes
    -----
    In exact arithmetic no iteration raises the distortion. A computed mean of m points errs by at
    most ``m 2^-53`` times their largest magnitude (and an ulp), which moves the distortion of the
    cell by m times its square. O(n K d) time an iteration (n log K for d = 1). Tier T1.

    Examples
    --------
    >>> centers, codes, distortion, n_iter = lloyd([[0.0], [1.0], [5.0]], [[0.0], [1.0]])
    >>> centers.ravel(), codes, distortion, n_iter
    (array([0.5, 5. ]), array([0, 0, 1]), 0.5, 2)
    """
    points, found = check_points(X), check_points(centers, "centers")
    if len(points) == 0:
        raise ShapeError(f"X has shape {points.shape}: nothing has no centers")
    check_integer(max_iter, "max_iter", 0)
    check_real(tol, "tol", 0)
    codes = nearest_codeword(points, found)
    distortion, n_iter = inertia(points, found, codes), 0
    while n_iter < max_iter:
        n_iter += 1
        found = lloyd_step(points, found, codes)
        before, previous = codes, distortion
        codes = nearest_codeword(points, found)
        distortion = inertia(points, found, codes)
        # an empty cell that found a place has a point now, so it shows in the codes
        if np.array_equal(codes, before) or previous - distortion < tol * previous:
            break
    return found, codes, distortion, n_iter


class KMeansQuantizer(BookCodec):
    """Replace every weight, or every short vector of weights, by the nearest of K codewords.

    Parameters
    ----------
    n_codewords : int
        *K*, in [1, 65536] and at most the number of vectors in the array.
    codeword_size : int
        Values a codeword has. 1 shares weights [2]_; more is vector quantization. It must divide
        the row length.
    init : str or ndarray
        "k-means++" [1]_, "random", "linear" or "density" (the last two for ``codeword_size=1``), or
        the first centers, shape (n_codewords, codeword_size).
    max_iter : int
        The most Lloyd iterations.
    tol : float
        Stop when an iteration lowers the distortion by less than this fraction.
    n_init : int
        Starts that are tried; the first of least distortion is kept. Only for starts that draw.
    codebook_method : Method
        How the codebook, of shape (1, n_codewords, codeword_size), is stored.
    random_state : int, SeedSequence, Generator or None
        For the starts that draw.

    Attributes
    ----------
    codebook_ : ndarray, shape (n_codewords, codeword_size)
        The codewords as they are stored, which is what codes are computed against.
    inertia_ : float
        The sum of squared distances, before the codebook was stored.
    n_iter_ : int
        Iterations of the start that was kept.

    Notes
    -----
    ``stored_bits = n_vectors max(1, ceil(log2 K)) + bits of the codebook``. Bound: the distance of
    every vector to what it decodes to is the least over the stored codewords. Needs the array only.
    O(n_init max_iter n K) time, n the number of weights. Tier T1 for a given seed.

    References
    ----------
    .. [1] D. Arthur and S. Vassilvitskii, "k-means++: The Advantages of Careful Seeding", SODA
       2007.
    .. [2] S. Han, H. Mao, W. J. Dally, "Deep Compression", arXiv:1510.00149, section 3.

    Examples
    --------
    >>> W = [[0.1, 0.9], [0.0, 1.0], [0.2, 1.1]]
    >>> q = KMeansQuantizer(n_codewords=2, random_state=0).fit(W)
    >>> e = q.encode(W)
    >>> e.stored_bits, e.decode()[0]
    (38, array([0.09997559, 1.        ], dtype=float32))
    """

    parameters: ClassVar[dict[str, Legal]] = {
        "n_codewords": Whole(1, MAX_CODEWORDS),
        "codeword_size": Whole(1, 1 << 20),
        "init": AnyOf(Choice(*INITIALIZATIONS), Of(np.ndarray)),
        "max_iter": Whole(0),
        "tol": Real(0.0, 1.0),
        "n_init": Whole(1),
        "codebook_method": Of(Method),
        "random_state": Seed(),
    }

    def __init__(
        self,
        n_codewords: int = 16,
        codeword_size: int = 1,
        init: str | NDArray[Any] = "k-means++",
        max_iter: int = 100,
        tol: float = 0.0,
        n_init: int = 1,
        codebook_method: Method = _DEFAULT_CAST,
        random_state: int | np.random.SeedSequence | np.random.Generator | None = None,
    ) -> None:
        self.n_codewords = n_codewords
        self.codeword_size = codeword_size
        self.init = init
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.codebook_method = codebook_method
        self.random_state = random_state

    @classmethod
    def examples(cls) -> list[Method]:
        """See `Method.examples`."""
        return [
            cls(random_state=0),
            cls(5, init="density"),
            cls(8, codeword_size=4, codebook_method=Cast("float32"), random_state=1),
        ]

    def _learn(
        self,
        W: NDArray[Any],
        y: NDArray[Any] | None,
        inputs: NDArray[Any] | None,
        gradients: NDArray[Any] | None,
    ) -> None:
        X = check_points(self._cut_to_learn(W).reshape(-1, self.codeword_size), "W")
        if len(X) < self.n_codewords:
            raise RangeError(
                f"n_codewords = {self.n_codewords} exceeds the {len(X)} vectors of "
                f"codeword_size = {self.codeword_size} in an array of shape {W.shape}"
            )
        centers, self.inertia_, self.n_iter_ = self._best(X)
        self.codebook_encoding_, book = stored(centers[None], self.codebook_method)
        self.codebook_ = book[0]

    def _best(self, X: Floats) -> tuple[Floats, float, int]:
        rng = check_random_state(self.random_state)
        draws = isinstance(self.init, str) and self.init in ("k-means++", "random")
        runs = []
        for _ in range(self.n_init if draws else 1):
            centers = starting_centers(X, self.n_codewords, self.init, rng)
            centers, _, distortion, n_iter = lloyd(X, centers, self.max_iter, self.tol)
            runs.append((centers, distortion, n_iter))
        return min(runs, key=lambda run: run[1])

    @property
    def _books(self) -> NDArray[Any]:
        return self.codebook_[None]

    @property
    def _n_positions(self) -> None:
        return None

    def _codeword_size(self, length: int) -> int:
        if length % self.codeword_size:
            raise ShapeError(
                f"codeword_size = {self.codeword_size} does not divide the row length {length}; "
                f"nothing is padded"
            )
        return self.codeword_size
