"""The training loop: batches, steps, epochs, and a model at the end.

Problem
-------
Fit a model's float parameters, and the float leaves of its Encodings, to examples, so that the same
seed gives the same model.

Conventions
-----------
Models are values: every step makes a new one, and the one passed in stays as it was. An epoch
visits every example once, in a drawn order, in batches whose sizes differ by at most one (a last
batch of one example would have no variance to normalize by). Three streams are drawn from
`random_state`: for the order, for the layers (dropout) and for `augment`; so switching augmentation
on changes nothing else.

References
----------
.. [1] L. Bottou, F. E. Curtis, J. Nocedal, "Optimization Methods for Large-Scale Machine Learning",
   SIAM Review 60(2), 2018.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import (
    check_array,
    check_choice,
    check_float_array,
    check_integer,
    check_random_state,
)
from ..core.errors import RangeError, RefqError, ShapeError
from ..nn import Model
from .augmentation import Augmentation
from .losses import LOSSES, Loss
from .masters import narrow, widen
from .optimizers import Adam, Optimizer, OptimizerState
from .schedules import Constant, Schedule

__all__ = ["Callback", "History", "fit"]

#: ``(epoch, loss, model) -> stop``: the epoch from 1, its mean loss, the model as of now.
Callback = Callable[[int, float, Model], bool | None]

_ADAM = Adam(1e-3)
_CONSTANT = Constant()


@dataclass(frozen=True)
class History:
    """What happened during training.

    Parameters
    ----------
    losses : tuple of float
        For each epoch the mean loss over its examples, each taken before the step it led to.
    n_steps : int
        How many steps were taken.

    Examples
    --------
    >>> History((0.7, 0.4), 20).losses[-1]
    0.4
    """

    losses: tuple[float, ...]
    n_steps: int


@dataclass(frozen=True)
class _Plan:
    """What stays the same from step to step."""

    loss: Loss
    optimizer: Optimizer
    names: frozenset[str]
    frozen: frozenset[str]
    rng: np.random.Generator


def _is_frozen(name: str, patterns: Collection[str]) -> bool:
    """Whether a pattern matches ``node.tensor`` or, for a leaf, ``node.tensor/path``."""
    tensor = name.split("/")[0]
    return any(fnmatchcase(name, p) or fnmatchcase(tensor, p) for p in patterns)


def _trained_names(model: Model, frozen: frozenset[str]) -> frozenset[str]:
    """Return the names to train; a pattern that freezes nothing is a mistake."""
    every = model.trainable()
    buffers = [f"{node.name}.{name}" for node in model.nodes for name in node.layer.buffers()]
    tensors = [*every, *buffers]
    for pattern in sorted(frozen):
        if not any(_is_frozen(name, [pattern]) for name in tensors):
            raise RangeError(f"frozen pattern {pattern!r} matches none of {', '.join(tensors)}")
    names = frozenset(name for name in every if not _is_frozen(name, frozen))
    if not names:
        raise RangeError(f"nothing is left to train: frozen = {sorted(frozen)}")
    return names


def _check_data(X: ArrayLike, y: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    inputs, targets = check_float_array(X, "X"), check_array(y, "y")
    if inputs.ndim < 1 or targets.ndim < 1 or len(inputs) != len(targets) or not len(inputs):
        raise ShapeError(
            f"X has shape {inputs.shape}, y {targets.shape}; they need one row per example, "
            "at least one"
        )
    return inputs, targets


def _need_finite(arrays: Mapping[str, NDArray[Any]], plan: _Plan, where: str) -> None:
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise RangeError(
                f"{name} is not finite at {where}: training diverged; lower "
                f"learning_rate = {plan.optimizer.learning_rate}, or begin with Cosine(warmup=0.1)"
            )


def _evaluate(
    plan: _Plan, output: NDArray[Any], y: NDArray[Any], where: str
) -> tuple[float, NDArray[Any]]:
    """Return loss and gradient; an error says which batch its indices count in."""
    try:
        return plan.loss(output, y)
    except RefqError as error:
        raise type(error)(f"{error} (in the batch of {where})") from error


def _step(
    plan: _Plan,
    model: Model,
    state: OptimizerState,
    batch: tuple[NDArray[Any], NDArray[Any]],
    factor: float,
    where: str,
) -> tuple[Model, OptimizerState, float]:
    """Return the model after one step, the optimizer's memory, and the loss before the step."""
    output, tape = model.forward(batch[0], training=True, rng=plan.rng)
    _need_finite({"the model's output": output}, plan, where)
    loss, gradient = _evaluate(plan, output, batch[1], where)
    _need_finite({"the loss": np.asarray(loss)}, plan, where)
    gradients = model.gradients(model.backward(gradient, tape)[1])
    masters = {name: array for name, array in model.trainable().items() if name in plan.names}
    new, state = plan.optimizer.step(masters, gradients, state, factor)
    _need_finite(new, plan, where)
    buffers = model.updated_buffers(tape)
    moved = {k: v for k, v in buffers.items() if not _is_frozen(k, plan.frozen)}
    return model.with_trainable(new).replace(moved), state, float(loss)


