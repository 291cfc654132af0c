"""Rules of style that a machine can check; CONTRIBUTING.md has the others."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src"
#: Openers of noun clauses, where a docstring needs an imperative or a noun phrase.
_CLAUSE = re.compile(r"(What|Whether|Where|Who|How|Tell|Hear|Say)s?\b")
_EXCEPTION = re.compile(r"Raised when |Issued when |Base class of ")
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)")
#: Modules that may import parts of gcapi inside of functions, because they load lazily.
LAZY = {
    "gcapi/__init__.py",
    "gcapi/models.py",
    # The import of the client costs little more than that of the HTTP library.
    "gcapi/client.py",
    "gcapi/resources/reader_studies.py",
    "gcapi/cli/__init__.py",
    "gcapi/cli/app.py",
    # The help of a command loads neither the client nor the HTTP library.
    "gcapi/cli/session.py",
    "gcapi/cli/listing.py",
    "gcapi/cli/value_completion.py",
    "gcapi/cli/commands/account.py",
    "gcapi/cli/commands/api.py",
    "gcapi/cli/commands/doctor.py",
    "gcapi/cli/commands/run.py",
}
#: Names that two modules may define: a command is named after the function that it calls, and type variables are alike.
SHARED_NAMES = {"diff", "pull", "push", "verify"} | {"T", "T_co"}


@cache
def modules() -> dict[str, ast.Module]:
    """Return the modules of all packages in src/, by relative path."""
    return {
        path.relative_to(SOURCES).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(SOURCES.rglob("*.py"))
    }


def described(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the name and the docstring of a module and of everything in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node)
            if docstring:
                yield getattr(node, "name", ""), docstring


def test_docstrings_are_imperatives_or_noun_phrases() -> None:
    """No docstring begins with a noun clause such as "Whether …" or "What …"."""
    tests = {path: ast.parse(path.read_text("utf-8")) for path in (ROOT / "tests").rglob("*.py")}
    clauses = [
        f"{path}: {name}: {docstring.splitlines()[0]}"
        for path, tree in [*modules().items(), *tests.items()]
        for name, docstring in described(tree)
        if _CLAUSE.match(docstring)
    ]
    assert clauses == []


def exceptions() -> Iterator[tuple[str, ast.ClassDef]]:
    """Yield the exception classes with their paths; warnings are exceptions too."""
    classes = [
        (path, node)
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    ]
    bases = {node.name: {ast.unparse(base) for base in node.bases} for _, node in classes}
    known = {"BaseException", "Exception", "UserWarning", "Warning"}
    while new := {name for name in bases if bases[name] & known} - known:
        known |= new
    builtin = re.compile(r"(httpx\.)?\w+(Error|Exception)")
    for path, node in classes:
        if node.name in known or any(builtin.fullmatch(base) for base in bases[node.name]):
            yield path, node


def test_exceptions_say_when_they_are_raised() -> None:
    """The docstring of an exception begins with "Raised when", and that of a warning with "Issued when"."""
    silent = [
        f"{path}: {node.name}"
        for path, node in exceptions()
        if not _EXCEPTION.match(ast.get_docstring(node) or "")
    ]
    assert silent == []


def test_packages_say_what_belongs_there() -> None:
    """The docstring of a package has at least two sentences: what belongs there, and what does not."""
    short = [
        path
        for path, tree in modules().items()
        if path.endswith("__init__.py")
        and len(_SENTENCE_END.findall(ast.get_docstring(tree) or "")) < 2
    ]
    assert short == []


def test_imports_are_at_the_top() -> None:
    """Functions import no parts of gcapi, except in the modules that load lazily."""
    late = [
        f"{path}:{node.lineno}"
        for path, tree in modules().items()
        if path.startswith("gcapi/") and path not in LAZY
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "gcapi"
    ]
    assert late == []


def defined(tree: ast.Module) -> Iterator[str]:
    """Yield the names that a module defines at its top level, without imports."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def test_a_name_has_one_meaning() -> None:
    """No two modules of gcapi define the same name, except commands and their functions."""
    places: dict[str, set[str]] = defaultdict(set)
    for path, tree in modules().items():
        if path.startswith("gcapi/"):
            for name in defined(tree):
                places[name].add(path)
    shared = {
        name: sorted(paths)
        for name, paths in places.items()
        if len(paths) > 1 and not name.startswith("__") and name not in SHARED_NAMES
    }
    assert shared == {}
