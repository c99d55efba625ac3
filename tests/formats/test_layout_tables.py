"""Tables of layouts: every code keeps its place, the nearest number decided exactly, refusals."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from refq import codings, formats
from refq.core.errors import DTypeError, FormatError, RangeError
from refq.encodings import DenseEncoding, Encoding
from refq.formats import LAYOUT_TABLES, LevelTable

TABLES = list(LAYOUT_TABLES.values())


@pytest.mark.parametrize("form", TABLES, ids=lambda f: f.name)
def test_get_knows_it_and_its_codes_survive_a_file(form):
    assert formats.get(form.name) is form
    assert form.name not in formats.FORMATS
    codes = np.arange(1 << form.bits, dtype=form.dtype)
    np.testing.assert_array_equal(form.decode(codes), np.array(form.levels, np.float32))
    for coding in ("raw", "huffman"):
        leaf = DenseEncoding(codes, form.name, coding)
        back = Encoding.from_bytes(leaf.to_bytes())
        assert isinstance(back, DenseEncoding)
        np.testing.assert_array_equal(back.codes, codes)
        assert leaf.stored_bits == codings.get(coding).nbits(codes, form.bits)


@pytest.mark.parametrize("form", TABLES, ids=lambda f: f.name)
def test_the_nearest_number_by_brute_force(form):
    levels = [Fraction(v) for v in form.levels]
    ascending = sorted(set(form.levels))
    middles = [(a + b) / 2 for a, b in pairwise(ascending)]
    picks = [*ascending, *middles][:: 7 if form.bits == 8 else 1]
    x = np.array([y for p in picks for y in (p, np.nextafter(p, 9e9), np.nextafter(p, -9e9))])
    got = form.encode(np.concatenate([x, [1e300, -1e300]]))
    for value, code in zip(x.tolist(), got.tolist()[:-2], strict=True):
        exact = Fraction(value)
        # the nearest; of two as near the lower number; of its codes the first
        want = min(range(len(levels)), key=lambda c: (abs(levels[c] - exact), levels[c], c))
        assert code == want, value
    assert form.decode(got[-2:]).tolist() == [max(form.levels), min(form.levels)]


def test_tables_by_hand():
    assert formats.get("ggml_mxfp4").encode([-0.4, -0.6, 12, 7]).tolist() == [0, 9, 7, 5]
    assert formats.get("ggml_e8m0_half").levels[255] == 2.0**127
    assert formats.get("ggml_iq4_nl").levels[8] == 1
    dynamic = formats.get("bnb_dynamic8").levels
    assert len(set(dynamic)) == 256
    assert dynamic[255] - dynamic[254] == float(np.float32(1) - np.float32(0.99296874))
    # symmetric but for 1
    assert sorted(-v for v in dynamic if v != 1) == [v for v in dynamic if v != 1]


def test_refusals():
    form = formats.get("ggml_mxfp4")
    with pytest.raises(RangeError, match=r"x\[1\] = nan must not be nan"):
        form.encode([0.0, np.nan])
    with pytest.raises(RangeError, match=r"x\[0\] = 13.0 is outside ggml_mxfp4's \[-12.0, 12.0\]"):
        form.encode([13.0], overflow="error")
    with pytest.raises(FormatError, match=r"codes\[0\] = 16; ggml_mxfp4 has 16 codes"):
        form.decode(np.array([16]))
    with pytest.raises(DTypeError, match="integers are needed"):
        form.decode(np.array([0.0]))
    for levels, message in (((1.0,), "has 1 values"), ((1.0, 1.0), "two different values")):
        with pytest.raises(RangeError, match=message):
            LevelTable(levels)


def test_of_equal_levels_the_lowest_code_is_used():
    table = LevelTable((1.0, 0.0, 1.0, 0.0))
    assert table.encode([0.9, 0.1]).tolist() == [0, 1]
    assert table.canonical(np.arange(4, dtype=np.uint8)).tolist() == [0, 1, 0, 1]
    assert table.reach(np.arange(4)).tolist() == [0.5] * 4
