"""Deep Compression: prune, retrain, share, retrain the shared values, entropy-code.

Problem
-------
Each step alone saves a little: zeros are useless without a mask, codes without an entropy coding
leave their skew unused, and every step but the last costs accuracy. In the right order, with
training in between, they multiply.

Equation
--------
==========  ======================================================================================
stage       what it does
==========  ======================================================================================
original    the model as it came
pruned      least weights become zero, in one step or several; the kept ones are retrained
shared      the kept values of a tensor become codes into a few codewords (k-means)
retrained   codes stay; each codeword moves by the sum of its members' gradients ([1]_, eq. 3)
coded       masks, codes and codewords are entropy-coded: no value changes
==========  ======================================================================================

Conventions
-----------
Retraining is a function that the caller passes: labels, a teacher's logits, any recipe will do, as
long as it keeps masks and codes, which `refq.training.fit` does. Every stage is a whole model; its
bits are those of the file that it would be saved as.

References
----------
.. [1] S. Han, H. Mao, W. J. Dally, "Deep Compression: Compressing Deep Neural Networks with
   Pruning, Trained Quantization and Huffman Coding", ICLR 2016, arXiv:1510.00149.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.errors import RangeError
from ..encodings import Encoding, MaskedEncoding
from ..nn import Model
from ..nn.model_file import to_bytes
from ..passes import code_model, compress, share_kept
from ..passes.compression import Plan

__all__ = ["Retraining", "Stage", "deep_compression"]

#: ``(model, step) -> model``: what brings a model back, after the step that is counted from 0.
Retraining = Callable[[Model, int], Model]


@dataclass(frozen=True)
class Stage:
    """A model on the way, and what it costs.

    Parameters
    ----------
    name : str
        "original", "pruned", "shared", "retrained" or "coded".
    model : Model
        As of then.

    Examples
    --------
    >>> from refq import nn
    >>> stage = Stage("original", nn.Sequential([nn.Linear(3, 2)], input_shape=(3,)))
    >>> stage.stored_bits, stage.payload_bytes, stage.file_bytes > 32
    (256, 32, True)
    """

    name: str
    model: Model

    @property
    def stored_bits(self) -> int:
        """The bits of all distinct leaves and arrays, buffers included."""
        return sum(self._leaf_bits())

    @property
    def payload_bytes(self) -> int:
        """What they take in a file, every leaf rounded up to whole bytes."""
        return sum(-(-bits // 8) for bits in self._leaf_bits())

    @property
    def file_bytes(self) -> int:
        """The size of the file that ``refq.save`` writes: header and payload."""
        return len(to_bytes(self.model))

    def _leaf_bits(self) -> list[int]:
        found: dict[int, int] = {}
        for node in self.model.nodes:
            for tensor in node.layer.tensors().values():
                if isinstance(tensor, np.ndarray):
                    found[id(tensor)] = 8 * tensor.nbytes
                else:
                    found |= {id(leaf): leaf.leaf_bits for leaf in tensor.leaves().values()}
        return list(found.values())


def deep_compression(
    model: Model,
    retrain: Retraining,
    *,
    pruning: Plan | Sequence[Plan],
    sharing: Plan,
    coding: str = "huffman",
) -> tuple[Stage, ...]:
    """Return the stages of Deep Compression, the original first, the coded model last.

    Parameters
    ----------
    model : Model
        In float; untouched.
    retrain : callable
        ``(model, step) -> model``. Called after every pruning step, then after sharing; `step`
        counts from 0, and is a good summand for a seed. Masks and codes have to stay.
    pruning : mapping of str to Method, or a sequence of them
        Plans of pruners, see `refq.passes.compress`; several prune step by step.
    sharing : mapping of str to Method
        What the kept values become, see `refq.passes.share_kept`.
    coding : {"huffman", "rans", ...}
        Of the leaves; see `refq.encodings.entropy_code`.

    Returns
    -------
    tuple of Stage
        "original", "pruned", "shared", "retrained", "coded".

    Raises
    ------
    RangeError
        If there is no pruning step, a pattern matches nothing, or retraining moved a pruned weight
        away from zero.

    Notes
    -----
    The weights that are zero after the last pruning step are exactly zero in every later stage;
    this is checked after each retraining. "coded" answers as "retrained" does, bit for bit. Tier T2
    where `retrain` is a seeded `fit`.

    References
    ----------
    S. Han et al., arXiv:1510.00149.

    Examples
    --------
    >>> from refq import nn
    >>> from refq.encodings import Cast
    >>> from refq.pruning import MagnitudePruner
    >>> from refq.vector import KMeansQuantizer
    >>> model = nn.Sequential([nn.Linear(40, 10)], input_shape=(40,)).initialize(0)
    >>> stages = deep_compression(
    ...     model,
    ...     lambda held, step: held,
    ...     pruning={"*": MagnitudePruner(0.75)},
    ...     sharing={"*": KMeansQuantizer(4, random_state=0), "*.bias": Cast("float16")},
    ... )
    >>> [(stage.name, stage.stored_bits) for stage in stages[:4]]
    [('original', 13120), ('pruned', 3920), ('shared', 824), ('retrained', 824)]
    """
    plans = [pruning] if isinstance(pruning, Mapping) else list(pruning)
    if not plans:
        raise RangeError("pruning = () has no step; give one plan of pruners, or several")
    held = model
    for step, plan in enumerate(plans):
        held = _retrained(compress(held, plan), retrain, step)
    shared = share_kept(held, sharing)
    tuned = _retrained(shared, retrain, len(plans))
    return (
        Stage("original", model),
        Stage("pruned", held),
        Stage("shared", shared),
        Stage("retrained", tuned),
        Stage("coded", code_model(tuned, coding)),
    )


def _retrained(model: Model, retrain: Retraining, step: int) -> Model:
    """Return the model retrained; a recipe that loses the masks would undo the pruning."""
    new = retrain(model, step)
    before, after = model.parameters(), new.parameters()
    for name, tensor in before.items():
        if isinstance(tensor, MaskedEncoding):
            pruned = np.broadcast_to(tensor.mask.decode(), tensor.shape) == 0
            now = after[name]
            array = now.decode() if isinstance(now, Encoding) else now
            moved = np.count_nonzero(array[pruned])
            if moved:
                raise RangeError(
                    f"retrain(model, {step}) moved {moved} pruned entries of {name} away from "
                    "zero; train the Encodings, as refq.training.fit does, not decoded arrays"
                )
    return new
