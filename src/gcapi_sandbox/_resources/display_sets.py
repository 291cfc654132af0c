"""Display sets of reader studies."""

# ruff: noqa: S608  # the conditions are constants and whole numbers, values are bound

from __future__ import annotations

from typing import TYPE_CHECKING

from gcapi_sandbox._database.records import Answer, DisplaySet, ReaderStudy, User
from gcapi_sandbox._http.calls import Call, Reply
from gcapi_sandbox._http.errors import BadRequestError, ForbiddenError, ServerError
from gcapi_sandbox._http.fields import integer, slug_related
from gcapi_sandbox._http.filters import apply_filters, boolean_or_none, related
from gcapi_sandbox._http.operations import operation
from gcapi_sandbox._http.pagination import paginate
from gcapi_sandbox._http.permissions import has_role, rows_with_role
from gcapi_sandbox._resources.case_titles import check_unique, title
from gcapi_sandbox._resources.reader_studies import safe_text
from gcapi_sandbox._socket_values.posted_values import (
    apply_values,
    detach_other_values,
    optional_values,
)
from gcapi_sandbox._socket_values.rendering import render_values, render_written_values

if TYPE_CHECKING:
    from gcapi_sandbox._database.store import Rows
    from gcapi_sandbox._util.json_types import Json

_MAX_ORDER = 2_147_483_647
_order = integer(0, _MAX_ORDER)
_PRECEDES = 'reader_study = ? AND ("order", created, rowid) < (?, ?, (SELECT rowid FROM DisplaySet WHERE pk = ?))'
_IS_UNANSWERED = """
    EXISTS (
        SELECT 1 FROM Question q
        WHERE q.reader_study = DisplaySet.reader_study AND q.answer_type != 'HEAD'
        AND NOT EXISTS (
            SELECT 1 FROM Answer a
            WHERE a.question = q.pk AND a.display_set = DisplaySet.pk AND a.creator = ?
            AND NOT a.is_ground_truth
        )
    )
"""


def _shuffle_key(user: int) -> str:
    """Return an SQL expression that sorts display sets in a pseudorandom order, fixed for each user."""
    mixed = f"((rowid * 7919 + {user} * 104729) % 65521)"
    return f"{mixed} * {mixed} % 65521 * 40503 % 65521"


def _index(call: Call, one: DisplaySet) -> int | None:
    """Return the index of a display set; for a shuffled study it is known only in its own lists."""
    if not call.store.get(ReaderStudy, one.reader_study).is_shuffled:
        place = one.reader_study, one.order, one.created, one.pk
        return call.store.rows(DisplaySet, _PRECEDES, *place).count()
    if not call.query_value("reader_study"):
        return None
    key = _shuffle_key(call.user_id)
    before = f"({key}, rowid) < (SELECT {key}, rowid FROM DisplaySet WHERE pk = ?)"
    where = f"reader_study = ? AND {before}"
    return call.store.rows(DisplaySet, where, one.reader_study, one.pk).count()


def _render(call: Call, one: DisplaySet, study: str, values: Json) -> Json:
    return {
        "pk": one.pk,
        "title": one.title,
        "title_safe": safe_text(one.title),
        "reader_study": study,
        "values": values,
        "order": one.order,
        "api_url": call.api_url(f"reader-studies/display-sets/{one.pk}/"),
        "hanging_protocol": None,
        "optional_hanging_protocols": [],
        "view_content": {},
        "description": "",
        "index": _index(call, one),
        "descriptions_map_safe": {},
    }


def _render_read(call: Call, one: DisplaySet) -> Json:
    study = call.api_url(f"reader-studies/{one.reader_study}/")
    return _render(call, one, study, render_values(call, one.pk, "values"))


def _render_written(call: Call, one: DisplaySet) -> Json:
    study = call.store.get(ReaderStudy, one.reader_study).slug
    return _render(call, one, study, render_written_values(call, one.pk, "values"))


