"""The pages tell the truth: their code runs as printed, and what they name exists."""

import os
import re
from pathlib import Path

import pytest

import refq
from refq.conformance import LAWS, MUTANTS
from refq.encodings import METHODS

ROOT = Path(refq.__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(p for p in DOCS.rglob("*.md") if "_build" not in p.parts)]
BLOCK = re.compile(r"^( *)```python\n(.*?)^\1```", re.MULTILINE | re.DOTALL)

#: what a page takes for granted
GIVEN = {"laws.md": "import refq\nmy_method = refq.AffineQuantizer()\n"}

if not DOCS.is_dir():
    pytest.skip(
        "the docs are not here: refq was not installed from its repository", allow_module_level=True
    )


def blocks(page):
    return [match.group(2) for match in BLOCK.finditer(page.read_text(encoding="utf-8"))]


def name_of(page):
    return page.relative_to(ROOT).as_posix()


# README.md has tests of its own
@pytest.mark.parametrize("page", [p for p in PAGES[1:] if blocks(p)], ids=name_of)
def test_code_runs_as_printed(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    space = {"__name__": "__main__"}
    exec(GIVEN.get(page.name, ""), space)
    for i, code in enumerate(blocks(page)):
        exec(compile(code, f"{page}, block {i + 1}", "exec"), space)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:|#", target):
            there = page.parent / target.partition("#")[0]
            assert there.exists() or there.with_suffix(".rst").exists(), f"{target} is missing"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_only_letters_that_the_vendored_file_draws(page):
    assert not re.search(r"\$[^$]*\\math(bb|cal|frak|scr)", page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(n for n in METHODS if hasattr(refq, n)))
def test_every_method_has_a_page_with_its_parameters(name):
    word = r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z]{2})(?=[A-Z][a-z])"
    stem = re.sub(word, "_", name).lower()
    page = DOCS / "methods" / f"{stem}.md"
    assert page.is_file(), f"write docs/methods/{stem}.md"
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {name}\n")
    missing = [p for p in METHODS[name]().get_params(deep=False) if f"`{p}" not in text]
    assert not missing, f"{page.name} does not mention {missing}"
    assert METHODS[name].noun in text
    assert f"]({stem}.md)" in (DOCS / "methods" / "index.md").read_text(encoding="utf-8")


def test_every_cited_paper_is_listed():
    listed = (DOCS / "papers.md").read_text(encoding="utf-8")
    number = re.compile(r"arXiv:(\d{4}\.\d{5})")
    sources = [*(ROOT / "refq").rglob("*.py"), *(DOCS / "methods").glob("*.md")]
    cited = {n for p in sources for n in number.findall(p.read_text(encoding="utf-8"))}
    assert len(cited) > 10
    assert cited <= set(number.findall(listed))


# The table of features ----------------------------------------------------------------------


def features():
    rows = {}
    for line in (DOCS / "features.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if re.fullmatch(r"G?\d+", cells[0]):
            assert len(cells) == 6, line
            assert cells[0] not in rows
            rows[cells[0]] = cells[1:]
    return rows


FEATURES = features()


def test_features_are_complete():
    wanted = [*map(str, range(1, 109)), *(f"G{i}" for i in range(1, 21))]
    assert list(FEATURES) == wanted


@pytest.mark.parametrize("row", FEATURES)
def test_feature_names_what_exists(row):
    what, file, law, mutant, state = FEATURES[row]
    kind, _, remark = state.partition(": ")
    assert what
    assert kind in ("done", "part", "open")
    assert bool(remark) == (kind == "part"), "what is missing is said where something is"
    assert bool(file) == (kind != "open")
    if file:
        assert (ROOT / file.strip("`")).is_file()
    assert bool(law) == bool(mutant)
    if kind == "done":
        assert law
    if law:
        assert law in LAWS
        assert MUTANTS[mutant].law == law


@pytest.mark.skipif(os.name == "nt", reason="files have no executable bit on Windows")
def test_ci_script_is_executable():
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
