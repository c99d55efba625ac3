"""The laws of honest size: bits, bytes, sharing, the header, entropy (L4)."""

import json
import math
import zlib
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np

from ...codings import get
from ...core.errors import RefqError
from ...encodings import DenseEncoding, Encoding, Leaf
from .comparison import need, need_same
from .registry import LawViolation, law

__all__ = ["header_without_data", "honest_size", "huffman_near_entropy", "round_trip", "sharing"]

_PREFIX = 24  #: bytes of a file before its header


@law(
    "L4 honest size",
    sentence=(
        "stored_bits counts every distinct leaf once, and the bytes of the file are the prefix, "
        "the header and those bits, each leaf rounded up to whole bytes."
    ),
    source="`refq.encodings.container`; `refq.encodings.Encoding.stored_bits`",
    applies_to="encoding",
)
def honest_size(encoding: Encoding) -> None:
    """Check ``stored_bits`` and ``payload_bytes`` against the bytes that are written."""
    leaves = _distinct_leaves(encoding)
    payloads = [leaf.payload() for leaf in leaves]
    data = encoding.to_bytes()
    header = int.from_bytes(data[8:12], "little")
    payload = int.from_bytes(data[12:20], "little")
    given = f"{encoding!r} of {len(leaves)} leaves, {len(data)} bytes of file"
    need(
        _PREFIX + header + payload == len(data),
        given,
        f"prefix {_PREFIX} + header {header} + payload {payload} bytes",
        f"{len(data)} bytes",
    )
    wrote = sum(map(len, payloads))
    for what, n in [("in the file", payload), ("by payload_bytes", encoding.payload_bytes)]:
        need(n == wrote, given, f"{wrote} bytes of payload, as the leaves write", f"{n} {what}")
    spare = 8 * wrote - encoding.stored_bits
    upper = max(8 * len(leaves), 1)
    need(0 <= spare < upper, given, f"8 * {wrote} - stored_bits in [0, {upper})", f"{spare}")
    bits = sum(leaf.leaf_bits for leaf in leaves)
    need(bits == encoding.stored_bits, given, f"stored_bits = {bits}", f"{encoding.stored_bits}")
    for leaf, written in zip(leaves, payloads, strict=True):
        _need_bits(leaf, written)


