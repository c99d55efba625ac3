"""Huffman's code lengths against brute force, and the entropy bounds in integers."""

from decimal import Decimal, localcontext
from fractions import Fraction
from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.codings import canonical_codes, code_lengths, entropy, mean_length
from refq.codings.prefix_codes import MAX_DEPTH, length_tally, merge_depths, merge_depths_kernel
from refq.conformance.strategies import codings as _registers  # noqa: F401
from refq.conformance.strategies import edges_of, strategy_of
from refq.core.errors import DTypeError, FormatError, LimitError, RangeError, ShapeError

#: ties and depth: small counts, equal counts, powers of two
COUNT = (
    st.sampled_from([1, 2, 3]) | st.integers(1, 40) | st.sampled_from([1 << k for k in range(9)])
)
COUNTS = st.lists(COUNT, min_size=2, max_size=30)


def kraft(lengths):
    return sum((Fraction(1, 2**n) for n in lengths if n), Fraction(0))


@cache
def feasible(m):
    """Every vector of m codeword lengths that some prefix code has (Kraft)."""
    return [v for v in product(range(1, m), repeat=m) if kraft(v) <= 1]


def fibonacci(m):
    a, b, out = 1, 1, []
    for _ in range(m):
        out.append(a)
        a, b = b, a + b
    return out


@given(st.lists(COUNT, min_size=2, max_size=5))
def test_no_prefix_code_is_shorter(counts):
    def cost(lengths):
        return sum(c * n for c, n in zip(counts, lengths, strict=True))

    got = code_lengths(counts).tolist()
    best = min(map(cost, feasible(len(counts))))
    assert cost(got) == best
    # the tie rule: among the best codes, none has a shorter longest codeword
    assert max(got) == min(max(v) for v in feasible(len(counts)) if cost(v) == best)


@given(COUNTS)
def test_entropy_bounds_and_kraft_in_integers(counts):
    lengths = code_lengths(counts).tolist()
    assert kraft(lengths) == 1
    # H <= L < H + 1, multiplied by n and raised: prod (n/c)^c <= 2^(sum c l) < 2^n prod (n/c)^c
    n, power = sum(counts), 1
    for c in counts:
        power *= c**c
    total = 2 ** sum(c * w for c, w in zip(counts, lengths, strict=True))
    assert n**n <= total * power < 2**n * n**n


@given(COUNTS, st.lists(st.integers(0, 30), max_size=5))
def test_absent_symbols_change_nothing(counts, places):
    padded = list(counts)
    for place in places:
        padded.insert(min(place, len(padded)), 0)
    lengths = code_lengths(padded)
    assert lengths[np.array(padded) > 0].tolist() == code_lengths(counts).tolist()
    assert not lengths[np.array(padded) == 0].any()


def test_ties_go_by_symbol_then_by_merge():
    assert code_lengths([1, 1, 1]).tolist() == [2, 2, 1]
    assert code_lengths([1, 1, 2, 2]).tolist() == [2, 2, 2, 2]
    assert code_lengths([2, 1, 1]).tolist() == [1, 2, 2]


def test_one_symbol_has_an_empty_codeword():
    assert code_lengths([0, 9, 0]).tolist() == [0, 0, 0]
    assert code_lengths(np.zeros(0, int)).tolist() == []


@pytest.mark.parametrize("m", [3, 10, 48, 64])
def test_fibonacci_counts_are_the_deepest(m):
    assert code_lengths(fibonacci(m)).tolist() == [m - 1, *range(m - 1, 0, -1)]


def test_deeper_than_63_is_refused():
    with pytest.raises(LimitError, match="64 bits; at most 63"):
        code_lengths(fibonacci(65))
    assert sum(fibonacci(65)) > 10**13  # as the docstring says: no array has so many elements


@pytest.mark.parametrize(
    ("counts", "error"),
    [
        ([1, -1], RangeError),
        ([[1, 2]], ShapeError),
        ([0.5, 1.0], DTypeError),
        ([1 << 62, 1 << 62], LimitError),
    ],
)
def test_counts_that_are_refused(counts, error):
    for function in (code_lengths, entropy):
        with pytest.raises(error):
            function(counts)


def test_counts_at_the_limit():
    assert code_lengths([(1 << 62) - 1, 1 << 62]).tolist() == [1, 1]


@given(COUNTS)
def test_canonical_codewords(counts):
    lengths = code_lengths(counts)
    words = canonical_codes(lengths)
    assert words.dtype == np.uint64
    ranked = sorted(range(len(counts)), key=lambda s: (lengths[s], s))
    expected, previous = 0, int(lengths[ranked[0]])
    for s in ranked:  # the docstring, literally
        expected <<= int(lengths[s]) - previous
        assert int(words[s]) == expected
        expected, previous = expected + 1, int(lengths[s])
    assert expected == 1 << previous  # the last codeword is all ones


def test_deepest_canonical_code():
    words = canonical_codes([*range(1, 64), 63]).tolist()
    assert words == [(1 << n) - 2 for n in range(1, 64)] + [(1 << 63) - 1]


@pytest.mark.parametrize(
    ("lengths", "words"),
    [
        ([1], "under-full"),
        ([1, 2], "under-full"),
        ([1, 1, 1], "over-full"),
        ([0, 1, 2, 63], "under-full"),
        ([1, *range(1, 64), 63], "over-full"),
        ([1] * 300, "over-full"),
        ([1, 64], r"lengths\[1\] = 64"),
    ],
)
def test_lengths_that_are_no_code(lengths, words):
    with pytest.raises(FormatError, match=words):
        canonical_codes(lengths)


def test_tally_counts_codewords_only():
    tally = length_tally(np.array([0, 2, 1, 0, 2], np.uint8))
    assert tally.size == MAX_DEPTH + 1
    assert tally[:4].tolist() == [0, 1, 2, 0]
    assert not length_tally(np.zeros(3, np.uint8)).any()


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=40).filter(any))
def test_entropy_within_its_bound(counts):
    with localcontext() as context:
        context.prec = 60
        n, two = Decimal(sum(counts)), Decimal(2).ln()
        exact = sum((c / n * (n / c).ln() / two for c in map(Decimal, counts) if c), Decimal(0))
        bound = (len(counts) + 8) * exact * Decimal(2) ** -53 + Decimal(2) ** -52
        assert abs(Decimal(entropy(counts)) - exact) <= bound


def test_entropy_of_nothing_and_of_one():
    assert str(entropy([0, 7])) == "0.0"
    for function in (entropy, lambda c: mean_length(c, c)):
        with pytest.raises(RangeError, match="all zero"):
            function([0, 0])


@given(COUNTS)
def test_mean_length_is_rounded_once(counts):
    lengths = code_lengths(counts)
    exact = Fraction(sum(c * int(n) for c, n in zip(counts, lengths, strict=True)), sum(counts))
    assert mean_length(counts, lengths) == float(exact)
    with pytest.raises(ShapeError, match="must be equal"):
        mean_length(counts, lengths[1:])


class TestTwins:
    def test_edges(self):
        for arguments in edges_of(merge_depths_kernel.name):
            self.check(*arguments)

    @given(strategy_of(merge_depths_kernel.name))
    def test_drawn(self, arguments):
        self.check(*arguments)

    @staticmethod
    def check(counts):
        expected = merge_depths(counts)
        for result in (merge_depths_kernel(counts), merge_depths_kernel.python(counts)):
            assert result.dtype == expected.dtype
            np.testing.assert_array_equal(result, expected)
