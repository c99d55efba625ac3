"""A telling input: the smallest on which two presets answer with different integers.

Problem
-------
"Runtime B does not follow the text" is a claim. An input on which both answers can be worked out by
hand is its proof.

Conventions
-----------
A test computes both answers with refq's presets; where a runtime is installed, another asks the
runtime itself. Arguments are those of the op in `refq.ops`; ``op="cast"`` has no op: its arguments
are `x`, `format` and `saturate`, as ONNX's Cast names them.

References
----------
.. [1] ONNX operator specification, opset 28. https://onnx.ai/onnx/operators/
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import ops
from ...core.semantics import Semantics, get
from ...formats import get as get_format

__all__ = ["TellingInput", "answer"]


@dataclass(frozen=True)
class TellingInput:
    """One input, two presets, two answers.

    Parameters
    ----------
    op : str
        A function of `refq.ops`, or "cast".
    preset_a, preset_b : str
        Name and version, as in ``"onnx 28"``.
    arguments : mapping
        The op's arguments by name, without `semantics`.
    answer_a, answer_b : list
        What each preset computes, as nested lists.
    sentence : str
        Why they differ, in one sentence.

    Examples
    --------
    >>> arguments = {"x": np.float32([0.5]), "scale": np.float32(1), "zero_point": np.uint8(1)}
    >>> t = TellingInput("quantize_linear", "onnx 28", "torch 2.13", arguments, [1], [2], "A tie.")
    >>> answer(t.op, t.arguments, t.preset_b).tolist() == t.answer_b != t.answer_a
    True
    """

    op: str
    preset_a: str
    preset_b: str
    arguments: Mapping[str, Any]
    answer_a: list[Any]
    answer_b: list[Any]
    sentence: str


def answer(op: str, arguments: Mapping[str, Any], preset: str | Semantics) -> NDArray[Any]:
    """Return what a preset makes of an input.

    Parameters
    ----------
    op : str
        A function of `refq.ops`, or "cast".
    arguments : mapping
        Its arguments, without `semantics`.
    preset : str or Semantics
        ``"name"`` or ``"name version"``.

    Returns
    -------
    ndarray
        The op's result.

    Raises
    ------
    RangeError
        If there is no such preset.

    Examples
    --------
    >>> answer("cast", {"x": np.float32([500.0]), "format": "float8_e4m3fn"}, "onnx")
    array([126], dtype=uint8)
    """
    semantics = get(*preset.split()) if isinstance(preset, str) else preset
    if op == "cast":
        return _cast(semantics=semantics, **arguments)
    return np.asarray(getattr(ops, op)(**arguments, semantics=semantics))


def _cast(x: Any, format: str, semantics: Semantics, saturate: bool = True) -> NDArray[Any]:
    form: Any = get_format(format)
    rule = semantics.cast
    if not saturate:
        beyond = "infinity" if "infinity" in form.special_codes else "nan"
        rule = replace(rule, overflow=beyond)
    return rule.apply(x, form)
