"""Casts beside ml_dtypes, quantize_linear beside NumPy's one-liner, GGUF's blocks beside gguf-py.

Run ``python benchmarks/formats.py`` where ml_dtypes and gguf are installed. All in one process;
times are the minimum of several repeats, the sides taken in turn, so that a busy moment of the
machine meets them all. Every pair is compared for equal results first. All sides use one thread,
but for GGUF's kernels, which use all that there are.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
from layouts import layout_sides

from refq import formats
from refq.core.twins import jit_enabled
from refq.ops import quantize_linear

Run = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """One line of the table: what, the two sides, and the ratio to reach (0: none was set)."""

    name: str
    peer: Run
    ours: Run
    target: float = 0.0


def seconds(run: Run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def fastest(row: Row, rounds: int) -> tuple[float, float]:
    """Return the least times of the peer and of refq; the first calls compile and warm up."""
    row.peer(), row.ours()
    pairs = [(seconds(row.peer), seconds(row.ours)) for _ in range(rounds)]
    return min(p for p, _ in pairs), min(q for _, q in pairs)


def same(a: np.ndarray, b: np.ndarray) -> None:
    if not np.array_equal(a, b):
        raise SystemExit("the results differ")


def casts(x: np.ndarray) -> list[Row]:
    import ml_dtypes

    rows = []
    for name in ("float8_e4m3fn", "float4_e2m1fn"):
        form, theirs = formats.get(name), np.dtype(getattr(ml_dtypes, name))
        for kind, target in ((np.float32, 5.0), (np.float16, 0.0), (np.float64, 0.0)):
            y = x.astype(kind)
            same(form.encode(y[:64]), y[:64].astype(theirs).view(np.uint8))
            rows.append(
                Row(
                    f"{np.dtype(kind).name} to {name}",
                    lambda y=y, theirs=theirs: y.astype(theirs),
                    lambda y=y, form=form: form.encode(y),
                    target,
                )
            )
        codes = form.encode(x)
        back = codes.view(theirs)
        same(form.decode(codes[:64]), back[:64].astype(np.float32))
        rows.append(
            Row(
                f"{name} to float32",
                lambda back=back: back.astype(np.float32),
                lambda codes=codes, form=form: form.decode(codes),
            )
        )
    return rows


def quantizations(x: np.ndarray) -> list[Row]:
    n = x.shape[1]
    scales = np.linspace(0.01, 0.03, n, dtype=np.float32)
    zeros = (np.arange(n) % 7).astype(np.int8)
    cases = {
        "per tensor": (np.float32(0.02), np.int8(3), {}),
        "per axis 0": (scales[: x.shape[0]], zeros[: x.shape[0]], {"axis": 0}),
        "per axis 1": (scales, zeros, {"axis": 1}),
    }
    rows = []
    for name, (s, z, how) in cases.items():
        column = how.get("axis") == 0
        wide_s, wide_z = (s[:, None], z[:, None]) if column else (s, z)

        def one_line(s: np.ndarray = wide_s, z: np.ndarray = wide_z) -> np.ndarray:
            return np.clip(np.rint(x / s) + z, -128, 127).astype(np.int8)

        def ours(s: np.ndarray = s, z: np.ndarray = z, how: dict = how) -> np.ndarray:
            return quantize_linear(x, s, z, **how)

        same(ours(), one_line())
        rows.append(Row(f"quantize_linear {name}", one_line, ours, 3.0))
    return rows


def blocks(x: np.ndarray) -> list[Row]:
    sides = layout_sides(x)
    goal = {"quantize Q4_0": 4.0, "quantize Q8_0": 4.0}
    return [Row(what, peer, ours, goal.get(what, 0.0)) for what, ours, peer in sides if peer]


def show(rows: list[Row], rounds: int) -> bool:
    """Print the table; return whether every target was met."""
    print(f"{'what':<28} {'peer':>11} {'refq':>11} {'peer/refq':>10} {'target':>7}")
    met = True
    for row in rows:
        theirs, ours = fastest(row, rounds)
        goal = f"{row.target:.0f}x" if row.target else "-"
        met &= theirs / ours >= row.target
        print(f"{row.name:<28} {1e3 * theirs:>8.2f} ms {1e3 * ours:>8.2f} ms"
              f" {theirs / ours:>9.1f}x {goal:>7}", flush=True)  # fmt: skip
    return met


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    if not jit_enabled():
        raise SystemExit("NUMBA_DISABLE_JIT is set: there is no kernel to measure")
    names = ("numpy", "numba", "ml_dtypes", "gguf")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    print(f"python {sys.version.split()[0]}, {versions}; {options.size} x {options.size}, normal")
    x = np.random.default_rng(0).standard_normal((options.size, options.size), dtype=np.float32)
    met = show([*casts(x), *quantizations(x), *blocks(x)], options.rounds)
    print("every target met" if met else "a target was missed")


if __name__ == "__main__":
    main()
