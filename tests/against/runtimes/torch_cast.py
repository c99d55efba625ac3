"""Cast float32 numbers to PyTorch's small floats; the codes are the bytes of the result."""

import torch
from exchange import answer


def cast(names, **arrays):
    return {
        name: torch.from_numpy(arrays[name]).to(getattr(torch, name)).view(torch.uint8).numpy()
        for name in names.tolist()
    } | {"version": torch.__version__}


answer(cast)
