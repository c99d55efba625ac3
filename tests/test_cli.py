"""The command line: results on stdout, mistakes in one line on stderr, nothing half-written."""

import json
import subprocess
import sys

import numpy as np
import pytest

from refq import cli, zoo
from refq.encodings import METHODS
from refq.nn.model_file import load, save, to_bytes
from refq.passes import compress
from refq.passes.plan_files import known_methods
from refq.report.machine import versions
from refq.scalar import AffineQuantizer
from refq.vector import KMeansQuantizer
from refq.zoo import plans as zoo_plans
from refq.zoo.plans import StandardPlan


def affine(model, data, random_state):
    return compress(model, {"*": AffineQuantizer(bits=6)})


def shared(model, data, random_state):
    method = KMeansQuantizer(n_codewords=4, max_iter=1, random_state=random_state)
    return compress(model, {"conv1": method})


@pytest.fixture
def quick(monkeypatch):
    """Two plans that take no time, on the real model and the real data."""
    model, data = zoo.load("digits")
    monkeypatch.setattr(zoo, "load", lambda name: (model, data))
    monkeypatch.setattr(zoo, "load_rival", lambda name: model)
    two = [StandardPlan("int8 per tensor", "rounds", affine), StandardPlan("k-means", "x", shared)]
    monkeypatch.setattr(zoo_plans, "PLANS", {plan.name: plan for plan in two})
    return model, data


def refused(capsys, *words):
    """Run a command that must fail, and return its line."""
    assert cli.main(list(words)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("refq: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    return err


# compress


def test_compress_prints_one_table_and_writes_every_file(quick, capsys, tmp_path):
    model, _ = quick
    assert cli.main(["compress", "--out", str(tmp_path / "new" / "out"), "--seed", "3"]) == 0
    out, err = capsys.readouterr()
    assert err == ""  # no terminal: no progress
    lines = out.splitlines()
    assert lines[0].split()[0] == "plan"
    assert [line[:15].strip() for line in lines[2:6]] == [
        *("float32", "int8 per tensor", "k-means", "dense small")
    ]
    assert max(map(len, lines[:6])) <= 100
    record = json.loads((tmp_path / "new" / "out" / "report.json").read_text())
    assert record["model"] == "digits"
    assert record["seed"] == 3
    assert record["float"]["bytes"] == 4 * model.n_parameters
    names = {p.name for p in (tmp_path / "new" / "out").iterdir()}
    assert names == {
        *("report.json", "report.html", "pareto.png", "layers.png"),
        *("int8_per_tensor.refq", "k_means.refq", "dense_small.refq"),
    }
    for line, plan in zip(lines[3:6], record["plans"], strict=True):
        file = tmp_path / "new" / "out" / plan["file"]
        assert plan["bytes"] == file.stat().st_size
        assert f"{plan['bytes']:,}" in line
        assert to_bytes(load(file)) == file.read_bytes()
        assert f"{100 * plan['accuracy']:.2f}" in line


def test_the_same_seed_gives_the_same_files(quick, tmp_path):
    for name in ("a", "b"):
        assert cli.main(["compress", "--plan", "k-means", "--out", str(tmp_path / name)]) == 0
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes(), file.name


def test_without_out_nothing_is_written(quick, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["compress"]) == 0
    assert "int8 per tensor" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spelling", ["int8 per tensor", "int8-per-tensor", "INT8_per_tensor"])
def test_one_plan_by_its_name(quick, capsys, spelling):
    assert cli.main(["compress", "digits", "--plan", spelling]) == 0
    out = capsys.readouterr().out
    assert "int8 per tensor" in out
    assert "k-means" not in out
    assert "dense small" not in out


def test_a_plan_from_a_file(quick, capsys, tmp_path):
    model, _ = quick
    path = tmp_path / "mine.json"
    q = AffineQuantizer(bits=4, scheme="symmetric")
    path.write_text(json.dumps({"fc*": repr(q), "*.bias": "Cast('float16')"}))
    assert cli.main(["compress", "--plan", str(path), "--out", str(tmp_path / "out")]) == 0
    assert "mine" in capsys.readouterr().out
    again = load(tmp_path / "out" / "mine.refq")
    np.testing.assert_array_equal(
        again.parameters()["fc.weight"].decode(),
        q.fit_encode(model.parameters()["fc.weight"]).decode(),
    )
    np.testing.assert_array_equal(
        again.parameters()["conv1.weight"], model.parameters()["conv1.weight"]
    )


# mistakes


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["compres"], "command 'compres' is unknown; did you mean 'compress'?"),
        (["compress", "nonsense"], "model 'nonsense' is unknown; there are digits, fashion"),
        (["compress", "digit"], "did you mean 'digits'?"),
        (["compress", "--plan", "k-mean"], "plan 'k-mean' is unknown; did you mean 'k-means'?"),
        (["compress", "--plan", "no.json"], "no.json is no file"),
        (["compress", "--seed", "-1"], "'-1' must be an integer from 0"),
        (["compress", "--seed", "1.5"], "'1.5' must be an integer from 0 to 4294967295"),
        (["compress", "--seed", "4294967296"], "must be an integer"),
        (["compress", "--sed", "1"], "unrecognized arguments: --sed"),
        (["compress", "digits", "fashion"], "unrecognized arguments: fashion"),
        (["formats", "int88"], "format 'int88' is unknown; did you mean 'int8'?"),
        (["data", "mnist"], "data set 'mnist' is unknown"),
        (["data", "--from", "."], "only fashion is installed"),
        (["data", "fashion", "--from", "no folder"], "source_dir = no folder"),
        (["show"], "the following arguments are required: FILE"),
        (["show", "no.refq"], "no.refq is no file"),
    ],
)
def test_a_mistake_is_one_line(capsys, words, says):
    assert says in refused(capsys, *words)


