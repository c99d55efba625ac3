"""Every kernel of refq.ops equals its definition, bit for bit."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refq import ops  # noqa: F401  (registers the kernels)
from refq.conformance.strategies import edges_of, strategy_of
from refq.core.twins import registry

NAMES = sorted(name for name in registry if name.startswith("refq.ops."))


def several(result):
    return result if isinstance(result, tuple) else (result,)


def assert_twins_agree(name, arguments):
    pair = registry[name]
    before = copy.deepcopy(arguments)
    wants, gots = pair.definition(*arguments), pair(*arguments)
    for want, got in zip(several(wants), several(gots), strict=True):
        assert np.asarray(got).dtype == np.asarray(want).dtype
        assert np.shape(got) == np.shape(want)
        assert np.asarray(got).tobytes() == np.asarray(want).tobytes()
    for x, y in zip(arguments, before, strict=True):
        np.testing.assert_array_equal(x, y)


def test_all_are_there():
    assert [name.removeprefix("refq.ops.") for name in NAMES] == [
        "binary_products._ones",
        "elementwise._add_definition",
        "products._rows_definition",
        "products._windows_definition",
        "quantize_kernels._dequantize_definition",
        "quantize_kernels._quantize_definition",
        "requantization._once_definition",
        "requantization._twice_definition",
        "saturating_pairs._pairs_definition",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_edges(name):
    assert edges_of(name)
    for arguments in edges_of(name):
        assert_twins_agree(name, arguments)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(max_examples=30)
def test_draws(name, data):
    assert_twins_agree(name, data.draw(strategy_of(name)))


@pytest.mark.parametrize("name", NAMES)
def test_the_kernels_source_runs_without_a_compiler(name):
    for arguments in edges_of(name):
        if max(np.size(a) for a in arguments) <= 100:
            with np.errstate(over="ignore"):  # wrapping is meant
                gots = registry[name].python(*arguments)
            wants = registry[name].definition(*arguments)
            for want, got in zip(several(wants), several(gots), strict=True):
                assert np.asarray(got).dtype == np.asarray(want).dtype
                np.testing.assert_array_equal(got, want)
