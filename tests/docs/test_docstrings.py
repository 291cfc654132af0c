"""Docstrings of public symbols, as the API reference shows them."""

from __future__ import annotations

import builtins
import doctest
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import griffe
import httpx
import pytest

import gcapi.bulk
import gcapi.exceptions
from gcapi import Client, SocketValueSpec
from tests.support.documentation.blocks import ROOT
from tests.support.documentation.public_server import PublicServer

#: The modules of `gcapi.bulk`, whose `__all__` lists the public names.
BULK = (
    "gcapi.bulk.check",
    "gcapi.bulk.compare",
    "gcapi.bulk.differences",
    "gcapi.bulk.guess",
    "gcapi.bulk.journal",
    "gcapi.bulk.manifest",
    "gcapi.bulk._pull.reports",
    "gcapi.bulk._push.reports",
    "gcapi.bulk.pulling",
    "gcapi.bulk.pushing",
    "gcapi.bulk.targets",
)
#: What namespaces are made of, and the modules of `gcapi.resources`, which exports all their classes.
MIXINS = ("gcapi._api.page", "gcapi._api.resource_mixins")
RESOURCES = tuple(
    f"gcapi.resources.{path.stem}"
    for path in sorted((ROOT / "src/gcapi/resources").glob("[!_]*.py"))
)
#: The modules whose names without an underscore are public, and the base classes of namespaces.
MODULES = (
    *BULK,
    *MIXINS,
    *RESOURCES,
    "gcapi.client",
    "gcapi.exceptions",
    "gcapi.jobs",
    "gcapi.models",
    "gcapi.progress",
    "gcapi.retries",
    "gcapi.sockets",
    "gcapi_sandbox.faults",
    "gcapi_sandbox.sandbox",
)
#: Modules whose classes users do not create.
MADE_BY_US = (*MIXINS, *RESOURCES, "gcapi.exceptions")
_KINDS = griffe.ParameterKind
_UNITS = re.compile(r"[Ss]econds|number", re.ASCII)
_OPTIONAL = re.compile(r"\| None\b|\bNone \|")
#: Classes that the reference omits: base classes, and enums that are long or empty.
INTERNAL = {
    "gcapi._api.resource_mixins.Namespace",
    "gcapi.models.BlankEnum",
    "gcapi.models.LocationEnum",
    "gcapi.models.NullEnum",
    "gcapi.models.TimezoneEnum",
    "gcapi.progress.ClientListener",
    "gcapi.progress.GuardedListener",
    "gcapi.progress.Progress",
}
_REFERENCE_LINE = re.compile(r"^::: (\S+)$", re.MULTILINE)


@cache
def public() -> tuple[griffe.Class | griffe.Function, ...]:
    """Return the public classes, methods and functions."""
    return tuple(found for name in MODULES for found in _in(_visited(name)))


def _visited(name: str) -> griffe.Module:
    path = path_of(name)
    code = path.read_text(encoding="utf-8")
    return griffe.visit(name, filepath=path, code=code, docstring_parser=griffe.Parser.google)


def path_of(module: str) -> Path:
    """Return the file of a module."""
    return (ROOT / "src").joinpath(*module.split(".")).with_suffix(".py")


def _in(parent: griffe.Object | griffe.Alias) -> Iterator[griffe.Class | griffe.Function]:
    for name, member in parent.members.items():
        if name.startswith("_") and name != "__call__":
            continue
        if parent.is_module and parent.path in BULK and name not in gcapi.bulk.__all__:
            continue
        if isinstance(member, griffe.Class | griffe.Function):
            yield member
            if isinstance(member, griffe.Class):
                yield from _in(member)


def parameters(found: griffe.Class | griffe.Function) -> dict[str, griffe.Parameter]:
    """Return the named parameters of a call, without `self`; none for classes that users do not create."""
    if isinstance(found, griffe.Class) and found.path.rpartition(".")[0] in MADE_BY_US:
        return {}
    any_number = {_KINDS.var_positional, _KINDS.var_keyword}
    return {
        parameter.name: parameter
        for parameter in found.parameters
        if parameter.name not in {"self", "cls"} and parameter.kind not in any_number
    }


def section(found: griffe.Class | griffe.Function, kind: griffe.DocstringSectionKind) -> Any:
    """Return the content of a section of a docstring, or an empty list."""
    parsed = found.docstring.parsed if found.docstring else []
    return next((part.value for part in parsed if part.kind is kind), [])


