"""Methods that factor a weight: low rank."""

from .rank_selection import break_even_rank, numerical_rank, rank_of_energy, tail_norm
from .svd import SVDFactorizer, canonical_signs, truncated_svd

__all__ = [
    "SVDFactorizer",
    "break_even_rank",
    "canonical_signs",
    "numerical_rank",
    "rank_of_energy",
    "tail_norm",
    "truncated_svd",
]
