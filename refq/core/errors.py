"""The error family: a message says what, where, what was got, what is allowed."""

__all__ = [
    "AccumulatorOverflow",
    "DTypeError",
    "FormatError",
    "LimitError",
    "NotFittedError",
    "RangeError",
    "RefqError",
    "ShapeError",
]


class RefqError(ValueError):
    """Base of every error that refq raises on purpose.

    Examples
    --------
    >>> issubclass(RangeError, RefqError), issubclass(RefqError, ValueError)
    (True, True)
    """


class RangeError(RefqError):
    """A value is not finite, not positive, or not among the allowed ones."""


class ShapeError(RefqError):
    """An array has the wrong shape, or a shape does not fit another."""


class DTypeError(RefqError):
    """An array has a dtype that the function does not define."""


class AccumulatorOverflow(RefqError):
    """A sum could leave its accumulator; raised before the loop, with the safe length."""


class FormatError(RefqError):
    """Bytes or codes do not have the form that they claim."""


class LimitError(RefqError):
    """A size exceeds its limit; raised before anything is allocated."""


class NotFittedError(RefqError):
    """A method was asked to encode before it was fitted."""
