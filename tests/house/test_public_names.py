"""Public names: documented as they are, exported, the same thing at all times."""

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

import refq
from refq.core.twins import Kernel, subroutine
from refq.encodings import METHODS

ROOT = Path(__file__).parents[2]
NAMES = [
    m.name for m in pkgutil.walk_packages(refq.__path__, "refq.") if not m.name.endswith("__main__")
]
MODULES = {name: importlib.import_module(name) for name in ["refq", *NAMES]}
PACKAGES = {n: m for n, m in MODULES.items() if hasattr(m, "__path__") and n != "refq"}
LAZY = {"refq", "refq.interop", "refq.conformance"}
SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}\s*$", re.MULTILINE)


# Numpydoc, as much of it as the rules need -----------------------------------------------


def sections(docstring):
    """Return {title: text} of a numpydoc docstring."""
    text = inspect.cleandoc(docstring or "")
    heads = list(SECTION.finditer(text))
    ends = [h.start() for h in heads[1:]] + [len(text)] * bool(heads)
    return {h[1]: text[h.end() : end] for h, end in zip(heads, ends, strict=True)}


def documented(docstring):
    """Return the parameters' names in order, or None without such a section."""
    found = sections(docstring).get("Parameters")
    if found is None:
        return None
    heads = [line for line in found.splitlines() if line and not line.startswith(" ")]
    return [n.strip() for head in heads for n in head.partition(" :")[0].split(",")]


def parameters(function, is_method=False):
    """Return the names of a signature, stars included, `self` left out."""
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    given = list(inspect.signature(function).parameters.values())
    return [stars.get(p.kind, "") + p.name for p in given[1 if is_method else 0 :]]


def docstring_faults(name, function, is_method=False, inherits=False):
    """Say what is wrong with a function's docstring.

    An override whose contract stands on the base class may leave sections out, not get them wrong.
    """
    doc = function.__doc__
    if not doc or not doc.strip():
        return [f"{name} has no docstring"]
    want, got, faults = parameters(function, is_method), documented(doc), []
    if got and got[0] == "draw" and "draw" not in want:
        got = got[1:]  # a composite strategy is defined with it and called without
    if got is not None and got != want:
        faults.append(f"{name} documents {got}, its signature has {want}")
    if got is None and want and not inherits:
        faults.append(f"{name} does not document {want}")
    gives = inspect.signature(function).return_annotation
    silent = gives in (None, "None", inspect.Signature.empty) or "NoReturn" in str(gives)
    if not silent and not inherits and not {"Returns", "Yields"} & set(sections(doc)):
        faults.append(f"{name} does not say what it returns")
    return faults


def class_faults(name, cls):
    """Say what is wrong with the docstrings of a class and its own public methods."""
    if not cls.__doc__ or cls.__doc__.startswith(f"{cls.__name__}("):  # dataclass makes that one
        return [f"{name} has no docstring"]
    faults = []
    plain = not issubclass(cls, BaseException) and not getattr(cls, "_is_protocol", False)
    own = "__init__" in vars(cls) and plain
    want = parameters(vars(cls)["__init__"], True) if own else []
    got = documented(cls.__doc__)
    if got is not None and got != want and own:
        faults.append(f"{name} documents {got}, its signature has {want}")
    if got is None and want:
        faults.append(f"{name} does not document {want}")
    for key, value in vars(cls).items():
        if key.startswith("_"):
            continue
        inherits = any(key in vars(base) for base in cls.__mro__[1:])
        if isinstance(value, (classmethod, staticmethod)):
            plain = value.__func__
            method = isinstance(value, classmethod)
            faults += docstring_faults(f"{name}.{key}", plain, method, inherits)
        elif isinstance(value, types.FunctionType):
            faults += docstring_faults(f"{name}.{key}", value, True, inherits)
        elif isinstance(value, property) and not (value.fget.__doc__ or "").strip():
            faults.append(f"{name}.{key} has no docstring")
    return faults


