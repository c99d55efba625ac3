"""What every noun inherits: the graph, the count of bits, gradients, leaves by path."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.conformance.drawn_encodings import encodings
from refq.core.errors import DTypeError, ShapeError
from refq.encodings import (
    NOUNS,
    CodebookEncoding,
    ConcatenatedEncoding,
    DenseEncoding,
    Encoding,
    FactoredEncoding,
    GeneratedEncoding,
    Leaf,
    MaskedEncoding,
    ScaledEncoding,
    SummedEncoding,
    dense,
)
from refq.encodings.encoding import check_part, check_parts, result_dtype


def test_there_are_eight_nouns():
    own = {n for n, c in NOUNS.items() if c.__module__.startswith("refq.encodings.")}
    words = "Dense Generated Scaled Codebook Concatenated Summed Factored Masked"
    assert own == {f"{word}Encoding" for word in words.split()}


def deep_compression():
    codes = dense([[0], [1], [1]], "uint1", "huffman")
    book = dense([[[0.5], [-2.0]]], "float16")
    mask = dense([[1, 0], [1, 1]], "uint1")
    return MaskedEncoding(mask, CodebookEncoding(codes, book, (3,)), (2, 2))


def test_parts_nodes_and_paths():
    e = deep_compression()
    assert list(e.parts()) == ["mask", "values"]
    assert [type(n).__name__ for n in e.nodes()] == [
        "DenseEncoding",
        "DenseEncoding",
        "DenseEncoding",
        "CodebookEncoding",
        "MaskedEncoding",
    ]
    assert list(e.leaves()) == ["mask", "values.codes", "values.codebook"]
    assert list(e.float_leaves()) == ["values.codebook"]
    assert list(dense([1.0]).leaves()) == ["codes"]
    assert (e.size, e.ndim) == (4, 2)


def test_encodings_compare_by_identity_and_do_not_change():
    a, b = dense([1.0]), dense([1.0])
    assert a != b
    assert len({a, b, a}) == 2
    with pytest.raises(AttributeError):
        a.format = "float16"


def test_bits_are_counted_once_for_a_shared_leaf():
    leaf = dense([1.0, 2.0], "float16")
    both = SummedEncoding((leaf, ScaledEncoding(leaf, dense([2.0], "float16"), (2,))))
    assert both.stored_bits == 32 + 16
    assert both.bits_per_weight == 24
    assert list(both.leaves()) == ["terms.0", "terms.1.scale"]


def test_map_leaves_keeps_sharing_and_untouched_nodes():
    leaf, other = dense([1.0], "float32"), dense([5], "int8")
    half = SummedEncoding((leaf, leaf))
    kept = SummedEncoding((other,))
    e = SummedEncoding((half, half, kept))
    calls = []

    def double(part):
        calls.append(part)
        return dense(2 * part.decode(), "float32") if part is leaf else part

    new = e.map_leaves(double)
    assert calls == [leaf, other]
    assert new.terms[0] is new.terms[1]
    assert new.terms[0].terms[0] is new.terms[0].terms[1]
    assert new.terms[2] is kept
    assert new.decode().tolist() == [13.0]
    assert e.decode().tolist() == [9.0]
    assert e.map_leaves(lambda part: part) is e


def test_replace_leaves():
    e = deep_compression()
    new = e.replace_leaves({"values.codebook": np.array([[[3.0], [4.0]]])}, "float64")
    assert new.decode().tolist() == [[3.0, 0.0], [4.0, 4.0]]
    assert new.decode().dtype == np.float64
    assert new.mask is e.mask
    with pytest.raises(
        ShapeError, match=r"'mask' is no float leaf; there are \['values.codebook'\]"
    ):
        e.replace_leaves({"mask": np.zeros((2, 2))})
    with pytest.raises(ShapeError, match=r"has shape \(2,\); the leaf has \(1, 2, 1\)"):
        e.replace_leaves({"values.codebook": np.zeros(2)})


def test_decode_gives_a_new_array_each_time():
    e = dense([1.0, 2.0])
    first = e.decode()
    first[0] = 9
    assert e.decode().tolist() == [1.0, 2.0]


@given(encodings())
def test_any_graph(e):
    x = e.decode()
    assert (x.shape, x.dtype) == (e.shape, e.dtype)
    back = Encoding.from_bytes(e.to_bytes())
    assert back.decode().tobytes() == x.tobytes()
    assert len(back.nodes()) == len(e.nodes())
    assert back.stored_bits == e.stored_bits == sum(v.leaf_bits for v in e.leaves().values())
    assert 0 <= 8 * e.payload_bytes - e.stored_bits < 8 * max(len(e.leaves()), 1)
    assert back.to_bytes() == e.to_bytes()


def as_float64(e):
    """Keep every float leaf in float64, so that steps are not rounded away."""
    return e.replace_leaves({p: v.decode() for p, v in e.float_leaves().items()}, "float64")


SMALL = {
    "scaled": ScaledEncoding(
        dense([[3, -1, 2]], "int4"),
        dense([[0.5, 2.0]]),
        (1, 2),
        dense([[1.5, 1.0]]),
        dense([[0.25, 0.5]]),
    ),
    "codebook": deep_compression(),
    "float elements": ScaledEncoding(dense([1.0, 2.0]), dense([3.0]), (2,)),
    "two levels": ScaledEncoding(
        dense([1, 2, 3], "int4"),
        ScaledEncoding(dense([2, 3], "uint4"), dense([0.5]), (2,)),
        (2,),
    ),
    "factors": FactoredEncoding((dense([[1.0], [2.0]]), dense([[3.0, 4.0]])), "ir,rj->ij", (4,)),
    "pieces": ConcatenatedEncoding((dense([1.0]), dense([2.0, 3.0]))),
    "shared": SummedEncoding((SMALL_LEAF := dense([1.0, 2.0]), SMALL_LEAF)),
    "rotation": FactoredEncoding(
        (GeneratedEncoding("hadamard", (2, 2)), dense([1.0, -2.0])), "ij,j->i", (2,)
    ),
}


@pytest.mark.parametrize("name", SMALL)
def test_pullback_against_central_differences(name):
    e = as_float64(SMALL[name])
    grad = np.random.default_rng(0).standard_normal(e.shape)
    pulled = e.pullback(grad)
    assert list(pulled) == list(e.float_leaves())
    step = 2.0**-20
    for path, leaf in e.float_leaves().items():
        for index in np.ndindex(*leaf.shape):
            losses = []
            for sign in (1, -1):
                values = leaf.decode()
                values[index] += sign * step
                losses.append(float((e.replace_leaves({path: values}).decode() * grad).sum()))
            slope = (losses[0] - losses[1]) / (2 * step)
            # the decode is multilinear: the quotient is exact but for rounding, 2^-52 / 2^-20
            assert pulled[path][index] == pytest.approx(slope, abs=1e-7)


def test_pullback_keeps_the_gradients_dtype_and_fills_zeros():
    e = MaskedEncoding(dense([0, 0], "uint1"), dense(np.zeros(0)), (2,))
    pulled = SummedEncoding((e, dense([1.0, 2.0]))).pullback(np.ones(2, np.float32))
    assert {k: (v.dtype, v.shape) for k, v in pulled.items()} == {
        "terms.0.values": (np.float32, (0,)),
        "terms.1": (np.float32, (2,)),
    }
    codes = CodebookEncoding(dense([[0]], "uint1"), dense([[[1], [2]]], "int8"), (1,))
    assert codes.pullback(np.ones(1)) == {}
    with pytest.raises(ShapeError, match=r"grad has shape \(3,\); the encoding has \(1,\)"):
        codes.pullback(np.ones(3))


def test_result_dtype_and_parts():
    assert result_dtype(np.dtype(np.int8)) == np.float32
    assert result_dtype(np.zeros(1), np.dtype(np.float32)) == np.float64
    leaf = dense([1.0])
    assert check_part(leaf, "scale") is leaf
    assert check_parts([leaf], "terms") == (leaf,)
    with pytest.raises(DTypeError, match=r"terms is a DenseEncoding; a tuple"):
        check_parts(leaf, "terms")


def test_repr():
    assert repr(dense([1.0], "float16")) == (
        "DenseEncoding(shape=(1,), format='float16', coding='raw', bits_per_weight=16)"
    )
    assert repr(deep_compression()).startswith("MaskedEncoding(shape=(2, 2), bits_per_weight=")


def test_a_leaf_is_abstract():
    for kind in (Encoding, Leaf):
        with pytest.raises(TypeError, match="abstract"):
            kind()
    assert issubclass(DenseEncoding, Leaf)


@given(st.data())
def test_entropy_coded_graphs_pull_back_alike(data):
    from refq.encodings import entropy_code

    e = data.draw(encodings(depth=1))
    grad = np.ones(e.shape)
    before, after = e.pullback(grad), entropy_code(e).pullback(grad)
    assert list(before) == list(after)
    for path, values in before.items():
        np.testing.assert_array_equal(values, after[path])
