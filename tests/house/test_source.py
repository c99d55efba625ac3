"""Rules about the source itself: errors, assertions, printing, paths, kernels, file names."""

import ast
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import refq
from refq.core.errors import RefqError

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "refq").rglob("*.py"))
SOURCES = {str(p.relative_to(ROOT)): p.read_text(encoding="utf-8") for p in FILES}
PAGES = [
    p
    for folder in ("docs", "tutorials", "benchmarks", "refq", "tests")
    for p in sorted((ROOT / folder).rglob("*"))
    if p.suffix in {".py", ".md", ".pyi", ".ipynb", ".rst", ".toml"} and p != Path(__file__)
] + sorted(ROOT.glob("*.md"))
LAZY = {"refq/__init__.py", "refq/interop/__init__.py", "refq/conformance/__init__.py"}
PRINTERS = {"refq/cli.py", "refq/__main__.py", "refq/report/tables.py"}


def family():
    """Return the names of what may be raised, once all modules are loaded.

    Every RefqError, and what a broken law raises: an AssertionError of the conformance suite.
    """
    for info in pkgutil.walk_packages(refq.__path__, "refq."):
        if not info.name.endswith("__main__"):
            importlib.import_module(info.name)
    found, todo = set(), [RefqError]
    laws = AssertionError.__subclasses__()
    todo += [kind for kind in laws if kind.__module__.startswith("refq.conformance.")]
    while todo:
        kind = todo.pop()
        found.add(kind.__name__)
        todo.extend(kind.__subclasses__())
    return found


def raised(source, name, known):
    """List what is raised that is no RefqError: classes by their capital letter."""
    bad = []

    def visit(node, function):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            function = node.name
        if isinstance(node, ast.Raise) and node.exc is not None:
            target = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            word = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
            lazy = word == "AttributeError" and function in ("__getattr__", "__delattr__")
            leaving = word in ("SystemExit", "ArgumentTypeError") and name == "refq/cli.py"
            if word[:1].isupper() and word not in known and not lazy and not leaving:
                bad.append(f"{name}:{node.lineno} raises {word}")
        for child in ast.iter_child_nodes(node):
            visit(child, function)

    visit(ast.parse(source), "")
    return bad


def assertions(source, name):
    """List assertions other than ``assert isinstance(...)``, which only narrows a type."""
    return [
        f"{name}:{node.lineno} {ast.unparse(node)[:60]}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Assert)
        and not (isinstance(node.test, ast.Call) and ast.unparse(node.test.func) == "isinstance")
    ]


def prints(source, name):
    """List calls of print."""
    return [
        f"{name}:{node.lineno}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
    ]


PATHS = re.compile(r"(?<![\w.}])(/(home|root|work|tmp|Users|mnt)/|[A-Z]:\\\\)\w")


def disk_paths(text, name):
    """List lines that name a place on somebody's disk."""
    return [
        f"{name}:{i} {line.strip()[:80]}"
        for i, line in enumerate(text.splitlines(), 1)
        if PATHS.search(line)
    ]


def stray_kernels(source, name):
    """List kernels that do not stand directly below their definition (subroutines may between)."""
    bad = []
    body = ast.parse(source).body
    for i, node in enumerate(body):
        marks = getattr(node, "decorator_list", [])
        calls = [d for d in marks if isinstance(d, ast.Call) and ast.unparse(d.func) == "kernel"]
        if not isinstance(node, ast.FunctionDef) or not calls:
            continue
        above = i - 1
        while above >= 0 and "subroutine" in map(
            ast.unparse, getattr(body[above], "decorator_list", [])
        ):
            above -= 1
        if getattr(body[above], "name", None) != ast.unparse(calls[0].args[0]):
            bad.append(f"{name}:{node.lineno} {node.name}")
    return bad


