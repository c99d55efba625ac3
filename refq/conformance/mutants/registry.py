"""Mutants: planted, realistic mistakes, each of which a named law must kill.

Problem
-------
A test that cannot fail proves nothing. So every law is shown at least one mistake that somebody has
made, and must object.

Conventions
-----------
`Mutant.apply` is a context manager that plants the mistake, for the time of the ``with`` block, in
a noun, a base class or the textbook quantizer. `Mutant.subjects` gives what the law judges; it is
called inside the block. The same subjects pass without the mistake. Mutants patch classes: they are
for one thread.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from ...core.errors import RangeError
from ..laws import LAWS, LawViolation
from ..subjects import MethodSubject, noun_examples, plain_array
from ..textbook import textbook_quantizer

__all__ = [
    "MUTANTS",
    "Mutant",
    "mutants_of",
    "noun_subjects",
    "plant",
    "plant_function",
    "register",
    "survives",
    "textbook_subjects",
]

Apply = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Mutant:
    """One planted mistake.

    Parameters
    ----------
    name : str
        A few words.
    law : str
        The name of the law that must kill it.
    description : str
        The mistake, in one sentence.
    apply : callable
        Returns a context manager within which the mistake is made.
    subjects : callable
        Returns the subjects that the law judges.
    """

    name: str
    law: str
    description: str
    apply: Apply
    subjects: Callable[[], list[Any]]


#: name -> mutant
MUTANTS: dict[str, Mutant] = {}


def register(mutant: Mutant) -> Mutant:
    """Add a mutant to `MUTANTS`.

    Parameters
    ----------
    mutant : Mutant
        Its law must exist.

    Returns
    -------
    Mutant
        The same.

    Raises
    ------
    RangeError
        If there is no such law, or the name is taken.

    Examples
    --------
    >>> register(Mutant("no law", "L0", "", contextlib.nullcontext, list))
    Traceback (most recent call last):
    refq.core.errors.RangeError: law = 'L0', of mutant 'no law', is not registered
    """
    if mutant.law not in LAWS:
        raise RangeError(f"law = {mutant.law!r}, of mutant {mutant.name!r}, is not registered")
    if mutant.name in MUTANTS:
        raise RangeError(f"name = {mutant.name!r} is taken by another mutant")
    MUTANTS[mutant.name] = mutant
    return mutant


def mutants_of(law: str) -> list[Mutant]:
    """Return the mutants that a law must kill.

    Parameters
    ----------
    law : str
        The law's name.

    Returns
    -------
    list of Mutant
        At least one for every law that is registered.

    Examples
    --------
    >>> [m.name for m in mutants_of("L3 Eckart-Young")]
    ['smallest values kept']
    """
    return [m for m in MUTANTS.values() if m.law == law]


def survives(mutant: Mutant, planted: bool = True) -> str | None:
    """Return None if the law objects to some subject, else a sentence that says it does not.

    Parameters
    ----------
    mutant : Mutant
        The mistake.
    planted : bool
        False judges the same subjects without the mistake: then the law must not object.

    Returns
    -------
    str or None
        None where the mutant is killed.

    Examples
    --------
    >>> survives(MUTANTS["values filled in Fortran order"]) is None
    True
    """
    found = LAWS[mutant.law]
    with mutant.apply() if planted else contextlib.nullcontext():
        for subject in mutant.subjects():
            try:
                found.check(subject)
            except LawViolation:
                return None
    return f"{mutant.law} does not object to {mutant.name!r}: {mutant.description}"


def textbook_subjects(bits: int = 4, group_size: int = 5) -> list[Any]:
    """Return subjects of the textbook quantizer: normal numbers, and small whole ones.

    Parameters
    ----------
    bits : int
        In [2, 8].
    group_size : int
        Of the quantizer.

    Returns
    -------
    list of MethodSubject
        Fitted to fresh arrays.

    Examples
    --------
    >>> len(textbook_subjects())
    3
    """
    method = textbook_quantizer(bits, group_size)
    arrays = [plain_array((4, 7)), 2 + plain_array((3, 7), 1), plain_array((9, 33), 2)]
    return [MethodSubject(method, W) for W in arrays]


def noun_subjects() -> list[Any]:
    """Return the encodings of `noun_examples`.

    Returns
    -------
    list of Encoding
        Made anew.

    Examples
    --------
    >>> len(noun_subjects()) > 8
    True
    """
    return [encoding for _, encoding in noun_examples()]


def plant(
    name: str,
    law: str,
    description: str,
    target: Any,
    attribute: str,
    replacement: Any,
    subjects: Callable[[], list[Any]],
) -> Mutant:
    """Register a mutant that replaces one attribute.

    Parameters
    ----------
    name, law, description : str
        As for `Mutant`.
    target : object
        A class or a module.
    attribute : str
        What is replaced there.
    replacement : object
        What stands there instead.
    subjects : callable
        As for `Mutant`.

    Returns
    -------
    Mutant
        The registered one.

    Examples
    --------
    >>> made = plant("doc", "L2 memoryless", "", Mutant, "subjects", None, list)
    >>> MUTANTS.pop("doc") is made
    True
    """

    def apply() -> AbstractContextManager[Any]:
        return mock.patch.object(target, attribute, replacement)

    return register(Mutant(name, law, description, apply, subjects))


def plant_function(
    name: str,
    law: str,
    description: str,
    original: Callable[..., Any],
    replacement: Callable[..., Any],
    subjects: Callable[[], list[Any]],
) -> Mutant:
    """Register a mutant that replaces a function wherever a module of this package names it.

    Parameters
    ----------
    name, law, description : str
        As for `Mutant`.
    original : callable
        The function.
    replacement : callable
        What is called instead.
    subjects : callable
        As for `Mutant`.

    Returns
    -------
    Mutant
        The registered one.

    Examples
    --------
    >>> made = plant_function("doc", "L2 memoryless", "", textbook_subjects, list, list)
    >>> MUTANTS.pop("doc") is made
    True
    """

    @contextlib.contextmanager
    def apply() -> Iterator[None]:
        house = __name__.split(".")[0] + "."
        word = original.__name__
        with contextlib.ExitStack() as stack:
            for module_name, module in sorted(sys.modules.items()):
                if module_name.startswith(house) and vars(module).get(word) is original:
                    stack.enter_context(mock.patch.object(module, word, replacement))
            yield

    return register(Mutant(name, law, description, apply, subjects))
