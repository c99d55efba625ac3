"""Whole GGUF files, by way of gguf-py: tensors as Encodings, metadata as NumPy values.

Conventions
-----------
A tensor has NumPy's order of axes: the file lists them the other way round. Names are labels; none
is followed as a path. Numbers of the metadata are NumPy scalars and arrays, whose dtypes are the
file's types; Python integers and floats that are to be written become the first of uint32, int32,
uint64, int64 and of float32, float64 that holds them exactly.

References
----------
GGUF: https://github.com/ggml-org/ggml, ``docs/gguf.md``; gguf-py, https://pypi.org/project/gguf/.
"""

import importlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import formats
from ..core.errors import FormatError, RefqError, ShapeError
from ..encodings import DenseEncoding, Encoding
from ..encodings.container import write_atomically
from ..layouts import gguf as layout

__all__ = ["GGUFFile", "load", "save"]

#: GGUF's plain types -> refq's formats
PLAIN = {
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F64": "float64",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
}
_NAMES = {name: type for type, name in PLAIN.items()}
_MOST_AXES = 4  #: what GGUF's readers hold

#: GGUF's types of metadata, by NumPy's names
_VALUES = {
    "uint8": "UINT8",
    "int8": "INT8",
    "uint16": "UINT16",
    "int16": "INT16",
    "uint32": "UINT32",
    "int32": "INT32",
    "uint64": "UINT64",
    "int64": "INT64",
    "float32": "FLOAT32",
    "float64": "FLOAT64",
    "bool": "BOOL",
}
_DTYPES = {type: name for name, type in _VALUES.items()}


def _peer() -> Any:
    try:
        return importlib.import_module("gguf")
    except ImportError as error:
        raise RefqError(
            "GGUF files need the package gguf, which is not installed: pip install 'refq[peers]', "
            "or pip install gguf"
        ) from error