@operation("reader_studies_display_sets_list")
def list_display_sets(call: Call) -> Reply:
    """List display sets in the order of their study, or of the reader if the study is shuffled."""
    rows = call.visible(DisplaySet).sorted('"order", created, rowid')
    by_study = related("reader_study", ReaderStudy, "reader_study = ?")
    rows = _filter_unanswered(call, apply_filters(call, rows, [by_study]))
    study = call.store.find(
        ReaderStudy, "pk = ? AND is_shuffled", call.query_value("reader_study").lower()
    )
    if study is not None:
        rows = rows.sorted(f"{_shuffle_key(call.user_id)}, rowid")
    return paginate(call, rows, _render_read)


def _filter_unanswered(call: Call, rows: Rows[DisplaySet]) -> Rows[DisplaySet]:
    wanted, username = call.query_value("unanswered_by_user"), call.query_value("user")
    if wanted and boolean_or_none(call.store, wanted) is None:
        raise ServerError
    if not boolean_or_none(call.store, wanted):
        if username:
            raise BadRequestError(
                ["Specifying a user is only possible when retrieving unanswered display sets."]
            )
        return rows
    if not call.query_value("reader_study"):
        raise BadRequestError(
            ["Please provide a reader study when filtering for unanswered display_sets."]
        )
    return rows.narrow(_IS_UNANSWERED, _reader(call, username))


def _reader(call: Call, username: str) -> int:
    """Return the user whose unanswered display sets are requested."""
    if not username or (call.user and call.user.username == username):
        return call.user_id
    user = call.store.find(User, "username = ?", username)
    if user is None:
        raise ServerError
    if not has_role(call.store, call.query_value("reader_study"), call.user_id, "editors"):
        raise ForbiddenError
    return user.pk


@operation("reader_studies_display_sets_retrieve")
def retrieve_display_set(call: Call) -> Reply:
    """Return one display set."""
    return Reply(200, _render_read(call, call.lookup(DisplaySet)))


def _next_order(call: Call, study: str) -> int:
    """Return the multiple of ten after the highest order of a study."""
    sql = 'SELECT coalesce(max("order"), 0) FROM DisplaySet WHERE reader_study = ?'
    return min((int(call.store.execute(sql, study)[0][0]) + 10) // 10 * 10, _MAX_ORDER)


@operation("reader_studies_display_sets_create")
def create_display_set(call: Call) -> Reply:
    """Create an empty display set; values are added by an update."""
    fields = call.fields
    name = fields.optional("title", title, "")
    studies = rows_with_role(call.store, ReaderStudy, call.user_id, "editors")
    study = fields.require("reader_study", slug_related(studies))
    values = optional_values(call, fields)
    order = fields.optional("order", _order, 0)
    fields.check()
    check_unique(call, DisplaySet, "reader_study", study.pk, name)
    if values:
        raise BadRequestError(["Values can only be added via update"])
    display_set = DisplaySet(
        title=name, reader_study=study.pk, order=order or _next_order(call, study.pk)
    )
    return Reply(201, _render_written(call, call.store.add(display_set)))


@operation("reader_studies_display_sets_partial_update")
@operation("reader_studies_display_sets_update")
def update_display_set(call: Call) -> Reply:
    """Update a display set without answers; PUT removes the title and the values that it does not contain."""
    one = call.lookup(DisplaySet)
    if not has_role(call.store, one.reader_study, call.user_id, "editors"):
        raise ForbiddenError
    fields = call.fields
    one.title = fields.optional("title", title, one.title if fields.partial else "")
    studies = rows_with_role(call.store, ReaderStudy, call.user_id, "editors")
    study = fields.optional("reader_study", slug_related(studies), None)
    values = optional_values(call, fields)
    order = fields.optional("order", _order, one.order)
    fields.check()
    one.reader_study = study.pk if study else one.reader_study
    one.order = order or _next_order(call, one.reader_study)
    check_unique(call, DisplaySet, "reader_study", one.reader_study, one.title, one.pk)
    if call.store.rows(Answer, "display_set = ?", one.pk):
        raise BadRequestError(
            ["This display set cannot be changed, as answers for it already exist."]
        )
    call.store.save(one)
    if not fields.partial:
        detach_other_values(call, values, one.pk)
    apply_values(call, values, one.pk)
    return Reply(200, _render_written(call, one))
