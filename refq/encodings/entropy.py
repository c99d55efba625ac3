"""Entropy coding as a map over leaves: the values stay, the bits shrink.

Conventions
-----------
``entropy_code(e, "huffman")`` puts every integer leaf under the coding if that makes it smaller, so
Deep Compression is Masked over Codebook over Huffman-coded leaves, with no special case. Masks take
``gaps`` where that is smaller still.
"""

from .. import codings
from ..core.checks import check_choice
from .dense_leaf import DenseEncoding
from .encoding import Encoding, Leaf

__all__ = ["entropy_code"]

_MAX_BITS = 16  #: wider codes (float32 patterns) hardly repeat: a table would cost more


def entropy_code(encoding: Encoding, coding: str = "huffman") -> Encoding:
    """Put every leaf of codes under the coding that makes it smallest.

    Parameters
    ----------
    encoding : Encoding
        Any graph.
    coding : str
        An entropy coding of `refq.codings`; one-bit leaves may also become "gaps".

    Returns
    -------
    Encoding
        Decodes to the same bits, and never stores more.

    Raises
    ------
    RangeError
        If there is no such coding.

    Notes
    -----
    A leaf keeps the coding it has where no other is smaller. Codes wider than 16 bits are left.

    Examples
    --------
    >>> import numpy as np
    >>> from .dense_leaf import dense
    >>> leaf = dense(np.repeat([0, 1, 2, 3], [90, 4, 4, 2]), "uint4")
    >>> leaf.stored_bits, entropy_code(leaf).stored_bits < 200
    (400, True)
    """
    check_choice(coding, "coding", codings.CODINGS)

    def shrink(leaf: Leaf) -> Encoding:
        if not isinstance(leaf, DenseEncoding) or leaf.bits > _MAX_BITS or not leaf.size:
            return leaf
        names = [coding] if coding != "gaps" or leaf.bits == 1 else []
        if leaf.bits == 1:
            names.append("gaps")
        return min([leaf, *map(leaf.with_coding, names)], key=lambda e: e.stored_bits)

    return encoding.map_leaves(shrink)