def described(found: griffe.Class | griffe.Function) -> dict[str, str]:
    """Return the descriptions of parameters, by name."""
    kinds = griffe.DocstringSectionKind
    sections = [*section(found, kinds.parameters), *section(found, kinds.attributes)]
    return {part.name: part.description for part in sections}


def test_every_public_symbol_has_a_docstring() -> None:
    """Each public class, function and method has a docstring that begins with a sentence."""
    silent = [found.path for found in public() if not found.has_docstring]
    assert silent == []
    first = {found.path: found.docstring.value.partition("\n")[0] for found in public()}
    assert [path for path, line in first.items() if not line.endswith((".", ":", "?"))] == []


def test_parameters_are_described() -> None:
    """A call with two or more parameters describes each of them."""
    missing = [
        f"{found.path}({name})"
        for found in public()
        if len(parameters(found)) > 1
        for name in parameters(found)
        if name not in described(found)
    ]
    assert missing == []


def test_none_and_units_are_explained() -> None:
    """A parameter that can be `None` says what that means, and a float states its unit."""
    unclear = []
    for found in public():
        texts = described(found)
        for name, parameter in parameters(found).items():
            annotation, text = str(parameter.annotation), texts.get(name, _sentence(found))
            if _OPTIONAL.search(annotation) and "`None`" not in text:
                unclear.append(f"{found.path}({name}): None")
            if "float" in annotation and not _UNITS.search(text):
                unclear.append(f"{found.path}({name}): unit")
    assert unclear == []


def _sentence(found: griffe.Class | griffe.Function) -> str:
    return found.docstring.value if found.docstring else ""


def test_errors_that_are_named_exist() -> None:
    """The exceptions that docstrings name exist in Python, httpx or `gcapi.exceptions`."""
    known = {*vars(builtins), *vars(httpx), *vars(gcapi.exceptions), *gcapi.bulk.__all__}
    named = {
        f"{found.path}: {raised.annotation}"
        for found in public()
        for raised in section(found, griffe.DocstringSectionKind.raises)
        if str(raised.annotation) not in known
    }
    assert named == set()


def test_reference_shows_every_public_class() -> None:
    """The API reference has each public class."""
    pages = [page.read_text(encoding="utf-8") for page in (ROOT / "docs/reference").glob("*.md")]
    shown = {path for page in pages for path in _REFERENCE_LINE.findall(page)}
    paths = {
        found.path
        for found in public()
        if isinstance(found, griffe.Class) and found.parent and found.parent.is_module
    }
    # By the modules that import them for users.
    imported = {re.sub(r"\._(push|pull)\.reports\.", r".\1ing.", path) for path in paths}
    classes = {re.sub(r"^gcapi\.resources\.\w+\.", "gcapi.resources.", path) for path in imported}
    missing = {path for path in classes - INTERNAL if not shown & {path, path.rpartition(".")[0]}}
    assert missing == set()


def test_reference_names_every_namespace() -> None:
    """The table of namespaces has each attribute of a client with its class."""
    page = (ROOT / "docs/reference/namespaces.md").read_text(encoding="utf-8")
    with Client("a-token") as client:
        has = {f"| `{name}` | [`{kind}`]" for name, kind in _namespaces(client, "")}
    assert {row for row in has if row not in page} == set()
    assert page.count("\n| `") == len(has)


def _namespaces(parent: object, prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in vars(parent).items():
        if not name.startswith("_") and type(value).__module__.startswith("gcapi.resources."):
            yield prefix + name, type(value).__name__
            yield from _namespaces(value, f"{prefix}{name}.")


def test_examples_of_docstrings_run(
    public_server: PublicServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The examples in docstrings run and give the results that they show."""
    public_server.enter(monkeypatch)
    with Client() as client:
        archive = client.archives.detail(slug="my-archive")
        case = client.archive_items.page(params={"archive": archive.pk})[0]
        at_hand = {
            "Client": Client,
            "SocketValueSpec": SocketValueSpec,
            "case": case,
            "client": client,
        }
        results = [
            doctest.testmod(import_module(name), extraglobs=at_hand, raise_on_error=False)
            for name in MODULES
        ]
    assert sum(result.attempted for result in results) > len(MODULES) - len(RESOURCES)
    assert [result.failed for result in results] == [0] * len(MODULES)
