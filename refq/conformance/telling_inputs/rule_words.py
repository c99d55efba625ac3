"""A preset's rules in a few words, read from the rules themselves.

Conventions
-----------
`x` a number, `s` its scale, `z` a zero point, `acc` an accumulator, `a`, `w`, `y` the scales of
input, weight and result, `M` is ``a w / y``; `~+` adds without a rounding in between. Ties go to
even where nothing is said.
"""

from ...core.float_requantize import FloatRequantize
from ...core.lanes_quantize import LanesQuantizeRule
from ...core.quantize_rule import QuantizeRule
from ...core.requantize_rule import RequantizeRule

__all__ = ["quantize_words", "requantize_words"]

TIES = {"half_even": "", "half_away": ", ties away", "half_up": ", ties up"}
PLACES = {
    "after": "round({}) + z",
    "after_float": "round({}) + z in float",
    "before": "round({} + z)",
    "fused": "round({} ~+ z)",
}
ORDERS = {
    "quotient": "round(acc ((a w) / y)) + z",
    "reciprocal": "round(acc ((a w) (1/y))) + z",
    "in_turn": "round(((acc a) w) (1/y) + z)",
    "in_turn_divided": "round(((acc a) w) / y + z)",
}


def quantize_words(rule: QuantizeRule) -> str:
    """Return how numbers become codes.

    Parameters
    ----------
    rule : QuantizeRule
        Any of its kinds.

    Returns
    -------
    str
        One formula, two where the end of an array has its own.

    Examples
    --------
    >>> quantize_words(QuantizeRule("reciprocal", rounding="half_away"))
    'round(x (1/s)) + z, ties away'
    """
    quotient = "x / s" if rule.quotient == "divide" else "x (1/s)"
    words = PLACES[rule.zero_point].format(quotient) + TIES[rule.rounding]
    words += "" if rule.precision == "scale" else f", in {rule.precision}"
    if isinstance(rule, LanesQuantizeRule) and rule.rest is not None:
        words += f"; the last n mod {rule.lanes} numbers: {quantize_words(rule.rest)}"
    return words


def requantize_words(rule: RequantizeRule) -> str:
    """Return how accumulators become codes.

    Parameters
    ----------
    rule : RequantizeRule
        Any of its kinds.

    Returns
    -------
    str
        One formula.

    Examples
    --------
    >>> requantize_words(RequantizeRule())
    'round(acc M) + z, exact'
    """
    if isinstance(rule, FloatRequantize):
        return ORDERS[rule.order] + ", in float32"
    if rule.kind == "fixed_point_double":
        second = "up, then away" if rule.rounding.endswith("away") else "up, then up"
        return f"mantissa and shift, two roundings: {second}"
    if rule.kind == "fixed_point":
        return "mantissa and shift, one rounding" + TIES[rule.rounding]
    kind = "exact" if rule.kind == "exact" else f"in {rule.kind}"
    return f"round(acc M) + z, {kind}" + TIES[rule.rounding]
