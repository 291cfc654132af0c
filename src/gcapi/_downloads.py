"""Streaming to a temporary name, verified, and renamed: what stands under its final name is whole.

The way of a file is the API's 302 to the object store. The token goes to the API only.
"""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO
from uuid import uuid4

import httpx

from gcapi._calls import plain
from gcapi._names import full_suffix, inside, name_of
from gcapi._settings import is_safe
from gcapi.exceptions import (
    InvalidTarget,
    TransferError,
    UnexpectedAnswer,
    UnsafeName,
    shown_url,
    status_error,
)
from gcapi.progress import Listener, ProgressEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from gcapi._calls import Calls
    from gcapi.models import HyperlinkedComponentInterfaceValue, HyperlinkedImage, ImageFile

#: How much of a body is held at once, in bytes.
BLOCK = 1024 * 1024
#: Bytes are counted against Content-Length, which compression would make meaningless.
_FILE_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity"}
_UID = re.compile(r"[0-9.]{1,64}")


class Downloads:
    """Download files of the server.

    At most `max_concurrent_downloads` × `BLOCK` bytes are in memory.

    Args:
        calls: Calls the API.
        listener: Hears of the bytes that arrived.
    """

    def __init__(self, calls: Calls, listener: Listener) -> None:
        self._calls = calls
        self._listener = listener

    def file(self, url: str, target: Path) -> Path:
        """Download one file.

        Args:
            url: Its address on the API's host.
            target: Where it is to be; its directory is made.

        Raises:
            FileExistsError: The target is there already; nothing was transferred.
            StatusError: No such file, or no access.
            TransferError: It came in part.
        """
        refuse_existing([target])
        with saved_as(target) as file:
            self.into(url, file, name=target.name)
        return target

    def into(self, url: str, file: BinaryIO, *, name: str) -> None:
        """Download one file into an open one; what was written counts only if this returns."""
        transport = self._calls.transport
        address = httpx.URL(url)
        client = transport.client_for(address)
        request = client.build_request("GET", address, headers=_FILE_HEADERS)
        first = client.send(request, stream=True)
        response = transport.follow(first, headers=_FILE_HEADERS, stream=True)
        self._receive(response, file, name)

    def _receive(self, response: httpx.Response, file: BinaryIO, name: str) -> None:
        try:
            if not response.is_success:
                response.read()
                raise status_error(response, storage=not self._calls.settings.is_api(response.url))
            self._copy(response, file, name)
        finally:
            response.close()

    def _copy(self, response: httpx.Response, file: BinaryIO, name: str) -> None:
        length = response.headers.get("Content-Length")
        total = int(length) if length and length.isdigit() else None
        received = 0
        self._listener(ProgressEvent("download", name, 0, total))
        try:
            for block in response.iter_raw(BLOCK):
                file.write(block)
                received += len(block)
                self._listener(ProgressEvent("download", name, received, total))
        except httpx.RemoteProtocolError as error:
            raise TransferError(
                f"{shown_url(response.url)}: the connection ended before"
                f" {'its end' if total is None else f'all {total} bytes'} had come; nothing was kept. Run it again."
            ) from error
        if total is not None and received != total:
            raise TransferError(
                f"{shown_url(response.url)}: {received} of {total} bytes came; nothing was kept. Run it again."
            )

    def many(self, jobs: Sequence[tuple[Path, Callable[[BinaryIO], None]]]) -> list[Path]:
        """Write several files at once.

        Args:
            jobs: Each target, and what fills it.

        Raises:
            FileExistsError: One of the targets is there already; nothing was transferred.
        """
        refuse_existing([target for target, _ in jobs])
        workers = self._calls.settings.max_concurrent_downloads
        with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="gcapi-download") as pool:
            futures = [pool.submit(_fill, target, fill) for target, fill in jobs]
            try:
                return [future.result() for future in futures]
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    # ------------------------------------------------------------ socket values

    def socket_value(
        self, value: HyperlinkedComponentInterfaceValue, directory: Path
    ) -> list[Path]:
        """Write a socket value to where its socket's relative path says, below a directory.

        Args:
            value: An item of the values, inputs or outputs that were read from the server.
            directory: Made if missing.

        Returns:
            The files that were written; several for an image of several files.
        """
        target = inside(directory, value.interface.relative_path)
        if isinstance(value.image, str):
            image = self._calls.get("cases.cases_images_retrieve", value.image)
            return self.image(image, target)
        # Some sockets of old have no path; a file needs a name.
        target = target if value.interface.relative_path else target / value.interface.slug
        if isinstance(value.file, str):
            return [self.file(value.file, target)]
        refuse_existing([target])
        with saved_as(target) as file:
            file.write(json.dumps(plain(value.value), indent=2).encode())
        return [target]

    # ------------------------------------------------------------ images

    def image(
        self,
        image: HyperlinkedImage,
        directory: Path,
        *,
        filename: str | None = None,
        image_type: str | None = None,
    ) -> list[Path]:
        """Download the files of an image, or the instances of a DICOM image set.

        Args:
            image: As read from the server.
            directory: Where the files go; made if missing.
            filename: Their name without suffix; `None` for the image's pk.
            image_type: Only files of this type; `None` for all.

        Raises:
            ValueError: A file name for a DICOM image set, whose instances have names of their own.
        """
        if image.dicom_image_set:
            if filename is not None:
                raise ValueError(
                    "A DICOM image set is many files, named after their instances: leave filename out."
                )
            return self._dicom_image_set(image.pk, directory)
        return self.image_files(
            image.files, directory, filename=filename or image.pk, image_type=image_type
        )

    def image_files(
        self,
        files: Iterable[ImageFile],
        directory: Path,
        *,
        filename: str,
        image_type: str | None,
    ) -> list[Path]:
        """Download files of images, each named `filename` with the suffix that it has on the server."""
        chosen = [file for file in files if image_type is None or file.image_type == image_type]
        targets = [
            inside(directory, filename + full_suffix(name_of(httpx.URL(file.file).path)))
            for file in chosen
        ]
        if len(set(targets)) != len(targets):
            raise ValueError(
                f"Several of these files would be called {targets[0].name!r}: choose one with image_type, or give"
                " each call a filename of its own."
            )
        return self.many(
            [
                (target, self._filler(file.file, target.name))
                for target, file in zip(targets, chosen, strict=True)
            ]
        )

    def _filler(self, url: str, name: str) -> Callable[[BinaryIO], None]:
        return lambda file: self.into(url, file, name=name)

    def _dicom_image_set(self, pk: str, directory: Path) -> list[Path]:
        answer = self._calls.operation("cases.cases_images_dicom_instances_retrieve", pk).to_dict()
        recipes = _recipes(answer)
        return self.many(
            [
                (inside(directory, f"{uid}.dcm"), self._recipe_filler(recipe, f"{uid}.dcm"))
                for uid, recipe in recipes.items()
            ]
        )

    def _recipe_filler(self, recipe: Mapping[str, Any], name: str) -> Callable[[BinaryIO], None]:
        url, headers = _checked_recipe(recipe, self._calls.settings.token)

        def fill(file: BinaryIO) -> None:
            storage = self._calls.transport.storage
            request = storage.build_request(
                "GET", url, headers={"Accept-Encoding": "identity", **headers}
            )
            self._receive(storage.send(request, stream=True), file, name)

        return fill


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


