"""ggml's Q8_0 codes are refq's under the preset ggml: gguf-py's, and the golden vectors'."""

import importlib.metadata
import json
from pathlib import Path

import numpy as np
import pytest

from refq.conformance.strategies.tie_draws import near_tie_grid
from refq.core import semantics
from refq.ops import quantize_linear

GGML = semantics.get("ggml", "0.25")
GOLDEN = Path(__file__).parent.parent / "fixtures" / "gguf"


def codes_of(blocks):
    """Return the codes of Q8_0 blocks: 32 bytes after a float16 scale."""
    return np.ascontiguousarray(blocks.reshape(-1, 34)[:, 2:]).view(np.int8)


def codes_by_rule(x):
    """Return the codes of rows of 32; the scale is the one before its rounding to float16."""
    scale = np.abs(x).max(axis=1) / np.float32(127)
    codes, live = np.zeros(x.shape, np.int8), scale > 0
    codes[live] = quantize_linear(x[live], scale[live], format="int8", axis=0, semantics=GGML)
    return codes


def near_tie_rows():
    """Return rows of one whole number 127 and 31 near ties of their scale."""
    rows = []
    for scale in np.float32([1, 0.5, 1 / 3, 0.1, 0.9, 0.007, 3.0, 1e-3, 77.7]):
        x = near_tie_grid(scale, -126, 126, ulps=range(-8, 9))
        x = x[: x.size // 31 * 31].reshape(-1, 31)
        largest = np.full((len(x), 1), np.float32(127) * scale)
        if largest[0, 0] / np.float32(127) == scale:
            rows.append(np.concatenate([x, largest], axis=1))
    return np.concatenate(rows)


@pytest.mark.peers("gguf")
def test_gguf_py_agrees(peer):
    assert importlib.metadata.version("gguf") == "0.19.0"
    x = near_tie_rows()
    assert x.size >= 50_000
    theirs = codes_of(peer("gguf_q8_0", x=x)["blocks"])
    np.testing.assert_array_equal(codes_by_rule(x), theirs)


def test_golden_vectors_agree():
    """What quantize_row_q8_0_ref wrote; a block whose reciprocal overflows is undefined in C."""
    note = json.loads((GOLDEN / "ggml.json").read_text(encoding="utf-8"))
    assert note["ggml"].startswith("0.25.")
    with np.load(GOLDEN / "ggml.npz") as vectors:
        x, theirs = vectors["x"].reshape(-1, 32), codes_of(vectors["Q8_0.bytes"])
    defined = (np.abs(x).max(axis=1) == 0) | (np.abs(x).max(axis=1) / np.float32(127) > 2.0**-126)
    assert defined.sum() > 400
    np.testing.assert_array_equal(codes_by_rule(x)[defined], theirs[defined])
