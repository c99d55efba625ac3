"""Save and load: a ``.refq`` file holds one Encoding or one model.

Conventions
-----------
A model's tensors become the roots of one graph of encodings, so whatever layers share is stored
once; arrays are kept in their own dtype, raw. The header's ``extra`` says what the graph is:

    {"input_shape": [1, 8, 8],
     "nodes": [[name, layer class, {setting: integer, string, bool or list}, [inputs], [tensors]]]}

where ``tensors`` lists [name, index of a root] in the layer's order; over the whole model the
indices count 0, 1, 2, ... A tensor that was an array is loaded as an array: its name is marked by a
trailing "=", and its root is a raw leaf of the array's own dtype. There is one way to write a
model, and the reader refuses others: what it loads, it would write to the same content.
"""

import inspect
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

from numpy.typing import NDArray

from ..core.checks import check_shape
from ..core.errors import FormatError, LimitError, RangeError
from ..encodings import NOUNS, DenseEncoding, Encoding, dense
from ..encodings.container import (
    MAX_FREE_ELEMENTS,
    read_file,
    read_graph,
    write_atomically,
    write_graph,
)
from .graph import Node
from .layer import LAYERS, Layer, Tensor
from .model import Model

__all__ = ["MAX_LAYERS", "from_bytes", "load", "save", "to_bytes"]

MAX_LAYERS = 10_000  #: a model in a file may not have more nodes

#: what an array may be kept in
ARRAY_FORMATS = (
    *("float32", "float64"),
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
)


def to_bytes(obj: Encoding | Model) -> bytes:
    """Return the bytes of the file that would hold an object.

    Parameters
    ----------
    obj : Encoding or Model
        What to keep.

    Returns
    -------
    bytes
        Equal content gives equal bytes; see `refq.encodings.container.write_graph`. Tier T1.

    Raises
    ------
    RangeError
        If it is neither.
    FormatError
        If an array has a dtype that files do not know.
    LimitError
        If it is too large to be read back.

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
    _check_length(len(obj.nodes))
    roots: list[Encoding] = []
    nodes: list[list[Any]] = []
    leaves: dict[int, DenseEncoding] = {}
    for node in obj.nodes:
        tensors: list[list[Any]] = []
        for name, tensor in node.layer.tensors().items():
            mark = "" if isinstance(tensor, Encoding) else "="
            tensors.append([f"{name}{mark}", len(roots)])
            roots.append(_kept(tensor, leaves))
        kind = type(node.layer).__name__
        nodes.append([node.name, kind, node.layer.config(), list(node.inputs), tensors])
    return write_graph("model", roots, {"input_shape": list(obj.input_shape), "nodes": nodes})


def _check_length(n_nodes: int) -> None:
    if n_nodes > MAX_LAYERS:
        raise LimitError(f"the model has {n_nodes} nodes; a file holds at most {MAX_LAYERS}")


def _kept(tensor: Tensor, leaves: dict[int, DenseEncoding]) -> Encoding:
    """Return what a file keeps; an array that layers share becomes one leaf."""
    if isinstance(tensor, Encoding):
        return tensor
    if id(tensor) not in leaves:  # the model holds the array, so no other can get its id
        if tensor.dtype.name not in ARRAY_FORMATS:
            raise FormatError(f"a tensor of dtype {tensor.dtype} has no format in a file")
        leaves[id(tensor)] = dense(tensor)
    return leaves[id(tensor)]


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

    Examples
    --------
    >>> from_bytes(b"REFQ")
    Traceback (most recent call last):
    refq.core.errors.FormatError: not a .refq file: it must begin with b'REFQ' and have 24 bytes
    """
    nodes, roots, extra = read_graph(buffer, None, NOUNS)
    kind = extra.pop("kind")
    if kind == "encoding":
        if len(roots) != 1 or extra:
            raise FormatError(f"an encoding has one root and no extra, not {len(roots)}")
        found: Encoding = nodes[roots[0]]
        return found
    if kind != "model":
        raise FormatError(f"the file holds a {kind!r}; known are 'encoding' and 'model'")
    return _model([nodes[i] for i in roots], extra)


