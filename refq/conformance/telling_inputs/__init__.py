"""The smallest inputs that tell two presets apart, with both answers; see `TellingInput`."""

from .collection import TELLING_INPUTS, show_telling_inputs
from .telling_input import TellingInput, answer

__all__ = ["TELLING_INPUTS", "TellingInput", "answer", "show_telling_inputs"]
