"""ONNX: a lowered network as a file that ONNX Runtime executes to the same integers.

Conventions
-----------
The package ``onnx`` is imported when a function here needs it, and not before.
"""

import importlib.util
import os
from typing import Any

from ..core.errors import RangeError
from ..encodings.container import write_atomically
from ..nn import Model
from .onnx_graph import check_layers, model_proto

__all__ = ["export"]


def export(model: Model, path: str | os.PathLike[str]) -> int:
    """Write a lowered model as an ONNX file.

    Parameters
    ----------
    model : Model
        From ``passes.lower(model, semantics=refq.semantics.get("onnxruntime"))``.
    path : path_like
        Where; an old file is replaced only when the new one is whole.

    Returns
    -------
    int
        The size of the file in bytes.

    Raises
    ------
    RangeError
        If the package onnx is missing, with the line that installs it; or naming the node that has
        no exact ONNX form.
    OSError
        If the file cannot be written.

    Notes
    -----
    The graph takes "input", float32, (n, *input shape), and gives "codes", the integers of the last
    layer, and "output", what they mean in float32. In ONNX Runtime 1.31 both equal refq's bit for
    bit: `model.predict(X)`, and its product with the last `output_scale`. Operator set 21.

    Examples
    --------
    >>> from refq import nn
    >>> model = nn.Sequential([nn.Linear(3, 4)], input_shape=(3,)).initialize(0)
    >>> export(model, "linear.onnx")
    Traceback (most recent call last):
    refq.core.errors.RangeError: fc1: nn.Linear(3, 4) has no exact ONNX form here; lower the
    model with semantics=refq.semantics.get('onnxruntime'), and without average pooling
    """
    check_layers(model)
    _require("onnx")
    proto: Any = model_proto(model)
    data: bytes = proto.SerializeToString()
    write_atomically(path, data)
    return len(data)


def _require(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise RangeError(
            f"the package {package!r} is missing; install it: pip install 'refq[peers]'"
        )
