"""What every floor stands on: errors, checks, rounding, granularity, semantics, twins."""

from . import checks, distortion, errors, granularity, rounding, twins

__all__ = ["checks", "distortion", "errors", "granularity", "rounding", "twins"]
