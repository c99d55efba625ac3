"""Mathematics that chapters share: nearest codewords, rules of descent, error feedback."""

from .cells import cell_moments
from .descent import adam_step, sgd_step
from .nearest import PointSearch, check_points, check_rows, nearest_codeword, squared_distances
from .second_order import damped_hessian, feedback_factor, round_with_feedback

__all__ = [
    "PointSearch",
    "adam_step",
    "cell_moments",
    "check_points",
    "check_rows",
    "damped_hessian",
    "feedback_factor",
    "nearest_codeword",
    "round_with_feedback",
    "sgd_step",
    "squared_distances",
]