def test_a_pattern_that_matches_nothing(quick, capsys, tmp_path):
    (tmp_path / "p.json").write_text('{"cnov*": "Cast()"}')
    out = tmp_path / "out"
    line = refused(capsys, "compress", "--plan", str(tmp_path / "p.json"), "--out", str(out))
    assert "plan 'p': pattern 'cnov*' matches no tensor; there are conv1.weight" in line
    assert not out.exists()


def test_a_plan_file_that_is_none(capsys, tmp_path):
    (tmp_path / "p.json").write_text('{"conv*": "Casting()"}')
    line = refused(capsys, "compress", "--plan", str(tmp_path / "p.json"))
    assert "plan['conv*'], column 1: 'Casting' is no method" in line


def test_data_that_are_not_finite(quick, capsys, tmp_path, monkeypatch):
    model, data = quick
    X = data.test.X.copy()
    X[3, 0, 1, 2] = np.nan
    bad = zoo.Dataset("digits", data.train, data.calibration, zoo.Split(X, data.test.y), (), "")
    monkeypatch.setattr(zoo, "load", lambda name: (model, bad))
    line = refused(capsys, "compress", "--out", str(tmp_path / "a" / "b"))
    assert "x[3, 0, 1, 2] = nan" in line
    assert list(tmp_path.iterdir()) == []


def test_missing_data_are_said_before_anything_is_written(capsys, tmp_path, monkeypatch):
    from refq.zoo import fashion_files

    monkeypatch.setattr(fashion_files, "_places", lambda: [tmp_path / "nowhere"])
    line = refused(capsys, "compress", "fashion", "--out", str(tmp_path / "out"))
    assert "Fashion-MNIST was not found" in line
    assert "refq data fashion --from DIR" in line
    assert list(tmp_path.iterdir()) == []
    assert cli.main(["data"]) == 0
    assert "fashion: Fashion-MNIST was not found" in capsys.readouterr().out
    assert "was not found" in refused(capsys, "data", "fashion")


@pytest.mark.parametrize("out", ["file", "file/below", "file/two/below"])
def test_a_folder_that_cannot_be_written_is_said_before_the_work(
    quick, capsys, tmp_path, monkeypatch, out
):
    (tmp_path / "file").write_text("mine")
    monkeypatch.setattr(zoo, "load", lambda name: pytest.fail("the work has begun"))
    assert "file" in refused(capsys, "compress", "--out", str(tmp_path / out))
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "mine"


def test_an_existing_folder_is_kept_after_a_failure(quick, capsys, tmp_path, monkeypatch):
    (tmp_path / "report.json").write_text("old")
    broken = StandardPlan("broken", "", lambda *_: compress(quick[0], {"nothing*": None}))
    monkeypatch.setattr(zoo_plans, "PLANS", {"broken": broken})
    assert "plan 'broken'" in refused(capsys, "compress", "--out", str(tmp_path))
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]
    assert (tmp_path / "report.json").read_text() == "old"


# show


@pytest.fixture(scope="module")
def small_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("show") / "small.refq"
    save(path, compress(zoo.load("digits")[0], {"fc": AffineQuantizer(bits=2)}))
    return path


