"""LiteRT's QUANTIZE and DEQUANTIZE are refq's, by each set of kernels, on near ties."""

import importlib.metadata

import numpy as np
import pytest

from refq.conformance.strategies.tie_draws import near_tie_grid
from refq.core import semantics
from refq.ops import dequantize_linear, quantize_linear

pytestmark = pytest.mark.peers("ai_edge_litert")

KERNELS = ("reference", "builtin", "xnnpack")
SCALES = np.float32([1, 0.5, 1 / 3, 0.1, 0.9, 0.007, 3.0])


def preset(kernels):
    return semantics.get(f"litert_{kernels}", "2.3")


def quantize_node(x, scale, zero_point, axis=0):
    zeros = np.asarray(zero_point)
    output = {"dtype": zeros.dtype.name, "shape": x.shape, "scale": scale, "axis": axis}
    return {
        "op": "QUANTIZE",
        "inputs": [{"data": x}],
        "output": {**output, "zero_point": zeros.tolist()},
    }


def test_version():
    assert importlib.metadata.version("ai-edge-litert").startswith("2.3.")


def near_ties_of(scale, zero_point):
    info, z = np.iinfo(zero_point.dtype), int(zero_point)
    if info.bits == 16:
        return near_tie_grid(scale, -32768, 32767, ulps=(-1, 0, 1))
    return near_tie_grid(scale, info.min - z - 3, info.max - z + 3, range(-4, 5))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
@pytest.mark.parametrize("kernels", KERNELS)
def test_quantize_agrees(litert, kernels, dtype):
    info = np.iinfo(dtype)
    zeros = [0] if dtype == "int16" else [info.min, info.min + 3, (info.min + info.max + 1) // 2]
    cases = [(near_ties_of(s, np.int64(z).astype(dtype)), s, z) for s in SCALES for z in zeros]
    cases += [(x[:n], s, z) for x, s, z in cases[:3] for n in range(1, 40)]  # every rest of 8
    assert sum(x.size for x, _, _ in cases) >= 50_000
    nodes = [quantize_node(x, s, np.int64(z).astype(dtype)) for x, s, z in cases]
    own = preset("builtin" if dtype == "int16" and kernels == "xnnpack" else kernels)
    for (x, s, z), (theirs, delegated) in zip(cases, litert(kernels, nodes), strict=True):
        assert delegated == (kernels == "xnnpack" and dtype != "int16")
        ours = quantize_linear(x, s, np.int64(z).astype(dtype), semantics=own)
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
@pytest.mark.parametrize("kernels", KERNELS)
def test_huge_numbers_agree(litert, kernels, dtype):
    """Two of the three convert to int32 on x86, where infinity becomes the lowest code."""
    info = np.iinfo(dtype)
    ends = np.float32([np.inf, 1e38, 3e9, 2.0**31, 2.0**31 - 128, 1e-40, 0])
    x = np.concatenate([ends, -ends, [np.float32(1)], ends])
    own = preset("builtin" if dtype == "int16" and kernels == "xnnpack" else kernels)
    for scale in np.float32([1, 1e-3, 7.0]):
        for z in {info.min, 0, info.max} if dtype != "int16" else {0}:
            zero_point = np.int64(z).astype(dtype)
            [(theirs, _)] = litert(kernels, [quantize_node(x, scale, zero_point)])
            ours = quantize_linear(x, scale, zero_point, semantics=own)
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
@pytest.mark.parametrize("kernels", KERNELS)
def test_quantize_per_axis_agrees(litert, kernels, dtype):
    cases = []
    for axis in (0, 1):
        for shift in (0, 5):
            zeros = np.arange(SCALES.size) * (0 if dtype == "int16" else shift)
            ties = [near_tie_grid(s, -128, 127, range(-2, 3)) for s in SCALES]
            x = np.stack(ties, axis)
            cases += [(x, zeros.astype(dtype), axis)] * (1 if shift else 2)
    assert sum(x.size for x, _, _ in cases) >= 50_000
    nodes = [quantize_node(x, SCALES, z, axis) for x, z, axis in cases]
    for (x, z, axis), (theirs, delegated) in zip(cases, litert(kernels, nodes), strict=True):
        ours = quantize_linear(x, SCALES, z, axis=axis, semantics=preset(kernels))
        np.testing.assert_array_equal(ours, theirs)
        assert not delegated


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
@pytest.mark.parametrize("kernels", KERNELS)
def test_dequantize_agrees(litert, kernels, dtype):
    info = np.iinfo(dtype)
    rng = np.random.default_rng(3)
    codes, nodes = np.arange(info.min, info.max + 1).astype(dtype), []
    for i in range(2 if dtype == "int16" else 240):
        zero_point = 0 if dtype == "int16" else int(rng.integers(info.min, info.max + 1))
        part = codes if i < 200 else codes[: 216 + i - 200]  # every rest of 8
        x = {"data": part, "scale": np.float32(rng.random() + 0.01), "zero_point": zero_point}
        output = {"dtype": "float32", "shape": part.shape}
        nodes.append({"op": "DEQUANTIZE", "inputs": [x], "output": output})
    for node, (theirs, _) in zip(nodes, litert(kernels, nodes), strict=True):
        x = node["inputs"][0]
        ours = dequantize_linear(x["data"], x["scale"], x["zero_point"], semantics=preset(kernels))
        np.testing.assert_array_equal(ours, theirs)
