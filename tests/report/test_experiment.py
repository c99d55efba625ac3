"""A run gives all files or none, and every number in the report is that of a file."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from refq import nn
from refq.core.errors import FormatError, RangeError
from refq.core.granularity import PerGroup
from refq.encodings import Cast
from refq.nn.model_file import load, to_bytes
from refq.report import experiment
from refq.report.experiment import MappingPlan, file_name, prepare_folder, run_plans
from refq.scalar import AffineQuantizer


class StandIn:
    """A plan that calls a function."""

    def __init__(self, name, build):
        self.name, self.sentence, self.build = name, "", build


class Stub:
    """A plan that gives what it is given."""

    def __init__(self, name, made):
        self.name, self.sentence, self.made = name, f"gives {name}", made

    def build(self, model, data, random_state):
        self.seed = random_state
        if isinstance(self.made, Exception):
            raise self.made
        return self.made


@pytest.fixture
def outcome(folded, quantized, lowered, data):
    plans = [Stub("int8 & co", (lowered, quantized)), Stub("the same", folded)]
    return run_plans("tiny", folded, data, plans, seed=3)


def test_files_have_the_sizes_and_the_bits_of_the_report(outcome, folded, lowered, tmp_path):
    written = outcome.write(tmp_path)
    assert {p.name for p in written} == {p.name for p in tmp_path.iterdir()}
    assert {p.name for p in written} == {
        *("report.json", "report.html", "pareto.png", "layers.png"),
        *("int8___co.refq", "the_same.refq"),
    }
    record = json.loads((tmp_path / "report.json").read_text())
    assert (record["model"], record["seed"]) == ("tiny", 3)
    for plan, model in zip(record["plans"], (lowered, folded), strict=True):
        content = (tmp_path / plan["file"]).read_bytes()
        assert plan["bytes"] == len(content)
        assert to_bytes(load(tmp_path / plan["file"])) == content == to_bytes(model)
    assert record["plans"][0]["sqnr_db"] > 35
    assert record["plans"][1]["sqnr_db"] is None  # exact: infinite decibels


def test_the_page_has_both_pictures_and_all_plans(outcome, tmp_path):
    outcome.write(tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/png;base64") == 2
    assert "gives int8 &amp; co" in page
    assert "random &lt;images&gt; &amp; labels" in page


def test_the_seed_reaches_the_plan(folded, data):
    stub = Stub("a", folded)
    run_plans("tiny", folded, data, [stub], seed=17)
    assert stub.seed == 17


def test_plans_run_with_one_blas_thread(folded, data):
    from threadpoolctl import threadpool_info

    def counted(model, *_):
        seen.append(
            [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
        )
        return model

    seen = []
    before = threadpool_info()
    run_plans("tiny", folded, data, [StandIn("a", counted)])
    assert seen
    assert set(seen[0]) <= {1}
    assert threadpool_info() == before


def test_an_error_names_the_plan(folded, data):
    with pytest.raises(RangeError, match="plan 'bad': no such luck"):
        run_plans("tiny", folded, data, [Stub("bad", RangeError("no such luck"))])


@pytest.mark.parametrize("call", range(6))
def test_a_disk_that_fills_up_leaves_nothing(outcome, tmp_path, monkeypatch, call):
    (tmp_path / "report.json").write_text("old")
    calls = iter(range(100))
    write = Path.write_bytes

    def failing(self, content):
        if next(calls) == call:
            raise OSError(28, "No space left on device")
        return write(self, content)

    monkeypatch.setattr(Path, "write_bytes", failing)
    with pytest.raises(OSError, match="No space"):
        outcome.write(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]
    assert (tmp_path / "report.json").read_text() == "old"


def test_a_file_that_reads_back_differently_is_not_put_in_place(outcome, tmp_path, monkeypatch):
    other = nn.Sequential([nn.Linear(2, 2)], input_shape=(2,))
    monkeypatch.setattr(experiment, "load", lambda path: other)
    with pytest.raises(FormatError, match="same bits"):
        outcome.write(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_made_with_its_parents(tmp_path):
    made = prepare_folder(tmp_path / "a" / "b")
    assert made == [tmp_path / "a" / "b", tmp_path / "a"]
    assert prepare_folder(tmp_path / "a") == []
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_folder_that_cannot_be_made_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match="file"):
        prepare_folder(tmp_path / "file" / "a" / "b")
    with pytest.raises(OSError, match="file"):
        prepare_folder(tmp_path / "file")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a user without all rights")
def test_a_folder_without_rights_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError):
        prepare_folder(tmp_path / "a")
    tmp_path.chmod(0o700)


def test_a_dictionary_of_methods_is_a_plan(folded, data):
    q = AffineQuantizer(bits=4, granularity=PerGroup(8))
    plan = MappingPlan("mine", {"conv*": Cast(), "fc*": q})
    made = plan.build(folded, data, 0)
    np.testing.assert_array_equal(
        made.parameters()["fc.weight"].decode(),
        q.fit_encode(folded.parameters()["fc.weight"]).decode(),
    )
    assert plan.sentence == f"conv*: Cast(); fc*: {q!r}"


def test_file_names_cannot_leave_the_folder():
    assert file_name("a/../b") == "a____b.refq"
    assert file_name("é") == "_.refq"
