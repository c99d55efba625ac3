"""Twins: a NumPy definition and the numba kernel that must equal it bit for bit.

Problem
-------
A definition is written to be read, a kernel to be fast. Nothing keeps two functions equal but a
test, so every kernel is registered beside its definition and one property suite runs over the
registry.

Conventions
-----------
This is the only file that names numba, and numba is imported when the first kernel runs. Kernels
are compiled with ``fastmath`` off and the cache on; they take and return what their definition
does. With ``NUMBA_DISABLE_JIT=1`` the definitions run instead.
"""

import functools
import os
import types
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar, cast

__all__ = [
    "Kernel",
    "jit_enabled",
    "kernel",
    "prange",
    "registry",
    "subroutine",
    "thread_count",
]

P = ParamSpec("P")
R = TypeVar("R")

#: Every pair by the definition's qualified name, e.g. ``refq.ops.matmul.matmul_integer_exact``.
registry: "dict[str, Kernel[..., Any]]" = {}

prange = range  #: inside a parallel kernel, the loop that threads share; plain Python sees `range`


def jit_enabled() -> bool:
    """Return whether kernels are compiled in this process.

    Returns
    -------
    bool
        False when the environment has ``NUMBA_DISABLE_JIT=1``.

    Examples
    --------
    >>> isinstance(jit_enabled(), bool)
    True
    """
    return os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")


def thread_count() -> int:
    """Return how many threads parallel kernels may use.

    Returns
    -------
    int
        One where kernels are not compiled.

    Examples
    --------
    >>> thread_count() >= 1
    True
    """
    if not jit_enabled():
        return 1
    import numba

    return int(numba.get_num_threads())


class _Compiled(Generic[P, R]):
    """A Python function, compiled by numba on its first call."""

    def __init__(self, python: Callable[P, R], parallel: bool = False) -> None:
        self.python = python
        self.parallel = parallel
        functools.update_wrapper(cast("Any", self), python)

    @functools.cached_property
    def compiled(self) -> Callable[P, R]:
        """The dispatcher; subroutines among the function's globals are compiled first."""
        import numba

        if not jit_enabled():
            return self.python
        source = cast(types.FunctionType, self.python)
        scope = dict(source.__globals__)
        for name in source.__code__.co_names:
            if isinstance(scope.get(name), _Compiled):
                scope[name] = scope[name].compiled
            elif scope.get(name) is prange and name == "prange":
                scope[name] = numba.prange
        bound = types.FunctionType(
            source.__code__, scope, source.__name__, source.__defaults__, source.__closure__
        )
        bound.__module__, bound.__qualname__ = source.__module__, source.__qualname__
        jit = numba.njit(
            cache=True,
            fastmath=False,
            parallel=self.parallel,
            error_model="numpy",
            # serial kernels may run side by side; numba's own threads may not be started twice
            nogil=not self.parallel,
        )
        return cast("Callable[P, R]", jit(bound))


class subroutine(_Compiled[P, R]):
    """Mark a function that kernels call; it has no definition of its own.

    Parameters
    ----------
    python : callable
        The function, in the part of Python that numba compiles.

    Examples
    --------
    >>> @subroutine
    ... def twice(n):
    ...     return 2 * n
    >>> twice(4)
    8
    """

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the Python source: compiled code calls the compiled one."""
        return self.python(*args, **kwargs)


class Kernel(_Compiled[P, R]):
    """A kernel beside its definition; calling it runs the kernel, or the definition without JIT.

    Parameters
    ----------
    definition : callable
        The NumPy function that says what is right.
    python : callable
        The kernel's own source, callable without numba (slow, for tiny inputs).
    parallel : bool
        Whether `prange` loops share the threads.

    Attributes
    ----------
    name : str
        The definition's qualified name, the key in `registry`.
    """

    def __init__(self, definition: Callable[P, R], python: Callable[P, R], parallel: bool) -> None:
        super().__init__(python, parallel)
        self.definition = definition
        self.name = f"{definition.__module__}.{definition.__qualname__}"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what the definition returns."""
        return (self.compiled if jit_enabled() else self.definition)(*args, **kwargs)


def kernel(
    definition: Callable[P, R], *, parallel: bool = False
) -> Callable[[Callable[P, R]], Kernel[P, R]]:
    """Make the decorated function the fast twin of `definition`, and register the pair.

    Parameters
    ----------
    definition : callable
        Positional arguments only, the same ones in the same order.
    parallel : bool
        Let `prange` loops share the threads. Never for float reductions.

    Returns
    -------
    callable
        The decorator; it gives a `Kernel`.

    Notes
    -----
    The test suite needs a strategy in ``conformance/strategies`` under the definition's qualified
    name; a pair without one fails.

    Examples
    --------
    >>> def total(x):
    ...     return x.sum()
    >>> @kernel(total)
    ... def total_kernel(x):
    ...     s = 0
    ...     for i in range(x.size):
    ...         s += x[i]
    ...     return s
    >>> registry.pop(total_kernel.name).definition is total
    True
    """

    def decorate(python: Callable[P, R]) -> Kernel[P, R]:
        pair = Kernel(definition, python, parallel)
        registry[pair.name] = pair
        return pair

    return decorate