def more_than_reexports(source, name):
    """List statements of an ``__init__`` that are no docstring, import or ``__all__``.

    One loop is allowed: it imports every file of a folder whose files register what they hold.
    """
    bad = []
    for i, node in enumerate(ast.parse(source).body):
        docstring = i == 0 and isinstance(node, ast.Expr)
        named = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        found = ast.unparse(node).startswith("for _found in pkgutil.iter_modules(__path__)")
        if not (docstring or named or found or isinstance(node, (ast.Import, ast.ImportFrom))):
            bad.append(f"{name}:{node.lineno} {ast.unparse(node)[:60]}")
    return bad


def public_functions(source):
    return {
        n.name
        for n in ast.parse(source).body
        if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and not n.name.startswith("_")
    }


# The rules -------------------------------------------------------------------------------


def gather(checker, skip=()):
    return [
        b for name, source in SOURCES.items() if name not in skip for b in checker(source, name)
    ]


def report(bad, message):
    assert not bad, f"{message}:\n" + "\n".join(bad)


def test_only_the_family_is_raised():
    known = family()
    report(gather(lambda s, n: raised(s, n, known)), "raise a RefqError")


def test_no_assert_checks_input():
    report(gather(assertions), "python -O removes assertions; raise a RefqError")


def test_the_library_does_not_print():
    report(gather(prints, PRINTERS), "return the text instead")


def test_no_page_names_a_place_on_a_disk():
    bad = [
        b
        for p in PAGES
        for b in disk_paths(p.read_text(encoding="utf-8"), str(p.relative_to(ROOT)))
    ]
    report(bad, "say it without an absolute path")


def test_kernels_stand_below_their_definitions():
    report(gather(stray_kernels), "move the kernel directly below its definition")


def test_init_files_only_reexport():
    inits = {n: s for n, s in SOURCES.items() if n.endswith("__init__.py") and n not in LAZY}
    assert inits
    report([b for n, s in inits.items() for b in more_than_reexports(s, n)], "only re-exports")


def test_no_file_bears_the_name_of_a_function_in_it():
    bad = [n for n, s in SOURCES.items() if Path(n).stem in public_functions(s)]
    report(bad, "the package's attribute would be the function or the module, by luck")


# Each rule catches a planted offender ----------------------------------------------------

KNOWN = {"RangeError"}


@pytest.mark.parametrize(
    ("source", "n"),
    [
        ("raise ValueError('x')", 1),
        ("raise errors.TypeError", 1),
        ("def f():\n    raise NotImplementedError", 1),
        ("raise StopIteration from None", 1),
        ("def f():\n    raise AttributeError('x')", 1),
        ("def __getattr__(name):\n    raise AttributeError(name)", 0),
        ("raise RangeError('x')\n", 0),
        ("try:\n    f()\nexcept E as error:\n    raise\n", 0),
        ("raise kind('x') from error", 0),
    ],
)
def test_raised_catches(source, n):
    assert len(raised(source, "refq/a.py", KNOWN)) == n


def test_the_others_catch():
    assert assertions("assert x > 0", "a")
    assert assertions("def f(x):\n    assert not isinstance(x, int)", "a")
    assert not assertions("assert isinstance(x, int)", "a")
    assert prints("def f():\n    print(1)", "a")
    assert not prints("'''\n>>> print(1)\n'''\nprinted(1)", "a")
    assert disk_paths("see /home/me/file", "a")
    assert not disk_paths("b/home/c, https://example.org/x", "a")
    source = "def a(x): ...\n@kernel(a)\ndef a_kernel(x): ...\n"
    assert not stray_kernels(source, "a")
    assert not stray_kernels(source.replace("@k", "@subroutine\ndef b(x): ...\n@k", 1), "a")
    assert stray_kernels(source.replace("@k", "def b(x): ...\n@k", 1), "a")
    assert stray_kernels("@kernel(a)\ndef a_kernel(x): ...", "a")
    assert more_than_reexports("'''doc'''\nfrom . import a\n__all__ = ['a']\nx = 1", "a")
    assert more_than_reexports("def f(): ...", "a")
    assert not more_than_reexports("'''doc'''\nfrom . import a\n__all__ = ['a']", "a")
    assert public_functions("def dense(): ...\ndef _f(): ...\nclass A: ...") == {"dense", "A"}
