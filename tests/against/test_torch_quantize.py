"""PyTorch's ways to make codes of numbers are refq's presets, bit for bit, on near ties.

Each test asks 50,000 near ties or more, with odd zero points (ties go to even before or after a
zero point is added, so only odd ones tell), and the ends of float32 and of the integers.
"""

import numpy as np
import pytest

from refq.conformance.strategies.tie_draws import near_tie_grid
from refq.core import semantics
from refq.ops import dequantize_linear, quantize_linear

pytestmark = pytest.mark.peers("torch")

VERSION = "2.13"
SCALES = np.float32([1 / 3, 0.1, 0.9, 0.02, 1.0, 0.0123, 7.3, 1e-3])
NARROW_SCALES = np.concatenate([SCALES, np.linspace(0.01, 2, 48, dtype=np.float32)])
FORMATS = {
    "uint8": (0, 255), "int8": (-128, 127), "int16": (-(2**15), 2**15 - 1),
    "uint16": (0, 2**16 - 1), "int32": (-(2**31), 2**31 - 1), "uint4": (0, 15), "int4": (-8, 7),
}  # fmt: skip
TORCH = {"uint8": "quint8", "int8": "qint8", "int32": "qint32"}
#: Beyond every code, at the ends of int32 and int64, and NaN
ENDS = np.float32(
    [np.inf, -np.inf, np.nan, 3.4e38, -3.4e38, 1e30, -1e30, 2.0**63, -(2.0**63), 2.0**62, 1e10]
    + [sign * (2.0**31 + d) for sign in (1, -1) for d in (0, -128, 256, 1e8)]
    + [2.0**24 + 1, 2.0**30, 0.0, -0.0]
)  # fmt: skip


