"""Quantize rows of float32 numbers by PyTorch's operators; one scale and zero point a row.

Per-tensor operators are called row by row, the others once. A task is a line "operator format dtype
rows scales": of which format the codes are, of which of PyTorch's dtypes; whether the rows are
"plain" or "strided" (every other element of a longer array); the dtype of the scales.
"""

import torch
import torch.ao.quantization.fx._decomposed  # registers torch.ops.quantized_decomposed
from exchange import answer

torch.set_num_threads(1)
DECOMPOSED = torch.ops.quantized_decomposed


def laid_out(x, rows):
    x = torch.from_numpy(x)
    return torch.repeat_interleave(x, 2, dim=-1)[..., ::2] if rows == "strided" else x


def by_row(x, scale, zero_point, operator):
    return torch.stack([operator(x[i], float(s), int(zero_point[i])) for i, s in enumerate(scale)])


def per_tensor(x, scale, zero_point, low, high, dtype):
    return by_row(x, scale, zero_point, lambda *a: torch.quantize_per_tensor(*a, dtype).int_repr())


def per_tensor_of_tensors(x, scale, zero_point, low, high, dtype):
    def call(row, s, z):
        return torch.quantize_per_tensor(row, torch.tensor(s), torch.tensor(z), dtype).int_repr()

    return by_row(x, scale, zero_point, call)


def per_channel(x, scale, zero_point, low, high, dtype):
    return torch.quantize_per_channel(x, scale, zero_point, 0, dtype).int_repr()


def per_channel_last(x, scale, zero_point, low, high, dtype):
    x = x.T.contiguous()
    return torch.quantize_per_channel(x, scale, zero_point, 1, dtype).int_repr().T


def fake_per_tensor(x, scale, zero_point, low, high, dtype):
    return by_row(
        x, scale, zero_point, lambda *a: torch.fake_quantize_per_tensor_affine(*a, low, high)
    )


def fake_per_tensor_of_tensors(x, scale, zero_point, low, high, dtype):
    def call(row, s, z):
        s, z = torch.tensor(s), torch.tensor(z, dtype=torch.int32)
        return torch.fake_quantize_per_tensor_affine(row, s, z, low, high)

    return by_row(x, scale, zero_point, call)


def fake_per_channel(x, scale, zero_point, low, high, dtype):
    zero_point = zero_point.to(torch.int32)
    return torch.fake_quantize_per_channel_affine(x, scale, zero_point, 0, low, high)


def decomposed_per_tensor(x, scale, zero_point, low, high, dtype):
    return by_row(
        x, scale, zero_point, lambda *a: DECOMPOSED.quantize_per_tensor(*a, low, high, dtype)
    )


def decomposed_per_channel(x, scale, zero_point, low, high, dtype):
    return DECOMPOSED.quantize_per_channel(x, scale, zero_point, 0, low, high, dtype)


def decomposed_per_token(x, scale, zero_point, low, high, dtype):
    return DECOMPOSED.quantize_per_token(x, scale[:, None], zero_point[:, None], low, high, dtype)


def decomposed_per_group(x, scale, zero_point, low, high, dtype):
    whole = torch.nan_to_num(x, 0.0, torch.inf, -torch.inf).reshape(1, -1)  # it refuses NaN
    return DECOMPOSED.quantize_per_channel_group(
        whole, scale[None], zero_point[None], low, high, dtype, x.shape[1]
    ).reshape(x.shape)


def quantize(tasks, **arrays):
    found = {"version": torch.__version__}
    for task in tasks.tolist():
        operator, name, dtype, rows, scales = task.split()
        low, high = arrays[f"{name}.ends"].tolist()
        found[task] = globals()[operator](
            laid_out(arrays[f"{name}.x"], rows),
            torch.from_numpy(arrays[f"{name}.scale"].astype(scales)),
            torch.from_numpy(arrays[f"{name}.zero_point"]),
            low, high, getattr(torch, dtype),
        ).numpy()  # fmt: skip
    return found


answer(quantize)
