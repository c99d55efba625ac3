"""Masters: parameters wide enough to train, and the way back to the formats they had.

Problem
-------
A step of training is often smaller than half the distance of two float16 numbers. Added to a
float16 scale it rounds to nothing, again and again, and the scale never moves.

Conventions
-----------
`widen` keeps every float leaf of an Encoding that is narrower than float32 in float32: the
*master*. `narrow` rounds each master back, once, to the format it had. Codes, masks and generated
parts are not touched, nor are plain arrays: layers hold them in float32 or float64 already.

References
----------
.. [1] P. Micikevicius et al., "Mixed Precision Training", arXiv:1710.03740 (section 3.1: a master
   copy of weights).
"""

from collections.abc import Mapping
from typing import Any

from ..core.errors import RangeError
from ..encodings import DenseEncoding, Encoding
from ..nn import Model

__all__ = ["Formats", "narrow", "narrow_encoding", "widen", "widen_encoding"]

#: "node.parameter" -> path of the leaf -> the format it had.
Formats = Mapping[str, Mapping[str, str]]


def widen_encoding(encoding: Encoding) -> tuple[Encoding, dict[str, str]]:
    """Return the same graph with its narrow float leaves in float32.

    Parameters
    ----------
    encoding : Encoding
        Any.

    Returns
    -------
    encoding : Encoding
        Decodes to the same values; itself, if no leaf is narrow.
    formats : dict of str to str
        The path of each leaf that was widened, and the format it had.

    Notes
    -----
    Exact: float32 holds every narrower float. Tier T1.

    Examples
    --------
    >>> from refq.encodings import dense
    >>> wide, formats = widen_encoding(dense([0.5, 2.0], "float16"))
    >>> wide.format, formats
    ('float32', {'codes': 'float16'})
    """
    narrow_leaves = {
        path: leaf
        for path, leaf in encoding.float_leaves().items()
        if isinstance(leaf, DenseEncoding) and leaf.bits < 32
    }
    if not narrow_leaves:
        return encoding, {}
    arrays = {path: leaf.decode() for path, leaf in narrow_leaves.items()}
    formats = {path: leaf.format for path, leaf in narrow_leaves.items()}
    return encoding.replace_leaves(arrays, "float32"), formats


def narrow_encoding(
    encoding: Encoding, formats: Mapping[str, str], name: str = "encoding"
) -> Encoding:
    """Return the same graph with its masters rounded to the formats that they had.

    Parameters
    ----------
    encoding : Encoding
        From `widen_encoding`, and trained since.
    formats : mapping of str to str
        From `widen_encoding`.
    name : str
        How messages call the encoding.

    Returns
    -------
    Encoding
        A new graph; itself, if `formats` is empty.

    Raises
    ------
    RangeError
        If a master has grown beyond its format.

    Notes
    -----
    One rounding, half to even. Tier T1.

    Examples
    --------
    >>> from refq.encodings import dense
    >>> narrow_encoding(dense([0.1], "float32"), {"codes": "float16"}).format
    'float16'
    """
    leaves = encoding.float_leaves()
    for path, format in formats.items():
        try:
            encoding = encoding.replace_leaves({path: leaves[path].decode()}, format)
        except RangeError as error:
            raise RangeError(
                f"{name}/{path} no longer fits {format} after training ({error}); lower the "
                "learning rate, or keep this part in float32 from the start"
            ) from error
    return encoding


def widen(model: Model) -> tuple[Model, dict[str, dict[str, str]]]:
    """Return the same model with every parameter wide enough to train.

    Parameters
    ----------
    model : Model
        It is not changed.

    Returns
    -------
    model : Model
        Computes the same.
    formats : dict of str to dict
        For `narrow`: "node.parameter", then path of the leaf, to the format it had.

    Notes
    -----
    Tier T1.

    Examples
    --------
    >>> from refq import nn
    >>> model = nn.Sequential([nn.Linear(2, 2)], (2,))
    >>> widen(model)[1]
    {}
    """
    wide: dict[str, Any] = {}
    formats: dict[str, dict[str, str]] = {}
    for name, value in model.parameters().items():
        if isinstance(value, Encoding):
            encoding, had = widen_encoding(value)
            if had:
                wide[name], formats[name] = encoding, had
    return (model.replace(wide) if wide else model), formats


def narrow(model: Model, formats: Formats) -> Model:
    """Return the same model with every master in the format it had.

    Parameters
    ----------
    model : Model
        From `widen`, and trained since.
    formats : mapping
        From `widen`.

    Returns
    -------
    Model
        A new model.

    Raises
    ------
    RangeError
        If a master has grown beyond its format; the message names it.

    Notes
    -----
    Tier T1.

    Examples
    --------
    >>> from refq import nn
    >>> model = nn.Sequential([nn.Linear(2, 2)], (2,))
    >>> narrow(*widen(model)) is model
    True
    """
    parameters = model.parameters()
    new: dict[str, Any] = {}
    for name, had in formats.items():
        value = parameters[name]
        if isinstance(value, Encoding):
            new[name] = narrow_encoding(value, had, name)
    return model.replace(new) if new else model
