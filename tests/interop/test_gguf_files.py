"""GGUF files without gguf-py: what is read lazily, what is refused, and how a missing peer is told.

What needs gguf-py itself stands in tests/against/test_ggml.py.
"""

import importlib

import numpy as np
import pytest

from refq.core.errors import FormatError, RefqError
from refq.encodings import ScaledEncoding, dense
from refq.interop import gguf
from refq.interop.gguf_files import _narrowest, _type_of


def test_tensors_are_read_when_they_are_asked_for():
    block = gguf.quantize(np.arange(32.0), "Q8_0")
    raw = np.frombuffer(block, np.uint8)
    half = np.array([[1.5, -2.0]], "<f2").view(np.uint8).reshape(-1)
    f = gguf.GGUFFile(
        {"../up": ("Q8_0", (1, 32), raw), "b": ("F16", (1, 2), half), "c": ("IQ2_XXS", (8,), raw)},
        {"general.name": "x"},
    )
    assert list(f) == ["../up", "b", "c"]
    assert (len(f), f.types["b"], f.shapes["../up"]) == (3, "F16", (1, 32))
    assert isinstance(f["../up"], ScaledEncoding)
    assert f["b"].decode().tolist() == [[1.5, -2.0]]
    with pytest.raises(FormatError, match=r"'c' has type IQ2_XXS; refq reads F32"):
        _ = f["c"]
    assert repr(f) == "GGUFFile(3 tensors, 1 keys)"


@pytest.mark.parametrize("call", [lambda p: gguf.load(p), lambda p: gguf.save(p, {})])
def test_a_missing_peer_says_how_to_get_it(call, monkeypatch, tmp_path):
    real = importlib.import_module

    def without(name, *rest):
        if name == "gguf":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(RefqError, match=r"pip install 'refq\[peers\]'"):
        call(tmp_path / "a.gguf")
    assert not list(tmp_path.iterdir())


def test_an_encoding_knows_its_type_unless_two_fit():
    x = np.random.default_rng(0).standard_normal((2, 256), dtype=np.float32)
    for type in gguf.TYPES:
        encoding = gguf.read(gguf.quantize(x, type), type, x.shape)
        if type.startswith("TQ"):
            with pytest.raises(FormatError, match="several: TQ1_0, TQ2_0; give"):
                _type_of("w", encoding)
        else:
            assert _type_of("w", encoding) == type
    assert _type_of("w", dense([1.0], "bfloat16")) == "BF16"
    with pytest.raises(FormatError, match="of none of GGUF's types"):
        _type_of("w", dense([1], "uint4"))


@pytest.mark.parametrize(
    ("numbers", "dtype"),
    [
        ([0, 2**32 - 1], "uint32"),
        ([-1, 5], "int32"),
        ([2**40], "int64"),
        ([-(2**40)], "int64"),
        ([0.5], "float32"),
        ([0.1], "float64"),
        ([True], "bool"),
    ],
)
def test_plain_numbers_take_the_first_type_that_holds_them(numbers, dtype):
    assert _narrowest(np.array(numbers)).dtype == dtype
