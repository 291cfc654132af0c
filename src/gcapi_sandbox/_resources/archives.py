"""Archives and their items."""

# ruff: noqa: S608  # the conditions are constants, values are bound

from __future__ import annotations

from typing import TYPE_CHECKING

from gcapi_sandbox._database.records import Archive, ArchiveItem
from gcapi_sandbox._http.calls import Call, Reply
from gcapi_sandbox._http.errors import BadRequestError, ForbiddenError, NotFoundError
from gcapi_sandbox._http.fields import url_related
from gcapi_sandbox._http.filters import SLUG, related
from gcapi_sandbox._http.operations import operation
from gcapi_sandbox._http.permissions import has_role, rows_with_role
from gcapi_sandbox._http.read_operations import register_reads
from gcapi_sandbox._resources.case_titles import check_unique, title
from gcapi_sandbox._socket_values.posted_values import (
    apply_values,
    detach_other_values,
    optional_values,
)
from gcapi_sandbox._socket_values.rendering import render_values, render_written_values

if TYPE_CHECKING:
    from gcapi_sandbox._util.json_types import Json

_WRITER_ROLES = ("editors", "uploaders")


def _render(call: Call, archive: Archive) -> Json:
    return {
        "pk": archive.pk,
        "title": archive.title,
        "logo": call.site_url(f"media/logos/archive/{archive.slug}.png"),
        "description": archive.description,
        "api_url": call.api_url(f"archives/{archive.pk}/"),
        "url": call.site_url(f"archives/{archive.slug}/"),
    }


register_reads("archives", Archive, _render, SLUG)


def _tags(call: Call, archive: Archive, name: str, where: str = "1", *params: str) -> Json:
    """Return the distinct values of a DICOM tag of the images in an archive."""
    sql = f"""
        SELECT DISTINCT i.tags ->> '{name}' FROM Image i
        JOIN Value v ON v.image = i.pk JOIN Attachment a ON a.value = v.pk
        JOIN ArchiveItem c ON c.pk = a.owner
        WHERE c.archive = ? AND {where} AND i.tags ->> '{name}' != '' ORDER BY 1
    """
    return [row[0] for row in call.store.execute(sql, archive.pk, *params)]


@operation("archives_patients_retrieve")
def list_patients(call: Call) -> Reply:
    """List the patient IDs of an archive."""
    return Reply(200, _tags(call, call.lookup(Archive), "patient_id"))


@operation("archives_studies_retrieve")
def list_studies(call: Call) -> Reply:
    """List the study UIDs of a patient in an archive."""
    archive, patient = call.lookup(Archive), call.query_value("patient_id")
    if not patient:
        raise NotFoundError
    where = "i.tags ->> 'patient_id' = ?"
    return Reply(200, _tags(call, archive, "study_instance_uid", where, patient))


def _render_item(call: Call, item: ArchiveItem, values: Json) -> Json:
    return {
        "pk": item.pk,
        "title": item.title,
        "archive": call.api_url(f"archives/{item.archive}/"),
        "values": values,
        "hanging_protocol": None,
        "optional_hanging_protocols": [],
        "view_content": {},
    }


def _render_read(call: Call, item: ArchiveItem) -> Json:
    return _render_item(call, item, render_values(call, item.pk, "values"))


def _render_written(call: Call, item: ArchiveItem) -> Json:
    return _render_item(call, item, render_written_values(call, item.pk, "values"))


register_reads(
    "archives_items",
    ArchiveItem,
    _render_read,
    related("archive", Archive, "archive = ?"),
    order="pk",
)


@operation("archives_items_create")
def create_item(call: Call) -> Reply:
    """Create an empty archive item; values are added by an update."""
    fields = call.fields
    name = fields.optional("title", title, "")
    archives = rows_with_role(call.store, Archive, call.user_id, *_WRITER_ROLES)
    archive = fields.require("archive", url_related(archives, "archives"))
    values = optional_values(call, fields)
    fields.check()
    check_unique(call, ArchiveItem, "archive", archive.pk, name)
    if values:
        raise BadRequestError(["Values can only be added via update"])
    item = call.store.add(ArchiveItem(title=name, archive=archive.pk))
    return Reply(201, _render_written(call, item))


@operation("archives_items_partial_update")
@operation("archives_items_update")
def update_item(call: Call) -> Reply:
    """Update an archive item; PUT removes the title and the values that it does not contain."""
    item = call.lookup(ArchiveItem)
    if not has_role(call.store, item.archive, call.user_id, *_WRITER_ROLES):
        raise ForbiddenError
    fields = call.fields
    item.title = fields.optional("title", title, item.title if fields.partial else "")
    archives = rows_with_role(call.store, Archive, call.user_id, *_WRITER_ROLES)
    archive = fields.optional("archive", url_related(archives, "archives"), None)
    values = optional_values(call, fields)
    fields.check()
    item.archive = archive.pk if archive else item.archive
    check_unique(call, ArchiveItem, "archive", item.archive, item.title, item.pk)
    call.store.save(item)
    if not fields.partial:
        detach_other_values(call, values, item.pk)
    apply_values(call, values, item.pk)
    return Reply(200, _render_written(call, item))
