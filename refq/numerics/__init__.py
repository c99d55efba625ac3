"""Mathematics that chapters share: nearest codewords, best cells on a line, descent, feedback."""

from .cells import cell_moments
from .descent import adam_step, sgd_step
from .line_partition import optimal_borders
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
    "optimal_borders",
    "round_with_feedback",
    "sgd_step",
    "squared_distances",
]
