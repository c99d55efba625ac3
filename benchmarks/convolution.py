"""The integer convolution beside a float32 one, in one process.

The float side is refq's own `nn.Conv2d` where it can be imported, else columns and one BLAS
product in NumPy. Run ``python benchmarks/convolution.py``. Times are the minimum of several
repeats, the sides taken in turn.
"""

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from refq.core.twins import jit_enabled
from refq.ops import conv_integer

#: images, channels, height = width, outputs, kernel, stride, groups
CASES = [
    (256, 1, 8, 16, 3, 1, 1),
    (256, 16, 8, 32, 3, 1, 1),
    (256, 32, 4, 64, 3, 2, 1),
    (64, 32, 28, 32, 3, 1, 1),
    (64, 64, 14, 64, 1, 1, 1),
    (64, 32, 14, 32, 3, 1, 32),
]

FloatConv = Callable[[NDArray[np.float32]], object]


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def numpy_conv(w: NDArray[np.float32], stride: int, padding: int, groups: int) -> FloatConv:
    out, depth, kh, kw = w.shape
    rows = w.reshape(groups, out // groups, depth * kh * kw)

    def run(x: NDArray[np.float32]) -> NDArray[np.float32]:
        sides = ((0, 0), (0, 0), (padding, padding), (padding, padding))
        view = np.lib.stride_tricks.sliding_window_view(np.pad(x, sides), (kh, kw), axis=(2, 3))
        view = view[:, :, ::stride, ::stride]
        n, _, height, width, *_ = view.shape
        columns = view.reshape(n, groups, depth, height, width, kh, kw)
        columns = columns.transpose(1, 2, 5, 6, 0, 3, 4).reshape(groups, depth * kh * kw, -1)
        y = np.matmul(rows, columns).reshape(out, n, height, width)
        return np.ascontiguousarray(y.transpose(1, 0, 2, 3))

    return run


def float_conv(
    w: NDArray[np.float32], stride: int, padding: int, groups: int
) -> tuple[str, FloatConv]:
    try:
        from refq import nn

        layer = nn.Conv2d(
            w.shape[1] * groups, w.shape[0], w.shape[2:], stride=stride, padding=padding,
            groups=groups, bias=False, weight=w,
        )  # fmt: skip
        return "refq.nn.Conv2d", lambda x: layer.forward(x)
    except (ImportError, AttributeError):
        return "columns in NumPy", numpy_conv(w, stride, padding, groups)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    if not jit_enabled():
        raise SystemExit("NUMBA_DISABLE_JIT is set: there is no kernel to measure")
    import numba

    print(
        f"python {sys.version.split()[0]}, numpy {np.__version__}, numba {numba.__version__}, "
        f"{numba.get_num_threads()} kernel threads"
    )
    rng = np.random.default_rng(0)
    for n, channels, size, out, kernel, stride, groups in CASES:
        x = rng.integers(0, 256, (n, channels, size, size)).astype(np.uint8)
        shape = (out, channels // groups, kernel, kernel)
        w = rng.integers(-127, 128, shape).astype(np.int8)
        padding = kernel // 2
        name, real = float_conv(w.astype(np.float32), stride, padding, groups)
        images = x.astype(np.float32)

        def integer(x=x, w=w, stride=stride, padding=padding, groups=groups):
            return conv_integer(x, w, 128, stride=stride, padding=padding, groups=groups)

        integer(), real(images)
        times = [float("inf")] * 2
        for _ in range(options.rounds):
            times = [
                min(times[0], seconds(integer)),
                min(times[1], seconds(lambda r=real, i=images: r(i))),
            ]
        case = f"{n} x {channels} x {size} x {size} -> {out}, {kernel} x {kernel}, groups {groups}"
        print(
            f"{case:>48}: integer {1e3 * times[0]:8.3f} ms, {name} {1e3 * times[1]:8.3f} ms, "
            f"float/integer {times[1] / times[0]:5.2f}x"
        )


if __name__ == "__main__":
    main()
