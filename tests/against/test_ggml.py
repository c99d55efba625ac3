"""gguf-py's block types are refq's on near ties, and whole files come back byte for byte."""

import numpy as np
import pytest

from refq.core.errors import FormatError, ShapeError
from refq.encodings import dense
from refq.interop import gguf

pytestmark = pytest.mark.peers("gguf")

#: the types that gguf-py quantizes as ggml does -> lowest and highest code of the block, divisor
TIES = {
    "Q4_0": (-8, 7),
    "Q5_0": (-16, 15),
    "Q8_0": (-127, 127),
    "Q4_1": (0, 15),
    "Q5_1": (0, 31),
    "TQ1_0": (-1, 1),
    "TQ2_0": (-1, 1),
    "MXFP4": (-6, 6),
}
ROWS = 256  #: of 256 numbers


def near_ties(name):
    """Return rows in which all but two of every 32 numbers are ties of codes, or an ulp beside."""
    low, high = TIES[name]
    rng = np.random.default_rng(len(name))
    scale = rng.choice(np.float32([1, 0.5, 2, 1 / 3, 0.1, 0.9]), (ROWS, 1))
    codes = rng.integers(low, high, (ROWS, 256)) + rng.choice([0, 0.5, 0.5], (ROWS, 256))
    codes[:, ::32], codes[:, 16::32] = low, high
    x = (codes * scale).astype(np.float32)
    ulps = rng.integers(-2, 3, x.shape) * (np.arange(256) % 16 > 0)
    return (x + ulps * np.spacing(np.abs(x))).astype(np.float32)


@pytest.mark.parametrize("name", TIES)
def test_bytes_and_numbers_agree_on_near_ties(peer, name):
    x, kind = near_ties(name), gguf.TYPES[name]
    assert x.size - x.size // 16 >= 50_000
    other = np.random.default_rng(1).integers(0, 256, (64, kind.nbytes)).astype(np.uint8)
    if name == "TQ1_0":  # other bytes than its own decode alike too, but scales are odd
        other[:, -1] &= 0x3F
    theirs = peer("ggml_blocks", x=x, other=other, name=name)
    mine = gguf.quantize(x, name)
    got = np.frombuffer(mine, np.uint8).reshape(-1, kind.nbytes)
    want = theirs["blocks"].reshape(-1, kind.nbytes)
    bad = np.flatnonzero((got != want).any(axis=1))
    assert not bad.size, f"{bad.size} of {len(got)} blocks differ, the first is {bad[0]}"
    np.testing.assert_array_equal(gguf.dequantize(mine, name, x.shape), theirs["values"])
    shape = theirs["other"].shape
    np.testing.assert_array_equal(gguf.dequantize(other.tobytes(), name, shape), theirs["other"])


def tensors():
    """Return one tensor of every type, whose bytes are canonical."""
    x = np.random.default_rng(2).standard_normal((3, 512), dtype=np.float32)
    found = {f"blk.0/{name}": (x, name) for name in gguf.TYPES}
    found |= {name: (x[:, :3], name) for name in ("F32", "F16", "BF16", "F64")}
    found |= {name: (np.arange(-3, 4), name) for name in ("I8", "I16", "I32", "I64")}
    return found


def test_every_type_comes_back_byte_for_byte(tmp_path):
    first, second = tmp_path / "a.gguf", tmp_path / "b.gguf"
    words = {
        "general.architecture": "none",
        "general.alignment": np.uint32(64),
        "a.text": "caf\u00e9",
        "a.list": ["x", ""],
        "a.flag": True,
        "a.small": np.uint8(3),
        "a.whole": -7,
        "a.real": 0.5,
        "a.numbers": np.arange(4, dtype=np.int16),
    }
    assert gguf.save(first, tensors(), words) == first.stat().st_size
    one = gguf.load(first)
    assert dict(one.types) == {name: type for name, (_, type) in tensors().items()}
    assert one.shapes["blk.0/Q4_K"] == (3, 512)
    assert one.metadata["a.text"] == "caf\u00e9"
    assert one.metadata["a.list"] == ["x", ""]
    assert (one.metadata["a.flag"], one.metadata["a.whole"]) == (True, -7)
    assert one.metadata["a.small"].dtype == np.uint8
    assert one.metadata["a.numbers"].dtype == np.int16
    assert gguf.save(second, one) == second.stat().st_size
    assert first.read_bytes() == second.read_bytes()
    x = tensors()["blk.0/Q6_K"][0]
    want = gguf.dequantize(gguf.quantize(x, "Q6_K"), "Q6_K", x.shape)
    np.testing.assert_array_equal(one["blk.0/Q6_K"].decode(), want)
    assert one["I64"].decode().tolist() == [-3, -2, -1, 0, 1, 2, 3]


def test_gguf_py_reads_what_was_written(tmp_path):
    import gguf as peer

    path = tmp_path / "a.gguf"
    gguf.save(path, tensors())
    reader = peer.GGUFReader(path)
    assert [t.name for t in reader.tensors] == list(tensors())
    for tensor in reader.tensors:
        if tensor.tensor_type.name in gguf.TYPES:
            blocks = gguf.quantize(tensors()[tensor.name][0], tensor.tensor_type.name)
            assert np.asarray(tensor.data).tobytes() == blocks
            assert tensor.shape.tolist() == [512, 3]


@pytest.mark.parametrize("keep", [0, 3, 20, 100, 1000, -1])
def test_a_file_cut_short_is_refused(tmp_path, keep):
    path = tmp_path / "a.gguf"
    gguf.save(path, {"w": (np.ones((4, 32)), "Q8_0")}, {"a.text": "x" * 900})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - 80 if keep < 0 else keep])
    with pytest.raises(FormatError, match=r"GGUF file|cut short"):
        _ = gguf.load(path)["w"]


def test_what_cannot_be_written_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.gguf"
    gguf.save(path, {"w": dense([1.0], "float32")})
    before = path.read_bytes()
    for bad, error in (
        ({"w": (np.ones(31), "Q8_0")}, ShapeError),
        ({"w": (np.ones(32), "Q9_0")}, FormatError),
        ({"w": np.ones(32)}, FormatError),
        ({"w": dense([1], "uint4")}, FormatError),
        ({"w": (np.float32(1), "F32")}, ShapeError),
        ({"w": (np.ones((1, 1, 1, 1, 32)), "Q8_0")}, ShapeError),
        ({"w": (np.ones((0, 32)), "Q8_0")}, ShapeError),
        ({"w": (dense([1.0], "float16"), "F32")}, FormatError),
    ):
        with pytest.raises(error):
            gguf.save(path, bad)
    with pytest.raises(FormatError, match=r"metadata 'k' = \{\} has no type"):
        gguf.save(path, {}, {"k": {}})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.gguf"]
    with pytest.raises(FormatError, match="is no file"):
        gguf.load(tmp_path / "none.gguf")
