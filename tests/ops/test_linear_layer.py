"""`linear` against its definition, within the bound of Higham, chapter 3."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import refq
from refq.core.errors import FormatError, RangeError, ShapeError
from refq.encodings import (
    CodebookEncoding,
    ConcatenatedEncoding,
    DenseEncoding,
    Encoding,
    FactoredEncoding,
    GeneratedEncoding,
    MaskedEncoding,
    ScaledEncoding,
    SummedEncoding,
    dense,
)
from refq.ops import block_values, exact_matmul, linear_layer
from refq.ops.linear_layer import linear


@dataclass
class Weight:
    """An encoding, its magnitude M, and r: the roundings between a part and the decoded weight."""

    encoding: Encoding
    magnitude: np.ndarray
    roundings: int


def gamma(k: int, dtype: np.dtype) -> float:
    u = float(np.finfo(dtype).eps) / 2
    return k * u / (1 - k * u)


# The magnitudes are written apart from the code: by the equations of the nouns, not by decode.


def numbers(rng, shape):
    return (rng.standard_normal(shape) * 2.0 ** rng.integers(-6, 7, shape)).astype(np.float32)


def plain(rng, m, n, depth):
    form = ["float16", "float32", "float64"][rng.integers(3)]
    leaf = dense(numbers(rng, (m, n)), form)
    return Weight(leaf, np.abs(leaf.decode().astype(np.float64)), 0)


def integers(rng, m, n, depth):
    leaf = dense(rng.integers(-8, 8, (m, n)), "int4")
    return Weight(leaf, np.abs(leaf.decode().astype(np.float64)), 0)


def generated(rng, m, n, depth):
    return Weight(GeneratedEncoding("signs", (m, n), int(rng.integers(99))), np.ones((m, n)), 0)


def scaled(rng, m, n, depth):
    block = [(m, n), (1, n), (2, n), (m, 2), (1, 1)][rng.integers(5)]
    block = (min(block[0], m), min(block[1], n))
    count = (-(-m // block[0]), -(-n // block[1]))
    q = rng.integers(0, 256, (m, n))
    scale = np.abs(numbers(rng, count)) + np.float32(2.0**-10)
    z = rng.integers(0, 256, count)
    offset = numbers(rng, count)
    has_zero, has_offset, real_zero = rng.integers(2), rng.integers(4) == 0, rng.integers(4) == 0
    encoding = ScaledEncoding(
        dense(q, "uint8"),
        dense(scale, "float32"),
        block,
        dense(z, "float32" if real_zero else "uint8") if has_zero else None,
        dense(offset, "float32") if has_offset else None,
    )

    def spread(p):
        return np.repeat(np.repeat(p, block[0], 0), block[1], 1)[:m, :n].astype(np.float64)

    M = spread(scale) * np.abs(q - has_zero * spread(z)) + has_offset * np.abs(spread(offset))
    return Weight(encoding, M, 1 + int(has_offset))


def codebook(rng, m, n, depth):
    width = int(rng.choice([d for d in range(1, n + 1) if n % d == 0]))
    positions, k = n // width, int(rng.integers(1, 5))
    books = numbers(rng, (positions if rng.integers(2) else 1, k, width))
    codes = rng.integers(0, k, (m, positions))
    W = np.concatenate([books[p % len(books), codes[:, p]] for p in range(positions)], axis=1)
    bits = dense(codes, "uint4")
    return Weight(CodebookEncoding(bits, dense(books, "float32"), (m, n)), np.abs(W), 0)


def shared_codewords(rng, m, n, depth):  # codes laid out by rows of one, as k-means keeps them
    books = numbers(rng, (1, 3, 1))
    codes = rng.integers(0, 3, (m * n, 1))
    W = books[0, codes[:, 0], 0].reshape(m, n)
    encoding = CodebookEncoding(dense(codes, "uint4"), dense(books, "float32"), (m, n))
    return Weight(encoding, np.abs(W), 0)


def factored(rng, m, n, depth):
    r = int(rng.integers(1, 4))
    a, b = weight(rng, m, r, depth - 1), weight(rng, r, n, depth - 1)
    subscripts = ["ir,rj->ij", "ab,bc->ac"][rng.integers(2)]
    encoding = FactoredEncoding((a.encoding, b.encoding), subscripts, (m, n))
    return Weight(encoding, a.magnitude @ b.magnitude, a.roundings + b.roundings + r)


def three_factors(rng, m, n, depth):
    a, b, c = numbers(rng, (m, 2)), numbers(rng, (2, 2)), numbers(rng, (2, n))
    parts = tuple(dense(f, "float32") for f in (a, b, c))
    M = np.abs(a).astype(np.float64) @ np.abs(b) @ np.abs(c)
    return Weight(FactoredEncoding(parts, "ia,ab,bj->ij", (m, n)), M, 4)


def masked(rng, m, n, depth):
    shape = [(m, 1), (1, n), (m, n)][rng.integers(3)]
    mask = rng.integers(0, 2, shape)
    kept = np.broadcast_to(mask, (m, n)).astype(bool)
    M = np.zeros((m, n))
    packed = [(int(mask.sum()), n), (m, int(mask.sum()))][shape != (m, 1)]
    if shape != (m, n) and rng.integers(2) and all(packed):
        inner = weight(rng, *packed, depth - 1)
    else:
        values = numbers(rng, int(kept.sum()))
        inner = Weight(dense(values, "float32"), np.abs(values), 0)
    M[kept] = inner.magnitude.reshape(-1)
    return Weight(MaskedEncoding(dense(mask, "uint1"), inner.encoding, (m, n)), M, inner.roundings)


def summed(rng, m, n, depth):
    terms = [weight(rng, m, n, depth - 1) for _ in range(rng.integers(1, 4))]
    encoding = SummedEncoding(tuple(t.encoding for t in terms))
    r = max(t.roundings for t in terms) + len(terms) - 1
    return Weight(encoding, np.sum([t.magnitude for t in terms], axis=0), r)


def concatenated(rng, m, n, depth):
    axis = int(rng.integers(2))
    cut = int(rng.integers(1, (m, n)[axis] + 1))
    sizes = [(cut, n), (m - cut, n)] if axis == 0 else [(m, cut), (m, n - cut)]
    pieces = [weight(rng, *size, depth - 1) for size in sizes if all(size)]
    encoding = ConcatenatedEncoding(tuple(p.encoding for p in pieces), axis)
    M = np.concatenate([p.magnitude for p in pieces], axis=axis)
    return Weight(encoding, M, max(p.roundings for p in pieces) + len(pieces) - 1)


LEAVES = [plain, integers, generated, codebook, shared_codewords, three_factors, scaled]
NODES = [factored, masked, summed, concatenated]


def weight(rng, m, n, depth):
    kinds = LEAVES + NODES if depth > 0 else LEAVES
    return kinds[rng.integers(len(kinds))](rng, m, n, depth)


def assert_within_the_bound(w, x, bias=None):
    W = w.encoding.decode()
    y = linear(w.encoding, x, bias)
    definition = x.astype(y.dtype) @ W.astype(y.dtype).T
    reach = np.abs(x).astype(np.float64) @ w.magnitude.T
    if bias is not None:
        definition = definition + bias.astype(y.dtype)
        reach = reach + np.abs(bias)
    # both sides: in products, r roundings, one sum with the bias; some part may decode in float32
    n, r = x.shape[-1], w.roundings
    slack = 2 * gamma(n + r + 1, y.dtype) + 2 * gamma(r, np.dtype(np.float32))
    bound = slack * reach * (1 + 1e-12) + 2.0**-120  # 2^-120: what underflow can lose, and more
    assert y.shape == (*x.shape[:-1], W.shape[0])
    assert y.dtype == np.result_type(x, W, np.float32, *([] if bias is None else [bias]))
    assert (np.abs(y.astype(np.float64) - definition) <= bound).all()


@pytest.mark.parametrize("kind", LEAVES + NODES, ids=lambda f: f.__name__)
@given(
    m=st.integers(1, 6),
    n=st.integers(1, 8),
    seed=st.integers(0, 2**32 - 1),
    dtype=st.sampled_from([np.float32, np.float64]),
    lead=st.sampled_from([(), (3,), (2, 2), (0,)]),
    with_bias=st.booleans(),
)
def test_it_is_the_definition_within_the_bound(kind, m, n, seed, dtype, lead, with_bias):
    rng = np.random.default_rng(seed)
    w = kind(rng, m, n, depth=2)
    x = numbers(rng, (*lead, n)).astype(dtype)
    assert_within_the_bound(w, x, numbers(rng, m).astype(dtype) if with_bias else None)


@pytest.mark.parametrize(("m", "n"), [(0, 3), (3, 0), (0, 0)])
def test_empty_weights(m, n):
    y = linear(dense(np.zeros((m, n), np.float32)), np.ones((2, n), np.float32))
    assert y.shape == (2, m)
    assert not y.any()


def forbid_decoding(monkeypatch, *nouns):
    def refuse(self, parts):
        raise RuntimeError("decoded")

    for noun in nouns:
        monkeypatch.setattr(noun, "combine", refuse)


ONE = dense([[1.0, 2.0], [3.0, 4.0]], "float32")
MASK_ROW, MASK_COLUMN = dense([[1], [0]], "uint1"), dense([[1, 0]], "uint1")
BOOK = dense([[[1.0, 2.0], [3.0, 4.0]]], "float32")


@pytest.mark.parametrize(
    ("encoding", "want"),
    [
        (FactoredEncoding((ONE, ONE), "ir,rj->ij", (2, 2)), [27.0, 59.0]),
        (
            ScaledEncoding(dense([[1, 2], [3, 4]], "int4"), dense([[2.0]], "float32"), (2, 2)),
            [10, 22],
        ),
        (
            ScaledEncoding(
                dense([[1, 2], [3, 4]], "uint4"),
                dense([[2.0], [0.5]], "float32"),
                (1, 2),
                dense([[1], [5]], "uint4"),
            ),
            [4.0, -2.0],
        ),
        (CodebookEncoding(dense([[0], [1]], "uint1"), BOOK, (2, 2)), [5.0, 11.0]),
        (MaskedEncoding(MASK_ROW, dense([[1.0, 2.0]], "float32"), (2, 2)), [5.0, 0.0]),
        (MaskedEncoding(MASK_COLUMN, dense([[1.0], [3.0]], "float32"), (2, 2)), [1.0, 3.0]),
        (SummedEncoding((ONE, ONE)), [10.0, 22.0]),
        (ConcatenatedEncoding((ONE, ONE), 0), [5.0, 11.0, 5.0, 11.0]),
    ],
)
def test_by_hand_and_the_weight_is_never_made(monkeypatch, encoding, want):
    forbid_decoding(monkeypatch, type(encoding))
    assert linear(encoding, np.array([1.0, 2.0], np.float32)).tolist() == want


def test_columns_side_by_side_are_a_sum_over_slices(monkeypatch):
    forbid_decoding(monkeypatch, ConcatenatedEncoding)
    y = linear(ConcatenatedEncoding((ONE, ONE), 1), np.array([1.0, 2.0, 10.0, 20.0], np.float32))
    assert y.tolist() == [55.0, 121.0]


def test_removed_rows_are_not_multiplied():
    rng = np.random.default_rng(0)
    kept = dense(rng.standard_normal((1, 4)), "float32")
    x = rng.standard_normal((3, 4)).astype(np.float32)
    y = linear(MaskedEncoding(dense([[0], [1], [0]], "uint1"), kept, (3, 4)), x)
    assert not y[:, [0, 2]].any()
    assert (y[:, 1] == (x @ kept.decode().T)[:, 0]).all()


def test_factors_that_end_in_a_reshape_are_decoded():
    e = FactoredEncoding((ONE, ONE), "ir,rj->ij", (1, 4))
    assert linear(e, [1.0, 1.0, 1.0, 1.0]).tolist() == [54.0]


def test_factors_in_the_other_order_are_decoded():
    e = FactoredEncoding((ONE, ONE), "ri,rj->ij", (2, 2))
    assert linear(e, [1.0, 0.0]).tolist() == [10.0, 14.0]


def test_shared_nodes_cannot_blow_it_up(monkeypatch):
    e: Encoding = dense(np.ones((1, 1), np.float32))
    for _ in range(4):  # 11^4 visits if every path were walked
        e = SummedEncoding((e,) * 11)
    calls = []
    product = linear_layer._decoded_product
    monkeypatch.setattr(linear_layer, "_decoded_product", lambda *a: calls.append(a) or product(*a))
    assert linear(e, [1.0]).tolist() == [11.0**4]
    assert len(calls) == 1


def test_deep_graphs_need_no_recursion():
    e: Encoding = dense(np.ones((1, 1), np.float32))
    for _ in range(100):
        e = SummedEncoding((e,))
    assert linear(e, [3.0]).tolist() == [3.0]


def test_wide_integers_and_double_biases_make_float64():
    wide = dense([[2**24 + 1]], "int32")
    assert linear(wide, np.float32([1.0])).tolist() == [2.0**24 + 1]
    assert linear(ONE, np.float32([1, 1]), np.float64([0.1, 0.0]))[0] == 3.1


@pytest.mark.parametrize(
    ("encoding", "x", "bias", "error"),
    [
        (dense([1.0]), [1.0], None, ShapeError),
        (ONE, 1.0, None, ShapeError),
        (ONE, [1.0], None, ShapeError),
        (ONE, [1.0, 2.0], [1.0], ShapeError),
        (ONE, [1.0, 2.0], 1.0, ShapeError),
        (ONE, [1.0, float("nan")], None, RangeError),
        (ONE, [1.0, 2.0], [float("inf"), 0.0], RangeError),
        (ONE, np.float32([3e38, 3e38]), None, RangeError),
        (CodebookEncoding(dense([[0], [3]], "uint2"), BOOK, (2, 2)), [1.0, 2.0], None, FormatError),
        (CodebookEncoding(dense([[0], [-1]], "int2"), BOOK, (2, 2)), [1.0, 2.0], None, FormatError),
        (
            MaskedEncoding(dense([[2], [0]], "uint2"), dense([[1.0, 2.0]]), (2, 2)),
            [1.0, 2.0],
            None,
            FormatError,
        ),
        (
            MaskedEncoding(MASK_ROW, dense([[1.0, 2.0], [1.0, 2.0]]), (2, 2)),
            [1.0, 2.0],
            None,
            FormatError,
        ),
    ],
)
def test_errors(encoding, x, bias, error):
    with pytest.raises(error):
        linear(encoding, x, bias)


def test_a_scale_that_is_not_finite_is_an_error():
    infinite = DenseEncoding(np.array([[0x7C00]], np.uint16), "float16")
    e = ScaledEncoding(dense([[1, 0]], "int4"), infinite, (1, 2))
    with pytest.raises(RangeError, match=r"y\[0\]"):
        linear(e, [0.0, 1.0])


def test_every_layout_gives_the_same_bits():
    rng = np.random.default_rng(1)
    w = scaled(rng, 4, 6, 0).encoding
    x = numbers(rng, (5, 6))
    want = linear(w, x)
    twice = np.repeat(np.repeat(x, 2, 0), 2, 1)
    frozen = x.copy()
    frozen.flags.writeable = False
    for layout in (
        np.asfortranarray(x),
        x[::-1, ::-1].copy()[::-1, ::-1],
        twice[::2, ::2],
        frozen,
        x.astype(x.dtype.newbyteorder()),
    ):
        got = linear(w, layout)
        assert got.tobytes() == want.tobytes()


# Activations that are encoded: W8A8, W8A16, W4A16 by one call ----------------------------------

WIDTHS = {
    "W8A8 static": (
        8,
        refq.PerAxis(0),
        lambda cal, x: refq.AffineQuantizer(bits=8).fit(cal).encode(x),
    ),
    "W8A8 asymmetric": (
        8,
        refq.PerAxis(0),
        lambda cal, x: refq.AffineQuantizer(bits=8, scheme="asymmetric").fit(cal).encode(x),
    ),
    "W8A8 dynamic per token": (
        8,
        refq.PerAxis(0),
        lambda cal, x: refq.AffineQuantizer(bits=8, granularity=refq.PerToken()).fit(x).encode(x),
    ),
    "W8A16": (8, refq.PerAxis(0), lambda cal, x: refq.Cast("float16").fit(x).encode(x)),
    "W8A16 bfloat16": (8, refq.PerTensor(), lambda cal, x: refq.Cast("bfloat16").fit(x).encode(x)),
    "W4A16": (4, refq.PerGroup(16), lambda cal, x: refq.Cast("float16").fit(x).encode(x)),
    "W4A8": (4, refq.PerAxis(0), lambda cal, x: refq.AffineQuantizer(bits=8).fit(cal).encode(x)),
}


@pytest.mark.parametrize("scheme", ["symmetric", "asymmetric"])
@pytest.mark.parametrize("name", WIDTHS)
def test_every_width_by_one_call(name, scheme):
    bits, granularity, encode = WIDTHS[name]
    rng = np.random.default_rng(0)
    W, x = (rng.standard_normal(s).astype(np.float32) for s in ((7, 50), (5, 50)))
    bias = rng.standard_normal(7).astype(np.float32)
    method = refq.AffineQuantizer(bits=bits, granularity=granularity, scheme=scheme)
    weight, activations = method.fit(W).encode(W), encode(x * 2, x)
    y = linear(weight, activations, bias)
    assert y.dtype == np.float32
    values = block_values(activations), block_values(weight)
    exact = exact_matmul(*values) + [Fraction(float(b)) for b in bias]
    if "A8" in name:  # integers: three float64 roundings and one of float32
        size = np.abs(exact_matmul(*values)) + [abs(Fraction(float(b))) for b in bias]
        bound = size * Fraction(1 + 2**-20) / 2**24
    else:  # gamma(in + r + 1) with the bias, see the module's text
        u = 2.0**-24
        gamma = (50 + 3) * u / (1 - (50 + 3) * u)
        bound = gamma * (np.abs(values[0]) @ np.abs(values[1]).T + np.abs(bias)) * (1 + 2**-20)
    error = np.abs(np.array([[Fraction(float(v)) for v in row] for row in y]) - exact)
    assert (error <= bound).all()


def test_integer_activations_are_summed_in_integers():
    # the sum needs 28 bits: float32 would round it before the bias is added, int32 does not
    k = 16_384
    q = np.full((1, k), 127, np.int8)
    one = refq.dense(np.float32([[1.0]]))
    weight = refq.ScaledEncoding(refq.dense(q, "int8"), one, (1, k))
    half = q.copy()
    half[0, -1] = 126
    x = refq.ScaledEncoding(refq.dense(half, "int8"), one, (1, k))
    minus = np.float32([-127 * 127 * k])  # 16,129 * 2^14: exact
    assert linear(weight, x, minus).item() == -127
    assert linear(weight, x).item() == float(np.float32(127 * 127 * k - 127))
