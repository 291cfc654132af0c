"""The content of each page: a path, a template, and the variables of the template."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gcapi_sandbox._app.pages.answering import SIMPLE_TYPES, answers_of, readers_of
from gcapi_sandbox._app.pages.context import PAGE_SIZE, Page, ViewContext, shorten
from gcapi_sandbox._database.records import (
    Algorithm,
    Answer,
    Archive,
    ArchiveItem,
    Attachment,
    DisplaySet,
    Image,
    ImageFile,
    Interface,
    Job,
    Notification,
    Part,
    Question,
    ReaderStudy,
    Socket,
    Upload,
    UploadSession,
)
from gcapi_sandbox._socket_kinds.answer_types import ANSWER_TYPES_BY_CODE
from gcapi_sandbox._util.json_types import is_array

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gcapi_sandbox._database.store import Record, Rows

    View = Callable[[ViewContext], dict[str, Any]]

_JOBS = "kind = 'job'"
_NEWEST = "rowid DESC"


# Lists


def _show_archive(context: ViewContext, archive: Archive) -> dict[str, Any]:
    return {"record": archive, "items": context.count(ArchiveItem, "archive = ?", archive.pk)}


def _show_study(context: ViewContext, study: ReaderStudy) -> dict[str, Any]:
    questions = "question IN (SELECT pk FROM Question WHERE reader_study = ?)"
    return {
        "record": study,
        "display_sets": context.count(DisplaySet, "reader_study = ?", study.pk),
        "questions": context.count(Question, "reader_study = ?", study.pk),
        "answers": context.count(Answer, questions, study.pk),
    }


def _show_algorithm(context: ViewContext, algorithm: Algorithm) -> dict[str, Any]:
    jobs = context.count(Job, f"algorithm = ? AND {_JOBS}", algorithm.pk)
    return {"record": algorithm, "jobs": jobs}


def _show_job(context: ViewContext, job: Job) -> dict[str, Any]:
    return {
        "record": job,
        "algorithm": context.store.get(Algorithm, job.algorithm),
        "creator": context.username(job.creator),
    }


def _show_upload(context: ViewContext, upload: Upload) -> dict[str, Any]:
    ((size,),) = context.store.execute(
        "SELECT coalesce(sum(size), 0) FROM Part WHERE upload = ?", upload.pk
    )
    return {
        "record": upload,
        "size": size,
        "parts": context.count(Part, "upload = ?", upload.pk),
        "creator": context.username(upload.creator),
    }


@dataclass(frozen=True)
class _Listing:
    """A list of all records of a table, newest first."""

    table: type[Record]
    show: Callable[[ViewContext, Any], dict[str, Any]]
    where: str = "1"

    def first_rows(self, context: ViewContext) -> Page[Any]:
        """Return the newest rows."""
        return context.first_rows(self._rows(context)).map(lambda row: self.show(context, row))

    def view(self, context: ViewContext) -> dict[str, Any]:
        """Show the requested page."""
        return {"page": context.page(self._rows(context)).map(lambda row: self.show(context, row))}

    def _rows(self, context: ViewContext) -> Rows[Any]:
        return context.store.rows(self.table, self.where, order=_NEWEST)


_LISTINGS = {
    "archives": _Listing(Archive, _show_archive),
    "reader_studies": _Listing(ReaderStudy, _show_study),
    "algorithms": _Listing(Algorithm, _show_algorithm),
    "jobs": _Listing(Job, _show_job, _JOBS),
    "uploads": _Listing(Upload, _show_upload),
}


def overview(context: ViewContext) -> dict[str, Any]:
    """Show the newest records of each table."""
    return {name: listed.first_rows(context) for name, listed in _LISTINGS.items()}


def uploads(context: ViewContext) -> dict[str, Any]:
    """Show all uploads, the latest imports and the latest messages."""
    sessions = context.store.rows(UploadSession, order=_NEWEST).slice(PAGE_SIZE, 0)
    messages = context.store.rows(Notification, order=_NEWEST).slice(PAGE_SIZE, 0)
    return {
        **_LISTINGS["uploads"].view(context),
        "sessions": [_show_session(context, one) for one in sessions],
        "messages": [{"record": one, "user": context.username(one.user)} for one in messages],
    }


def _show_session(context: ViewContext, session: UploadSession) -> dict[str, Any]:
    """Show an import with the names of its files, which are kept when its uploads are deleted."""
    uploads = (context.store.find(Upload, "pk = ?", pk) for pk in session.uploads)
    names = [upload.filename for upload in uploads if upload is not None]
    return {
        "record": session,
        "creator": context.username(session.creator),
        "files": shorten(", ".join(names or session.target.get("filenames", []))),
        "case": context.case(session.target.get("owner") or ""),
    }


# Single records


def archive(context: ViewContext) -> dict[str, Any]:
    """Show the items of an archive."""
    found = context.by_slug(Archive)
    items = context.page(context.store.rows(ArchiveItem, "archive = ?", found.pk))
    return {
        "archive": found,
        "page": items.map(lambda item: {"record": item, "values": context.values(item.pk)}),
    }


def archive_item(context: ViewContext) -> dict[str, Any]:
    """Show one item of an archive."""
    found = context.by_slug(Archive)
    item = context.one(ArchiveItem, "pk = ? AND archive = ?", context.params["pk"], found.pk)
    return {"archive": found, "item": item, "values": context.values(item.pk)}


def _questions(context: ViewContext, study: ReaderStudy) -> Rows[Question]:
    return context.store.rows(Question, "reader_study = ?", study.pk, order='"order", created')


def _show_question(context: ViewContext, question: Question) -> dict[str, Any]:
    return {
        "record": question,
        "type": ANSWER_TYPES_BY_CODE[question.answer_type].label,
        "options": ", ".join(option["title"] for option in question.options),
        "answers": context.count(Answer, "question = ?", question.pk),
    }


def _show_display_set(context: ViewContext, display_set: DisplaySet) -> dict[str, Any]:
    return {
        "record": display_set,
        "values": context.values(display_set.pk),
        "answers": context.count(Answer, "display_set = ?", display_set.pk),
    }


def reader_study(context: ViewContext) -> dict[str, Any]:
    """Show the questions and the display sets of a reader study."""
    study = context.by_slug(ReaderStudy)
    rows = context.store.rows(
        DisplaySet, "reader_study = ?", study.pk, order='"order", created, rowid'
    )
    return {
        "study": study,
        "questions": [_show_question(context, one) for one in _questions(context, study)],
        "page": context.page(rows).map(lambda row: _show_display_set(context, row)),
    }


def display_set(context: ViewContext) -> dict[str, Any]:
    """Show one display set and the answers to it."""
    study = context.by_slug(ReaderStudy)
    found = context.one(DisplaySet, "pk = ? AND reader_study = ?", context.params["pk"], study.pk)
    questions = {question.pk: question for question in _questions(context, study)}
    answers = context.store.rows(Answer, "display_set = ?", found.pk)
    readers = readers_of(context.store, study.pk)
    names = [reader.username for reader in readers]
    wanted = context.query.get("reader", "")
    reader = readers[names.index(wanted)] if wanted in names else next(iter(readers), None)
    own = answers_of(context.store, found.pk, reader.pk) if reader else {}
    after = context.store.rows(
        DisplaySet,
        'reader_study = ? AND ("order", created, pk) > (?, ?, ?)',
        study.pk,
        found.order,
        found.created,
        found.pk,
        order='"order", created, pk',
    ).slice(1, 0)
    return {
        "study": study,
        "display_set": found,
        "values": context.values(found.pk),
        "readers": names,
        "reader": reader.username if reader else "",
        "form": [
            {
                "record": one,
                "is_simple": one.answer_type in SIMPLE_TYPES,
                "answer": own[pk].answer if pk in own else None,
            }
            for pk, one in questions.items()
            if one.answer_type != "HEAD"
        ],
        "next": context.case(after[0].pk) if after else None,
        "page": context.page(answers).map(
            lambda answer: _show_answer(context, answer, questions[answer.question])
        ),
    }


def _show_answer(context: ViewContext, answer: Answer, question: Question) -> dict[str, Any]:
    image = context.store.get(Image, answer.answer_image) if answer.answer_image else None
    return {
        "record": answer,
        "question": question,
        "creator": context.username(answer.creator),
        "text": answer_text(question, answer),
        "image": image,
    }


def answer_text(question: Question, answer: Answer) -> str:
    """Return an answer as text: the titles of options, text unchanged, anything else as JSON."""
    titles = {option["id"]: option["title"] for option in question.options}
    given = answer.answer
    if titles:
        chosen = given if is_array(given) else [given]
        return ", ".join(str(titles.get(one, one)) for one in chosen)
    return shorten(given if isinstance(given, str) else json.dumps(given, ensure_ascii=False))


def image(context: ViewContext) -> dict[str, Any]:
    """Show one slice of an image, and its files."""
    found = context.one(Image, "pk = ?", context.params["pk"])
    counts = context.slices.counts(found.pk)
    axis = context.query.get("axis", "")
    axis = axis if axis in counts else next(iter(counts), "")
    wanted = context.query.get("slice", "")
    last = counts.get(axis, 1) - 1
    owners = context.store.rows(
        Attachment, "value IN (SELECT pk FROM Value WHERE image = ?)", found.pk
    ).slice(1, 0)
    case = context.case(owners[0].owner) if owners else None
    return {
        "image": found,
        "counts": counts,
        "axis": axis,
        "index": min(int(wanted), last) if re.fullmatch("[0-9]{1,6}", wanted) else (last + 1) // 2,
        "files": list(context.store.rows(ImageFile, "image = ?", found.pk)),
        "cases": [case] if case else [],
    }


def algorithm(context: ViewContext) -> dict[str, Any]:
    """Show the interfaces and the jobs of an algorithm."""
    found = context.by_slug(Algorithm)
    rows = context.store.rows(Job, f"algorithm = ? AND {_JOBS}", found.pk, order=_NEWEST)
    interfaces = context.store.rows(Interface, "algorithm = ?", found.pk)
    return {
        "algorithm": found,
        "interfaces": [
            {"inputs": _sockets(context, one.inputs), "outputs": _sockets(context, one.outputs)}
            for one in interfaces
        ],
        "page": context.page(rows).map(lambda job: _show_job(context, job)),
    }


def _sockets(context: ViewContext, pks: Iterable[int]) -> list[Socket]:
    return [context.store.get(Socket, pk) for pk in pks]


def job(context: ViewContext) -> dict[str, Any]:
    """Show one job with its inputs and outputs."""
    found = context.by_slug(Algorithm)
    where = f"pk = ? AND algorithm = ? AND {_JOBS}"
    wanted = context.one(Job, where, context.params["pk"], found.pk)
    return {
        **_show_job(context, wanted),
        "inputs": context.values(wanted.pk, "inputs"),
        "outputs": context.values(wanted.pk, "outputs"),
    }


# The path, which is that of the real server where it has this page, the template and the view.
_VIEWS: tuple[tuple[str, str, View], ...] = (
    ("/", "overview", overview),
    ("/archives/", "archives", _LISTINGS["archives"].view),
    ("/archives/{slug}/", "archive", archive),
    ("/archives/{slug}/items/{pk}/", "archive_item", archive_item),
    ("/reader-studies/", "reader_studies", _LISTINGS["reader_studies"].view),
    ("/reader-studies/{slug}/", "reader_study", reader_study),
    ("/reader-studies/{slug}/display-sets/{pk}/", "display_set", display_set),
    ("/algorithms/", "algorithms", _LISTINGS["algorithms"].view),
    ("/algorithms/{slug}/", "algorithm", algorithm),
    ("/algorithms/{slug}/jobs/{pk}/", "job", job),
    ("/images/{pk}/", "image", image),
    ("/jobs/", "jobs", _LISTINGS["jobs"].view),
    ("/uploads/", "uploads", uploads),
)


@dataclass(frozen=True)
class PageMatch:
    """The template, the view and the parameters of a path."""

    template: str
    view: View
    params: dict[str, str]


_PATTERNS = tuple(
    (re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path)), template, view)
    for path, template, view in _VIEWS
)


def match_page(path: str) -> PageMatch | None:
    """Return the page with a path, or None."""
    for pattern, template, view in _PATTERNS:
        if matched := pattern.fullmatch(path):
            return PageMatch(template, view, matched.groupdict())
    return None
