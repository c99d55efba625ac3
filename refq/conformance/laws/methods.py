"""The laws of methods: what is promised, memoryless coding, the error bound (L1, L2, L3).

Conventions
-----------
Near ties are where quantizers differ, so the laws look there by themselves: from a fitted method
they make *probes*, arrays of the same shape that lie at the edge of the promised error bound, a few
units in the last place to either side.
"""

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.checks import shown
from ...core.errors import RefqError
from ...encodings import ConcatenatedEncoding, Encoding, FactoredEncoding, Method
from ..subjects import MethodSubject
from .comparison import first_difference
from .registry import LawViolation, law

__all__ = [
    "constants_survive",
    "error_within_bound",
    "memoryless",
    "method_promises",
    "near_tie_probes",
]


def near_tie_probes(subject: MethodSubject) -> list[NDArray[Any]]:
    """Return arrays at which the subject's fitted method must decide between two codes.

    Parameters
    ----------
    subject : MethodSubject
        Its method must have an `error_bound`; else there are none.

    Returns
    -------
    list of ndarray
        ``decoded +- bound`` in the array's dtype, moved by -1, 0 and 1 units in the last place and
        clipped to the range of what was fitted. A probe that the method refuses is left out.

    Examples
    --------
    >>> from ..subjects import METHODS, plain_array
    >>> len(near_tie_probes(MethodSubject(METHODS["Cast"](), plain_array())))
    6
    """
    method, W = subject.fitted, subject.W
    encoding = method.encode(W)
    bound = method.error_bound(W, encoding)
    if bound is None or W.size == 0:
        return []
    y = encoding.decode().astype(np.float64)
    edge = np.where(np.isfinite(bound), bound, 0.0)
    kind = W.dtype if W.dtype.kind == "f" and W.dtype.itemsize >= 4 else np.dtype(np.float32)
    probes = []
    for sign in (1.0, -1.0):
        x = np.clip(y + sign * edge, W.min(), W.max()).astype(kind)
        for toward in (None, np.inf, -np.inf):
            moved = x if toward is None else np.nextafter(x, kind.type(toward))
            if np.isfinite(moved).all() and not _is_refused(method, moved):
                probes.append(moved)
    return probes


def _is_refused(method: Method, X: NDArray[Any]) -> bool:
    try:
        method.encode(X)
    except RefqError:
        return True
    return False


@law(
    "L1 promise",
    sentence=(
        "A method's encoding is of the noun it names, or its pieces side by side are, and decodes "
        "to floats of W's shape."
    ),
    source="`refq.encodings.Method.noun` and `Method.encode`",
    applies_to="method",
)
def method_promises(subject: MethodSubject) -> None:
    """Check the noun, the shape and the dtype's kind, with and without decoding."""
    encoding, x = subject.encoding, subject.encoding.decode()
    wanted = subject.given.shape
    for got in (encoding.shape, x.shape):
        if got != wanted:
            raise LawViolation(repr(subject), f"shape {wanted}", f"{got}")
    if x.dtype != encoding.dtype or x.dtype.kind != "f":
        raise LawViolation(repr(subject), f"{encoding.dtype}, a float dtype", f"{x.dtype}")
    nouns = {type(e).__name__ for e in _side_by_side(encoding)}
    if subject.method.noun and nouns != {subject.method.noun}:
        raise LawViolation(repr(subject), subject.method.noun, ", ".join(sorted(nouns)))


def _side_by_side(encoding: Encoding) -> list[Encoding]:
    """Return the pieces of what lies side by side, reshaped or not; else the encoding itself."""
    if isinstance(encoding, FactoredEncoding) and len(encoding.factors) == 1:
        return _side_by_side(encoding.factors[0])
    if isinstance(encoding, ConcatenatedEncoding):
        return [e for piece in encoding.pieces for e in _side_by_side(piece)]
    return [encoding]


def _is_memoryless(subject: MethodSubject) -> bool:
    return type(subject.method).memoryless


