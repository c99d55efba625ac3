"""ml_dtypes' float casts are refq's, with its own policies of overflow, on near ties."""

import importlib.metadata

import numpy as np
import pytest

from refq import formats
from refq.core import semantics

pytestmark = pytest.mark.peers("ml_dtypes")

PRESET = semantics.get("ml_dtypes", "0.6")
NAMES = (
    "float8_e4m3fn", "float8_e4m3fnuz", "float8_e4m3b11fnuz", "float8_e5m2", "float8_e5m2fnuz",
    "float8_e3m4", "float6_e2m3fn", "float6_e3m2fn", "float4_e2m1fn",
)  # fmt: skip


def test_version():
    assert importlib.metadata.version("ml_dtypes").startswith("0.6.")


def near_ties_of(form, ulps=range(-40, 41)):
    """Return every value and midpoint of a format, and floats around them."""
    finite = np.unique(form.values[np.isfinite(form.values)].astype(np.float64))
    last = finite[-1] + (finite[-1] - finite[-2])  # the value that would follow the largest
    grid = np.concatenate([[-last], finite, [last]])
    ties = np.concatenate([grid, (grid[:-1] + grid[1:]) / 2]).astype(np.float32)
    steps = np.arange(min(ulps), max(ulps) + 1, dtype=np.int32)
    moved = (ties.view(np.int32)[:, None] + steps).ravel().view(np.float32)
    return np.concatenate([moved[np.isfinite(moved)], np.float32([np.inf, -np.inf, 1e38, -1e38])])


@pytest.mark.parametrize("name", NAMES)
def test_casts_agree(peer, name):
    form = formats.get(name)
    x = near_ties_of(form, range(-120, 121) if form.bits == 8 else range(-900, 901))
    assert x.size >= 50_000
    theirs = peer("ml_dtypes_cast", x=x, name=name)["codes"]
    ours = PRESET.cast.apply(x, form)
    got, want = form.decode(ours), form.decode(theirs)
    np.testing.assert_array_equal(got, want)  # NaN equals NaN: refq writes the positive one only
    number = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got[number]), np.signbit(want[number]))
