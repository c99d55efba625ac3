"""Mistakes in quantizers: L1, L2, L3, planted in the textbook quantizer."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.granularity import block_reduce
from ...encodings import Cast, Encoding, SummedEncoding, dense
from ..subjects import MethodSubject, plain_array
from ..textbook import textbook_quantizer
from .registry import plant, textbook_subjects

__all__: list[str] = []

_Textbook: Any = type(textbook_quantizer())
_codes, _encode = _Textbook.codes, _Textbook._encode


def _eight_bits() -> list[Any]:
    return textbook_subjects(8, 7)


def _float32_scales() -> list[Any]:
    exact = textbook_quantizer(8, 7).set_params(scale_method=Cast("float32"))
    return [MethodSubject(exact, subject.W) for subject in _eight_bits()]


def _encode_flat(self: Any, W: NDArray[Any]) -> Encoding:
    return dense(_encode(self, W).decode().reshape(-1), "float32")


def _encode_summed(self: Any, W: NDArray[Any]) -> Encoding:
    return SummedEncoding((_encode(self, W),))


def _encode_integers(self: Any, W: NDArray[Any]) -> Encoding:
    return _encode(self, W).elements


_L1 = "L1 promise"
plant(
    "shape forgotten",
    _L1,
    "The array comes back flat.",
    _Textbook,
    "_encode",
    _encode_flat,
    textbook_subjects,
)
plant(
    "another noun",
    _L1,
    "The method says ScaledEncoding and gives a sum.",
    _Textbook,
    "_encode",
    _encode_summed,
    textbook_subjects,
)
plant(
    "codes instead of numbers",
    _L1,
    "What comes back are the codes.",
    _Textbook,
    "_encode",
    _encode_integers,
    textbook_subjects,
)


def _floor_codes(
    self: Any, x: NDArray[Any], scale: NDArray[Any], zero: NDArray[Any]
) -> NDArray[Any]:
    top = (1 << self.bits) - 1
    return np.clip(np.floor(x / scale) + zero, 0, top).astype(np.uint8)


def _refitted_scale(self: Any, W: NDArray[Any]) -> NDArray[Any]:
    low, high = self.limits(W)
    return self.scale_of(low, high) * np.ones(self.scale_.shape)


def _other_scale(self: Any, W: NDArray[Any]) -> NDArray[Any]:
    top = (1 << self.bits) - 1
    return self.scale_.astype(np.float64) * (top / (top + 1))


def _fed_back(self: Any, x: NDArray[Any], scale: NDArray[Any], zero: NDArray[Any]) -> NDArray[Any]:
    centred = x - x.mean(axis=-1, keepdims=True)
    return _codes(self, centred, scale, zero)


_L2 = "L2 memoryless"
plant(
    "rounded down",
    _L2,
    "floor turns a quotient of 6.9999995 into 6.",
    _Textbook,
    "codes",
    _floor_codes,
    _float32_scales,
)
plant(
    "scale found again",
    _L2,
    "encode looks at the array's range instead of the fitted one.",
    _Textbook,
    "scale_for_codes",
    _refitted_scale,
    _eight_bits,
)
plant(
    "two scales",
    _L2,
    "Codes are divided by range / 256, decoded by range / 255.",
    _Textbook,
    "scale_for_codes",
    _other_scale,
    _eight_bits,
)
plant(
    "mean removed on the way",
    _L2,
    "encode subtracts a mean that is stored nowhere.",
    _Textbook,
    "codes",
    _fed_back,
    _eight_bits,
)


def _unstored_scale(self: Any, W: NDArray[Any]) -> NDArray[Any]:
    low, high = self.limits(self._seen) if hasattr(self, "_seen") else self.limits(W)
    return np.asarray(self.scale_of(low, high))


def _cast_first(
    self: Any, x: NDArray[Any], scale: NDArray[Any], zero: NDArray[Any]
) -> NDArray[Any]:
    whole = (np.rint(x / scale) + zero).astype(np.int64).astype(np.uint8)  # wraps
    return np.clip(whole, 0, (1 << self.bits) - 1)


def _zero_before(
    self: Any, x: NDArray[Any], scale: NDArray[Any], zero: NDArray[Any]
) -> NDArray[Any]:
    quotient = x.astype(np.float32) / scale.astype(np.float32) + zero.astype(np.float32)
    return np.clip(np.rint(quotient), 0, (1 << self.bits) - 1).astype(np.uint8)


def _reciprocal(
    self: Any, x: NDArray[Any], scale: NDArray[Any], zero: NDArray[Any]
) -> NDArray[Any]:
    inverse = np.float32(1) / scale.astype(np.float32)
    whole = np.rint(x.astype(np.float32) * inverse) + zero
    return np.clip(whole, 0, (1 << self.bits) - 1).astype(np.uint8)


def _half_bound(self: Any, W: NDArray[Any], encoding: Encoding) -> NDArray[Any]:
    return np.full(W.shape, float(self.scale_.min()) / 2)


def _next_block(self: Any, W: NDArray[Any]) -> NDArray[Any]:
    return np.roll(self.scale_.astype(np.float64), 1)


def _overflowing() -> list[Any]:
    W = plain_array((4, 7))
    return [MethodSubject(textbook_quantizer(8, 7), W, 3 * W)]


_L3 = "L3 error bound"
plant(
    "scale rounded after coding",
    _L3,
    "Codes are computed against a scale that is not stored.",
    _Textbook,
    "scale_for_codes",
    _unstored_scale,
    _eight_bits,
)
plant(
    "cast before clip",
    _L3,
    "What is beyond the largest code wraps around.",
    _Textbook,
    "codes",
    _cast_first,
    _overflowing,
)
plant(
    "zero point added before rounding",
    _L3,
    "The float32 sum rounds a second time.",
    _Textbook,
    "codes",
    _zero_before,
    _eight_bits,
)
plant(
    "multiplied by the reciprocal",
    _L3,
    "x * (1 / s) in float32 crosses near ties.",
    _Textbook,
    "codes",
    _reciprocal,
    _eight_bits,
)
plant(
    "bound of another block",
    _L3,
    "The smallest scale promises for all blocks.",
    _Textbook,
    "error_bound",
    _half_bound,
    textbook_subjects,
)
plant(
    "scale of the block before",
    _L3,
    "Blocks and scales are off by one.",
    _Textbook,
    "scale_for_codes",
    _next_block,
    textbook_subjects,
)


def _mean_limits(self: Any, W: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    width = self.blocks(W)[-1]
    spare = -W.shape[-1] % width
    padded = np.pad(W.astype(np.float64), [(0, 0)] * (W.ndim - 1) + [(0, spare)])
    mean = block_reduce(padded, self.blocks(W), np.add) / width
    return np.minimum(mean, 0.0), np.maximum(mean, 0.0)


def _ragged() -> list[Any]:
    return [MethodSubject(textbook_quantizer(4, 5), plain_array((2, 7)))]


def _epsilon_scale(self: Any, low: NDArray[Any], high: NDArray[Any]) -> NDArray[Any]:
    return np.maximum(high - low, 100.0) / ((1 << self.bits) - 1)


_CONSTANTS = "L3 constants"
plant(
    "ragged block padded with zeros",
    _CONSTANTS,
    "Zeros enter the mean of the last block.",
    _Textbook,
    "limits",
    _mean_limits,
    _ragged,
)
plant(
    "scale kept from being small",
    _CONSTANTS,
    "A floor under the scale swallows small blocks.",
    _Textbook,
    "scale_of",
    _epsilon_scale,
    textbook_subjects,
)
