"""The integer matrix product beside NumPy's int32 product and float32 BLAS, in one process.

Run ``python benchmarks/matmul.py``. Times are the minimum of several repeats, the sides taken in
turn, so that a busy moment of the machine meets them all.
"""

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np

from refq.core.twins import jit_enabled
from refq.ops import matmul_integer


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def fastest(sides: dict[str, tuple[Callable[[], object], int]], rounds: int) -> dict[str, float]:
    times: dict[str, float] = {name: float("inf") for name in sides}
    for _ in range(rounds):
        for name, (run, repeats) in sides.items():
            times[name] = min(times[name], *(seconds(run) for _ in range(repeats + 1)))
    return times


def measure(n: int, rounds: int) -> dict[str, float]:
    rng = np.random.default_rng(0)
    a = rng.integers(-128, 128, (n, n)).astype(np.int8)
    b = rng.integers(0, 256, (n, n)).astype(np.uint8)
    wide = a.astype(np.int32), b.astype(np.int32)
    real = a.astype(np.float32), b.astype(np.float32)
    if not np.array_equal(matmul_integer(a, b), wide[0] @ wide[1]):  # compiles, and proves it right
        raise SystemExit("the kernel is wrong")
    return fastest(
        {
            "numpy int32": (lambda: wide[0] @ wide[1], 1),
            "refq int8": (lambda: matmul_integer(a, b, 3, 100), 10),
            "float32 BLAS": (lambda: real[0] @ real[1], 10),
        },
        rounds,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256, 512])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if not jit_enabled():
        raise SystemExit("NUMBA_DISABLE_JIT is set: there is no kernel to measure")
    import numba

    print(
        f"python {sys.version.split()[0]}, numpy {np.__version__}, numba {numba.__version__}, "
        f"{numba.get_num_threads()} kernel threads; zero points subtracted in refq's time"
    )
    print(f"{'n x n x n':>10} {'numpy int32':>12} {'refq int8':>12} {'float32 BLAS':>13}"
          f" {'numpy/refq':>11} {'refq/BLAS':>10}")  # fmt: skip
    for n in options.sizes:
        t = measure(n, options.rounds)
        ms = [1e3 * t[name] for name in ("numpy int32", "refq int8", "float32 BLAS")]
        print(f"{n:>10} {ms[0]:>9.3f} ms {ms[1]:>9.3f} ms {ms[2]:>10.3f} ms"
              f" {ms[0] / ms[1]:>10.1f}x {ms[1] / ms[2]:>9.2f}x")  # fmt: skip


if __name__ == "__main__":
    main()
