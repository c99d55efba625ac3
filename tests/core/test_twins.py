"""Twins: registration, compilation, the switch, and kernels that call subroutines."""

import os
import subprocess
import sys

import numpy as np
import pytest

from refq.core import twins
from refq.core.twins import Kernel, jit_enabled, kernel, prange, registry, subroutine


def total(x):
    """Definition."""
    return int(x.sum())


def _double(n):
    """Twice a number."""
    return 2 * n


double = subroutine(_double)


def doubled(x):
    """Definition."""
    return 2 * int(x.sum())


@pytest.fixture
def pairs():
    before = dict(registry)
    yield registry
    registry.clear()
    registry.update(before)


def test_a_pair_is_registered_under_the_definitions_name(pairs):
    @kernel(total)
    def total_kernel(x):
        """Kernel."""
        return 7

    assert isinstance(total_kernel, Kernel)
    assert total_kernel.name == f"{__name__}.total"
    assert pairs[total_kernel.name] is total_kernel
    assert total_kernel.definition is total
    assert total_kernel.__doc__ == "Kernel."
    assert total_kernel.python(np.arange(3)) == 7


def test_the_kernel_runs_with_jit_and_the_definition_without(pairs, monkeypatch):
    @kernel(total)
    def total_kernel(x):
        return -1

    x = np.arange(4)
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    assert not jit_enabled()
    assert total_kernel(x) == 6
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "0")
    assert jit_enabled()
    assert twins.jit_enabled() is True


def test_a_kernel_calls_compiled_subroutines(tmp_path):
    source = tmp_path / "part.py"
    source.write_text(
        "import numpy as np\n"
        "from refq.core.twins import kernel, prange, subroutine\n"
        "@subroutine\n"
        "def double(n):\n"
        "    return 2 * n\n"
        "def doubled(x):\n"
        "    return 2 * x\n"
        "@kernel(doubled)\n"
        "def doubled_kernel(x):\n"
        "    out = np.zeros_like(x)\n"
        "    for i in prange(x.size):\n"
        "        out[i] = double(x[i])\n"
        "    return out\n"
        "x = np.arange(1000)\n"
        "assert double(4) == 8\n"
        "assert (doubled_kernel.python(x) == 2 * x).all()\n"
        "assert (doubled_kernel(x) == 2 * x).all()\n"
        "print(type(doubled_kernel.compiled).__name__)\n"
    )
    for disabled, compiled in (("0", "CPUDispatcher"), ("1", "function")):
        env = {**os.environ, "NUMBA_DISABLE_JIT": disabled, "NUMBA_CACHE_DIR": str(tmp_path)}
        run = subprocess.run(
            [sys.executable, str(source)], env=env, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr
        assert run.stdout.strip() == compiled


def test_plain_python_sees_range_and_functions():
    assert prange is range
    assert double(21) == 42
    assert double.__name__ == "_double"


def test_defining_a_kernel_does_not_load_numba():
    code = (
        "import sys\nfrom refq.core.twins import kernel\n"
        "@kernel(len)\ndef f(x): return 0\n"
        "assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
