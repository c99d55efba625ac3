"""The laws of edges: what is refused, and which copies of an array are the same array (L7)."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.checks import shown
from ...core.errors import DTypeError, RangeError, RefqError, ShapeError
from ..subjects import MethodSubject
from .registry import LawViolation, law

__all__ = [
    "dtypes_refused",
    "empty_refused",
    "float64_accepted",
    "layouts_agree",
    "layouts_of",
    "non_finite_refused",
]

_SOURCE = "`refq.core.checks.check_finite`; `refq.encodings.Method`"


def layouts_of(x: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Return copies of an array that hold the same numbers in other ways.

    Parameters
    ----------
    x : ndarray
        Any.

    Returns
    -------
    dict of str to ndarray
        Big-endian, little-endian, Fortran order, negative strides, every second element of a
        larger array, unaligned, read-only, a list.

    Examples
    --------
    >>> x = np.arange(6.0).reshape(2, 3)
    >>> all((np.asarray(y) == x).all() for y in layouts_of(x).values())
    True
    """
    back = tuple(slice(None, None, -1) for _ in x.shape)
    wide = np.zeros([2 * n for n in x.shape], x.dtype)
    second = tuple(slice(None, None, 2) for _ in x.shape)
    wide[second] = x
    raw = np.zeros(x.nbytes + 1, np.uint8)
    unaligned = raw[1:].view(x.dtype).reshape(x.shape)
    unaligned[...] = x
    frozen = x.copy()
    frozen.flags.writeable = False
    return {
        "big-endian": x.astype(x.dtype.newbyteorder(">")),
        "little-endian": x.astype(x.dtype.newbyteorder("<")),
        "Fortran order": np.asfortranarray(x),
        "negative strides": x[back].copy()[back],
        "every second element": wide[second],
        "unaligned": unaligned,
        "read-only": frozen,
    }


@law(
    "L7 layouts",
    sentence="How an array lies in memory changes no bit of its encoding.",
    source="the conventions of `refq.core.checks`: a check gives the same values in native order",
    applies_to="method",
)
def layouts_agree(subject: MethodSubject) -> None:
    """Fit and encode eight layouts of the same numbers."""
    plain = subject.fit().encode(subject.W).to_bytes()
    if subject.fit().encode(subject.W).to_bytes() != plain:
        return  # fresh entropy: L6 speaks about it
    for name, W in layouts_of(subject.W).items():
        needed = {k: layouts_of(a)[name] for k, a in subject.needed.items()}
        try:
            got = subject.method.clone().fit(W, **needed).encode(W).to_bytes()
        except RefqError as error:
            raise LawViolation(f"{subject!r}, {name}", "the same bytes", str(error)) from error
        if got != plain:
            raise LawViolation(f"{subject!r}, {name}", "the bytes of the plain copy", "others")


