"""Nearest codewords against fractions: ties, near ties, huge and tiny numbers, layouts."""

import os
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refq.conformance.strategies import edges_of, strategy_of
from refq.conformance.strategies.numerics import near_midpoints
from refq.core.errors import DTypeError, RangeError, ShapeError
from refq.core.twins import registry
from refq.numerics import nearest, nearest_codeword, squared_distances


def oracle(X, codebook):
    """The lowest index of the least distance, in rational arithmetic."""
    codes = []
    for x in X.tolist():
        distances = [
            sum(((Fraction(a) - Fraction(b)) ** 2 for a, b in zip(x, c, strict=True)), Fraction(0))
            for c in codebook.tolist()
        ]
        codes.append(distances.index(min(distances)))
    return codes


@given(st.sampled_from([np.float32, np.float64]).flatmap(near_midpoints))
@example((np.array([[0.5]]), np.array([[1.0], [0.0]])))
@example((np.array([[0.5]]), np.array([[0.0], [1.0]])))
@example((np.array([[0.0, -0.0]]), np.array([[-0.0, 1.0], [0.0, 0.0], [-0.0, -0.0]])))
def test_it_is_the_nearest_in_exact_arithmetic(case):
    X, codebook = case
    assert nearest_codeword(X, codebook).tolist() == oracle(X, codebook)


@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=6),
    st.data(),
)
def test_on_a_line_with_any_float32_exponents(levels, data):
    codebook = np.array(levels, np.float32)[:, None]
    picks = st.tuples(st.sampled_from(levels), st.sampled_from(levels), st.integers(-3, 3))
    points = []
    for a, b, ulps in data.draw(st.lists(picks, max_size=5)):
        middle = np.float32(a / 2 + b / 2)  # float64 first: no overflow, rounded once
        for _ in range(abs(ulps)):
            with np.errstate(over="ignore"):
                middle = np.nextafter(middle, np.float32(np.sign(ulps) * np.inf))
        if np.isfinite(middle):
            points.append(middle)
    X = np.array(points, np.float32).reshape(-1, 1)
    assert nearest_codeword(X, codebook).tolist() == oracle(X, codebook)


@given(
    st.integers(2, 3).flatmap(
        lambda d: st.tuples(
            *[
                st.lists(
                    st.lists(
                        st.sampled_from([0.0, 1.0, 1e20, -1e20, 3e38, 1e-45, 1e-30, 1 + 2**-23]),
                        min_size=d,
                        max_size=d,
                    ),
                    min_size=1,
                    max_size=4,
                )
                for _ in range(2)
            ]
        )
    )
)
def test_coordinates_of_wild_magnitudes(case):
    X, codebook = (np.array(a, np.float32) for a in case)
    assert nearest_codeword(X, codebook).tolist() == oracle(X, codebook)


def test_float64_near_midpoints_that_float64_distances_cannot_tell():
    # the distances differ by one part in 2^104
    X = np.array([[1.0, 1.0]])
    codebook = np.array([[2.0, 1.0], [1.0 + 2.0**-52, 2.0], [1.0, 2.0], [0.0, 1.0]])
    assert nearest_codeword(X, codebook).tolist() == [0]
    codebook[0, 1] += 2.0**-52
    assert nearest_codeword(X, codebook).tolist() == [2]
    assert nearest_codeword(X, codebook[:2]).tolist() == [0]


def test_the_sum_of_two_codewords_may_round():
    # 2 x == fl(a + b), but a + b is more: x belongs to a, the lower one, though b comes first
    a, b = 1.0, 2.0**-60
    x = np.array([[(a + b) / 2]])
    assert nearest_codeword(x, np.array([[a], [b]])).tolist() == [1]
    assert nearest_codeword(x, np.array([[a], [-b]])).tolist() == [0]


def test_underflow_of_squares_decides_nothing():
    X = np.array([[0.0, 0.0]])
    codebook = np.array([[2e-300, 1e-300], [1e-300, 1e-300], [1e-300, -1e-300]])
    assert nearest_codeword(X, codebook).tolist() == [1]
    # squares of 1.4 and 2.6 units round to 1 and 3: 1 + 1 < 3, but 1.4 + 1.4 > 2.6
    codebook = np.sqrt([[1.4, 1.4], [2.6, 0.0]]) * 2.0**-537
    assert squared_distances(X, codebook).argmin() == 0
    assert nearest_codeword(X, codebook).tolist() == oracle(X, codebook) == [1]


