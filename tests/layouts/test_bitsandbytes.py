"""bitsandbytes' tensors against its own, against themselves, and against wrong buffers."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq import formats
from refq.core.errors import FormatError, RangeError, ShapeError
from refq.core.granularity import PerGroup
from refq.encodings import Cast, Encoding, FactoredEncoding, ScaledEncoding, dense, entropy_code
from refq.layouts import bitsandbytes as layout
from refq.scalar import LevelQuantizer

HERE = Path(__file__).parents[1] / "fixtures" / "bitsandbytes"
VECTORS = dict(np.load(HERE / "bitsandbytes.npz"))
NOTE = json.loads((HERE / "bitsandbytes.json").read_text(encoding="utf-8"))
CASES = NOTE["cases"]
SHAPES = [(64,), (1,), (63,), (65,), (2, 128), (3, 5, 7), (), (2, 70), (260, 64)]


def parts(name):
    kind, shape, size, double = CASES[name]
    type = f"{kind}_double" if double else kind
    fields = layout.split(bytes(layout.nbits(shape, type, size) // 8), type, shape, size)
    return type, tuple(shape), size, b"".join(VECTORS[f"{name}.{f}"].tobytes() for f in fields)


def test_vectors_say_where_they_come_from():
    assert NOTE["bitsandbytes"] == "0.50.2"
    assert sum(p.stat().st_size for p in HERE.iterdir() if p.is_file()) < 200_000


def test_the_map_is_derived_to_the_bit():
    got = formats.get("bnb_dynamic8").values
    assert got.tobytes() == VECTORS["map"].tobytes()


@pytest.mark.parametrize("name", CASES)
def test_quantize_makes_the_tensors_of_bitsandbytes(name):
    type, shape, size, want = parts(name)
    x = VECTORS[f"{name}.x"]
    offset = VECTORS.get(f"{name}.nested_offset")
    got = layout.quantize(x, type, size, None if offset is None else float(offset[0]))
    mine, theirs = (layout.split(b, type, shape, size) for b in (got, want))
    for field in theirs:
        np.testing.assert_array_equal(mine[field], theirs[field], err_msg=field)
    if offset is not None:
        # its float32 sum of n numbers errs by at most (n - 1) u times their sum, and u more
        n = theirs["absmax"].size
        own = layout.split(layout.quantize(x, type, size), type, shape, size)["nested_offset"]
        assert abs(float(own[0]) - float(offset[0])) <= (n + 1) * 2.0**-24 * float(own[0])


@pytest.mark.parametrize("name", CASES)
def test_decodes_to_the_numbers_of_bitsandbytes(name):
    type, shape, size, buffer = parts(name)
    got, want = layout.dequantize(buffer, type, shape, size), VECTORS[f"{name}.values"]
    np.testing.assert_array_equal(got, want)
    assert layout.write(layout.read(buffer, type, shape, size), type, size) == buffer
    assert len(np.unique(VECTORS[f"{name}.weight"])) > 30  # vectors that are all one prove nothing


def random_buffer(type, shape, size, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape, dtype=np.float32) if shape else np.float32(rng.normal())
    made = layout.split(layout.quantize(x, type, size), type, shape, size)
    for field in ("weight", "absmax"):
        if made[field].dtype == np.uint8:
            keep = made[field][-1]
            made[field] = rng.integers(0, 256, made[field].size).astype(np.uint8)
            if field == "weight":
                made[field][-1] = keep  # an odd last code is followed by that of zero
    return b"".join(a.tobytes() for a in made.values())


@pytest.mark.parametrize("type", layout.TYPES)
@pytest.mark.parametrize("shape", SHAPES)
@given(seed=st.integers(0, 1 << 20))
def test_any_bytes_are_written_back(type, shape, seed):
    size = layout.BLOCK_SIZES[seed % 3]
    buffer = random_buffer(type, shape, size, seed)
    e = layout.read(buffer, type, shape, size)
    assert layout.write(e, type, size) == buffer
    assert e.shape == e.decode().shape == shape


@pytest.mark.parametrize("type", layout.TYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_sizes_are_to_the_bit(type, shape):
    buffer = random_buffer(type, shape, 64, 1)
    n = int(np.prod(shape, dtype=int))
    e = layout.read(buffer, type, shape)
    assert 8 * len(buffer) == layout.nbits(shape, type)
    assert e.stored_bits == layout.nbits(shape, type) - 4 * (n % 2)
    kept = Encoding.from_bytes(entropy_code(e).to_bytes())
    assert layout.write(kept, type) == buffer


def test_blocks_run_over_the_flattened_array():
    """Row 0 ends inside the second block: its absmax is row 1's."""
    x = np.zeros((2, 70), np.float32)
    x[0, 0], x[0, 69], x[1, 0] = 1, 2, 8
    made = layout.split(layout.quantize(x, "nf4"), "nf4", (2, 70))
    assert made["absmax"].tolist() == [1, 8, np.float32(1e-38)]
    e = layout.read(layout.quantize(x, "nf4"), "nf4", (2, 70))
    assert isinstance(e, FactoredEncoding)
    along = layout.read(layout.quantize(np.ones((2, 64)), "nf4"), "nf4", (2, 64))
    assert isinstance(along, ScaledEncoding)


def test_the_first_code_is_in_the_high_bits():
    buffer = layout.quantize([1.0, -1.0, 0.0, 1.0], "nf4")
    assert buffer[:2] == bytes([0xF0, 0x7F])


def test_a_method_makes_the_form():
    W = np.random.default_rng(0).standard_normal((4, 256), dtype=np.float32)
    e = LevelQuantizer("nf4", PerGroup(64), Cast("float32")).fit_encode(W)
    buffer = layout.write(e, "nf4")
    np.testing.assert_array_equal(layout.dequantize(buffer, "nf4", W.shape), e.decode())


def test_refusals():
    for call in (layout.nbits, lambda s, t: layout.quantize(np.ones(s), t)):
        with pytest.raises(FormatError, match="none of bitsandbytes'"):
            call((64,), "nf5")
        with pytest.raises(ShapeError, match="no element"):
            call((0, 3), "nf4")
    with pytest.raises(RangeError, match="block_size = 48"):
        layout.nbits((64,), "nf4", 48)
    good = layout.quantize(np.ones(64), "nf4")
    for buffer in (good[:-1], good + b"\0", b""):
        with pytest.raises(FormatError, match="buffer has"):
            layout.read(buffer, "nf4", (64,))
    with pytest.raises(FormatError, match="bytes, not str"):
        layout.read("x", "nf4", (64,))
    with pytest.raises(FormatError, match="7, zero, fills it"):
        layout.read(bytes([0x73, 0, 0, 0, 0]), "nf4", (1,))
    with pytest.raises(FormatError, match="is no fp4"):
        layout.write(layout.read(good, "nf4", (64,)), "fp4")
    with pytest.raises(FormatError, match="is no nf4_double"):
        layout.write(layout.read(good, "nf4", (64,)), "nf4_double")
    with pytest.raises(FormatError, match="is no nf4"):
        layout.write(dense(np.ones(64)), "nf4")
    for bad in (np.nan, np.inf, 1e39):
        with pytest.raises(RangeError):
            layout.quantize([bad], "nf4")
