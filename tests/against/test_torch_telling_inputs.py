"""The smallest inputs on which PyTorch's presets differ from the text and from each other.

Both answers are written down; refq's presets give them, and so does the runtime itself.
"""

from typing import Any, NamedTuple

import numpy as np
import pytest

from refq import ops
from refq.core.semantics import get

VERSION = "2.13"
_F32, _TEXT = np.float32, "onnx 28"


class TellingInput(NamedTuple):
    """One input, two presets, two answers, and why they differ."""

    op: str
    preset_a: str
    preset_b: str
    arguments: dict[str, Any]
    answer_a: list[Any]
    answer_b: list[Any]
    sentence: str


_TORCH, _FAKE, _DECOMPOSED = "torch 2.13", "torch_fake_quantize 2.13", "torch_decomposed 2.13"
_FBGEMM, _QNNPACK = "torch_fbgemm 2.13", "torch_qnnpack 2.13"
_ONEDNN, _ONEDNN_INT8 = "torch_onednn 2.13", "torch_onednn_int8 2.13"


def _rows(x: Any, zero_point: Any) -> dict[str, Any]:
    """Return two equal rows of one number, each with a scale of one and a zero point."""
    return {
        "x": _F32([[x], [x]]),
        "scale": _F32([1, 1]),
        "zero_point": np.stack([zero_point, zero_point]),
        "axis": 0,
    }


def _product(accumulator: int, a_scale: float, y_scale: float, zero_point: int) -> dict[str, Any]:
    """Return a product of one code with one."""
    return {
        "a": np.uint8([[accumulator]]),
        "a_scale": _F32(a_scale),
        "a_zero_point": np.uint8(0),
        "b": np.int8([[1]]),
        "b_scale": _F32(1),
        "b_zero_point": np.int8(0),
        "y_scale": _F32(y_scale),
        "y_zero_point": np.uint8(zero_point),
    }


def _sum(zero_point: int) -> dict[str, Any]:
    """Return the sum of the codes 1 and 0 of scale 1, for a result of scale 2."""
    a = {"a": np.uint8([1]), "a_scale": _F32(1), "a_zero_point": np.uint8(0)}
    b = {"b": np.uint8([0]), "b_scale": _F32(1), "b_zero_point": np.uint8(0)}
    return a | b | {"y_scale": _F32(2), "y_zero_point": np.uint8(zero_point)}


#: of PyTorch's presets, against the text and each other
TORCH_TELLING_INPUTS: tuple[TellingInput, ...] = (
    TellingInput(
        "quantize_linear",
        _TEXT,
        _TORCH,
        {"x": _F32([0.5]), "scale": _F32(1), "zero_point": np.uint8(1)},
        [1],
        [2],
        "The text rounds 0.5 to 0 and adds the zero point; PyTorch adds it first, and 1.5 rounds "
        "to 2.",
    ),
    TellingInput(
        "quantize_linear",
        _TEXT,
        _FAKE,
        {"x": _F32([1.55]), "scale": _F32(0.1), "zero_point": np.uint8(0)},
        [15],
        [16],
        "The quotient is 15.49999930; the reciprocal of the float32 nearest to 0.1 is 10 in "
        "float32, and 10 times 1.54999995 is 15.5 there, a tie, which goes to 16.",
    ),
    TellingInput(
        "quantize_linear",
        _FAKE,
        _TORCH,
        {"x": _F32([0.5]), "scale": _F32(1), "zero_point": np.uint8(1)},
        [1],
        [2],
        "fake_quantize adds the zero point after rounding, quantize_per_tensor before it: what was "
        "trained is not what runs.",
    ),
    TellingInput(
        "quantize_linear",
        _TEXT,
        _DECOMPOSED,
        {"x": _F32([np.inf]), "scale": _F32(1), "zero_point": np.int32(0)},
        [2147483647],
        [-2147483648],
        "Clipping to 2^31 - 1 in float32 gives 2^31, which x86 converts to -2^31.",
    ),
    TellingInput(
        "quantize_linear",
        _TEXT,
        _FAKE,
        _rows(np.inf, np.uint8(0)),
        [[255], [255]],
        [[0], [0]],
        "fake_quantize_per_channel converts infinity to int64 before it clips, which gives -2^63 "
        "on x86; per tensor, it saturates.",
    ),
    TellingInput(
        "quantize_linear",
        _DECOMPOSED,
        _TORCH,
        _rows(0.5, np.uint8(1)),
        [[1], [1]],
        [[2], [2]],
        "Per channel as per tensor: quantized_decomposed adds the zero point after rounding, "
        "quantize_per_channel before it.",
    ),
    TellingInput(
        "qlinear_matmul",
        _TEXT,
        _ONEDNN,
        _product(1, 1, 2, 1),
        [[1]],
        [[2]],
        "oneDNN adds the zero point before it rounds 1.5; the text rounds 0.5 to 0 first.",
    ),
    TellingInput(
        "qlinear_matmul",
        _FBGEMM,
        _QNNPACK,
        _product(5, 0.3, 3, 0),
        [[0]],
        [[1]],
        "FBGEMM divides, 0.3 / 3 = 0.1 in float32, and five times that is 0.5, a tie, which goes "
        "to 0; QNNPACK multiplies, 0.3 (1 / 3) = 0.10000001, and five times that is above it.",
    ),
    TellingInput(
        "qlinear_matmul",
        _ONEDNN,
        _ONEDNN_INT8,
        _product(3, 0.7, 0.2, 1),
        [[12]],
        [[11]],
        "oneDNN multiplies 2.1 by 1 / 0.2 where the activations are uint8, and divides it by 0.2 "
        "where they are int8.",
    ),
    TellingInput(
        "qlinear_matmul",
        _TEXT,
        _FBGEMM,
        _product(255, 1, 1e-7, 0),
        [[255]],
        [[0]],
        "The product 2.55e9 saturates by the text; FBGEMM converts it to int32, which gives -2^31 "
        "on x86.",
    ),
    TellingInput(
        "qlinear_add",
        _TEXT,
        _TORCH,
        _sum(1),
        [1],
        [2],
        "A tie and an odd zero point: PyTorch's scalar loop adds it before rounding; its loop over "
        "64 codes at a time adds it after, and answers 1 as the text does.",
    ),
    TellingInput(
        "qlinear_add",
        _TEXT,
        _QNNPACK,
        _sum(0),
        [0],
        [1],
        "QNNPACK rounds half away from zero.",
    ),
)


