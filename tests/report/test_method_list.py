"""The list of methods: citations as the files have them, tutorials as the notebooks have them."""

import json
import re
from pathlib import Path

import pytest

import refq
from refq.passes.plan_files import known_methods
from refq.report.method_list import TUTORIALS, first_reference, method_page, method_table

NOTEBOOKS = sorted((Path(refq.__file__).parents[1] / "tutorials").glob("*.ipynb"))
METHODS = known_methods()


@pytest.mark.skipif(not NOTEBOOKS, reason="the tutorials are not here")
def test_tutorials_use_what_the_list_says():
    used = {}
    for path in NOTEBOOKS:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = "".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
        used[path.stem[:2]] = {name for name in METHODS if re.search(rf"\b{name}\(", code)}
    assert {number: set(names) for number, names in TUTORIALS.items()} == used


@pytest.mark.parametrize("name", METHODS)
def test_every_citation_reads_as_name_and_year(name):
    said = first_reference(METHODS[name])
    if said == "-":
        assert name in ("Cast", "DroppedBitsQuantizer")
    else:
        assert len(said) < 50
        assert any(part.isdecimal() and len(part) == 4 for part in said.replace(",", "").split())


def test_known_citations():
    assert first_reference(METHODS["GPTQ"]) == "Frantar 2022, arXiv:2210.17323"
    assert first_reference(METHODS["SVDFactorizer"]) == "Eckart 1936"
    assert first_reference(METHODS["ProductQuantizer"]) == "Jégou 2011"


def test_table_and_page():
    lines = method_table(METHODS).splitlines()
    assert [line.split()[0] for line in lines[2:]] == sorted(METHODS)
    page = method_page("Cast", METHODS["Cast"], {"L1 shape": "It keeps its shape."})
    assert "format: " in page
    assert page.endswith("  L1 shape                  It keeps its shape.")
