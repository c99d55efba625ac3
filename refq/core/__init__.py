"""What every floor stands on: errors, checks, rounding, granularity, semantics, twins."""

from . import (
    checks,
    distortion,
    dtypes,
    errors,
    fixed_point,
    granularity,
    rounding,
    semantics,
    twins,
)

__all__ = [
    "checks",
    "distortion",
    "dtypes",
    "errors",
    "fixed_point",
    "granularity",
    "rounding",
    "semantics",
    "twins",
]
