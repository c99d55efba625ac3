"""LevelQuantizer: the nearest level by brute force, the bound, zero, refusals."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refq import formats
from refq.conformance.judging import judge_method
from refq.core.errors import RangeError, ShapeError
from refq.core.granularity import PerAxis, PerGroup, PerTensor
from refq.encodings import Cast, ScaledEncoding
from refq.scalar import LevelQuantizer

NF4 = [Fraction(float(v)) for v in formats.get("nf4").values]
TERNARY = [Fraction(-1), Fraction(0), Fraction(1)]


def nearest_code(t: Fraction, levels: list[Fraction]) -> int:
    """The first of the nearest levels, by trying all."""
    return min(range(len(levels)), key=lambda i: (abs(t - levels[i]), i))


def test_worked_example():
    """Ternary by hand: absmax 2, so 1 is the tie between 0 and 1 and goes to the lower code."""
    x = np.array([2.0, 1.0, 1.25, -1.0, -0.75, 0.0], np.float32)
    e = LevelQuantizer("ternary", PerTensor()).fit_encode(x)
    assert e.elements.codes.tolist() == [2, 1, 2, 0, 1, 1]  # the tie -1 too goes to the lower code
    assert e.decode().tolist() == [2, 0, 2, -2, 0, 0]
    assert e.stored_bits == 6 * 2 + 16


def test_nf4_size_and_unit_block():
    """The sixteen levels themselves come back, under an absmax of one."""
    levels = formats.get("nf4").values
    e = LevelQuantizer("nf4", PerTensor()).fit_encode(levels)
    assert e.elements.codes.tolist() == list(range(16))
    assert np.array_equal(e.decode(), levels)
    W = np.random.default_rng(0).standard_normal((256, 512), dtype=np.float32)
    assert LevelQuantizer().fit_encode(W).bits_per_weight == 4.25


@given(
    table=st.sampled_from(["nf4", "ternary", "pot4", "apot5"]),
    code=st.integers(0, 14),
    where=st.sampled_from(["level", "midpoint"]),
    ulps=st.integers(-2, 2),
    scale=st.sampled_from([1.0, 0.5, 2.0, 1 / 3, 0.1, 0.9]),
    store=st.sampled_from(["float16", "float32"]),
)
@example("nf4", 7, "midpoint", 0, 1.0, "float32")
@example("ternary", 0, "midpoint", 1, 0.1, "float16")
def test_nearest_level_on_near_ties(table, code, where, ulps, scale, store):
    own = {"nf4": NF4, "ternary": TERNARY}
    levels = own.get(table) or [Fraction(v) for v in formats.get(table).levels]
    code = code % (len(levels) - 1)
    q = LevelQuantizer(table, PerTensor(), Cast(store)).fit(np.array([scale, 0], np.float32))
    s = q.scale_[0]
    at = levels[code] if where == "level" else (levels[code] + levels[code + 1]) / 2
    x = np.float32(float(at) * float(s))
    for _ in range(abs(ulps)):
        x = np.nextafter(x, np.float32(np.copysign(np.inf, ulps)))
    W = np.array([x, 0], np.float32)
    e = q.encode(W)
    quotient = Fraction(float(x / s))  # float32 division: correctly rounded by IEEE 754
    want = nearest_code(quotient, levels)
    zero = levels.index(Fraction(0))
    assert e.elements.codes.tolist() == [want, zero]
    back = e.decode()
    assert back[1] == 0
    assert (
        abs(Fraction(float(back[0])) - Fraction(float(s)) * levels[want])
        <= Fraction(float(np.spacing(np.abs(back[0])))) / 2
    )
    error = abs(Fraction(float(x)) - Fraction(float(back[0])))
    assert error <= Fraction(float(q.error_bound(W, e)[0]))
    assert q.encode(back).elements.codes.tolist() == e.elements.codes.tolist()


def test_half_a_gap_is_no_bound_in_float32():
    """Every midpoint, three scales, two ulps around: the float terms of the bound are needed."""
    broken = 0
    gaps = [b - a for a, b in pairwise(NF4)]
    for scale in (1 / 3, 0.1, 0.9):
        q = LevelQuantizer("nf4", PerTensor(), Cast("float32"))
        q.fit(np.array([scale] * 75, np.float32))
        s = q.scale_[0]
        middle = np.repeat([float(a + b) / 2 for a, b in pairwise(NF4)], 5)
        x = (middle * float(s)).astype(np.float32)
        x = (x + np.tile(np.arange(-2, 3), 15).astype(np.float32) * np.spacing(x)).astype(
            np.float32
        )
        e = q.encode(x)
        for a, b, bound, code in zip(
            x, e.decode(), q.error_bound(x, e), e.elements.codes.tolist(), strict=True
        ):
            error = abs(Fraction(float(a)) - Fraction(float(b)))
            assert error <= Fraction(float(bound))
            beside = max(gaps[max(code - 1, 0) : code + 1])
            broken += error > Fraction(float(s)) * beside / 2
    assert broken >= 3


@given(st.floats(-8, 8, width=32), st.sampled_from(["nf4", "ternary"]))
def test_bound_is_tight_outside(x, table):
    q = LevelQuantizer(table, PerTensor()).fit(np.array([1, 0], np.float32))
    W = np.array([x, 0], np.float32)
    e = q.encode(W)
    error = abs(Fraction(float(W[0])) - Fraction(float(e.decode()[0])))
    bound = Fraction(float(q.error_bound(W, e)[0]))
    assert error <= bound
    if abs(x) > 1:
        assert bound - error <= Fraction(1, 2**20)
    else:
        widest = max(b - a for a, b in pairwise(NF4))
        assert bound <= (widest if table == "nf4" else 1) / Fraction(2) + Fraction(1, 2**20)


def test_random_blocks_bound_and_memory():
    rng = np.random.default_rng(4)
    for granularity in (PerGroup(5), PerGroup(64), PerAxis(0), PerTensor()):
        W = rng.standard_normal((7, 33)).astype(np.float32)
        W[2] = 0
        q = LevelQuantizer("nf4", granularity)
        e = q.fit_encode(W)
        assert np.all(e.decode()[2] == 0)
        assert np.all(np.abs(W.astype(float) - e.decode()) <= q.error_bound(W, e))
        assert q.encode(e.decode()).to_bytes() == e.to_bytes()


def test_all_zero_block_has_scale_one():
    q = LevelQuantizer("nf4", PerAxis(0)).fit([[0.0, 0.0], [2.0, 1.0]])
    assert q.scale_.tolist() == [[1.0], [2.0]]


def test_constants_come_back_exactly_where_the_scale_does():
    for c in (0.75, 3.0, 1000.0):
        q = LevelQuantizer("nf4", PerTensor())
        assert np.all(q.fit_encode(np.full(9, c)).decode() == c)
        assert np.all(q.fit_encode(np.full(9, -c)).decode() == -c)


def test_layouts_give_the_same_bits():
    W = np.random.default_rng(1).standard_normal((6, 10)).astype(np.float32)
    want = LevelQuantizer("nf4", PerGroup(4)).fit_encode(W).to_bytes()
    for view in (W.astype(">f4"), np.asfortranarray(W), W[::-1, ::-1].copy()[::-1, ::-1]):
        assert LevelQuantizer("nf4", PerGroup(4)).fit_encode(view).to_bytes() == want


def test_refusals():
    with pytest.raises(RangeError, match=r"'binary' has no zero.*mean of \|x\|"):
        LevelQuantizer("binary").fit([1.0])
    with pytest.raises(RangeError, match=r"'bnb_dynamic8', 'bnb_fp4', 'nf4', .*'ternary'"):
        LevelQuantizer("int4").fit([1.0])
    with pytest.raises(ShapeError, match="empty"):
        LevelQuantizer("nf4").fit(np.zeros((2, 0)))
    with pytest.raises(ShapeError, match="was fitted to"):
        LevelQuantizer("nf4").fit([1.0]).encode([1.0, 2.0])
    with pytest.raises(RangeError, match=r"stored scale\[0\] = 0.0"):
        LevelQuantizer("nf4").fit([1e-9])
    with pytest.raises(RangeError, match="below the smallest normal float32"):
        LevelQuantizer("nf4", scale_method=Cast("float32")).fit([1e-38])


DOUBLE = LevelQuantizer("bnb_dynamic8", PerGroup(256), Cast("float32"))


def test_double_quantization_needs_nothing_new():
    """QLoRA's sizes: 4 bits, 8 over 64 for a scale, 32 over 64 * 256 for the scale of scales."""
    W = np.random.default_rng(6).standard_normal((16, 16384), dtype=np.float32)
    plain = LevelQuantizer("nf4", scale_method=Cast("float32")).fit_encode(W)
    q = LevelQuantizer("nf4", scale_method=DOUBLE)
    e = q.fit_encode(W)
    assert isinstance(e.scale, ScaledEncoding)
    assert e.scale.elements.format == "bnb_dynamic8"
    assert plain.bits_per_weight == 4.5
    assert e.bits_per_weight == 4 + 8 / 64 + 32 / (64 * 256)
    assert np.all(np.abs(W.astype(float) - e.decode()) <= q.error_bound(W, e))
    # the widest gap of the map is 9/640, at its top: scales err by half of it, relative to the top
    top = np.repeat(e.scale.scale.decode(), 256, axis=1)
    assert np.abs(e.scale.decode() - plain.scale.decode()).max() <= (9 / 1280 + 1e-6) * top.max()
    assert q.encode(e.decode()).to_bytes() == e.to_bytes()


@pytest.mark.parametrize("table", ["nf4", "bnb_fp4", "bnb_dynamic8", "ternary"])
@pytest.mark.parametrize("scale_method", [Cast("float32"), DOUBLE], ids=["float32", "double"])
def test_every_law_for_every_table(table, scale_method):
    q = LevelQuantizer(table, PerGroup(7), scale_method)
    failed = [v.story for v in judge_method(q) if v.word not in ("pass", "not applicable")]
    assert not failed, failed[0]


def test_fp4_levels_are_their_own_codes():
    levels = formats.get("bnb_fp4").values
    e = LevelQuantizer("bnb_fp4", PerTensor(), Cast("float32")).fit_encode(levels)
    np.testing.assert_array_equal(e.decode(), levels)
    assert formats.get("bnb_fp4").bits == 4
    assert (np.delete(e.elements.codes, [0, 8]) == np.delete(np.arange(16), [0, 8])).all()


def test_a_scale_that_double_quantization_loses_is_named():
    W = np.array([[1.0] * 7 + [1e-9] * 7], np.float32)
    with pytest.raises(RangeError, match=r"stored scale\[0, 1\] = 0.0"):
        LevelQuantizer("nf4", PerGroup(7), DOUBLE).fit(W)
