"""Mathematics that chapters share: nearest codewords, rules of descent, error feedback."""

from .descent import adam_step, sgd_step
from .nearest import check_points, nearest_codeword, squared_distances, sums_by_code
from .second_order import damped_hessian, feedback_factor, round_with_feedback

__all__ = [
    "adam_step",
    "check_points",
    "damped_hessian",
    "feedback_factor",
    "nearest_codeword",
    "round_with_feedback",
    "sgd_step",
    "squared_distances",
    "sums_by_code",
]
