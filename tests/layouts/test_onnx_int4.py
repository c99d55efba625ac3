"""ONNX's packed tensors against onnx's own bytes, and against wrong buffers."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import FormatError, ShapeError
from refq.core.granularity import PerGroup
from refq.encodings import ScaledEncoding, dense
from refq.layouts import onnx_int4 as layout
from refq.scalar import AffineQuantizer

HERE = Path(__file__).parents[1] / "fixtures" / "onnx_int4"
VECTORS = json.loads((HERE / "onnx_int4.json").read_text(encoding="utf-8"))


def test_vectors_say_where_they_come_from():
    assert VECTORS["onnx"] == "1.23.2"
    assert set(VECTORS["packed"]) == set(layout.TYPES)


@pytest.mark.parametrize("type", layout.TYPES)
def test_bytes_are_those_of_onnx(type):
    values, raw = VECTORS["packed"][type]["values"], bytes.fromhex(VECTORS["packed"][type]["raw"])
    leaf = layout.read(raw, type, (len(values),))
    assert leaf.decode().tolist() == values
    assert layout.write(leaf, type) == raw
    assert layout.write(dense(values, layout.TYPES[type]), type) == raw
    assert layout.nbits((len(values),), type) == 8 * len(raw)


@pytest.mark.parametrize("case", VECTORS["linear"], ids=lambda c: f"{c['type']}{c['shape']}")
def test_blocked_weights_decode_as_onnx_decodes_them(case):
    data, scale = bytes.fromhex(case["data"]), bytes.fromhex(case["scale"])
    zero = case["zero_point"] and bytes.fromhex(case["zero_point"])
    options = {key: case[key] for key in ("type", "scale_type", "axis", "block_size")}
    e = layout.read_linear(data, scale, zero, case["shape"], **options)
    want = np.frombuffer(bytes.fromhex(case["values"]), "<f4").reshape(case["shape"])
    # a float16 result is rounded once more; the product of five bits and eleven is exact before
    got = e.decode().astype(case["values_type"]).astype(np.float32)
    np.testing.assert_array_equal(got, want)
    back = layout.write_linear(e)
    assert (back["data"], back["scale"], back.get("zero_point")) == (data, scale, zero or None)


@pytest.mark.parametrize("type", layout.TYPES)
@given(seed=st.integers(0, 1 << 20), shape=st.sampled_from([(), (1,), (3,), (2, 5), (0, 3), (8,)]))
def test_any_codes_are_written_back(type, seed, shape):
    bits = layout.nbits(shape, type)
    n, width = int(np.prod(shape, dtype=int)), {"INT2": 2, "UINT2": 2}.get(type, 4)
    raw = np.random.default_rng(seed).integers(0, 256, bits // 8).astype(np.uint8)
    if n * width % 8:
        raw[-1] &= (1 << n * width % 8) - 1
    assert layout.write(layout.read(raw.tobytes(), type, shape), type) == raw.tobytes()


def test_a_scalar_scale_serves_every_axis():
    e = layout.read_linear(bytes([0x21]), np.float32(0.5).tobytes(), None, (1, 2), axis=0)
    assert e.decode().tolist() == [[0.5, 1.0]]


def test_a_method_makes_the_form():
    W = np.random.default_rng(0).standard_normal((4, 64), dtype=np.float32)
    e = AffineQuantizer(bits=4, granularity=PerGroup(32), scheme="symmetric").fit_encode(W)
    found = layout.write_linear(e)
    back = layout.read_linear(
        found["data"], found["scale"], None, W.shape, scale_type="FLOAT16", block_size=32
    )
    np.testing.assert_array_equal(back.decode(), e.decode())


def test_refusals():
    with pytest.raises(FormatError, match="'INT3' is none of ONNX's"):
        layout.nbits((1,), "INT3")
    with pytest.raises(FormatError):
        layout.read(bytes(2), "INT4", (5,))
    with pytest.raises(FormatError):
        layout.read(bytes([0x31]), "INT4", (1,))  # bits after the last element
    with pytest.raises(FormatError, match="bytes, not list"):
        layout.read([1], "INT4", (1,))
    with pytest.raises(FormatError, match="leaf of int4"):
        layout.write(dense([1], "uint4"), "INT4")
    with pytest.raises(ShapeError):
        layout.read_linear(bytes(1), bytes(4), None, (2,), axis=1)
    leaf = dense([1, 2], "int4")
    with pytest.raises(FormatError, match="scale must be a leaf"):
        layout.write_linear(ScaledEncoding(leaf, dense([1], "int8"), (2,)))
    with pytest.raises(FormatError, match="without an offset"):
        layout.write_linear(leaf)
