"""PyTorch's casts to float8 are refq's, each with its own policy of overflow, on near ties."""

import numpy as np
import pytest

from refq import formats
from refq.core import semantics

pytestmark = pytest.mark.peers("torch")

VERSION = "2.13"
NAMES = ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz")
NAN = np.uint32([0x7FC00000, 0xFFC00000, 0x7F800001, 0xFF800001, 0x7FFFFFFF]).view(np.float32)
POWERS = "float8_e8m0fnu"


def near_ties_of(form):
    """Return every value and midpoint of a format, 241 floats around each, and the ends."""
    finite = np.unique(form.values[np.isfinite(form.values)].astype(np.float64))
    grid = np.concatenate([finite, 2 * finite[-1:] - finite[-2:-1]])  # and what would come next
    ties = np.concatenate([grid, (grid[:-1] + grid[1:]) / 2])
    ties = np.float32(np.concatenate([ties, -ties])).view(np.int32)
    moved = (ties[:, None] + np.arange(-120, 121, dtype=np.int32)).ravel().view(np.float32)
    ends = np.float32([np.inf, -np.inf, 1e38, -1e38, 1e-45, 0.0, -0.0])
    return np.concatenate([moved[np.isfinite(moved)], ends])


@pytest.fixture(scope="module")
def given():
    names = (*NAMES, POWERS)
    return {n: np.append(near_ties_of(formats.get(n)), NAN) for n in names}


@pytest.fixture(scope="module")
def theirs(peer, given):
    found = peer("torch_cast", names=np.array(list(given)), **given)
    assert str(found["version"]).startswith(VERSION)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_casts_agree(given, theirs, name):
    x, form = given[name], formats.get(name)
    assert x.size >= 50_000
    got = form.decode(semantics.get("torch", VERSION).cast.apply(x, form))
    want = form.decode(theirs[name])
    np.testing.assert_array_equal(got, want)  # NaN equals NaN: torch keeps its sign
    number = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got[number]), np.signbit(want[number]))


def test_powers_of_two(given, theirs):
    """Ties go up, what rounds to 2^128 is NaN; signs are dropped, and so is the last subnormal."""
    x, form = given[POWERS], formats.get(POWERS)
    assert x.size >= 50_000
    size, codes = np.abs(x), theirs[POWERS]
    normal = np.isfinite(x) & (size >= 2.0**-126)
    assert normal.sum() >= 50_000
    ours = form.encode(size[normal], rounding="half_up", overflow="nan")
    np.testing.assert_array_equal(codes[normal], ours)
    np.testing.assert_array_equal(codes[~np.isfinite(x)], 255)
    np.testing.assert_array_equal(codes[size <= 2.0**-127], 0)  # zero becomes 2^-127, too
    between = (size > 2.0**-127) & (size < 2.0**-126)
    np.testing.assert_array_equal(codes[between], 1)  # not to the nearest: the text has 0 below
    assert between.any()
