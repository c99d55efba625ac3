"""Mistakes at the edges: L7."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.errors import RangeError
from ...encodings import dense, method
from ..textbook import textbook_quantizer
from .registry import plant, textbook_subjects

__all__: list[str] = []

_Textbook: Any = type(textbook_quantizer())


def _native_by_view(x: Any, name: str = "W") -> NDArray[Any]:
    a = np.asarray(x)
    a = a.view(a.dtype.newbyteorder("="))
    return np.nan_to_num(a.astype(np.float32, copy=False), posinf=3.0, neginf=-3.0)


def _memory_order(x: Any, name: str = "W") -> NDArray[Any]:
    a = np.asarray(x)
    return a.ravel(order="K").reshape(a.shape).astype(a.dtype.newbyteorder("="))


plant(
    "big-endian misread",
    "L7 layouts",
    "The bytes are viewed, not converted.",
    method,
    "check_float_array",
    _native_by_view,
    textbook_subjects,
)
plant(
    "read in memory order",
    "L7 layouts",
    "ravel(order='K') of a Fortran array.",
    method,
    "check_float_array",
    _memory_order,
    textbook_subjects,
)


def _nan_to_zero(x: Any, name: str = "W") -> NDArray[Any]:
    return np.nan_to_num(np.asarray(x, np.float32), posinf=0.0, neginf=0.0)


def _no_index(x: Any, name: str = "W") -> NDArray[Any]:
    a = np.asarray(x)
    if not np.isfinite(a).all():
        raise RangeError(f"{name} must be finite")
    return a


plant(
    "NaN becomes zero",
    "L7 not finite",
    "nan_to_num, silently.",
    method,
    "check_float_array",
    _nan_to_zero,
    textbook_subjects,
)
plant(
    "no index in the message",
    "L7 not finite",
    "Which element it was is not said.",
    method,
    "check_float_array",
    _no_index,
    textbook_subjects,
)


def _learn_nothing(self: Any, W: NDArray[Any], y: Any, inputs: Any, gradients: Any) -> None:
    if W.size == 0:
        self.scale_ = np.ones([min(n, 1) for n in W.shape], np.float32)
        self.scale_encoding_ = dense(self.scale_, "float16")
        self.zero_point_ = np.zeros(self.scale_.shape, np.uint8)
        return
    _learn(self, W, y, inputs, gradients)


_learn = _Textbook._learn
plant(
    "scale of nothing",
    "L7 empty",
    "An empty array gets the scale one.",
    _Textbook,
    "_learn",
    _learn_nothing,
    textbook_subjects,
)


def _as_float(x: Any, name: str = "W") -> NDArray[Any]:
    return np.asarray(np.ma.getdata(x)).astype(np.float64)


plant(
    "mask dropped",
    "L7 dtypes",
    "A masked array counts as its data, a string as a number.",
    method,
    "check_float_array",
    _as_float,
    textbook_subjects,
)


def _bits_of_int8(x: Any, name: str = "W") -> NDArray[Any]:
    a = np.asarray(x)
    return (a / 127 if a.dtype == np.int8 else a).astype(np.float32)


plant(
    "integers normalized",
    "L7 float64",
    "int8 is taken for fractions of 127.",
    method,
    "check_float_array",
    _bits_of_int8,
    textbook_subjects,
)
