"""GGUF block types against ggml's own bytes, against themselves, and against wrong buffers."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import FormatError, RangeError, ShapeError
from refq.encodings import ScaledEncoding, dense, entropy_code
from refq.encodings.encoding import Encoding
from refq.layouts import gguf

HERE = Path(__file__).parents[1] / "fixtures" / "gguf"
VECTORS = dict(np.load(HERE / "ggml.npz"))
X = VECTORS["x"]
TYPES = list(gguf.TYPES)

#: what the standard says, and what the graph keeps beyond the layout's bits for 512 numbers
SIZES = {
    "Q4_0": (32, 18, 0),
    "Q4_1": (32, 20, 0),
    "Q5_0": (32, 22, 0),
    "Q5_1": (32, 24, 0),
    "Q8_0": (32, 34, 0),
    "Q2_K": (256, 84, 0),
    "Q3_K": (256, 110, 0),
    "Q4_K": (256, 144, 0),
    "Q5_K": (256, 176, 0),
    "Q6_K": (256, 210, 0),
    "IQ4_NL": (32, 18, 0),
    "IQ4_XS": (256, 136, 0),
    "MXFP4": (32, 17, 0),
    "TQ1_0": (256, 54, 2 * (512 + 16 - 54 * 8)),
    "TQ2_0": (256, 66, 0),
}


def same_bits(a, b):
    """Compare float32 arrays bit by bit, every NaN being alike."""
    a, b = np.asarray(a), np.asarray(b)
    return (
        a.dtype == b.dtype == np.float32
        and a.shape == b.shape
        and bool(np.all((a.view(np.uint32) == b.view(np.uint32)) | (np.isnan(a) & np.isnan(b))))
    )


def random_blocks(type, seed, count=3):
    kind = gguf.TYPES[type]
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, count * kind.nbytes).astype(np.uint8).tobytes()


def test_vectors_say_where_they_come_from():
    note = json.loads((HERE / "ggml.json").read_text(encoding="utf-8"))
    assert note["ggml"] == "0.25.3"
    assert sorted(note["types"]) == sorted(TYPES)
    assert sum(p.stat().st_size for p in HERE.iterdir() if p.is_file()) < 400_000


@pytest.mark.parametrize("type", TYPES)
def test_quantize_writes_the_bytes_of_ggml(type):
    kind = gguf.TYPES[type]
    want = VECTORS[f"{type}.bytes"]
    got = np.frombuffer(gguf.quantize(X, type), np.uint8).reshape(-1, kind.nbytes)
    bad = np.flatnonzero((want != got).any(axis=1))
    assert not bad.size, f"blocks {bad[:5]}: {want[bad[0]].tolist()} != {got[bad[0]].tolist()}"


@pytest.mark.parametrize("type", TYPES)
def test_vectors_reach_ties_and_signs(type):
    """A vector that is all one block would prove nothing."""
    rows = VECTORS[f"{type}.bytes"]
    assert len(np.unique(rows, axis=0)) > len(rows) // 2


@pytest.mark.parametrize("type", TYPES)
def test_dequantize_gives_the_numbers_of_ggml(type):
    blocks, want = VECTORS[f"{type}.blocks"], VECTORS[f"{type}.values"]
    assert same_bits(gguf.dequantize(blocks.tobytes(), type, want.shape), want)
    assert same_bits(gguf.dequantize(blocks.tobytes(), type), want.reshape(-1))


@pytest.mark.parametrize("type", TYPES)
def test_sizes(type):
    size, nbytes, beyond = SIZES[type]
    kind = gguf.TYPES[type]
    assert (kind.name, kind.size, kind.nbytes) == (type, size, nbytes)
    assert gguf.nbits((2, 256), type) == 8 * nbytes * 512 // size
    assert kind.bits_per_weight == gguf.nbits((512,), type) / 512
    encoding = gguf.read(gguf.quantize(X[:2], type), type, (2, 256))
    assert encoding.stored_bits == gguf.nbits((2, 256), type) + beyond


@pytest.mark.parametrize("type", [t for t in TYPES if not gguf.TYPES[t].padding])
@given(seed=st.integers(0, 1 << 30))
def test_any_bytes_are_written_back(type, seed):
    blocks = random_blocks(type, seed)
    shape = (3, gguf.TYPES[type].size)
    assert gguf.write(gguf.read(blocks, type, shape), type) == blocks


@given(seed=st.integers(0, 1 << 30))
def test_canonical_bytes_of_digits_are_written_back(seed):
    blocks = random_blocks("TQ1_0", seed)
    encoding = gguf.read(blocks, "TQ1_0", (3, 256))
    canonical = gguf.write(encoding, "TQ1_0")
    again = gguf.read(canonical, "TQ1_0", (3, 256))
    assert gguf.write(again, "TQ1_0") == canonical
    assert same_bits(again.decode(), encoding.decode())


def test_every_number_of_five_digits():
    """All 243 canonical bytes, by integers: the digits of n come back, most significant first."""
    for n in range(243):
        byte = -(-n * 256 // 243)
        block = bytes([byte] * 48 + [0] * 4 + [0x00, 0x3C])
        got = gguf.dequantize(block, "TQ1_0")
        digits = [n // 3**k % 3 - 1 for k in (4, 3, 2, 1, 0)]
        assert got[:160].reshape(5, 32)[:, 0].tolist() == digits
        assert got[160:240].reshape(5, 16)[:, 5].tolist() == digits
        assert gguf.write(gguf.read(block, "TQ1_0", (256,)), "TQ1_0")[:48] == block[:48]


@pytest.mark.parametrize("type", TYPES)
def test_read_gives_nouns_that_a_file_can_hold(type):
    blocks = gguf.quantize(X[:4], type)
    for shape in [(4, 256), (1024,), (2, 2, 256)]:
        encoding = gguf.read(blocks, type, shape)
        assert isinstance(encoding, ScaledEncoding)
        assert encoding.shape == shape
        kept = Encoding.from_bytes(entropy_code(encoding).to_bytes())
        assert same_bits(kept.decode(), gguf.dequantize(blocks, type, shape))
        assert gguf.write(kept, type) == blocks


@pytest.mark.parametrize("type", TYPES)
def test_error_stays_below_the_range_over_the_levels(type):
    x = np.random.default_rng(3).standard_normal((8, 256), dtype=np.float32)
    y = gguf.dequantize(gguf.quantize(x, type), type, x.shape)
    error = float(((x - y) ** 2).mean() / (x**2).mean())
    if type.startswith("TQ"):  # three levels, the outer ones at the largest magnitude
        assert error < 1
        return
    assert error < {2: 0.15, 3: 0.06, 4: 0.02, 5: 0.005, 6: 0.001, 8: 1e-4}[gguf.TYPES[type].bits]


@pytest.mark.parametrize("type", TYPES)
def test_layouts_and_dtypes_give_the_same_bytes(type):
    x = X[:6]
    want = gguf.quantize(x, type)
    backwards = np.ascontiguousarray(x[::-1])[::-1]
    for same in (
        x.astype(np.float64),
        np.asfortranarray(x),
        backwards,
        x.astype(">f4"),
        x.tolist(),
    ):
        assert gguf.quantize(same, type) == want


def test_chunks_change_nothing(monkeypatch):
    for type in TYPES:
        want = gguf.quantize(X, type)
        with monkeypatch.context() as patch:
            patch.setattr(gguf, "_CHUNK", 300)
            assert gguf.quantize(X, type) == want


def test_a_block_of_zeros_keeps_the_codes_before_it():
    x = np.zeros((3, 32), np.float32)
    x[1] = np.arange(32) - 16
    blocks = np.frombuffer(gguf.quantize(x, "IQ4_NL"), np.uint8).reshape(3, 18)
    assert blocks[0].tolist() == [0] * 18
    assert (blocks[2, 2:] == blocks[1, 2:]).all()
    assert blocks[2, :2].tolist() == [0, 0]


@pytest.mark.parametrize("type", TYPES)
def test_empty(type):
    assert gguf.quantize(np.zeros((0, 256), np.float32), type) == b""
    encoding = gguf.read(b"", type, (0, 256))
    assert encoding.decode().shape == (0, 256)
    assert gguf.write(encoding, type) == b""


@pytest.mark.parametrize("type", TYPES)
def test_wrong_lengths_and_shapes(type):
    kind = gguf.TYPES[type]
    good = bytes(kind.nbytes)
    for buffer in (good[:-1], good + b"\0", b"", good * 2):
        with pytest.raises(FormatError, match="bytes"):
            gguf.read(buffer, type, (kind.size,))
    with pytest.raises(FormatError, match=r"blocks of .* have"):
        gguf.dequantize(good[:-1], type)
    for shape in [(kind.size - 1,), (kind.size, 3), ()]:
        with pytest.raises(ShapeError, match="multiple"):
            gguf.read(good, type, shape)
        with pytest.raises(ShapeError, match="multiple"):
            gguf.nbits(shape, type)
        with pytest.raises(ShapeError, match="multiple"):
            gguf.quantize(np.zeros(shape), type)


@pytest.mark.parametrize("type", ["Q4", "q4_0", "", None, 2, "IQ2_XXS"])
def test_unknown_types(type):
    for call in (
        lambda: gguf.quantize(np.zeros(256), type),
        lambda: gguf.dequantize(b"", type),
        lambda: gguf.read(b"", type, (0,)),
        lambda: gguf.write(dense([1.0]), type),
        lambda: gguf.nbits((256,), type),
    ):
        with pytest.raises(FormatError, match="no GGUF block type"):
            call()


def test_other_graphs_are_refused():
    for source in TYPES:
        encoding = gguf.read(gguf.quantize(X[:2], source), source, (2, 256))
        for target in set(TYPES) - {source}:
            if {source, target} == {"TQ1_0", "TQ2_0"}:  # the same nouns in other bytes
                continue
            with pytest.raises(FormatError, match=f"is no {target}"):
                gguf.write(encoding, target)
    with pytest.raises(FormatError, match="is no Q4_0"):
        gguf.write(dense([1.0]), "Q4_0")
    with pytest.raises(FormatError, match="bytes"):
        gguf.read("text", "Q4_0", (32,))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e39])
def test_numbers_that_are_none(bad):
    x = np.zeros((2, 32))
    x[1, 3] = bad
    with pytest.raises(RangeError, match=r"\[1, 3\]"):
        gguf.quantize(x, "Q8_0")
