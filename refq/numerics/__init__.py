"""Mathematics that chapters share: the nearest codeword, the update rules of descent."""

from .descent import adam_step, sgd_step
from .nearest import check_points, nearest_codeword, squared_distances, sums_by_code

__all__ = [
    "adam_step",
    "check_points",
    "nearest_codeword",
    "sgd_step",
    "squared_distances",
    "sums_by_code",
]