def _model(roots: list[Encoding], extra: dict[str, Any]) -> Model:
    if set(extra) != {"input_shape", "nodes"} or not isinstance(extra["nodes"], list):
        raise FormatError(f"a model's extra has input_shape and nodes, not {sorted(extra)}")
    _check_length(len(extra["nodes"]))
    arrays: dict[int, NDArray[Any]] = {}
    used = 0
    built: list[Node] = []
    try:
        for entry in extra["nodes"]:
            built.append(_node(entry, roots, used, arrays))
            used += len(entry[4])
        if used != len(roots):
            raise FormatError(f"the file holds {len(roots)} tensors; the layers use {used}")
        return Model(built, check_shape(extra["input_shape"], "input_shape"))
    except LimitError:
        raise
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        raise FormatError(f"the model cannot be built: {error}") from error


def _node(entry: Any, roots: list[Encoding], first: int, arrays: dict[int, NDArray[Any]]) -> Node:
    """Return a node whose tensors are the roots from `first` on."""
    if not isinstance(entry, list) or len(entry) != 5:
        raise FormatError("a node is [name, class, settings, inputs, tensors]")
    name, kind, config, inputs, listed = entry
    if not isinstance(inputs, list) or not isinstance(listed, list):
        raise FormatError(f"inputs and tensors of node {name!r} must be lists")
    if kind not in LAYERS or inspect.isabstract(LAYERS[kind]):
        known = ", ".join(sorted(k for k, v in LAYERS.items() if not inspect.isabstract(v)))
        raise FormatError(f"node {name!r} is a {kind!r}; known are {known}")
    tensors: dict[str, Any] = {}
    for position, (tensor, index) in enumerate(listed, first):
        if type(index) is not int or index != position or index >= len(roots):
            raise FormatError(f"{name}.{tensor} is root {index}; it must be {position}")
        stem = tensor.removesuffix("=")
        if stem in tensors:
            raise FormatError(f"{name}.{stem} is there twice")
        tensors[stem] = roots[index] if stem == tensor else _array(roots[index], arrays)
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
    _check_decodes(LAYERS[kind], tensors, name)
    layer = LAYERS[kind].build(settings, tensors)
    # one spelling only: a number for a pair, true for 1, tensors in another order are refused
    if _spelled(config, tensors) != _spelled(layer.config(), layer.tensors()):
        raise FormatError(f"node {name!r}: settings or tensors are not in their canonical form")
    return Node(name, layer, tuple(inputs))


def _spelled(config: Mapping[str, Any], tensors: Iterable[str]) -> str:
    return json.dumps([config, list(tensors)], sort_keys=True)


def _check_decodes(kind: type[Layer], tensors: dict[str, Any], name: str) -> None:
    """Refuse settings that would decode, when the layer checks them, through huge arrays."""
    for tensor in kind.buffer_names:
        value = tensors.get(tensor)
        if isinstance(value, Encoding):
            size = sum(n.size for n in value.nodes() if not isinstance(n, DenseEncoding))
            if size > MAX_FREE_ELEMENTS:
                raise LimitError(
                    f"{name}.{tensor} decodes through {size} elements; at most {MAX_FREE_ELEMENTS}"
                )


def _array(leaf: Encoding, arrays: dict[int, NDArray[Any]]) -> NDArray[Any]:
    """Return the array that a leaf keeps; a leaf that is reached twice is one array."""
    if not isinstance(leaf, DenseEncoding) or leaf.coding != "raw":
        raise FormatError(f"a plain tensor is a raw dense leaf, not {leaf!r}")
    if leaf.format not in ARRAY_FORMATS:
        raise FormatError(f"a plain tensor has no format {leaf.format!r}; see ARRAY_FORMATS")
    return arrays.setdefault(id(leaf), leaf.decode())


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
    RefqError
        As `to_bytes` does.

    Examples
    --------
    >>> import tempfile
    >>> from refq.encodings import dense
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     size = save(f"{folder}/one.refq", dense([1.0], "float16"))
    ...     load(f"{folder}/one.refq").stored_bits
    16
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

    Examples
    --------
    >>> load("no_such.refq")
    Traceback (most recent call last):
    refq.core.errors.FormatError: no_such.refq is no file
    """
    return from_bytes(read_file(path))
