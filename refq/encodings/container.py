"""The ``.refq`` container: a graph of nodes as a checked, deflated header and a packed payload.

Conventions
-----------
All integers are little-endian. ``docs/container.md`` specifies the format for other languages.

======  =====  ======================================================================
offset  bytes  field
======  =====  ======================================================================
0       4      magic, ``REFQ``
4       4      version, 1
8       4      H, the length of the deflated header
12      8      P, the length of the payload
20      4      CRC-32 of everything else: bytes 0 to 19, then header and payload
24      H      header: JSON in UTF-8, deflated (zlib)
24+H    P      payload: the leaves' bytes, one after the other, no gap
======  =====  ======================================================================

The header is an object with ``kind`` ("encoding" or "model"), ``nodes``, ``roots`` and ``extra``. A
node is ``[type, config, parts]`` for arithmetic, parts being indices of earlier nodes by name, and
``[type, config, length]`` for a leaf, length being its bytes in the payload. It holds names and
integers, no float. Every node is reached from a root.

Whoever writes keeps to the limits that the reader sets, so what was saved can be loaded. A coding
may store many equal codes in no bits: the elements of all leaves together may not be more than
``MAX_FREE_ELEMENTS`` plus ``MAX_ELEMENTS_PER_BYTE`` for each byte of the payload.
"""

import json
import os
import secrets
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.errors import DTypeError, FormatError, LimitError, RefqError

__all__ = [
    "MAX_DEPTH",
    "MAX_ELEMENTS_PER_BYTE",
    "MAX_FILE_BYTES",
    "MAX_FREE_ELEMENTS",
    "MAX_HEADER_BYTES",
    "MAX_NODES",
    "check_claim",
    "read_file",
    "read_graph",
    "write_atomically",
    "write_graph",
]

MAGIC = b"REFQ"
VERSION = 1
PREFIX = 24  #: bytes before the header
MAX_HEADER_BYTES = 1 << 24  #: an inflated header may not be longer
MAX_FILE_BYTES = 1 << 34  #: nor a file
MAX_NODES = 100_000  #: nor may a graph have more nodes
MAX_DEPTH = 256  #: nor may a path from a root to a leaf have more nodes
MAX_FREE_ELEMENTS = 1 << 26  #: elements that leaves may have whatever their payload
MAX_ELEMENTS_PER_BYTE = 1 << 10  #: elements that each byte of payload adds to that


def check_claim(size: int, n_bytes: int) -> None:
    """Check that a payload is not absurdly short for what it claims to hold.

    Parameters
    ----------
    size : int
        How many elements.
    n_bytes : int
        The bytes that hold them.

    Raises
    ------
    LimitError
        If the payload would have to be longer.

    Examples
    --------
    >>> check_claim(1 << 27, 10)
    Traceback (most recent call last):
    refq.core.errors.LimitError: 134217728 elements in 10 bytes; at most 67119104
    """
    most = MAX_FREE_ELEMENTS + MAX_ELEMENTS_PER_BYTE * n_bytes
    if size > most:
        raise LimitError(f"{size} elements in {n_bytes} bytes; at most {most}")


def _frame(header: Mapping[str, Any], payload: bytes) -> bytes:
    text = json.dumps(header, separators=(",", ":"), allow_nan=False, sort_keys=True).encode()
    if len(text) > MAX_HEADER_BYTES:
        raise LimitError(f"the header has {len(text)} bytes; at most {MAX_HEADER_BYTES}")
    deflated = zlib.compress(text, 9)
    start = (
        MAGIC
        + VERSION.to_bytes(4, "little")
        + len(deflated).to_bytes(4, "little")
        + len(payload).to_bytes(8, "little")
    )
    check = zlib.crc32(payload, zlib.crc32(deflated, zlib.crc32(start)))
    return start + check.to_bytes(4, "little") + deflated + payload


def _unframe(buffer: bytes) -> tuple[Any, memoryview]:
    if not isinstance(buffer, (bytes, bytearray, memoryview)):
        raise DTypeError(f"buffer is a {type(buffer).__name__}; bytes are needed")
    buffer = bytes(buffer)
    if len(buffer) < PREFIX or buffer[:4] != MAGIC:
        raise FormatError(f"not a .refq file: it must begin with {MAGIC!r} and have {PREFIX} bytes")
    version = int.from_bytes(buffer[4:8], "little")
    if version != VERSION:
        raise FormatError(f"version {version} of .refq is unknown; this refq reads {VERSION}")
    n_header = int.from_bytes(buffer[8:12], "little")
    n_payload = int.from_bytes(buffer[12:20], "little")
    if PREFIX + n_header + n_payload != len(buffer):
        raise FormatError(
            f"the file has {len(buffer)} bytes; its prefix says {PREFIX + n_header + n_payload}"
        )
    view = memoryview(buffer)
    if zlib.crc32(view[PREFIX:], zlib.crc32(view[:20])) != int.from_bytes(buffer[20:24], "little"):
        raise FormatError("the checksum does not match: the file is damaged")
    return _inflate(view[PREFIX : PREFIX + n_header]), view[PREFIX + n_header :]