def _batches(n: int, batch_size: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Yield the indices of each batch of one epoch: ceil(n / batch_size) batches, even in size."""
    yield from np.array_split(rng.permutation(n), -(-n // batch_size))


def fit(
    model: Model,
    X: ArrayLike,
    y: ArrayLike,
    *,
    epochs: int,
    loss: str | Loss = "cross_entropy",
    optimizer: Optimizer = _ADAM,
    schedule: Schedule = _CONSTANT,
    batch_size: int = 64,
    random_state: int | np.random.SeedSequence | np.random.Generator | None = 0,
    callback: Callback | None = None,
    augment: Augmentation | None = None,
    frozen: Collection[str] = frozenset(),
) -> tuple[Model, History]:
    """Train a model on examples.

    Parameters
    ----------
    model : Model
        With its initial parameters. It is not changed.
    X : array_like, shape (n, ...)
        The model's inputs: finite; float32 or float64.
    y : array_like, shape (n, ...)
        The targets, as the loss wants them: classes, or arrays of the output's shape.
    epochs : int
        How often every example is visited; at least 1.
    loss : str or callable
        A name in `LOSSES`, or ``(output, y_batch) -> (loss, gradient)``.
    optimizer : Optimizer
        The rule; ``Adam(1e-3)`` by default.
    schedule : Schedule
        The factor on the learning rate over all steps.
    batch_size : int
        The most examples in a batch; at least 1.
    random_state : int, SeedSequence, Generator or None
        Draws order, dropout and augmentation.
    callback : callable or None
        ``(epoch, loss, model) -> stop`` after each epoch, from 1; training ends if it returns True.
    augment : callable or None
        ``(X_batch, rng) -> X_batch``.
    frozen : collection of str
        Patterns (`fnmatch`, case-sensitive) of "node.tensor" or "node.tensor/path" that are not
        trained. A frozen buffer, such as "bn1.running_mean", keeps its value.

    Returns
    -------
    model : Model
        A new model whose parameters are kept in the formats they had.
    history : History
        The loss of each epoch.

    Raises
    ------
    RangeError
        If the loss, the output or a parameter stops being finite, naming epoch and step; if a
        pattern in `frozen` matches nothing, or nothing is left to train.
    ShapeError
        If `X` and `y` have different lengths, or none.

    Notes
    -----
    Float leaves of Encodings are trained in float32 masters, see `widen`. Codes and masks stay.
    Frozen layers still run in training mode: a frozen BatchNorm normalizes by its batch.
    Same seed, same model: tier T2.

    References
    ----------
    [1]_.

    Examples
    --------
    >>> from refq import nn
    >>> X, y = np.array([[-1.0], [1.0]], np.float32), np.array([0, 1])
    >>> model = nn.Sequential([nn.Linear(1, 2)], (1,)).initialize(0)
    >>> model, history = fit(model, X, y, epochs=50, optimizer=Adam(0.1))
    >>> model.predict(X).argmax(axis=1)
    array([0, 1])
    """
    inputs, targets = _check_data(X, y)
    check_integer(epochs, "epochs", 1)
    check_integer(batch_size, "batch_size", 1)
    chosen = LOSSES[check_choice(loss, "loss", LOSSES)] if isinstance(loss, str) else loss
    seeds = check_random_state(random_state).integers(0, 2**63, size=3)
    order, layers, augmenting = (np.random.default_rng(int(seed)) for seed in seeds)
    model, formats = widen(model)
    patterns = frozenset([frozen] if isinstance(frozen, str) else frozen)
    plan = _Plan(chosen, optimizer, _trained_names(model, patterns), patterns, layers)
    state = optimizer.start({k: v for k, v in model.trainable().items() if k in plan.names})
    n_steps = epochs * -(-len(inputs) // batch_size)
    losses: list[float] = []
    for epoch in range(1, epochs + 1):
        total = 0.0
        for picked in _batches(len(inputs), batch_size, order):
            X_batch = inputs[picked] if augment is None else augment(inputs[picked], augmenting)
            where = f"epoch {epoch}, step {state.n_steps + 1}"
            factor = schedule.factor(state.n_steps, n_steps)
            # a run that diverges ends in an error that says so, not in a warning from deep below
            with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
                model, state, value = _step(
                    plan, model, state, (X_batch, targets[picked]), factor, where
                )
            total += value * len(picked)
        losses.append(total / len(inputs))
        if callback is not None and callback(epoch, losses[-1], narrow(model, formats)):
            break
    return narrow(model, formats), History(tuple(losses), state.n_steps)
