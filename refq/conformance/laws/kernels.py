"""The law of twins: a kernel equals its definition, bit for bit (L5)."""

import copy
from typing import Any

import numpy as np

from ...core.errors import RefqError
from ..subjects import KernelSubject
from .comparison import first_difference, same_bits
from .registry import LawViolation, law

__all__ = ["twins_agree"]


def _result(function: Any, arguments: tuple[Any, ...]) -> tuple[Any, Any]:
    """Return (what came, the arguments afterwards); an error of refq's own is a result too."""
    mine = copy.deepcopy(arguments)
    try:
        return function(*mine), mine
    except RefqError as error:
        return error, mine


def _flat(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (tuple, list)) else [value]


def _shown(arguments: tuple[Any, ...]) -> str:
    words = [
        f"{a.dtype}{a.shape} {a.ravel()[:8].tolist()}" if isinstance(a, np.ndarray) else repr(a)
        for a in arguments
    ]
    return "; ".join(words)


@law(
    "L5 twins",
    sentence="A kernel gives what its definition gives: dtype, shape and every bit.",
    source="the conventions of `refq.core.twins`",
    applies_to="kernel",
)
def twins_agree(subject: KernelSubject) -> None:
    """Run both on copies of the arguments, and compare results and what became of the copies."""
    fast = subject.pair.python if subject.python else subject.pair.compiled
    expected, left = _result(subject.pair.definition, subject.arguments)
    with np.errstate(all="ignore"):  # compiled code is silent; its source, interpreted, is not
        got, right = _result(fast, subject.arguments)
    given = f"{subject.pair.name}({_shown(subject.arguments)})"
    _compare(given, expected, got)
    _compare(f"{given}, arguments afterwards", left, right)


def _compare(given: str, expected: Any, got: Any) -> None:
    if isinstance(expected, RefqError) or isinstance(got, RefqError):
        if type(expected) is not type(got):
            raise LawViolation(given, repr(expected), repr(got))
        return
    a, b = _flat(expected), _flat(got)
    if len(a) != len(b):
        raise LawViolation(given, f"{len(a)} results", f"{len(b)} results")
    for one, other in zip(a, b, strict=True):
        _compare_one(given, one, other)


def _compare_one(given: str, one: Any, other: Any) -> None:
    if isinstance(one, (np.ndarray, np.generic)):
        x, y = np.asarray(one), np.asarray(other)
        # numba hands scalars back as Python numbers: then the value decides, not the dtype
        if not isinstance(one, np.ndarray) and isinstance(other, (bool, int, float)):
            y = y.astype(x.dtype)
        if not same_bits(x, y):
            raise LawViolation(given, *first_difference(x, y))
    elif type(one) is float or type(other) is float:
        _compare_one(given, np.float64(one), np.float64(other))
    elif one != other:
        raise LawViolation(given, repr(one), repr(other))
