"""Recipes for requests to the DICOM service, with signed headers that are sent unchanged."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from gcapi_sandbox._object_store.signers import DICOM_ROOT, dicom_signer

if TYPE_CHECKING:
    from gcapi_sandbox._database.records import Image, Instance
    from gcapi_sandbox._state import State
    from gcapi_sandbox._util.json_types import Json


def instance_recipe(state: State, image: Image, instance: Instance) -> Json:
    """Return the recipe that fetches an instance."""
    study, series = image.tags["StudyInstanceUID"], image.tags["SeriesInstanceUID"]
    path = f"/studies/{study}/series/{series}/instances/{instance.sop_instance_uid}"
    accept = {"Accept": "application/dicom; transfer-syntax=*"}
    return _recipe(state, "GET", path, accept, {"imageSetId": instance.image_set_id})


def metadata_recipe(state: State, image: Image) -> Json:
    """Return the recipe that fetches the metadata of an image set."""
    path = f"/imageSet/{image.image_set_id}/getImageSetMetadata"
    return _recipe(state, "POST", path, {"Accept-Encoding": "gzip"})


def frame_recipe(state: State, image: Image, frame: str) -> Json:
    """Return the recipe that fetches a frame."""
    path = f"/imageSet/{image.image_set_id}/getImageFrame"
    return _recipe(state, "POST", path, {"Accept": "*/*"}, data={"imageFrameId": frame})


def _recipe(
    state: State,
    method: str,
    path: str,
    headers: dict[str, str],
    query: dict[str, str] | None = None,
    data: Json = None,
) -> Json:
    path = f"{DICOM_ROOT}{hashlib.sha256(state.secret.encode()).hexdigest()[:32]}{path}"
    signed = dicom_signer(state).sign_headers(method, path, query or {}, headers)
    suffix = f"?{urlencode(query, quote_via=quote)}" if query else ""
    url = f"{state.storage_url.rstrip('/')}{quote(path)}{suffix}"
    return {"url": url, "method": method, "data": data, "headers": signed}
