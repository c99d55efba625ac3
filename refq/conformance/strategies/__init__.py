"""Where the draws come from: near ties and edges; one strategy per kernel definition.

Conventions
-----------
Each sub-module registers, with `register`, a hypothesis strategy under the qualified name of a
kernel's definition; it draws the tuple of positional arguments. Explicit edges are listed beside
it. Importing this package imports every sub-module, so a new file is found by being there.
"""

import importlib
import pkgutil

from .registry import STRATEGIES, edges_of, register, strategy_of
from .tie_draws import SCALES, near_tie, near_tie_arrays, near_ties

for _found in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_found.name}")

__all__ = [
    "SCALES",
    "STRATEGIES",
    "edges_of",
    "near_tie",
    "near_tie_arrays",
    "near_ties",
    "register",
    "strategy_of",
]