def module_faults(module):
    """Say what is wrong with the docstrings of what a module defines in public."""
    faults = [] if (module.__doc__ or "").strip() else [f"{module.__name__} has no docstring"]
    for key, value in vars(module).items():
        if key.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        name = f"{module.__name__}.{key}"
        if isinstance(value, (Kernel, subroutine)):
            if not (value.__doc__ or "").strip():
                faults.append(f"{name} has no docstring")
        elif isinstance(value, type):
            faults += class_faults(name, value)
        elif isinstance(value, types.FunctionType):
            faults += docstring_faults(name, value)
    return faults


# Names -----------------------------------------------------------------------------------


def reexports(source):
    """Return (names imported, names in __all__) of an ``__init__``."""
    tree = ast.parse(source)
    imported = [
        (a.asname or a.name)
        for n in tree.body
        if isinstance(n, ast.ImportFrom) and n.level
        for a in n.names
    ]
    found = [
        n.value for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id == "__all__"
    ]
    return imported, [ast.literal_eval(v) for v in found]


def all_faults(source, name):
    """Say where ``__all__`` and the imports of an ``__init__`` differ."""
    imported, lists = reexports(source)
    if not imported and not lists:
        return []
    if len(lists) != 1:
        return [f"{name} has {len(lists)} __all__"]
    missing, more = set(imported) - set(lists[0]), set(lists[0]) - set(imported)
    faults = [f"{name}: __all__ lacks {sorted(missing)}"] if missing else []
    faults += [f"{name}: __all__ has {sorted(more)}, which it does not import"] if more else []
    if len(set(lists[0])) != len(lists[0]):
        faults.append(f"{name}: __all__ has a name twice")
    return faults


def kind_of(value):
    return "module" if isinstance(value, types.ModuleType) else type(value).__name__


# The rules -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(MODULES))
def test_docstrings_say_what_the_signature_says(name):
    faults = module_faults(MODULES[name])
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("name", sorted(set(PACKAGES) - LAZY))
def test_packages_export_what_they_import(name):
    source = Path(PACKAGES[name].__file__).read_text(encoding="utf-8")
    faults = all_faults(source, name)
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_every_exported_name_exists_and_is_listed_once(name):
    listed = list(getattr(MODULES[name], "__all__", ()))
    missing = [n for n in listed if not hasattr(MODULES[name], n)]
    assert not missing, f"{name}.__all__ lists what is not there: {missing}"
    assert len(set(listed)) == len(listed), f"{name}.__all__ has a name twice"


