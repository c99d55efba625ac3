"""GGUF: blocks byte for byte as ggml writes them.

The work is done by `refq.layouts.gguf`; these are its functions under the name that a user looks
for.
"""

from ..layouts.gguf import TYPES, dequantize, nbits, quantize, read, write

__all__ = ["TYPES", "dequantize", "nbits", "quantize", "read", "write"]
