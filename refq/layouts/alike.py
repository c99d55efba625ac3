"""Whether a graph of nouns has the form that a layout can write.

Conventions
-----------
A template is what the layout's `read` makes of zeros. Shapes, formats, block shapes and parts must
be the template's; codes are free, and so is the coding that they are kept under.
"""

from typing import NoReturn

from ..core.errors import FormatError
from ..encodings import DenseEncoding, Encoding

__all__ = ["check_alike", "refuse"]


def check_alike(layout: str, got: Encoding, want: Encoding, path: str = "") -> None:
    """Compare a graph with a template, part by part.

    Parameters
    ----------
    layout : str
        How messages call the layout's type.
    got : Encoding
        The graph.
    want : Encoding
        The template.
    path : str
        Of the part that is compared; empty for the whole.

    Raises
    ------
    FormatError
        Naming the first part that differs.

    Examples
    --------
    >>> from ..encodings import dense
    >>> check_alike("F16", dense([1.0], "float16"), dense([0.0], "float16"))
    >>> check_alike("F16", dense([1.0], "float32"), dense([0.0], "float16"))
    Traceback (most recent call last):
    refq.core.errors.FormatError: a DenseEncoding of shape (1,) is no F16: the encoding must have \
{'format': 'float16'} and the parts []
    """
    where = path or "the encoding"
    if type(got) is not type(want) or got.shape != want.shape:
        refuse(layout, got, f"{where} must be {type(want).__name__} of shape {want.shape}")
    mine, theirs = dict(got.config()), dict(want.config())
    mine.pop("coding", None), theirs.pop("coding", None)
    if isinstance(got, DenseEncoding) and isinstance(want, DenseEncoding):
        mine, theirs = {"format": got.format}, {"format": want.format}
    if mine != theirs or set(got.parts()) != set(want.parts()):
        refuse(layout, got, f"{where} must have {theirs} and the parts {sorted(want.parts())}")
    for name, part in want.parts().items():
        check_alike(layout, got.parts()[name], part, f"{path}.{name}" if path else name)


def refuse(layout: str, got: Encoding, why: str) -> NoReturn:
    """Raise the error that says why a graph is none of a layout's.

    Parameters
    ----------
    layout : str
        The layout's type.
    got : Encoding
        The graph.
    why : str
        What it must be.

    Raises
    ------
    FormatError
        Always.

    Examples
    --------
    >>> from ..encodings import dense
    >>> refuse("Q8_0", dense([1.0], "float16"), "it must be ScaledEncoding")
    Traceback (most recent call last):
    refq.core.errors.FormatError: a DenseEncoding of shape (1,) is no Q8_0: it must be \
ScaledEncoding
    """
    raise FormatError(f"a {type(got).__name__} of shape {got.shape} is no {layout}: {why}")