def test_the_top_level_names_are_sorted_and_have_a_stub():
    assert list(refq.__all__) == sorted(refq.__all__)
    stub = ast.parse(Path(refq.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    stubbed = {
        a.asname or a.name
        for n in ast.walk(stub)
        if isinstance(n, (ast.ImportFrom, ast.Import))
        for a in n.names
    }
    missing = set(refq.__all__) - stubbed
    assert not missing, f"the stub lacks {sorted(missing)}"


def test_public_names_keep_their_type_after_all_modules_are_loaded():
    """A sub-module of a function's name would take its place when it is imported."""
    code = """
import importlib, json, pkgutil, sys, types, refq
kind = lambda v: "module" if isinstance(v, types.ModuleType) else type(v).__name__
names = sys.argv[1:]
seen = {}
for name in names:
    package = importlib.import_module(name)
    seen[name] = {n: kind(getattr(package, n)) for n in package.__all__}
for info in pkgutil.walk_packages(refq.__path__, "refq."):
    if not info.name.endswith("__main__"):
        importlib.import_module(info.name)
after = {n: {k: kind(getattr(sys.modules[n], k)) for k in v} for n, v in seen.items()}
print(json.dumps([f"{n}.{k} was a {v}, is a {after[n][k]}"
                  for n, named in seen.items() for k, v in named.items() if after[n][k] != v]))
"""
    names = [n for n in ["refq", *PACKAGES] if hasattr(MODULES[n], "__all__")]
    run = subprocess.run(
        [sys.executable, "-c", code, *names], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert run.stdout.strip() == "[]", run.stdout


def test_no_sub_module_bears_a_public_name():
    bad = [
        f"{name}.{key} is a {kind_of(getattr(package, key))} and a file"
        for name, package in PACKAGES.items()
        for key in getattr(package, "__all__", ())
        if not isinstance(getattr(package, key), types.ModuleType) and f"{name}.{key}" in MODULES
    ]
    assert not bad, "\n".join(bad)


def test_every_method_has_a_page_a_test_and_examples():
    headings = {
        p.read_text(encoding="utf-8")
        .lstrip("# `")
        .split("\n")[0]
        .strip("` ")
        .split()[0]
        .strip("`:")
        for p in (ROOT / "docs" / "methods").glob("*.md")
        if p.read_text(encoding="utf-8").strip()
    }
    bad = []
    for name, cls in sorted(METHODS.items()):
        if not cls.__module__.startswith("refq."):
            continue
        _, folder, *_, stem = cls.__module__.split(".")
        if name not in headings:
            bad.append(f"{name}: no page in docs/methods begins with its name")
        if not (ROOT / "tests" / folder / f"test_{stem}.py").exists():
            bad.append(f"{name}: tests/{folder}/test_{stem}.py is missing")
        if not 1 <= len(cls.examples()) <= 4:
            bad.append(f"{name}: examples() gives {len(cls.examples())} instances")
        if cls.noun not in {"", *refq.encodings.NOUNS}:
            bad.append(f"{name}: noun {cls.noun!r} is none")
    assert not bad, "\n".join(bad)


# Each rule catches a planted offender ----------------------------------------------------


def planted(doc, code="def f(a, *rest, b=1, **more) -> int: ..."):
    scope = {}
    exec(code, scope)
    scope["f"].__doc__ = doc
    return scope["f"]


GOOD = """Say.

    Parameters
    ----------
    a : int
        Text : with a colon.
    *rest : int
        More.
    b, **more : int
        Rest.

    Returns
    -------
    int
        It.
    """


def test_docstring_faults_are_caught():
    assert docstring_faults("f", planted(GOOD)) == []
    assert docstring_faults("f", planted(""))
    assert docstring_faults("f", planted(None))
    for old, new in (("a : int", "x : int"), ("*rest", "rest"), ("Returns\n    -------", "Gives")):
        assert docstring_faults("f", planted(GOOD.replace(old, new, 1))), old
    assert len(docstring_faults("f", planted("Say."))) == 2
    assert docstring_faults("f", planted("Say."), inherits=True) == []
    wrong = GOOD.replace("a : int", "x : int", 1)
    assert docstring_faults("f", planted(wrong), inherits=True)
    assert docstring_faults("f", planted("Say.", "def f() -> None: ...")) == []


def test_class_faults_are_caught():
    class A:
        """Say.

        Parameters
        ----------
        x : int
            It.
        """

        def __init__(self, x):
            """Keep."""

        def f(self, y) -> int:
            """Say."""

        @property
        def p(self):
            return 1

    assert len(class_faults("A", A)) == 3
    A.__doc__ = A.__doc__.replace("x : int", "y : int")
    assert len(class_faults("A", A)) == 4

    class B(A):
        """Say."""

        def f(self, y):
            """Say it again."""

    assert class_faults("B", B) == []


def test_all_faults_are_caught():
    good = "from .a import b\n__all__ = ['b']"
    assert all_faults(good, "a") == []
    assert all_faults(good.replace("'b'", "'b', 'c'"), "a")
    assert all_faults(good.replace("'b'", "'b', 'b'"), "a")
    assert all_faults("from .a import b", "a")
    assert all_faults("from .a import b, c\n__all__ = ['b']", "a")
