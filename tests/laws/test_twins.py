"""Every registered kernel equals its definition, bit for bit, over its strategy and its edges.

With ``NUMBA_DISABLE_JIT=1`` the same test judges the kernels' own Python source, on fewer draws.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refq.conformance.laws import LAWS
from refq.conformance.strategies import STRATEGIES, edges_of, strategy_of
from refq.conformance.subjects import KernelSubject, kernel_examples
from refq.core.twins import jit_enabled

PAIRS = dict(kernel_examples())
LAW = LAWS["L5 twins"]
PYTHON = not jit_enabled()
#: interpreted loops are a hundred times slower
DRAWS = max(settings.default.max_examples // (5 if PYTHON else 1), 1)


def test_every_kernel_has_a_strategy() -> None:
    missing = sorted(set(PAIRS) - set(STRATEGIES))
    assert not missing, f"register a strategy in refq/conformance/strategies for {missing}"


def test_every_strategy_has_a_kernel() -> None:
    stale = sorted(set(STRATEGIES) - set(PAIRS))
    assert not stale, f"no kernel of this name is left: {stale}"


@pytest.mark.parametrize("name", PAIRS)
def test_kernel_has_edges(name: str) -> None:
    assert edges_of(name), "list explicit edges: empty, one element, extremes, ties"


@pytest.mark.parametrize("name", PAIRS)
def test_edges(name: str) -> None:
    for arguments in edges_of(name):
        LAW.check(KernelSubject(PAIRS[name], arguments, PYTHON))


@pytest.mark.parametrize("name", PAIRS)
@settings(max_examples=DRAWS)
@given(data=st.data())
def test_draws(name: str, data: st.DataObject) -> None:
    arguments = data.draw(strategy_of(name))
    LAW.check(KernelSubject(PAIRS[name], arguments, PYTHON))
