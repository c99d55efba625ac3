"""The environment: what a result may depend on, by name and version.

Conventions
-----------
Nothing is imported to find its version, and nothing is found by running another program. What a
platform does not tell is "unknown".
"""

import os
import platform
from contextlib import AbstractContextManager, nullcontext
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from ..core.twins import jit_enabled, thread_count

__all__ = ["cpu_features", "denormals_flushed", "environment", "one_blas_thread", "versions"]

#: CPU features that change how fast integers are multiplied, or which sums BLAS takes.
_FEATURES = frozenset(
    {
        *("sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512_vnni"),
        *("avx_vnni", "avx512_bf16", "amx_tile", "amx_int8", "neon", "asimd", "asimddp"),
        *("i8mm", "sve", "sve2"),
    }
)


def versions() -> dict[str, str]:
    """Return the versions of refq, Python and what refq needs at run time.

    Returns
    -------
    dict of str to str
        "unknown" for refq in a folder that is not installed.

    Examples
    --------
    >>> list(versions())[:2]
    ['refq', 'python']
    """
    found = {"refq": _version("refq"), "python": platform.python_version()}
    return found | {name: _version(name) for name in _requirements()}


def _requirements() -> list[str]:
    try:
        listed = metadata.requires("refq") or []
    except metadata.PackageNotFoundError:
        return ["numpy"]
    needed = (line.split(";")[0] for line in listed if "extra ==" not in line)
    names = {"".join(c if c.isalnum() or c in "-_." else " " for c in n).split()[0] for n in needed}
    return sorted(name for name in names if name not in ("pytest", "hypothesis"))


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "unknown"


def cpu_features(path: str | os.PathLike[str] = "/proc/cpuinfo") -> list[str]:
    """Return the CPU features that matter to integer arithmetic.

    Parameters
    ----------
    path : path_like
        Where Linux tells them.

    Returns
    -------
    list of str
        Sorted; empty where the platform does not tell.

    Examples
    --------
    >>> cpu_features("no such file")
    []
    """
    try:
        text = Path(path).read_text(errors="replace")
    except OSError:
        return []
    found: set[str] = set()
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            found |= _FEATURES & set(value.split())
    return sorted(found)


def denormals_flushed() -> bool:
    """Return whether this thread takes subnormal numbers for zero.

    Returns
    -------
    bool
        True where some library has switched flushing on; then float results near zero differ.

    Examples
    --------
    >>> isinstance(denormals_flushed(), bool)
    True
    """
    smallest = np.array([5e-324])
    # the first reads a subnormal, the second makes one
    return bool(smallest[0] == 0.0) or bool((np.array([2.0**-1022]) * 0.5)[0] == 0.0)


def one_blas_thread() -> AbstractContextManager[Any]:
    """Return a context in which NumPy's matrix products use one thread.

    Returns
    -------
    AbstractContextManager
        Does nothing where the thread pools cannot be reached.

    Notes
    -----
    How a product is split decides its last bits, and training carries them on: with one thread, a
    seed means the same model on two cores and on sixty. It is also the faster way for the small
    products of small networks, above all on a busy machine.

    Examples
    --------
    >>> with one_blas_thread():
    ...     (np.eye(2) @ np.eye(2)).sum()
    np.float64(2.0)
    """
    try:
        from threadpoolctl import threadpool_limits  # comes with scikit-learn
    except ImportError:
        return nullcontext()
    return threadpool_limits(limits=1, user_api="blas")


def environment() -> dict[str, str]:
    """Return what a result may depend on, in words.

    Returns
    -------
    dict of str to str
        Platform, CPU, features, threads, whether kernels are compiled, subnormals.

    Examples
    --------
    >>> sorted(environment())[:2]
    ['CPU features', 'cores']
    """
    features = cpu_features()
    return {
        "platform": platform.platform(),
        "machine": platform.machine() or "unknown",
        "cores": str(os.cpu_count() or "unknown"),
        "CPU features": " ".join(features) if features else "unknown",
        "kernels": "compiled" if jit_enabled() else "definitions only (NUMBA_DISABLE_JIT is set)",
        "kernel threads": str(thread_count()),
        "subnormal numbers": "flushed to zero" if denormals_flushed() else "kept",
    }
