"""The life of a case: created exactly once, filled exactly once, recovered after any failure.

Titles are unique in an archive or reader study unless they are empty, so a case is always created with one: the user's,
or a temporary one that the request which fills the case clears. A creation whose response was lost is repeated: either
the repeat creates the case, or it is refused because the case of that title exists.

The request that fills a case is repeated only after a look at the case. A cleared temporary title, a value that was
sent, or an upload that is gone and cannot have expired, each prove that the request was carried out, because it is one
transaction.

`CaseRun` passes every step to a `StepRecorder` before the next step that depends on it, so that another process can
take over at any point. `Client` records in memory, `gcapi.bulk.push` in its journal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol

from gcapi import models
from gcapi._api.lost_writes import (
    WRITE_ERRORS,
    RecoveryPolicy,
    ambiguous_on_failure,
    is_lost,
    is_refusal_with,
    is_server_error,
    is_unanswered,
)
from gcapi._api.operations import plain
from gcapi._api.titles import title_of
from gcapi._http.urls import same_path
from gcapi._workflows.case_kinds import Case, CaseKind, CaseParent
from gcapi._workflows.plans import Plan
from gcapi._workflows.prepare import PreparedValues, UploadedFiles
from gcapi.exceptions import StatusError, TitleTaken
from gcapi.resources import UploadsNamespace

if TYPE_CHECKING:
    from gcapi._workflows.case_kinds import CaseRead

CaseStep = Literal["uploading", "uploaded", "creating", "created", "filling", "filled"]


# ---------------------------------------------------------------- what is known of a case


@dataclass(frozen=True)
class CaseSnapshot:
    """A case as it was before a change.

    Attributes:
        pk: Its primary key.
        title: Its title.
        order: The order of a display set; `None` for an archive item.
        values: The pks of its values, by socket slug.
    """

    pk: str
    title: str
    order: int | None = None
    values: Mapping[str, int] = field(default_factory=dict[str, int])

    @classmethod
    def of(cls, case: CaseRead) -> CaseSnapshot:
        """Return a snapshot of a case that was read."""
        values = {value.interface.slug: value.pk for value in case.values or () if value.interface}
        return cls(case.pk, title_of(case), getattr(case, "order", None), values)


@dataclass(frozen=True)
class CaseChange:
    """A request that fills or changes a case, and the signs that it was carried out.

    Attributes:
        before: The case before the request.
        fields: The fields beside the values.
        values: The values.
    """

    before: CaseSnapshot
    fields: Mapping[str, Any]
    values: PreparedValues

    @property
    def body(self) -> dict[str, Any]:
        """The body of the request."""
        return {**self.fields, **({"values": self.values.values} if self.values.values else {})}

    def shows_in(self, case: CaseRead) -> bool:
        """Return whether anything in a case is as the request says, and was not before."""
        title = str(self.fields.get("title", self.before.title)).strip()
        if title != self.before.title and title == title_of(case):
            return True
        order = self.fields.get("order")
        # The server replaces 0 by a number of its own.
        now_order = getattr(case, "order", None)
        if order is not None and now_order != self.before.order and order in {0, now_order}:
            return True
        now = {value.interface.slug: value for value in case.values}
        return any(
            self._value_shows(now.get(value["interface"]), plain(value))
            for value in self.values.values
        )

    def _value_shows(
        self, value: models.HyperlinkedComponentInterfaceValue | None, sent: Mapping[str, Any]
    ) -> bool:
        if value is None or value.pk == self.before.values.get(sent["interface"]):
            return False
        if "value" in sent:
            return bool(value.value == sent["value"])
        return "image" in sent and same_path(value.image, sent["image"])


# ---------------------------------------------------------------- recording the steps


class StepRecorder(Protocol):
    """Storage for the steps in the life of one case."""

    def record(
        self, step: CaseStep, case: CaseSnapshot | None = None, values: PreparedValues | None = None
    ) -> None:
        """Record a step before the next one that depends on it.

        Args:
            step: The step. A step in "-ing" is about to be taken; the others are done.
            case: The case before the step, once there is one.
            values: The values that are given to it, where the step is to fill it.
        """
        ...


@dataclass(frozen=True)
class PendingValue:
    """A value that the server imports in the background.

    Attributes:
        before: The pk of the value that the socket had; `None` if it had none.
        files: The uploads that it is made of; empty if they are not known.
    """

    before: int | None = None
    files: UploadedFiles = field(default_factory=UploadedFiles)


# ---------------------------------------------------------------- the state machine


@dataclass(frozen=True)
class CaseRun(Generic[Case]):
    """The state machine of one case.

    Attributes:
        kind: The kind of the case.
        recorder: Records the steps.
        upload: Uploads the files of plans.
        uploads: The namespace of uploads.
        recovery: How lost requests are repeated and looked for.
        wait_for_others: Waits while another process may be giving the files of plans to a case, and returns whether one
            was.
    """

    kind: CaseKind[Case]
    recorder: StepRecorder
    upload: Callable[[Sequence[Plan]], PreparedValues]
    uploads: UploadsNamespace
    recovery: RecoveryPolicy
    wait_for_others: Callable[[Sequence[Plan]], bool]

    def make(
        self,
        parent: CaseParent[Case],
        title: str,
        fields: Mapping[str, Any],
        plans: Sequence[Plan],
        *,
        was_requested: bool = False,
    ) -> Case:
        """Upload the files, create the case, and fill it.

        Args:
            parent: What the case belongs to.
            title: The title that it is created with.
            fields: The other fields, set together with the values.
            plans: The values.
            was_requested: Whether an earlier process may have created the case.

        Raises:
            TitleTaken: Another case has this title.
            AmbiguousWriteError: It is unknown whether it was created or filled.
        """
        values = self._upload(plans)
        self.recorder.record("creating")
        try:
            case = self._create(parent, title)
        except TitleTaken:
            # The server may still have been at it when the titles were listed.
            found: CaseRead | None = parent.find(title) if was_requested else None
            if found is None or found.values:
                raise
            case = self.kind.as_written(found)
        created = CaseSnapshot(case.pk, title, getattr(case, "order", None))
        self.recorder.record("created", created)
        return self._fill(CaseChange(created, fields, values)) or case

    def change(
        self, before: CaseSnapshot, fields: Mapping[str, Any], plans: Sequence[Plan]
    ) -> Case | None:
        """Upload the files, and change a case; return `None` if there was nothing to change."""
        return self._fill(CaseChange(before, fields, self._upload(plans)))

    def update(self, pk: str, fields: Mapping[str, Any], plans: Sequence[Plan]) -> Case:
        """Change the given fields and values of an existing case."""
        case: CaseRead = self.kind.namespace.detail(pk=pk)
        return self.change(CaseSnapshot.of(case), fields, plans) or self.kind.as_written(case)

    def complete(
        self,
        pk: str,
        fields: Mapping[str, Any],
        plans: Sequence[Plan],
        *,
        pending: Iterable[str] = (),
    ) -> Case:
        """Fill what an existing case lacks, and leave what it has.

        Args:
            pk: The case.
            fields: The fields that are set together with the values.
            plans: All values.
            pending: The sockets whose values are being imported.
        """
        case: CaseRead = self.kind.namespace.detail(pk=pk)
        if self.wait_for_others([p for p in plans if p.slug not in CaseSnapshot.of(case).values]):
            case = self.kind.namespace.detail(pk=pk)
        before: CaseSnapshot = CaseSnapshot.of(case)
        present = {*before.values, *pending}
        # The order is set together with the values, so a case that has values has its order too.
        left = {
            name: value
            for name, value in fields.items()
            if not present and getattr(case, name) != value
        }
        missing = [plan for plan in plans if plan.slug not in present]
        return self.change(before, left, missing) or self.kind.as_written(case)

    def finish(
        self,
        before: CaseSnapshot,
        fields: Mapping[str, Any],
        plans: Sequence[Plan],
        sent: PreparedValues | None,
    ) -> None:
        """Fill a case that an earlier process created, unless that process did.

        Args:
            before: The case before it was filled.
            fields: The fields that are set together with the values.
            plans: The values.
            sent: The values of a request that may have been carried out; `None` if none was sent.
        """
        if sent is not None:
            case: CaseRead = self.kind.namespace.detail(pk=before.pk)
            now = CaseSnapshot.of(case).values
            is_new = [now.get(slug) not in {None, before.values.get(slug)} for slug in sent.slugs]
            if (is_new and all(is_new)) or self._shows(CaseChange(before, fields, sent), case):
                self.recorder.record("filled", before)
                return
        self.change(before, fields, plans)

    def _upload(self, plans: Sequence[Plan]) -> PreparedValues:
        self.recorder.record("uploading")
        values = self.upload(plans)
        self.recorder.record("uploaded")
        return values

    # ------------------------------------------------------------ creating

    def _create(self, parent: CaseParent[Case], title: str) -> Case:
        """Create an empty case, exactly once.

        Raises:
            TitleTaken: Another case has this title.
            AmbiguousWriteError: It is unknown whether it was created.
        """

        def create() -> Case:
            try:
                created: Case = self.kind.namespace.create(**parent.fields, title=title)
            except TitleTaken as error:
                raise self._title_taken(title, error) from error
            return created

        def find(error: Exception) -> Case | None:
            found: CaseRead | None = None
            if isinstance(error, TitleTaken) or is_server_error(error):
                # The title is taken, or just being stored. A case that has values is another one.
                found = self.recovery.look_for(lambda: parent.find(title))
                if found is not None and found.values:
                    raise self._title_taken(title, error) from error
            return None if found is None else self.kind.as_written(found)

        return self.recovery.write_once(
            create,
            find,
            f"The response to creating the {self.kind.noun} {title!r} was lost, and it is unknown whether it was"
            " created. Look for it by this title before you add it again.",
        )

    def _title_taken(self, title: str, error: StatusError) -> TitleTaken:
        return TitleTaken(
            f"Another {self.kind.noun} has the title {title!r}; nothing was created. Choose another title, or give"
            f" existing='skip' or 'update'. The server says: {error.words!r}",
            response=error.response,
        )

    # ------------------------------------------------------------ filling

    def _fill(self, change: CaseChange) -> Case | None:
        """Send a change until it is carried out, exactly once.

        Raises:
            AmbiguousWriteError: It is unknown whether it was carried out.
        """
        filled = None
        if change.body:
            self.recorder.record("filling", change.before, change.values)
            try:
                filled = self._patch(change)
            except WRITE_ERRORS as error:
                if not is_lost(error):
                    raise
                filled = self._fill_again(change, error)
        self.recorder.record("filled", change.before, change.values)
        return filled

    def _patch(self, change: CaseChange) -> Case:
        changed: Case = self.kind.namespace.partial_update(change.before.pk, **change.body)
        return changed

    def _fill_again(self, change: CaseChange, lost: Exception) -> Case:
        message = (
            f"The response to changing the {self.kind.noun} {change.before.pk} was lost, and it is unknown whether it"
            " was changed. Look at it before you send the change again."
        )
        for _ in self.recovery.repeats():
            with ambiguous_on_failure(message):
                case = self._if_carried_out(change)
            if case is not None:
                return case
            try:
                return self._patch(change)
            except WRITE_ERRORS as error:
                # If the first request was carried out, a repeat finds its uploads used, or in use.
                is_late = is_server_error(error) or is_refusal_with(error, "Invalid hyperlink")
                if not (is_late or is_unanswered(error)):
                    raise
                lost = error
        with ambiguous_on_failure(message):
            case = self.recovery.look_for(lambda: self._if_carried_out(change))
            if case is None:
                raise lost
        return case

    def _if_carried_out(self, change: CaseChange) -> Case | None:
        case: CaseRead = self.kind.namespace.detail(pk=change.before.pk)
        return self.kind.as_written(case) if self._shows(change, case) else None

    def _shows(self, change: CaseChange, case: CaseRead) -> bool:
        return change.shows_in(case) or change.values.are_used(self.uploads) is True
