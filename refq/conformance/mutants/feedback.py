"""Mistakes of error feedback: more of L3."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...numerics import feedback_factor, round_with_feedback
from ...scalar.adaround import rounding_objective
from .optimality import named_subjects
from .registry import plant_function

__all__: list[str] = []

_LAW = "L3 error feedback"


def _gptq_subjects() -> list[Any]:
    return named_subjects("GPTQ")


def _lower_factor(hessian: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.linalg.cholesky(np.linalg.inv(hessian)).T[::-1, ::-1]


def _no_feedback(
    W: NDArray[Any], factor: NDArray[np.float64], round_column: Any
) -> NDArray[np.float64]:
    work = W.astype(np.float64)
    for j in range(work.shape[1]):
        round_column(work[:, j], j)
    return work


def _error_not_divided(
    W: NDArray[Any], factor: NDArray[np.float64], round_column: Any
) -> NDArray[np.float64]:
    work = W.astype(np.float64)
    for j in range(work.shape[1]):
        error = work[:, j] - round_column(work[:, j], j)
        work[:, j + 1 :] -= np.outer(error, factor[j, j + 1 :])
    return work


plant_function(
    "factor of the reversed order",
    _LAW,
    "The Cholesky factor belongs to the columns in the other order.",
    feedback_factor,
    _lower_factor,
    _gptq_subjects,
)
plant_function(
    "no feedback",
    _LAW,
    "Every column goes to its nearest codes.",
    round_with_feedback,
    _no_feedback,
    _gptq_subjects,
)
plant_function(
    "error not divided by the pivot",
    _LAW,
    "The error is not divided by the factor's diagonal entry.",
    round_with_feedback,
    _error_not_divided,
    _gptq_subjects,
)


def _adaround_subjects() -> list[Any]:
    return named_subjects("AdaRound")


def _smallest_error_of_all(
    difference: NDArray[np.float64], gram: NDArray[np.float64]
) -> NDArray[np.float64]:
    return -np.einsum("ij,ij->i", difference @ gram, difference)


plant_function(
    "worse row kept",
    "L3 learned rounding",
    "Of the learned and the nearest codes the worse ones are kept.",
    rounding_objective,
    _smallest_error_of_all,
    _adaround_subjects,
)
