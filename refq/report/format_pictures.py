"""Formats as text: which numbers a code stands for, on one screen.

Conventions
-----------
A format of up to five bits is listed code by code; a wider one by its ends, its steps and how its
values spread over the number line. A float shows its fields: s the sign, e the exponent, m the
mantissa, the highest bit first.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .. import formats
from .tables import text_table

__all__ = ["format_picture", "format_table", "width_picture"]

_MOST_CODES = 32  #: as many codes are listed one by one
_WIDTH = 72  #: characters of the number line
_MARKS = " .:-=+*#"  #: from no value to the most


def format_table() -> str:
    """Return all formats, one a line.

    Returns
    -------
    str
        Name, bits, number of values, least and greatest value, smallest step.

    Examples
    --------
    >>> print(format_table().splitlines()[0])
    name     bits  values        least      greatest  smallest step
    """
    head = ("name", "bits", "values", "least", "greatest", "smallest step")
    return text_table(head, [_row(form) for form in formats.FORMATS.values()])


def width_picture() -> str:
    """Return levels, ranges and steps over [-1, 1] of 1 to 16 bits, one width a line.

    Returns
    -------
    str
        See `refq.formats.width_table`.

    Examples
    --------
    >>> print(width_picture().splitlines()[5])
       4      16      -8 .. 7     0 .. 15    0.1333333       0.125   0.1428571
    """
    head = ("bits", "levels", "signed", "unsigned", "asymmetric", "full", "restricted")
    rows = [
        (
            str(row.bits),
            str(row.levels),
            *(f"{low} .. {high}" for low, high in (row.signed, row.unsigned)),
            *(
                "-" if step is None else f"{float(step):.7g}"
                for step in (row.asymmetric, row.full, row.restricted)
            ),
        )
        for row in formats.width_table()
    ]
    return text_table(head, rows, left=())


def _row(form: formats.Format) -> tuple[str, ...]:
    least, greatest, step, count = _ends(form)
    return form.name, str(form.bits), count, _short(least), _short(greatest), f"{step:.4g}"


def _short(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.7g}"


def _ends(form: formats.Format) -> tuple[float, float, float, str]:
    """Return the least and the greatest value, the smallest step, and how many values there are."""
    if isinstance(form, formats.Integer):
        count = 1 << form.bits
        return form.low, form.high, 1.0, str(count) if form.bits <= 16 else f"2^{form.bits}"
    if form.bits <= 16:
        values = _values(form)
        step = float(np.diff(values).min()) if len(values) > 1 else 0.0
        return float(values[0]), float(values[-1]), step, str(len(values))
    info = np.finfo(f"f{form.bits // 8}")
    # not info.smallest_subnormal: it warns where a library has switched flushing on
    step = 2.0 ** (int(info.minexp) - int(info.nmant))
    return float(info.min), float(info.max), step, f"2^{form.bits}"


def _values(form: formats.Format) -> NDArray[np.float64]:
    """Return the distinct finite values, ascending."""
    with np.errstate(invalid="ignore"):
        values = form.values.astype(np.float64)
    return np.unique(values[np.isfinite(values)] + 0.0)  # one zero: not -0


def format_picture(name: str) -> str:
    """Return a format's codes and values as a picture of text.

    Parameters
    ----------
    name : str
        Of a format in `refq.formats`.

    Returns
    -------
    str
        At most 40 lines.

    Raises
    ------
    RangeError
        If there is no such format.

    Examples
    --------
    >>> print(format_picture("ternary"))
    ternary: 2 bits, 3 values from -1 to 1
    a tie goes down
    <BLANKLINE>
    code  bits  value
    ----  ----  -----
       0    00     -1
       1    01      0
       2    10      1
       3    11      -
    <BLANKLINE>
    #                                  #                                   #
    -1                                                                     1
    """
    return "\n".join(_lines(formats.get(name)))


def _lines(form: formats.Format) -> Iterator[str]:
    least, greatest, step, count = _ends(form)
    ends = f"from {_short(least)} to {_short(greatest)}"
    yield f"{form.name}: {form.bits} bits, {count} values {ends}"
    yield from _fields(form)
    yield from _notes(form)
    if form.bits > 16:
        yield f"smallest step {step:.7g}"
        return
    yield ""
    if 1 << form.bits <= _MOST_CODES:
        yield _listing(form)
    else:
        values = _values(form)
        steps = np.diff(values)
        yield f"steps from {steps.min():.7g} to {steps.max():.7g}"
        yield f"about zero: {', '.join(f'{v:.3g}' for v in _around_zero(values))}"
    yield ""
    yield from _number_line(_values(form))


def _fields(form: formats.Format) -> Iterator[str]:
    """Yield where a float's fields are, what they mean, and which codes mean something else."""
    if isinstance(form, formats.PowersOfTwo):
        yield f"fields: {'e' * form.bits}, meaning 2^(e - {form.bias})"
        yield f"NaN: {'1' * form.bits}; neither zero nor sign"
    elif isinstance(form, (formats.Minifloat, formats.NativeFloat)):
        e, m, bias = _widths(form)
        yield f"fields: {_split('s' + 'e' * e + 'm' * m, e)}"
        fraction = f"m/{1 << m}" if m <= 10 else f"m/2^{m}"
        one, none = (f"(1 + {fraction})", f" * {fraction}") if m else ("1", " * 0")
        yield f"e > 0: (-1)^s * 2^(e - {bias}) * {one};  e = 0: (-1)^s * 2^{1 - bias}{none}"
        yield "; ".join(_specials(form, e, m))


