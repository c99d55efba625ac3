"""Semantics: what "quantize" means, as a value that is its own implementation.

Problem
-------
Runtimes that claim the same operator return different integers: one divides, one multiplies by the
reciprocal; one adds the zero point after rounding, one before; one multiplies accumulators by a
float32, one by a fixed-point number, rounding once or twice.

Conventions
-----------
A `Semantics` is a name, a version and frozen rules; each rule's `apply` *is* the NumPy
implementation. Presets are versioned and never change: a runtime that changes gets a new version.
`ONNX`, the text, is the default of every op. A preset that names a runtime is proved against it on
near ties, in tests/against. Tier T1 throughout.

References
----------
.. [1] ONNX operator specification, opset 28: QuantizeLinear, DequantizeLinear, QLinearMatMul,
   QLinearConv, MatMulInteger, ConvInteger. https://onnx.ai/onnx/operators/
"""

from dataclasses import dataclass

from .cast_rule import CastRule
from .checks import check_choice
from .elementwise_rule import ElementwiseRule
from .errors import RangeError
from .quantize_rule import QuantizeRule
from .requantize_rule import RequantizeRule

__all__ = [
    "ONNX",
    "PRESETS",
    "CastRule",
    "ElementwiseRule",
    "QuantizeRule",
    "RequantizeRule",
    "Semantics",
    "get",
]


@dataclass(frozen=True)
class Semantics:
    """What one runtime, in one version, computes.

    Parameters
    ----------
    name, version : str
        For example "onnx", "28" (the opset).
    quantize : QuantizeRule
        Numbers to codes, one scale for the whole tensor.
    quantize_axis : QuantizeRule or None
        Numbers to codes, one scale per index of an axis; None: as `quantize`.
    requantize : RequantizeRule
        Accumulators to codes.
    cast : CastRule
        Numbers to codes without a scale.
    elementwise : ElementwiseRule
        Addition, multiplication, pooling, concatenation and activations on codes.
    accumulator : {"exact", "wrap"}
        "exact" refuses sums that could leave int32; "wrap" computes modulo 2^32.
    cpu : str
        The CPU feature that the preset needs, where the runtime's answer depends on one.

    Raises
    ------
    RangeError
        If `accumulator` has no such value.

    Examples
    --------
    >>> ONNX.quantize.zero_point, ONNX.requantize.kind
    ('after', 'exact')
    """

    name: str
    version: str
    quantize: QuantizeRule = QuantizeRule()
    quantize_axis: QuantizeRule | None = None
    requantize: RequantizeRule = RequantizeRule()
    cast: CastRule = CastRule()
    elementwise: ElementwiseRule = ElementwiseRule()
    accumulator: str = "exact"
    cpu: str = ""

    def __post_init__(self) -> None:
        check_choice(self.accumulator, "accumulator", ("exact", "wrap"))

    def quantize_rule(self, scale_ndim: int) -> QuantizeRule:
        """Return the rule for a scale of that many axes.

        Parameters
        ----------
        scale_ndim : int
            0: one scale for the whole tensor.

        Returns
        -------
        QuantizeRule
            `quantize`, or `quantize_axis` where there is one and the scale has an axis.
        """
        if scale_ndim and self.quantize_axis is not None:
            return self.quantize_axis
        return self.quantize


ONNX = Semantics("onnx", "28")  #: the text of opset 28, the default of every op

#: (name, version) -> preset; of one name, the newest comes last.
PRESETS: dict[tuple[str, str], Semantics] = {(s.name, s.version): s for s in (ONNX,)}


def get(name: str | Semantics, version: str | None = None) -> Semantics:
    """Return a preset by its name; a `Semantics` passes through.

    Parameters
    ----------
    name : str or Semantics
        For example "onnx".
    version : str or None
        None means the newest there is.

    Returns
    -------
    Semantics
        The frozen value.

    Raises
    ------
    RangeError
        Listing the presets there are.

    Examples
    --------
    >>> get("onnx") is ONNX
    True
    """
    if isinstance(name, Semantics):
        return name
    found = [s for (n, v), s in PRESETS.items() if n == name and version in (None, v)]
    if not found:
        there = ", ".join(f"{n} {v}" for n, v in PRESETS)
        wanted = f"{name!r}" if version is None else f"{name!r}, version {version!r}"
        raise RangeError(f"semantics = {wanted} is unknown; there are: {there}")
    return found[-1]
