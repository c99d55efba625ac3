"""The truncated singular value decomposition: a weight as the product of two thin factors.

Problem
-------
Among all matrices of rank r, find the one nearest to W, and store its two factors.

Equation
--------
``W = U diag(s) V^T``, s sorted. The nearest matrix of rank r, in the Frobenius and in every other
unitarily invariant norm, is ``U_r diag(s_r) V_r^T``, and its Frobenius error is
``sqrt(sum(s[r:]^2))`` [1]_, [2]_. Stored are ``U_r diag(sqrt(s_r))``, of shape (m, r), and
``diag(sqrt(s_r)) V_r^T``, of shape (r, n).

Conventions
-----------
A weight of more than two axes is the matrix (shape[0], the rest). The singular values are split
evenly, so that both factors have the same norm and one number format suits both. Signs are
canonical: the entry of largest magnitude in each column of U is positive, the first one on a tie.

References
----------
.. [1] C. Eckart and G. Young, "The approximation of one matrix by another of lower rank",
   Psychometrika 1(3), 1936.
.. [2] L. Mirsky, "Symmetric gauge functions and unitarily invariant norms", Quarterly Journal of
   Mathematics 11, 1960.
.. [3] E. Denton et al., "Exploiting linear structure within convolutional networks for efficient
   evaluation", NeurIPS 2014, arXiv:1404.0736.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..core.errors import RangeError, ShapeError
from ..encodings import Cast, FactoredEncoding, Method, stored
from ..encodings.legal import AnyOf, Legal, Nothing, Of, Real, Whole
from .rank_selection import numerical_rank, rank_of_energy, tail_norm

__all__ = ["SVDFactorizer", "canonical_signs", "truncated_svd"]

Factors = tuple[NDArray[np.float64], NDArray[np.float64]]


def canonical_signs(U: NDArray[Any], Vt: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Turn signs so that each column of U has a positive entry of largest magnitude.

    Parameters
    ----------
    U : ndarray of float, shape (m, r)
        Left vectors as columns; m at least 1.
    Vt : ndarray of float, shape (r, n)
        Right vectors as rows.

    Returns
    -------
    U, Vt : ndarray
        The same product; on a tie of magnitudes the first entry decides.

    Examples
    --------
    >>> canonical_signs(np.array([[-2.0], [1.0]]), np.array([[3.0]]))[1]
    array([[-3.]])
    """
    largest = np.abs(U).argmax(axis=0)
    signs = np.where(U[largest, np.arange(U.shape[1])] < 0, -1.0, 1.0)
    return U * signs, Vt * signs[:, None]


def truncated_svd(matrix: NDArray[Any], rank: int) -> Factors:
    """Return the two factors of the nearest matrix of a rank, singular values split evenly.

    Parameters
    ----------
    matrix : ndarray of float, shape (m, n)
        Finite.
    rank : int
        In [1, min(m, n)].

    Returns
    -------
    left : ndarray of float64, shape (m, rank)
        ``U_r diag(sqrt(s_r))``, signs canonical.
    right : ndarray of float64, shape (rank, n)
        ``diag(sqrt(s_r)) V_r^T``.

    Raises
    ------
    RangeError
        If the singular values leave float64.

    Notes
    -----
    O(m n min(m, n)) in float64. LAPACK's factors are the exact ones of a matrix that differs from
    W by a modest multiple of ``2^-52 norm(W)``. Tier T2.

    Examples
    --------
    >>> left, right = truncated_svd(np.array([[4.0, 0.0], [0.0, 1.0]]), 1)
    >>> left @ right
    array([[4., 0.],
           [0., 0.]])
    """
    U, s, Vt = _svd(matrix)
    U, Vt = canonical_signs(U[:, :rank], Vt[:rank])
    root = np.sqrt(s[:rank])
    return U * root + 0.0, Vt * root[:, None] + 0.0  # + 0.0 turns a -0.0 into 0.0