def _need_bits(leaf: Leaf, written: bytes) -> None:
    """Check one leaf's count against its bytes; raw codes need exactly size * bits."""
    given = f"{leaf!r}, {len(written)} bytes"
    need(len(written) == -(-leaf.leaf_bits // 8), given, "ceil(leaf_bits / 8)", f"{leaf.leaf_bits}")
    if isinstance(leaf, DenseEncoding) and leaf.coding == "raw":
        raw = leaf.size * leaf.bits
        need(leaf.leaf_bits == raw, given, f"{leaf.size} * {leaf.bits} bits", f"{leaf.leaf_bits}")


def _distinct_leaves(encoding: Encoding) -> list[Leaf]:
    """Return the leaves by a walk of our own: `nodes` is among what is judged."""
    found: dict[int, Leaf] = {}
    seen: set[int] = set()
    stack = [encoding]
    while stack:
        node = stack.pop()
        if id(node) not in seen:
            seen.add(id(node))
            if isinstance(node, Leaf):
                found[id(node)] = node
            stack.extend(node.parts().values())
    return list(found.values())


@law(
    "L4 round trip",
    sentence="from_bytes(to_bytes(e)) decodes to the same bits, and writes the same bytes again.",
    source="`refq.encodings.Encoding.from_bytes`",
    applies_to="encoding",
)
def round_trip(encoding: Encoding) -> None:
    """Check bits, sizes and bytes after a round trip."""
    data = encoding.to_bytes()
    need(encoding.to_bytes() == data, f"{encoding!r}", "to_bytes() twice: equal", "they differ")
    try:
        back = Encoding.from_bytes(data)
    except RefqError as error:
        raise LawViolation(f"{encoding!r}.to_bytes()", "from_bytes reads it", str(error)) from error
    given = f"from_bytes of {encoding!r}"
    need_same(given, encoding.decode(), back.decode())
    need(type(back) is type(encoding), given, type(encoding).__name__, type(back).__name__)
    need(
        back.stored_bits == encoding.stored_bits,
        given,
        f"stored_bits = {encoding.stored_bits}",
        f"{back.stored_bits}",
    )
    need(back.to_bytes() == data, given, "the same bytes again", "others")


@law(
    "L4 sharing",
    sentence="A shared part stays one part through to_bytes, from_bytes and map_leaves.",
    source="the conventions of `refq.encodings.encoding`: a node reached twice is one node",
    applies_to="encoding",
)
def sharing(encoding: Encoding) -> None:
    """Count distinct nodes before and after."""
    nodes, leaves = len(_distinct(encoding)), len(_distinct_leaves(encoding))
    back = Encoding.from_bytes(encoding.to_bytes())
    copied = encoding.map_leaves(lambda leaf: replace(leaf))
    for what, other in [("from_bytes", back), ("map_leaves", copied)]:
        counts = len(_distinct(other)), len(_distinct_leaves(other))
        need(
            counts == (nodes, leaves),
            f"{what} of {encoding!r}",
            f"{nodes} distinct nodes, {leaves} of them leaves",
            f"{counts[0]} and {counts[1]}",
        )


def _distinct(encoding: Encoding) -> set[int]:
    seen: dict[int, Encoding] = {}
    stack = [encoding]
    while stack:
        node = stack.pop()
        if id(node) not in seen:
            seen[id(node)] = node
            stack.extend(node.parts().values())
    return set(seen)


@law(
    "L4 header without data",
    sentence="The header holds names and a few integers; its size does not grow with the arrays.",
    source="`refq.encodings.container`: the header holds names and integers, no float",
    applies_to="encoding",
)
def header_without_data(encoding: Encoding) -> None:
    """Inflate the header: no float, no list longer than an array has axes, a bounded length."""
    data = encoding.to_bytes()
    text = zlib.decompress(data[_PREFIX : _PREFIX + int.from_bytes(data[8:12], "little")])
    nodes = _nodes_of(encoding)
    edges = sum(len(node.parts()) for node in nodes)
    limit = 128 + 256 * len(nodes) + 64 * edges
    given = f"the header of {encoding!r}, {len(nodes)} nodes"
    need(len(text) <= limit, given, f"at most {limit} bytes before deflating", f"{len(text)}")
    axes = max(8, *(node.ndim for node in nodes))
    for entry in json.loads(text)["nodes"]:
        _need_names(entry[1], axes, given)


def _nodes_of(encoding: Encoding) -> list[Encoding]:
    wanted = _distinct(encoding)
    return [node for node in encoding.nodes() if id(node) in wanted]


def _need_names(config: Any, axes: int, given: str) -> None:
    if isinstance(config, dict):
        for value in config.values():
            _need_names(value, axes, given)
    elif isinstance(config, list):
        need(len(config) <= axes, given, f"lists of at most {axes} integers", f"{len(config)}")
        for value in config:
            _need_names(value, axes, given)
    else:
        ok = config is None or isinstance(config, (bool, int, str))
        need(ok, given, "names and integers", f"{config!r}")


@law(
    "L4 Huffman",
    sentence=(
        "Huffman codewords take at least the entropy H and less than H + 1 bits a symbol on the "
        "mean; where there is one symbol or none they take no bit."
    ),
    source="Huffman, Proceedings of the IRE 40(9), 1952; Shannon's source coding theorem",
    applies_to="encoding",
)
def huffman_near_entropy(encoding: Encoding) -> None:
    """Code every narrow leaf once and twice over: the streams differ by the codewords alone.

    Doubled counts have the same codeword lengths and the same table. H is a sum of m terms, each
    within 2^-50 of itself, so 2^-40 is above its error for the up to 2^8 symbols here.
    """
    huffman = get("huffman")
    for leaf in _distinct_leaves(encoding):
        if not isinstance(leaf, DenseEncoding) or leaf.bits > 8:
            continue
        # only counts matter: symbols are named anew, 0, 1, 2, ...
        codes = np.unique(leaf.codes, return_inverse=True)[1].reshape(-1).astype(np.uint8)
        once, twice = (huffman.nbits(c, 8) for c in (codes, np.concatenate([codes] * 2)))
        words, n = twice - once, max(codes.size, 1)
        shares = [count / n for count in Counter(codes.tolist()).values()]
        entropy = -math.fsum(p * math.log2(p) for p in shares)
        given = f"{leaf!r}, {len(shares)} symbols, H = {entropy:.6f}"
        if len(shares) < 2:
            need(words == 0, given, "codewords of no bits", f"{words}")
        else:
            ok = n * (entropy - 2.0**-40) <= words < n * (entropy + 1 + 2.0**-40)
            need(ok, given, "a mean length in [H, H + 1)", f"{words / n:.6f}")