@law(
    "L7 not finite",
    sentence="NaN and infinity are refused by fit and by encode, and the message names the index.",
    source=_SOURCE,
    applies_to="method",
)
def non_finite_refused(subject: MethodSubject) -> None:
    """Put NaN and both infinities at the first, a middle and the last place."""
    size = subject.W.size
    for value in (np.nan, np.inf, -np.inf):
        for flat in sorted({0, size // 2, size - 1}):
            bad = subject.W.copy()
            index = np.unravel_index(flat, bad.shape)
            bad[index] = value
            where = shown(index)
            _need_error(subject, f"fit, W{where} = {value}", RangeError, where, subject.fit, bad)
            _need_error(
                subject,
                f"encode, W{where} = {value}",
                RangeError,
                where,
                subject.fitted.encode,
                bad,
            )


def _need_error(
    subject: MethodSubject,
    what: str,
    kind: type[RefqError],
    words: str,
    call: Callable[[Any], Any],
    value: Any,
) -> None:
    given = f"{subject.method!r}: {what}"
    expected = kind.__name__ + (f" that says {words}" if words else "")
    try:
        call(value)
    except kind as error:
        if words in str(error):
            return
        raise LawViolation(given, expected, str(error)) from error
    except Exception as error:  # a crash or another error: both break the law
        raise LawViolation(given, expected, f"{type(error).__name__}: {error}") from error
    raise LawViolation(given, expected, "no error")


@law(
    "L7 empty",
    sentence="An empty array has nothing to learn from: ShapeError, unless nothing is learned.",
    source="the conventions of `refq.core.granularity`: an empty block has no minimum",
    applies_to="method",
)
def empty_refused(subject: MethodSubject) -> None:
    """Try (0,), (0, 3) and (3, 0); a method that learns nothing may keep the shape."""
    learned = [n for n in vars(subject.fitted) if n.endswith("_") and n != "fitted_shape_"]
    for shape in [(0,), (0, 3), (3, 0)]:
        W = np.zeros(shape, np.float32)
        other = MethodSubject.of(subject.method, W)
        given = f"{subject.method!r}: W of shape {shape}"
        try:
            kept = other.encoding.decode().shape
        except ShapeError:
            continue
        except Exception as error:  # a crash or another error: both break the law
            raise LawViolation(given, "ShapeError", f"{type(error).__name__}: {error}") from error
        if learned or kept != shape:
            raise LawViolation(given, "ShapeError", f"an encoding of shape {kept}")


@law(
    "L7 dtypes",
    sentence="Object, string, complex, masked and long double arrays are refused with DTypeError.",
    source="`refq.core.checks.check_array`",
    applies_to="method",
)
def dtypes_refused(subject: MethodSubject) -> None:
    """Try each kind in fit and in encode."""
    W = subject.W
    kinds: dict[str, Any] = {
        "object": W.astype(object),
        "string": W.astype(str),
        "complex": W.astype(np.complex64),
        "masked": np.ma.masked_array(W, mask=np.zeros(W.shape, bool)),
    }
    if np.dtype(np.longdouble).itemsize > 8:
        kinds["longdouble"] = W.astype(np.longdouble)
    for name, bad in kinds.items():
        _need_error(subject, f"fit, {name}", DTypeError, "", subject.fit, bad)
        _need_error(subject, f"encode, {name}", DTypeError, "", subject.fitted.encode, bad)


@law(
    "L7 float64",
    sentence="float64, float16 and integers are accepted; narrow ones give the bytes of float32.",
    source="`refq.encodings.Method.fit`: float16 and integers widen, float64 stays",
    applies_to="method",
)
def float64_accepted(subject: MethodSubject) -> None:
    """Encode small whole numbers, exact in every dtype.

    float16 and int8 widen to float32, so nothing may differ. float64 arithmetic decides some ties
    of float32's the other way: there the error may not be larger, but for the scale's rounding.
    """
    whole = np.round(3 * subject.W.astype(np.float64)).clip(-50, 50) + 0.0  # no -0.0
    plain = MethodSubject(subject.method, whole.astype(np.float32), None, subject.needed)
    if plain.refusal is not None or _is_drawn(plain):
        return  # fresh entropy: L6 speaks about it
    largest = np.abs(plain.encoding.decode() - whole).max() + 2.0**-7 * np.abs(whole).max()
    for kind in (np.float16, np.int8, np.float64, np.int64):
        given = f"{subject.method!r}: whole numbers in {np.dtype(kind)}"
        try:
            got = subject.fit(whole.astype(kind)).encode(whole.astype(kind))
            same, y = got.to_bytes() == plain.encoding.to_bytes(), got.decode()
        except Exception as error:  # a crash or a refusal: both break the law
            raise LawViolation(given, "as float32", f"{type(error).__name__}: {error}") from error
        if np.dtype(kind).itemsize < 4 and not same:
            raise LawViolation(given, "the bytes of float32", "others")
        worst = float(np.abs(y - whole).max())
        if worst > largest:
            raise LawViolation(given, f"an error of at most {largest:.3g}", f"{worst:.3g}")


def _is_drawn(subject: MethodSubject) -> bool:
    """Return whether two fits differ: a method of fresh entropy."""
    return subject.fit().encode(subject.W).to_bytes() != subject.encoding.to_bytes()
