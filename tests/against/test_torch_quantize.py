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


def near_ties(name, dtype=np.float32):
    """Return rows of near ties with the ends after them, one scale and one zero point a row."""
    low, high = FORMATS[name]
    rows, scales, zeros = [], [], []
    for scale in SCALES:
        for z in zero_points(low, high):
            bottom = max(low - z, -160)
            ties = near_tie_grid(scale, bottom, bottom + min(high - low, 320))
            rows.append(np.concatenate([ties, ENDS]))
            scales.append(scale)
            zeros.append(z)
    x = np.stack(rows)
    assert len({len(r) for r in rows}) == 1
    return x, np.array(scales, dtype), np.array(zeros, np.int64)


@pytest.fixture(scope="module")
def ask(peer):
    def run(operator, name, dtype, rows="plain", scale_dtype=np.float32):
        x, scale, zero_point = near_ties(name, scale_dtype)
        low, high = FORMATS[name]
        found = peer(
            "torch_quantize", operator=operator, x=x, scale=scale, zero_point=zero_point,
            low=low, high=high, dtype=dtype, rows=rows,
        )  # fmt: skip
        assert str(found["version"]).startswith(VERSION)
        assert x.size >= 50_000 or name.endswith("4")
        return x, scale, zero_point, found["codes"]

    return run


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


@pytest.mark.parametrize("rows", ["plain", "strided"])
@pytest.mark.parametrize("operator", ["per_tensor", "per_tensor_of_tensors"])
@pytest.mark.parametrize("name", TORCH)
def test_quantize_per_tensor(ask, name, operator, rows):
    x, scale, zero_point, theirs = ask(operator, name, TORCH[name], rows)
    ours = one_by_one(x, scale, zero_point, name, semantics.get("torch", VERSION))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("operator", ["per_channel", "per_channel_last"])
@pytest.mark.parametrize("name", TORCH)
def test_quantize_per_channel(ask, name, operator):
    x, scale, zero_point, theirs = ask(operator, name, TORCH[name])
    ours = by_channel(x, scale, zero_point, name, semantics.get("torch", VERSION))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("rows", ["plain", "strided"])
@pytest.mark.parametrize("operator", ["fake_per_tensor", "fake_per_tensor_of_tensors"])
@pytest.mark.parametrize("name", ["uint8", "int8", "uint4", "int4", "int16", "int32"])
def test_fake_quantize_per_tensor(ask, name, operator, rows):
    x, scale, zero_point, theirs = ask(operator, name, "float32", rows)
    codes = one_by_one(x, scale, zero_point, name, semantics.get("torch_fake_quantize", VERSION))
    ours = by_channel_decoded(codes, scale, zero_point)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", ["uint8", "int8", "uint4", "int4", "int16", "int32"])
def test_fake_quantize_per_channel(ask, name):
    x, scale, zero_point, theirs = ask("fake_per_channel", name, "float32")
    codes = by_channel(x, scale, zero_point, name, semantics.get("torch_fake_quantize", VERSION))
    np.testing.assert_array_equal(by_channel_decoded(codes, scale, zero_point), theirs)


def by_channel_decoded(codes, scale, zero_point):
    return dequantize_linear(codes, scale, zero_point, axis=0)


DECOMPOSED = ["uint8", "int8", "int16", "uint16", "int32"]


@pytest.mark.parametrize("name", DECOMPOSED)
def test_decomposed_per_tensor(ask, name):
    x, scale, zero_point, theirs = ask("decomposed_per_tensor", name, name)
    ours = one_by_one(x, scale, zero_point, name, semantics.get("torch_decomposed", VERSION))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", DECOMPOSED)
def test_decomposed_per_channel(ask, name, dtype):
    x, scale, zero_point, theirs = ask("decomposed_per_channel", name, name, scale_dtype=dtype)
    ours = by_channel(x, scale, zero_point, name, semantics.get("torch_decomposed", VERSION))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("operator", ["decomposed_per_token", "decomposed_per_group"])
@pytest.mark.parametrize("name", DECOMPOSED)
def test_decomposed_per_token_and_group(ask, name, operator, dtype):
    x, scale, zero_point, theirs = ask(operator, name, name, scale_dtype=dtype)
    ours = by_row(x, scale, zero_point, name, semantics.get("torch_decomposed", VERSION))
    np.testing.assert_array_equal(ours, theirs)