def test_show_says_what_a_file_holds(small_file, capsys, tmp_path):
    assert cli.main(["show", str(small_file)]) == 0
    out = capsys.readouterr().out
    assert "Scaled: elements uint2" in out
    assert f"{small_file.stat().st_size:,}" in out
    save(tmp_path / "e.refq", AffineQuantizer(bits=3).fit_encode(np.eye(4)))
    assert cli.main(["show", str(tmp_path / "e.refq")]) == 0
    assert "ScaledEncoding(shape=(4, 4)" in capsys.readouterr().out


@pytest.mark.parametrize("damage", ["flip", "cut", "grow", "empty"])
def test_a_damaged_file_is_refused(small_file, capsys, tmp_path, damage):
    data = bytearray(small_file.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 16
    damaged = {"flip": data, "cut": data[:-1], "grow": data + b"\0", "empty": b""}[damage]
    (tmp_path / "bad.refq").write_bytes(damaged)
    assert "bad.refq: " in refused(capsys, "show", str(tmp_path / "bad.refq"))


# the companions


def test_list_names_every_method(capsys):
    assert cli.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()[2:]
    named = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert named == sorted(known_methods())
    assert set(named) <= set(METHODS)
    assert all(len(line) <= 100 for line in lines)


def test_list_tells_of_one_method(capsys):
    assert cli.main(["list", "gptq"]) == 0
    page = capsys.readouterr().out
    for line in ("lands on  ScaledEncoding", "needs     inputs", "Frantar 2022, arXiv:2210.17323"):
        assert line in page
    assert "L3 error feedback" in page
    assert "L3 lattice" not in page
    assert "'nothing'" in refused(capsys, "list", "nothing")


def test_formats_by_width(capsys):
    assert cli.main(["formats", "--widths"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 16
    assert lines[9].split()[:2] == ["8", "256"]


def test_formats(capsys):
    assert cli.main(["formats"]) == 0
    assert "nf4" in capsys.readouterr().out
    assert cli.main(["formats", "NF4"]) == 0
    assert capsys.readouterr().out.startswith("nf4: 4 bits")


def test_doctor_tells_the_environment(capsys):
    assert cli.main(["doctor"]) == 0
    out = capsys.readouterr().out
    for word in ("numpy: ", "kernels: ", "kernel threads: ", "subnormal numbers: ", "data, digits"):
        assert word in out


def test_data_says_where(capsys):
    assert cli.main(["data", "digits"]) == 0
    assert "scikit-learn" in capsys.readouterr().out


def test_version_and_help(capsys):
    for words, says in (
        (["--version"], f"refq {versions()['refq']}\n"),
        (["--help"], "usage: refq"),
    ):
        with pytest.raises(SystemExit) as done:
            cli.main(words)
        assert done.value.code == 0
        assert capsys.readouterr().out.startswith(says)
    assert cli.main([]) == 0
    assert capsys.readouterr().out.startswith("usage: refq")


# the process


def run(*words, **options):
    return subprocess.run(
        [sys.executable, "-m", "refq.cli", *words], capture_output=True, text=True, **options
    )


def test_help_imports_numpy_at_most():
    code = (
        "import sys\nfrom refq.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "bad = {'numba', 'sklearn', 'matplotlib', 'scipy', 'tqdm', 'safetensors', 'joblib'}\n"
        "sys.exit(sorted(bad & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_error_of_the_process_is_a_line_and_code_two():
    done = run("compress", "nonsense")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "refq: model 'nonsense' is unknown; there are digits, fashion\n"


def test_a_reader_that_leaves_is_no_error():
    with subprocess.Popen(
        [sys.executable, "-m", "refq.cli", "formats", "int5"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()  # before the first line
        assert process.stderr.read() == b""
        assert process.wait() == 0


def test_an_interruption_is_quiet(monkeypatch, capsys):
    def interrupted(arguments):
        raise KeyboardInterrupt

    monkeypatch.setitem(cli._COMMANDS, "list", interrupted)
    assert cli.main(["list"]) == 130
    assert capsys.readouterr() == ("", "")


def test_an_interruption_leaves_no_folder(quick, capsys, tmp_path, monkeypatch):
    def interrupted(model, data, random_state):
        raise KeyboardInterrupt

    monkeypatch.setattr(zoo_plans, "PLANS", {"a": StandardPlan("a", "", interrupted)})
    assert cli.main(["compress", "--out", str(tmp_path / "out")]) == 130
    assert list(tmp_path.iterdir()) == []


def test_progress_is_shown_on_a_terminal_only(quick, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert cli.main(["compress"]) == 0
    out, err = capsys.readouterr()
    assert "k-means" in err
    assert "\r" not in out
