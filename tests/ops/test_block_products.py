"""Products with grouped weights against fractions of codes, scales and zero points."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import refq
from refq.conformance.texts.onnx_quantization import round_to_float
from refq.core.errors import DTypeError, RangeError, ShapeError
from refq.ops import block_values, exact_matmul, matmul_block_scaled, matmul_nbits, nbits_values

F = np.float32
SCALES = [0.1, 1 / 3, 0.5, 2.0**-10, 1e-6, 3.0]


def single(value):
    return float(round_to_float(Fraction(value), "float32"))


def weight(q, s, z):
    return (int(q) - int(z)) * Fraction(float(s))


@given(st.data(), st.integers(2, 8), st.integers(1, 5), st.booleans())
def test_nbits(data, bits, size, has_zeros):
    top, k, n = (1 << bits) - 1, data.draw(st.integers(1, 11)), 2
    blocks = -(-k // size)
    code = st.sampled_from([0, top, top // 2]) | st.integers(0, top)

    def array(of, shape, dtype):
        count = int(np.prod(shape))
        return np.array(data.draw(st.lists(of, min_size=count, max_size=count)), dtype).reshape(
            shape
        )

    codes = array(code, (n, k), np.uint8)
    scales = array(st.sampled_from(SCALES), (n, blocks), F)
    zeros = array(code, (n, blocks), np.uint8) if has_zeros else None
    a = array(st.sampled_from([1.0, -1.0, 0.3, 1e4, -1e4, 2.0**-20]), (2, k), F)
    got = matmul_nbits(a, codes, scales, zeros, bits=bits, block_size=size)
    z = zeros if has_zeros else np.full((n, blocks), 1 << (bits - 1))
    for i in range(2):
        for j in range(n):
            exact = sum(
                Fraction(float(a[i, p]))
                * weight(codes[j, p], scales[j, p // size], z[j, p // size])
                for p in range(k)
            )
            assert got[i, j] == single(exact)


@pytest.mark.parametrize(
    ("element", "scale", "size"),
    [
        ("float8_e4m3fn", "float8_e8m0fnu", 32),
        ("float8_e5m2", "float8_e8m0fnu", 32),
        ("float6_e2m3fn", "float8_e8m0fnu", 32),
        ("float4_e2m1fn", "float8_e8m0fnu", 32),
        ("int8", "float8_e8m0fnu", 32),
        ("float4_e2m1fn", "float8_e4m3fn", 16),
    ],
)
def test_block_scaled_encodings(element, scale, size):
    rng = np.random.default_rng(0)
    rule = "nearest" if scale == "float8_e4m3fn" else "floor"
    method = refq.BlockScaledQuantizer(element, scale, size, rule)
    a, b = (
        rng.standard_normal((3, 50)).astype(F) * rng.choice([1e-3, 1, 50], (3, 50)) for _ in "ab"
    )
    left, right = (method.fit(x.astype(F)).encode(x.astype(F)) for x in (a, b))
    got = matmul_block_scaled(left, right)
    exact = [[_dot(left, right, i, j, size) for j in range(3)] for i in range(3)]
    assert exact_matmul(block_values(left), block_values(right)).tolist() == exact
    assert got.tolist() == [[single(v) for v in row] for row in exact]


def _dot(left, right, i, j, size):
    """A dot product in fractions; a scale of two levels is the product of both."""
    total = Fraction(0)
    parts = [(e.elements.decode().astype(float), _scale_of(e)) for e in (left, right)]
    for p in range(50):
        (x, s), (y, t) = parts
        total += Fraction(x[i, p]) * s[i][p // size] * Fraction(y[j, p]) * t[j][p // size]
    return total


def _scale_of(encoding):
    scale = encoding.scale
    if isinstance(scale, refq.ScaledEncoding):
        top = Fraction(float(scale.scale.decode().ravel()[0]))
        return [[Fraction(float(v)) * top for v in row] for row in scale.elements.decode()]
    return [[Fraction(float(v)) for v in row] for row in scale.decode()]


def test_a_pair_of_arrays_is_an_operand():
    elements, scales = [[1.5, -6.0, 0.5]], [[2.0, 0.25]]
    weights = ([[1.0, 1.0, 4.0]], [[1.0]])
    assert block_values((elements, scales), block_size=2).tolist() == [[3.0, -12.0, 0.125]]
    right = block_values(weights, block_size=3)
    assert exact_matmul(block_values((elements, scales), block_size=2), right)[0, 0] == -8.5
    assert matmul_block_scaled((elements, [[2.0]]), weights).item() == -5.0


def test_any_encoding_is_an_operand():
    dense = refq.dense(np.float32([[1.0, 2.0]]), "float16")
    affine = refq.AffineQuantizer(bits=4, scheme="asymmetric").fit(F([[0.1, 0.9]]))
    encoded = affine.encode(F([[0.1, 0.9]]))
    assert encoded.zero_point is not None
    q = encoded.elements.decode().astype(int) - int(encoded.zero_point.decode().ravel()[0])
    want = (q[0, 0] + 2 * q[0, 1]) * Fraction(float(encoded.scale.decode().ravel()[0]))
    assert matmul_block_scaled(dense, encoded).item() == single(want)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: nbits_values([[16]], [[1.0]]), RangeError, "codes\\[0, 0\\] = 16"),
        (lambda: nbits_values([[1]], [[1.0, 1.0]]), ShapeError, "scales has shape"),
        (lambda: nbits_values([[1]], [[0.1]]), DTypeError, "does not fit float32"),
        (lambda: nbits_values([1], [[1.0]]), ShapeError, "codes has shape"),
        (lambda: nbits_values([[1]], [[1.0]], [[1, 2]]), ShapeError, "zero_points has shape"),
        (lambda: nbits_values([[1]], [[np.inf]]), RangeError, "scales\\[0, 0\\]"),
        (lambda: block_values(([[1.0]], [[1.0, 2.0]])), ShapeError, "scales has shape"),
        (lambda: block_values(([[0.1]], [[F(0.1)]])), RangeError, "need more than float64"),
    ],
)
def test_refusals(call, error, says):
    with pytest.raises(error, match=says):
        call()
