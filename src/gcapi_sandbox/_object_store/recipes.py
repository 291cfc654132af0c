"""Request recipes for DICOM image sets: signed headers, made to be sent as they are."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from gcapi_sandbox._object_store.signatures import Signer

if TYPE_CHECKING:
    from gcapi_sandbox._database.records import Image, Instance
    from gcapi_sandbox._database.state import State
    from gcapi_sandbox._http.errors import Json

DICOM_ROOT = "/datastore/"


def signer(state: State) -> Signer:
    """Return the signer of the DICOM service, which stands on the storage origin."""
    host = state.storage_url.removeprefix("http://").rstrip("/")
    return Signer(state.secret, host, "medical-imaging")


def _recipe(
    state: State,
    method: str,
    path: str,
    headers: dict[str, str],
    query: dict[str, str] | None = None,
    data: Json = None,
) -> Json:
    path = f"{DICOM_ROOT}{hashlib.sha256(state.secret.encode()).hexdigest()[:32]}{path}"
    signed = signer(state).headers(method, path, query or {}, headers)
    suffix = f"?{urlencode(query, quote_via=quote)}" if query else ""
    url = f"{state.storage_url.rstrip('/')}{quote(path)}{suffix}"
    return {"url": url, "method": method, "data": data, "headers": signed}


def get_instance(state: State, image: Image, instance: Instance) -> Json:
    """Return the recipe that fetches one instance."""
    study, series = image.tags["StudyInstanceUID"], image.tags["SeriesInstanceUID"]
    path = f"/studies/{study}/series/{series}/instances/{instance.sop_instance_uid}"
    accept = {"Accept": "application/dicom; transfer-syntax=*"}
    return _recipe(state, "GET", path, accept, {"imageSetId": instance.image_set_id})


def get_metadata(state: State, image: Image) -> Json:
    """Return the recipe that fetches the metadata of an image set."""
    path = f"/imageSet/{image.image_set_id}/getImageSetMetadata"
    return _recipe(state, "POST", path, {"Accept-Encoding": "gzip"})


def get_frame(state: State, image: Image, frame: str) -> Json:
    """Return the recipe that fetches one frame."""
    path = f"/imageSet/{image.image_set_id}/getImageFrame"
    return _recipe(state, "POST", path, {"Accept": "*/*"}, data={"imageFrameId": frame})
