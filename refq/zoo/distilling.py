"""Retrain a compressed model on what its float original says: logits, on training images only.

Problem
-------
Pruning and sharing move a model away from what it had learned. A few passes over the training data
bring it back, and the original's logits teach more than the labels do ([1]_).

Equation
--------
The loss is the mean of ``(z - z_teacher)^2`` over the logits, which is what distillation tends to
for high temperatures ([2]_, section 2.1).

Conventions
-----------
A small training set is enlarged by its shifts by one pixel, so that the teacher is asked about
images that it did not learn by heart; of a large one a fixed part is used. Codes and masks stay;
the float leaves (codewords, kept weights, factors) are trained through their pullback.

References
----------
.. [1] J. Ba and R. Caruana, "Do Deep Nets Really Need to be Deep?", arXiv:1312.6184, 2013.
.. [2] G. Hinton, O. Vinyals, J. Dean, "Distilling the Knowledge in a Neural Network",
   arXiv:1503.02531, 2015.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..nn import Model
from ..training import Adam, Cosine, fit, shifted

__all__ = ["Lesson", "distill", "lesson"]

MOST = 40_000  #: a lesson has at most this many examples


@dataclass(frozen=True)
class Lesson:
    """What a student is shown: inputs and the teacher's logits.

    Parameters
    ----------
    X : ndarray, shape (n, channels, height, width)
        Images of the training split, shifted or not.
    logits : ndarray, shape (n, n_classes)
        The teacher's answers.
    """

    X: NDArray[Any]
    logits: NDArray[Any]


def lesson(teacher: Model, X: NDArray[Any], most: int = MOST) -> Lesson:
    """Return the lesson that a teacher gives on training images.

    Parameters
    ----------
    teacher : Model
        The float original.
    X : ndarray, shape (n, channels, height, width)
        The training split: all nine shifts of every image if these are at most `MOST`, else its
        first `most` images.
    most : int
        How many images of a large training split are used.

    Returns
    -------
    Lesson
        Deterministic.
    """
    if 9 * len(X) <= MOST:
        steps = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
        shown = np.concatenate([shifted(X, down, right) for down, right in steps])
    else:
        shown = X[:most]
    return Lesson(shown, teacher.predict(shown))


def distill(
    student: Model, taught: Lesson, epochs: int, learning_rate: float, random_state: int
) -> Model:
    """Train a student to give its teacher's logits.

    Parameters
    ----------
    student : Model
        Its float leaves are trained; codes and masks stay.
    taught : Lesson
        From `lesson`.
    epochs : int
        How often the lesson is gone through.
    learning_rate : float
        Of Adam at the start; it falls along a cosine to a fiftieth.
    random_state : int
        Draws the order.

    Returns
    -------
    Model
        In the formats that it had.
    """
    trained, _ = fit(
        student,
        taught.X,
        taught.logits,
        loss="squared_error",
        epochs=epochs,
        optimizer=Adam(learning_rate),
        schedule=Cosine(last=0.02),
        random_state=random_state,
    )
    return trained
