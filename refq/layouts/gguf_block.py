"""What a GGUF block type is: sizes, the fields of its bytes, the nouns they become.

Conventions
-----------
A block type splits bytes into *fields*, arrays with one row per block:

- ``codes``, shape (n, size): unsigned, as the bytes hold them;
- ``scale`` and ``offset``, shape (n, 1): float16 patterns (MXFP4: the byte of the exponent);
- ``scale_codes`` and ``offset_codes``, shape (n, size / sub_size), of super-blocks.

`low` is what the unsigned code 0 means where codes are integers; `scale_low` the same for codes of
scales.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BlockType", "Fields"]

Fields = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class BlockType:
    """One GGUF block type.

    Parameters
    ----------
    name : str
        ggml's name without prefix: ``Q4_K``.
    size : int
        Numbers in a block.
    nbytes : int
        Bytes of a block.
    bits : int
        Width of a code as refq keeps it.
    split : callable
        From bytes, shape (n, nbytes), to fields.
    join : callable
        From fields to bytes; the inverse of `split` wherever the bytes are canonical.
    search : callable
        From float32, shape (n, size), to the fields that ggml's reference function writes.
    low : int
        What the unsigned code 0 means.
    zero_point : bool
        Whether codes stay unsigned, with a zero point of one beside them.
    format : str or None
        The table that says what each code means, where codes are no integers.
    scale_format : str
        What the scale's bits mean.
    sub_size : int or None
        Numbers that share a code of a scale, in super-blocks.
    scale_bits, scale_low : int
        Width of a code of a scale, and what the unsigned code 0 means.
    offset : bool
        Whether there is an offset (kept with the opposite sign in super-blocks).
    padding : bool
        Whether some bytes are not canonical: then only canonical ones are written back alike.
    looks_back : bool
        Whether a block may depend on those before it, so that the search needs them all.

    Examples
    --------
    >>> from .gguf_simple import SIMPLE
    >>> SIMPLE["Q8_0"].size, SIMPLE["Q8_0"].nbytes, SIMPLE["Q8_0"].bits_per_weight
    (32, 34, 8.5)
    """

    name: str
    size: int
    nbytes: int
    bits: int
    split: Callable[[NDArray[np.uint8]], Fields]
    join: Callable[[Fields], NDArray[np.uint8]]
    search: Callable[[NDArray[np.float32]], Fields]
    low: int = 0
    zero_point: bool = False
    format: str | None = None
    scale_format: str = "float16"
    sub_size: int | None = None
    scale_bits: int = 0
    scale_low: int = 0
    offset: bool = False
    padding: bool = False
    looks_back: bool = False

    @property
    def bits_per_weight(self) -> float:
        """Bits of the layout for one number."""
        return 8 * self.nbytes / self.size
