"""`Client`: the facade, each method a few lines."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self, overload

import httpx

from gcapi import jobs, models
from gcapi._api.operations import Calls
from gcapi._http.configuration import find_server, find_token
from gcapi._http.settings import OnLimit, Settings, Verify, bare_token
from gcapi._http.transport import Transport
from gcapi._http.urls import join_path
from gcapi._transfer.atomic_file import ExistingFile, check_existing_file
from gcapi._transfer.downloads import Downloads
from gcapi._transfer.uploads import Uploads
from gcapi._util.fork_safety import Lock
from gcapi._workflows.namespaces import Namespaces
from gcapi.findings import InspectMode
from gcapi.progress import Listener, listener_for
from gcapi.retries import RetryStrategyFactory, check_factory
from gcapi.sockets import SocketValueSpec
from grand_challenge_api.types import UNSET, Unset

if TYPE_CHECKING:  # imports attrs, which is slow
    from gcapi._api.schema_diff import SchemaDrift
    from gcapi._workflows.case_kinds import ExistingCase
    from gcapi._workflows.workflows import Workflows
    from grand_challenge_api.client import AuthenticatedClient

#: The default limit of waits in seconds: the longest time that the server lets a job run.
A_DAY = 86_400.0
#: The methods of older releases that were withdrawn, and what to use.
_WITHDRAWN = {
    "add_cases_to_archive": "add_case_to_archive",
    "add_cases_to_reader_study": "add_case_to_reader_study for each case",
    "run_external_job": "start_algorithm_job",
}


class Client(Namespaces):
    """A connection to Grand Challenge.

    The constructor sends nothing. The first request checks whether the server supports this version. A client can be
    shared between threads and used in a forked process. Use it as a context manager, or call `close`, to close its
    connections. Its pickle contains no token: the client that is loaded looks for the token of the same server.

    Args:
        token: An API token, created on your Grand Challenge profile; empty for that of the environment variable
            ``GRAND_CHALLENGE_AUTHORIZATION``, or else of ``gcapi login``. It is sent to the API's host only.
        base_url: The address of the API; https, or http to this machine. Empty for that of the environment variable
            ``GCAPI_BASE_URL``, else of the last ``gcapi login`` if its token is used, else of grand-challenge.org.
        verify: `True` to verify TLS certificates against the bundle in ``SSL_CERT_FILE`` or ``SSL_CERT_DIR``, or else
            that of the package certifi; a path to a CA bundle; an `ssl.SSLContext`; or `False` to verify nothing.
        timeout: Seconds that connecting, a read or a write may be idle. A response may take longer while its bytes
            keep arriving.
        retry_strategy: A strategy class, or a callable that returns a strategy; `None` to retry transient responses
            up to eight times. No strategy makes a write happen twice.
        max_concurrent_uploads: The number of connections for uploads.
        max_concurrent_downloads: The number of connections for downloads.
        progress: `True` for a progress bar (plain lines without a terminal), or a callable that is called with a
            `gcapi.progress.ProgressEvent` for each step of each file; `None` for nothing.
        on_limit: What to do when you have too many uploads, imports or active jobs on the server: ``"wait"`` until
            some have ended, with a `LimitWarning` that names the quota and the end of the wait, which is before the
            uploads of the call expire (a day); or ``"raise"`` `LimitReached` at once, as for all other limits.
        profile: A profile that ``gcapi --profile NAME login`` stored, whose address and token replace those of the
            environment; empty for the one in ``GCAPI_PROFILE``, if any.

    Raises:
        TokenError: There is no token for the server (also a `ConfigurationError`).
        ConfigurationError: An argument, or a setting of the environment, cannot be used (also a `RuntimeError`).

    Examples:
        >>> with Client() as client:
        ...     archive = client.archives.detail(slug="my-archive")
        >>> archive.title
        'My Archive'
    """

    def __init__(
        self,
        token: str = "",
        base_url: str = "",
        verify: Verify = True,
        timeout: float = 60.0,
        retry_strategy: RetryStrategyFactory | None = None,
        max_concurrent_uploads: int = 10,
        max_concurrent_downloads: int = 10,
        *,
        progress: Listener | bool | None = None,
        on_limit: OnLimit = "wait",
        profile: str = "",
    ) -> None:
        server = find_server(base_url, profile, with_token=bool(token))
        self._settings = Settings(
            token=bare_token(find_token(server, token).value),
            base_url=server.base_url,
            verify=verify,
            timeout=timeout,
            max_concurrent_uploads=max_concurrent_uploads,
            max_concurrent_downloads=max_concurrent_downloads,
            on_limit=on_limit,
        )
        #: The arguments of a copy or a pickle, beside the token.
        self._options: dict[str, Any] = {**vars(self._settings), "base_url": str(self.base_url)}
        self._options |= {"retry_strategy": retry_strategy, "progress": progress}
        self._options["profile"] = server.profile
        del self._options["token"]
        self._transport = Transport(self._settings, check_factory(retry_strategy))
        self._calls = Calls(self._transport)
        self._listener = listener_for(progress)
        self._file_uploads = Uploads(self._calls, self._listener)
        self._downloads = Downloads(self._transport, self._listener)
        self._workflows: Workflows | None = None
        self._workflows_lock = Lock()
        super().__init__(self._calls, self._file_uploads, self._downloads)

    @property
    def workflows(self) -> Workflows:
        """The parts that the methods below are made of, imported when they are first needed."""
        with self._workflows_lock:
            if self._workflows is None:
                from gcapi._workflows.workflows import Workflows

                self._workflows = Workflows(
                    self._calls, self._file_uploads, self._downloads, self._listener
                )
            return self._workflows

    # ------------------------------------------------------------ the connection

    @property
    def base_url(self) -> httpx.URL:
        """The address of the API."""
        return self._settings.base_url

    @property
    def max_concurrent_uploads(self) -> int:
        """The number of connections for uploads."""
        return self._settings.max_concurrent_uploads

    @property
    def max_concurrent_downloads(self) -> int:
        """The number of connections for downloads."""
        return self._settings.max_concurrent_downloads

    @property
    def raw(self) -> AuthenticatedClient:
        """The generated client, for the functions of ``grand_challenge_api.api``.

        It uses this client's connections, authentication and retries.
        """
        return self._calls.generated_client()

    def close(self) -> None:
        """Close all connections. Using the client afterwards raises `ConfigurationError`."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        """Return the settings without the token, and without a `progress` other than `True`.

        Raises:
            TypeError: `verify` is an `ssl.SSLContext`, which cannot be pickled.
        """
        if isinstance(self._settings.verify, ssl.SSLContext):
            raise TypeError(
                "A client whose verify is an ssl.SSLContext cannot be pickled. Give it the path to a CA bundle instead."
            )
        return {**self._options, "progress": self._options["progress"] is True}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Client.__init__(self, **state)

    def __copy__(self) -> Self:
        """Return a client with the same settings and token, and connections of its own."""
        copy = type(self).__new__(type(self))
        Client.__init__(copy, self._settings.token, **self._options)
        return copy

    def __deepcopy__(self, _: dict[int, Any]) -> Self:
        return self.__copy__()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.base_url}>"

    def __call__(
        self,
        method: str = "GET",
        url: str = "",
        path: str = "",
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        extra_headers: Mapping[str, str] | None = None,
        files: Any = None,
        data: Any = None,
        follow_redirects: bool = False,
    ) -> Any:
        """Send any request to the API.

        Args:
            method: The HTTP method.
            url: A URL on the API's host; empty to use `path`.
            path: A path below `base_url`; paths of the API end in a slash.
            params: Query parameters; `None` for none.
            json: A JSON body; `None` for none.
            extra_headers: Additional headers; `None` for none.
            files: Files of a multipart body, as for httpx; `None` for none.
            data: A form body, as for httpx; `None` for none.
            follow_redirects: Whether to follow redirects, which for files lead to the object store.

        Returns:
            The parsed body of a JSON response, else the `httpx.Response`.

        Raises:
            StatusError: The server refused the request (also an `httpx.HTTPStatusError`).
            InvalidTarget: The URL is on another host, or not https; nothing was sent (also a `RuntimeError`).

        Examples:
            >>> client("GET", path="archives/", params={"slug": "my-archive"})["count"]
            1
        """
        return self._calls.raw(
            method,
            str(url) or str(join_path(self.base_url, path)),
            params=params,
            json=json,
            headers=extra_headers,
            files=files,
            data=data,
            follow_redirects=follow_redirects,
        )

    def check_schema(self) -> SchemaDrift:
        """Compare the server's schema with the one that this release was generated from.

        A difference is no error: fields that this client does not know are in the `additional_properties` of each
        object, and fields that the server does not know are missing or `None`.

        Returns:
            A line for each operation, model, field or value that differs; false if there are none.

        Raises:
            UnexpectedAnswer: The response is not a schema.
        """
        from gcapi._api.schema_diff import schema_drift

        return schema_drift(
            self(url=f"{self._settings.root_url}/api/schema/", params={"format": "json"})
        )

    # ------------------------------------------------------------ cases

    def add_case_to_archive(
        self,
        *,
        archive_slug: str | models.Archive,
        values: Sequence[SocketValueSpec],
        title: str | None = None,
        existing: ExistingCase = "error",
        inspect: InspectMode = "error",
    ) -> models.ArchiveItemPost:
        """Create an archive item and fill it.

        Args:
            archive_slug: The archive, or its slug, the last part of the URL of its page.
            values: The values of the item; may be empty.
            title: At most 255 characters, unique in the archive unless it is empty; `None` for no title.
            existing: What to do if an item has this title already: ``"error"`` raises `TitleTaken`, ``"skip"`` keeps
                it and fills what is missing, ``"update"`` changes its values. The last two need a title, and make a
                loop that can be run again; a client lists the titles of an archive once.
            inspect: What to do about findings in local files, which are inspected before anything is sent: ``"error"``
                raises `FileInspectionError` for errors and issues a `FileWarning` for warnings; ``"warn"`` issues a
                `FileWarning` for both; ``"off"`` does not inspect.

        Returns:
            The item. Values that were uploaded arrive later: see `wait_for_values`.

        Raises:
            SpecError: A value, or one of its files, is not valid; nothing was sent (also a `ValueError`).
            ObjectNotFound: There is no such archive or socket, or no access to it; nothing was uploaded.
            TitleTaken: Another item has this title; nothing was created (also a `ValueError`).
            IncompleteCase: The item was created and could not be filled; the error has its pk, and shows the call that
                completes it.
            AmbiguousWriteError: Responses were lost, and it is unknown whether the item was created.

        Examples:
            >>> values = [
            ...     SocketValueSpec("generic-medical-image", file="ct.mha"),
            ...     SocketValueSpec("lung-volume", value=1.9),
            ... ]
            >>> item = client.add_case_to_archive(
            ...     archive_slug="my-archive", values=values, title="Case 1", existing="skip"
            ... )
            >>> case = client.wait_for_values(item, values=values, timeout=600)
        """
        return self.workflows.cases.add(
            lambda: self.workflows.archive(archive_slug),
            specs=values,
            fields=_case_fields(title),
            existing=existing,
            inspect=inspect,
        )

    def update_archive_item(
        self,
        *,
        archive_item_pk: str,
        values: Sequence[SocketValueSpec],
        title: str | None = None,
        inspect: InspectMode = "error",
    ) -> models.ArchiveItemPost:
        """Change values of an archive item; the other sockets keep theirs.

        Args:
            archive_item_pk: The item.
            values: The new values; may be empty.
            title: The new title, ``""`` to clear it; `None` to keep it.
            inspect: What to do about findings in local files; see `add_case_to_archive`.

        Raises:
            SpecError: A value, or one of its files, is not valid; nothing was sent (also a `ValueError`).
            ObjectNotFound: There is no such item or socket, or no access to it; nothing was uploaded.

        Examples:
            >>> client.update_archive_item(
            ...     archive_item_pk=case.pk, values=[SocketValueSpec("lung-volume", value=2.1)]
            ... ).title
            'Earlier case'
        """
        return self.workflows.cases.update(
            self.workflows.archive_items,
            archive_item_pk,
            specs=values,
            fields=_case_fields(title),
            inspect=inspect,
        )

    def add_case_to_reader_study(
        self,
        *,
        reader_study_slug: str | models.ReaderStudy,
        values: Sequence[SocketValueSpec],
        title: str | None = None,
        order: int | None | Unset = UNSET,
        existing: ExistingCase = "error",
        inspect: InspectMode = "error",
    ) -> models.DisplaySetPost:
        """Create a display set and fill it.

        Args:
            reader_study_slug: The reader study, or its slug, the last part of the URL of its page.
            values: The values of the display set; may be empty.
            title: At most 255 characters, unique in the study unless it is empty; `None` for no title.
            order: The position; `None`, 0 or not given for the last.
            existing: What to do if a display set has this title already: ``"error"`` raises `TitleTaken`, ``"skip"``
                keeps it and fills what is missing, ``"update"`` changes its values. The last two need a title, and
                make a loop that can be run again; a client lists the titles of a study once.
            inspect: What to do about findings in local files; see `add_case_to_archive`.

        Returns:
            The display set. Values that were uploaded arrive later: see `wait_for_values`.

        Raises:
            SpecError: A value, or one of its files, is not valid; nothing was sent (also a `ValueError`).
            ObjectNotFound: There is no such study or socket, or no access to it; nothing was uploaded.
            TitleTaken: Another display set has this title; nothing was created (also a `ValueError`).
            IncompleteCase: The display set was created and could not be filled; the error has its pk, and shows the
                call that completes it.
            AmbiguousWriteError: Responses were lost, and it is unknown whether the display set was created.

        Examples:
            >>> display_set = client.add_case_to_reader_study(
            ...     reader_study_slug="my-study",
            ...     values=[SocketValueSpec("lung-volume", value=1.9)],
            ...     title="Case 1",
            ...     order=10,
            ... )
        """
        return self.workflows.cases.add(
            lambda: self.workflows.reader_study(reader_study_slug),
            specs=values,
            fields=_case_fields(title, order),
            existing=existing,
            inspect=inspect,
        )

    def update_display_set(
        self,
        *,
        display_set_pk: str,
        values: Sequence[SocketValueSpec],
        title: str | None = None,
        order: int | None | Unset = UNSET,
        inspect: InspectMode = "error",
    ) -> models.DisplaySetPost:
        """Change values of a display set; the other sockets keep theirs.

        Args:
            display_set_pk: The display set.
            values: The new values; may be empty.
            title: The new title, ``""`` to clear it; `None` to keep it.
            order: The new position, `None` or 0 for the last; not given to keep it.
            inspect: What to do about findings in local files; see `add_case_to_archive`.

        Raises:
            SpecError: A value, or one of its files, is not valid; nothing was sent (also a `ValueError`).
            ObjectNotFound: There is no such display set or socket, or no access to it; nothing was uploaded.
        """
        return self.workflows.cases.update(
            self.workflows.display_sets,
            display_set_pk,
            specs=values,
            fields=_case_fields(title, order),
            inspect=inspect,
        )

    @overload
    def wait_for_values(
        self,
        item: models.ArchiveItem | models.ArchiveItemPost,
        *,
        values: Sequence[SocketValueSpec],
        timeout: float | None = A_DAY,
    ) -> models.ArchiveItem: ...

    @overload
    def wait_for_values(
        self,
        item: models.DisplaySet | models.DisplaySetPost,
        *,
        values: Sequence[SocketValueSpec],
        timeout: float | None = A_DAY,
    ) -> models.DisplaySet: ...

    def wait_for_values(
        self, item: Any, *, values: Sequence[SocketValueSpec], timeout: float | None = A_DAY
    ) -> Any:
        """Wait until the server has imported the values of a case.

        A client remembers the uploads of the 10,000 cases that it used last. For a case that another client filled, it
        can only see whether a socket has a value at all.

        Args:
            item: The archive item or display set that was filled.
            values: The specifications that it was filled with.
            timeout: Seconds to wait; `None` for no limit.

        Returns:
            The `ArchiveItem` or `DisplaySet`, with its values.

        Raises:
            ImportFailed: The server could not import a value; the error has the server's words.
            ImportTimeout: Values did not arrive in time; the error says what is known of their uploads.
        """
        return self.workflows.wait_for_values(item, values, timeout)

    # ------------------------------------------------------------ jobs

    def start_algorithm_job(
        self,
        *,
        algorithm_slug: str | models.Algorithm,
        inputs: Sequence[SocketValueSpec],
        inspect: InspectMode = "error",
    ) -> models.JobPost:
        """Start a job.

        Args:
            algorithm_slug: The algorithm, or its slug, the last part of the URL of its page.
            inputs: A value for each input of one of the algorithm's interfaces.
            inspect: What to do about findings in local files; see `add_case_to_archive`.

        Raises:
            InterfaceMismatch: The inputs match no interface; the error shows the nearest one.
            SpecError: A value, or one of its files, is not valid; nothing was sent (also a `ValueError`).
            ObjectNotFound: There is no such algorithm or socket, or no access to it; nothing was uploaded.
        """
        algorithm = self.workflows.lookup.algorithms.get(algorithm_slug)
        values = self.workflows.upload_inputs(algorithm, inputs, inspect)
        return self.workflows.jobs.start(algorithm, values)

    def wait_for_job(
        self, job: models.JobPost | models.HyperlinkedJob | str, *, timeout: float | None = A_DAY
    ) -> models.HyperlinkedJob:
        """Wait until a job has succeeded.

        Args:
            job: The job, or its pk.
            timeout: Seconds to wait; `None` for no limit.

        Returns:
            The job, with its outputs.

        Raises:
            JobFailed: The job failed or was cancelled.
            JobTimeout: The job did not finish in time; it keeps running.

        Examples:
            >>> job = client.start_algorithm_job(
            ...     algorithm_slug="my-algorithm",
            ...     inputs=[SocketValueSpec("generic-medical-image", file="ct.mha")],
            ... )
            >>> client.wait_for_job(job.pk, timeout=3600).status
            'Succeeded'
        """
        return self.workflows.wait_for_job(job if isinstance(job, str) else job.pk, timeout)

    def run_algorithm(
        self,
        *,
        algorithm_slug: str | models.Algorithm,
        inputs: Sequence[SocketValueSpec],
        output_directory: str | Path,
        timeout: float | None = A_DAY,
        existing: ExistingFile = "error",
        inspect: InspectMode = "error",
    ) -> jobs.AlgorithmRun:
        """Start a job, wait for it and download all its outputs.

        Args:
            algorithm_slug: The algorithm, or its slug, the last part of the URL of its page.
            inputs: A value for each input of one of the algorithm's interfaces.
            output_directory: The directory for the outputs, each at the relative path of its socket; created if it is
                missing.
            timeout: Seconds to wait for the job; `None` for no limit.
            existing: What to do about an output file that exists: ``"error"``, ``"skip"`` or ``"overwrite"``.
            inspect: What to do about findings in local files; see `add_case_to_archive`.

        Raises:
            JobFailed: The job failed or was cancelled.
            JobTimeout: The job did not finish in time; it keeps running.
            InterfaceMismatch: The inputs match no interface; the error shows the nearest one.
            SpecError: A value, or one of its files, is not valid; nothing was sent (also a `ValueError`).
            ObjectNotFound: There is no such algorithm or socket, or no access to it; nothing was uploaded.
            FileExistsError: An output file exists already.

        Examples:
            >>> run = client.run_algorithm(
            ...     algorithm_slug="my-algorithm",
            ...     inputs=[SocketValueSpec("generic-medical-image", file="ct.mha")],
            ...     output_directory="results",
            ... )
            >>> sorted(run.files)
            ['mean-intensity', 'thresholded-image']
        """
        check_existing_file(existing)
        started = self.start_algorithm_job(
            algorithm_slug=algorithm_slug, inputs=inputs, inspect=inspect
        )
        job = self.wait_for_job(started, timeout=timeout)
        files = self.workflows.outputs.download_values(
            job.outputs, Path(output_directory), existing=existing
        )
        return jobs.AlgorithmRun(job, files)

    def invoke_algorithm_endpoint(
        self, *, endpoint_pk: str, inputs: Sequence[SocketValueSpec], inspect: InspectMode = "error"
    ) -> models.InvocationPost:
        """Invoke an algorithm that is kept running (servers of July 2026 and newer).

        Args:
            endpoint_pk: The endpoint.
            inputs: A value for each input of one of the algorithm's interfaces.
            inspect: What to do about findings in local files; see `add_case_to_archive`.

        Raises:
            InterfaceMismatch: The inputs match no interface; the error shows the nearest one.
            SpecError: A value, or one of its files, is not valid; nothing was sent (also a `ValueError`).
            ObjectNotFound: There is no such endpoint or socket, or no access to it; nothing was uploaded.
        """
        endpoint = self.algorithm_endpoints.detail(pk=endpoint_pk)
        algorithm = self.algorithms.detail(api_url=endpoint.algorithm)
        values = self.workflows.upload_inputs(algorithm, inputs, inspect)
        return self.workflows.jobs.invoke(endpoint, values)

    # ------------------------------------------------------------ results

    def download_socket_value(
        self,
        value: models.HyperlinkedComponentInterfaceValue,
        *,
        output_directory: str | Path,
        existing: ExistingFile = "error",
    ) -> list[Path]:
        """Write a value to a file, at the relative path of its socket in a directory.

        Relative paths are unique among sockets, so the values of one case do not overwrite each other.

        Args:
            value: A value, input or output of an object that was read from the server.
            output_directory: The directory; created if it is missing.
            existing: What to do about a file that exists: ``"error"``, ``"skip"`` or ``"overwrite"``.

        Returns:
            The files that were written.

        Raises:
            FileExistsError: A file exists already; nothing was downloaded.
            UnsafeName: The server gives a file name that would leave the directory.
            TransferError: A download was incomplete; no part of it was kept.

        Examples:
            >>> for value in case.values:
            ...     files = client.download_socket_value(value, output_directory="case-1")
        """
        files = self.workflows.outputs.download_values(
            [value], Path(output_directory), existing=existing
        )
        return files[value.interface.slug]

    def read_socket_value(self, value: models.HyperlinkedComponentInterfaceValue) -> Any:
        """Return the content of a value, whatever its kind.

        Args:
            value: A value, input or output of an object that was read from the server.

        Returns:
            A `SimpleITK.Image` for an image (see `client.images.read`). For a file, the parsed JSON of one that ends in
            ``.json``, the text of another that is UTF-8, or else its bytes. For any other kind, the JSON value.

        Raises:
            MissingExtra: The value is an image, and the extra `images` is not installed.
            TransferError: A download was incomplete.

        Examples:
            >>> for value in case.values:
            ...     content = client.read_socket_value(value)
        """
        if isinstance(value.image, str):
            return self.images.read(value.image)
        if isinstance(value.file, str):
            return self.workflows.outputs.read_file(value.file)
        return value.value

    if not TYPE_CHECKING:  # so that neither editors nor `dir` offer what is withdrawn

        def __getattr__(self, name: str) -> Any:
            if name not in _WITHDRAWN:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

            def refuse(*_: Any, **__: Any) -> NoReturn:
                raise NotImplementedError(f"{name} is withdrawn: use {_WITHDRAWN[name]}.")

            return refuse


def _case_fields(title: str | None, order: int | None | Unset = UNSET) -> dict[str, Any]:
    """Return the given fields of a case as the API takes them.

    Raises:
        SpecError: The server would refuse the title or the order.
    """
    from gcapi._workflows.checks import check_order, check_title

    fields: dict[str, Any] = {}
    if title is not None:
        fields["title"] = check_title(title)
    if not isinstance(order, Unset):
        fields["order"] = check_order(order or 0)
    return fields
