"""Average pools from one scale to another, against loops over windows, in fractions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq import semantics
from refq.conformance.strategies.ops import codes_of
from refq.conformance.texts import elementwise as text
from refq.core.errors import DTypeError, RangeError, ShapeError
from refq.ops import (
    average_pool,
    global_average_pool,
    qlinear_average_pool,
    qlinear_global_average_pool,
)

F = np.float32
SCALE = st.sampled_from([1.0, 0.5, 0.1, 1 / 3]).map(F)
PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))


@given(st.data(), PAIR, PAIR, SCALE, SCALE, st.booleans())
def test_windows(data, size, stride, sx, sy, padded_counts):
    sides = tuple(data.draw(st.integers(0, size[axis % 2] - 1)) for axis in range(4))
    height, width = data.draw(PAIR.map(lambda p: (p[0] + 2, p[1] + 2)))
    x = data.draw(codes_of(np.int8, (1, 2, height, width)))
    z, zy = int(data.draw(codes_of(np.int8, (1,)))[0]), 3
    got = qlinear_average_pool(
        x, sx, z, sy, np.uint8(zy), kernel=size, stride=stride, padding=sides,
        count_include_pad=padded_counts,
    )  # fmt: skip
    assert got.dtype == np.uint8
    for c in range(2):
        for i in range(got.shape[2]):
            for j in range(got.shape[3]):
                rows = range(i * stride[0] - sides[0], i * stride[0] - sides[0] + size[0])
                columns = range(j * stride[1] - sides[1], j * stride[1] - sides[1] + size[1])
                held = [
                    text.real(int(x[0, c, p, q]), Fraction(float(sx)), z)
                    for p in rows
                    for q in columns
                    if 0 <= p < height and 0 <= q < width
                ]
                count = size[0] * size[1] if padded_counts else len(held)
                mean = text.mean(held, count)
                assert got[0, c, i, j] == text.code_of(mean, Fraction(float(sy)), zy, 0, 255)


@given(st.data(), st.sampled_from([np.int8, np.uint8]))
def test_one_scale_is_the_pool_that_needs_none(data, dtype):
    x = data.draw(codes_of(dtype, (2, 2, 4, 3)))
    z = data.draw(codes_of(dtype, (1,)))[0]
    scale = F(0.3)
    same = qlinear_average_pool(x, scale, z, scale, z, kernel=2, stride=1, padding=1)
    np.testing.assert_array_equal(same, average_pool(x, 2, 1, 1, zero_point=int(z)))
    every = qlinear_global_average_pool(x, scale, z, scale, z)
    np.testing.assert_array_equal(every, global_average_pool(x, int(z)))


def test_a_window_that_is_the_image_is_a_global_mean():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (1, 500, 2, 3)).astype(np.uint8)
    args = (x, F(0.31), 3, F(0.17), np.uint8(5))
    for rule in (semantics.ONNX, semantics.get("onnxruntime", "1.31")):
        window = qlinear_average_pool(*args, kernel=(2, 3), semantics=rule)
        np.testing.assert_array_equal(window, qlinear_global_average_pool(*args, semantics=rule))


IMAGE = np.zeros((1, 1, 2, 2), np.uint8)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: qlinear_average_pool(IMAGE, 1.0, 0, 0.0, kernel=1), RangeError, "y_scale = 0"),
        (lambda: qlinear_average_pool(IMAGE, 1.0, -1, 1.0, kernel=1), RangeError, "x_zero_point"),
        (lambda: qlinear_average_pool(IMAGE, 1.0, 0, 1.0, kernel=3), ShapeError, "height"),
        (lambda: qlinear_average_pool(IMAGE[0], 1.0, 0, 1.0, kernel=1), ShapeError, "x has shape"),
        (
            lambda: qlinear_global_average_pool(IMAGE[:, :, :0], 1.0, 0, 1.0),
            ShapeError,
            "no pixels",
        ),
        (lambda: qlinear_global_average_pool(IMAGE / 2, 1.0, 0, 1.0), DTypeError, "x has dtype"),
    ],
)
def test_refusals(call, error, says):
    with pytest.raises(error, match=says):
        call()
