"""Adding and changing a case in one call of `Client`, which keeps its records in memory."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from secrets import token_hex
from typing import Any

from gcapi._api.lost_writes import RecoveryPolicy
from gcapi._util.choices import check_choice
from gcapi._util.fork_safety import Lock
from gcapi._util.scheduler import Scheduler, result_of
from gcapi._workflows.case_kinds import (
    Case,
    CaseKind,
    CaseParent,
    ExistingCase,
    only_pk,
    pks_by_title,
)
from gcapi._workflows.cases import CaseRun, CaseSnapshot, CaseStep, PendingValue, StepRecorder
from gcapi._workflows.checks import check_specs
from gcapi._workflows.import_sessions import ImportSessions
from gcapi._workflows.inspection import Inspection
from gcapi._workflows.plans import Plan
from gcapi._workflows.prepare import PreparedValues, ValuePreparer
from gcapi.exceptions import IncompleteCase, SpecError, TitleTaken
from gcapi.findings import InspectMode
from gcapi.resources import UploadsNamespace
from gcapi.sockets import SocketValueSpec

TEMPORARY_TITLE_PREFIX = "gcapi-incomplete-"
#: The longest printed call that includes its values, in characters.
MAX_PRINTED_CALL = 2000
#: How many filled cases, and how many lists of titles, a client remembers.
REMEMBERED_CASES, REMEMBERED_TITLE_LISTS = 10_000, 8


class MemoryRecorder:
    """The recorder of one call of `Client`.

    Args:
        pending: Returns the values that a case waits for, by socket slug.

    Attributes:
        created: The case, once it was created.
    """

    def __init__(self, pending: Callable[[str], dict[str, PendingValue]]) -> None:
        self._pending = pending
        self.created: CaseSnapshot | None = None

    def record(
        self, step: CaseStep, case: CaseSnapshot | None = None, values: PreparedValues | None = None
    ) -> None:
        """Remember what was created and what is imported."""
        if step == "created":
            self.created = case
        if step == "filled" and case and values:
            pending = self._pending(case.pk)
            for slug in values.slugs:
                # What an earlier call uploaded to the same socket is no longer waited for.
                pending.pop(slug, None)
                if slug in values.files:
                    pending[slug] = PendingValue(case.values.get(slug), values.files[slug])


@dataclass(eq=False)
class Cases:
    """Add and change cases, each in one call.

    Memory: the titles of the `REMEMBERED_TITLE_LISTS` parents used last, and the uploads of the `REMEMBERED_CASES`
    cases filled or waited for last, some 500 bytes each.

    Attributes:
        values: Plans and uploads values.
        uploads: The namespace of uploads.
        imports: Shows the imports of other processes.
        recovery: How lost requests are repeated and looked for.
        pending: Returns the values of a case that this client knows to be imported, by socket slug.
    """

    values: ValuePreparer
    uploads: UploadsNamespace
    imports: ImportSessions
    recovery: RecoveryPolicy

    def __post_init__(self) -> None:
        self._titles = lru_cache(REMEMBERED_TITLE_LISTS)(_titles_of)
        self.pending: Callable[[str], dict[str, PendingValue]] = lru_cache(REMEMBERED_CASES)(
            _pending_of
        )

    def run(
        self,
        kind: CaseKind[Case],
        recorder: StepRecorder,
        upload: Callable[[Sequence[Plan]], PreparedValues],
        wait_for_others: Callable[[Sequence[Plan]], bool],
    ) -> CaseRun[Case]:
        """Return the state machine of a case."""
        return CaseRun(kind, recorder, upload, self.uploads, self.recovery, wait_for_others)

    def _wait_for_others(self, plans: Sequence[Plan]) -> bool:
        return self.imports.wait_for_others(plans, lambda: {*self.values.uploads.created})

    def update(
        self,
        kind: CaseKind[Case],
        pk: str,
        *,
        specs: Iterable[SocketValueSpec],
        fields: Mapping[str, Any],
        inspect: InspectMode,
    ) -> Case:
        """Change the given values and fields of a case; the others stay."""
        plans = self.values.plan(specs, Inspection(inspect))
        recorder = MemoryRecorder(self.pending)
        run = self.run(kind, recorder, self.values.upload, self._wait_for_others)
        return run.update(pk, fields, plans)

    def add(
        self,
        find_parent: Callable[[], CaseParent[Case]],
        *,
        specs: Sequence[SocketValueSpec],
        fields: Mapping[str, Any],
        existing: ExistingCase,
        inspect: InspectMode,
    ) -> Case:
        """Create and fill a case, or use the existing one of its title.

        Args:
            find_parent: Returns what the case belongs to.
            specs: Its values.
            fields: Its other fields.
            existing: What to do about a case of its title.
            inspect: What to do about findings in its files.
        """
        title = str(fields.get("title", "")).strip()
        check_choice("existing", existing, ExistingCase)
        if existing != "error" and not title:
            raise SpecError(
                f"existing={existing!r} needs a title, because cases are found by their titles."
            )
        specs = check_specs(specs)
        with Scheduler(1, "gcapi-parent") as scheduler:
            found = scheduler.submit(find_parent)
            plans = self.values.plan(specs, Inspection(inspect))
            parent = result_of(found)
        fields = {name: value for name, value in fields.items() if name != "title"}
        # A new case has been given the last place already where the order is 0.
        new_fields = {name: value for name, value in fields.items() if value}
        if not title:
            new_fields["title"] = ""
        recorder = MemoryRecorder(self.pending)
        run = self.run(parent.kind, recorder, self.values.upload, self._wait_for_others)
        titles = None if existing == "error" else self._titles(parent.pk)
        pk = None if titles is None else titles.find(title, parent)
        if pk is None:
            try:
                # Completing the case needs the same permission to send its files.
                said = {} if inspect == "error" else {"inspect": inspect}
                with _incomplete_on_failure(recorder, parent.kind, specs, {**new_fields, **said}):
                    new_title = title or f"{TEMPORARY_TITLE_PREFIX}{token_hex(16)}"
                    return run.make(parent, new_title, new_fields, plans)
            except TitleTaken:
                pk = None if titles is None else titles.find(title, parent, refresh=True)
                if pk is None:
                    raise
            finally:
                if recorder.created and titles is not None:
                    titles.add(title, recorder.created.pk)
        if existing == "skip":
            return run.complete(pk, new_fields, plans, pending=self.pending(pk))
        return run.update(pk, fields, plans)


def _titles_of(_pk: str) -> _Titles:
    return _Titles()


def _pending_of(_pk: str) -> dict[str, PendingValue]:
    return {}


class _Titles:
    """The pks of the cases of one parent, by title, listed once."""

    def __init__(self) -> None:
        self._pks: dict[str, list[str]] | None = None
        self._lock = Lock()

    def find(self, title: str, parent: CaseParent[Any], *, refresh: bool = False) -> str | None:
        with self._lock:
            if refresh or self._pks is None:
                self._pks = pks_by_title(parent.cases())
            return only_pk(title, self._pks.get(title, ()))

    def add(self, title: str, pk: str) -> None:
        with self._lock:
            if self._pks is not None:
                self._pks[title] = [pk]


@contextmanager
def _incomplete_on_failure(
    recorder: MemoryRecorder,
    kind: CaseKind[Any],
    specs: Sequence[SocketValueSpec],
    fields: Mapping[str, Any],
) -> Generator[None]:
    """Replace a failure of the block after it created a case by `IncompleteCase`, with the call that completes it."""
    try:
        yield
    except BaseException as error:
        if recorder.created is None:
            raise
        pk = recorder.created.pk
        printed = repr(list(specs))
        # A value that was read from the server has no printed form that can be run.
        can_be_run = all(spec.source != "existing_socket_value" for spec in specs)
        values = printed if can_be_run and len(printed) <= MAX_PRINTED_CALL else "values"
        rest = "".join(f", {name}={value!r}" for name, value in fields.items())
        message = (
            f"The {kind.noun} {pk} was created and could not be filled: {str(error) or type(error).__name__}\n"
            "After fixing the problem, complete the case with:\n"
            f"    {kind.update_call}{pk!r}, values={values}{rest})"
        )
        if not isinstance(error, Exception):
            error.add_note(message)
            raise
        raise IncompleteCase(message, pk=pk) from error
