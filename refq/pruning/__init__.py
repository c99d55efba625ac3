"""Methods that remove: masks and what they keep."""

from .filters import FilterPruner
from .magnitude import MagnitudePruner
from .masks import count_pruned, mask_at_least, mask_of_largest
from .pruner import Pruner
from .saliencies import saliency, unit_saliency

__all__ = [
    "FilterPruner",
    "MagnitudePruner",
    "Pruner",
    "count_pruned",
    "mask_at_least",
    "mask_of_largest",
    "saliency",
    "unit_saliency",
]
