"""Other people's bytes: read to nouns, written back alike."""

from . import gguf

__all__ = ["gguf"]
