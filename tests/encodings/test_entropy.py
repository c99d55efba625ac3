"""Entropy coding as a map over leaves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq import codings
from refq.conformance.drawn_encodings import encodings
from refq.core.errors import RangeError
from refq.encodings import DenseEncoding, GeneratedEncoding, SummedEncoding, dense, entropy_code


@given(encodings(), st.sampled_from(sorted(codings.CODINGS)))
def test_never_larger_and_the_same_bits(e, coding):
    small = entropy_code(e, coding)
    assert small.stored_bits <= e.stored_bits
    assert small.decode().tobytes() == e.decode().tobytes()
    assert len(small.nodes()) == len(e.nodes())
    again = entropy_code(small, coding)
    assert again.stored_bits == small.stored_bits


def test_skewed_codes_become_huffman_and_uniform_ones_stay_raw():
    skewed = dense(np.repeat([0, 1, 2, 3], [90, 4, 4, 2]), "uint4")
    assert entropy_code(skewed).coding == "huffman"
    assert entropy_code(skewed).stored_bits < 200
    uniform = dense(np.arange(16), "uint4")
    assert entropy_code(uniform) is uniform


def test_sparse_masks_become_gaps():
    mask = np.zeros(4000, np.uint8)
    mask[::400] = 1
    for coding in ("huffman", "gaps"):
        assert entropy_code(dense(mask, "uint1"), coding).coding == "gaps"
    codes = dense(np.zeros(100), "int8")
    assert entropy_code(codes, "gaps") is codes


def test_wide_codes_generated_leaves_and_empty_ones_are_left():
    for leaf in (
        dense(np.zeros(99), "float32"),
        GeneratedEncoding("ones", (9,)),
        dense([], "int8"),
    ):
        assert entropy_code(leaf) is leaf
    half = entropy_code(dense(np.zeros(99), "float16"))
    assert isinstance(half, DenseEncoding)
    assert half.coding == "huffman"


def test_sharing_survives():
    leaf = dense(np.zeros(99), "int8")
    both = entropy_code(SummedEncoding((leaf, leaf)))
    assert both.terms[0] is both.terms[1]


@pytest.mark.parametrize("coding", ["zip", None, 3])
def test_an_unknown_coding(coding):
    with pytest.raises(
        RangeError, match=r"coding = .* must be one of 'raw', 'huffman', 'rans', 'gaps'"
    ):
        entropy_code(dense([1], "int8"), coding)
