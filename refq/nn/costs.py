"""What one inference costs: multiply-accumulates and bit operations, counted exactly.

Equation
--------
Linear: ``out_features in_features``. Convolution: ``out_channels out_height out_width`` outputs,
each a sum over ``(in_channels / groups) kernel_height kernel_width`` products.
Bit operations [1]_: ``multiply-accumulates * weight bits * activation bits``.

Conventions
-----------
Counts are per example, Python integers. The graph's dense shapes are counted: a weight that an
Encoding masks out, or that a low-rank Encoding would skip, is *not* discounted. Biases,
normalization, activations and pooling are not multiply-accumulates and count as zero. Products with
the padding's zeros count, as is usual.

References
----------
.. [1] M. van Baalen et al., "Bayesian Bits: Unifying Quantization and Pruning", NeurIPS 2020.
"""

from collections.abc import Mapping

from ..core.checks import check_integer
from ..core.errors import RangeError
from .model import Model

__all__ = ["bops", "macs", "total_macs"]


def macs(model: Model) -> dict[str, int]:
    """Return the multiply-accumulates of every node for one example.

    Parameters
    ----------
    model : Model
        Any graph.

    Returns
    -------
    dict of str to int
        Every node in order; 0 where nothing is multiplied and accumulated.

    Notes
    -----
    Exact (tier T1). Masked weights are not discounted.

    Examples
    --------
    >>> from refq.nn import Conv2d, Flatten, Linear, Sequential
    >>> macs(Sequential([Conv2d(2, 4, 3, groups=2), Flatten(), Linear(16, 3)], (2, 4, 4)))
    {'conv1': 144, 'flatten1': 0, 'fc1': 48}
    """
    shapes = model.shapes()
    return {
        node.name: node.layer.macs(*(shapes[name] for name in node.inputs)) for node in model.nodes
    }


def total_macs(model: Model) -> int:
    """Return the sum of `macs` over the nodes.

    Parameters
    ----------
    model : Model
        Any graph.

    Returns
    -------
    int
        For one example.

    Examples
    --------
    >>> from refq.nn import Linear, Sequential
    >>> total_macs(Sequential([Linear(3, 4), Linear(4, 2)], (3,)))
    20
    """
    return sum(macs(model).values())


def bops(
    model: Model, weight_bits: int | Mapping[str, int], activation_bits: int | Mapping[str, int]
) -> dict[str, int]:
    """Return the bit operations of every node for one example.

    Parameters
    ----------
    model : Model
        Any graph.
    weight_bits, activation_bits : int or mapping of str to int
        The widths of a node's weights and inputs; a mapping needs every node that multiplies.

    Returns
    -------
    dict of str to int
        Every node in order; sum the values for the total.

    Raises
    ------
    RangeError
        If a width is below one or missing, or a mapping names a node that does not exist.

    Notes
    -----
    Exact (tier T1). Masked weights are not discounted.

    Examples
    --------
    >>> from refq.nn import Linear, Sequential
    >>> bops(Sequential([Linear(3, 4)], (3,)), 4, 8)
    {'fc1': 384}
    """
    counts = macs(model)
    return {
        name: count
        and count
        * _width(weight_bits, "weight_bits", name, counts)
        * _width(activation_bits, "activation_bits", name, counts)
        for name, count in counts.items()
    }


def _width(bits: int | Mapping[str, int], what: str, name: str, counts: Mapping[str, int]) -> int:
    if not isinstance(bits, Mapping):
        return check_integer(bits, what, 1)
    unknown = sorted(set(bits) - set(counts))
    if unknown:
        raise RangeError(f"{what} names {unknown[0]!r}, which is no node; nodes: {list(counts)}")
    if name not in bits:
        raise RangeError(f"{what} lacks node {name!r}; give it, or one integer for all nodes")
    return check_integer(bits[name], f"{what}[{name!r}]", 1)