def _inflate(deflated: memoryview) -> Any:
    stream = zlib.decompressobj()
    try:
        text = stream.decompress(deflated, MAX_HEADER_BYTES + 1)
    except zlib.error as error:
        raise FormatError(f"the header does not inflate: {error}") from error
    if len(text) > MAX_HEADER_BYTES:
        raise LimitError(f"the header inflates past {MAX_HEADER_BYTES} bytes")
    if not stream.eof or stream.unused_data:
        raise FormatError("the deflated header has a wrong length")
    try:
        return json.loads(
            text.decode("utf-8"),  # of bytes, json would also take UTF-16
            object_pairs_hook=_unique,
            parse_float=_no_float,
            parse_constant=_no_float,
        )
    except (ValueError, RecursionError) as error:
        if isinstance(error, RefqError):
            raise
        raise FormatError(f"the header is not JSON: {error}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise FormatError("the header has a duplicate key")
    return found


def _no_float(text: str) -> float:
    raise FormatError(f"the header has a float, {text}; floats belong into leaves")


def write_graph(kind: str, roots: Sequence[Any], extra: Mapping[str, Any]) -> bytes:
    """Return the bytes of a file that holds some encodings and what is said about them.

    Parameters
    ----------
    kind : str
        "encoding" or "model".
    roots : sequence of Encoding
        A node that several of them reach is written once.
    extra : mapping
        Names and integers, JSON-able; what a model says of its layers.

    Returns
    -------
    bytes
        The file.

    Raises
    ------
    LimitError
        If the reader would refuse its size.

    Notes
    -----
    Equal content gives equal headers and payloads on every machine, tier T1; the deflated header
    may differ between versions of zlib.
    """
    index: dict[int, int] = {}
    nodes: list[list[Any]] = []
    payload: list[bytes] = []
    guard = _Guard()
    for root in roots:
        for node in root.nodes():
            if id(node) in index:
                continue
            index[id(node)] = len(nodes)
            parts = node.parts()
            if parts:
                tail: Any = {name: index[id(part)] for name, part in parts.items()}
            else:
                payload.append(node.payload())
                tail = len(payload[-1])
            guard.add([index[id(part)] for part in parts.values()], 0 if parts else node.size, tail)
            nodes.append([type(node).__name__.removesuffix("Encoding"), node.config(), tail])
    guard.finish(sum(map(len, payload)))
    header = {
        "extra": dict(extra),
        "kind": kind,
        "nodes": nodes,
        "roots": [index[id(root)] for root in roots],
    }
    return _frame(header, b"".join(payload))


class _Guard:
    """Counts what the limits of a graph are about: nodes, depth, elements of leaves."""

    def __init__(self) -> None:
        self.depths: list[int] = []
        self.claimed = 0
        self.used: set[int] = set()

    def add(self, parts: list[int], size: int, tail: Any) -> None:
        """Count a node; of leaves, those that have bytes (a rule makes no array on reading)."""
        self.depths.append(1 + max((self.depths[i] for i in parts), default=0))
        self.used.update(parts)
        if len(self.depths) > MAX_NODES:
            raise LimitError(f"the graph has more than {MAX_NODES} nodes")
        if self.depths[-1] > MAX_DEPTH:
            raise LimitError(f"the graph is deeper than {MAX_DEPTH} nodes")
        self.claimed += size if type(tail) is int and tail else 0

    def finish(self, n_bytes: int) -> None:
        """Check the elements against the bytes of the payload."""
        check_claim(self.claimed, n_bytes)


def read_graph(
    buffer: bytes, kind: str | None, nouns: Mapping[str, Any]
) -> tuple[list[Any], list[int], dict[str, Any]]:
    """Return the nodes, the roots' indices and the extra that `write_graph` wrote.

    Parameters
    ----------
    buffer : bytes
        The whole file.
    kind : str or None
        What it must hold; None reads any, and puts it under ``extra["kind"]``.
    nouns : mapping of str to type
        The classes that may be built, by name.

    Returns
    -------
    nodes : list of Encoding
        Parts before what they are part of.
    roots : list of int
        Indices into nodes.
    extra : dict
        As written.

    Raises
    ------
    FormatError
        If anything does not check.
    LimitError
        If a size is past its limit.
    """
    header, payload = _unframe(buffer)
    _need(isinstance(header, dict), "the header is no object")
    fields = {"extra", "kind", "nodes", "roots"}
    _need(set(header) == fields, f"the header has fields {sorted(header)}, not {sorted(fields)}")
    _need(kind is None or header["kind"] == kind, f"the file holds a {header['kind']!r}")
    _need(isinstance(header["nodes"], list), "nodes is no list")
    _need(isinstance(header["extra"], dict), "extra is no object")
    if len(header["nodes"]) > MAX_NODES:
        raise LimitError(f"the graph has {len(header['nodes'])} nodes; at most {MAX_NODES}")
    _need("kind" not in header["extra"], "extra has a kind")
    nodes: list[Any] = []
    start = 0
    guard = _Guard()
    for entry in header["nodes"]:
        node, start = _read_node(entry, nodes, payload, start, nouns)
        nodes.append(node)
        _, _, tail = entry
        leaf = type(tail) is int
        guard.add([] if leaf else list(tail.values()), node.size if leaf else 0, tail)
        guard.finish(len(payload))
    _need(start == len(payload), f"{len(payload) - start} bytes of the payload belong to no leaf")
    roots = header["roots"]
    ok = isinstance(roots, list) and all(type(r) is int and 0 <= r < len(nodes) for r in roots)
    _need(ok, "roots must be indices of nodes")
    _need(guard.used.union(roots) == set(range(len(nodes))), "some nodes belong to no root")
    extra = dict(header["extra"], kind=header["kind"]) if kind is None else header["extra"]
    return nodes, roots, extra


def _read_node(
    entry: Any, nodes: list[Any], payload: memoryview, start: int, nouns: Mapping[str, Any]
) -> tuple[Any, int]:
    _need(isinstance(entry, list) and len(entry) == 3, f"node {len(nodes)} is no triple")
    name, config, tail = entry
    where = f"node {len(nodes)} ({name})"
    _need(isinstance(name, str) and f"{name}Encoding" in nouns, f"{where} has an unknown type")
    _need(isinstance(config, dict), f"{where} has no config")
    noun = nouns[f"{name}Encoding"]
    stop = start
    try:
        if hasattr(noun, "from_payload"):
            _need(type(tail) is int and tail >= 0, f"{where} has no length")
            stop = start + tail
            _need(stop <= len(payload), f"{where} reaches past the payload")
            node = noun.from_payload(_tuples(config), bytes(payload[start:stop]))
        else:
            node = noun(**_tuples(config), **_read_parts(tail, nodes, where))
            _need(set(node.parts()) == set(tail), f"{where}: parts are not canonical")
        # one spelling only: a default left out, -1 for the last axis, true for 1 are refused
        _need(_spelled(node.config()) == _spelled(config), f"{where}: config is not canonical")
        return node, stop
    except RefqError as error:
        kind = LimitError if isinstance(error, LimitError) else FormatError
        message = str(error)
        raise kind(message if message.startswith(where) else f"{where}: {message}") from error
    except (TypeError, LookupError, AttributeError, ArithmeticError, ValueError) as error:
        raise FormatError(f"{where} cannot be built: {error}") from error


def _read_parts(tail: Any, nodes: list[Any], where: str) -> dict[str, Any]:
    _need(isinstance(tail, dict) and len(tail) > 0, f"{where} has no parts")
    parts: dict[str, Any] = {}
    groups: dict[str, dict[int, Any]] = {}
    for name, i in tail.items():
        _need(type(i) is int and 0 <= i < len(nodes), f"{where}: part {name} is no earlier node")
        stem, dot, number = name.partition(".")
        if dot:
            _need(
                number.isascii() and number.isdecimal() and number == str(int(number[:6])),
                f"{where}: part {name} has no number",
            )
            groups.setdefault(stem, {})[int(number)] = nodes[i]
        else:
            parts[stem] = nodes[i]
    for stem, members in groups.items():
        _need(sorted(members) == list(range(len(members))), f"{where}: parts {stem} have a hole")
        parts[stem] = tuple(members[k] for k in range(len(members)))
    return parts


def _tuples(config: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}


def _spelled(config: Mapping[str, Any]) -> str:
    return json.dumps(config, sort_keys=True)


def _need(ok: bool, message: str) -> None:
    if not ok:
        raise FormatError(message)


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that the old one or the new one is there at any time, whole.

    Parameters
    ----------
    path : path_like
        Where to write.
    data : bytes
        What to write.

    Raises
    ------
    OSError
        As the operating system says; then the old file is untouched and nothing is left beside.

    Notes
    -----
    Writes beside, flushes to the disk, then replaces.
    """
    target = Path(path)
    beside = target.parent / f".refq-{secrets.token_hex(8)}.tmp"
    try:
        with beside.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def read_file(path: str | os.PathLike[str]) -> bytes:
    """Return a file's bytes, refusing one past `MAX_FILE_BYTES` before reading it.

    Parameters
    ----------
    path : path_like
        What to read.

    Returns
    -------
    bytes
        All of it.

    Raises
    ------
    FormatError
        If there is no such file.
    LimitError
        If it is too long.
    """
    source = Path(path)
    if not source.is_file():
        raise FormatError(f"{source} is no file")
    if source.stat().st_size > MAX_FILE_BYTES:
        raise LimitError(f"{source} has {source.stat().st_size} bytes; at most {MAX_FILE_BYTES}")
    return source.read_bytes()
