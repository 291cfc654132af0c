"""Display sets: the cases of reader studies."""

# ruff: noqa: S608  # the conditions are constants and whole numbers, values are bound

from __future__ import annotations

from typing import TYPE_CHECKING

from gcapi_sandbox._database.records import Answer, DisplaySet, ReaderStudy, User
from gcapi_sandbox._http.errors import BadRequest, Forbidden, Json, ServerError
from gcapi_sandbox._http.fields import integer, slug
from gcapi_sandbox._http.handlers import Call, Reply, operation
from gcapi_sandbox._http.pagination import narrow, paginate, related, truth
from gcapi_sandbox._http.permissions import has_role, with_role
from gcapi_sandbox._resources.posted_values import apply, remove_others, take_values
from gcapi_sandbox._resources.reader_studies import safe
from gcapi_sandbox._resources.titles import check_unique, title
from gcapi_sandbox._resources.values import read_shape, write_shape

if TYPE_CHECKING:
    from gcapi_sandbox._database.store import Rows

_LAST_ORDER = 2_147_483_647
_order = integer(0, _LAST_ORDER)
_BEFORE = 'reader_study = ? AND ("order", created, rowid) < (?, ?, (SELECT rowid FROM DisplaySet WHERE pk = ?))'
_UNANSWERED = """
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


def _shuffled(user: int) -> str:
    """Return an order that looks like none, and is the same for a user each time."""
    mixed = f"((rowid * 7919 + {user} * 104729) % 65521)"
    return f"{mixed} * {mixed} % 65521 * 40503 % 65521"


def _index(call: Call, one: DisplaySet) -> int | None:
    """Return where a display set stands; in a shuffled study only lists of that study know."""
    if not call.store.get(ReaderStudy, one.reader_study).is_shuffled:
        place = one.reader_study, one.order, one.created, one.pk
        return call.store.rows(DisplaySet, _BEFORE, *place).count()
    if not call.last("reader_study"):
        return None
    key = _shuffled(call.user_id)
    before = f"({key}, rowid) < (SELECT {key}, rowid FROM DisplaySet WHERE pk = ?)"
    where = f"reader_study = ? AND {before}"
    return call.store.rows(DisplaySet, where, one.reader_study, one.pk).count()


def _render(call: Call, one: DisplaySet, study: str, values: Json) -> Json:
    return {
        "pk": one.pk,
        "title": one.title,
        "title_safe": safe(one.title),
        "reader_study": study,
        "values": values,
        "order": one.order,
        "api_url": call.link(f"reader-studies/display-sets/{one.pk}/"),
        "hanging_protocol": None,
        "optional_hanging_protocols": [],
        "view_content": {},
        "description": "",
        "index": _index(call, one),
        "descriptions_map_safe": {},
    }


def _read(call: Call, one: DisplaySet) -> Json:
    study = call.link(f"reader-studies/{one.reader_study}/")
    return _render(call, one, study, read_shape(call, one.pk, "values"))


def _written(call: Call, one: DisplaySet) -> Json:
    study = call.store.get(ReaderStudy, one.reader_study).slug
    return _render(call, one, study, write_shape(call, one.pk, "values"))


@operation("reader_studies_display_sets_list")
def list_display_sets(call: Call) -> Reply:
    """List display sets in the order of their studies, or in the reader's own if one is shuffled."""
    rows = call.visible(DisplaySet).sorted('"order", created, rowid')
    by_study = related("reader_study", ReaderStudy, "reader_study = ?")
    rows = _unanswered(call, narrow(call, rows, [by_study]))
    study = call.store.find(
        ReaderStudy, "pk = ? AND is_shuffled", call.last("reader_study").lower()
    )
    if study is not None:
        rows = rows.sorted(f"{_shuffled(call.user_id)}, rowid")
    return paginate(call, rows, _read)


def _unanswered(call: Call, rows: Rows[DisplaySet]) -> Rows[DisplaySet]:
    wanted, username = call.last("unanswered_by_user"), call.last("user")
    if wanted and truth(call.store, wanted) is None:
        raise ServerError
    if not truth(call.store, wanted):
        if username:
            raise BadRequest(
                ["Specifying a user is only possible when retrieving unanswered display sets."]
            )
        return rows
    if not call.last("reader_study"):
        raise BadRequest(
            ["Please provide a reader study when filtering for unanswered display_sets."]
        )
    return rows.narrow(_UNANSWERED, _reader(call, username))


def _reader(call: Call, username: str) -> int:
    """Return the user whose unanswered display sets are asked for."""
    if not username or (call.user and call.user.username == username):
        return call.user_id
    user = call.store.find(User, "username = ?", username)
    if user is None:
        raise ServerError
    if not has_role(call.store, call.last("reader_study"), call.user_id, "editors"):
        raise Forbidden
    return user.pk


@operation("reader_studies_display_sets_retrieve")
def retrieve_display_set(call: Call) -> Reply:
    """Show one display set."""
    return Reply(200, _read(call, call.lookup(DisplaySet)))


def _next_order(call: Call, study: str) -> int:
    """Return the next multiple of ten after the highest order of a study, or the highest that there is."""
    sql = 'SELECT coalesce(max("order"), 0) FROM DisplaySet WHERE reader_study = ?'
    return min((int(call.store.execute(sql, study)[0][0]) + 10) // 10 * 10, _LAST_ORDER)


@operation("reader_studies_display_sets_create")
def create_display_set(call: Call) -> Reply:
    """Make an empty display set; its values come with an update."""
    fields = call.fields
    name = fields.take("title", title, "")
    studies = with_role(call.store, ReaderStudy, call.user_id, "editors")
    study = fields.require("reader_study", slug(studies))
    values = take_values(call, fields)
    order = fields.take("order", _order, 0)
    fields.check()
    check_unique(call, DisplaySet, "reader_study", study.pk, name)
    if values:
        raise BadRequest(["Values can only be added via update"])
    made = DisplaySet(title=name, reader_study=study.pk, order=order or _next_order(call, study.pk))
    return Reply(201, _written(call, call.store.add(made)))


@operation("reader_studies_display_sets_partial_update")
@operation("reader_studies_display_sets_update")
def update_display_set(call: Call) -> Reply:
    """Change a display set that nobody answered; PUT empties what it does not mention."""
    one = call.lookup(DisplaySet)
    if not has_role(call.store, one.reader_study, call.user_id, "editors"):
        raise Forbidden
    fields = call.fields
    one.title = fields.take("title", title, one.title if fields.partial else "")
    studies = with_role(call.store, ReaderStudy, call.user_id, "editors")
    study = fields.take("reader_study", slug(studies), None)
    values = take_values(call, fields)
    order = fields.take("order", _order, one.order)
    fields.check()
    one.reader_study = study.pk if study else one.reader_study
    one.order = order or _next_order(call, one.reader_study)
    check_unique(call, DisplaySet, "reader_study", one.reader_study, one.title, one.pk)
    if call.store.rows(Answer, "display_set = ?", one.pk):
        raise BadRequest(["This display set cannot be changed, as answers for it already exist."])
    call.store.save(one)
    if not fields.partial:
        remove_others(call, values, one.pk)
    apply(call, values, one.pk)
    return Reply(200, _written(call, one))
