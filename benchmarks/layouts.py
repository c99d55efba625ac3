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
Sides = tuple[str, Side, Side | None]  # what, refq's, the peer's where it has one


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


def layout_sides(x: np.ndarray, types: tuple[str, ...] = BOTH[:2]) -> Iterator[Sides]:
    """Yield both sides for each type and direction, after checking that they agree."""
    from gguf import GGMLQuantizationType, quants

    for name in types:
        peer = GGMLQuantizationType[name]
        blocks = gguf.quantize(x, name)  # compiles
        raw = np.frombuffer(blocks, np.uint8).reshape(len(x), -1)
        theirs: Side | None = None
        if name in BOTH:
            if quants.quantize(x, peer).tobytes() != blocks and name in BOTH[:2]:
                raise SystemExit(f"{name} differs from gguf-py")
            theirs = lambda peer=peer: quants.quantize(x, peer)  # noqa: E731
        yield f"quantize {name}", lambda name=name: gguf.quantize(x, name), theirs
        if not np.array_equal(gguf.dequantize(blocks, name, x.shape), quants.dequantize(raw, peer)):
            raise SystemExit(f"{name} decodes to other numbers")
        yield (
            f"dequantize {name}",
            lambda name=name, blocks=blocks: gguf.dequantize(blocks, name, x.shape),
            lambda peer=peer, raw=raw: quants.dequantize(raw, peer),
        )


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
    x = np.random.default_rng(0).standard_normal((n, n), dtype=np.float32)
    for what, refq_side, peer_side in layout_sides(x, types):
        mine, theirs = fastest(refq_side, peer_side, options.rounds)
        print(f"{what:<18} {1e3 * mine:>9.1f} ms {1e3 * theirs:>9.1f} ms {theirs / mine:>7.1f}x")


if __name__ == "__main__":
    main()
