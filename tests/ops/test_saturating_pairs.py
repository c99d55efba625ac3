"""The pairwise-saturating product against Python integers, and when it is exact."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq import ops, semantics
from refq.conformance.strategies.ops import codes_of
from refq.core.errors import AccumulatorOverflow, DTypeError, RangeError, ShapeError
from refq.ops import matmul_saturating_pairs, pairs_are_exact

F = np.float32
NO_VNNI = replace(semantics.ONNX, name="no VNNI", accumulator="saturating_pairs")


def instruction(a, b):
    """One dot product in Python integers."""
    products = [int(x) * int(y) for x, y in zip(a, b, strict=True)]
    pairs = [sum(products[p : p + 2]) for p in range(0, len(products), 2)]
    return sum(min(max(pair, -32768), 32767) for pair in pairs)


@given(st.data(), st.integers(1, 9), st.sampled_from([0, 3, 255]), st.sampled_from([0, -128, 5]))
def test_every_dot_product(data, k, za, zb):
    a, b = data.draw(codes_of(np.uint8, (2, k))), data.draw(codes_of(np.int8, (k, 3)))
    got = matmul_saturating_pairs(a, b, za, zb)
    for i in range(2):
        for j in range(3):
            row, column = a[i].tolist(), b[:, j].tolist()
            fix = za * sum(column) + zb * sum(row) - k * za * zb
            assert got[i, j] == instruction(row, column) - fix


def test_it_differs_from_the_exact_product_only_where_pairs_saturate():
    a, b = np.uint8([[255, 255], [128, 128], [255, 1]]), np.int8([[127, -128], [127, -128]])
    exact, pairs = ops.matmul_integer(a, b), matmul_saturating_pairs(a, b)
    assert exact.tolist() == [[64770, -65280], [32512, -32768], [32512, -32768]]
    assert pairs.tolist() == [[32767, -32768], [32512, -32768], [32512, -32768]]


@given(st.integers(0, 255), st.integers(0, 255), st.integers(-128, 127), st.integers(0, 127))
def test_the_safe_condition_is_sharp(a_low, a_high, b_low, width):
    a_low, b_high = min(a_low, a_high), min(b_low + width, 127)
    safe = pairs_are_exact((a_low, a_high), (b_low, b_high))
    corners = [(a, b) for a in (a_low, a_high) for b in (b_low, b_high)]
    saturates = any(
        instruction([p, q], [x, y]) != p * x + q * y for p, x in corners for q, y in corners
    )
    assert safe == (not saturates)


def test_seven_bits_on_either_side_are_safe():
    rng = np.random.default_rng(0)
    for a_high, b_high in ((255, 64), (127, 128)):
        a = rng.choice([0, a_high], (20, 64)).astype(np.uint8)
        b = rng.choice([-b_high, min(b_high, 127)], (64, 5)).astype(np.int8)
        np.testing.assert_array_equal(matmul_saturating_pairs(a, b), ops.matmul_integer(a, b))
        assert pairs_are_exact((0, a_high), weights=b)
    assert not pairs_are_exact("uint8", (-65, 64))


@given(st.data(), st.integers(1, 5))
def test_actual_weights_give_the_tighter_condition(data, k):
    w = data.draw(codes_of(np.int8, (k, 2)))
    safe = pairs_are_exact("uint8", weights=w)
    worst = [np.where(s * w.astype(int) > 0, 255, 0).astype(np.uint8).T for s in (1, -1)]
    exact = all(
        matmul_saturating_pairs(a, w)[j, j] == ops.matmul_integer(a, w)[j, j]
        for a in worst
        for j in range(2)
    )
    assert safe == exact


def test_qlinear_matmul_by_a_semantics_that_saturates():
    a, b, one = np.uint8([[255, 255]]), np.int8([[127], [127]]), F(1)
    args = (a, one, np.uint8(0), b, one, np.int8(0), F(300), np.uint8(0))
    assert ops.qlinear_matmul(*args).item() == 216
    assert ops.qlinear_matmul(*args, semantics=NO_VNNI).item() == 109
    images, kernels = a.reshape(1, 2, 1, 1), b.reshape(1, 2, 1, 1)
    with pytest.raises(RangeError, match="matrix products only"):
        ops.qlinear_conv(images, one, 0, kernels, one, 0, one, np.uint8(0), semantics=NO_VNNI)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: matmul_saturating_pairs(np.int8([[1]]), np.int8([[1]])), DTypeError, "a has"),
        (lambda: matmul_saturating_pairs(np.uint8([[1]]), np.uint8([[1]])), DTypeError, "b has"),
        (lambda: matmul_saturating_pairs(np.uint8([1]), np.int8([[1]])), ShapeError, "needed"),
        (lambda: pairs_are_exact("uint8"), ShapeError, "one of"),
        (lambda: pairs_are_exact("uint8", weights=[1]), ShapeError, "weights has"),
        (
            lambda: matmul_saturating_pairs(
                np.zeros((1, 70_000), np.uint8), np.zeros((70_000, 1), np.int8)
            ),
            AccumulatorOverflow,
            "safe K <= 65793",
        ),
    ],
)
def test_refusals(call, error, says):
    with pytest.raises(error, match=says):
        call()
