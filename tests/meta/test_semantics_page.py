"""The page of the semantics lists every preset, as the presets themselves say."""

from pathlib import Path

import pytest

from refq.conformance import TELLING_INPUTS, show_telling_inputs
from refq.conformance.telling_inputs.collection import PROVED, smallest
from refq.core.semantics import ONNX, PRESETS

ROOT = Path(__file__).parents[2]


def test_table_is_current() -> None:
    text = (ROOT / "docs" / "semantics.md").read_text(encoding="utf-8")
    assert show_telling_inputs() in text


def test_every_preset_but_the_text_has_a_telling_input() -> None:
    for semantics in PRESETS.values():
        told = smallest(f"{semantics.name} {semantics.version}")
        assert (told is None) == (semantics is ONNX)
    names = {p for t in TELLING_INPUTS for p in (t.preset_a, t.preset_b)}
    assert names == {f"{name} {version}" for name, version in PRESETS}


@pytest.mark.parametrize("name", [name for name, _ in PRESETS])
def test_what_is_proved_names_tests_that_ask_that_preset(name: str) -> None:
    said, files = PROVED[name]
    assert said
    texts = [(ROOT / "tests" / "against" / f"{f}.py").read_text(encoding="utf-8") for f in files]
    assert all("semantics" in text or name == "onnx" for text in texts)
