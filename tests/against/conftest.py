"""Peers run in a subprocess: some crash the interpreter, some switch denormal flushing on.

A script in `runtimes/` reads arrays from its first argument and writes arrays to its second; the
fixture `peer` calls it. A test under this folder names the packages that it needs in
``pytest.mark.peers("onnxruntime", ...)`` and is skipped, by their names, where one is missing.
"""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

RUNTIMES = Path(__file__).parent / "runtimes"

collect_ignore = ["runtimes"]  # scripts for another process, no modules


def pytest_runtest_setup(item):
    for mark in (*item.iter_markers("peers"), *item.iter_markers("onnx_backend")):
        missing = [name for name in mark.args if importlib.util.find_spec(name) is None]
        if missing:
            pytest.skip(f"needs {', '.join(missing)}: pip install -e '.[test,peers]'")


@pytest.fixture(scope="session")
def peer(tmp_path_factory):
    """Return ``peer(script, **arrays) -> dict``: what a script of `runtimes/` answers."""

    def run(script, **arrays):
        folder = tmp_path_factory.mktemp(script)
        np.savez(folder / "in.npz", **arrays)
        command = [sys.executable, str(RUNTIMES / f"{script}.py"), "in.npz", "out.npz"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise RuntimeError(f"{script} ended with {done.returncode}:\n{done.stderr[-3000:]}")
        with np.load(folder / "out.npz") as found:
            return dict(found)

    return run


@pytest.fixture(scope="session")
def ask_onnxruntime(peer):
    """Return ``ask(op, inputs, outputs, attributes, opset, domain, **arrays) -> list``.

    `inputs` are (array name, ONNX type, "feed", "const" or "each"), see `onnxruntime_node`.
    """

    def ask(op, inputs, outputs, attributes=None, opset=21, domain="", **arrays):
        spec = {
            "op": op,
            "opset": opset,
            "domain": domain,
            "attributes": attributes or {},
            "inputs": inputs,
            "outputs": outputs,
        }
        found = peer("onnxruntime_node", spec=json.dumps(spec), **arrays)
        return [found[f"y{i}"] for i in range(len(outputs))]

    return ask


@pytest.fixture(scope="session")
def litert(peer):
    """Return ``litert(kernels, nodes) -> [(codes, delegated), ...]``; nodes hold their arrays."""

    def run(kernels, nodes):
        arrays = {}

        def named(value):
            if not isinstance(value, (np.ndarray, np.generic)):
                return value
            arrays[f"a{len(arrays)}"] = value
            return f"a{len(arrays) - 1}"

        described = []
        for node in nodes:
            tensors = [{k: named(v) for k, v in x.items()} for x in node["inputs"]]
            output = {k: named(v) for k, v in node["output"].items()}
            described.append({**node, "inputs": tensors, "output": output})
        told = peer("litert_nodes", kernels=kernels, nodes=json.dumps(described), **arrays)
        delegated = [bool(told.get(f"delegated{i}", False)) for i in range(len(nodes))]
        return [(told[str(i)], delegated[i]) for i in range(len(nodes))]

    return run
