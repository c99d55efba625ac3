"""Narrow accumulators: the projection against a search, every input of small rows, edges."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import refq
from refq import AccumulatorAwareQuantizer, AffineQuantizer, ops
from refq.core.errors import RangeError, ShapeError
from refq.scalar import l1_projection

ROWS = AffineQuantizer(8, refq.PerAxis(0), "symmetric")


@given(st.integers(0, 10**6), st.integers(1, 7), st.sampled_from([0.0, 0.5, 3.0, 1e3]))
def test_projection_is_the_nearest_point(seed, k, radius):
    """Inside the ball; and no feasible direction comes nearer (the variational inequality)."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((1, k)) * 3
    t = l1_projection(x, radius)
    assert np.abs(t).sum() <= radius * (1 + 1e-12) + 1e-12
    if np.abs(x).sum() <= radius:
        assert np.array_equal(t, x)
    # <x - t, v - t> <= 0 for all v in the ball, which holds if it does at the corners
    corners = np.concatenate([np.eye(k), -np.eye(k)]) * radius
    assert ((corners - t) @ (x - t)[0] <= 1e-9 * (1 + radius)).all()


def test_no_input_of_a_small_row_overflows():
    """Every input, every order: four codes of uint4 inputs and a 7-bit accumulator."""
    rng = np.random.default_rng(0)
    clipped = 0
    for _ in range(12):
        w = rng.standard_normal((1, 3)).astype(np.float32)
        grid = AffineQuantizer(4, scheme="symmetric")
        method = AccumulatorAwareQuantizer(grid, 7, "uint4").fit(w)
        codes = method.encode(w).elements.decode()[0].astype(int)
        clipped += int(method.clipped_[0])
        for order in itertools.permutations(codes):
            x = np.array(list(itertools.product([0, 7, 15], repeat=3)))
            partial = np.cumsum(x * np.array(order), axis=1)
            assert partial.min() >= -64
            assert partial.max() <= 63
    assert clipped > 6


@given(st.integers(0, 10**6), st.sampled_from(["uint8", "int8", "uint4", "int4"]))
def test_the_bound_of_the_actual_codes_holds(seed, form):
    w = np.random.default_rng(seed).standard_t(3, (5, 40)).astype(np.float32)
    for bits in (10, 13, 16):
        e = AccumulatorAwareQuantizer(ROWS, bits, form).fit_encode(w)
        low, high = ops.accumulator_bound(e.elements.decode(), form)
        assert low.min() >= -(1 << (bits - 1))
        assert high.max() < 1 << (bits - 1)


def test_rows_that_fit_keep_their_nearest_codes():
    w = np.random.default_rng(1).standard_normal((6, 20)).astype(np.float32)
    w[3:] = 0.01
    w[3:, 0] = 5  # one large weight, the rest rounds to nothing
    method = AccumulatorAwareQuantizer(ROWS, 16, "uint8").fit(w)
    codes = method.encode(w).elements.decode()
    assert method.clipped_.tolist() == [True] * 3 + [False] * 3
    assert np.array_equal(codes[3:], ROWS.fit_encode(w).elements.decode()[3:])
    wide = AccumulatorAwareQuantizer(ROWS, 32).fit_encode(w)
    assert np.array_equal(wide.elements.decode(), ROWS.fit_encode(w).elements.decode())


def test_codes_move_toward_zero_and_more_bits_lose_less():
    w = np.random.default_rng(2).standard_normal((8, 64)).astype(np.float32)
    nearest = ROWS.fit_encode(w).elements.decode().astype(int)
    quality = []
    for bits in range(14, 21):
        e = AccumulatorAwareQuantizer(ROWS, bits).fit_encode(w)
        codes = e.elements.decode().astype(int)
        assert (np.abs(codes) <= np.abs(nearest)).all()
        assert (codes * nearest >= 0).all()
        quality.append(refq.sqnr_db(w, e.decode()))
    assert quality == sorted(quality)
    assert quality[-1] > 40 > 10 > quality[0]


def test_integer_matmul_in_16_bits_gives_the_sum_of_32():
    rng = np.random.default_rng(3)
    w = rng.standard_normal((8, 64)).astype(np.float32)
    codes = AccumulatorAwareQuantizer(ROWS, 16).fit_encode(w).elements.decode()
    x = rng.integers(0, 256, (50, 64)).astype(np.uint8)
    x[0] = 255
    wide = x.astype(np.int64) @ codes.T.astype(np.int64)
    with np.errstate(over="ignore"):
        narrow = (x.astype(np.int16)[:, None] * codes.astype(np.int16)).sum(axis=2, dtype=np.int16)
    assert np.array_equal(wide, narrow)
    plain = ROWS.fit_encode(w).elements.decode().astype(np.int64)
    assert np.abs(x.astype(np.int64) @ plain.T).max() > 32767  # it would have overflowed


BAD = {
    "zero point": ({"quantizer": AffineQuantizer(8)}, (2, 3), RangeError, "has a zero point"),
    "groups": (
        {"quantizer": AffineQuantizer(8, refq.PerGroup(2), "symmetric")},
        (2, 4),
        RangeError,
        "several scales in a row",
    ),
    "vector": ({}, (3,), ShapeError, "a matrix"),
    "bits": ({"accumulator_bits": 3}, (2, 3), RangeError, "accumulator_bits"),
    "format": ({"input_format": "float8"}, (2, 3), RangeError, "input_format"),
    "noun": ({"quantizer": refq.Cast("float16")}, (2, 3), RangeError, "lands on"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    settings, shape, error, message = BAD[name]
    with pytest.raises(error, match=message):
        AccumulatorAwareQuantizer(**settings).fit(np.ones(shape))
