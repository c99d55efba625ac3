"""Integer pooling against loops over windows, in fractions."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.conformance.strategies.ops import codes_of
from refq.core.errors import DTypeError, RangeError, ShapeError
from refq.ops import average_pool, global_average_pool, max_pool

DTYPES = (np.int8, np.uint8, np.int16)


def rounded(value, rounding):
    below = math.floor(value)
    if value - below != Fraction(1, 2):
        return below + (value - below > Fraction(1, 2))
    return below + {"half_even": below % 2, "half_away": value > 0, "half_up": 1}[rounding]


def windows(x, size, stride, sides):
    """The codes that every window holds, padding left out."""
    height = (x.shape[0] + sides[0] + sides[2] - size[0]) // stride[0] + 1
    width = (x.shape[1] + sides[1] + sides[3] - size[1]) // stride[1] + 1
    return [
        [
            [
                int(x[r, c])
                for r in range(i * stride[0] - sides[0], i * stride[0] - sides[0] + size[0])
                for c in range(j * stride[1] - sides[1], j * stride[1] - sides[1] + size[1])
                if 0 <= r < x.shape[0] and 0 <= c < x.shape[1]
            ]
            for j in range(width)
        ]
        for i in range(height)
    ]


@given(
    st.data(), st.sampled_from(DTYPES), st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.sampled_from(["half_even", "half_away", "half_up"]),
)  # fmt: skip
def test_windows(data, dtype, size, stride, rounding):
    sides = tuple(data.draw(st.integers(0, size[a % 2] - 1)) for a in range(4))
    shape = data.draw(st.tuples(st.integers(3, 5), st.integers(3, 5)))
    q = data.draw(codes_of(dtype, (2, 1, *shape)))
    z = int(data.draw(codes_of(dtype, (1,)))[0])
    largest = max_pool(q, size, stride, sides)
    mean = average_pool(q, size, stride, sides, zero_point=z, rounding=rounding)
    assert largest.dtype == mean.dtype == dtype
    for n in range(2):
        held = windows(q[n, 0], size, stride, sides)
        assert largest[n, 0].tolist() == [[max(w) for w in row] for row in held]
        want = [[z + rounded(Fraction(sum(w), len(w)) - z, rounding) for w in row] for row in held]
        assert mean[n, 0].tolist() == want


@given(st.data(), st.sampled_from(DTYPES), st.sampled_from(["half_even", "half_away", "half_up"]))
def test_global_mean(data, dtype, rounding):
    shape = data.draw(st.tuples(st.integers(1, 2), st.integers(1, 3), *[st.integers(1, 4)] * 2))
    q = data.draw(codes_of(dtype, shape))
    z = int(data.draw(codes_of(dtype, (1,)))[0])
    got = global_average_pool(q, z, rounding=rounding)
    count = shape[2] * shape[3]
    for n in range(shape[0]):
        for c in range(shape[1]):
            mean = Fraction(sum(q[n, c].ravel().tolist()), count)
            assert got[n, c].tolist() == [[z + rounded(mean - z, rounding)]]


def test_a_tie_depends_on_the_zero_points_parity():
    q = np.uint8([[[[3, 4]]]])
    assert [average_pool(q, (1, 2), zero_point=z).item() for z in (0, 1, 2)] == [4, 3, 4]


def test_padding_never_wins():
    for dtype in DTYPES:
        q = np.full((1, 1, 2, 2), np.iinfo(dtype).min, dtype)
        assert (max_pool(q, 3, 1, 1) == np.iinfo(dtype).min).all()
        assert (average_pool(q, 3, 1, 1) == np.iinfo(dtype).min).all()


def test_the_stride_is_the_kernel_unless_given():
    q = np.arange(36, dtype=np.uint8).reshape(1, 1, 6, 6)
    np.testing.assert_array_equal(max_pool(q, 2), max_pool(q, (2, 2), 2))
    np.testing.assert_array_equal(average_pool(q, (3, 2)), average_pool(q, (3, 2), (3, 2)))
    assert max_pool(q[:0], 2).shape == (0, 1, 3, 3)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda q: max_pool(q[0], 2), ShapeError, "q has shape"),
        (lambda q: max_pool(q, 2, 1, 2), ShapeError, "must be below the kernel's"),
        (lambda q: max_pool(q, 5), ShapeError, "spans 5"),
        (lambda q: max_pool(q, 0), RangeError, "kernel = 0"),
        (lambda q: average_pool(q, 2, zero_point=-1), RangeError, "zero_point = -1"),
        (lambda q: average_pool(q, 2, rounding="floor"), RangeError, "rounding = 'floor'"),
        (lambda q: average_pool(q.astype(float), 2), DTypeError, "q has dtype float64"),
        (lambda q: global_average_pool(q[:, :, :0]), ShapeError, "no pixels"),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call(np.ones((1, 1, 4, 4), np.uint8))
