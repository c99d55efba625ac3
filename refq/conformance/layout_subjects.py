"""What the laws of layouts judge: bytes of every type that a layout reads."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..encodings import Encoding
from ..layouts import bitsandbytes, gguf, microscaling, onnx_int4

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
    fields : tuple of int or None
        The lengths of the arrays that the buffer holds one after the other, each of them cut into
        rows; what follows them belongs to every row. None: one array.

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
    fields: tuple[int, ...] | None = None

    def row(self, i: int) -> bytes:
        """Return the bytes of one row.

        Parameters
        ----------
        i : int
            Which one.

        Returns
        -------
        bytes
            A buffer of shape ``(1, *shape[1:])``.
        """
        rows, start, found = self.shape[0], 0, b""
        for length in self.fields or (len(self.buffer),):
            step = length // rows
            found += self.buffer[start + i * step : start + (i + 1) * step]
            start += length
        return found + self.buffer[start:]


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
    31
    """
    rng = np.random.default_rng(seed)
    yield from _gguf_examples(rng)
    yield from _onnx_examples(rng)
    yield from _microscaling_examples(rng)
    yield from _bitsandbytes_examples(rng)


def _bytes(rng: np.random.Generator, bits: int) -> NDArray[np.uint8]:
    return rng.integers(0, 256, bits // 8).astype(np.uint8)


def _onnx_examples(rng: np.random.Generator) -> Iterator[tuple[str, LayoutSubject]]:
    make, shape = onnx_int4, (2, 12)
    for name in make.TYPES:
        buffer = _bytes(rng, make.nbits(shape, name)).tobytes()
        yield f"onnx {name}", LayoutSubject(name, buffer, shape, make.read, make.write, make.nbits)


def _microscaling_examples(rng: np.random.Generator) -> Iterator[tuple[str, LayoutSubject]]:
    make, shape = microscaling, (2, 64)
    for name, (_, _, block) in make.TYPES.items():
        raw, blocks = _bytes(rng, make.nbits(shape, name)), 128 // block
        tail = 4 * (name == "nvfp4")  # the tensor's scale: one
        raw[raw.size - tail :] = np.ones(tail // 4, np.float32).view(np.uint8)
        scales = raw[raw.size - tail - blocks : raw.size - tail]
        np.maximum(scales, 6, out=scales)
        fields = (raw.size - tail - blocks, blocks)
        functions = make.read, make.write, make.nbits
        yield f"microscaling {name}", LayoutSubject(name, raw.tobytes(), shape, *functions, fields)


def _bitsandbytes_examples(rng: np.random.Generator) -> Iterator[tuple[str, LayoutSubject]]:
    make, shape = bitsandbytes, (2, 128)
    for name in make.TYPES:
        buffer = make.quantize(rng.standard_normal(shape), name)
        functions = make.read, make.write, make.nbits
        scales = 4 * (1 if name.endswith("double") else 4)  # four blocks
        yield f"bitsandbytes {name}", LayoutSubject(name, buffer, shape, *functions, (128, scales))


def _gguf_examples(rng: np.random.Generator) -> Iterator[tuple[str, LayoutSubject]]:
    for name, kind in gguf.TYPES.items():
        buffer = rng.integers(0, 256, 4 * kind.nbytes).astype(np.uint8).tobytes()
        shape = (2, 2 * kind.size)
        if kind.padding:
            x = rng.standard_normal(shape, dtype=np.float32)
            buffer = gguf.quantize(x, name)
        yield f"gguf {name}", LayoutSubject(name, buffer, shape, gguf.read, gguf.write, gguf.nbits)
