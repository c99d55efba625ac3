"""Share values among the weights that pruning kept, and entropy-code a whole model.

Problem
-------
A pruned weight is a mask and the kept values. Sharing values among *all* entries spends at best one
codeword on zero; at worst zero shares a codeword with small weights and becomes their mean. And
training moves that codeword, by the sum of all gradients at pruned entries. So only the kept values
are shared, under the mask that they have, and a pruned weight stays exactly zero.

Conventions
-----------
The order matters: prune, then share. Quantizing first makes ties of all weights that got the same
codeword, and pruning by magnitude then takes whichever of them stand last in memory.

References
----------
.. [1] S. Han, H. Mao, W. J. Dally, "Deep Compression", arXiv:1510.00149, sections 3 and 4.
"""

from typing import Any

from ..core.errors import RefqError
from ..encodings import Encoding, MaskedEncoding, Method, entropy_code
from ..nn import Model
from .compression import Plan, match_plan

__all__ = ["code_model", "share_kept"]


def share_kept(model: Model, plan: Plan) -> Model:
    """Encode what the plan names; of a pruned tensor only the kept values.

    Parameters
    ----------
    model : Model
        Untouched. Its pruned tensors are `MaskedEncoding`.
    plan : mapping of str to Method
        See `match_plan`. A method is cloned and fitted to the kept values of a pruned tensor, and
        to the whole of any other.

    Returns
    -------
    Model
        Same graph; every mask is the one that it was, the same node.

    Raises
    ------
    RangeError
        If a pattern matches nothing.
    RefqError
        What a method raises, of its class; the message begins with the tensor's name.

    Notes
    -----
    A pruned entry decodes to exactly zero before and after. For methods that need the array only.
    The tier is that of the methods.

    References
    ----------
    S. Han et al., arXiv:1510.00149, section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from refq import nn
    >>> from refq.encodings import Cast
    >>> from refq.passes import compress
    >>> from refq.pruning import MagnitudePruner
    >>> model = nn.Sequential([nn.Linear(4, 1)], input_shape=(4,))
    >>> model = model.replace({"fc1.weight": np.array([[0.1, -3.0, 2.0, 0.2]], np.float32)})
    >>> small = share_kept(compress(model, {"*": MagnitudePruner()}), {"*": Cast("float16")})
    >>> weight = small.parameters()["fc1.weight"]
    >>> weight.values.format, weight.decode()
    ('float16', array([[ 0., -3.,  2.,  0.]], dtype=float32))
    """
    parameters = model.parameters()
    new: dict[str, Encoding] = {}
    for name, method in match_plan(model, plan).items():
        try:
            new[name] = _shared(parameters[name], method.clone())
        except RefqError as error:
            raise type(error)(f"{name}: {error}") from error
    return model.replace(new)


def _shared(tensor: Any, method: Method) -> Encoding:
    if isinstance(tensor, MaskedEncoding):
        values = method.fit_encode(tensor.values.decode())
        return MaskedEncoding(tensor.mask, values, tensor.array_shape)
    return method.fit_encode(tensor.decode() if isinstance(tensor, Encoding) else tensor)


def code_model(model: Model, coding: str = "huffman") -> Model:
    """Put the leaves of every encoded parameter under the coding that makes them smallest.

    Parameters
    ----------
    model : Model
        Untouched.
    coding : str
        See `refq.encodings.entropy_code`.

    Returns
    -------
    Model
        Every tensor decodes to the same bits, and none stores more.

    Raises
    ------
    RangeError
        If there is no such coding.

    Notes
    -----
    Plain arrays stay as they are. A part that two tensors share is coded for each. Tier T1.

    References
    ----------
    S. Han et al., arXiv:1510.00149, section 4.

    Examples
    --------
    >>> import numpy as np
    >>> from refq import nn
    >>> from refq.encodings import dense
    >>> model = nn.Sequential([nn.Linear(50, 2)], input_shape=(50,))
    >>> model = model.replace({"fc1.weight": dense(np.ones((2, 50)), "int8")})
    >>> code_model(model).parameters()["fc1.weight"].stored_bits
    12
    """
    held = {k: v for k, v in model.parameters().items() if isinstance(v, Encoding)}
    return model.replace({name: entropy_code(tensor, coding) for name, tensor in held.items()})
