"""What the laws of layouts judge: bytes of every type that a layout reads."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ..encodings import Encoding
from ..layouts import gguf

__all__ = ["LayoutSubject", "layout_examples"]


@dataclass(frozen=True, eq=False)
class LayoutSubject:
    """Canonical bytes of one type, and the functions that read and write them.

    Parameters
    ----------
    type : str
        The layout's own name of it.
    buffer : bytes
        Canonical: no bits that no codes have.
    shape : tuple of int
        Of the array; two axes at least, the first one rows.
    read : callable
        Takes bytes, type, shape; gives an Encoding.
    write : callable
        Takes an Encoding and the type; gives bytes.
    nbits : callable
        Takes shape and type; gives the layout's bits.

    Examples
    --------
    >>> subject = dict(layout_examples())["gguf Q8_0"]
    >>> subject.shape, len(subject.buffer)
    ((2, 64), 136)
    """

    type: str
    buffer: bytes
    shape: tuple[int, ...]
    read: Callable[[bytes, str, tuple[int, ...]], Encoding]
    write: Callable[[Encoding, str], bytes]
    nbits: Callable[[tuple[int, ...], str], int]


def layout_examples(seed: int = 0) -> Iterator[tuple[str, LayoutSubject]]:
    """Yield bytes of every type: any bytes, made canonical where a type has others.

    Parameters
    ----------
    seed : int
        Of the bytes.

    Yields
    ------
    name : str
        The layout and the type.
    subject : LayoutSubject
        Four blocks in two rows.

    Examples
    --------
    >>> len(dict(layout_examples()))
    15
    """
    rng = np.random.default_rng(seed)
    for name, kind in gguf.TYPES.items():
        buffer = rng.integers(0, 256, 4 * kind.nbytes).astype(np.uint8).tobytes()
        shape = (2, 2 * kind.size)
        if kind.padding:
            x = rng.standard_normal(shape, dtype=np.float32)
            buffer = gguf.quantize(x, name)
        yield f"gguf {name}", LayoutSubject(name, buffer, shape, gguf.read, gguf.write, gguf.nbits)
