"""Dequantize codes by PyTorch's operators; a task is a line "operator format".

The scales are one per row: per-tensor operators are called row by row, the others once.
"""

import torch
import torch.ao.quantization.fx._decomposed  # registers torch.ops.quantized_decomposed
from exchange import answer

torch.set_num_threads(1)
DECOMPOSED = torch.ops.quantized_decomposed


def by_row(q, scale, zero_point, operator):
    rows = range(len(scale))
    return torch.stack([operator(q[i], float(scale[i]), int(zero_point[i])) for i in rows])


def per_tensor(q, scale, zero_point, low, high):
    make = torch._make_per_tensor_quantized_tensor
    return by_row(q, scale, zero_point, lambda *a: make(*a).dequantize())


def per_channel(q, scale, zero_point, low, high):
    make = torch._make_per_channel_quantized_tensor
    return make(q, scale.double(), zero_point, 0).dequantize()


def decomposed_per_tensor(q, scale, zero_point, low, high):
    call = DECOMPOSED.dequantize_per_tensor
    return by_row(q, scale, zero_point, lambda *a: call(*a, low, high, q.dtype))


def decomposed_per_channel(q, scale, zero_point, low, high):
    return DECOMPOSED.dequantize_per_channel(q, scale, zero_point, 0, low, high, q.dtype)


def dequantize(tasks, **arrays):
    found = {"version": torch.__version__}
    for task in tasks.tolist():
        operator, name = task.split()
        q, scale, zero_point = (
            torch.from_numpy(arrays[f"{name}.{field}"]) for field in ("q", "scale", "zero_point")
        )
        ends = torch.iinfo(q.dtype)
        found[task] = globals()[operator](q, scale, zero_point, ends.min, ends.max).numpy()
    return found


answer(dequantize)
