"""Mistakes of equalization and of bias correction: more of L8."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...nn import Model, Sigmoid
from ...passes import bias_correction, channel_scaling
from ...passes.channel_scaling import Link, float_tensor, power_of_two_near
from ..small_models import model_examples
from .registry import plant, plant_function

__all__: list[str] = []

_SAME = "L8 equalized is the same"
_MEANS = "L8 corrected means"


def _subjects() -> list[Any]:
    return [model for _, model in model_examples()]


def _as_it_is(scale: NDArray[np.float64]) -> NDArray[np.float64]:
    return scale


def _tiled(model: Model, link: Link) -> NDArray[np.float64]:
    weight = float_tensor(model, f"{link.target}.weight").astype(np.float64)
    layer: Any = model.node(link.target).layer
    groups = getattr(layer, "groups", 1)
    split = weight.reshape(groups, len(weight) // groups, link.copies, -1, *weight.shape[2:])
    return split.swapaxes(2, 3).reshape(*split.shape[:2], split.shape[3], -1)


_honest_rescale = channel_scaling.rescale


def _bias_kept(model: Model, link: Link, scale: NDArray[np.float64]) -> Model:
    new = _honest_rescale(model, link, scale)
    name = f"{link.source}.bias"
    return new.replace({name: model.parameters()[name]}) if name in new.parameters() else new


plant(
    "sigmoid taken for homogeneous",
    _SAME,
    "Channels are rescaled through a sigmoid.",
    channel_scaling,
    "HOMOGENEOUS",
    (*channel_scaling.HOMOGENEOUS, Sigmoid),
    _subjects,
)
plant_function(
    "bias not rescaled",
    _SAME,
    "The first layer's bias keeps its unit.",
    channel_scaling.rescale,
    _bias_kept,
    _subjects,
)
plant_function(
    "scale not a power of two",
    _SAME,
    "power_of_two=True does nothing.",
    power_of_two_near,
    _as_it_is,
    _subjects,
)
plant_function(
    "pixels before channels",
    _SAME,
    "The columns behind a Flatten are taken to run over the channels first.",
    channel_scaling.by_input_channel,
    _tiled,
    _subjects,
)


def _all_means(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.full(x.shape[1], x.mean())


_honest_bias = bias_correction._with_bias_less


def _added(model: Model, name: str, shift: NDArray[np.float64]) -> Model:
    return _honest_bias(model, name, -shift)


def _last_first(model: Model, original: Model) -> list[str]:
    return _honest_layers(model, original)[::-1]


_honest_layers = bias_correction._shared_layers

plant(
    "one mean for all channels",
    _MEANS,
    "The mean runs over channels too.",
    bias_correction,
    "_channel_means",
    _all_means,
    _subjects,
)
plant(
    "shift added",
    _MEANS,
    "The bias gets the shift twice instead of losing it.",
    bias_correction,
    "_with_bias_less",
    _added,
    _subjects,
)
plant(
    "corrected from the last layer",
    _MEANS,
    "A layer is corrected before those that feed it.",
    bias_correction,
    "_shared_layers",
    _last_first,
    _subjects,
)
