"""The container: never garbage, never another error, never more memory than the limits say."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import DTypeError, FormatError, LimitError, RefqError
from refq.encodings import (
    CodebookEncoding,
    ConcatenatedEncoding,
    DenseEncoding,
    Encoding,
    GeneratedEncoding,
    MaskedEncoding,
    ScaledEncoding,
    SummedEncoding,
    container,
    dense,
    dense_leaf,
)
from refq.encodings.container import check_claim, read_file, write_atomically

FOLDER = Path(__file__).parents[1] / "fixtures" / "0.1.0"
GOLDEN = sorted(FOLDER.glob("*.refq"))
REFUSED = (FormatError, LimitError)
pytest_ids = {"ids": lambda p: p.stem}


def load(buffer):
    from refq.nn.model_file import from_bytes

    return from_bytes(buffer)


def header_of(buffer):
    n = int.from_bytes(buffer[8:12], "little")
    return json.loads(zlib.decompress(buffer[24 : 24 + n])), buffer[24 + n :]


def framed(text, payload=b"", version=1, deflated=None):
    """Return a file with a right checksum around any header."""
    if not isinstance(text, (str, bytes)):
        text = json.dumps(text)
    body = zlib.compress(text.encode() if isinstance(text, str) else text)
    body = body if deflated is None else deflated
    start = b"REFQ" + version.to_bytes(4, "little")
    start += len(body).to_bytes(4, "little") + len(payload).to_bytes(8, "little")
    return start + zlib.crc32(start + body + payload).to_bytes(4, "little") + body + payload


# Golden files ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", GOLDEN, **pytest_ids)
def test_golden_files_decode_for_ever(path):
    wanted = json.loads(path.with_suffix(".json").read_text())
    obj = load(path.read_bytes())
    if isinstance(obj, Encoding):
        found = {"decoded": obj.decode()}
    else:
        tensors = {f"{n.name}.{k}": t for n in obj.nodes for k, t in n.layer.tensors().items()}
        found = {
            k: t.decode() if isinstance(t, Encoding) else np.asarray(t) for k, t in tensors.items()
        }
    assert list(found) == list(wanted)
    for name, a in found.items():
        assert a.dtype.name == wanted[name]["dtype"]
        assert list(a.shape) == wanted[name]["shape"]
        assert a.astype(a.dtype.newbyteorder("<")).tobytes().hex() == wanted[name]["hex"], name


@pytest.mark.parametrize("path", GOLDEN, **pytest_ids)
def test_golden_files_are_written_again_with_equal_content(path):
    from refq.nn.model_file import to_bytes

    buffer = path.read_bytes()
    again = to_bytes(load(buffer))
    assert header_of(again) == header_of(buffer)  # the deflated bytes are zlib's own affair


@pytest.mark.parametrize("path", GOLDEN, **pytest_ids)
def test_all_truncations_are_refused(path):
    buffer = path.read_bytes()
    for n in range(len(buffer)):
        with pytest.raises(REFUSED):
            load(buffer[:n])


@pytest.mark.parametrize("path", GOLDEN, **pytest_ids)
def test_all_single_bit_flips_are_refused(path):
    buffer = path.read_bytes()
    wrong = []
    for i in range(8 * len(buffer)):
        flipped = bytearray(buffer)
        flipped[i // 8] ^= 1 << (i % 8)
        try:
            load(bytes(flipped))
        except REFUSED:
            continue
        wrong.append(i)
    assert not wrong


@pytest.mark.parametrize("path", GOLDEN, **pytest_ids)
def test_trailing_and_leading_bytes_are_refused(path):
    buffer = path.read_bytes()
    for other in (buffer + b"\0", b"\0" + buffer, buffer + buffer):
        with pytest.raises(REFUSED):
            load(other)


@pytest.mark.parametrize("path", GOLDEN, **pytest_ids)
def test_every_flipped_payload_bit_under_a_right_checksum_is_no_other_error(path):
    header, payload = header_of(path.read_bytes())
    step = 1 if len(payload) < 100 else 11  # a golden file of eight nouns takes 3 ms to decode
    for i in range(0, 8 * len(payload), step):
        flipped = bytearray(payload)
        flipped[i // 8] ^= 1 << (i % 8)
        try:
            obj = load(framed(header, bytes(flipped)))
            if isinstance(obj, Encoding):
                obj.decode()
        except RefqError:
            pass


# Sharing and determinism -----------------------------------------------------------------


def test_sharing_survives_and_is_stored_once():
    leaf = dense(np.arange(8.0), "float16")
    once = SummedEncoding((leaf, leaf, ConcatenatedEncoding((leaf,))))
    assert once.stored_bits == 8 * 16
    header, payload = header_of(once.to_bytes())
    assert len(header["nodes"]) == 3
    assert len(payload) == 16
    back = Encoding.from_bytes(once.to_bytes())
    assert back.terms[0] is back.terms[1] is back.terms[2].pieces[0]
    assert back.decode().tolist() == (3 * np.arange(8.0)).tolist()


def test_equal_content_gives_equal_bytes():
    def make():
        parts = dense([[3, -1]], "int4", "huffman"), dense([[0.5]], "float16")
        return ScaledEncoding(*parts, (1, 2)).to_bytes()

    assert make() == make()
    code = "from refq.encodings import *; import sys; sys.stdout.write(ScaledEncoding(dense("
    code += "[[3,-1]],'int4','huffman'),dense([[.5]],'float16'),(1,2)).to_bytes().hex())"
    env = {**os.environ, "PYTHONHASHSEED": "77", "NUMBA_DISABLE_JIT": "1"}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True)
    assert bytes.fromhex(run.stdout.decode()) == make()


def test_header_bytes_do_not_depend_on_the_number_of_elements():
    sizes = [len(json.dumps(header_of(dense(np.zeros(n), "int8").to_bytes())[0])) for n in (2, 9)]
    assert sizes[0] == sizes[1]


# Structured fuzz -------------------------------------------------------------------------

LEAF = ["Dense", {"coding": "raw", "format": "int8", "shape": [2]}, 2]
SUM = ["Summed", {}, {"terms.0": 0}]


def graph(*nodes, roots=None, **others):
    base = {"extra": {}, "kind": "encoding", "nodes": list(nodes)}
    return {**base, "roots": [len(nodes) - 1] if roots is None else roots, **others}


def leaf(tail=2, name="Dense", **config):
    return [name, {"coding": "raw", "format": "int8", "shape": [2], **config}, tail]


BAD = {
    "no object": (list(graph(LEAF).items()), b"ab"),
    "null": (None, b""),
    "a field is missing": ({k: v for k, v in graph(LEAF).items() if k != "extra"}, b"ab"),
    "an unknown field": (graph(LEAF, more=1), b"ab"),
    "nodes is an object": (graph(nodes={"0": LEAF}), b"ab"),
    "extra is a list": (graph(LEAF, extra=[]), b"ab"),
    "extra is not empty": (graph(LEAF, extra={"a": 1}), b"ab"),
    "extra has a kind": (graph(LEAF, extra={"kind": "model"}), b"ab"),
    "another kind": (graph(LEAF, kind="tensor"), b"ab"),
    "kind is a list": (graph(LEAF, kind=["encoding"]), b"ab"),
    "no root": (graph(LEAF, roots=[]), b"ab"),
    "two roots": (graph(LEAF, roots=[0, 0]), b"ab"),
    "a root past the end": (graph(LEAF, roots=[1]), b"ab"),
    "a negative root": (graph(LEAF, roots=[-1]), b"ab"),
    "a root that is true": (graph(LEAF, SUM, roots=[True]), b"ab"),
    "roots is a number": (graph(LEAF, roots=0), b"ab"),
    "a node that nobody reaches": (graph(LEAF, leaf(0, shape=[0]), roots=[0]), b"ab"),
    "no nodes": (graph(), b""),
    "a node is a pair": (graph(LEAF[:2]), b"ab"),
    "a node is a string": (graph("Den"), b"ab"),
    "an unknown type": (graph(leaf(name="Pickled")), b"ab"),
    "the base class": (graph(leaf(name="")), b"ab"),
    "a type that is a list": (graph([["Dense"], *LEAF[1:]]), b"ab"),
    "a type that is a number": (graph([3, *LEAF[1:]]), b"ab"),
    "no config": (graph(["Dense", None, 2]), b"ab"),
    "a config with more": (graph(leaf(more=1)), b"ab"),
    "a config with less": (graph(["Dense", {"format": "int8", "shape": [2]}, 2]), b"ab"),
    "an unknown format": (graph(leaf(format="int99")), b"ab"),
    "a format that is a list": (graph(leaf(format=["int8"])), b"ab"),
    "an unknown coding": (graph(leaf(coding="zip")), b"ab"),
    "a coding that is null": (graph(leaf(coding=None)), b"ab"),
    "a negative shape": (graph(leaf(shape=[-2])), b"ab"),
    "a negative shape twice": (graph(leaf(shape=[-1, -2])), b"ab"),
    "a shape that is a number": (graph(leaf(shape=2)), b"ab"),
    "a shape that is a string": (graph(leaf(shape="2")), b"ab"),
    "a shape of strings": (graph(leaf(shape=["2"])), b"ab"),
    "a shape of true": (graph(leaf(1, shape=[True])), b"a"),
    "a shape of lists": (graph(leaf(shape=[[2]])), b"ab"),
    "a leaf with parts": (graph(leaf({"a": 0})), b"ab"),
    "a leaf of true bytes": (graph(leaf(True, shape=[1])), b"a"),
    "a leaf of negative bytes": (graph(leaf(-2)), b""),
    "a leaf past the payload": (graph(leaf(3, shape=[3])), b"ab"),
    "leaves that overlap": (
        graph(LEAF, LEAF, ["Summed", {}, {"terms.0": 0, "terms.1": 1}]),
        b"abc",
    ),
    "a payload too short": (graph(LEAF), b"a"),
    "a payload too long": (graph(LEAF), b"abc"),
    "bytes that no leaf has": (graph(leaf(1, shape=[1])), b"ab"),
    "a leaf of too few bytes": (graph(leaf(1)), b"a"),
    "a leaf of too many bytes": (graph(leaf(3)), b"abc"),
    "padding that is not zero": (graph(leaf(1, format="int4", shape=[1])), b"\xf1"),
    "a level that does not exist": (graph(leaf(1, format="ternary", shape=[1])), b"\x03"),
    "a part of itself": (graph(LEAF, ["Summed", {}, {"terms.0": 1}]), b"ab"),
    "a later part": (graph(["Summed", {}, {"terms.0": 1}], LEAF, roots=[0]), b"ab"),
    "a negative part": (graph(LEAF, ["Summed", {}, {"terms.0": -1}]), b"ab"),
    "a part that is a string": (graph(LEAF, ["Summed", {}, {"terms.0": "0"}]), b"ab"),
    "a part that is false": (graph(LEAF, ["Summed", {}, {"terms.0": False}]), b"ab"),
    "no parts": (graph(["Summed", {}, {}]), b""),
    "parts are a list": (graph(LEAF, ["Summed", {}, [0]]), b"ab"),
    "a hole in the parts": (graph(LEAF, ["Summed", {}, {"terms.0": 0, "terms.2": 0}]), b"ab"),
    "parts from one": (graph(LEAF, ["Summed", {}, {"terms.1": 0}]), b"ab"),
    "a part's number has zeros": (graph(LEAF, ["Summed", {}, {"terms.00": 0}]), b"ab"),
    "a part's number is Arabic": (graph(LEAF, ["Summed", {}, {"terms.\u0660": 0}]), b"ab"),
    "a part's number is a fraction": (graph(LEAF, ["Summed", {}, {"terms.0.0": 0}]), b"ab"),
    "a part's number is empty": (graph(LEAF, ["Summed", {}, {"terms.": 0}]), b"ab"),
    "a part without number": (graph(LEAF, ["Summed", {}, {"terms": 0}]), b"ab"),
    "both spellings": (graph(LEAF, ["Summed", {}, {"terms": 0, "terms.0": 0}]), b"ab"),
    "an unknown part": (graph(LEAF, ["Summed", {}, {"terms.0": 0, "other": 0}]), b"ab"),
    "a part called self": (graph(LEAF, ["Summed", {}, {"self": 0}]), b"ab"),
    "a part in the config": (graph(LEAF, ["Summed", {"terms": [0]}, {"terms.0": 0}]), b"ab"),
    "an axis that is true": (
        graph(leaf(2, shape=[1, 2]), ["Concatenated", {"axis": True}, {"pieces.0": 0}]),
        b"ab",
    ),
    "an axis from the back": (
        graph(LEAF, ["Concatenated", {"axis": -1}, {"pieces.0": 0}]),
        b"ab",
    ),
    "an axis left out": (graph(LEAF, ["Concatenated", {}, {"pieces.0": 0}]), b"ab"),
    "an axis that is not there": (
        graph(LEAF, ["Concatenated", {"axis": 1}, {"pieces.0": 0}]),
        b"ab",
    ),
    "a block of zero": (
        graph(LEAF, ["Scaled", {"block_shape": [0]}, {"elements": 0, "scale": 0}]),
        b"ab",
    ),
    "a block of strings": (
        graph(LEAF, ["Scaled", {"block_shape": ["1"]}, {"elements": 0, "scale": 0}]),
        b"ab",
    ),
    "a scale that is missing": (
        graph(LEAF, ["Scaled", {"block_shape": [1]}, {"elements": 0}]),
        b"ab",
    ),
    "a zero point that is null": (
        graph(
            LEAF,
            ["Scaled", {"block_shape": [1], "zero_point": None}, {"elements": 0, "scale": 0}],
        ),
        b"ab",
    ),
    "a zero point that is a number": (
        graph(LEAF, ["Scaled", {"block_shape": [1], "zero_point": 3}, {"elements": 0, "scale": 0}]),
        b"ab",
    ),
    "subscripts that are a list": (
        graph(LEAF, ["Factored", {"array_shape": [2], "subscripts": ["i->i"]}, {"factors.0": 0}]),
        b"ab",
    ),
    "subscripts with an ellipsis": (
        graph(LEAF, ["Factored", {"array_shape": [2], "subscripts": "...->..."}, {"factors.0": 0}]),
        b"ab",
    ),
    "a mask of other axes": (
        graph(LEAF, ["Masked", {"array_shape": [2, 1]}, {"mask": 0, "values": 0}]),
        b"\1\1",
    ),
    "codes of one axis": (
        graph(LEAF, ["Codebook", {"array_shape": [2]}, {"codes": 0, "codebook": 0}]),
        b"ab",
    ),
    "an unknown rule": (
        graph(["Generated", {"generated_shape": [2], "rule": "pi", "seed": 0}, 0]),
        b"",
    ),
    "a rule that is a list": (
        graph(["Generated", {"generated_shape": [2], "rule": ["ones"], "seed": 0}, 0]),
        b"",
    ),
    "a rule with bytes": (
        graph(["Generated", {"generated_shape": [2], "rule": "ones", "seed": 0}, 2]),
        b"ab",
    ),
    "a seed of 65 bits": (
        graph(["Generated", {"generated_shape": [2], "rule": "ones", "seed": 1 << 64}, 0]),
        b"",
    ),
    "a square permutation": (
        graph(["Generated", {"generated_shape": [2, 2], "rule": "permutation", "seed": 0}, 0]),
        b"",
    ),
    "a Hadamard matrix of three": (
        graph(["Generated", {"generated_shape": [3, 3], "rule": "hadamard", "seed": 0}, 0]),
        b"",
    ),
}
TEXTS = {
    "a float": '{"extra":{},"kind":"encoding","nodes":[],"roots":[0.0]}',
    "a float with exponent": '{"extra":{},"kind":"encoding","nodes":[],"roots":[1e3]}',
    "not a number": '{"extra":{},"kind":"encoding","nodes":[],"roots":[NaN]}',
    "infinity": '{"extra":{},"kind":"encoding","nodes":[],"roots":[-Infinity]}',
    "a key twice": '{"extra":{},"kind":"model","kind":"encoding","nodes":[],"roots":[]}',
    "a key twice inside": '{"extra":{"a":1,"a":1},"kind":"model","nodes":[],"roots":[]}',
    "nothing": "",
    "no JSON": "{'extra':{}}",
    "two values": "{}{}",
    "UTF-16": json.dumps(graph(LEAF)).encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + json.dumps(graph(LEAF)).encode(),
    "no UTF-8": b'{"extra":"\xff"}',
    "a lone surrogate": json.dumps(graph(["\ud800", {}, 0])),
    "an integer of 10,000 digits": '{"extra":{},"kind":"encoding","nodes":[],"roots":['
    + "9" * 10_000
    + "]}",
    "a hundred thousand lists": "[" * 100_000 + "]" * 100_000,
    "a hundred thousand objects": '{"a":' * 100_000 + "1" + "}" * 100_000,
}


@pytest.mark.parametrize("name", BAD)
def test_a_header_that_lies(name):
    buffer = framed(*BAD[name])
    for reader in (Encoding.from_bytes, load):
        with pytest.raises(REFUSED):
            reader(buffer)


@pytest.mark.parametrize("name", TEXTS)
def test_a_header_that_is_no_json_of_names_and_integers(name):
    for reader in (Encoding.from_bytes, load):
        with pytest.raises(REFUSED):
            reader(framed(TEXTS[name], b"ab"))


def test_the_frame_of_the_fuzz_is_right():
    assert Encoding.from_bytes(framed(graph(LEAF), b"ab")).decode().tolist() == [97, 98]


def test_a_frame_that_lies():
    good = framed(graph(LEAF), b"ab")
    with pytest.raises(FormatError, match=r"version 2 of \.refq is unknown"):
        load(framed(graph(LEAF), b"ab", version=2))
    with pytest.raises(FormatError, match="must begin with b'REFQ'"):
        load(b"PK\x03\x04" + good[4:])
    with pytest.raises(FormatError, match="does not inflate"):
        load(framed("", b"", deflated=b"no zlib stream"))
    body = zlib.compress(json.dumps(graph(LEAF)).encode())
    for wrong in (body[:-1], body + b"\0", body[:-5]):
        with pytest.raises(FormatError, match=r"inflate|wrong length"):
            load(framed("", b"ab", deflated=wrong))
    with pytest.raises(DTypeError, match="buffer is a str; bytes are needed"):
        Encoding.from_bytes("REFQ")
    for kind in (bytes, bytearray, memoryview):
        assert Encoding.from_bytes(kind(good)).shape == (2,)
    assert Encoding.from_bytes(memoryview(good * 2)[: len(good)]).shape == (2,)


def test_another_class_is_refused():
    with pytest.raises(FormatError, match="hold a DenseEncoding, not a ScaledEncoding"):
        ScaledEncoding.from_bytes(dense([1.0], "float32").to_bytes())
    assert isinstance(DenseEncoding.from_bytes(dense([1.0]).to_bytes()), DenseEncoding)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["terms.0", "scale", "shape", "a"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.data())
def test_a_golden_header_with_one_value_replaced(data):
    """Replace one value anywhere in a true header: an equal object or a RefqError, nothing else."""
    path = data.draw(st.sampled_from(GOLDEN))
    header, payload = header_of(path.read_bytes())
    holder, key = {"top": header}, "top"
    while isinstance(holder[key], (dict, list)) and holder[key]:
        inner = holder[key]
        keys = sorted(inner) if isinstance(inner, dict) else range(len(inner))
        holder, key = inner, data.draw(st.sampled_from(list(keys)))
        if data.draw(st.integers(0, 3)) == 0:
            break
    simple = [0, 1, -1, True, None, "", [], {}, 2**40, "input", [0], {"a": 0}, "int8", "Summed"]
    holder[key] = data.draw(st.sampled_from(simple) | JSON)
    try:
        obj = load(framed(header, payload))
        if isinstance(obj, Encoding) and obj.size < 1 << 20:
            obj.decode()
    except RefqError:
        pass


# Limits ----------------------------------------------------------------------------------

HUGE = {
    "a shape": graph(leaf(shape=[1 << 20, 1 << 20])),
    "a shape beyond 64 bits": graph(leaf(shape=[1 << 70])),
    "an empty shape beyond": graph(leaf(0, shape=[0, 1 << 40])),
    "many axes": graph(leaf(shape=[1] * 33)),
    "a leaf": graph(leaf(shape=[(1 << 28) + 1])),
    "a constant under Huffman": graph(leaf(coding="huffman", shape=[1 << 27])),
    "a mask of gaps": graph(leaf(coding="gaps", format="uint1", shape=[1 << 27])),
    "a generated leaf": graph(
        ["Generated", {"generated_shape": [1 << 29], "rule": "ones", "seed": 0}, 0]
    ),
    "a masked array": graph(LEAF, ["Masked", {"array_shape": [1 << 35]}, {"mask": 0, "values": 0}]),
}


@pytest.mark.parametrize("name", HUGE)
def test_a_huge_claim_is_refused_before_anything_is_allocated(name):
    import tracemalloc

    payload = b"" if "generated" in name or "empty" in name else b"\x20\x00"
    buffer = framed(HUGE[name], payload)
    tracemalloc.start()
    try:
        with pytest.raises(LimitError):
            Encoding.from_bytes(buffer)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_an_inflate_bomb_stops_at_the_limit():
    import tracemalloc

    bomb = zlib.compress(b" " * (64 << 20), 9)
    assert len(bomb) < 1 << 17
    tracemalloc.start()
    try:
        with pytest.raises(LimitError, match="inflates past 16777216 bytes"):
            load(framed("", b"", deflated=bomb))
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
    finally:
        tracemalloc.stop()


def test_leaves_together_may_not_claim_more_than_the_payload_can_hold(monkeypatch):
    monkeypatch.setattr(container, "MAX_FREE_ELEMENTS", 100)
    monkeypatch.setattr(container, "MAX_ELEMENTS_PER_BYTE", 10)
    ones = dense(np.ones(60, np.uint8), "uint8", "huffman")  # 12 bits
    twice = SummedEncoding((ones, dense(np.ones(60, np.uint8), "uint8", "huffman")))
    check_claim(100 + 40, 4)
    assert Encoding.from_bytes(twice.to_bytes()).decode().tolist() == [2.0] * 60
    thrice = SummedEncoding((*twice.terms, dense(np.ones(60, np.uint8), "uint8", "huffman")))
    with pytest.raises(LimitError, match="180 elements in 6 bytes; at most 160"):
        thrice.to_bytes()
    monkeypatch.setattr(container, "MAX_FREE_ELEMENTS", 1000)
    buffer = thrice.to_bytes()
    monkeypatch.setattr(container, "MAX_FREE_ELEMENTS", 100)
    with pytest.raises(LimitError, match="at most 160"):
        Encoding.from_bytes(buffer)


def test_what_cannot_be_read_is_not_written(monkeypatch):
    e = SummedEncoding((dense([1.0]), dense([2.0])))
    buffer = e.to_bytes()
    monkeypatch.setattr(container, "MAX_NODES", 2)
    with pytest.raises(LimitError, match="more than 2 nodes"):
        e.to_bytes()
    with pytest.raises(LimitError, match="3 nodes; at most 2"):
        Encoding.from_bytes(buffer)
    monkeypatch.undo()
    monkeypatch.setattr(container, "MAX_HEADER_BYTES", 50)
    with pytest.raises(LimitError, match=r"the header has .* bytes; at most 50"):
        e.to_bytes()
    with pytest.raises(LimitError, match="inflates past 50"):
        Encoding.from_bytes(buffer)


def test_a_leaf_too_large_for_a_file_is_not_written(monkeypatch):
    monkeypatch.setattr(dense_leaf, "MAX_LEAF_ELEMENTS", 3)
    assert len(dense([1, 2, 3], "int8").to_bytes()) > 0
    with pytest.raises(LimitError, match="a leaf of 4 elements; a file holds at most 3"):
        dense([1, 2, 3, 4], "int8").to_bytes()


def test_more_nodes_than_the_limit():
    count = container.MAX_NODES + 1
    with pytest.raises(LimitError, match=f"{count} nodes; at most {count - 1}"):
        Encoding.from_bytes(framed(graph(*[LEAF] * count), b"ab"))


def nested(depth):
    e = dense([1.0], "float32")
    for _ in range(depth - 1):
        e = SummedEncoding((e, e))
    return e


def test_depth_is_limited_when_writing_and_when_reading(monkeypatch):
    deep = nested(container.MAX_DEPTH)
    assert len(Encoding.from_bytes(deep.to_bytes()).nodes()) == container.MAX_DEPTH
    with pytest.raises(LimitError, match="deeper than 256 nodes"):
        nested(container.MAX_DEPTH + 1).to_bytes()
    buffer = nested(container.MAX_DEPTH).to_bytes()
    monkeypatch.setattr(container, "MAX_DEPTH", 255)
    with pytest.raises(LimitError, match="deeper than 255 nodes"):
        Encoding.from_bytes(buffer)


def test_a_small_file_whose_nodes_double_is_refused_in_time():
    nodes = [leaf(2, format="int8", shape=[2])]
    nodes += [["Concatenated", {"axis": 0}, {"pieces.0": i, "pieces.1": i}] for i in range(40)]
    began = time.perf_counter()
    with pytest.raises(LimitError, match=r"claims .* elements"):
        Encoding.from_bytes(framed(graph(*nodes), b"ab"))
    assert time.perf_counter() - began < 5


# Files -----------------------------------------------------------------------------------


class Failing:
    """A file whose k-th operation fails like a full disk."""

    def __init__(self, file, step):
        self.file, self.step = file, step

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def write(self, data):
        half = len(data) // 2
        self.file.write(data[:half])
        self.step()
        self.file.write(data[half:])

    def flush(self):
        self.step()
        self.file.flush()

    def fileno(self):
        return self.file.fileno()


@pytest.mark.parametrize("old", [b"old and whole", None])
@pytest.mark.parametrize("error", [OSError(28, "no space left"), KeyboardInterrupt()])
def test_a_failure_at_every_step_leaves_the_old_file_whole(tmp_path, monkeypatch, old, error):
    target = tmp_path / "model.refq"
    steps = []
    for fail_at in range(10):
        if old is not None:
            target.write_bytes(old)
        steps.clear()

        def step(fail_at=fail_at):
            steps.append(1)
            if len(steps) - 1 == fail_at:
                raise error

        real = {"open": Path.open, "fsync": os.fsync, "replace": os.replace}

        def opened(self, *args, real=real["open"], step=step):
            step()
            return Failing(real(self, *args), step)

        def before(function, step=step):
            return lambda *args: (step(), function(*args))[1]

        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", opened)
            patch.setattr(os, "fsync", before(real["fsync"]))
            patch.setattr(os, "replace", before(real["replace"]))
            try:
                write_atomically(target, b"new" * 100)
            except type(error):
                failed = True
            else:
                failed = False
        there = sorted(p.name for p in tmp_path.iterdir())
        if not failed:
            break
        assert there == ([] if old is None else ["model.refq"]), fail_at
        assert old is None or target.read_bytes() == old
    assert len(steps) == 5  # open, write, flush, fsync, replace
    assert fail_at == 5
    assert target.read_bytes() == b"new" * 100


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
def test_a_disk_that_really_fills_up(tmp_path):
    target = tmp_path / "model.refq"
    target.write_bytes(b"old")
    code = f"""
        import resource, sys
        from refq.encodings.container import write_atomically
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            write_atomically({str(target)!r}, bytes(5000))
        except OSError as error:
            sys.exit(7)
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert run.returncode == 7
    assert [p.name for p in tmp_path.iterdir()] == ["model.refq"]
    assert target.read_bytes() == b"old"


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_process_killed_at_any_time_leaves_a_whole_file(tmp_path):
    target = tmp_path / "model.refq"
    code = f"""
        import numpy as np
        from refq.encodings import dense
        from refq.encodings.container import write_atomically
        files = [dense(np.full(300_000, k, np.int32), "int32").to_bytes() for k in (1, 2)]
        print("ready", flush=True)
        while True:
            for data in files:
                write_atomically({str(target)!r}, data)
    """
    rng = np.random.default_rng()
    seen = set()
    for _ in range(3):
        child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=-1)
        child.stdout.readline()
        time.sleep(float(rng.uniform(0.01, 0.1)))
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        if target.exists():
            values = Encoding.from_bytes(read_file(target)).decode()
            assert values.size == 300_000
            assert values.min() == values.max()
            seen.add(int(values[0]))
    assert seen <= {1, 2}
    assert seen, "the child never finished a file: the test showed nothing"


