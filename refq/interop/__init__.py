"""Doors to other people's libraries and files, each loaded on first use."""

import importlib
from typing import Any

__all__ = ["fasttext", "gguf", "onnx", "scikit_learn"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
