"""What a result may depend on is told, and nothing fails where a platform does not tell it."""

import os
import subprocess
import sys

from refq.report.machine import cpu_features, environment, versions


def test_versions_are_those_of_the_packages():
    import numpy as np

    found = versions()
    assert found["numpy"] == np.__version__
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert "pytest" not in found
    assert "ruff" not in found


def test_features_are_read_from_the_flags(tmp_path):
    text = "processor: 0\nflags\t: fpu avx2 sse4_2 made_up\n\nprocessor: 1\nFeatures : asimd\n"
    (tmp_path / "cpuinfo").write_text(text)
    assert cpu_features(tmp_path / "cpuinfo") == ["asimd", "avx2", "sse4_2"]
    assert cpu_features(tmp_path / "missing") == []
    assert cpu_features(tmp_path) == []


def test_the_environment_is_words():
    found = environment()
    assert int(found["kernel threads"]) >= 1
    assert all(isinstance(v, str) and v for v in found.values())


def test_without_a_compiler_kernels_are_definitions():
    code = "from refq.report.machine import environment as e; print(e()['kernels'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("definitions only")
