"""Quantize rows of float32 by gguf-py's Q8_0: the bytes of its blocks."""

from exchange import answer
from gguf import GGMLQuantizationType, quants


def quantize(x):
    return {"blocks": quants.quantize(x, GGMLQuantizationType.Q8_0)}


answer(quantize)
