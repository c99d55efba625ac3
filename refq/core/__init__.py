"""What every floor stands on: errors, checks, rounding, granularity, semantics, twins."""

from . import (
    cast_rule,
    checks,
    distortion,
    dtypes,
    errors,
    fixed_point,
    granularity,
    quantize_rule,
    requantize_rule,
    rounding,
    semantics,
    twins,
)

__all__ = [
    "cast_rule",
    "checks",
    "distortion",
    "dtypes",
    "errors",
    "fixed_point",
    "granularity",
    "quantize_rule",
    "requantize_rule",
    "rounding",
    "semantics",
    "twins",
]
