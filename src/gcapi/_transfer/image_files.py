"""The files of images and DICOM image sets, and the names they get on this machine."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx

from gcapi import models
from gcapi._api.operations import Calls
from gcapi._http.file_hosts import check_file_url
from gcapi._http.settings import Settings
from gcapi._http.urls import parse_server_url
from gcapi._transfer.file_names import full_suffix, inside, name_of
from gcapi._transfer.remote_files import ApiFile, RemoteFile, SignedFile
from gcapi._util.json_types import is_array, is_object
from gcapi._util.messages import shown_url
from gcapi.exceptions import DuplicateNameError, InvalidTarget, UnexpectedAnswer, UnsafeName
from grand_challenge_api import api

#: A file on a server, and the path that it gets on this machine.
FileDownload = tuple[RemoteFile, Path]

_UID = re.compile(r"[0-9.]{1,64}")


def files_of_image(
    calls: Calls,
    image: models.HyperlinkedImage,
    directory: Path,
    *,
    filename: str | None = None,
    image_type: str | None = None,
) -> list[FileDownload]:
    """Return the files of an image, or the instances of a DICOM image set.

    Args:
        calls: Calls the API.
        image: As read from the server.
        directory: The folder for the files.
        filename: Their name without suffix; `None` for the image's pk.
        image_type: Only files of this type; `None` for all.

    Raises:
        ValueError: A file name is given for a DICOM image set.
    """
    if not image.dicom_image_set:
        name = filename or image.pk
        return choose_files(calls, image.files, directory, filename=name, image_type=image_type)
    if filename is not None:
        raise ValueError(
            "A DICOM image set is many files, named after their instances: leave filename out."
        )
    return _instances(calls, image.pk, directory)


def choose_files(
    calls: Calls,
    files: Iterable[models.ImageFile],
    directory: Path,
    *,
    filename: str,
    image_type: str | None,
) -> list[FileDownload]:
    """Return files of images, each named `filename` with its suffix on the server.

    Raises:
        DuplicateNameError: Several files would get the same name.
    """
    downloads: list[FileDownload] = [
        (
            ApiFile(calls.transport, file.file),
            inside(directory, filename + full_suffix(name_of(parse_server_url(file.file).path))),
        )
        for file in files
        if image_type is None or file.image_type == image_type
    ]
    targets = [target for _, target in downloads]
    if len(set(targets)) != len(targets):
        raise DuplicateNameError(
            f"Several of these files would be named {targets[0].name!r}. Choose one with image_type, or give each call"
            " a filename of its own."
        )
    return downloads


def _instances(calls: Calls, pk: str, directory: Path) -> list[FileDownload]:
    """Return the instances of a DICOM image set.

    Raises:
        UnsafeName: An instance has an invalid UID.
        UnexpectedAnswer: The response has no list of instances.
    """
    signed_requests: dict[str, Any] = {}
    for uid, request in _listed_instances(calls, pk):
        signed_requests.setdefault(uid, request)
    return [_instance(calls, uid, request, directory) for uid, request in signed_requests.items()]


def one_instance(
    calls: Calls, image: models.HyperlinkedImage, directory: Path
) -> FileDownload | None:
    """Return one instance of a DICOM image set; `None` if it has several frames, and may be large."""
    instances = _listed_instances(calls, image.pk)
    if not instances:
        return None
    uid, request = instances[len(instances) // 2]
    if sum(each == uid for each, _ in instances) > 1:
        return None
    return _instance(calls, uid, request, directory)


def _listed_instances(calls: Calls, pk: str) -> list[tuple[str, Any]]:
    """Return the UIDs of a DICOM image set's instances and their presigned requests, once for each frame."""
    answer = calls.call(api.cases_images_dicom_instances_retrieve, pk).to_dict()
    instances = answer.get("instances")
    if not is_array(instances) or not all(is_object(instance) for instance in instances):
        raise UnexpectedAnswer(f"The server lists the instances of image {pk} as {instances!r}.")
    listed = [
        (str(instance.get("sop_instance_uid")), instance.get("get_instance"))
        for instance in instances
    ]
    for uid, _ in listed:
        if not _UID.fullmatch(uid):
            raise UnsafeName(f"The server names an instance {uid!r}, which is not a DICOM UID.")
    return listed


def _instance(calls: Calls, uid: str, request: Any, directory: Path) -> FileDownload:
    signed = SignedFile(calls.transport, *check_signed_request(request, calls.settings))
    return signed, inside(directory, f"{uid}.dcm")


def check_signed_request(request: Any, settings: Settings) -> tuple[httpx.URL, dict[str, str]]:
    """Return the URL and the headers of a presigned request for an instance.

    Args:
        request: As the server describes it.
        settings: The client's settings, whose token must not be part of it.

    Raises:
        UnexpectedAnswer: It is not a GET request that can be sent.
        InvalidTarget: It goes to a host that files are not fetched from, or contains the token.
    """
    if not is_object(request) or not is_object(signed := request.get("headers") or {}):
        raise UnexpectedAnswer(
            f"The server describes the download of an instance as {str(request)[:200]!r}."
        )
    if str(request.get("method", "GET")).upper() != "GET" or request.get("data") is not None:
        raise UnexpectedAnswer(
            f"The server describes the download of an instance as a {request.get('method')!r} request. It was not sent."
        )
    url = parse_server_url(request.get("url"))
    check_file_url(url, settings)
    headers = {str(name): str(value) for name, value in signed.items()}
    texts = (*headers, *headers.values())
    if not all(text.isascii() and text.isprintable() for text in texts):
        raise UnexpectedAnswer(
            f"The server signs a download with headers that cannot be sent: {sorted(headers)!r}"
        )
    if any(settings.token in text for text in (str(url), *texts)):
        raise InvalidTarget(f"{shown_url(url)} was not requested: the request contains the token.")
    return url, headers
