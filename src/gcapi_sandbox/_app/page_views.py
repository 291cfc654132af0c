"""What each page shows: plain objects for the templates, read from the store."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from gcapi_sandbox._database.records import (
    Algorithm,
    Answer,
    Archive,
    ArchiveItem,
    DisplaySet,
    Image,
    Interface,
    Job,
    Notification,
    Part,
    Question,
    ReaderStudy,
    Socket,
    Upload,
    UploadSession,
    User,
)
from gcapi_sandbox._http.errors import PageNotFound
from gcapi_sandbox._http.json_types import is_array
from gcapi_sandbox._resources.sockets import kind_of
from gcapi_sandbox._resources.values import values_of
from gcapi_sandbox._socket_kinds.answer_types import BY_CODE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gcapi_sandbox._database.records import Value
    from gcapi_sandbox._database.state import State
    from gcapi_sandbox._database.store import R, Record, Rows, Store

    View = Callable[["Look"], dict[str, Any]]

T = TypeVar("T")
PAGE_SIZE = 50
_FEW = 5  # of each kind on the first page
_LONGEST_TEXT = 300
_JOBS = "kind = 'job'"
_NEWEST = "rowid DESC"


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some rows of a list: page `number` of `last`, of `count` rows in all."""

    rows: list[T]
    number: int
    last: int
    count: int

    def map(self, show: Callable[[T], Any]) -> Page[Any]:
        """Return the same page of what a function makes of its rows."""
        return Page([show(row) for row in self.rows], self.number, self.last, self.count)


@dataclass(frozen=True)
class Shown:
    """A value in its place: JSON or a file name as text, or an image."""

    socket: Socket
    kind: str
    text: str
    image: Image | None


