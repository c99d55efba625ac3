"""Other people's bytes: read to nouns, written back alike."""

from . import bitsandbytes, gguf, microscaling, onnx_int4

__all__ = ["bitsandbytes", "gguf", "microscaling", "onnx_int4"]
