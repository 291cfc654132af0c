"""Which operation of the schema answers which method of which path, and who is turned away before it."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field

from gcapi_sandbox._http import api_documents

ROOT = "/api/v1/"

# Resources that nobody reads without a token.
PRIVATE = ("components/interfaces/", "workstations/configs/")

# Resources that ignore tokens and may be written by anybody.
OPEN = ("timezone/",)

# Methods that are "not allowed" (405) where a resource lacks them. All other missing methods
# that would change something are "no permission" (403), which the server checks first.
_CHANGES = frozenset({"POST", "PUT", "PATCH"})
_EVERYTHING = _CHANGES | {"DELETE"}
NOT_ALLOWED: dict[str, frozenset[str]] = {
    "algorithms/endpoints/": _CHANGES,
    "algorithms/invocations/": frozenset({"POST"}),
    "algorithms/jobs/": frozenset({"POST"}),
    "archives/items/": _CHANGES,
    "cases/upload-sessions/": _CHANGES,
    "components/interfaces/": _EVERYTHING,
    "evaluations/": _CHANGES,
    "gcapi/": _EVERYTHING,
    "notifications/": _EVERYTHING,
    "profiles/users/self/": _EVERYTHING,
    "reader-studies/answers/": _CHANGES,
    "reader-studies/display-sets/": _EVERYTHING,
    "subscriptions/": _EVERYTHING,
    "timezone/": _EVERYTHING,
    "uploads/": _CHANGES,
    "workstations/configs/": _EVERYTHING,
    "workstations/feedback/": _CHANGES,
    "workstations/sessions/": _CHANGES,
}


@dataclass(frozen=True)
class Route:
    """One path, the operation of each of its methods, and whether they render CSV too."""

    path: str
    operations: dict[str, str] = field(default_factory=dict[str, str])
    csv: bool = False

    @functools.cached_property
    def pattern(self) -> re.Pattern[str]:
        """The path as an expression with one group a parameter."""
        return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path))

    @property
    def allow(self) -> str:
        """The `Allow` header."""
        read = ("GET", "HEAD") if "GET" in self.operations else ()
        return ", ".join((*read, *sorted(self.operations.keys() - {"GET"}), "OPTIONS"))

    def forbids(self, method: str) -> bool:
        """Tell whether nobody has the permission for a method that is missing here."""
        for prefix, methods in NOT_ALLOWED.items():
            if self.path.startswith(prefix):
                return method in _EVERYTHING - methods
        return method in _EVERYTHING


def _csv_paths() -> set[str]:
    """Return the paths that the server publishes with a CSV answer; the corrected schema has only JSON."""
    return {
        path
        for path, _, described in api_documents.operations(api_documents.published())
        for response in described["responses"].values()
        if "text/csv" in response.get("content", ())
    }


@functools.cache
def routes() -> tuple[Route, ...]:
    """Return the routes of the corrected schema; a literal segment stands before a parameter."""
    csv, found = _csv_paths(), dict[str, Route]()
    for path, method, described in api_documents.operations(api_documents.corrected()):
        if path.startswith(ROOT):
            route = found.setdefault(path, Route(path.removeprefix(ROOT), csv=path in csv))
            route.operations[method] = described["operationId"]
    # A parameter's brace sorts behind every letter.
    return tuple(found[path] for path in sorted(found))


def match(path: str) -> tuple[Route, dict[str, str]] | None:
    """Return the route of a path below the root and its parameters."""
    for route in routes():
        if found := route.pattern.fullmatch(path):
            return route, found.groupdict()
    return None
