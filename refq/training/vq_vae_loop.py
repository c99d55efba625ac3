"""The training loop of a VQ-VAE.

Conventions
-----------
As `refq.training.fit`: models are values, an epoch visits every example once, in a drawn order. One
step: losses and codes with the codebook as it is; then the networks move by their gradients, and
the codebook by its own loss or by averages of the latents *of this step*, see
`refq.training.codebook_averages`.

References
----------
.. [1] A. van den Oord, O. Vinyals, K. Kavukcuoglu, "Neural Discrete Representation Learning",
   arXiv:1711.00937.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import check_choice, check_float_array, check_integer, check_random_state
from ..core.errors import RangeError, ShapeError
from .codebook_averages import CodebookAverages
from .optimizers import Adam, Optimizer
from .vq_vae import VQVAE, VQLosses, vq_losses

__all__ = ["VQHistory", "fit_vq_vae"]

_ADAM = Adam(1e-3)


@dataclass(frozen=True)
class VQHistory:
    """What happened during training.

    Parameters
    ----------
    reconstructions : tuple of float
        For each epoch the mean of the batches' reconstruction losses.
    commitments : tuple of float
        The same of the commitment losses, without beta.
    perplexities : tuple of float
        For each epoch ``2^H`` of the codes chosen in it: how many codewords are used, in effect.

    Examples
    --------
    >>> VQHistory((0.7, 0.4), (0.1, 0.2), (7.9, 8.0)).reconstructions[-1]
    0.4
    """

    reconstructions: tuple[float, ...]
    commitments: tuple[float, ...]
    perplexities: tuple[float, ...]


def fit_vq_vae(
    model: VQVAE,
    X: ArrayLike,
    *,
    epochs: int,
    optimizer: Optimizer = _ADAM,
    batch_size: int = 64,
    commitment_weight: float = 0.25,
    codebook_rule: str = "averages",
    decay: float = 0.99,
    dead_below: float = 0.0,
    random_state: int | np.random.SeedSequence | np.random.Generator | None = 0,
) -> tuple[VQVAE, VQHistory]:
    """Train a VQ-VAE on examples.

    Parameters
    ----------
    model : VQVAE
        With its initial weights and codewords. It is not changed.
    X : array_like, shape ``(n, *input_shape)``
        Finite; float32 or float64.
    epochs : int
        How often every example is visited; at least 1.
    optimizer : Optimizer
        The rule for the networks; ``Adam(1e-3)`` by default.
    batch_size : int
        The most examples in a batch; at least 1.
    commitment_weight : float
        *beta* of the commitment loss.
    codebook_rule : {"averages", "gradient"}
        Codewords as moving averages, or moved by the optimizer along the codebook loss's gradient.
    decay : float
        Of the averages, in [0, 1).
    dead_below : float
        Averages only: a codeword whose count falls below it is set to a drawn latent; 0 never.
    random_state : int, SeedSequence, Generator or None
        Draws order, dropout and restarts.

    Returns
    -------
    model : VQVAE
        A new model.
    history : VQHistory
        Losses and use of the codebook, by epoch.

    Raises
    ------
    RangeError
        If a parameter is not legal or the loss stops being finite.
    ShapeError
        If there is no example.

    Notes
    -----
    Tier T2.

    Examples
    --------
    >>> from refq.training.vq_vae import dense_vq_vae
    >>> X = np.random.default_rng(0).standard_normal((64, 4)).astype(np.float32)
    >>> model, history = fit_vq_vae(dense_vq_vae(4, 1, 2, 8, random_state=0), X, epochs=5)
    >>> history.reconstructions[-1] < history.reconstructions[0]
    True
    """
    x = check_float_array(X, "X")
    if x.ndim < 2 or not len(x):
        raise ShapeError(f"X has shape {x.shape}; at least one example is needed")
    check_integer(epochs, "epochs", 1)
    n_batches = -(-len(x) // check_integer(batch_size, "batch_size", 1))
    check_choice(codebook_rule, "codebook_rule", ("averages", "gradient"))
    rng = check_random_state(random_state)
    averages = CodebookAverages.start(model.codebook) if codebook_rule == "averages" else None
    state = optimizer.start(_moved_by_gradient(model, averages))
    rows = []
    for epoch in range(1, epochs + 1):
        seen = []
        for part in np.array_split(rng.permutation(len(x)), n_batches):
            losses = vq_losses(model, x[part], commitment_weight, rng)
            _need_finite(losses, epoch, optimizer)
            masters = _moved_by_gradient(model, averages)
            new, state = optimizer.step(masters, losses.gradients, state)
            model = model.with_trainable(new)
            if averages is not None:
                averages = averages.updated(losses.latents, losses.codes, decay)
                averages = averages.restarted(losses.latents, dead_below, rng)
                model = replace(model, codebook=averages.codebook.astype(model.codebook.dtype))
            seen.append(losses)
        rows.append(_summary(seen, len(model.codebook)))
    first, second, third = zip(*rows, strict=True)
    return model, VQHistory(first, second, third)


def _moved_by_gradient(model: VQVAE, averages: CodebookAverages | None) -> dict[str, NDArray[Any]]:
    """Return the arrays that the optimizer moves."""
    flat = model.trainable()
    if averages is not None:
        del flat["codebook"]
    return flat


def _need_finite(losses: VQLosses, epoch: int, optimizer: Optimizer) -> None:
    if not np.isfinite([losses.reconstruction, losses.codebook]).all():
        raise RangeError(
            f"the loss is not finite in epoch {epoch}: training diverged; lower learning_rate = "
            f"{optimizer.learning_rate}"
        )


def _summary(seen: list[VQLosses], K: int) -> tuple[float, float, float]:
    """Return an epoch's mean losses and the perplexity of its codes."""
    counts = np.bincount(np.concatenate([s.codes for s in seen]), minlength=K)
    p = counts[counts > 0] / counts.sum()
    return (
        float(np.mean([s.reconstruction for s in seen])),
        float(np.mean([s.commitment for s in seen])),
        float(2.0 ** -(p * np.log2(p)).sum()),
    )
