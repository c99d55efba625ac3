"""Where the draws come from: near ties and edges; one strategy per kernel definition.

Conventions
-----------
Each sub-module registers, with `register`, a hypothesis strategy under the qualified name of a
kernel's definition; it draws the tuple of positional arguments. Explicit edges are listed beside it.
"""

from .registry import STRATEGIES, edges_of, register, strategy_of

__all__ = ["STRATEGIES", "edges_of", "register", "strategy_of"]