def test_many_ties_over_several_chunks(monkeypatch):
    monkeypatch.setattr(nearest, "_CHUNK", 8)
    X = np.stack(np.meshgrid(np.arange(5.0), np.arange(5.0)), axis=-1).reshape(-1, 2)
    codebook = np.array([[4, 4], [0, 0], [4, 0], [2, 2], [0, 4], [2, 2.0]])
    assert nearest_codeword(X, codebook).tolist() == oracle(X, codebook)


def test_huge_coordinates_are_an_error_never_a_code():
    program = (
        "import numpy as np\n"
        "from refq.numerics import nearest_codeword\n"
        "x = np.float32([[1e20, 1e20]])\n"
        "print(nearest_codeword(x, np.float32([[-1e20, 1e20], [2e20, 1e20]]))[0])\n"
        "try:\n"
        "    nearest_codeword(np.array([[1.0, 1e160]]), np.zeros((2, 2)))\n"
        "except ValueError as error:\n"
        "    print(type(error).__name__, str(error)[:15])\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert run.stdout.split("\n")[:2] == ["1", "RangeError X[0, 1] = 1e+16"]


@pytest.mark.parametrize("d", [1, 2])
def test_the_limit_and_one_past_it(d):
    X = np.zeros((1, d))
    codebook = np.full((2, d), nearest.LIMIT)
    codebook[0] *= -1
    assert nearest_codeword(X, codebook).tolist() == [0]
    with pytest.raises(RangeError, match=r"codebook\[1, 0\]"):
        nearest_codeword(X, np.nextafter(codebook, np.inf))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("d", [1, 3])
def test_layouts_give_the_same_codes_and_change_nothing(dtype, d):
    rng = np.random.default_rng(0)
    X, codebook = rng.standard_normal((30, d)).astype(dtype), rng.standard_normal((7, d))
    want = nearest_codeword(X, codebook)
    frozen = X.copy()
    frozen.flags.writeable = False
    wide = np.zeros((60, 2 * d), dtype)
    wide[::2, ::2] = X
    for same in (np.asfortranarray(X), X.astype(X.dtype.newbyteorder(">")), frozen, wide[::2, ::2]):
        assert nearest_codeword(same, codebook).tolist() == want.tolist()
    assert nearest_codeword(X[::-1], codebook).tolist() == want[::-1].tolist()
    assert want.dtype == np.int64
    assert X.tobytes() == frozen.tobytes()


def test_errors():
    with pytest.raises(ShapeError, match="two axes"):
        nearest_codeword([1.0], [[1.0]])
    with pytest.raises(ShapeError, match="at least 1"):
        nearest_codeword(np.zeros((2, 3)), np.zeros((0, 3)))
    with pytest.raises(ShapeError, match=r"needs \(K, 3\)"):
        nearest_codeword(np.zeros((2, 3)), np.zeros((1, 2)))
    with pytest.raises(ShapeError, match="columns"):
        nearest_codeword(np.zeros((2, 0)), np.zeros((1, 0)))
    with pytest.raises(RangeError, match=r"X\[1, 0\] = nan"):
        nearest_codeword([[0.0], [np.nan]], [[0.0]])
    with pytest.raises(RangeError, match=r"codebook\[0, 0\] = inf"):
        nearest_codeword([[0.0]], [[np.inf]])
    with pytest.raises(DTypeError):
        nearest_codeword([["a"]], [[0.0]])
    assert nearest_codeword(np.zeros((0, 3)), np.zeros((1, 3))).shape == (0,)


@given(near_midpoints())
def test_distances_hold_their_bound(case):
    X, codebook = case
    got = squared_distances(X, codebook)
    slack = (X.shape[1] + 3) * Fraction(1, 2**53)
    for i, x in enumerate(X.tolist()):
        for k, c in enumerate(codebook.tolist()):
            exact = sum((Fraction(a) - Fraction(b)) ** 2 for a, b in zip(x, c, strict=True))
            assert (
                abs(Fraction(got[i, k]) - exact)
                <= slack * exact + X.shape[1] * Fraction(2) ** -1074
            )


def assert_twins_agree(name, arguments):
    pair = registry[name]
    want, got = pair.definition(*arguments), pair(*arguments)
    source = pair.python(*arguments)
    for a, b, c in zip(want, got, source, strict=True):
        assert a.dtype == b.dtype == c.dtype
        assert a.shape == b.shape == c.shape
        assert a.tobytes() == b.tobytes() == c.tobytes()


NAMES = ["refq.numerics.nearest.nearest_two"]


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_kernel_equals_definition(name, data):
    assert_twins_agree(name, data.draw(strategy_of(name)))


@pytest.mark.parametrize("name", NAMES)
def test_kernel_equals_definition_at_the_edges(name):
    for arguments in edges_of(name):
        assert_twins_agree(name, arguments)
