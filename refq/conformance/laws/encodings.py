"""The laws of what encodings decode to: shape and dtype, composition (L1, L9)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.checks import shown
from ...encodings import Encoding, FactoredEncoding
from ..noun_oracles import factored_bound, oracle_of
from .comparison import need, need_same
from .registry import LawViolation, law

__all__ = ["composition", "encoding_promises"]


@law(
    "L1 shape and dtype",
    sentence="Every node decodes to the shape and the dtype that it promises without decoding.",
    source="`refq.encodings.Encoding`: shape and dtype are known without decoding",
    applies_to="encoding",
)
def encoding_promises(encoding: Encoding) -> None:
    """Check every node; the caller's copy of a decoded array must not change the next one."""
    for node in encoding.nodes():
        x = node.decode()
        need(
            x.shape == node.shape and x.dtype == node.dtype,
            f"{node!r}.decode()",
            f"{node.dtype} {node.shape}",
            f"{x.dtype} {x.shape}",
        )
        before = x.copy()
        x[...] = 1
        need_same(f"{node!r}, decoded, overwritten, decoded again", before, node.decode())


@law(
    "L9 composition",
    sentence="A node decodes to the arithmetic of what its parts decode to.",
    source="the equation in each noun's module docstring",
    applies_to="encoding",
)
def composition(encoding: Encoding) -> None:
    """Compare every node with the oracle on its decoded parts."""
    for node in encoding.nodes():
        parts = {name: part.decode() for name, part in node.parts().items()}
        got, expected = node.decode(), oracle_of(node, parts)
        given = f"{node!r} over {', '.join(parts) or 'no parts'}"
        if isinstance(node, FactoredEncoding):
            _need_close(given, expected, got, factored_bound(node, parts))
        else:
            need_same(given, _one_nan(expected), _one_nan(got))


def _one_nan(x: NDArray[Any]) -> NDArray[Any]:
    """Return the array with one NaN for all: IEEE 754 leaves a NaN's sign and payload open."""
    return np.where(np.isnan(x), x.dtype.type(np.nan), x) if x.dtype.kind == "f" else x


def _need_close(given: str, expected: NDArray[Any], got: NDArray[Any], bound: NDArray[Any]) -> None:
    need(got.shape == expected.shape, given, f"shape {expected.shape}", f"{got.shape}")
    bad = ~(np.abs(got - expected) <= bound)
    if bad.any():
        index = np.unravel_index(int(np.argmax(bad)), bad.shape)
        where = shown(index)
        raise LawViolation(
            given,
            f"{where}: {expected[index]} within {bound[index]:.3g}",
            f"{where}: {got[index]}",
        )
