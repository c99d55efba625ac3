"""matmul_integer and qlinear_matmul against the text in Python integers and fractions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refq.conformance.strategies.ops import codes_of
from refq.conformance.strategies.tie_draws import SCALES
from refq.conformance.texts import onnx_integer as text
from refq.core.errors import AccumulatorOverflow, DTypeError, RangeError, ShapeError
from refq.core.semantics import Semantics, get
from refq.ops import matmul_integer, qlinear_matmul

DTYPES = (np.int8, np.uint8, np.int16, np.uint16)


def says(a, b, za, zb):
    exact = text.matmul_integer(a.tolist(), b.tolist(), za, zb)
    return [[text.wrap_int32(v) for v in row] for row in exact]


@given(st.data(), st.sampled_from(DTYPES), st.sampled_from(DTYPES))
def test_codes_zero_points_and_wrapping(data, a_dtype, b_dtype):
    m, k, n = (data.draw(st.integers(1, 9)) for _ in range(3))
    a, b = data.draw(codes_of(a_dtype, (m, k))), data.draw(codes_of(b_dtype, (k, n)))
    za, zb = data.draw(codes_of(a_dtype, (m,))), data.draw(codes_of(b_dtype, (n,)))
    got = matmul_integer(a, b, za, zb, overflow="wrap")
    assert got.dtype == np.int32
    assert got.tolist() == says(a, b, za.tolist(), zb.tolist())
    got = matmul_integer(a, b, za[0], zb[0], overflow="wrap")
    assert got.tolist() == says(a, b, [int(za[0])] * m, [int(zb[0])] * n)
    assert matmul_integer(a, b, overflow="wrap").tolist() == says(a, b, [0] * m, [0] * n)


@pytest.mark.parametrize("a_dtype", [np.int8, np.uint8])
@pytest.mark.parametrize("b_dtype", [np.int8, np.uint8])
@pytest.mark.parametrize("zeros", [(0, 0), (1, 0), (127, 3), (7, 127)])
def test_all_products_of_8_bits(a_dtype, b_dtype, zeros):
    a = np.arange(256).astype(a_dtype).reshape(256, 1)  # every code once, 128.. wrap in int8
    b = np.arange(256).astype(b_dtype).reshape(1, 256)
    want = [
        [(x - zeros[0]) * (y - zeros[1]) for y in b.ravel().tolist()] for x in a.ravel().tolist()
    ]
    assert matmul_integer(a, b, *zeros).tolist() == want


@pytest.mark.parametrize("k", [1, 15, 16, 17, 33, 512, 33025])
def test_extremes_do_not_saturate(k):
    for code, dtype in ((-128, np.int8), (255, np.uint8)):
        a, b = np.full((5, k), code, dtype), np.full((k, 6), code, dtype)
        np.testing.assert_array_equal(matmul_integer(a, b), k * code * code)
    a, b = np.full((5, k), -128, np.int8), np.full((k, 6), 127, np.int8)
    np.testing.assert_array_equal(matmul_integer(a, b, 127, -128), -255 * 255 * k)


@pytest.mark.parametrize("m", [1, 3, 4, 5, 64])
@pytest.mark.parametrize("n", [1, 3, 4, 257, 300])
def test_every_edge_of_the_tiles(m, n):
    rng = np.random.default_rng(m * 1000 + n)
    a = rng.integers(-128, 128, (m, 37)).astype(np.int8)
    b = rng.integers(0, 256, (37, n)).astype(np.uint8)
    za, zb = a[:, 0], b[0]
    want = (a.astype(np.int64) - za[:, None]) @ (b.astype(np.int64) - zb)
    np.testing.assert_array_equal(matmul_integer(a, b, za, zb), want)


@pytest.mark.parametrize(
    ("a_shape", "b_shape"),
    [
        ((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((2, 4, 3), (3, 2)), ((4, 3), (2, 3, 5)),
        ((2, 1, 4, 3), (5, 3, 2)), ((2, 4, 3), (2, 3, 1)), ((0, 3), (3, 2)), ((2, 0), (0, 3)),
        ((0, 2, 3), (3, 4)), ((2, 3), (0, 3, 4)), ((2, 3), (3, 0)),
    ],
)  # fmt: skip
def test_shapes_are_numpys(a_shape, b_shape):
    rng = np.random.default_rng(0)
    a, b = (
        rng.integers(-9, 9, a_shape).astype(np.int8),
        rng.integers(-9, 9, b_shape).astype(np.int8),
    )
    want = np.matmul(a.astype(np.int64) - 3, b.astype(np.int64) + 5)
    got = matmul_integer(a, b, 3, -5)
    assert got.shape == np.shape(want)
    np.testing.assert_array_equal(got, want)


def test_zero_points_with_all_axes():
    rng = np.random.default_rng(1)
    a, b = rng.integers(-99, 99, (2, 3, 4)), rng.integers(-99, 99, (2, 4, 5))
    za, zb = rng.integers(-9, 9, (2, 3, 1)), rng.integers(-9, 9, (2, 1, 5))
    got = matmul_integer(a.astype(np.int8), b.astype(np.int8), za, zb)
    np.testing.assert_array_equal(got, (a - za) @ (b - zb))


def layouts(x):
    """Eight ways to hold the same numbers."""
    wide = np.zeros((2 * x.shape[0], 2 * x.shape[1]), x.dtype)
    wide[::2, ::2] = x
    frozen = x.copy()
    frozen.flags.writeable = False
    return [
        x, np.asfortranarray(x), x[::-1].copy()[::-1], x[:, ::-1].copy()[:, ::-1], wide[::2, ::2],
        frozen, x.astype(x.dtype.newbyteorder(">")), x.T.copy().T,
    ]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.uint8, np.int16])
def test_layouts(dtype):
    rng = np.random.default_rng(2)
    a, b = (rng.integers(0, 99, s).astype(dtype) for s in ((5, 6), (6, 7)))
    want = a.astype(int) @ b
    for x, y in zip(layouts(a), layouts(b), strict=True):
        before = x.copy()
        np.testing.assert_array_equal(matmul_integer(x, y, overflow="wrap"), want)
        np.testing.assert_array_equal(x, before)


@given(
    st.integers(-300, 300), *[st.sampled_from(SCALES)] * 3,
    st.sampled_from([0, 1, -3]), st.sampled_from([1, 3, -7]),
)  # fmt: skip
@example(3, 1.0, 0.5, 1.0, 1, 3)
def test_qlinear_is_the_text(value, a_scale, b_scale, y_scale, z, odd):
    a, b = np.int8([[value % 128, 2, -128]]), np.int8([[1], [value % 7], [-128]])
    scales = [np.float32(s) for s in (a_scale, b_scale, y_scale)]
    got = qlinear_matmul(
        a, scales[0], np.int8(odd), b, scales[1], np.int8(z), scales[2], np.int8(z)
    )
    acc = text.matmul_integer(a.tolist(), b.tolist(), [odd], [z])[0][0]
    want = text.qlinear(acc, *(Fraction(float(s)) for s in scales), z, -128, 127)
    assert got.dtype == np.int8
    assert got.tolist() == [[want]]


def test_qlinear_ties_go_to_even_before_the_zero_point():
    a, b = np.int8([[-5, -3, -1, 1, 3, 5]]).T, np.int8([[1]])
    half, one = np.float32(0.5), np.float32(1)
    got = qlinear_matmul(a, half, None, b, one, None, one, np.int8(1))
    assert got.ravel().tolist() == [-1, -1, 1, 1, 3, 3]


def test_qlinear_scales_per_row_and_per_column():
    rng = np.random.default_rng(3)
    a, b = rng.integers(-9, 9, (3, 4)).astype(np.int8), rng.integers(-9, 9, (4, 2)).astype(np.int8)
    rows, columns = np.float32([0.5, 0.1, 0.3]), np.float32([1, 0.7])
    y = np.float32(0.2)
    got = qlinear_matmul(a, rows, None, b, columns, None, y, np.int8(3))
    acc = a.astype(int) @ b
    want = [
        [
            text.qlinear(int(acc[i, j]), *(Fraction(float(s)) for s in (rows[i], columns[j], y)),
                         3, -128, 127)
            for j in range(2)
        ]
        for i in range(3)
    ]  # fmt: skip
    assert got.tolist() == want
    full = qlinear_matmul(a, rows[:, None], None, b, columns[None], None, y, np.int8(3))
    assert full.tolist() == want


def test_a_wrapping_semantics_wraps():
    a, b = np.full((1, 40_000), 255, np.uint8), np.full((40_000, 1), 255, np.uint8)
    args = (a, 1.0, None, b, 1.0, None, 1e8, np.int8(0))
    with pytest.raises(AccumulatorOverflow):
        qlinear_matmul(*args)
    wrap = Semantics("mine", "1", accumulator="wrap")
    assert qlinear_matmul(*args, semantics=wrap).item() == round((2601000000 - 2**32) / 1e8)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda a, b: matmul_integer(a, b[:1]), ShapeError, "a has 3 columns, b has 1 rows"),
        (lambda a, b: matmul_integer(a, b, [1, 2, 3]), ShapeError, "a_zero_point has shape"),
        (lambda a, b: matmul_integer(a, b, 0, [1, 2, 3]), ShapeError, "b_zero_point has shape"),
        (lambda a, b: matmul_integer(a, b, 300), RangeError, "a_zero_point = 300"),
        (lambda a, b: matmul_integer(a.astype(float), b), DTypeError, "a has dtype float64"),
        (lambda a, b: matmul_integer(a, b.astype(np.int32)), DTypeError, "b has dtype int32"),
        (lambda a, b: matmul_integer(a, b, overflow="no"), RangeError, "overflow = 'no'"),
        (lambda a, b: matmul_integer(a[0, 0], b), ShapeError, "at least one axis"),
        (
            lambda a, b: matmul_integer(np.stack([a] * 2), np.stack([b] * 3)),
            ShapeError,
            "do not broadcast",
        ),
        (
            lambda a, b: qlinear_matmul(a, 1.0, 0, b, [1.0] * 3, 0, 1.0, 0),
            ShapeError,
            "b_scale has shape",
        ),
        (
            lambda a, b: qlinear_matmul(a, 1.0, 0, b, 0.0, 0, 1.0, 0),
            RangeError,
            "b_scale = 0.0 must be finite",
        ),
        (
            lambda a, b: qlinear_matmul(a, 1.0, 0, b, 1.0, 0, [1.0, 2.0], 0),
            ShapeError,
            "y_scale has shape",
        ),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call(np.ones((2, 3), np.int8), np.ones((3, 2), np.int8))


def test_a_bias_joins_the_sums_or_the_multiplier():
    one, zero = np.float32(1), np.uint8(0)
    a, b = np.uint8([[10]]), np.int8([[1, 1]])
    args = (a, one, zero, b, one, np.int8(0), one, zero)
    assert qlinear_matmul(*args, np.int32([5, -3])).tolist() == [[15, 7]]
    preset = get("torch_onednn", "2.13")
    assert qlinear_matmul(*args, np.float32([5.5, -3]), semantics=preset).tolist() == [[16, 7]]
    with pytest.raises(DTypeError, match="int32 is needed by rule 'exact'"):
        qlinear_matmul(*args, np.float32([5.5, -3]))
    with pytest.raises(ShapeError, match="one per output channel"):
        qlinear_matmul(*args, np.int32([5]))
