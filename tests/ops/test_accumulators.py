"""The table of safe lengths, derived; and the bound from actual weights, against brute force."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.conformance.strategies.ops import codes_of
from refq.core.errors import AccumulatorOverflow, DTypeError, RangeError
from refq.ops import accumulator_bound, matmul_integer, max_exact_k, max_k

NARROW = (-127, 127)
#: int32 with no zero points, one on a, both; float32 with none, both
TABLE = [
    ("uint8", "uint8", 33_025, 33_025, 33_025, 258, 258),
    ("uint8", "int8", 65_793, 65_793, 33_025, 514, 258),
    ("int8", "int8", 131_071, 65_793, 33_025, 1_024, 258),
    (NARROW, NARROW, 133_144, 66_572, 33_286, 1_040, 260),
    ("int4", "int4", 33_554_431, 17_895_697, 9_544_371, 262_144, 74_565),
    ("int16", "int8", 511, 256, 128, 4, 1),
]


@pytest.mark.parametrize(("a", "b", "none", "one", "both", "float_none", "float_both"), TABLE)
def test_the_table(a, b, none, one, both, float_none, float_both):
    assert max_k(a, b) == none
    assert max_k(a, b, a_zero_point=True) == one
    assert max_k(a, b, True, True) == both
    assert max_exact_k(a, b) == float_none
    assert max_exact_k(a, b, True, True) == float_both


@given(
    *[st.tuples(st.integers(-9, 9), st.integers(0, 9))] * 2,
    st.booleans(), st.booleans(), st.integers(6, 12),
)  # fmt: skip
def test_k_is_safe_and_k_plus_one_is_not(a, b, za, zb, bits):
    ranges = []
    for (low, span), zero in ((a, za), (b, zb)):
        codes = range(low, low + span + 1)
        ranges.append([x - z for x in codes for z in (codes if zero else [0])])
    values = [x * y for x, y in product(*ranges)]
    low, high = min(0, *values), max(0, *values)
    k = max_k((a[0], a[0] + a[1]), (b[0], b[0] + b[1]), za, zb, bits)
    lowest, highest = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    if low == high == 0:
        assert k > 10**9
    else:
        assert lowest <= k * low <= k * high <= highest
        assert (k + 1) * low < lowest or (k + 1) * high > highest


@given(
    st.lists(st.lists(st.integers(-8, 7), min_size=2, max_size=3), min_size=1, max_size=3).filter(
        lambda w: len({len(r) for r in w}) == 1
    ),
    st.integers(-2, 1), st.integers(-2, 1),
)  # fmt: skip
def test_the_bound_from_weights_is_reached(weights, z, zw):
    w = np.array(weights, np.int8)
    low, high = accumulator_bound(w, "int2", z, zw)
    inputs = list(product(range(-2, 2), repeat=w.shape[1]))
    for o, row in enumerate(weights):
        sums = [[(v - z) * (c - zw) for v, c in zip(x, row, strict=True)] for x in inputs]
        partial = [sum(p for p in s if p > 0) for s in sums]
        assert high[o] == max(partial)
        assert low[o] == min(sum(p for p in s if p < 0) for s in sums)
    columns = accumulator_bound(w.T.copy(), "int2", z, zw, axis=1)
    np.testing.assert_array_equal(columns, (low, high))


def test_the_bound_is_tighter_than_max_k():
    w = np.ones((2, 40_000), np.uint8)
    low, high = accumulator_bound(w, "uint8")
    assert (low.tolist(), high.tolist()) == ([0, 0], [255 * 40_000] * 2)
    assert max_k("uint8", "uint8") < 40_000


def test_refusals():
    with pytest.raises(DTypeError, match="nf4"):
        max_k("nf4", "int8")
    with pytest.raises(RangeError, match="empty range"):
        max_k((1, 0), "int8")
    with pytest.raises(DTypeError, match="at most 16 bits"):
        accumulator_bound(np.ones((2, 2), np.int64), "int8")


PAIRS = list(product([np.int8, np.uint8, np.int16, np.uint16], repeat=2))


@pytest.mark.parametrize(("a_dtype", "b_dtype"), PAIRS)
@pytest.mark.parametrize("zeros", ["none", "a low", "b high", "both"])
def test_at_the_limit_and_one_past_it(a_dtype, b_dtype, zeros):
    a_info, b_info = np.iinfo(a_dtype), np.iinfo(b_dtype)
    za = int(a_info.min) if zeros in ("a low", "both") else 0
    zb = int(b_info.max) if zeros in ("b high", "both") else 0
    a_range = (int(a_info.min) - za, int(a_info.max) - za)
    b_range = (int(b_info.min) - zb, int(b_info.max) - zb)
    k = max_k(a_range, b_range)
    corners = [(x, y) for x in a_range for y in b_range]
    for x, y in (max(corners, key=lambda c: c[0] * c[1]), min(corners, key=lambda c: c[0] * c[1])):
        for n in (k, k + 1):
            a = np.full((1, n), x + za, a_dtype)
            b = np.full((n, 1), y + zb, b_dtype)
            if n == k:
                assert matmul_integer(a, b, za, zb).item() == n * x * y
            else:
                with pytest.raises(AccumulatorOverflow, match=rf"K={n} of .*; safe K <= {k}$"):
                    matmul_integer(a, b, za, zb)
                wrapped = (n * x * y + 2**31) % 2**32 - 2**31
                assert matmul_integer(a, b, za, zb, overflow="wrap").item() == wrapped


def test_the_message():
    a, b = np.zeros((1, 40_000), np.uint8), np.zeros((40_000, 1), np.uint8)
    words = "K=40000 of uint8*uint8 can reach 2601000000 > 2147483647; safe K <= 33025"
    with pytest.raises(AccumulatorOverflow) as caught:
        matmul_integer(a, b)
    assert str(caught.value) == words


def test_a_long_product_of_small_weights_is_possible():
    k = 70_000  # beyond 65,793
    a, b = np.full((1, k), 255, np.uint8), np.ones((k, 1), np.int8)
    with pytest.raises(AccumulatorOverflow, match="safe K <= 65793"):
        matmul_integer(a, b)
    assert matmul_integer(a, b, overflow="weights").item() == 255 * k
    b[:] = 121
    with pytest.raises(AccumulatorOverflow, match=r"column 0 of b.*2159850000 > 2147483647"):
        matmul_integer(a, b, overflow="weights")
    with pytest.raises(AccumulatorOverflow, match="column 1"):
        matmul_integer(a, np.hstack([b * 0, b]), overflow="weights")


@given(st.data())
def test_the_weights_bound_is_sharp(data):
    w = data.draw(codes_of(np.int16, (3, 1))) // 2
    za = data.draw(st.sampled_from([0, 7, -32768]))
    ends = (-32768 - za, 32767 - za)
    most = sum(max(0, *(int(v) * e for e in ends)) for v in w[:, 0])
    least = sum(min(0, *(int(v) * e for e in ends)) for v in w[:, 0])
    fits = least >= -(2**31) and most < 2**31
    a = np.int16([[0, 0, 0]])
    if fits:
        matmul_integer(a, w, za, overflow="weights")
    else:
        with pytest.raises(AccumulatorOverflow, match="column 0"):
            matmul_integer(a, w, za, overflow="weights")