@pytest.mark.parametrize("told", TORCH_TELLING_INPUTS, ids=lambda t: f"{t.op} {t.preset_b}")
def test_presets_answer_as_written(told):
    presets = told.preset_a, told.preset_b
    found = [
        getattr(ops, told.op)(**told.arguments, semantics=get(*preset.split())).tolist()
        for preset in presets
    ]
    assert found == [told.answer_a, told.answer_b]
    assert told.answer_a != told.answer_b
    assert told.sentence.endswith(".")


QUANTIZERS = {
    "torch": "per",
    "torch_fake_quantize": "fake_per",
    "torch_decomposed": "decomposed_per",
}
QUANTIZED = {"uint8": "quint8", "int32": "qint32"}


def asked_of_torch(op):
    """Return every answer that is PyTorch's own: the input, the preset's name, what is written."""
    return [
        (told, preset.split()[0], answer)
        for told in TORCH_TELLING_INPUTS
        for preset, answer in ((told.preset_a, told.answer_a), (told.preset_b, told.answer_b))
        if told.op.startswith(op) and preset != _TEXT
    ]


@pytest.mark.peers("torch")
def test_torch_quantizes_as_written(peer):
    asked, tasks, arrays = asked_of_torch("quantize"), [], {}
    for number, (told, preset, _) in enumerate(asked):
        a = told.arguments
        granularity = "channel" if a["x"].ndim == 2 else "tensor"
        name = a["zero_point"].dtype.name
        dtype = QUANTIZED[name] if preset == "torch" else name
        dtype = "float32" if preset == "torch_fake_quantize" else dtype
        tasks.append(f"{QUANTIZERS[preset]}_{granularity} {number} {dtype} plain float32")
        ends = np.iinfo(name)
        rows = {"x": np.atleast_2d(a["x"]), "scale": np.atleast_1d(a["scale"])}
        rows |= {"zero_point": np.atleast_1d(a["zero_point"]).astype(np.int64)}
        rows |= {"ends": np.array([ends.min, ends.max])}
        arrays |= {f"{number}.{field}": value for field, value in rows.items()}
    found = peer("torch_quantize", tasks=np.array(tasks), **arrays)
    assert str(found["version"]).startswith(VERSION)
    for number, (told, preset, answer) in enumerate(asked):
        codes, scale = found[tasks[number]], np.atleast_1d(told.arguments["scale"])[:, None]
        if preset == "torch_fake_quantize":  # it answers with numbers
            zero_point = np.atleast_1d(told.arguments["zero_point"]).astype(np.int64)[:, None]
            codes = np.rint(codes / scale).astype(np.int64) + zero_point
        assert codes.reshape(np.shape(answer)).tolist() == answer


@pytest.mark.peers("torch")
def test_torch_multiplies_and_adds_as_written(peer):
    asked, tasks, arrays = asked_of_torch("qlinear"), [], {}
    for number, (told, preset, _) in enumerate(asked):
        given = dict(told.arguments)
        engine = preset.split("_")[1] if "_" in preset else "fbgemm"
        if told.op == "qlinear_matmul":
            fields = {"a": "x", "b": "w"}
            given = {fields.get(k[0], k[0]) + k[1:]: v for k, v in given.items()}
            if preset.endswith("int8"):  # the same codes in its type
                given["x"] = given["x"].astype(np.int8)
            if engine == "qnnpack":
                given["bias"] = np.zeros(1, np.float32)
        tasks.append(f"{number} {engine} {'add' if told.op == 'qlinear_add' else 'linear'}")
        arrays |= {f"{number}.{field}": value for field, value in given.items()}
    found = peer("torch_layers", tasks=np.array(tasks), **arrays)
    assert str(found["version"]).startswith(VERSION)
    for number, (_, _, answer) in enumerate(asked):
        assert found[tasks[number]].tolist() == answer
