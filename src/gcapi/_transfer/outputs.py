"""From images and socket values to files in a directory: what they are called, and where each comes from."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gcapi._api.operations import plain
from gcapi._http.urls import is_secure, parse_server_url
from gcapi._transfer.atomic_file import (
    ExistingFile,
    check_existing_file,
    is_taken,
    refuse_existing,
    write_atomically,
)
from gcapi._transfer.file_names import full_suffix, inside, name_of
from gcapi._util.json_types import is_object
from gcapi._util.messages import shown_url
from gcapi.exceptions import InvalidTarget, UnexpectedAnswer, UnsafeName

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import httpx

    from gcapi._api.operations import Calls
    from gcapi._transfer.downloads import Downloads
    from gcapi._transfer.remote_files import Remote
    from gcapi.models import HyperlinkedComponentInterfaceValue, HyperlinkedImage, ImageFile

#: A file to be written: from somewhere else, or from bytes at hand; and where.
Output = tuple["Remote | bytes", Path]

_UID = re.compile(r"[0-9.]{1,64}")


class Outputs:
    """Write images and socket values to files.

    Args:
        calls: Calls the API.
        downloads: Downloads files.
    """

    def __init__(self, calls: Calls, downloads: Downloads) -> None:
        self._calls = calls
        self._downloads = downloads

    def write(self, outputs: Sequence[Output], *, existing: ExistingFile = "error") -> list[Path]:
        """Write files, and return them in order.

        Raises:
            FileExistsError: One is there already, and `existing` is ``"error"``; nothing was transferred.
        """
        check_existing_file(existing)
        if existing == "error":
            refuse_existing(target for _, target in outputs)
        remote = [(source, target) for source, target in outputs if not isinstance(source, bytes)]
        self._downloads.fetch(remote, existing=existing)
        for source, target in outputs:
            if isinstance(source, bytes) and not (existing == "skip" and is_taken(target)):
                write_atomically(target, source, existing=existing)
        return [target for _, target in outputs]

    # ------------------------------------------------------------ socket values

    def socket_values(
        self,
        values: Sequence[HyperlinkedComponentInterfaceValue],
        directory: Path,
        *,
        existing: ExistingFile = "error",
    ) -> dict[str, list[Path]]:
        """Write socket values to where their sockets' relative paths say, below a directory.

        Returns:
            The files of each value, by socket slug.
        """
        if any(value.interface is None for value in values or ()):
            raise UnexpectedAnswer("The server does not say of which socket a value is.")
        planned = {value.interface.slug: self.of_value(value, directory) for value in values or ()}
        self.write([output for group in planned.values() for output in group], existing=existing)
        return {slug: [target for _, target in group] for slug, group in planned.items()}

    def of_value(self, value: HyperlinkedComponentInterfaceValue, directory: Path) -> list[Output]:
        """Return the files of a socket value, each where its socket's relative path says, below a directory."""
        if isinstance(value.image, str):
            target = inside(directory, value.interface.relative_path)
            image = self._calls.get(
                "cases.cases_images_retrieve", str(parse_server_url(value.image))
            )
            return self.of_image(image, target)
        # Some sockets of old have no path; a file needs a name.
        target = inside(directory, value.interface.relative_path or value.interface.slug)
        if isinstance(value.file, str):
            return [(self._downloads.remote(value.file), target)]
        return [(json.dumps(plain(value.value), indent=2).encode(), target)]

    # ------------------------------------------------------------ images

    def of_image(
        self,
        image: HyperlinkedImage,
        directory: Path,
        *,
        filename: str | None = None,
        image_type: str | None = None,
    ) -> list[Output]:
        """Return the files of an image, or the instances of a DICOM image set.

        Args:
            image: As read from the server.
            directory: Where the files go.
            filename: Their name without suffix; `None` for the image's pk.
            image_type: Only files of this type; `None` for all.

        Raises:
            ValueError: A file name for a DICOM image set, whose instances have names of their own.
        """
        if not image.dicom_image_set:
            name = filename or image.pk
            return self.of_image_files(image.files, directory, filename=name, image_type=image_type)
        if filename is not None:
            raise ValueError(
                "A DICOM image set is many files, named after their instances: leave filename out."
            )
        return self._of_dicom_image_set(image.pk, directory)

    def of_image_files(
        self,
        files: Iterable[ImageFile],
        directory: Path,
        *,
        filename: str,
        image_type: str | None,
    ) -> list[Output]:
        """Return files of images, each named `filename` with the suffix that it has on the server."""
        outputs: list[Output] = [
            (
                self._downloads.remote(file.file),
                inside(
                    directory, filename + full_suffix(name_of(parse_server_url(file.file).path))
                ),
            )
            for file in files
            if image_type is None or file.image_type == image_type
        ]
        targets = [target for _, target in outputs]
        if len(set(targets)) != len(targets):
            raise ValueError(
                f"Several of these files would be called {targets[0].name!r}: choose one with image_type, or give"
                " each call a filename of its own."
            )
        return outputs

    def _of_dicom_image_set(self, pk: str, directory: Path) -> list[Output]:
        answer = self._calls.operation("cases.cases_images_dicom_instances_retrieve", pk).to_dict()
        outputs: list[Output] = []
        for uid, recipe in _recipes(answer).items():
            address = _checked_recipe(recipe, self._calls.settings.token)
            outputs.append((self._downloads.signed(*address), inside(directory, f"{uid}.dcm")))
        return outputs


def _recipes(answer: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return one recipe for each instance: the server lists one for each frame.

    Raises:
        UnsafeName: An instance whose uid is none.
    """
    recipes: dict[str, Mapping[str, Any]] = {}
    for instance in answer["instances"]:
        uid = str(instance["sop_instance_uid"])
        if not _UID.fullmatch(uid):
            raise UnsafeName(f"The server names an instance {uid!r}, which is no DICOM uid.")
        recipes.setdefault(uid, instance["get_instance"])
    return recipes


def _is_sendable(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _checked_recipe(recipe: Any, token: str) -> tuple[httpx.URL, dict[str, str]]:
    """Return where a recipe leads and the headers that sign it.

    Args:
        recipe: As the server gives it.
        token: What must not be in it.

    Raises:
        UnexpectedAnswer: It is none, or asks for something else than to read.
        InvalidTarget: It leads to a host that is neither https nor this machine, or takes the token along.
    """
    if not is_object(recipe) or not is_object(recipe.get("headers") or {}):
        raise UnexpectedAnswer(
            f"The server says {str(recipe)[:200]!r} of how to fetch an instance."
        )
    if str(recipe.get("method", "GET")).upper() != "GET" or recipe.get("data") is not None:
        raise UnexpectedAnswer(
            f"The server asks for a {recipe.get('method')!r} request in place of a download; it is not sent."
        )
    url = parse_server_url(recipe.get("url"))
    if not is_secure(url):
        raise InvalidTarget(f"{shown_url(url)} is not fetched: it is not https.")
    signed: Mapping[str, Any] = recipe.get("headers") or {}
    headers = {str(name): str(value) for name, value in signed.items()}
    if not all(_is_sendable(text) for header in headers.items() for text in header):
        raise UnexpectedAnswer(
            f"The server signs a download with headers that cannot be sent: {sorted(headers)!r}"
        )
    if any(token in text for text in (str(url), *headers.values())):
        raise InvalidTarget(f"{shown_url(url)} is not fetched: it would be sent the token.")
    return url, headers
