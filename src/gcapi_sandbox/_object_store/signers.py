"""The signers of the two services of the storage origin, and the paths of their objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gcapi_sandbox._object_store.signatures import Signer

if TYPE_CHECKING:
    from gcapi_sandbox._state import State

BUCKET_ROOT = "/uploads/"
MEDIA_ROOT = "/media/"
DICOM_ROOT = "/datastore/"


def object_signer(state: State) -> Signer:
    """Return the signer of the object store."""
    return _signer(state, "s3")


def dicom_signer(state: State) -> Signer:
    """Return the signer of the DICOM service."""
    return _signer(state, "medical-imaging")


def _signer(state: State, service: str) -> Signer:
    host = state.storage_url.removeprefix("http://").rstrip("/")
    return Signer(state.secret, host, service, state.clock)