def _svd(matrix: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    try:
        U, s, Vt = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
    except np.linalg.LinAlgError as error:
        raise RangeError(f"W has no computable singular values ({error}); scale it") from error
    if not np.isfinite(s).all():
        raise RangeError(f"W has a singular value {s[0]}, which leaves float64; scale W down")
    return U, s, Vt


def _matrix(W: NDArray[Any]) -> NDArray[Any]:
    if W.ndim < 2 or not W.size:
        raise ShapeError(f"W has shape {W.shape}; at least two axes and one element are needed")
    return W.reshape(W.shape[0], -1)


class SVDFactorizer(Method):
    """Keep the largest singular values of a weight, as two thin factors.

    Parameters
    ----------
    rank : int or None
        How many to keep, in [1, min(m, n)] of the (m, n) matrix.
    energy : float or None
        In (0, 1]: keep the smallest rank with this share of the squared singular values. Exactly
        one of `rank` and `energy` is given.
    factor_method : Method
        How each factor is stored; a clone is fitted to each.

    Attributes
    ----------
    singular_values_ : ndarray of float64, shape (min(m, n),)
        All of them, largest first.
    rank_ : int
        The rank that is kept.
    tail_ : float
        ``sqrt(sum(singular_values_[rank_:]^2))``: the error before the factors are rounded.

    Notes
    -----
    No elementwise bound. In the Frobenius norm, with ``A`` and ``B`` the factors in float64 and
    ``dA``, ``dB`` what `factor_method` changes,

    ``norm(W - decoded) <= tail_ + norm(dA) norm(B) + norm(A) norm(dB) + norm(dA) norm(dB)``

    up to the rounding of the product. Cost O(m n min(m, n)), for `fit` and again for `encode`. The
    factors hold ``rank * (m + n)`` numbers: see `break_even_rank`. With `energy`, singular values
    that cannot be told from zero are not kept. Tier T2.

    References
    ----------
    C. Eckart and G. Young, Psychometrika 1(3), 1936.

    Examples
    --------
    >>> W = np.outer([1.0, 2.0, 3.0], [1.0, 0.0, 4.0])
    >>> method = SVDFactorizer(rank=1, factor_method=Cast("float64")).fit(W)
    >>> e = method.encode(W)
    >>> bool(np.allclose(e.decode(), W)), e.parts()["factors.0"].shape
    (True, (3, 1))
    """

    noun: ClassVar[str] = "FactoredEncoding"
    parameters: ClassVar[dict[str, Legal]] = {
        "rank": AnyOf(Whole(), Nothing()),  # its range is W's, so a wrong one is a ShapeError
        "energy": AnyOf(Real(0.0, 1.0, "right"), Nothing()),
        "factor_method": Of(Method),
    }

    def __init__(
        self,
        rank: int | None = None,
        energy: float | None = None,
        factor_method: Method = Cast("float16"),  # noqa: B008 (never changed: it is cloned)
    ) -> None:
        self.rank = rank
        self.energy = energy
        self.factor_method = factor_method

    @classmethod
    def examples(cls) -> list[Method]:
        """See `Method.examples`."""
        return [cls(rank=3), cls(energy=0.9, factor_method=Cast("float32")), cls(rank=12)]

    def check_parameters(self) -> None:
        """Also check that exactly one of rank and energy is given."""
        super().check_parameters()
        if (self.rank is None) == (self.energy is None):
            raise RangeError(
                f"rank = {self.rank!r} and energy = {self.energy!r}: give exactly one of them"
            )

    def _learn(
        self,
        W: NDArray[Any],
        y: NDArray[Any] | None,
        inputs: NDArray[Any] | None,
        gradients: NDArray[Any] | None,
    ) -> None:
        matrix = _matrix(W)
        largest = min(matrix.shape)
        if self.rank is not None and not 1 <= self.rank <= largest:
            raise ShapeError(
                f"rank = {self.rank} must lie in [1, {largest}] for a matrix of {matrix.shape}"
            )
        s = _svd(matrix)[1]
        self.singular_values_ = s
        self.rank_ = self._chosen(s, (matrix.shape[0], matrix.shape[1]))
        self.tail_ = tail_norm(s, self.rank_)

    def _chosen(self, s: NDArray[Any], shape: tuple[int, int]) -> int:
        if self.energy is None:
            return int(self.rank) if self.rank is not None else s.size
        # what is noise of the computation has no energy to keep
        clean = s[: max(numerical_rank(s, shape), 1)]
        return rank_of_energy(clean, self.energy)

    def _encode(self, W: NDArray[Any]) -> FactoredEncoding:
        matrix = _matrix(self._same_shape(W))
        left, right = truncated_svd(matrix, self.rank_)
        factors = tuple(stored(factor, self.factor_method)[0] for factor in (left, right))
        return FactoredEncoding(factors, "ir,rj->ij", W.shape)
