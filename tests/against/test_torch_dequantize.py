"""PyTorch's numbers of codes are refq's presets, bit for bit: every 8-bit code, and many of 32."""

import numpy as np
import pytest

from refq.core import semantics
from refq.ops import dequantize_linear

pytestmark = pytest.mark.peers("torch")

VERSION = "2.13"
TORCH = ("uint8", "int8", "int32")
OPERATORS = {
    "per_tensor": ("torch", TORCH),
    "per_channel": ("torch", TORCH),
    "decomposed_per_tensor": ("torch_decomposed", (*TORCH, "int16")),
    # it subtracts in int64: the preset is for differences that int32 holds
    "decomposed_per_channel": ("torch_decomposed", ("uint8", "int8", "int16", "int32_inside")),
}
TASKS = [f"{operator} {name}" for operator, (_, names) in OPERATORS.items() for name in names]


def drawn(name):
    """Return rows of codes with a scale and a zero point each; wide ones beside 2^24, 2^31."""
    name, _, inside = name.partition("_")
    rng, info = np.random.default_rng(4), np.iinfo(name)
    if info.bits == 8:
        q = np.broadcast_to(np.arange(info.min, info.max + 1), (256, 256))
    else:
        near = np.array([0, 1 << 24, -(1 << 24), info.max, info.min])
        q = np.where(rng.random((256, 256)) < 0.5, rng.choice(near, (256, 256)), 0)
        wide = rng.integers(info.min, info.max, (256, 256), endpoint=True)
        q = np.where(q == 0, wide, q + rng.integers(-99, 99, (256, 256)))
    zero_point = rng.integers(info.min, info.max, 256, endpoint=True)
    zero_point[::4] = rng.integers(max(info.min, -5), 9, 64)
    scale = (rng.random(256) + 0.003).astype(np.float32)
    q = np.clip(q, info.min, info.max).astype(name)
    return (q // 2, scale, zero_point // 2) if inside else (q, scale, zero_point)


@pytest.fixture(scope="module")
def given():
    return {name: drawn(name) for name in (*TORCH, "int16", "int32_inside")}


@pytest.fixture(scope="module")
def theirs(peer, given):
    arrays = {
        f"{name}.{field}": value
        for name, values in given.items()
        for field, value in zip(("q", "scale", "zero_point"), values, strict=True)
    }
    found = peer("torch_dequantize", tasks=np.array(TASKS), **arrays)
    assert str(found["version"]).startswith(VERSION)
    return found


@pytest.mark.parametrize("task", TASKS)
def test_dequantize_agrees(given, theirs, task):
    operator, name = task.split()
    q, scale, zero_point = given[name]
    assert q.size >= 50_000
    preset = semantics.get(OPERATORS[operator][0], VERSION)
    if operator.endswith("tensor"):
        rows = range(len(q))
        ours = np.stack(
            [dequantize_linear(q[i], scale[i], zero_point[i], semantics=preset) for i in rows]
        )
    else:
        ours = dequantize_linear(q, scale, zero_point, axis=0, semantics=preset)
    np.testing.assert_array_equal(ours, theirs[task])
