"""Codebook methods beside their peers: same data, same dtype, same or better result, one process.

Run ``python benchmarks/codebooks.py [part ...]``. Sides take turns, the least of several times
counts. Distortions are compared in float64, computed the same way for both sides. A part whose
peer is not installed is left out, and says so.
"""

import argparse
import math
import sys
import time
from collections.abc import Callable

import numpy as np

from refq.core.twins import jit_enabled
from refq.scalar import OptimalLevelQuantizer

Side = Callable[[], object]


def seconds(run: Side) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def take_turns(sides: dict[str, Side], rounds: dict[str, int]) -> dict[str, float]:
    """Return the least time of each side; sides take turns as long as they have rounds left."""
    times = dict.fromkeys(sides, math.inf)
    for i in range(max(rounds.values())):
        for name, run in sides.items():
            if i < rounds[name]:
                times[name] = min(times[name], seconds(run))
    return times


def exponent(sizes: list[int], times: list[float]) -> float:
    """Return e of the fit ``time ~ size^e``: the slope of least squares in logarithms."""
    x, y = np.log(sizes), np.log(times)
    return float(np.polyfit(x, y, 1)[0])


# Optimal levels ------------------------------------------------------------------------------


def distortion_of_centers(x: np.ndarray, centers: np.ndarray) -> float:
    """Return the sum of squared distances to the nearest center: the same way for both sides."""
    centers = np.sort(np.asarray(centers, np.float64))
    which = np.searchsorted((centers[:-1] + centers[1:]) / 2, x)
    return math.fsum((x - centers[which]) ** 2)


def refq_levels(x: np.ndarray, k: int) -> np.ndarray:
    """Fit and encode, as kmeans1d.cluster does both; levels before storage are compared."""
    from refq.encodings import Cast

    q = OptimalLevelQuantizer(k, codebook_method=Cast("float64")).fit(x)
    q.encode(x)
    return q.levels_


def optimal_levels(quick: bool) -> None:
    try:
        import kmeans1d
    except ImportError:
        print("optimal levels: kmeans1d is not installed")
        return
    n = 20_000 if quick else 200_000
    x = np.random.default_rng(0).standard_normal(n)
    print(f"optimal levels of {n} float64 values (refq: fit and encode; kmeans1d: cluster)")
    print(f"{'k':>6} {'kmeans1d':>12} {'refq':>10} {'ratio':>8} {'wanted':>7}  distortions")
    for k, wanted, rounds in ((16, 4, 3), (256, 20, 1)):
        refq_levels(x, k)  # compiles
        theirs = kmeans1d.cluster(x, k).centroids
        t = take_turns(
            {"kmeans1d": lambda k=k: kmeans1d.cluster(x, k), "refq": lambda k=k: refq_levels(x, k)},
            {"kmeans1d": rounds, "refq": 5},
        )
        a, b = distortion_of_centers(x, refq_levels(x, k)), distortion_of_centers(x, theirs)
        ratio = t["kmeans1d"] / t["refq"]
        verdict = "no larger" if a <= b else f"LARGER by {a / b - 1:.1e}"
        print(f"{k:>6} {1e3 * t['kmeans1d']:>9.1f} ms {1e3 * t['refq']:>7.1f} ms {ratio:>7.1f}x"
              f" {wanted:>6}x  {a!r} and {b!r}: {verdict}")  # fmt: skip
    growth("optimal levels, k = 256", lambda n: (lambda x=x[:n]: refq_levels(x, 256)),
           [n // 4, n // 2, n])  # fmt: skip


def growth(title: str, make: Callable[[int], Side], sizes: list[int]) -> None:
    """Print the exponent with which time grows, fitted over three sizes."""
    times = []
    for n in sizes:
        run = make(n)
        run()
        times.append(min(seconds(run) for _ in range(5)))
    shown = ", ".join(f"{n}: {1e3 * t:.1f} ms" for n, t in zip(sizes, times, strict=True))
    print(f"{title}: time ~ n^{exponent(sizes, times):.2f}  ({shown})")


PARTS: dict[str, Callable[[bool], None]] = {"optimal_levels": optimal_levels}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="all by default")
    parser.add_argument("--quick", action="store_true", help="a tenth of the data")
    options = parser.parse_args()
    if not jit_enabled():
        raise SystemExit("NUMBA_DISABLE_JIT is set: there is no kernel to measure")
    import numba

    print(
        f"python {sys.version.split()[0]}, numpy {np.__version__}, numba {numba.__version__}, "
        f"{numba.get_num_threads()} kernel threads"
    )
    for name in options.parts or PARTS:
        PARTS[name](options.quick)


if __name__ == "__main__":
    main()