@dataclass(frozen=True)
class Look:
    """One look at the sandbox: its state, the parts of the address, the page asked for."""

    state: State
    parts: dict[str, str]
    number: int

    @property
    def store(self) -> Store:
        """The records."""
        return self.state.store

    def named(self, table: type[R]) -> R:
        """Return the row that the address names by its slug."""
        return self.one(table, "slug = ?", self.parts["slug"])

    def one(self, table: type[R], where: str, *params: Any) -> R:
        """Return the one row for which `where` holds; it may not exist."""
        found = self.store.find(table, where, *params)
        if found is None:
            raise PageNotFound
        return found

    def page(self, rows: Rows[R]) -> Page[R]:
        """Return the page that was asked for, or the last one."""
        count = rows.count()
        last = max(1, -(-count // PAGE_SIZE))
        number = min(max(1, self.number), last)
        return Page(rows.slice(PAGE_SIZE, PAGE_SIZE * (number - 1)), number, last, count)

    def few(self, rows: Rows[R]) -> Page[R]:
        """Return the first rows only."""
        return Page(rows.slice(_FEW, 0), 1, 1, rows.count())

    def values(self, owner: str, role: str = "values") -> list[Shown]:
        """Return the values of a role, images first, then by socket."""
        shown = [self._shown(value) for value in values_of(self.store, owner, role)]
        return sorted(shown, key=lambda one: (one.image is None, one.socket.slug))

    def _shown(self, value: Value) -> Shown:
        socket = self.store.get(Socket, value.socket)
        image = self.store.get(Image, value.image) if value.image else None
        text = value.filename if value.key else json.dumps(value.value, ensure_ascii=False)
        return Shown(socket, kind_of(socket).label, "" if image else shorten(text or ""), image)

    def username(self, pk: int) -> str:
        """Return the name of a user."""
        return self.store.get(User, pk).username

    def count(self, table: type[R], where: str, *params: Any) -> int:
        """Count the rows for which `where` holds."""
        return self.store.rows(table, where, *params).count()


def shorten(text: str) -> str:
    """Return as much of a text as a page has room for."""
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"


# Lists


def _show_archive(look: Look, archive: Archive) -> dict[str, Any]:
    return {"it": archive, "items": look.count(ArchiveItem, "archive = ?", archive.pk)}


def _show_study(look: Look, study: ReaderStudy) -> dict[str, Any]:
    questions = "question IN (SELECT pk FROM Question WHERE reader_study = ?)"
    return {
        "it": study,
        "display_sets": look.count(DisplaySet, "reader_study = ?", study.pk),
        "questions": look.count(Question, "reader_study = ?", study.pk),
        "answers": look.count(Answer, questions, study.pk),
    }


def _show_algorithm(look: Look, algorithm: Algorithm) -> dict[str, Any]:
    jobs = look.count(Job, f"algorithm = ? AND {_JOBS}", algorithm.pk)
    return {"it": algorithm, "jobs": jobs}


def _show_job(look: Look, job: Job) -> dict[str, Any]:
    return {
        "it": job,
        "algorithm": look.store.get(Algorithm, job.algorithm),
        "creator": look.username(job.creator),
    }


def _show_upload(look: Look, upload: Upload) -> dict[str, Any]:
    ((size,),) = look.store.execute(
        "SELECT coalesce(sum(size), 0) FROM Part WHERE upload = ?", upload.pk
    )
    return {
        "it": upload,
        "size": size,
        "parts": look.count(Part, "upload = ?", upload.pk),
        "creator": look.username(upload.creator),
    }


@dataclass(frozen=True)
class _List:
    """One kind of thing, all of which can be listed, the newest first."""

    table: type[Record]
    show: Callable[[Look, Any], dict[str, Any]]
    where: str = "1"

    def few(self, look: Look) -> Page[Any]:
        """Return the first rows."""
        return look.few(self._rows(look)).map(lambda row: self.show(look, row))

    def view(self, look: Look) -> dict[str, Any]:
        """Show the page that was asked for."""
        return {"page": look.page(self._rows(look)).map(lambda row: self.show(look, row))}

    def _rows(self, look: Look) -> Rows[Any]:
        return look.store.rows(self.table, self.where, order=_NEWEST)


_LISTS = {
    "archives": _List(Archive, _show_archive),
    "reader_studies": _List(ReaderStudy, _show_study),
    "algorithms": _List(Algorithm, _show_algorithm),
    "jobs": _List(Job, _show_job, _JOBS),
    "uploads": _List(Upload, _show_upload),
}


def overview(look: Look) -> dict[str, Any]:
    """Show the newest of everything."""
    return {name: listed.few(look) for name, listed in _LISTS.items()}


def uploads(look: Look) -> dict[str, Any]:
    """Show all uploads, and what became of the last ones."""
    sessions = look.store.rows(UploadSession, order=_NEWEST).slice(PAGE_SIZE, 0)
    messages = look.store.rows(Notification, order=_NEWEST).slice(PAGE_SIZE, 0)
    return {
        **_LISTS["uploads"].view(look),
        "sessions": [{"it": one, "creator": look.username(one.creator)} for one in sessions],
        "messages": [{"it": one, "user": look.username(one.user)} for one in messages],
    }


# Single things


def archive(look: Look) -> dict[str, Any]:
    """Show the items of an archive."""
    found = look.named(Archive)
    items = look.page(look.store.rows(ArchiveItem, "archive = ?", found.pk))
    return {
        "archive": found,
        "page": items.map(lambda item: {"it": item, "values": look.values(item.pk)}),
    }


def archive_item(look: Look) -> dict[str, Any]:
    """Show one item of an archive."""
    found = look.named(Archive)
    item = look.one(ArchiveItem, "pk = ? AND archive = ?", look.parts["pk"], found.pk)
    return {"archive": found, "item": item, "values": look.values(item.pk)}


def _questions(look: Look, study: ReaderStudy) -> Rows[Question]:
    return look.store.rows(Question, "reader_study = ?", study.pk, order='"order", created')


def _show_question(look: Look, question: Question) -> dict[str, Any]:
    return {
        "it": question,
        "type": BY_CODE[question.answer_type].label,
        "options": ", ".join(option["title"] for option in question.options),
        "answers": look.count(Answer, "question = ?", question.pk),
    }


def _show_display_set(look: Look, display_set: DisplaySet) -> dict[str, Any]:
    return {
        "it": display_set,
        "values": look.values(display_set.pk),
        "answers": look.count(Answer, "display_set = ?", display_set.pk),
    }


def reader_study(look: Look) -> dict[str, Any]:
    """Show the questions and the display sets of a reader study."""
    study = look.named(ReaderStudy)
    rows = look.store.rows(
        DisplaySet, "reader_study = ?", study.pk, order='"order", created, rowid'
    )
    return {
        "study": study,
        "questions": [_show_question(look, one) for one in _questions(look, study)],
        "page": look.page(rows).map(lambda row: _show_display_set(look, row)),
    }


def display_set(look: Look) -> dict[str, Any]:
    """Show one display set and the answers to it."""
    study = look.named(ReaderStudy)
    found = look.one(DisplaySet, "pk = ? AND reader_study = ?", look.parts["pk"], study.pk)
    questions = {question.pk: question for question in _questions(look, study)}
    answers = look.store.rows(Answer, "display_set = ?", found.pk)
    return {
        "study": study,
        "display_set": found,
        "values": look.values(found.pk),
        "page": look.page(answers).map(
            lambda answer: _show_answer(look, answer, questions[answer.question])
        ),
    }


def _show_answer(look: Look, answer: Answer, question: Question) -> dict[str, Any]:
    image = look.store.get(Image, answer.answer_image) if answer.answer_image else None
    return {
        "it": answer,
        "question": question,
        "creator": look.username(answer.creator),
        "text": answer_text(question, answer),
        "image": image,
    }


def answer_text(question: Question, answer: Answer) -> str:
    """Return an answer in words: titles of options, texts as they are, all else as JSON."""
    titles = {option["id"]: option["title"] for option in question.options}
    given = answer.answer
    if titles:
        chosen = given if is_array(given) else [given]
        return ", ".join(str(titles.get(one, one)) for one in chosen)
    return shorten(given if isinstance(given, str) else json.dumps(given, ensure_ascii=False))


def algorithm(look: Look) -> dict[str, Any]:
    """Show the interfaces and the jobs of an algorithm."""
    found = look.named(Algorithm)
    rows = look.store.rows(Job, f"algorithm = ? AND {_JOBS}", found.pk, order=_NEWEST)
    interfaces = look.store.rows(Interface, "algorithm = ?", found.pk)
    return {
        "algorithm": found,
        "interfaces": [
            {"inputs": _sockets(look, one.inputs), "outputs": _sockets(look, one.outputs)}
            for one in interfaces
        ],
        "page": look.page(rows).map(lambda job: _show_job(look, job)),
    }


def _sockets(look: Look, pks: Iterable[int]) -> list[Socket]:
    return [look.store.get(Socket, pk) for pk in pks]


def job(look: Look) -> dict[str, Any]:
    """Show one job with its inputs and outputs."""
    found = look.named(Algorithm)
    where = f"pk = ? AND algorithm = ? AND {_JOBS}"
    wanted = look.one(Job, where, look.parts["pk"], found.pk)
    return {
        **_show_job(look, wanted),
        "inputs": look.values(wanted.pk, "inputs"),
        "outputs": look.values(wanted.pk, "outputs"),
    }


# The address, which is the platform's where there is one, the template, and what it shows.
_VIEWS: tuple[tuple[str, str, View], ...] = (
    ("/", "overview", overview),
    ("/archives/", "archives", _LISTS["archives"].view),
    ("/archives/{slug}/", "archive", archive),
    ("/archives/{slug}/items/{pk}/", "archive_item", archive_item),
    ("/reader-studies/", "reader_studies", _LISTS["reader_studies"].view),
    ("/reader-studies/{slug}/", "reader_study", reader_study),
    ("/reader-studies/{slug}/display-sets/{pk}/", "display_set", display_set),
    ("/algorithms/", "algorithms", _LISTS["algorithms"].view),
    ("/algorithms/{slug}/", "algorithm", algorithm),
    ("/algorithms/{slug}/jobs/{pk}/", "job", job),
    ("/jobs/", "jobs", _LISTS["jobs"].view),
    ("/uploads/", "uploads", uploads),
)


@dataclass(frozen=True)
class Found:
    """What an address leads to: a template, what it shows, and the parts of the address."""

    template: str
    view: View
    parts: dict[str, str]


_PATTERNS = tuple(
    (re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path)), template, view)
    for path, template, view in _VIEWS
)


def find(path: str) -> Found | None:
    """Return what an address leads to, `None` if it is no page's."""
    for pattern, template, view in _PATTERNS:
        if matched := pattern.fullmatch(path):
            return Found(template, view, matched.groupdict())
    return None
