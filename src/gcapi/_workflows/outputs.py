"""Socket values, such as the outputs of jobs, written to files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gcapi import models
from gcapi._api.operations import Calls, plain
from gcapi._http.urls import parse_server_url
from gcapi._transfer.atomic_file import ExistingFile, check_targets, write_atomically
from gcapi._transfer.downloads import Downloads
from gcapi._transfer.file_names import inside, name_of
from gcapi._transfer.image_files import files_of_image
from gcapi._transfer.remote_files import ApiFile, RemoteFile
from gcapi._util.owner_locks import private_directory
from gcapi.exceptions import UnexpectedAnswer
from grand_challenge_api import api

#: A file on a server, or its content; and the path that it gets on this machine.
OutputFile = tuple[RemoteFile | bytes, Path]


class Outputs:
    """Writes socket values to files.

    Args:
        calls: Calls the API.
        downloads: Downloads files.
    """

    def __init__(self, calls: Calls, downloads: Downloads) -> None:
        self._calls = calls
        self._downloads = downloads

    def write(
        self, outputs: Sequence[OutputFile], *, existing: ExistingFile = "error"
    ) -> list[Path]:
        """Write files, and return their paths in order.

        Raises:
            FileExistsError: A file exists, and `existing` is ``"error"``; nothing was transferred.
        """
        check_targets((target for _, target in outputs), existing)
        remote = [(source, target) for source, target in outputs if not isinstance(source, bytes)]
        self._downloads.fetch(remote, existing=existing)
        for source, target in outputs:
            if isinstance(source, bytes):
                write_atomically(target, source, existing=existing)
        return [target for _, target in outputs]

    def download_values(
        self,
        values: Sequence[models.HyperlinkedComponentInterfaceValue],
        directory: Path,
        *,
        existing: ExistingFile = "error",
    ) -> dict[str, list[Path]]:
        """Write socket values to their sockets' relative paths below a directory.

        Returns:
            The files of each value, by socket slug.
        """
        if any(value.interface is None for value in values or ()):
            raise UnexpectedAnswer("The server sent a value without its socket.")
        planned = {
            value.interface.slug: self.named_files_of_value(value, directory)[1]
            for value in values or ()
        }
        self.write([output for group in planned.values() for output in group], existing=existing)
        return {slug: [target for _, target in group] for slug, group in planned.items()}

    def named_files_of_value(
        self, value: models.HyperlinkedComponentInterfaceValue, directory: Path
    ) -> tuple[str, list[OutputFile]]:
        """Return the name that the image or the uploaded file of a value had, empty for JSON values, and its files.

        The files are at the relative path of its socket below a directory.
        """
        if isinstance(value.image, str):
            target = inside(directory, value.interface.relative_path)
            image = self._image(value.image)
            return image.name, [*files_of_image(self._calls, image, target)]
        # Some old sockets have no path, but a file needs a name.
        target = inside(directory, value.interface.relative_path or value.interface.slug)
        if isinstance(value.file, str):
            name = name_of(parse_server_url(value.file).path)
            return name, [(ApiFile(self._calls.transport, value.file), target)]
        return "", [(json.dumps(plain(value.value), indent=2).encode(), target)]

    def read_file(self, url: str) -> Any:
        """Return the file at a URL: parsed if its name ends in ``.json``, as text if it is UTF-8, or else as bytes."""
        with private_directory() as folder:
            (path,) = self._downloads.fetch(
                [(ApiFile(self._calls.transport, url), folder / "file")]
            )
            content = path.read_bytes()
        if name_of(parse_server_url(url).path).lower().endswith(".json"):
            return json.loads(content)
        try:
            return content.decode()
        except UnicodeDecodeError:
            return content

    def name_of_value(self, value: models.HyperlinkedComponentInterfaceValue) -> str:
        """Return the name that the image or the uploaded file of a value had; empty for JSON values."""
        if isinstance(value.image, str):
            return self._image(value.image).name
        return name_of(parse_server_url(value.file).path) if isinstance(value.file, str) else ""

    def files_of_image(self, url: str, directory: Path) -> list[OutputFile]:
        """Return the files of the image at an API URL."""
        return [*files_of_image(self._calls, self._image(url), directory)]

    def _image(self, url: str) -> models.HyperlinkedImage:
        return self._calls.get(api.cases_images_retrieve, str(parse_server_url(url)))
