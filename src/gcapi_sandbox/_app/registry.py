"""All modules that register handlers of operations or of background tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gcapi_sandbox._background import import_tasks, job_runner, job_validation
from gcapi_sandbox._http.operations import HANDLERS
from gcapi_sandbox._resources import (
    algorithms,
    answers,
    archives,
    display_sets,
    endpoints,
    evaluations,
    images,
    reader_studies,
    site,
    sockets,
    upload_sessions,
    uploads,
    viewers,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

# Importing a module registers its handlers.
MODULES = (
    import_tasks,
    job_runner,
    job_validation,
    algorithms,
    answers,
    archives,
    display_sets,
    endpoints,
    evaluations,
    images,
    reader_studies,
    site,
    sockets,
    upload_sessions,
    uploads,
    viewers,
)


def check_handlers(operations: Iterable[str]) -> None:
    """Raise LookupError for operations without a handler."""
    if missing := set(operations) - HANDLERS.keys():
        raise LookupError(f"The sandbox has no handler for {', '.join(sorted(missing))}")
