"""Schedules: the factor on the learning rate as training goes on.

Equation
--------
Step decay: ``factor = decay ** (how many milestones are behind)``.
Cosine: ``factor = last + (1 - last) (1 + cos(pi u)) / 2`` where ``u`` in [0, 1) is the part behind,
after a warm-up that rises in equal steps.

Conventions
-----------
A schedule is a frozen value with one function, ``factor(step, n_steps)`` in [0, 1], where `step`
counts from 0. Points in time are fractions of the training, so a schedule does not change when
the number of epochs or the batch size does.

References
----------
.. [1] I. Loshchilov and F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts",
   arXiv:1608.03983 (the cosine; no restarts here).
.. [2] P. Goyal et al., "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour",
   arXiv:1706.02677 (section 2.2: gradual warm-up).
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from ..core.checks import check_integer, check_real
from ..core.errors import RangeError

__all__ = ["Constant", "Cosine", "Schedule", "StepDecay"]


class Schedule(ABC):
    """Base of schedules.

    Examples
    --------
    >>> isinstance(Constant(), Schedule)
    True
    """

    def factor(self, step: int, n_steps: int) -> float:
        """Return the factor on the learning rate.

        Parameters
        ----------
        step : int
            In [0, n_steps): how many steps were taken before.
        n_steps : int
            How many steps the whole training has; at least 1.

        Returns
        -------
        float
            In [0, 1].

        Raises
        ------
        RangeError
            If `step` is outside.

        Examples
        --------
        >>> Cosine().factor(50, 100)
        0.5
        """
        n_steps = check_integer(n_steps, "n_steps", 1)
        return self._factor(check_integer(step, "step", 0, n_steps - 1), n_steps)

    @abstractmethod
    def _factor(self, step: int, n_steps: int) -> float:
        """Return the factor; the arguments are checked."""


@dataclass(frozen=True)
class Constant(Schedule):
    """The factor is 1 at every step.

    Examples
    --------
    >>> Constant().factor(9, 10)
    1.0
    """

    def _factor(self, step: int, n_steps: int) -> float:
        """Return 1."""
        return 1.0


@dataclass(frozen=True)
class StepDecay(Schedule):
    """The factor is multiplied by `decay` at every milestone.

    Parameters
    ----------
    milestones : tuple of float
        Fractions of the training in (0, 1), rising.
    decay : float
        In [0, 1].

    Examples
    --------
    >>> s = StepDecay((0.5, 0.75), decay=0.5)
    >>> [s.factor(i, 4) for i in range(4)]
    [1.0, 1.0, 0.5, 0.25]
    """

    milestones: tuple[float, ...] = (0.5, 0.75)
    decay: float = 0.1

    def __post_init__(self) -> None:
        check_real(self.decay, "decay", 0, 1)
        for i, m in enumerate(self.milestones):
            check_real(m, f"milestones[{i}]", 0, 1, open_low=True, open_high=True)
            if i and m <= self.milestones[i - 1]:
                raise RangeError(f"milestones[{i}] = {m} must be above the one before it")

    def _factor(self, step: int, n_steps: int) -> float:
        """Return `decay` to the power of the milestones that are behind."""
        behind = sum(step >= m * n_steps for m in self.milestones)
        return float(self.decay**behind)


@dataclass(frozen=True)
class Cosine(Schedule):
    """A linear warm-up, then half a cosine from 1 down to `last`.

    Parameters
    ----------
    warmup : float
        Fraction of the training in [0, 1], rounded to whole steps.
    last : float
        In [0, 1]: where the cosine would arrive one step after the end.

    Notes
    -----
    No step is wasted on a factor of zero: the warm-up's first step is ``1 / warm-up steps``, and
    the cosine's last step lies one step before its end.

    Examples
    --------
    >>> s = Cosine(warmup=0.5)
    >>> [round(s.factor(i, 8), 3) for i in range(8)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 0.854, 0.5, 0.146]
    """

    warmup: float = 0.0
    last: float = 0.0

    def __post_init__(self) -> None:
        check_real(self.warmup, "warmup", 0, 1)
        check_real(self.last, "last", 0, 1)

    def _factor(self, step: int, n_steps: int) -> float:
        """Return the rising line, or the falling cosine after it."""
        n_warm = round(self.warmup * n_steps)
        if step < n_warm:
            return (step + 1) / n_warm
        behind = (step - n_warm) / (n_steps - n_warm)
        return self.last + (1.0 - self.last) * 0.5 * (1.0 + math.cos(math.pi * behind))
