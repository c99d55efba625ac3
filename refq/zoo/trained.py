"""Trained models: safetensors files that ship with refq, and how they were made.

Conventions
-----------
``weights/<name>.safetensors`` holds every tensor of an architecture as ``node.tensor``, in float32.
Its metadata has the command that trained it, the seed and the versions. Nothing is unpickled.
"""

from importlib import resources
from typing import Any

import numpy as np

from ..core.checks import check_choice
from ..core.errors import FormatError
from ..encodings import Cast
from ..nn import Model
from ..passes import compress, fold_batchnorm
from .architectures import ARCHITECTURES, architecture
from .datasets import Dataset, load_digits, load_fashion

__all__ = ["MODELS", "load", "load_data", "load_rival", "load_trained", "metadata"]

MODELS = ("digits", "fashion")  #: the names that `load` knows


def load_data(name: str) -> Dataset:
    """Return the data that a model of the zoo was trained on.

    Parameters
    ----------
    name : str
        One of `MODELS`.

    Returns
    -------
    Dataset
        With its fixed splits.

    Raises
    ------
    RangeError
        If there is no such name, or its files are missing; the message says how to get them.
    """
    check_choice(name, "name", MODELS)
    return load_digits() if name == "digits" else load_fashion()


def load_trained(name: str) -> Model:
    """Return a trained float model, batch normalizations included.

    Parameters
    ----------
    name : str
        An architecture of the zoo.

    Returns
    -------
    Model
        With float32 parameters.

    Raises
    ------
    FormatError
        If the shipped file does not fit the architecture.

    Examples
    --------
    >>> load_trained("digits").n_parameters
    44354
    """
    from safetensors.numpy import load as parse

    model = architecture(name)
    arrays: dict[str, Any] = parse(_file(name).read_bytes())
    wanted = {f"{n.name}.{t}" for n in model.nodes for t in n.layer.tensors()}
    if set(arrays) != wanted:
        raise FormatError(f"{name}.safetensors lacks or adds {sorted(set(arrays) ^ wanted)}")
    return model.replace({key: np.asarray(arrays[key]) for key in wanted})


def metadata(name: str) -> dict[str, str]:
    """Return how a shipped model was made.

    Parameters
    ----------
    name : str
        An architecture of the zoo.

    Returns
    -------
    dict of str to str
        ``command``, ``seed``, ``versions`` and the accuracies.

    Examples
    --------
    >>> metadata("digits")["command"]
    'python -m refq.zoo.train digits --seed 0'
    """
    from safetensors import safe_open

    check_choice(name, "name", ARCHITECTURES)
    with (
        resources.as_file(_file(name)) as path,
        safe_open(str(path), framework="np") as opened,
    ):
        return dict(opened.metadata() or {})


def _file(name: str) -> Any:
    check_choice(name, "name", ARCHITECTURES)
    return resources.files(__package__) / "weights" / f"{name}.safetensors"


def load(name: str) -> tuple[Model, Dataset]:
    """Return a trained float model and its data.

    Parameters
    ----------
    name : str
        One of `MODELS`.

    Returns
    -------
    model : Model
        Trained in float by refq's own layers; batch normalizations are folded.
    data : Dataset
        Its data.

    Raises
    ------
    RangeError
        If there is no such name, or its data is missing.

    Examples
    --------
    >>> model, data = load("digits")
    >>> model.input_shape, len(data.test.y)
    ((1, 8, 8), 597)
    """
    data = load_data(name)
    return fold_batchnorm(load_trained(name)), data


def load_rival(name: str) -> Model:
    """Return the dense small network that the combined plan has to beat, kept in float16.

    Parameters
    ----------
    name : str
        One of `MODELS`.

    Returns
    -------
    Model
        Batch normalizations folded, parameters as float16 leaves.

    Examples
    --------
    >>> load_rival("digits").input_shape
    (1, 8, 8)
    """
    check_choice(name, "name", MODELS)
    model = fold_batchnorm(load_trained(f"{name}_small"))
    return compress(model, {"*.*": Cast("float16")})
