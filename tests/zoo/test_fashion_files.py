"""Fashion-MNIST's files: found, verified, installed whole; small stand-ins play the true ones."""

import gzip
import hashlib
import os
from pathlib import Path

import pytest

from refq.core.errors import FormatError, LimitError, RangeError
from refq.zoo import data_folder, fashion_files, install_fashion
from refq.zoo.fashion_files import KnownFile, find_fashion


@pytest.fixture
def contents(monkeypatch):
    """Replace the four files by small ones of the same names."""
    data = {k: f"{f.name} stands in".encode() for k, f in fashion_files.FASHION_FILES.items()}
    known = {
        k: KnownFile(f.name, len(data[k]), hashlib.sha256(data[k]).hexdigest())
        for k, f in fashion_files.FASHION_FILES.items()
    }
    monkeypatch.setattr(fashion_files, "FASHION_FILES", known)
    return {known[k].name: data[k] for k in known}


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Let every place that is searched lie below tmp_path."""
    monkeypatch.setenv("REFQ_DATA", str(tmp_path / "chosen"))
    monkeypatch.setattr(fashion_files, "_user_folder", lambda: tmp_path / "user")
    monkeypatch.setattr(fashion_files, "_DEBIAN", tmp_path / "debian")
    names = {"chosen": "chosen/fashion-mnist", "user": "user/fashion-mnist", "debian": "debian"}
    return {key: tmp_path / name for key, name in names.items()}


def fill(folder, contents, dotted=False, packed=False):
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in contents.items():
        spelled = name.replace("-idx", ".idx") if dotted else name
        if packed:
            (folder / f"{spelled}.gz").write_bytes(gzip.compress(data))
        else:
            (folder / spelled).write_bytes(data)
    return folder


@pytest.mark.parametrize("dotted", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_install_takes_any_spelling(tmp_path, places, contents, dotted, packed):
    source = fill(tmp_path / "source", contents, dotted, packed)
    target = install_fashion(source)
    assert target == places["chosen"]
    assert {p.name: p.read_bytes() for p in target.iterdir()} == contents
    assert {p.parent for p in find_fashion().values()} == {target}
    assert install_fashion(target) == target  # again, over itself


@pytest.mark.parametrize("wrong", ["byte", "short", "long", "gzip"])
def test_install_writes_nothing_when_a_file_is_wrong(tmp_path, places, contents, wrong):
    source = fill(tmp_path / "source", contents)
    victim = source / list(contents)[-1]
    good = victim.read_bytes()
    bad = {
        "byte": bytes([good[0] ^ 1]) + good[1:],
        "short": good[:-1],
        "long": good + b"\0",
        "gzip": gzip.compress(good)[:-1],
    }
    victim.write_bytes(bad[wrong])
    with pytest.raises((FormatError, LimitError)) as caught:
        install_fashion(source)
    assert victim.name in str(caught.value) or wrong == "long"
    assert not places["chosen"].exists()


def test_install_names_what_is_missing(tmp_path, places, contents):
    source = fill(tmp_path / "source", contents)
    gone = list(contents)[1]
    (source / gone).unlink()
    with pytest.raises(RangeError, match=f"no {gone}"):
        install_fashion(source)
    assert not places["chosen"].exists()


def test_a_failed_write_leaves_the_old_file(tmp_path, places, contents, monkeypatch):
    source = fill(tmp_path / "source", contents)
    old = fill(places["chosen"], dict.fromkeys(contents, b"old"))

    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        install_fashion(source)
    assert {p.name: p.read_bytes() for p in old.iterdir()} == dict.fromkeys(contents, b"old")


def test_the_first_complete_folder_is_used(places, contents):
    for key in ("debian", "user", "chosen"):  # each comes before the one filled before it
        fill(places[key], contents, packed=True)
        assert {p.parent for p in find_fashion().values()} == {places[key]}
    next(places["chosen"].iterdir()).unlink()
    assert {p.parent for p in find_fashion().values()} == {places["user"]}


def test_the_message_says_how_to_get_the_files(places, contents):
    with pytest.raises(RangeError) as caught:
        find_fashion()
    for words in ("refq data fashion --from", "dataset-fashion-mnist", *map(str, places.values())):
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ("platform", "variables", "want"),
    [
        ("linux", {}, "home/.local/share/refq"),
        ("linux", {"XDG_DATA_HOME": "xdg"}, "xdg/refq"),
        ("darwin", {}, "home/Library/Application Support/refq"),
        ("win32", {"LOCALAPPDATA": "local"}, "local/refq"),
        ("win32", {}, "home/AppData/Local/refq"),
        ("linux", {"REFQ_DATA": "mine"}, "mine"),
    ],
)
def test_the_data_folder_of_each_platform(monkeypatch, platform, variables, want):
    for name in ("REFQ_DATA", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(fashion_files.sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: Path("home"))
    assert data_folder() == Path(want)
