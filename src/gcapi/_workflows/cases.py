"""Cases, each made exactly once and filled: archive items and display sets.

Titles are unique in an archive or reader study when they are not empty, so a case is always created under one: the
user's, or a temporary one that the request which fills the case clears. When the answer to the creation is lost, the
same request is sent again: either it is the first, or it is refused, and then the case of that title is the one.

The request that fills a case is not sent again before a look at the case: the temporary title gone, a value of ours
there, or an upload of ours used up, each mean that it was carried out, since all of it happens in one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import unescape
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar
from uuid import uuid4

from gcapi._api.lost_writes import (
    WRITE_ERRORS,
    RecoveryPolicy,
    ambiguous_on_failure,
    as_written,
    is_lost,
    is_refusal_with,
    is_server_error,
    is_unanswered,
)
from gcapi._api.operations import plain
from gcapi._http.urls import same_path
from gcapi._util.fork_safety import Lock
from gcapi._workflows.checks import check_specs
from gcapi.exceptions import (
    IncompleteCase,
    SpecError,
    StatusError,
    TitleTaken,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from gcapi import models
    from gcapi._workflows.prepare import Pending, Posted, Submit
    from gcapi._workflows.slug_lookup import Lookup
    from gcapi.resources import ArchiveItems, ReaderStudies, UploadsNamespace
    from gcapi.sockets import SocketValueSpec

Case = TypeVar("Case", "models.ArchiveItemPost", "models.DisplaySetPost")

#: What to do about a case of the title that is there: refuse, take it and fill what is missing, or change it.
ExistingCase = Literal["error", "skip", "update"]
#: What the title of a case that is not filled yet begins with.
TEMPORARY = "gcapi-incomplete-"
#: How long a printed call may be before its values are left out, in characters.
CALL_LIMIT = 2000


@dataclass(frozen=True)
class Parent:
    """What a case belongs to.

    Attributes:
        pk: The archive or the reader study.
        fields: How a new case refers to it.
    """

    pk: str
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class CaseKind(Generic[Case]):
    """What differs between archive items and display sets.

    Attributes:
        namespace: Where they are created and changed.
        written: Makes what a write is answered with, from JSON data.
        noun: What a message calls one.
        parent_filter: The filter that lists the cases of one parent.
        update_call: How the call that changes one begins; its pk follows.
        newest_last: Whether a new case stands at the end of the list.
        reference: Returns what a write is answered with for the parent, given what a case has when it is read.
    """

    namespace: Any
    written: Callable[[Mapping[str, Any]], Case]
    noun: str
    parent_filter: str
    update_call: str
    newest_last: bool
    reference: Callable[[Any], Mapping[str, Any]]

    def all_of(self, parent: Parent) -> Iterator[Any]:
        """Yield the cases of a parent, those first among which a new one is."""
        params = {self.parent_filter: parent.pk}
        if self.newest_last:
            yield from self._from_the_end(params)
        else:
            yield from self.namespace.iterate_all(params)

    def _from_the_end(self, params: Mapping[str, Any]) -> Iterator[Any]:
        end = self.namespace.count(params)
        while end > 0:
            start = max(0, end - 100)
            yield from reversed(self.namespace.page(start, end - start, params))
            end = start

    def titled(self, parent: Parent, title: str) -> Any:
        """Return the case of a title, or `None`; the API has no filter for it."""
        return next((case for case in self.all_of(parent) if title_of(case) == title), None)

    def as_written(self, case: Any) -> Case:
        """Return a case that was read in the form that a write is answered with."""
        fields = case.to_dict()
        values = as_written(fields["values"])
        return self.written(
            {**fields, **self.reference(case), "title": title_of(case), "values": values}
        )


def archive_items(namespace: ArchiveItems) -> CaseKind[models.ArchiveItemPost]:
    """Return what is particular to archive items."""
    from gcapi.models import ArchiveItemPost

    return CaseKind(
        namespace,
        ArchiveItemPost.from_dict,
        noun="archive item",
        parent_filter="archive",
        update_call="client.update_archive_item(archive_item_pk=",
        newest_last=False,
        reference=lambda _: {},
    )


def display_sets(studies: ReaderStudies) -> CaseKind[models.DisplaySetPost]:
    """Return what is particular to display sets."""
    from gcapi.models import DisplaySetPost

    return CaseKind(
        studies.display_sets,
        DisplaySetPost.from_dict,
        noun="display set",
        parent_filter="reader_study",
        update_call="client.update_display_set(display_set_pk=",
        newest_last=True,
        reference=lambda case: {"reader_study": studies.detail(api_url=case.reader_study).slug},
    )


def archive_parent(lookup: Lookup, slug: str) -> Parent:
    """Return an archive as the parent of cases."""
    archive = lookup.archives.get(slug)
    return Parent(archive.pk, {"archive": archive.api_url})


def reader_study_parent(lookup: Lookup, slug: str) -> Parent:
    """Return a reader study as the parent of cases."""
    study = lookup.reader_studies.get(slug)
    return Parent(study.pk, {"reader_study": study.slug})


def title_of(case: Any) -> str:
    """Return the title of a case as it was given; newer servers show those of display sets in HTML only."""
    return case.title if isinstance(case.title, str) else unescape(case.title_safe)


@dataclass(frozen=True)
class Change:
    """A request that fills or changes a case, and what it would be known by.

    Attributes:
        fields: The request's fields.
        posted: The values among them.
        former: The case as it was before.
    """

    fields: Mapping[str, Any]
    posted: Posted
    former: Any

    @property
    def before(self) -> dict[str, int]:
        """The pks of the values that the case had, by socket slug."""
        return {value.interface.slug: value.pk for value in self.former.values}

    def shows_in(self, case: Any) -> bool:
        """Tell whether a case shows that the request was carried out: something is as it says, and was not before."""
        before = self.before
        now = {value.interface.slug: value for value in case.values}
        return (
            self._title_shows(case)
            or self._order_shows(case)
            or any(
                _is_new(now.get(value["interface"]), plain(value), before)
                for value in self.posted.values
            )
        )

    def _title_shows(self, case: Any) -> bool:
        former = title_of(self.former)
        title = str(self.fields.get("title", former)).strip()
        return title != former and title == title_of(case)

    def _order_shows(self, case: Any) -> bool:
        if "order" not in self.fields or case.order == self.former.order:
            return False
        # The server replaces 0 by a number of its own.
        return not self.fields["order"] or bool(case.order == self.fields["order"])


def _is_new(value: Any, posted: Mapping[str, Any], before: Mapping[str, int]) -> bool:
    """Tell whether a value is the one that was posted, and the socket had another."""
    if value is None or value.pk == before.get(posted["interface"]):
        return False
    if "value" in posted:
        return bool(value.value == posted["value"])
    return "image" in posted and same_path(value.image, posted["image"])


class Cases:
    """Make and change cases.

    Args:
        submit: Plans and uploads values.
        uploads: Where it shows whether an upload was used.
        recovery: How long a lost write is looked for.
    """

    def __init__(self, submit: Submit, uploads: UploadsNamespace, recovery: RecoveryPolicy) -> None:
        self._submit = submit
        self._uploads = uploads
        self._recovery = recovery
        self._titles: dict[str, dict[str, str]] = {}
        self._titles_lock = Lock()
        #: What each case that this client filled still waits for, by its pk and the socket's slug.
        self.pending: dict[str, dict[str, Pending]] = {}

    # ------------------------------------------------------------ adding

    def add(
        self,
        kind: CaseKind[Case],
        *,
        parent: Callable[[], Parent],
        specs: Sequence[SocketValueSpec],
        fields: Mapping[str, Any],
        existing: ExistingCase,
    ) -> Case:
        """Create a case and fill it; or take the one of its title that is there.

        Args:
            kind: Archive item or display set.
            parent: Looks up what the case belongs to.
            specs: Its values; may be empty.
            fields: Its other fields.
            existing: What to do about a case of its title.
        """
        specs = check_specs(specs)
        title = str(fields.get("title", "")).strip()
        _check_existing(existing, title)
        plans = self._submit.plan(specs)
        belongs = parent()
        if existing != "error":
            pk = self._titles_of(kind, belongs).get(title)
            if pk is not None:
                return self._take(kind, pk, specs=specs, fields=fields, existing=existing)
        posted = self._submit.post(plans)
        try:
            case = self.create(kind, belongs, title or f"{TEMPORARY}{uuid4()}")
        except TitleTaken:
            if existing == "error":
                raise
            pk = self._titles_of(kind, belongs, anew=True).get(title)
            if pk is None:
                raise
            return self._take(kind, pk, specs=specs, fields=fields, existing=existing)
        self._remember(belongs, title, case.pk)
        rest = _rest(fields)
        if not title:
            rest["title"] = ""
        if posted.values:
            rest["values"] = posted.values
        return self._fill(kind, case.pk, specs, Change(rest, posted, case)) if rest else case

    def _take(
        self,
        kind: CaseKind[Case],
        pk: str,
        *,
        specs: Sequence[SocketValueSpec],
        fields: Mapping[str, Any],
        existing: ExistingCase,
    ) -> Case:
        """Return the case that is there: filled if something is missing, or changed."""
        if existing == "update":
            return self.update(kind, pk, specs=specs, fields=fields)
        case = kind.namespace.detail(pk=pk)
        there = {value.interface.slug for value in case.values} | self.pending.get(pk, {}).keys()
        missing = [spec for spec in specs if spec.socket_slug not in there]
        # Its place is set together with its values, so a case that has some has its place too.
        rest = {} if there else _rest(fields)
        if not missing and all(getattr(case, name) == value for name, value in rest.items()):
            return kind.as_written(case)
        return self.update(kind, pk, specs=missing, fields=rest)

    def create(self, kind: CaseKind[Case], parent: Parent, title: str) -> Case:
        """Create an empty case, exactly one.

        Raises:
            TitleTaken: There is one of its title already.
            AmbiguousWriteError: Nothing tells whether it was created.
        """
        try:
            return self._send_creation(kind, parent, title)
        except WRITE_ERRORS as error:
            if isinstance(error, TitleTaken):
                raise _taken(kind, title, error) from error
            if not is_lost(error):
                raise
            lost = error
        with ambiguous_on_failure(
            f"The answer to creating the {kind.noun} {title!r} was lost, and nothing tells whether it was made. Look"
            " for it by this title before you add it again."
        ):
            return self._create_again(kind, parent, title, lost)

    def _send_creation(self, kind: CaseKind[Case], parent: Parent, title: str) -> Case:
        created: Case = kind.namespace.create(**parent.fields, title=title)
        return created

    def _create_again(
        self, kind: CaseKind[Case], parent: Parent, title: str, lost: Exception
    ) -> Case:
        """Repeat a lost creation: where the title is taken, or is just being stored, the case of that title is ours.

        Raises:
            TitleTaken: The case of this title has values: it is not the new one.
        """
        for _ in self._recovery.repeats():
            try:
                return self._send_creation(kind, parent, title)
            except WRITE_ERRORS as error:
                lost = error
            if isinstance(lost, StatusError) and _is_of_a_repeat(lost):
                found = self._recovery.look_for(lambda: kind.titled(parent, title))
                if found is not None and found.values:
                    raise _taken(kind, title, lost) from lost
                if found is not None:
                    return kind.as_written(found)
            if not (is_unanswered(lost) or is_server_error(lost)):
                break
        raise lost

    # ------------------------------------------------------------ filling and changing

    def _fill(
        self, kind: CaseKind[Case], pk: str, specs: Sequence[SocketValueSpec], change: Change
    ) -> Case:
        try:
            filled = self.send(kind, pk, change)
        except BaseException as error:
            words = _incomplete(kind, pk, specs, change.fields, error)
            if not isinstance(error, Exception):
                error.add_note(words)
                raise
            raise IncompleteCase(words, pk=pk) from error
        self.pending[pk] = change.posted.pending({})
        return filled

    def update(
        self,
        kind: CaseKind[Case],
        pk: str,
        *,
        specs: Sequence[SocketValueSpec],
        fields: Mapping[str, Any],
    ) -> Case:
        """Change the given values and fields of a case; the others stay."""
        specs = check_specs(specs)
        plans = self._submit.plan(specs)
        case = kind.namespace.detail(pk=pk)
        posted = self._submit.post(plans)
        change = Change({**fields, "values": posted.values}, posted, case)
        changed = self.send(kind, pk, change)
        noted = self.pending.setdefault(pk, {})
        for spec in specs:
            # What an earlier call uploaded to this socket is no longer waited for.
            noted.pop(spec.socket_slug, None)
        noted.update(posted.pending(change.before))
        return changed

    def send(self, kind: CaseKind[Case], pk: str, change: Change) -> Case:
        """Send a change until it is carried out, once.

        Raises:
            AmbiguousWriteError: Nothing tells whether it was.
        """
        try:
            return self._send_change(kind, pk, change)
        except WRITE_ERRORS as error:
            if not is_lost(error):
                raise
            lost = error
        words = (
            f"The answer to changing the {kind.noun} {pk} was lost, and nothing tells whether it was changed. Look at"
            " it before you send the change again."
        )
        for _ in self._recovery.repeats():
            with ambiguous_on_failure(words):
                case = self.if_carried_out(kind, pk, change)
            if case is not None:
                return case
            try:
                return self._send_change(kind, pk, change)
            except WRITE_ERRORS as error:
                # A repeat finds its uploads used up, or being used, if the first one was carried out.
                is_late = is_server_error(error) or is_refusal_with(error, "Invalid hyperlink")
                if not (is_late or is_unanswered(error)):
                    raise
                lost = error
        with ambiguous_on_failure(words):
            case = self._recovery.look_for(lambda: self.if_carried_out(kind, pk, change))
            if case is None:
                raise lost
        return case

    def _send_change(self, kind: CaseKind[Case], pk: str, change: Change) -> Case:
        changed: Case = kind.namespace.partial_update(pk, **change.fields)
        return changed

    def if_carried_out(self, kind: CaseKind[Case], pk: str, change: Change) -> Case | None:
        """Return the case if it shows that a change was carried out; else `None`."""
        case = kind.namespace.detail(pk=pk)
        if change.shows_in(case) or change.posted.is_used(self._uploads):
            return kind.as_written(case)
        return None

    # ------------------------------------------------------------ titles

    def _titles_of(
        self, kind: CaseKind[Case], parent: Parent, *, anew: bool = False
    ) -> Mapping[str, str]:
        """Return the pks of a parent's cases by their titles, listed once for this client."""
        with self._titles_lock:
            if anew or parent.pk not in self._titles:
                self._titles[parent.pk] = {
                    title_of(case): case.pk for case in kind.all_of(parent) if title_of(case)
                }
            return self._titles[parent.pk]

    def _remember(self, parent: Parent, title: str, pk: str) -> None:
        with self._titles_lock:
            if title and parent.pk in self._titles:
                self._titles[parent.pk][title] = pk


