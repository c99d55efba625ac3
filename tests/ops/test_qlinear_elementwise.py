"""The operators by their com.microsoft names against the text, in fractions; what they refuse."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.conformance.strategies.ops import codes_of
from refq.conformance.texts import elementwise as text
from refq.core.errors import DTypeError, RangeError, ShapeError
from refq.ops import (
    add_integer,
    fixed_point_multiplier,
    multiply_integer,
    qlinear_add,
    qlinear_concat,
    qlinear_leaky_relu,
    qlinear_multiply,
    qlinear_sigmoid,
    qlinear_softmax,
)

F = np.float32
ONE = F(1)
SCALE = st.sampled_from([1.0, 0.5, 0.1, 1 / 3, 0.9]).map(F)
DTYPE = st.sampled_from([np.uint8, np.int8, np.uint16])


def ends(dtype):
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


def reals(q, scale, z):
    return np.vectorize(
        lambda v: text.real(int(v), Fraction(float(scale)), int(z)), otypes=[object]
    )(q)


def codes(values, scale, z, dtype):
    one = np.vectorize(
        lambda v: text.code_of(v, Fraction(float(scale)), int(z), *ends(dtype)), otypes=[object]
    )
    return one(values).tolist()


@given(st.data(), DTYPE, DTYPE, SCALE, SCALE, SCALE)
def test_sums_and_products_broadcast(data, a_dtype, b_dtype, sa, sb, sy):
    shapes = data.draw(
        st.sampled_from([((2, 3), (3,)), ((2, 1), (1, 3)), ((), (2,)), ((4,), (4,))])
    )
    a, b = data.draw(codes_of(a_dtype, shapes[0])), data.draw(codes_of(b_dtype, shapes[1]))
    za, zy = (data.draw(codes_of(a_dtype, (1,)))[0] for _ in range(2))
    zb = data.draw(codes_of(b_dtype, (1,)))[0]
    args = (a, sa, za, b, sb, zb, sy, zy)
    x, w = reals(a, sa, za), reals(b, sb, zb)
    for got, want in ((qlinear_add(*args), x + w), (qlinear_multiply(*args), x * w)):
        assert got.dtype == a_dtype  # that of the zero point
        assert got.tolist() == codes(want, sy, zy, a_dtype)


@given(st.data(), SCALE, SCALE, SCALE)
def test_concatenation(data, s1, s2, sy):
    parts = [data.draw(codes_of(np.int8, (2, n))) for n in (1, 3)]
    inputs = [(parts[0], s1, 3), (parts[1], s2, np.int8(-128))]
    got = qlinear_concat(sy, np.uint8(7), inputs, axis=-1)
    want = np.concatenate([reals(parts[0], s1, 3), reals(parts[1], s2, -128)], axis=1)
    assert got.dtype == np.uint8
    assert got.tolist() == codes(want, sy, 7, np.uint8)


@given(st.data(), SCALE, SCALE, st.sampled_from([0.01, 0.25, -1.0]))
def test_leaky_relu_has_a_float32_slope(data, sx, sy, alpha):
    x = data.draw(codes_of(np.int8, (5,)))
    slope = Fraction(float(F(alpha)))
    want = [text.leaky_relu(v, slope) for v in reals(x, sx, 1)]
    got = qlinear_leaky_relu(x, sx, 1, sy, np.int8(-3), alpha=alpha)
    assert got.tolist() == codes(np.array(want, object), sy, -3, np.int8)


def test_every_code_of_a_sigmoid():
    x, s = np.arange(-128, 128).astype(np.int8), F(0.05)
    got = qlinear_sigmoid(x.reshape(2, 128), s, 10, F(1 / 256), np.uint8(0)).ravel()
    exact = Fraction(float(F(1 / 256)))
    want = [text.sigmoid(v, exact, 0, 0, 255) for v in reals(x, s, 10)]
    assert got.tolist() == want


def test_softmax_along_an_axis():
    x = np.array([[1, 2], [30, -40], [5, 6]], np.int8)
    got = qlinear_softmax(x, F(0.1), 0, F(1 / 256), np.uint8(0), axis=0)
    for j in range(2):
        column = list(reals(x[:, j], F(0.1), 0))
        want = text.softmax(column, Fraction(float(F(1 / 256))), 0, 0, 255)
        assert got[:, j].tolist() == want
    assert qlinear_softmax(np.zeros((0, 3), np.int8), ONE, 0, ONE).shape == (0, 3)


def test_results_without_a_dtype_take_the_first_operand_s():
    a, b = np.int8([5]), np.uint8([5])
    assert qlinear_add(a, ONE, 0, b, ONE, 0, ONE).dtype == np.int8
    assert qlinear_add(a, ONE, 0, b, ONE, 0, ONE, -3).tolist() == [7]
    assert qlinear_multiply(b, ONE, None, a, ONE, None, ONE, 3).dtype == np.uint8


def test_equal_scales_are_the_integer_network_s_sum():
    a, b = np.int8([-128, -3, 127, 5]), np.int8([-128, 2, 127, -5])
    one = fixed_point_multiplier(1.0)
    network = add_integer(a, 1, *one, b, -2, *one, 3, -128, 127, np.int8)
    assert network.tolist() == qlinear_add(a, ONE, 1, b, ONE, -2, ONE, np.int8(3)).tolist()


@given(st.data(), st.sampled_from([0.5, 0.25, 0.1, 1 / 3]), DTYPE.filter(lambda d: d != np.uint16))
def test_the_integer_network_s_product(data, multiplier, dtype):
    a, b = data.draw(codes_of(dtype, (6,))), data.draw(codes_of(dtype, (6,)))
    za, zb = (int(data.draw(codes_of(dtype, (1,)))[0]) for _ in range(2))
    m, s = fixed_point_multiplier(multiplier)
    got = multiply_integer(a, za, b, zb, m, s, 3, -128, 127, np.int8)
    half = Fraction(1, 2)
    for x, y, code in zip(a.tolist(), b.tolist(), got.tolist(), strict=True):
        exact = Fraction((x - za) * (y - zb) * m, 2**s)
        assert code == min(max((exact + half).__floor__() + 3, -128), 127)


BYTE = np.uint8([1, 2])


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: qlinear_add(BYTE, 0.0, 0, BYTE, ONE, 0, ONE), RangeError, "a_scale = 0"),
        (lambda: qlinear_add(BYTE, ONE, 256, BYTE, ONE, 0, ONE), RangeError, "a_zero_point = 256"),
        (lambda: qlinear_add(BYTE, [1.0, 2.0], 0, BYTE, ONE, 0, ONE), ShapeError, "a_scale has"),
        (lambda: qlinear_add(BYTE, ONE, 0, BYTE[:0], ONE, 0, ONE), ShapeError, "broadcast"),
        (lambda: qlinear_multiply(BYTE, ONE, 0, BYTE, ONE, 0, np.nan), RangeError, "y_scale = nan"),
        (lambda: qlinear_add(BYTE / 2, ONE, 0, BYTE, ONE, 0, ONE), DTypeError, "a has dtype"),
        (lambda: qlinear_concat(ONE, 0, [], axis=0), ShapeError, "empty"),
        (
            lambda: qlinear_concat(ONE, 0, [(BYTE, ONE, 0), (BYTE[None], ONE, 0)], axis=0),
            ShapeError,
            "inputs\\[1\\] has shape",
        ),
        (lambda: qlinear_concat(ONE, 0, [(BYTE, ONE, -1)], axis=0), RangeError, "inputs\\[0\\]_z"),
        (lambda: qlinear_leaky_relu(BYTE, ONE, 0, ONE, alpha=np.inf), RangeError, "alpha"),
        (lambda: qlinear_softmax(BYTE, ONE, 0, ONE, axis=1), ShapeError, "axis"),
        (lambda: multiply_integer(BYTE, 0, BYTE[:1], 0, 1 << 30, 31, 0, 0, 9, np.int8),
         ShapeError, "equal"),
        (lambda: multiply_integer([300], 0, [1], 0, 1 << 30, 31, 0, 0, 9, np.int8),
         DTypeError, "allowed: int8"),
    ],
)  # fmt: skip
def test_refusals(call, error, says):
    with pytest.raises(error, match=says):
        call()
