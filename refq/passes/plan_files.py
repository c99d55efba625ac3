"""Plans in files: JSON that maps patterns to methods as they print themselves.

Problem
-------
A plan is a dictionary of methods, and a method's ``repr`` is the call that makes it again. Reading
such text by ``eval`` would run whatever a file says.

Conventions
-----------
A method is written as a call: ``AffineQuantizer(bits=4, granularity=PerGroup(64))``. Names are
those of methods, granularities and range methods, arguments are numbers, strings, booleans, None,
tuples of them, or calls again. Everything else is an error that names the pattern and the column.
The text is parsed, never executed.
"""

import ast
import difflib
import json
import os
from collections.abc import Callable
from typing import Any

from .. import lowrank, pruning, scalar, vector
from ..core import granularity
from ..core.errors import FormatError, RangeError, RefqError
from ..encodings import METHODS, Cast, Method
from ..encodings.container import read_file

__all__ = ["known_methods", "method_from_text", "plan_from_json", "read_plan"]

MAX_PLAN_BYTES = 1 << 20  #: a plan file may not be longer
MAX_METHOD_CHARACTERS = 2000  #: nor the text of one method


def known_methods() -> dict[str, type[Method]]:
    """Return every method of refq by its name.

    Returns
    -------
    dict of str to type
        Of all chapters.

    Examples
    --------
    >>> {"AffineQuantizer", "FilterPruner"} <= known_methods().keys()
    True
    """
    chapters = (lowrank, pruning, scalar, vector)  # importing them has filled the registry
    return {
        name: kind
        for name, kind in METHODS.items()
        if any(kind.__module__.startswith(f"{chapter.__name__}.") for chapter in chapters)
        or kind is Cast
    }


def _values() -> dict[str, Callable[..., Any]]:
    """Return what may be called besides methods, by name."""
    shapes = (
        granularity.PerTensor,
        granularity.PerAxis,
        granularity.PerGroup,
        granularity.PerBlock,
        granularity.PerToken,
    )
    ranges = (
        scalar.EntropyRange,
        scalar.MeanSquaredErrorRange,
        scalar.MinMaxRange,
        scalar.PercentileRange,
    )
    return {kind.__name__: kind for kind in (*shapes, *ranges)}


def method_from_text(text: str) -> Method:
    """Return the method that a text like its ``repr`` describes.

    Parameters
    ----------
    text : str
        One call, for example ``"KMeansQuantizer(n_codewords=16, random_state=0)"``.

    Returns
    -------
    Method
        With its parameters checked.

    Raises
    ------
    FormatError
        If the text is anything but such a call; the message names the column.
    RangeError
        If a parameter is not legal.

    Examples
    --------
    >>> method_from_text("AffineQuantizer(bits=4, granularity=PerGroup(64), scheme='symmetric')")
    AffineQuantizer(bits=4, granularity=PerGroup(group_size=64, axis=-1), scheme='symmetric')
    >>> method_from_text("open('secret')")
    Traceback (most recent call last):
    refq.core.errors.FormatError: column 1: 'open' is no method
    """
    if len(text) > MAX_METHOD_CHARACTERS:
        raise FormatError(f"a method of {len(text)} characters; at most {MAX_METHOD_CHARACTERS}")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        made = _made(tree)
    except RefqError:
        raise
    except SyntaxError as error:
        raise FormatError(f"column {error.offset or 1}: {error.msg}, in {text[:60]!r}") from None
    except (ValueError, RecursionError, MemoryError):
        raise FormatError(f"{text[:60]!r} is no call of a method") from None
    if not isinstance(made, Method):
        raise FormatError(
            f"column 1: {text[:60]!r} is no method; write a call such as Cast('float16')"
        )
    return made


def _made(tree: ast.expr) -> Any:
    """Return the value of a literal, a tuple or a call of a known name."""
    if isinstance(tree, ast.Call):
        return _called(tree)
    if isinstance(tree, (ast.Tuple, ast.List)):
        return tuple(_made(item) for item in tree.elts)
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, (ast.USub, ast.UAdd)):
        value = _made(tree.operand)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return -value if isinstance(tree.op, ast.USub) else value
    if isinstance(tree, ast.Constant) and isinstance(
        tree.value, (bool, int, float, str, type(None))
    ):
        return tree.value
    raise _at(tree, "allowed are calls of methods, numbers, strings, True, False, None and tuples")


def _called(tree: ast.Call) -> Any:
    if not isinstance(tree.func, ast.Name):
        raise _at(tree, "a method is called by its plain name")
    name = tree.func.id
    known: dict[str, Callable[..., Any]] = {**known_methods(), **_values()}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise _at(tree, f"{name!r} is no method" + (f"; did you mean {near[0]}?" if near else ""))
    if any(keyword.arg is None for keyword in tree.keywords):
        raise _at(tree, "no ** may stand in a plan")
    arguments = [_made(item) for item in tree.args]
    named = {str(keyword.arg): _made(keyword.value) for keyword in tree.keywords}
    try:
        made = known[name](*arguments, **named)
        if isinstance(made, Method):
            made.check_parameters()
    except TypeError as error:
        raise _at(tree, f"{name}: {error}") from None
    except RefqError as error:
        raise type(error)(f"column {tree.col_offset + 1}: {name}: {error}") from None
    return made


def _at(tree: ast.expr, message: str) -> FormatError:
    return FormatError(f"column {tree.col_offset + 1}: {message}")


def plan_from_json(text: str) -> dict[str, Method]:
    """Return the plan that a JSON object describes.

    Parameters
    ----------
    text : str
        ``{"pattern": "Method(...)", ...}``; the order counts.

    Returns
    -------
    dict of str to Method
        For `refq.passes.compress`.

    Raises
    ------
    FormatError
        If it is no such object, names a pattern twice, or a text is no method.
    RangeError
        If it is empty or a parameter is not legal.

    Examples
    --------
    >>> plan_from_json('{"fc*": "Cast()"}')
    {'fc*': Cast()}
    """
    try:
        pairs = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"a plan must be JSON: {error}") from None
    if not isinstance(pairs, _Pairs):
        raise FormatError('a plan must be a JSON object: {"pattern": "Method(...)"}')
    if not pairs:
        raise RangeError("the plan is empty: it must map a pattern to a method")
    plan: dict[str, Method] = {}
    for pattern, described in pairs:
        if pattern in plan:
            raise FormatError(f"the plan names {pattern!r} twice")
        if not isinstance(described, str):
            raise FormatError(f"plan[{pattern!r}] must be the text of a method, in quotes")
        try:
            plan[pattern] = method_from_text(described)
        except RefqError as error:
            raise type(error)(f"plan[{pattern!r}], {error}") from None
    return plan


class _Pairs(list[Any]):
    """A JSON object as pairs, so that a key that is there twice is seen."""


def read_plan(path: str | os.PathLike[str]) -> dict[str, Method]:
    """Return the plan that a JSON file describes.

    Parameters
    ----------
    path : path_like
        The file, in UTF-8.

    Returns
    -------
    dict of str to Method
        See `plan_from_json`.

    Raises
    ------
    FormatError
        If there is no such file, or it is no plan; the message names the file.
    RangeError
        If a parameter is not legal.
    """
    try:
        data = read_file(path)
        if len(data) > MAX_PLAN_BYTES:
            raise FormatError(f"a plan of {len(data)} bytes; at most {MAX_PLAN_BYTES}")
        return plan_from_json(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise FormatError(f"{path}: a plan must be text in UTF-8") from None
    except RefqError as error:
        raise type(error)(f"{path}: {error}") from None
