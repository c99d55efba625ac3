"""Rows are measured on the bytes; the JSON has the keys that were promised and no NaN."""

import json
import math

import numpy as np
import pytest

from refq import nn
from refq.core.errors import FormatError
from refq.nn import total_macs
from refq.nn.model_file import load, to_bytes
from refq.report import results
from refq.report.results import PlanResult, Report, measure

KEYS = [
    *("name", "accuracy", "bytes", "bits_per_weight", "compression_ratio"),
    *("better", "worse", "macs", "sqnr_db", "file"),
]


def test_a_row_is_measured_on_the_file(model, folded, lowered, data, tmp_path):
    row = measure("int8", lowered, model, data, tmp_path / "a.refq")
    content = (tmp_path / "a.refq").read_bytes()
    assert row.bytes == len(content)
    assert row.file == "a.refq"
    assert to_bytes(load(tmp_path / "a.refq")) == content
    assert row.compression_ratio == 4 * model.n_parameters / len(content)
    assert row.macs == total_macs(folded) == total_macs(model)
    answers = lowered(data.test.X).argmax(axis=1)
    assert row.accuracy == np.mean(answers == data.test.y)
    assert row.sqnr_db > 35


def test_the_difference_of_the_changes_is_the_difference_of_the_accuracies(model, data):
    noisy = model.replace({"fc.weight": model.parameters()["fc.weight"][::-1].copy()})
    row = measure("noisy", noisy, model, data)
    before = np.mean(model(data.test.X).argmax(axis=1) == data.test.y)
    assert row.better - row.worse == round((row.accuracy - before) * len(data.test.y))
    assert row.worse > 0
    assert row.file is None


def test_every_stored_bit_is_counted(folded, quantized, data):
    leaves = 0
    for tensor in quantized.parameters().values():
        leaves += 8 * tensor.nbytes if isinstance(tensor, np.ndarray) else tensor.stored_bits
    row = measure("q", quantized, folded, data)
    assert row.bits_per_weight == leaves / folded.n_parameters


def test_known_logits_save_a_run_and_change_nothing(model, quantized, data):
    logits = model(data.test.X)
    assert measure("q", quantized, model, data) == measure(
        "q", quantized, model, data, logits=logits
    )


def test_a_stand_in_is_compared_but_not_saved(folded, quantized, data):
    smaller = nn.Sequential(
        [("flatten", nn.Flatten()), ("fc", nn.Linear(16, 4))], input_shape=(1, 4, 4)
    ).initialize(0)
    plain = measure("s", smaller, folded, data)
    assert plain.sqnr_db is None
    shown = measure("s", smaller, folded, data, shown=quantized)
    assert shown.bytes == plain.bytes == len(to_bytes(smaller))
    assert shown.sqnr_db == measure("q", quantized, folded, data).sqnr_db


def test_a_file_that_gives_back_other_bits_is_refused(
    model, quantized, data, monkeypatch, tmp_path
):
    monkeypatch.setattr(results, "from_bytes", lambda _: model)
    with pytest.raises(FormatError, match=r"'q'.*same bits"):
        measure("q", quantized, model, data, tmp_path / "a.refq")
    assert list(tmp_path.iterdir()) == []


def row(**changes):
    values = dict(zip(KEYS, ["a", 0.5, 10, 8.0, 4.0, 1, 2, 3, 40.0, "a.refq"], strict=True))
    return PlanResult(**{**values, **changes})


def test_the_json_has_the_promised_keys():
    report = Report("digits", 7, {"refq": "0.1"}, 0.98, 400, 9, [row()])
    record = json.loads(report.to_json())
    assert list(record) == ["model", "seed", "versions", "float", "plans"]
    assert record["float"] == {"accuracy": 0.98, "bytes": 400}
    assert list(record["plans"][0]) == KEYS
    assert record["plans"][0] == vars(row())


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_what_json_cannot_say_is_null(value):
    report = Report("digits", 0, {}, 0.98, 400, 9, [row(sqnr_db=value)])

    def refuse(text):
        raise AssertionError(text)

    record = json.loads(report.to_json(), parse_constant=refuse)
    assert record["plans"][0]["sqnr_db"] is None


def test_the_table_fits_a_terminal():
    names = ["int8 per channel", "product quantization", "dense small"]
    plans = [row(name=n, bytes=1234567, macs=98765432, worse=10000, better=999) for n in names]
    text = str(Report("fashion", 0, {}, 0.9, 12345678, 98765432, plans))
    assert max(map(len, text.splitlines())) <= 100
    assert text.splitlines()[2].split()[:2] == ["float32", "90.00"]
    assert len(text.splitlines()) == 2 + 1 + 3
