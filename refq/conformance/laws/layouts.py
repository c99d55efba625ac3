"""The laws of layouts: what was read is written back alike (L11)."""

import numpy as np

from ...core.errors import RefqError
from ..layout_subjects import LayoutSubject
from .comparison import need
from .registry import LawViolation, law

__all__ = ["decodes_in_blocks", "same_size", "written_back"]


@law(
    "L11 written back",
    sentence="Bytes that are read to nouns and written again are the same bytes.",
    source="`refq.layouts`: read and write are inverses on canonical bytes",
    applies_to="layout",
)
def written_back(layout: LayoutSubject) -> None:
    """Read the subject's bytes, write the graph, compare byte by byte."""
    given = f"{layout.buffer[:8].hex()}... as {layout.type} of shape {layout.shape}"
    try:
        got = layout.write(layout.read(layout.buffer, layout.type, layout.shape), layout.type)
    except RefqError as error:
        raise LawViolation(given, "the same bytes", str(error)) from error
    first = next((i for i, (a, b) in enumerate(zip(got, layout.buffer, strict=False)) if a != b), 0)
    need(
        got == layout.buffer,
        given,
        f"{len(layout.buffer)} bytes, from byte {first} on {layout.buffer[first:][:4].hex()}",
        f"{len(got)} bytes, from byte {first} on {got[first:][:4].hex()}",
    )


@law(
    "L11 same size",
    sentence="A layout's bits are eight times its bytes; what it reads has the shape asked for.",
    source="`refq.layouts`: sizes are known before anything is read",
    applies_to="layout",
)
def same_size(layout: LayoutSubject) -> None:
    """Compare the promised bits with the buffer, and the graph's shape with the one asked for."""
    given = f"{layout.type} of shape {layout.shape}"
    promised, actual = layout.nbits(layout.shape, layout.type), 8 * len(layout.buffer)
    need(promised == actual, given, f"{actual} bits", f"{promised} bits")
    shape = layout.read(layout.buffer, layout.type, layout.shape).decode().shape
    need(shape == layout.shape, given, f"shape {layout.shape}", f"shape {shape}")


@law(
    "L11 blocks apart",
    sentence="Each block decodes by itself: a part of the bytes gives that part of the numbers.",
    source="`refq.layouts`: blocks run along the last axis",
    applies_to="layout",
)
def decodes_in_blocks(layout: LayoutSubject) -> None:
    """Decode all rows at once and one by one."""
    rows = layout.shape[0]
    whole = layout.read(layout.buffer, layout.type, layout.shape).decode()
    for i in range(rows):
        alone = layout.read(layout.row(i), layout.type, (1, *layout.shape[1:])).decode()[0]
        bad = ~((alone == whole[i]) | (np.isnan(alone) & np.isnan(whole[i])))
        where = int(np.argmax(bad))
        need(
            not bad.any(),
            f"row {i} of {layout.type} of shape {layout.shape}",
            f"element {where} = {alone.reshape(-1)[where]}",
            f"{whole[i].reshape(-1)[where]} among the other rows",
        )
