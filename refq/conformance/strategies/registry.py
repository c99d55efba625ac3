"""The registry of strategies for twins, keyed by the definition's qualified name."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from hypothesis.strategies import SearchStrategy

from ...core.errors import RangeError

__all__ = ["STRATEGIES", "edges_of", "register", "strategy_of"]

Arguments = tuple[Any, ...]
Build = TypeVar("Build", bound=Callable[[], SearchStrategy[Arguments]])

#: qualified name -> (function that builds the strategy, explicit edge cases)
STRATEGIES: dict[str, tuple[Callable[[], SearchStrategy[Arguments]], Sequence[Arguments]]] = {}


def register(name: str, edges: Sequence[Arguments] = ()) -> Callable[[Build], Build]:
    """Register the decorated function as the strategy of one kernel.

    Parameters
    ----------
    name : str
        The definition's qualified name, as in `refq.core.twins.registry`.
    edges : sequence of tuple
        Argument tuples that are always tried: empty, one element, extremes, ties.

    Returns
    -------
    callable
        The decorator; it returns its function.

    Examples
    --------
    >>> from hypothesis import strategies as st
    >>> @register("doctest.example", edges=[(0,)])
    ... def example():
    ...     return st.tuples(st.integers())
    >>> edges_of("doctest.example")
    [(0,)]
    >>> _ = STRATEGIES.pop("doctest.example")
    """

    def decorate(build: Build) -> Build:
        STRATEGIES[name] = (build, tuple(edges))
        return build

    return decorate


def strategy_of(name: str) -> SearchStrategy[Arguments]:
    """Return the strategy that draws arguments for the kernel of that name.

    Parameters
    ----------
    name : str
        The definition's qualified name.

    Returns
    -------
    hypothesis.strategies.SearchStrategy
        Draws tuples of positional arguments.

    Raises
    ------
    RangeError
        If nothing is registered.

    Examples
    --------
    >>> strategy_of("nothing")
    Traceback (most recent call last):
    refq.core.errors.RangeError: no strategy is registered for 'nothing'
    """
    if name not in STRATEGIES:
        raise RangeError(f"no strategy is registered for {name!r}")
    return STRATEGIES[name][0]()


def edges_of(name: str) -> list[Arguments]:
    """Return the explicit edge cases of the kernel of that name.

    Parameters
    ----------
    name : str
        The definition's qualified name.

    Returns
    -------
    list of tuple
        Argument tuples; empty where none are registered.

    Examples
    --------
    >>> edges_of("nothing")
    []
    """
    return list(STRATEGIES[name][1]) if name in STRATEGIES else []