def _checked_recipe(recipe: Any, token: str) -> tuple[httpx.URL, dict[str, str]]:
    """Return where a recipe leads and the headers that sign it.

    Args:
        recipe: As the server gives it.
        token: What must not be in it.

    Raises:
        UnexpectedAnswer: It is none, or asks for something else than to read.
        InvalidTarget: It leads to a host that is neither https nor this machine, or takes the token along.
    """
    if not isinstance(recipe, dict) or not isinstance(recipe.get("headers") or {}, dict):
        raise UnexpectedAnswer(
            f"The server says {str(recipe)[:200]!r} of how to fetch an instance."
        )
    if str(recipe.get("method", "GET")).upper() != "GET" or recipe.get("data") is not None:
        raise UnexpectedAnswer(
            f"The server asks for a {recipe.get('method')!r} request in place of a download; it is not sent."
        )
    url = httpx.URL(str(recipe.get("url")))
    if not is_safe(url):
        raise InvalidTarget(f"{shown_url(url)} is not fetched: it is not https.")
    headers = {str(name): str(value) for name, value in (recipe.get("headers") or {}).items()}
    if any(token in text for text in (str(url), *headers.values())):
        raise InvalidTarget(f"{shown_url(url)} is not fetched: it would be sent the token.")
    return url, headers


# ---------------------------------------------------------------- files on this machine


def refuse_existing(targets: Iterable[Path]) -> None:
    """Stop before a transfer whose result could not be put where it belongs.

    Raises:
        FileExistsError: One of them is there.
    """
    for target in targets:
        if target.exists() or target.is_symlink():
            raise FileExistsError(
                f"{target} is there already; move it away or choose another directory."
            )


@contextmanager
def saved_as(target: Path) -> Iterator[BinaryIO]:
    """Give a file under a temporary name beside its target, and rename it once it was written to its end.

    The temporary file is removed when anything goes wrong.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name[:40]}.{uuid4().hex}.part")
    try:
        with temporary.open("xb") as file:
            yield file
        refuse_existing([target])
        temporary.rename(target)
    except OSError as error:
        error.add_note(f"{target} was not written, and nothing half-written was left.")
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _fill(target: Path, fill: Callable[[BinaryIO], None]) -> Path:
    with saved_as(target) as file:
        fill(file)
    return target
