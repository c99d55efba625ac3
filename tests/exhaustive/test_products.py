"""Every product of two codes: int8 with every pair of signs, int4 pairs, zero points at the ends.

The oracle multiplies Python integers.
"""

import numpy as np
import pytest

from refq import formats, ops

pytestmark = pytest.mark.exhaustive

KINDS = [(a, b) for a in ("int8", "uint8") for b in ("int8", "uint8")]


def codes(name):
    form = formats.get(name)
    return list(range(form.low, form.high + 1)), form.dtype


def products(left, right):
    return np.array([[p * q for q in right] for p in left], np.int32)


@pytest.mark.parametrize(("a", "b"), KINDS)
def test_every_product_of_8_bits(a, b):
    (left, a_dtype), (right, b_dtype) = codes(a), codes(b)
    x, y = np.array(left, a_dtype), np.array(right, b_dtype)
    for za in (left[0], 0, left[-1]):
        for zb in (right[0], 0, right[-1]):
            want = products([p - za for p in left], [q - zb for q in right])
            got = ops.matmul_integer(x[:, None], y[None, :], a_dtype.type(za), b_dtype.type(zb))
            assert np.array_equal(got, want)


@pytest.mark.parametrize(("a", "b"), [("int4", "int4"), ("uint4", "int4"), ("uint4", "uint4")])
def test_every_sum_of_two_products_of_4_bits(a, b):
    (left, a_dtype), (right, b_dtype) = codes(a), codes(b)
    pairs = np.array([(p, q) for p in left for q in left], a_dtype)
    others = np.array([(p, q) for p in right for q in right], b_dtype)
    table = products(left, right)  # a sum of two products is a sum of two entries
    want = (table[:, None, :, None] + table[None, :, None, :]).reshape(256, 256)
    assert np.array_equal(ops.matmul_integer(pairs, np.ascontiguousarray(others.T)), want)


@pytest.mark.parametrize(("a", "b"), KINDS)
def test_every_product_by_a_one_by_one_convolution(a, b):
    (left, a_dtype), (right, b_dtype) = codes(a), codes(b)
    x = np.array(left, a_dtype).reshape(1, 1, 16, 16)
    w = np.array(right, b_dtype).reshape(256, 1, 1, 1)
    got = ops.conv_integer(x, w).reshape(256, 256)
    assert np.array_equal(got.T, products(left, right))
