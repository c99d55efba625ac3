"""GGUF's blocks beside gguf-py's, in one process.

Run ``python benchmarks/layouts.py`` where the package gguf is installed (the extra ``peers``).
Times are the minimum of several repeats, the sides taken in turn, so that a busy moment of the
machine meets them all. Where gguf-py cannot quantize a type, its column is empty.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np

from refq.core.twins import jit_enabled, thread_count
from refq.layouts import gguf

BOTH = ("Q4_0", "Q8_0", "Q4_1", "Q5_0", "Q5_1", "MXFP4", "TQ1_0", "TQ2_0")
ALONE = ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS")

Side = Callable[[], object]
Row = tuple[str, float, float]  # what, refq's seconds, the peer's (NaN where it has none)


def seconds(run: Side) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def fastest(refq: Side, peer: Side | None, rounds: int) -> tuple[float, float]:
    best = [float("inf"), float("inf") if peer else float("nan")]
    for _ in range(rounds):
        best[0] = min(best[0], seconds(refq), seconds(refq))
        if peer:
            best[1] = min(best[1], seconds(peer), seconds(peer))
    return best[0], best[1]


def layout_rows(n: int = 4096, rounds: int = 5, types: tuple[str, ...] = BOTH[:2]) -> Iterator[Row]:
    """Yield one row for each type and direction, on an n x n float32 array."""
    from gguf import GGMLQuantizationType, quants

    x = np.random.default_rng(0).standard_normal((n, n), dtype=np.float32)
    for name in types:
        peer = GGMLQuantizationType[name]
        blocks = gguf.quantize(x, name)  # compiles
        raw = np.frombuffer(blocks, np.uint8).reshape(n, -1)
        if name in BOTH:
            if quants.quantize(x, peer).tobytes() != blocks and name in BOTH[:2]:
                raise SystemExit(f"{name} differs from gguf-py")
            theirs: Side | None = lambda peer=peer: quants.quantize(x, peer)  # noqa: E731
        else:
            theirs = None
        times = fastest(lambda name=name: gguf.quantize(x, name), theirs, rounds)
        yield f"quantize {name}", *times
        if not np.array_equal(gguf.dequantize(blocks, name, x.shape), quants.dequantize(raw, peer)):
            raise SystemExit(f"{name} decodes to other numbers")
        times = fastest(
            lambda name=name, blocks=blocks: gguf.dequantize(blocks, name, x.shape),
            lambda peer=peer, raw=raw: quants.dequantize(raw, peer),
            rounds,
        )
        yield f"dequantize {name}", *times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--all", action="store_true", help="every type; gguf-py has no K-quants")
    options = parser.parse_args()
    if not jit_enabled():
        raise SystemExit("NUMBA_DISABLE_JIT is set: there is no kernel to measure")
    n = options.size
    print(f"python {sys.version.split()[0]}, numpy {np.__version__}, {thread_count()} threads, "
          f"float32 {n} x {n}")  # fmt: skip
    print(f"{'':<18} {'refq':>12} {'gguf-py':>12} {'ratio':>8}")
    types = BOTH + ALONE if options.all else BOTH[:2]
    for what, mine, theirs in layout_rows(n, options.rounds, types):
        print(f"{what:<18} {1e3 * mine:>9.1f} ms {1e3 * theirs:>9.1f} ms {theirs / mine:>7.1f}x")


if __name__ == "__main__":
    main()