def zero_points(low, high):
    wide = [low, high, 1, 3, 100, -5, (low + high) // 2, (low + high) // 2 + 1]
    return [z for z in dict.fromkeys(wide) if low <= z <= high]


def near_ties(name):
    """Return rows of near ties with the ends after them, one scale and one zero point a row."""
    low, high = FORMATS[name]
    rows, scales, zeros = [], [], []
    for scale in SCALES if high - low > 15 else NARROW_SCALES:
        for z in zero_points(low, high):
            bottom = max(low - z, -160)
            ties = near_tie_grid(scale, bottom, bottom + min(high - low, 320))
            rows.append(np.concatenate([ties, ENDS]))
            scales.append(scale)
            zeros.append(z)
    return np.stack(rows), np.float32(scales), np.int64(zeros)


def task(operator, name, dtype, rows="plain", scales="float32"):
    return f"{operator} {name} {dtype} {rows} {scales}"


QUANTIZE = [
    task(operator, name, TORCH[name], rows)
    for operator in ("per_tensor", "per_tensor_of_tensors")
    for name in TORCH
    for rows in ("plain", "strided")
]
QUANTIZE_CHANNELS = [
    task(operator, name, TORCH[name])
    for operator in ("per_channel", "per_channel_last")
    for name in TORCH
]
FAKE = ["uint8", "int8", "uint4", "int4", "int16", "int32"]
FAKE_TENSOR = [
    task(operator, name, "float32", rows)
    for operator in ("fake_per_tensor", "fake_per_tensor_of_tensors")
    for name in FAKE
    for rows in ("plain", "strided")
]
FAKE_CHANNELS = [task("fake_per_channel", name, "float32") for name in FAKE]
PLAIN = ["uint8", "int8", "int16", "uint16", "int32"]
DECOMPOSED = [task("decomposed_per_tensor", name, name) for name in PLAIN]
DECOMPOSED_CHANNELS = [
    task("decomposed_per_channel", name, name, scales=scales)
    for name in PLAIN
    for scales in ("float32", "float64")
]
DECOMPOSED_BLOCKS = [
    task(operator, name, name, scales=scales)
    for operator in ("decomposed_per_token", "decomposed_per_group")
    for name in PLAIN
    for scales in ("float32", "float64")
]
ALL = [
    *QUANTIZE, *QUANTIZE_CHANNELS, *FAKE_TENSOR, *FAKE_CHANNELS,
    *DECOMPOSED, *DECOMPOSED_CHANNELS, *DECOMPOSED_BLOCKS,
]  # fmt: skip


@pytest.fixture(scope="module")
def given():
    found = {name: near_ties(name) for name in FORMATS}
    for x, _, zero_point in found.values():
        assert x.size >= 50_000
        assert (zero_point % 2).any()
    return found


@pytest.fixture(scope="module")
def theirs(peer, given):
    arrays = {}
    for name, (x, scale, zero_point) in given.items():
        arrays |= {f"{name}.x": x, f"{name}.scale": scale, f"{name}.zero_point": zero_point}
        arrays[f"{name}.ends"] = np.array(FORMATS[name])
    found = peer("torch_quantize", tasks=np.array(ALL), **arrays)
    assert str(found["version"]).startswith(VERSION)
    return found


def arguments(given, task):
    operator, name, _, _, scales = task.split()
    x, scale, zero_point = given[name]
    if operator == "decomposed_per_group":  # it refuses NaN
        x = np.where(np.isnan(x), np.float32(0), x)
    return x, scale.astype(scales), zero_point, name


def one_by_one(x, scale, zero_point, name, preset):
    return np.stack(
        [
            quantize_linear(x[i], s, int(zero_point[i]), format=name, semantics=preset)
            for i, s in enumerate(scale)
        ]
    )


def by_channel(x, scale, zero_point, name, preset):
    return quantize_linear(x, scale, zero_point, format=name, axis=0, semantics=preset)


def by_row(x, scale, zero_point, name, preset):
    return quantize_linear(
        x, scale[:, None], zero_point[:, None], format=name, block_size=x.shape[1], semantics=preset
    )


LENGTHS = (1, 2, 3, 5, 17, 75)


def test_no_length_changes_a_code(peer):
    """What a vectorized loop leaves over is computed as the rest."""
    x = near_ties("uint8")[0][3, :2550].copy()
    arrays, tasks = {}, []
    for length in LENGTHS:
        rows, name = x.reshape(-1, length), f"by{length}"
        arrays |= {f"{name}.x": rows, f"{name}.scale": np.repeat(SCALES[:1], len(rows))}
        arrays |= {f"{name}.zero_point": np.full(len(rows), 3), f"{name}.ends": [0, 255]}
        tasks.append(task("per_tensor", name, "quint8"))
    found = peer("torch_quantize", tasks=np.array(tasks), **arrays)
    ours = quantize_linear(x, SCALES[0], 3, semantics=semantics.get("torch", VERSION))
    for line in tasks:
        np.testing.assert_array_equal(found[line].ravel(), ours)


@pytest.mark.parametrize("task", QUANTIZE)
def test_quantize_per_tensor(given, theirs, task):
    ours = one_by_one(*arguments(given, task), semantics.get("torch", VERSION))
    np.testing.assert_array_equal(ours, theirs[task])


@pytest.mark.parametrize("task", QUANTIZE_CHANNELS)
def test_quantize_per_channel(given, theirs, task):
    ours = by_channel(*arguments(given, task), semantics.get("torch", VERSION))
    np.testing.assert_array_equal(ours, theirs[task])


@pytest.mark.parametrize("task", FAKE_TENSOR)
def test_fake_quantize_per_tensor(given, theirs, task):
    x, scale, zero_point, name = arguments(given, task)
    preset = semantics.get("torch_fake_quantize", VERSION)
    codes = one_by_one(x, scale, zero_point, name, preset).astype(np.int64)
    ours = (codes - zero_point[:, None]).astype(np.float32) * scale[:, None]
    np.testing.assert_array_equal(ours, theirs[task])


@pytest.mark.parametrize("task", FAKE_CHANNELS)
def test_fake_quantize_per_channel(given, theirs, task):
    x, scale, zero_point, name = arguments(given, task)
    codes = by_channel(x, scale, zero_point, name, semantics.get("torch_fake_quantize", VERSION))
    ours = dequantize_linear(codes, scale, zero_point, axis=0)  # rounded once, as the text
    np.testing.assert_array_equal(ours, theirs[task])


@pytest.mark.parametrize("task", DECOMPOSED)
def test_decomposed_per_tensor(given, theirs, task):
    ours = one_by_one(*arguments(given, task), semantics.get("torch_decomposed", VERSION))
    np.testing.assert_array_equal(ours, theirs[task])


@pytest.mark.parametrize("task", DECOMPOSED_CHANNELS)
def test_decomposed_per_channel(given, theirs, task):
    ours = by_channel(*arguments(given, task), semantics.get("torch_decomposed", VERSION))
    np.testing.assert_array_equal(ours, theirs[task])


@pytest.mark.parametrize("task", DECOMPOSED_BLOCKS)
def test_decomposed_per_token_and_group(given, theirs, task):
    ours = by_row(*arguments(given, task), semantics.get("torch_decomposed", VERSION))
    np.testing.assert_array_equal(ours, theirs[task])
