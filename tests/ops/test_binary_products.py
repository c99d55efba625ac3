"""Products of packed signs equal the products of the numbers they stand for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import AccumulatorOverflow, DTypeError, RangeError, ShapeError
from refq.ops import bit_products, pack_signs, sign_products, unpack_signs


@given(st.integers(0, 1 << 32), st.integers(0, 200), st.integers(0, 3), st.integers(0, 3))
def test_equal_to_the_float_product(seed, n, m, k):
    rng = np.random.default_rng(seed)
    a, b = rng.choice([-1.0, 1.0], (m, n)), rng.choice([-1.0, 1.0], (k, n))
    got = sign_products(pack_signs(a), pack_signs(b), n)
    assert got.dtype == np.int32
    assert np.array_equal(got, (a.astype(np.float32) @ b.T.astype(np.float32)))
    bits = (a > 0).astype(np.uint8), (b > 0).astype(np.uint8)
    packed = [pack_signs(side, zero="minus") for side in bits]
    ones = bit_products(*packed, n)
    assert np.array_equal(ones, bits[0].astype(int) @ bits[1].T.astype(int))
    # the identity between the two forms
    sums = bits[0].sum(axis=1, dtype=int)[:, None], bits[1].sum(axis=1, dtype=int)[None, :]
    assert np.array_equal(4 * ones - 2 * sums[0] - 2 * sums[1] + n, got)


@given(st.lists(st.booleans(), max_size=200))
def test_packing_round_trips(signs):
    x = np.where(signs, 1, -1).astype(np.int8)
    words = pack_signs(x)
    assert words.tolist() == [
        sum(1 << i for i, s in enumerate(signs[start : start + 64]) if s)
        for start in range(0, len(signs), 64)
    ]
    assert np.array_equal(unpack_signs(words, len(signs)), x)


@pytest.mark.parametrize("n", [63, 64, 65, 127, 128])
def test_word_boundaries(n):
    ones, minus = np.ones((1, n)), -np.ones((1, n))
    assert sign_products(pack_signs(ones), pack_signs(ones), n).tolist() == [[n]]
    assert sign_products(pack_signs(ones), pack_signs(minus), n).tolist() == [[-n]]


def test_a_binary_layer_is_its_float_twin():
    """The scales of both sides leave one multiplication: XNOR-Net's product."""
    from refq.core.granularity import PerAxis
    from refq.encodings import Cast
    from refq.scalar import BinaryQuantizer

    rng = np.random.default_rng(0)
    W, x = rng.standard_normal((5, 100)), rng.choice([-1.0, 1.0], (3, 100))
    e = BinaryQuantizer(PerAxis(0), scale_method=Cast("float64")).fit_encode(W)
    signs = e.elements.decode()
    got = sign_products(pack_signs(x), pack_signs(signs), 100) * e.scale.decode()[:, 0]
    # a float sum of 100 terms of one magnitude is off by at most 100 units of 2^-53 of the sum
    bound = 100 * 2.0**-53 * 100 * e.scale.decode()[:, 0]
    assert (np.abs(got - x @ e.decode().T) <= bound).all()


@pytest.mark.parametrize("layout", [np.asfortranarray, lambda a: a[::-1, ::-1][::-1, ::-1]])
def test_memory_layouts(layout):
    x = np.random.default_rng(1).choice([-1, 1], (3, 70))
    assert np.array_equal(pack_signs(layout(x)), pack_signs(x))
    words = layout(pack_signs(x))
    assert np.array_equal(sign_products(words, words, 70), x @ x.T)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: pack_signs([1.0, 0.0]), RangeError, r"x\[1\] = 0.0 has no sign"),
        (lambda: pack_signs([float("nan")], "plus"), RangeError, r"x\[0\] = nan"),
        (lambda: pack_signs(1.0), ShapeError, "an axis"),
        (lambda: pack_signs([1.0], "even"), RangeError, "zero = 'even'"),
        (lambda: sign_products(np.zeros((1, 1), np.int64), [[1]], 3), DTypeError, "uint64"),
        (lambda: sign_products(*[np.zeros((1, 1), np.uint64)] * 2, 65), ShapeError, "2 words"),
        (lambda: sign_products(*[np.zeros(1, np.uint64)] * 2, 3), ShapeError, "two axes"),
        (lambda: unpack_signs(np.zeros(1, np.uint64), 2**31), AccumulatorOverflow, "may sum"),
    ],
)
def test_refusals(call, error, match):
    with pytest.raises(error, match=match):
        call()
