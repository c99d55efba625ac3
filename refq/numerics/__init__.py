"""Mathematics that chapters share: nearest codewords, best cells on a line, descent, feedback."""

from .descent import adam_step, sgd_step
from .line_partition import optimal_borders
from .nearest import check_points, nearest_codeword, squared_distances, sums_by_code
from .second_order import damped_hessian, feedback_factor, round_with_feedback

__all__ = [
    "adam_step",
    "check_points",
    "damped_hessian",
    "feedback_factor",
    "nearest_codeword",
    "optimal_borders",
    "round_with_feedback",
    "sgd_step",
    "squared_distances",
    "sums_by_code",
]
