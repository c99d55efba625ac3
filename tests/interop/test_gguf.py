"""The door to GGUF is the layout itself, reached by the names that a user looks for."""

import numpy as np
import pytest

import refq
from refq.layouts import gguf


def test_the_functions_are_the_layouts():
    files = {"GGUFFile", "load", "save"}
    assert set(refq.interop.gguf.__all__) == set(gguf.__all__) | files
    for name in gguf.__all__:
        assert getattr(refq.interop.gguf, name) is getattr(gguf, name)


def test_bytes_of_one_block():
    x = np.zeros(256, np.float32)
    x[0] = 15.0
    blocks = refq.interop.gguf.quantize(x, "Q4_K")
    assert len(blocks) == 144
    assert refq.interop.gguf.dequantize(blocks, "Q4_K")[0] == pytest.approx(15.0, rel=0.01)


def test_unknown_doors():
    assert "gguf" in dir(refq.interop)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = refq.interop.nonsense
