"""Archives and their items."""

# ruff: noqa: S608  # the conditions are constants, values are bound

from __future__ import annotations

from gcapi_sandbox._database.records import Archive, ArchiveItem
from gcapi_sandbox._http.errors import BadRequest, Forbidden, Json, NotFound
from gcapi_sandbox._http.fields import hyperlink
from gcapi_sandbox._http.handlers import Call, Reply, operation
from gcapi_sandbox._http.pagination import SLUG, paginate, related
from gcapi_sandbox._http.permissions import has_role, with_role
from gcapi_sandbox._resources.posted_values import apply, remove_others, take_values
from gcapi_sandbox._resources.titles import check_unique, title
from gcapi_sandbox._resources.values import read_shape, write_shape

_MAY_CHANGE = ("editors", "uploaders")


def _render(call: Call, archive: Archive) -> Json:
    return {
        "pk": archive.pk,
        "title": archive.title,
        "logo": call.site(f"media/logos/archive/{archive.slug}.png"),
        "description": archive.description,
        "api_url": call.link(f"archives/{archive.pk}/"),
        "url": call.site(f"archives/{archive.slug}/"),
    }


@operation("archives_list")
def list_archives(call: Call) -> Reply:
    """List the archives that the caller belongs to."""
    return paginate(call, call.visible(Archive).sorted("created, rowid"), _render, SLUG)


@operation("archives_retrieve")
def retrieve_archive(call: Call) -> Reply:
    """Show one archive."""
    return Reply(200, _render(call, call.lookup(Archive)))


def _tags(call: Call, archive: Archive, name: str, where: str = "1", *params: str) -> Json:
    """Return the distinct values of a DICOM tag among the images of an archive."""
    sql = f"""
        SELECT DISTINCT i.tags ->> '{name}' FROM Image i
        JOIN Value v ON v.image = i.pk JOIN Attachment a ON a.value = v.pk
        JOIN ArchiveItem c ON c.pk = a.owner
        WHERE c.archive = ? AND {where} AND i.tags ->> '{name}' != '' ORDER BY 1
    """
    return [row[0] for row in call.store.execute(sql, archive.pk, *params)]


@operation("archives_patients_retrieve")
def list_patients(call: Call) -> Reply:
    """List the patient ids of an archive."""
    return Reply(200, _tags(call, call.lookup(Archive), "patient_id"))


@operation("archives_studies_retrieve")
def list_studies(call: Call) -> Reply:
    """List the study uids of one patient of an archive."""
    archive, patient = call.lookup(Archive), call.last("patient_id")
    if not patient:
        raise NotFound
    where = "i.tags ->> 'patient_id' = ?"
    return Reply(200, _tags(call, archive, "study_instance_uid", where, patient))


_VIEW: dict[str, Json] = {
    "hanging_protocol": None,
    "optional_hanging_protocols": [],
    "view_content": {},
}


def _item(call: Call, item: ArchiveItem, values: Json) -> Json:
    return {
        "pk": item.pk,
        "title": item.title,
        "archive": call.link(f"archives/{item.archive}/"),
        "values": values,
        **_VIEW,
    }


def _read(call: Call, item: ArchiveItem) -> Json:
    return _item(call, item, read_shape(call, item.pk, "values"))


def _written(call: Call, item: ArchiveItem) -> Json:
    return _item(call, item, write_shape(call, item.pk, "values"))


@operation("archives_items_list")
def list_items(call: Call) -> Reply:
    """List items, in no order that means anything."""
    rows = call.visible(ArchiveItem).sorted("pk")
    return paginate(call, rows, _read, related("archive", Archive, "archive = ?"))


@operation("archives_items_retrieve")
def retrieve_item(call: Call) -> Reply:
    """Show one item."""
    return Reply(200, _read(call, call.lookup(ArchiveItem)))


@operation("archives_items_create")
def create_item(call: Call) -> Reply:
    """Make an empty item; its values come with an update."""
    fields = call.fields
    name = fields.take("title", title, "")
    archives = with_role(call.store, Archive, call.user_id, *_MAY_CHANGE)
    archive = fields.require("archive", hyperlink(archives, "archives"))
    values = take_values(call, fields)
    fields.check()
    check_unique(call, ArchiveItem, "archive", archive.pk, name)
    if values:
        raise BadRequest(["Values can only be added via update"])
    item = call.store.add(ArchiveItem(title=name, archive=archive.pk))
    return Reply(201, _written(call, item))


@operation("archives_items_partial_update")
@operation("archives_items_update")
def update_item(call: Call) -> Reply:
    """Change an item; PUT empties what it does not mention."""
    item = call.lookup(ArchiveItem)
    if not has_role(call.store, item.archive, call.user_id, *_MAY_CHANGE):
        raise Forbidden
    fields = call.fields
    item.title = fields.take("title", title, item.title if fields.partial else "")
    archives = with_role(call.store, Archive, call.user_id, *_MAY_CHANGE)
    archive = fields.take("archive", hyperlink(archives, "archives"), None)
    values = take_values(call, fields)
    fields.check()
    item.archive = archive.pk if archive else item.archive
    check_unique(call, ArchiveItem, "archive", item.archive, item.title, item.pk)
    call.store.save(item)
    if not fields.partial:
        remove_others(call, values, item.pk)
    apply(call, values, item.pk)
    return Reply(200, _written(call, item))
