"""The laws of models whose numbers change and whose function does not (more of L8).

Equation
--------
Multiplying by a power of two is exact, and so is every rounding that commutes with it. With such
scales an equalized model therefore gives the same bits, on any weights that neither over- nor
underflow. A corrected bias makes means equal; how nearly, the rounding of the bias says.
"""

import numpy as np

from ...nn import BatchNorm, Conv2d, Layer, Linear, Model
from ...passes import (
    compress,
    correct_bias,
    equalize_layers,
    fold_batchnorm,
    smooth_activations,
)
from ...scalar import AffineQuantizer
from .registry import LawViolation, law

__all__ = ["corrected_means", "equalized_is_the_same", "with_drawn_numbers"]


def with_drawn_numbers(model: Model, seed: int = 0) -> Model:
    """Return the model with float64 weights whose channels differ in size.

    Parameters
    ----------
    model : Model
        Untouched.
    seed : int
        Of the draws.

    Returns
    -------
    Model
        Weights and biases are normal, times 2^-6 to 2^6 along each channel.

    Examples
    --------
    >>> from ...nn import Sequential
    >>> drawn = with_drawn_numbers(Sequential([Linear(2, 1)], (2,)))
    >>> drawn.parameters()["fc1.weight"].dtype
    dtype('float64')
    """
    rng = np.random.default_rng(seed)
    return Model(
        [type(n)(n.name, _drawn(n.layer, rng), n.inputs) for n in model.nodes], model.input_shape
    )


def _drawn(layer: Layer, rng: np.random.Generator) -> Layer:
    new = {}
    for name, tensor in layer.parameters().items():
        size = 2.0 ** rng.integers(-6, 7, (tensor.shape[0], *[1] * (tensor.ndim - 1)))
        new[name] = rng.standard_normal(tensor.shape) * size
    if isinstance(layer, BatchNorm):
        new["running_var"] = rng.random(layer.num_features) + 0.5
    return layer.replace(**new)


@law(
    "L8 equalized is the same",
    sentence=(
        "With scales that are powers of two, a model whose layers were equalized, or whose "
        "activations were smoothed, gives the same bits."
    ),
    source="Nagel et al., arXiv:1906.04721, section 4.1; Xiao et al., arXiv:2211.10438, section 4",
    applies_to="model",
)
def equalized_is_the_same(model: Model) -> None:
    """Compare the outputs of five random inputs, bit for bit."""
    drawn = fold_batchnorm(with_drawn_numbers(model))
    x = np.random.default_rng(1).standard_normal((5, *model.input_shape))
    changed = {
        "equalized": equalize_layers(drawn, power_of_two=True),
        "smoothed": smooth_activations(drawn, x, power_of_two=True),
    }
    for word, other in changed.items():
        expected, got = drawn.predict(x), other.predict(x)
        if not np.array_equal(expected, got):
            worst = float(np.abs(expected - got).max())
            raise LawViolation(
                f"a model of {len(model.nodes)} nodes, {word}",
                "the outputs of the model before, to the last bit",
                f"outputs that are off by {worst:.3g} of {np.abs(expected).max():.3g}",
            )


@law(
    "L8 corrected means",
    sentence=(
        "After bias correction, every layer's mean output on the data is that of the original, "
        "channel by channel."
    ),
    source="Nagel et al., arXiv:1906.04721, section 4.2 and appendix D",
    applies_to="model",
)
def corrected_means(model: Model) -> None:
    """Round to three bits and correct; 2^-40 of the outputs covers sums and biases in float64."""
    original = fold_batchnorm(with_drawn_numbers(model, 2))
    x = np.random.default_rng(3).random((6, *model.input_shape))
    plan = {"*": AffineQuantizer(bits=3)}
    corrected = correct_bias(compress(original, plan), original, x)
    # scales are float16, decoded weights float32, and activations and biases float64 or float32
    wanted, got = original.activations(x), corrected.activations(x)
    for node in original.nodes:
        if isinstance(node.layer, (Conv2d, Linear)):
            axes = (0, *range(2, wanted[node.name].ndim))
            error = np.abs((got[node.name] - wanted[node.name]).mean(axis=axes))
            size = np.abs(got[node.name]).mean(axis=axes) + np.abs(wanted[node.name]).mean(
                axis=axes
            )
            bias = np.abs(np.asarray(corrected.parameters()[f"{node.name}.bias"]))
            worse = error > 2.0**-24 * bias + 2.0**-40 * (size + bias)
            if worse.any():
                i = int(np.argmax(worse))
                raise LawViolation(
                    f"a model of {len(model.nodes)} nodes, {node.name}, channel {i}",
                    "a mean error of zero, up to the rounding of the bias",
                    f"{error[i]:.6g}, where the outputs are {size[i]:.3g} in size",
                )