def _check_existing(existing: str, title: str) -> None:
    if existing not in {"error", "skip", "update"}:
        raise ValueError(f"existing={existing!r} must be 'error', 'skip' or 'update'.")
    if existing != "error" and not title:
        raise SpecError(
            f"existing={existing!r} needs a title: without one, no case can be told from another."
        )


def _is_of_a_repeat(error: StatusError) -> bool:
    """Tell whether a repeated creation is refused as it is when the first was carried out, or is being."""
    return isinstance(error, TitleTaken) or is_server_error(error)


def _rest(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is left to be set once a case has its title; instead of 0 the server has numbered it already."""
    return {name: value for name, value in fields.items() if name != "title" and value}


def _taken(kind: CaseKind[Any], title: str, error: StatusError) -> TitleTaken:
    return TitleTaken(
        f"There is {'an' if kind.noun[0] in 'aeiou' else 'a'} {kind.noun} {title!r} already; nothing was made."
        f" Choose another title, or say existing='skip' or 'update'. The server says: {error.words}",
        response=error.response,
    )


def _incomplete(
    kind: CaseKind[Any],
    pk: str,
    specs: Sequence[SocketValueSpec],
    fields: Mapping[str, Any],
    error: BaseException,
) -> str:
    shown = repr(list(specs))
    # What was read from the server has no printed form that can be run.
    can_be_run = all(spec.source != "existing_socket_value" for spec in specs)
    values = shown if can_be_run and len(shown) <= CALL_LIMIT else "values"
    rest = "".join(f", {name}={value!r}" for name, value in fields.items() if name != "values")
    return (
        f"The {kind.noun} {pk} was created and could not be filled: {str(error) or type(error).__name__}\n"
        "Once that is mended, this completes it:\n"
        f"    {kind.update_call}{pk!r}, values={values}{rest})"
    )
