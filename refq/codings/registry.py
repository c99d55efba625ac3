"""Every coding by its name."""

from ..core.errors import RangeError
from .coding import Coding
from .gaps import GapsCoding
from .huffman import HuffmanCoding
from .packing import RawCoding
from .rans import RansCoding

__all__ = ["CODINGS", "get"]

#: name -> coding
CODINGS: dict[str, Coding] = {
    c.name: c for c in (RawCoding(), HuffmanCoding(), RansCoding(), GapsCoding())
}


def get(name: str | Coding) -> Coding:
    """Return the coding of that name; a coding passes through.

    Parameters
    ----------
    name : str or Coding
        "raw", "huffman", "rans" or "gaps".

    Returns
    -------
    Coding
        The frozen value.

    Raises
    ------
    RangeError
        Listing the names there are.

    Examples
    --------
    >>> import numpy as np
    >>> get("raw").nbits(np.zeros(3, np.uint8), 5)
    15
    """
    if isinstance(name, Coding):
        return name
    if not isinstance(name, str) or name not in CODINGS:
        raise RangeError(f"coding = {name!r} is unknown; there are {', '.join(sorted(CODINGS))}")
    return CODINGS[name]
