"""GGUF: blocks byte for byte as ggml writes them, and whole files.

The work on blocks is done by `refq.layouts.gguf`; these are its functions under the name that a
user looks for. Files are read and written by way of gguf-py.
"""

from ..layouts.gguf import TYPES, dequantize, nbits, quantize, read, write
from .gguf_files import GGUFFile, load, save

__all__ = ["TYPES", "GGUFFile", "dequantize", "load", "nbits", "quantize", "read", "save", "write"]
