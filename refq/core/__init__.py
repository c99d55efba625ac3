"""What every floor stands on: errors, checks, rounding, granularity, semantics, twins."""

from . import (
    cast_rule,
    checks,
    distortion,
    dtypes,
    errors,
    fixed_point,
    float_requantize,
    granularity,
    quantize_rule,
    requantize_rule,
    rounding,
    semantics,
    torch_elementwise,
    twins,
    x86_quantize,
)

__all__ = [
    "cast_rule",
    "checks",
    "distortion",
    "dtypes",
    "errors",
    "fixed_point",
    "float_requantize",
    "granularity",
    "quantize_rule",
    "requantize_rule",
    "rounding",
    "semantics",
    "torch_elementwise",
    "twins",
    "x86_quantize",
]
