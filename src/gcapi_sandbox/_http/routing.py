"""Routes: the operation of each path and method, and the rules of access that depend on the path alone."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field

from gcapi_sandbox._http import openapi

API_ROOT = "/api/v1/"

# Resources that require a token even to read.
PRIVATE_PATHS = ("components/interfaces/", "workstations/configs/")

# Resources that ignore tokens and that anybody may write.
OPEN_PATHS = ("timezone/",)

# Methods for which a resource that lacks them responds with 405. For all other missing methods
# that write, the server checks the permission first and responds with 403.
_WRITES = frozenset({"POST", "PUT", "PATCH"})
_ALL_WRITES = _WRITES | {"DELETE"}
_NOT_ALLOWED: dict[str, frozenset[str]] = {
    "algorithms/endpoints/": _WRITES,
    "algorithms/invocations/": frozenset({"POST"}),
    "algorithms/jobs/": frozenset({"POST"}),
    "archives/items/": _WRITES,
    "cases/upload-sessions/": _WRITES,
    "components/interfaces/": _ALL_WRITES,
    "evaluations/": _WRITES,
    "gcapi/": _ALL_WRITES,
    "notifications/": _ALL_WRITES,
    "profiles/users/self/": _ALL_WRITES,
    "reader-studies/answers/": _WRITES,
    "reader-studies/display-sets/": _ALL_WRITES,
    "subscriptions/": _ALL_WRITES,
    "timezone/": _ALL_WRITES,
    "uploads/": _WRITES,
    "workstations/configs/": _ALL_WRITES,
    "workstations/feedback/": _WRITES,
    "workstations/sessions/": _WRITES,
}


@dataclass(frozen=True)
class Route:
    """A path, the operation of each of its methods, and whether they also offer CSV."""

    path: str
    operations: dict[str, str] = field(default_factory=dict[str, str])
    csv: bool = False

    @functools.cached_property
    def pattern(self) -> re.Pattern[str]:
        """The path as a regular expression with a group for each parameter."""
        return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path))

    @property
    def allow(self) -> str:
        """The `Allow` header."""
        read = ("GET", "HEAD") if "GET" in self.operations else ()
        return ", ".join((*read, *sorted(self.operations.keys() - {"GET"}), "OPTIONS"))

    def forbids(self, method: str) -> bool:
        """Return whether a missing method is refused with 403 rather than 405."""
        for prefix, methods in _NOT_ALLOWED.items():
            if self.path.startswith(prefix):
                return method in _ALL_WRITES - methods
        return method in _ALL_WRITES


def _csv_paths() -> set[str]:
    """Return the paths with CSV responses in the published schema; the corrected one has only JSON."""
    return {
        path
        for path, _, description in openapi.operations(openapi.published())
        for response in description["responses"].values()
        if "text/csv" in response.get("content", ())
    }


@functools.cache
def routes() -> tuple[Route, ...]:
    """Return the routes of the corrected schema, literal segments before parameters."""
    csv, found = _csv_paths(), dict[str, Route]()
    for path, method, description in openapi.operations(openapi.corrected()):
        if path.startswith(API_ROOT):
            route = found.setdefault(path, Route(path.removeprefix(API_ROOT), csv=path in csv))
            route.operations[method] = description["operationId"]
    # The brace of a parameter sorts after every letter.
    return tuple(found[path] for path in sorted(found))


def match(path: str) -> tuple[Route, dict[str, str]] | None:
    """Return the route and the parameters of a path below the API's root."""
    for route in routes():
        if found := route.pattern.fullmatch(path):
            return route, found.groupdict()
    return None