@law(
    "L2 memoryless",
    sentence="With parameters held fixed, coding a decoded array again gives the same bytes.",
    source="`refq.encodings.Method.memoryless`; held fixed, for refitting moves the scale",
    applies_to="method",
    applies=_is_memoryless,
)
def memoryless(subject: MethodSubject) -> None:
    """Encode, decode, encode by the same fitted method; at W and at the probes."""
    for X in [subject.given, *near_tie_probes(subject)]:
        once = subject.fitted.encode(X)
        again = _encode_decoded(subject, once)
        if once.to_bytes() != again.to_bytes():
            expected, got = _first_leaf_difference(once, again)
            raise LawViolation(f"{subject!r}; decode, encode again", expected, got)


def _encode_decoded(subject: MethodSubject, once: Encoding) -> Encoding:
    try:
        return subject.fitted.encode(once.decode())
    except RefqError as error:
        raise LawViolation(f"{subject!r}; decode, encode again", "a code", str(error)) from error


def _first_leaf_difference(one: Encoding, other: Encoding) -> tuple[str, str]:
    a, b = one.leaves(), other.leaves()
    if list(a) != list(b):
        return f"leaves {list(a)}", f"{list(b)}"
    for path in a:
        x, y = a[path].decode(), b[path].decode()
        if x.dtype != y.dtype or x.shape != y.shape or x.tobytes() != y.tobytes():
            expected, got = first_difference(x, y)
            return f"{path}{expected}", f"{path}{got}"
    return "the same bytes", "the same values in other bytes"


def _has_bound(subject: MethodSubject) -> bool:
    return subject.fitted.error_bound(subject.given, subject.encoding) is not None


@law(
    "L3 error bound",
    sentence="Each decoded number is as near to the original as the method itself promises.",
    source="`refq.encodings.Method.error_bound`, derived by each method",
    applies_to="method",
    applies=_has_bound,
)
def error_within_bound(subject: MethodSubject) -> None:
    """Compare errors with the bound in exact arithmetic, at W and at the probes.

    A float64 difference is off by a relative 2^-53, so an error below ``bound * (1 - 2^-50)`` is
    certain; the few others are compared as Fractions.
    """
    for X in [subject.given, *near_tie_probes(subject)]:
        encoding = subject.fitted.encode(X)
        bound = subject.fitted.error_bound(X, encoding)
        if bound is not None:
            _need_within(subject, X, encoding.decode(), np.broadcast_to(bound, X.shape))


def _need_within(
    subject: MethodSubject, X: NDArray[Any], y: NDArray[Any], bound: NDArray[Any]
) -> None:
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.abs(X.astype(np.float64) - y.astype(np.float64))
        doubtful = ~(error <= bound.astype(np.float64) * (1 - 2.0**-50))
    for index in zip(*np.nonzero(doubtful), strict=True):
        limit = float(bound[index])
        if np.isposinf(limit):
            continue
        exact = abs(Fraction(float(X[index])) - Fraction(float(y[index])))
        if np.isnan(limit) or exact > Fraction(limit):
            raise LawViolation(
                f"{subject!r}; x{shown(index)} = {float(X[index])!r}",
                f"decoded within {limit!r}",
                f"{float(y[index])!r}, off by {float(exact)!r}",
            )


def _keeps_constants(subject: MethodSubject) -> bool:
    """Return whether the law speaks: a pruner turns constants into zeros, and says so."""
    return _is_memoryless(subject) and type(subject.method).noun != "MaskedEncoding"


@law(
    "L3 constants",
    sentence="Zeros decode to zeros, any other constant array to one constant of its sign.",
    source="granularity: a ragged block is a smaller block, nothing is padded; zero is exact",
    applies_to="method",
    applies=_keeps_constants,
)
def constants_survive(subject: MethodSubject) -> None:
    """Fit and encode constant arrays of W's shape.

    All blocks of a constant array are alike, the smaller ones at the edges too, so they decode
    alike. How near the constant is: the error bound says that. A method may refuse a constant.
    """
    for value in (0.0, 0.75, -3.0):
        W = np.full(subject.W.shape, value, np.float32)
        other = MethodSubject(subject.method, W, None, subject.needed)
        if other.refusal is not None:
            continue
        y = other.encoding.decode()
        bad = (np.sign(y) != np.sign(value)) | (y != y.flat[0])
        if bad.any():
            index = np.unravel_index(int(np.argmax(bad)), y.shape)
            raise LawViolation(
                f"{subject.method!r}, an array of {value}",
                f"{y.flat[0]} everywhere, of the sign of {value}",
                f"{shown(index)}: {y[index]}",
            )
