"""Train the models of the zoo: ``python -m refq.zoo.train NAME --seed N``.

Conventions
-----------
Adam with a cosine schedule on the training split alone; the test split is only evaluated, once, at
the end. The big networks learn labels, on images shifted by at most one pixel. The small rivals get
the best that is known for so few parameters: they learn the big network's logits, as the retrained
plans do.
"""

import argparse
import platform
import sys
from pathlib import Path

import numpy as np

from ..encodings.container import write_atomically
from ..nn import Model
from ..training import Adam, Cosine, History, fit, shift_images
from .architectures import ARCHITECTURES, architecture
from .distilling import lesson
from .trained import load, load_data

__all__ = ["main", "train_model"]

#: name of the data -> epochs and batch size of the big network, epochs of the rival
RECIPES = {"digits": (60, 64, 12), "fashion": (12, 128, 12)}
LEARNING_RATE = 4e-3


def train_model(name: str, seed: int, epochs: int | None = None) -> tuple[Model, History]:
    """Train a model of the zoo from scratch.

    Parameters
    ----------
    name : str
        An architecture: ``digits``, ``digits_small``, ``fashion``, ``fashion_small``.
    seed : int
        Draws the initial weights, the order and the shifts.
    epochs : int or None
        None means the recipe's.

    Returns
    -------
    model : Model
        Trained.
    history : History
        The losses.

    Notes
    -----
    Tier T2. Digits take about a minute on two cores, Fashion-MNIST half an hour.
    """
    stem = name.removesuffix("_small")
    n_epochs, batch_size, n_lessons = RECIPES[stem]
    data = load_data(stem)
    rival = name != stem
    if rival:
        taught = lesson(load(stem)[0], data.train.X, most=len(data.train.X))
        X, y, loss, n_epochs = taught.X, taught.logits, "squared_error", n_lessons
    else:
        X, y, loss = data.train.X, data.train.y, "cross_entropy"
    return fit(
        architecture(name).initialize(seed),
        X,
        y,
        epochs=n_epochs if epochs is None else epochs,
        batch_size=batch_size,
        loss=loss,
        optimizer=Adam(LEARNING_RATE, weight_decay=0.0 if rival else 1e-2),
        schedule=Cosine(warmup=0.1),
        augment=None if rival else shift_images(1),
        random_state=seed,
        callback=_progress,
    )


def _progress(epoch: int, loss: float, model: Model) -> None:
    sys.stderr.write(f"epoch {epoch}: loss {loss:.4f}\n")


def _accuracy(model: Model, X: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean(model.predict(X).argmax(axis=1) == y))


def main(argv: list[str] | None = None) -> int:
    """Train a model and write its safetensors file.

    Parameters
    ----------
    argv : list of str or None
        The command line; None means the process's own.

    Returns
    -------
    int
        0.
    """
    from safetensors.numpy import save

    parser = argparse.ArgumentParser(prog="python -m refq.zoo.train", description=__doc__)
    parser.add_argument("name", choices=sorted(ARCHITECTURES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--to", type=Path, default=Path(__file__).parent / "weights")
    args = parser.parse_args(argv)
    model, history = train_model(args.name, args.seed, args.epochs)
    data = load_data(args.name.removesuffix("_small"))
    tensors = {
        f"{node.name}.{key}": np.asarray(value)
        for node in model.nodes
        for key, value in node.layer.tensors().items()
    }
    said = f" --epochs {args.epochs}" if args.epochs is not None else ""
    notes = {
        "command": f"python -m refq.zoo.train {args.name} --seed {args.seed}{said}",
        "seed": str(args.seed),
        "versions": f"python {platform.python_version()}, numpy {np.__version__}",
        "final_loss": f"{history.losses[-1]:.6f}",
        "test_accuracy": f"{_accuracy(model, data.test.X, data.test.y):.4f}",
    }
    write_atomically(args.to / f"{args.name}.safetensors", save(tensors, metadata=notes))
    sys.stderr.write(f"{notes}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