def test_a_path_that_cannot_be_written(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    for target in (folder, tmp_path / "missing" / "a.refq", tmp_path / ("n" * 300), tmp_path / ""):
        with pytest.raises(OSError):  # noqa: PT011  which one is the system's business
            write_atomically(target, b"data")
    assert [p.name for p in tmp_path.rglob("*")] == ["folder"]


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="root may write everywhere"
)
def test_a_folder_without_permission(tmp_path):
    target = tmp_path / "a.refq"
    target.write_bytes(b"old")
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError):
            write_atomically(target, b"new")
    finally:
        tmp_path.chmod(0o700)
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.refq"]


def test_a_long_name_and_an_empty_path(tmp_path, monkeypatch):
    name = "n" * 250 + ".refq"
    write_atomically(tmp_path / name, b"data")
    assert [p.name for p in tmp_path.iterdir()] == [name]
    monkeypatch.chdir(tmp_path)
    for path in ("", "."):
        with pytest.raises(OSError):  # noqa: PT011
            write_atomically(path, b"data")
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_read_file(tmp_path, monkeypatch):
    path = tmp_path / "a.refq"
    path.write_bytes(b"12345")
    assert read_file(str(path)) == b"12345"
    for missing in (tmp_path, tmp_path / "b.refq", "a\0b"):
        with pytest.raises(FormatError, match="is no file"):
            read_file(missing)
    monkeypatch.setattr(container, "MAX_FILE_BYTES", 4)
    with pytest.raises(LimitError, match="has 5 bytes; at most 4"):
        read_file(path)


# What the nouns refuse on decoding -------------------------------------------------------


def test_codes_and_masks_that_lie_are_found_on_decoding():
    book = CodebookEncoding(dense([[0], [3]], "uint2"), dense([[[1.0], [2.0]]]), (2,))
    mask = MaskedEncoding(dense([1, 1], "uint1"), dense([1.0]), (2,))
    for e, message in ((book, "the book has 2 codewords"), (mask, "keeps 2 entries; 1 are stored")):
        back = Encoding.from_bytes(e.to_bytes())
        with pytest.raises(FormatError, match=message):
            back.decode()


def test_a_generated_leaf_has_no_payload():
    header, payload = header_of(GeneratedEncoding("signs", (5,), 2**64 - 1).to_bytes())
    assert payload == b""
    assert header["nodes"][0][1]["seed"] == 2**64 - 1
