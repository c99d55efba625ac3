"""Compress a model: a plan says which method chooses which tensor's Encoding.

Conventions
-----------
A plan is a dictionary from patterns to methods; the first pattern that matches wins. A pattern with
a dot is matched against "node.tensor" (``*.bias``), one without against the node, and means its
weight. Tensors that nothing matches stay float. A pattern that matches nothing is an error: it is
a slip of the pen far more often than a wish. Methods are cloned for each tensor, never fitted
themselves.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import RangeError, RefqError
from ..encodings import Encoding, Method
from ..nn import Conv2d, Linear, Model

__all__ = ["compress", "match_plan", "weight_inputs"]

Plan = Mapping[str, Method]


def match_plan(model: Model, plan: Plan) -> dict[str, Method]:
    """Return which method each "node.tensor" gets.

    Parameters
    ----------
    model : Model
        Whose parameters are matched.
    plan : mapping of str to Method
        Patterns as of `fnmatch`, case-sensitive; the first match wins.

    Returns
    -------
    dict of str to Method
        The plan's own methods, in the order of the model's parameters.

    Raises
    ------
    RangeError
        If a pattern matches no tensor, or a value is no method.

    Examples
    --------
    >>> from refq import nn
    >>> from refq.encodings import Cast
    >>> model = nn.Sequential([nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2)], input_shape=(3,))
    >>> match_plan(model, {"fc1": Cast("float16"), "*.bias": Cast("float32")})
    {'fc1.weight': Cast(), 'fc1.bias': Cast(format='float32'), 'fc3.bias': Cast(format='float32')}
    """
    for pattern, method in plan.items():
        if not isinstance(method, Method):
            raise RangeError(f"plan[{pattern!r}] = {method!r} is no method")
        if not any(_matches(pattern, name) for name in model.parameters()):
            raise RangeError(
                f"pattern {pattern!r} matches no tensor; there are {', '.join(model.parameters())}"
            )
    chosen = {}
    for name in model.parameters():
        pattern = next((p for p in plan if _matches(p, name)), None)
        if pattern is not None:
            chosen[name] = plan[pattern]
    return chosen


def _matches(pattern: str, name: str) -> bool:
    if "." in pattern:
        return fnmatchcase(name, pattern)
    node, _, tensor = name.rpartition(".")
    return tensor == "weight" and fnmatchcase(node, pattern)


def compress(
    model: Model,
    plan: Plan,
    calibration: Any = None,
    *,
    y: NDArray[Any] | None = None,
    gradients: Mapping[str, NDArray[Any]] | None = None,
) -> Model:
    """Return the model with the tensors that the plan names replaced by Encodings.

    Parameters
    ----------
    model : Model
        Untouched.
    plan : mapping of str to Method
        See `match_plan`.
    calibration : Split, ndarray or None
        Inputs that the methods which need ``inputs`` may look at: an array, or a split with ``X``.
    y : ndarray or None
        Labels, for methods that need them; a split's own by default.
    gradients : mapping of str to ndarray, or None
        "node.tensor" -> gradient of a loss, for methods that need them.

    Returns
    -------
    Model
        Same graph, same shapes.

    Raises
    ------
    RangeError
        If a pattern matches nothing or a method lacks what it needs; the message names the tensor.

    Examples
    --------
    >>> from refq import nn
    >>> from refq.encodings import Cast
    >>> model = nn.Sequential([nn.Linear(3, 2)], input_shape=(3,)).initialize(0)
    >>> compress(model, {"fc*": Cast("float16")}).parameters()["fc1.weight"]
    DenseEncoding(shape=(2, 3), format='float16', coding='raw', bits_per_weight=16)
    """
    X = getattr(calibration, "X", calibration)
    y = getattr(calibration, "y", None) if y is None else y
    chosen = match_plan(model, plan)
    seen = weight_inputs(model, X, [n for n, m in chosen.items() if "inputs" in m.needs])
    new: dict[str, Encoding] = {}
    for name, method in chosen.items():
        tensor = model.parameters()[name]
        W = tensor.decode() if isinstance(tensor, Encoding) else tensor
        gradient = None if gradients is None else gradients.get(name)
        try:
            fitted = method.clone().fit(W, y, inputs=seen.get(name), gradients=gradient)
            new[name] = fitted.encode(W)
        except RefqError as error:
            raise type(error)(f"{name}: {error}") from error
    return model.replace(new)


def weight_inputs(model: Model, X: Any, names: list[str]) -> dict[str, NDArray[Any]]:
    """Return what weights saw, as rows of (n, in_features): patches for a convolution.

    Parameters
    ----------
    model : Model
        The model before compression.
    X : ndarray or None
        Calibration inputs.
    names : list of str
        "node.weight" of Linear and ungrouped Conv2d layers.

    Returns
    -------
    dict of str to ndarray
        By name.

    Raises
    ------
    RangeError
        If there are no inputs, or a layer has no such rows.
    """
    if not names:
        return {}
    if X is None:
        raise RangeError(f"{names[0]} needs inputs: pass calibration=")
    held = {"input": np.asarray(X), **model.activations(np.asarray(X))}
    found: dict[str, NDArray[Any]] = {}
    for name in names:
        node = next(n for n in model.nodes if n.name == name.rpartition(".")[0])
        found[name] = _rows(node.layer, held[node.inputs[0]], name)
    return found


def _rows(layer: Any, x: NDArray[Any], name: str) -> NDArray[Any]:
    if isinstance(layer, Linear):
        return x
    if not isinstance(layer, Conv2d) or layer.groups != 1:
        raise RangeError(f"{name} has no rows of inputs: it is {layer!r}")
    (top, left), (height, width) = layer.padding, layer.kernel_size
    padded = np.pad(x, ((0, 0), (0, 0), (top, top), (left, left)))
    (dy, dx), (sy, sx) = layer.dilation, layer.stride
    span = ((height - 1) * dy + 1, (width - 1) * dx + 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, span, axis=(2, 3))
    windows = windows[:, :, ::sy, ::sx, ::dy, ::dx]  # (n, channels, rows, columns, kh, kw)
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, x.shape[1] * height * width)
