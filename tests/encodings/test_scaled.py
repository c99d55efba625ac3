"""scale * (elements - zero_point) + offset, one element at a time."""

import numpy as np
import pytest

from refq.core.errors import DTypeError, FormatError, RangeError, ShapeError
from refq.encodings import MaskedEncoding, ScaledEncoding, dense

F = np.float32


def oracle(q, s, z, o, block, dtype):
    out = np.zeros(q.shape, dtype)
    for index in np.ndindex(*q.shape):
        at = tuple(i // b for i, b in zip(index, block, strict=True))
        x = int(q[index]) - (0 if z is None else int(z[at]))
        x = dtype(x) * dtype(s[at])
        out[index] = x if o is None else x + dtype(o[at])
    return out


@pytest.mark.parametrize("block", [(1, 3), (2, 4), (3, 7), (9, 9), (1, 1)])
@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("offset", [False, True])
@pytest.mark.parametrize("form", ["float16", "float64"])
def test_against_a_loop(block, zero, offset, form):
    rng = np.random.default_rng(0)
    q = rng.integers(-128, 128, (3, 7))
    counts = tuple(-(-n // b) for n, b in zip(q.shape, block, strict=True))
    s = rng.uniform(0.01, 1, counts)
    z, o = rng.integers(0, 256, counts), rng.standard_normal(counts)
    e = ScaledEncoding(
        dense(q, "int8"),
        dense(s, form),
        block,
        dense(z, "uint8") if zero else None,
        dense(o, "float32") if offset else None,
    )
    dtype = np.float64 if form == "float64" else F
    want = oracle(q, e.scale.decode(), z if zero else None, F(o) if offset else None, block, dtype)
    got = e.decode()
    assert got.dtype == e.dtype == dtype
    assert got.tobytes() == want.tobytes()
    n = int(np.prod(counts))
    bits = 21 * 8 + n * (16 if form == "float16" else 64) + 8 * n * zero + 32 * n * offset
    assert e.stored_bits == bits


def test_integers_are_subtracted_as_integers():
    """2^24 + 1 is no float32; the difference to 2^24 is 1 all the same."""
    q, z = dense([(1 << 24) + 1], "int32"), dense([1 << 24], "int32")
    assert ScaledEncoding(q, dense([1.0], "float32"), (1,), z).decode().tolist() == [1.0]
    extremes = dense([-(1 << 31), (1 << 31) - 1], "int32")
    e = ScaledEncoding(extremes, dense([1.0], "float32"), (2,), dense([-(1 << 31)], "int32"))
    assert e.decode().tolist() == [0.0, float(2**32)]


def test_64_bit_integers_that_could_leave_int64_are_refused():
    e = ScaledEncoding(
        dense(np.array([2**63], np.uint64), "uint64"),
        dense([1.0], "float32"),
        (1,),
        dense([1], "uint8"),
    )
    with pytest.raises(FormatError, match=r"elements lies in 9223372036854775808.*62 bits"):
        e.decode()


def test_float_zero_points():
    e = ScaledEncoding(dense([3, 4], "uint4"), dense([0.5]), (2,), dense([1.5], "float32"))
    assert e.decode().tolist() == [0.75, 1.25]


@pytest.mark.parametrize("foreign", [0.0, -1.0, np.inf, np.nan])
def test_foreign_scales_decode_without_a_warning(foreign):
    codes = np.array([[F(foreign)]], F).view(np.uint32)
    from refq.encodings import DenseEncoding

    e = ScaledEncoding(dense([[0, 2]], "int4"), DenseEncoding(codes, "float32"), (1, 2))
    with np.errstate(all="ignore"):
        want = F([0, 2]) * F(foreign)
    np.testing.assert_array_equal(e.decode(), want[None])


def test_double_quantization_and_super_blocks():
    scales = ScaledEncoding(dense([[1, 2, 3]], "uint4"), dense([[0.25]], "float16"), (1, 3))
    e = ScaledEncoding(dense([[1, 1, 1, 1, 1]], "int4"), scales, (1, 2))
    assert e.decode().tolist() == [[0.25, 0.25, 0.5, 0.5, 0.75]]
    assert e.stored_bits == 5 * 4 + 3 * 4 + 16


def test_the_block_shape_becomes_a_tuple_of_integers():
    e = ScaledEncoding(dense([1, 2], "int8"), dense([1.0]), [np.int64(2)])
    assert e.block_shape == (2,)
    assert len(e.to_bytes()) > 0


def test_what_does_not_fit():
    q, s = dense([[1, 2]], "int8"), dense([[1.0]])
    with pytest.raises(
        ShapeError, match=r"scale has shape \(1, 1\); blocks of \(1, 1\) .* need \(1, 2\)"
    ):
        ScaledEncoding(q, s, (1, 1))
    with pytest.raises(ShapeError, match=r"zero_point has shape \(1, 2\)"):
        ScaledEncoding(q, s, (1, 2), q)
    with pytest.raises(ShapeError, match=r"offset has shape \(1, 2\)"):
        ScaledEncoding(q, s, (1, 2), offset=q)
    with pytest.raises(ShapeError, match="does not fit"):
        ScaledEncoding(q, s, (0, 2))
    with pytest.raises(DTypeError, match="elements is a ndarray; an Encoding is needed"):
        ScaledEncoding(np.zeros((1, 2)), s, (1, 2))
    with pytest.raises(DTypeError, match="offset is a int"):
        ScaledEncoding(q, s, (1, 2), offset=0)


def test_empty():
    e = ScaledEncoding(dense(np.zeros((0, 3)), "int8"), dense(np.zeros((0, 1))), (1, 3))
    assert e.decode().shape == (0, 3)
    assert e.pullback(np.zeros((0, 3))) == {"scale": pytest.approx(np.zeros((0, 1)))}


@pytest.mark.parametrize("name", ["zero_point", "offset"])
def test_a_mask_stays_outside_of_a_scale_that_would_move_its_zeros(name):
    mask, kept = dense([[1, 0]], "uint1"), dense([[3]], "int4")
    elements = MaskedEncoding(mask, kept, (1, 2))
    scale = dense([[0.5]], "float16")
    assert ScaledEncoding(elements, scale, (1, 2)).decode().tolist() == [[1.5, 0.0]]
    with pytest.raises(RangeError, match="put it outside"):
        ScaledEncoding(elements, scale, (1, 2), **{name: dense([[1]], "int4")})
