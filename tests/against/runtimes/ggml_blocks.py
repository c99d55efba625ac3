"""Quantize rows of float32 numbers by gguf-py, and decode its own bytes and others."""

import numpy as np
from exchange import answer
from gguf import GGMLQuantizationType, quants


def blocks(x, other, name):
    kind = GGMLQuantizationType[str(name)]
    made = quants.quantize(x, kind)
    with np.errstate(all="ignore"):
        return {
            "blocks": made,
            "values": quants.dequantize(made, kind),
            "other": quants.dequantize(other, kind),
        }


answer(blocks)
