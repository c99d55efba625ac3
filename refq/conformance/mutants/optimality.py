"""Mistakes of methods that promise an optimum: more of L3."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...lowrank.svd import truncated_svd
from ...numerics import cell_moments, nearest_codeword
from ..subjects import MethodSubject, method_examples, plain_array
from .registry import plant_function

__all__ = ["named_subjects"]


def named_subjects(name: str) -> list[Any]:
    """Return subjects of the method of that name, found like every other.

    Parameters
    ----------
    name : str
        A class name.

    Returns
    -------
    list of MethodSubject
        One for each example.
    """
    return [
        MethodSubject.of(m, plain_array()) for n, m in method_examples() if n.startswith(name + "-")
    ]


def _svd_subjects() -> list[Any]:
    return named_subjects("SVDFactorizer")


def _smallest_kept(matrix: NDArray[Any], rank: int) -> Any:
    U, s, Vt = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
    return U[:, -rank:] * s[-rank:], Vt[-rank:]


plant_function(
    "smallest values kept",
    "L3 Eckart-Young",
    "The least singular values are taken.",
    truncated_svd,
    _smallest_kept,
    _svd_subjects,
)


def _k_means_subjects() -> list[Any]:
    return named_subjects("KMeansQuantizer")


def _farthest(X: ArrayLike, codebook: ArrayLike) -> NDArray[np.int64]:
    x, book = np.asarray(X, np.float64), np.asarray(codebook, np.float64)
    return np.argmax(((x[:, None] - book) ** 2).sum(axis=2), axis=1)


def _signed(X: ArrayLike, codebook: ArrayLike) -> NDArray[np.int64]:
    x, book = np.asarray(X, np.float64), np.asarray(codebook, np.float64)
    return np.argmin((x[:, None] - book).sum(axis=2) ** 2 + 0.1 * np.arange(len(book)), axis=1)


_NEAREST = "L3 nearest codeword"
plant_function(
    "farthest codeword",
    _NEAREST,
    "argmax where argmin is meant.",
    nearest_codeword,
    _farthest,
    _k_means_subjects,
)
plant_function(
    "index in the distance",
    _NEAREST,
    "A tie rule that disturbs the distance.",
    nearest_codeword,
    _signed,
    _k_means_subjects,
)


_honest_moments = cell_moments


def _next_cell(
    X: NDArray[Any], codes: NDArray[Any], centers: NDArray[Any], weights: Any = None
) -> Any:
    sums, totals, distortions = _honest_moments(X, codes, centers, weights)
    return np.roll(sums, 1, axis=0), totals, distortions


plant_function(
    "sums of the next cell",
    "L3 Lloyd",
    "Sums and counts are off by one cell.",
    cell_moments,
    _next_cell,
    _k_means_subjects,
)