def _notes(form: formats.Format) -> Iterator[str]:
    """Yield what a name alone does not say: the two binaries, where ties go."""
    if form.name == "uint1":
        yield "the 0/1 binary; 'binary' is the -1/+1 one"
    if not isinstance(form, formats.LevelTable):
        return
    if form.name == "binary":
        yield "0 goes to -1, with half_up to +1; 'uint1' is the 0/1 binary"
    own = "; thresholds of its own" if form.thresholds else ""
    where = "down" if form.ties == "down" else "toward zero"
    yield f"a tie goes {where}{own}"


def _widths(form: formats.Minifloat | formats.NativeFloat) -> tuple[int, int, int]:
    """Return the bits of exponent and mantissa, and the bias."""
    if isinstance(form, formats.Minifloat):
        return form.exponent_bits, form.mantissa_bits, form.bias
    e = {16: 5, 32: 8, 64: 11}[form.bits]
    return e, form.bits - 1 - e, (1 << (e - 1)) - 1


def _split(pattern: str, exponent_bits: int) -> str:
    """Return a pattern with a space between its fields."""
    fields = (pattern[0], pattern[1 : 1 + exponent_bits], pattern[1 + exponent_bits :])
    return " ".join(filter(None, fields))


def _specials(form: formats.Minifloat | formats.NativeFloat, e: int, m: int) -> Iterator[str]:
    if isinstance(form, formats.NativeFloat) or form.nans == "ieee":
        yield f"infinity: s {'1' * e} {'0' * m if m <= 10 else 'm = 0'}"
        yield f"NaN: s {'1' * e}, m > 0"
        return
    if form.infinities:
        code = form.special_codes["infinity"]
        yield f"infinity: {_split(f's{code:0{e + m}b}', e)}"
    if form.nans == "minus_zero":
        yield f"NaN: {_split('1' + '0' * (e + m), e)}, where -0 would be"
    elif form.nans == "all_ones":
        yield f"NaN: {_split('s' + '1' * (e + m), e)}"
    if not form.infinities:
        yield "no infinity" if form.nans != "none" else "neither infinity nor NaN"


def _listing(form: formats.Format) -> str:
    rows = []
    for pattern, value in enumerate(form.values.tolist()):
        no_code = math.isnan(value) and isinstance(form, formats.LevelTable)
        shown = "-" if no_code else f"{value:.7g}"
        rows.append((str(pattern), f"{pattern:0{form.bits}b}", shown))
    return text_table(("code", "bits", "value"), rows, left=())


def _around_zero(values: NDArray[np.float64]) -> list[float]:
    middle = int(np.searchsorted(values, 0.0))
    return list(values[max(middle - 3, 0) : middle + 4])


def _number_line(values: NDArray[np.float64]) -> Iterator[str]:
    """Yield how many values lie where between the least and the greatest, and the two ends."""
    span = float(values[-1] - values[0]) or 1.0
    places = np.rint((values - values[0]) / span * (_WIDTH - 1))
    counts = np.histogram(places, bins=_WIDTH, range=(-0.5, _WIDTH - 0.5))[0]
    top = counts.max()
    # a mark less for every halving: sparse ends stay visible beside a crowded middle
    marks = (_MARKS[max(1, 7 - round(math.log2(top / n)))] if n else _MARKS[0] for n in counts)
    yield "".join(marks).rstrip()
    low, high = f"{values[0]:.7g}", f"{values[-1]:.7g}"
    yield low + high.rjust(_WIDTH - len(low))
