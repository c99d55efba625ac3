import numpy as np
import pytest

from refq.conformance.telling_inputs import TELLING_INPUTS, answer
from refq.core.errors import RangeError


@pytest.mark.parametrize("told", TELLING_INPUTS, ids=lambda t: f"{t.op} {t.preset_b}")
def test_both_presets_answer_as_written(told):
    a = answer(told.op, told.arguments, told.preset_a)
    b = answer(told.op, told.arguments, told.preset_b)
    assert a.tolist() == told.answer_a
    assert b.tolist() == told.answer_b
    assert told.answer_a != told.answer_b
    assert a.dtype == b.dtype


def test_inputs_are_small_and_sentences_are_sentences():
    for told in TELLING_INPUTS:
        sizes = [np.asarray(v).size for v in told.arguments.values()]
        assert max(sizes) <= 16
        assert told.sentence.endswith(".")


def test_an_unknown_preset_is_refused():
    with pytest.raises(RangeError, match="there are"):
        answer("quantize_linear", {"x": 1.0, "scale": 1.0}, "onnxruntime 0.1")