class GGUFFile(Mapping[str, Encoding]):
    """The tensors of a GGUF file by name; each is read when it is asked for.

    Parameters
    ----------
    tensors : mapping of str to (str, tuple of int, bytes-like array)
        Type, shape and bytes of each tensor.
    metadata : mapping of str to object
        The file's keys and values.

    Attributes
    ----------
    types : mapping of str to str
        GGUF's type of each tensor, for example ``Q4_K``.
    shapes : mapping of str to tuple of int
        NumPy's shape of each tensor.
    metadata : mapping of str to object
        Keys and values.

    Notes
    -----
    The bytes stay in the mapped file until a tensor is asked for.

    Examples
    --------
    >>> raw = np.arange(3, dtype=np.float32).view(np.uint8)
    >>> f = GGUFFile({"a/b": ("F32", (3,), raw)}, {"general.architecture": "none"})
    >>> f["a/b"].decode(), f.types["a/b"]
    (array([0., 1., 2.], dtype=float32), 'F32')
    """

    def __init__(
        self,
        tensors: Mapping[str, tuple[str, tuple[int, ...], NDArray[np.uint8]]],
        metadata: Mapping[str, Any],
    ) -> None:
        self._tensors = dict(tensors)
        self.types = MappingProxyType({name: t[0] for name, t in self._tensors.items()})
        self.shapes = MappingProxyType({name: t[1] for name, t in self._tensors.items()})
        self.metadata = MappingProxyType(dict(metadata))

    def __getitem__(self, name: str) -> Encoding:
        type, shape, raw = self._tensors[name]
        if type in layout.TYPES:
            return layout.read(raw.tobytes(), type, shape)
        if type not in PLAIN:
            raise FormatError(
                f"tensor {name!r} has type {type}; refq reads {', '.join([*PLAIN, *layout.TYPES])}"
            )
        form = formats.get(PLAIN[type])
        little = np.dtype(f"u{form.bits // 8}").newbyteorder("<")
        patterns = np.frombuffer(raw.tobytes(), little).astype(little.newbyteorder("="))
        return DenseEncoding(form.from_patterns(patterns).reshape(shape), form.name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __repr__(self) -> str:
        return f"GGUFFile({len(self)} tensors, {len(self.metadata)} keys)"


def load(path: str | os.PathLike[str]) -> GGUFFile:
    """Open a GGUF file.

    Parameters
    ----------
    path : path_like
        The file.

    Returns
    -------
    GGUFFile
        A mapping from names to Encodings, with `types`, `shapes` and `metadata`.

    Raises
    ------
    FormatError
        If there is no file, or it is no GGUF file, is cut short, or is big-endian. A tensor of a
        type that refq does not know is refused when it is asked for.
    RefqError
        If gguf-py is not installed.

    Notes
    -----
    The header is read at once, tensors when they are asked for. Tier T1.
    """
    peer = _peer()
    if not Path(path).is_file():
        raise FormatError(f"{os.fspath(path)!r} is no file")
    try:
        reader = peer.GGUFReader(os.fspath(path))
        tensors = {str(t.name): _tensor(t) for t in reader.tensors}
        metadata = {
            str(k): _value(f) for k, f in reader.fields.items() if not k.startswith("GGUF.")
        }
    except RefqError:
        raise
    # whatever a broken header trips over in the reader
    except (ValueError, KeyError, IndexError, TypeError, OverflowError, MemoryError) as error:
        raise FormatError(f"{os.fspath(path)!r} is no whole GGUF file: {error}") from error
    if reader.byte_order != "I" or np.little_endian is False:
        raise FormatError(f"{os.fspath(path)!r} is big-endian; only little-endian files are read")
    return GGUFFile(tensors, metadata)


def _tensor(tensor: Any) -> tuple[str, tuple[int, ...], NDArray[np.uint8]]:
    shape = tuple(int(n) for n in reversed(tensor.shape.tolist()))
    raw = np.asarray(tensor.data).reshape(-1).view(np.uint8)
    if raw.size != int(tensor.n_bytes):
        raise FormatError(f"tensor {tensor.name!r} is cut short")
    return str(tensor.tensor_type.name), shape, raw


def _value(field: Any) -> Any:
    """Return a value as text, a list of texts, a NumPy scalar or a NumPy array."""
    kinds, found = [kind.name for kind in field.types], field.contents()
    if kinds[-1] == "STRING":
        return found
    dtype = np.dtype(_DTYPES[kinds[-1]])
    return np.array(found, dtype) if kinds[0] == "ARRAY" else dtype.type(found)


def save(
    path: str | os.PathLike[str],
    tensors: Mapping[str, Any],
    metadata: Mapping[str, Any] | None = None,
) -> int:
    """Write a GGUF file.

    Parameters
    ----------
    path : path_like
        Where; an old file is replaced only when the new one is whole.
    tensors : mapping of str to Encoding or (array or Encoding, str)
        What each name stands for: an Encoding that has the form of a GGUF type, or an array (or an
        Encoding) and the type it is to have. A `GGUFFile` keeps its types.
    metadata : mapping of str to object or None
        Keys and values: text, booleans, numbers, lists and arrays of them. None means those of a
        `GGUFFile`, else none.

    Returns
    -------
    int
        The size of the file in bytes.

    Raises
    ------
    FormatError
        If an Encoding has the form of no GGUF type or of several, a type is unknown, or a value of
        the metadata has no type in GGUF.
    ShapeError
        If a tensor has no axis, more than four, or none that the type's blocks divide.
    OSError
        If it cannot be written; then the old file is untouched.
    RefqError
        If gguf-py is not installed.

    Notes
    -----
    ``save(p, load(q))`` keeps every tensor's bytes, but for bytes of TQ1_0 that no codes have. The
    architecture (the key ``general.architecture``) is "unknown" where the metadata has none.
    """
    peer = _peer()
    known = tensors if isinstance(tensors, GGUFFile) else None
    if metadata is None:
        metadata = known.metadata if known is not None else {}
    words = dict(metadata)
    with tempfile.TemporaryDirectory() as folder:
        beside = Path(folder) / "whole.gguf"
        writer = peer.GGUFWriter(beside, str(words.pop("general.architecture", "unknown")))
        if "general.alignment" in words:
            writer.add_custom_alignment(int(words.pop("general.alignment")))
        for key, value in words.items():
            writer.add_key_value(key, *_typed(peer.GGUFValueType, key, value))
        for name in tensors:
            given = tensors[name] if known is None else (tensors[name], known.types[name])
            type, shape, raw = _bytes_of(name, given)
            rows = np.frombuffer(raw, np.uint8).reshape(*shape[:-1], len(raw) // prod(shape[:-1]))
            writer.add_tensor(name, rows, raw_dtype=peer.GGMLQuantizationType[type])
        try:
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
        finally:
            writer.close()
        whole = beside.read_bytes()
    write_atomically(path, whole)
    return len(whole)


def _bytes_of(name: str, given: Any) -> tuple[str, tuple[int, ...], bytes]:
    """Return type, shape and bytes of what is to be written."""
    what, type = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
    shape = what.shape if isinstance(what, Encoding) else np.shape(what)
    if not 1 <= len(shape) <= _MOST_AXES or 0 in shape:
        raise ShapeError(f"tensor {name!r} has shape {shape}; GGUF holds 1 to 4 axes, none empty")
    if type is None:
        if not isinstance(what, Encoding):
            raise FormatError(f"tensor {name!r} is an array: give (array, type)")
        type = _type_of(name, what)
    if type in PLAIN:
        return type, shape, _plain_bytes(name, what, PLAIN[type])
    if isinstance(what, Encoding):
        return type, shape, layout.write(what, type)
    return type, shape, layout.quantize(what, type)


def _plain_bytes(name: str, what: Any, format: str) -> bytes:
    form = formats.get(format)
    if isinstance(what, Encoding):
        if not isinstance(what, DenseEncoding) or what.format != format:
            raise FormatError(f"tensor {name!r} is {what}, no leaf of {format}: give its decode()")
        codes = what.codes
    else:
        codes = form.encode(what, overflow="error")
    patterns = form.to_patterns(codes)
    return np.ascontiguousarray(patterns, patterns.dtype.newbyteorder("<")).tobytes()


def _type_of(name: str, encoding: Encoding) -> str:
    if isinstance(encoding, DenseEncoding) and encoding.format in _NAMES:
        return _NAMES[encoding.format]
    found = [type for type in layout.TYPES if _fits(layout.write, encoding, type)]
    if len(found) != 1:
        why = f"of several: {', '.join(found)}; give (encoding, type)" if found else "of none"
        raise FormatError(f"tensor {name!r}, {encoding}, has the form {why} of GGUF's types")
    return found[0]


def _fits(write: Callable[[Encoding, str], bytes], encoding: Encoding, type: str) -> bool:
    try:
        write(encoding, type)
    except FormatError:
        return False
    return True


def _typed(kinds: Any, key: str, value: Any) -> tuple[Any, Any, Any]:
    """Return a value as gguf-py takes it, its type, and the type of its members."""
    if isinstance(value, str):
        return value, kinds.STRING, None
    if isinstance(value, (list, tuple)) and value and all(isinstance(v, str) for v in value):
        return list(value), kinds.ARRAY, kinds.STRING
    array = np.asarray(value)
    if array.dtype.name not in _VALUES or array.ndim > 1 or not array.size:
        raise FormatError(f"metadata {key!r} = {value!r} has no type in GGUF")
    narrow = array if isinstance(value, (np.ndarray, np.generic)) else _narrowest(array)
    kind = kinds[_VALUES[narrow.dtype.name]]
    if array.ndim:
        return narrow.tolist(), kinds.ARRAY, kind
    return narrow.item(), kind, None


def _narrowest(array: NDArray[Any]) -> NDArray[Any]:
    """Return the numbers in the first of GGUF's usual types that holds them all."""
    for name in {"i": ("uint32", "int32"), "u": ("uint32",), "f": ("float32",)}.get(
        array.dtype.kind, ()
    ):
        with np.errstate(all="ignore"):
            narrow = array.astype(name)
        if np.array_equal(narrow, array, equal_nan=array.dtype.kind == "f"):
            return narrow
    return array
