"""Factors, the einsum that joins them, a final reshape."""

import itertools

import numpy as np
import pytest

from refq.core.errors import DTypeError, FormatError, LimitError, ShapeError
from refq.encodings import Encoding, FactoredEncoding, GeneratedEncoding, dense

CASES = {
    "svd": ("ir,rj->ij", [(3, 2), (2, 4)]),
    "diagonal": ("ir,r,jr->ij", [(3, 2), (2,), (4, 2)]),
    "cp": ("ir,jr,kr->ijk", [(2, 3), (3, 3), (2, 3)]),
    "tucker2": ("oa,abhw,ib->oihw", [(3, 2), (2, 2, 1, 2), (3, 2)]),
    "train": ("ia,ajb,bk->ijk", [(2, 2), (2, 3, 2), (2, 2)]),
    "kronecker": ("ij,kl->ikjl", [(2, 3), (2, 2)]),
    "transpose": ("ij->ji", [(2, 3)]),
    "product": ("ij,ij->ij", [(2, 3), (2, 3)]),
    "scalar": ("i,i->", [(3,), (3,)]),
    "nothing": ("->", [()]),
}


def drawn(name):
    rng = np.random.default_rng(3)
    rule, shapes = CASES[name]
    return rule, [rng.integers(-3, 4, s).astype(np.float32) for s in shapes]


def oracle(rule, arrays):
    left, _, result = rule.partition("->")
    terms = left.split(",")
    lengths = {
        c: n for t, a in zip(terms, arrays, strict=True) for c, n in zip(t, a.shape, strict=True)
    }
    out = np.zeros([lengths[c] for c in result])
    letters = list(lengths)
    for index in itertools.product(*[range(lengths[c]) for c in letters]):
        at = dict(zip(letters, index, strict=True))
        product = 1.0
        for term, a in zip(terms, arrays, strict=True):
            product *= float(a[tuple(at[c] for c in term)])
        out[tuple(at[c] for c in result)] += product
    return out


@pytest.mark.parametrize("name", CASES)
def test_small_integers_are_joined_exactly(name):
    rule, arrays = drawn(name)
    want = oracle(rule, arrays)
    e = FactoredEncoding(tuple(map(dense, arrays)), rule, want.shape)
    assert e.decode().dtype == np.float32
    np.testing.assert_array_equal(e.decode(), want)
    flat = FactoredEncoding(e.factors, rule, (want.size,))
    np.testing.assert_array_equal(flat.decode(), want.reshape(-1))
    np.testing.assert_array_equal(Encoding.from_bytes(e.to_bytes()).decode(), want)


@pytest.mark.parametrize("name", CASES)
def test_pullback_against_central_differences(name):
    """The map is linear in each factor: the difference quotient is exact but for rounding."""
    rule, arrays = drawn(name)
    shape = oracle(rule, arrays).shape
    e = FactoredEncoding(tuple(dense(a.astype(np.float64)) for a in arrays), rule, shape)
    grad = np.random.default_rng(4).integers(-2, 3, shape).astype(np.float64)
    pulled = e.pullback(grad)
    for i, a in enumerate(arrays):
        for index in np.ndindex(*a.shape):
            sides = []
            for step in (1.0, -1.0):
                moved = [b.astype(np.float64) for b in arrays]
                moved[i][index] += step
                sides.append(float((oracle(rule, moved) * grad).sum()))
            assert pulled[f"factors.{i}"][index] == (sides[0] - sides[1]) / 2


def test_an_intermediate_past_the_limit_is_refused_before_it_is_made():
    long = GeneratedEncoding("ones", (1 << 18, 1))
    with pytest.raises(LimitError, match="makes an intermediate past"):
        FactoredEncoding((long, long, long, long), "ia,ja,ib,jb->", ())


def test_more_letters_than_axes():
    import string

    some = string.ascii_letters[:33]
    ones = dense(np.ones((1,) * 11))
    terms = [some[i : i + 11] for i in (0, 11, 22)]
    rule = ",".join([*terms, *terms]) + "->"
    with pytest.raises(LimitError, match="33 letters; at most 32"):
        FactoredEncoding((ones,) * 6, rule, ())


@pytest.mark.parametrize(
    ("rule", "kind", "message"),
    [
        ("ir,rj", FormatError, "is no 'ab,bc->ac'"),
        ("ir,rj->i j", FormatError, "is no"),
        ("ir,rj->ij\n", FormatError, "is no"),
        ("...r,rj->ij", FormatError, "is no"),
        (3, FormatError, "is no"),
        ("ir->ir", FormatError, "needs 1 factors, not the 2"),
        ("ir,rr->ir", FormatError, "repeats a letter"),
        ("ir,rj->ii", FormatError, "repeats a letter"),
        ("ir,rj->ik", FormatError, "stands in one term"),
        ("ir,rj->i", FormatError, "j stands in one term"),
        ("i,rj->ij", ShapeError, r"factors\[0\] has shape \(3, 2\); 'i' is needed"),
        ("ir,jr->ij", ShapeError, r"factors\[1\]: r is 4 here and 2"),
        ("ir,rj->ji", None, None),
    ],
)
def test_subscripts(rule, kind, message):
    a, b = dense(np.ones((3, 2))), dense(np.ones((2, 4)))
    if kind is None:
        assert FactoredEncoding((a, b), rule, (4, 3)).decode().shape == (4, 3)
        return
    with pytest.raises(kind, match=message):
        FactoredEncoding((a, b), rule, (3, 4))


def test_shapes_and_parts():
    a = dense(np.ones((2, 2)))
    with pytest.raises(ShapeError, match="does not reshape to"):
        FactoredEncoding((a, a), "ir,rj->ij", (5,))
    with pytest.raises(DTypeError, match=r"factors\[1\] is a ndarray"):
        FactoredEncoding((a, np.ones((2, 2))), "ir,rj->ij", (2, 2))
    with pytest.raises(FormatError, match="needs 1 factors, not the 0"):
        FactoredEncoding((), "->", ())
    assert FactoredEncoding([a, a], "ir,rj->ij", [4]).decode().tolist() == [2.0] * 4


def test_a_rank_of_zero_and_empty_arrays():
    e = FactoredEncoding((dense(np.ones((2, 0))), dense(np.ones((0, 3)))), "ir,rj->ij", (2, 3))
    assert e.decode().tolist() == [[0.0] * 3] * 2
