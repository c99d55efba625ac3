"""Save and load: a ``.refq`` file holds one Encoding or one model.

Conventions
-----------
A model's tensors become the roots of one graph of encodings, so whatever layers share is stored
once; arrays are kept in their own dtype, raw. The header's ``extra`` says what the graph is:

    {"input_shape": [1, 8, 8],
     "nodes": [[name, layer class, {setting: integer, string, bool or list}, [inputs], [tensors]]]}

where ``tensors`` lists, in order, [name, index of a root]. A tensor that was an array is loaded as
an array: its name is marked by a trailing "=".
"""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.checks import check_shape
from ..core.errors import FormatError, RangeError, RefqError
from ..encodings import NOUNS, DenseEncoding, Encoding, dense
from ..encodings.container import read_file, read_graph, write_atomically, write_graph
from .graph import Node
from .layer import LAYERS
from .model import Model

__all__ = ["from_bytes", "load", "save", "to_bytes"]


def to_bytes(obj: Encoding | Model) -> bytes:
    """Return the bytes of the file that would hold an object.

    Parameters
    ----------
    obj : Encoding or Model
        What to keep.

    Returns
    -------
    bytes
        Equal content gives equal bytes. Tier T1.

    Raises
    ------
    RangeError
        If it is neither.

    Examples
    --------
    >>> from refq.encodings import dense
    >>> from_bytes(to_bytes(dense([1.0], "float16"))).decode()
    array([1.], dtype=float32)
    """
    if isinstance(obj, Encoding):
        return obj.to_bytes()
    if not isinstance(obj, Model):
        raise RangeError(f"obj is a {type(obj).__name__}; an Encoding or a Model can be saved")
    roots: list[Encoding] = []
    nodes: list[list[Any]] = []
    for node in obj.nodes:
        tensors: list[list[Any]] = []
        for name, tensor in node.layer.tensors().items():
            plain = not isinstance(tensor, Encoding)
            tensors.append([f"{name}=" if plain else name, len(roots)])
            roots.append(_leaf(tensor) if plain else tensor)
        kind = type(node.layer).__name__
        nodes.append([node.name, kind, node.layer.config(), list(node.inputs), tensors])
    return write_graph("model", roots, {"input_shape": list(obj.input_shape), "nodes": nodes})


def _leaf(array: NDArray[Any]) -> DenseEncoding:
    if array.dtype.kind == "b" or array.dtype.name not in (
        *("float32", "float64"),
        *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    ):
        raise FormatError(f"a tensor of dtype {array.dtype} has no format in a file")
    return dense(array)


def from_bytes(buffer: bytes) -> Encoding | Model:
    """Return the object that `to_bytes` wrote.

    Parameters
    ----------
    buffer : bytes
        The whole file.

    Returns
    -------
    Encoding or Model
        Of the same bits.

    Raises
    ------
    FormatError
        If anything does not check; nothing is built from a damaged file.
    LimitError
        If a size is past its limit.
    """
    nodes, roots, extra = read_graph(buffer, None, NOUNS)
    kind = extra.pop("kind")
    if kind == "encoding":
        if len(roots) != 1 or extra:
            raise FormatError(f"an encoding has one root and no extra, not {len(roots)}")
        return nodes[roots[0]]  # type: ignore[no-any-return]
    if kind != "model":
        raise FormatError(f"the file holds a {kind!r}; known are 'encoding' and 'model'")
    return _model([nodes[i] for i in roots], extra)


def _model(roots: list[Encoding], extra: dict[str, Any]) -> Model:
    if set(extra) != {"input_shape", "nodes"} or not isinstance(extra["nodes"], list):
        raise FormatError(f"a model's extra has input_shape and nodes, not {sorted(extra)}")
    used: set[int] = set()
    try:
        built = [_node(entry, roots, used) for entry in extra["nodes"]]
        if used != set(range(len(roots))):
            raise FormatError("the file holds tensors that no layer uses")
        return Model(built, check_shape(extra["input_shape"], "input_shape"))
    except RefqError as error:
        raise FormatError(f"the model cannot be built: {error}") from error
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise FormatError(f"the model cannot be built: {error}") from error


def _node(entry: Any, roots: list[Encoding], used: set[int]) -> Node:
    if not isinstance(entry, list) or len(entry) != 5:
        raise FormatError("a node is [name, class, settings, inputs, tensors]")
    name, kind, config, inputs, listed = entry
    if kind not in LAYERS:
        raise FormatError(f"node {name!r} is a {kind!r}; known are {', '.join(sorted(LAYERS))}")
    tensors: dict[str, Any] = {}
    for tensor, index in listed:
        if type(index) is not int or not 0 <= index < len(roots):
            raise FormatError(f"{name}.{tensor} points to no root")
        used.add(index)
        stem = tensor.removesuffix("=")
        if stem in tensors:
            raise FormatError(f"{name}.{stem} is there twice")
        tensors[stem] = _array(roots[index]) if tensor.endswith("=") else roots[index]
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
    return Node(name, LAYERS[kind].build(settings, tensors), tuple(inputs))


def _array(leaf: Encoding) -> NDArray[Any]:
    if not isinstance(leaf, DenseEncoding):
        raise FormatError(f"a plain tensor is a dense leaf, not {leaf!r}")
    array: NDArray[Any] = np.asarray(leaf.decode())
    return array


def save(path: str | os.PathLike[str], obj: Encoding | Model) -> int:
    """Write an Encoding or a model to a ``.refq`` file.

    Parameters
    ----------
    path : path_like
        Where; an old file is replaced only when the new one is whole.
    obj : Encoding or Model
        What to keep.

    Returns
    -------
    int
        The size of the file in bytes.

    Raises
    ------
    OSError
        If it cannot be written; then the old file is untouched.
    """
    data = to_bytes(obj)
    write_atomically(path, data)
    return len(data)


def load(path: str | os.PathLike[str]) -> Encoding | Model:
    """Read a ``.refq`` file back to the same bits.

    Parameters
    ----------
    path : path_like
        A file that `save` wrote.

    Returns
    -------
    Encoding or Model
        What it holds. Nothing in the file is ever executed, unpickled or followed as a path.

    Raises
    ------
    FormatError
        If there is no such file, or a single bit of it is wrong.
    LimitError
        If it claims sizes past the limits.
    """
    return from_bytes(read_file(path))
