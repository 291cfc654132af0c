"""`Client`: the facade over everything, each method a few lines."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self, overload

from gcapi import jobs
from gcapi._api.operations import Calls
from gcapi._api.schema_diff import schema_drift
from gcapi._http.settings import OnLimit, Settings, Verify, resolve_token
from gcapi._http.transport import Transport
from gcapi._http.urls import DEFAULT_BASE_URL, join_path, parse_base_url
from gcapi._transfer.atomic_file import check_existing_file
from gcapi._workflows.checks import check_order, check_title
from gcapi._workflows.job_start import invoke_once
from gcapi._workflows.namespaces import Namespaces
from gcapi._workflows.workflows import Workflows
from gcapi.progress import listener_for
from gcapi.retries import check_factory
from grand_challenge_api.types import UNSET, Unset

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    import httpx

    from gcapi import models
    from gcapi._api.schema_diff import SchemaDrift
    from gcapi._transfer.atomic_file import ExistingFile
    from gcapi._workflows.case_kinds import ExistingCase
    from gcapi.progress import Listener
    from gcapi.retries import RetryStrategyFactory
    from gcapi.sockets import SocketValueSpec
    from grand_challenge_api.client import AuthenticatedClient

#: Seconds after which waiting ends unless told otherwise: the longest that the server lets a job run.
A_DAY = 86_400.0


class Client(Namespaces):
    """A connection to Grand Challenge.

    Constructing it does no I/O but to load code. The first request asks the server whether it supports this version. A
    client can be shared between threads, and works on in a forked process; use it as a context manager, or `close` it,
    to free its connections. A pickle of it holds no token: where it is loaded, it reads that from the environment.

    Args:
        token: An API token, as made on your Grand Challenge profile; empty to read it from the environment variable
            ``GRAND_CHALLENGE_AUTHORIZATION``. It goes to the API's host alone.
        base_url: The API's address; https, or http to this machine.
        verify: How TLS certificates are checked: `True` against the bundle that ``SSL_CERT_FILE`` or ``SSL_CERT_DIR``
            names, else against that of the package certifi; a path to a CA bundle; an `ssl.SSLContext`; or `False`
            for not at all.
        timeout: Seconds that connecting, a read or a write may be idle. An answer may take longer, as long as some of
            it comes.
        retry_strategy: A strategy class, or a callable that makes a strategy; `None` for up to eight repeats of
            answers that pass by themselves. No strategy makes a write happen twice.
        max_concurrent_uploads: Connections that uploads use at once.
        max_concurrent_downloads: Connections that downloads use at once.
        progress: `True` for a bar (plain lines where there is no terminal), or a callable that is given a
            `gcapi.progress.ProgressEvent` for each step of each file; `None` for nothing.
        on_limit: What to do where you have too many uploads, imports or active jobs at the server: ``"wait"`` until
            some have ended, with a `LimitWarning` that says for what and until when at most, and in no case until the
            uploads at hand expire (a day); or ``"raise"`` a `LimitReached` at once, as for all other limits.

    Raises:
        ConfigurationError: What was given cannot work (also a `RuntimeError`).

    Examples:
        >>> with Client() as client:
        ...     archive = client.archives.detail(slug="my-archive")
        >>> archive.title
        'My Archive'
    """

    def __init__(
        self,
        token: str = "",
        base_url: str = DEFAULT_BASE_URL,
        verify: Verify = True,
        timeout: float = 60.0,
        retry_strategy: RetryStrategyFactory | None = None,
        max_concurrent_uploads: int = 10,
        max_concurrent_downloads: int = 10,
        *,
        progress: Listener | bool | None = None,
        on_limit: OnLimit = "wait",
    ) -> None:
        #: The arguments of a copy or a pickle, beside the token.
        self._options: dict[str, Any] = {
            "base_url": base_url,
            "verify": verify,
            "timeout": timeout,
            "retry_strategy": retry_strategy,
            "max_concurrent_uploads": max_concurrent_uploads,
            "max_concurrent_downloads": max_concurrent_downloads,
            "progress": progress,
            "on_limit": on_limit,
        }
        self._settings = Settings(
            token=resolve_token(token),
            base_url=parse_base_url(base_url),
            verify=verify,
            timeout=timeout,
            max_concurrent_uploads=max_concurrent_uploads,
            max_concurrent_downloads=max_concurrent_downloads,
            on_limit=on_limit,
        )
        self._transport = Transport(self._settings, check_factory(retry_strategy))
        self._calls = Calls(self._transport)
        self.workflows = Workflows(self._calls, listener_for(progress))
        super().__init__(self._calls, self.workflows.file_uploads, self.workflows.downloads)

    # ------------------------------------------------------------ the connection

    @property
    def base_url(self) -> httpx.URL:
        """The API's address."""
        return self._settings.base_url

    @property
    def max_concurrent_uploads(self) -> int:
        """How many connections uploads use at once."""
        return self._settings.max_concurrent_uploads

    @property
    def max_concurrent_downloads(self) -> int:
        """How many connections downloads use at once."""
        return self._settings.max_concurrent_downloads

    @property
    def raw(self) -> AuthenticatedClient:
        """The generated client, for the functions of ``grand_challenge_api.api``.

        It uses this client's connections, authentication and retries.
        """
        return self._calls.generated_client()

    def close(self) -> None:
        """Close all connections. The client cannot be used afterwards: that is a `ConfigurationError`."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        """Return the settings without the token; of `progress` only `True` is kept.

        Raises:
            TypeError: `verify` is an `ssl.SSLContext`, which cannot be pickled.
        """
        if isinstance(self._settings.verify, ssl.SSLContext):
            raise TypeError(
                "A client whose verify is an ssl.SSLContext cannot be pickled: give it the path to a CA bundle."
            )
        return {**self._options, "progress": self._options["progress"] is True}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Client.__init__(self, **state)

    def __copy__(self) -> Self:
        """Return another client of the same settings, token included, with connections of its own."""
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
            url: A whole address on the API's host,
            path: or a path below `base_url`. Paths of the API end in a slash.
            params: Query parameters; `None` for none.
            json: A JSON body; `None` for none.
            extra_headers: Headers beside the usual ones; `None` for none.
            files: Files of a multipart body, as httpx takes them; `None` for none.
            data: A form body, as httpx takes it; `None` for none.
            follow_redirects: Whether to go where a redirect leads, which for files is the object store.

        Returns:
            The parsed body if the answer is JSON, else the whole `httpx.Response`.

        Raises:
            StatusError: The server refused (also an `httpx.HTTPStatusError`).
            InvalidTarget: The address is on another host, or not https; nothing was sent (also a `RuntimeError`).

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
        """Compare the server's schema with the one that this release was made from.

        Differences do no harm by themselves: what this client does not know is kept in each object's
        `additional_properties`, and what the server does not know is missing or `None`.

        Returns:
            What differs, in words, a line for each operation, model, field or value; false if nothing does.

        Raises:
            UnexpectedAnswer: There is something else than a schema.
        """
        return schema_drift(
            self(url=f"{self._settings.root_url}/api/schema/", params={"format": "json"})
        )

    # ------------------------------------------------------------ cases

    def add_case_to_archive(
        self,
        *,
        archive_slug: str,
        values: Sequence[SocketValueSpec],
        title: str | None = None,
        existing: ExistingCase = "error",
    ) -> models.ArchiveItemPost:
        """Create an archive item and fill it.

        Args:
            archive_slug: The archive, as in its address.
            values: What it holds; may be empty.
            title: At most 255 characters, unique in the archive if not empty; `None` for none.
            existing: What to do about an item of this title that is there: ``"error"`` is `TitleTaken`, ``"skip"``
                takes it and fills what is missing, ``"update"`` changes its values. The last two need a title, and
                make a loop that can be run again; the titles of an archive are listed once for each client.

        Returns:
            The item. Values that were uploaded come later: see `wait_for_values`.

        Raises:
            SpecError: A value cannot be made as specified; nothing was sent (also a `ValueError`).
            ObjectNotFound: No such archive or socket, or no access; nothing was uploaded.
            TitleTaken: There is a case of this title; nothing was made (also a `ValueError`).
            IncompleteCase: It was created and could not be filled; the error has its pk, and prints what to do.
            AmbiguousWriteError: Answers were lost, and nothing tells whether it was created.

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
        )

    def update_archive_item(
        self, *, archive_item_pk: str, values: Sequence[SocketValueSpec], title: str | None = None
    ) -> models.ArchiveItemPost:
        """Change values of an archive item; sockets that are not given keep theirs.

        Args:
            archive_item_pk: The item.
            values: What is new; may be empty.
            title: The new title, ``""`` to clear it; `None` to leave it.

        Raises:
            SpecError: A value cannot be made as specified; nothing was sent (also a `ValueError`).
            ObjectNotFound: No such item or socket, or no access; nothing was uploaded.

        Examples:
            >>> client.update_archive_item(
            ...     archive_item_pk=case.pk, values=[SocketValueSpec("lung-volume", value=2.1)]
            ... ).title
            'Earlier case'
        """
        return self.workflows.cases.update(
            self.workflows.archive_items, archive_item_pk, specs=values, fields=_case_fields(title)
        )

    def add_case_to_reader_study(
        self,
        *,
        reader_study_slug: str,
        values: Sequence[SocketValueSpec],
        title: str | None = None,
        order: int | None | Unset = UNSET,
        existing: ExistingCase = "error",
    ) -> models.DisplaySetPost:
        """Create a display set and fill it.

        Args:
            reader_study_slug: The reader study, as in its address.
            values: What it holds; may be empty.
            title: At most 255 characters, unique in the study if not empty; `None` for none.
            order: Its place; not given, `None` or 0 for the last.
            existing: What to do about a display set of this title that is there: ``"error"`` is `TitleTaken`,
                ``"skip"`` takes it and fills what is missing, ``"update"`` changes its values. The last two need a
                title, and make a loop that can be run again; the titles of a study are listed once for each client.

        Returns:
            The display set. Values that were uploaded come later: see `wait_for_values`.

        Raises:
            SpecError: A value cannot be made as specified; nothing was sent (also a `ValueError`).
            ObjectNotFound: No such study or socket, or no access; nothing was uploaded.
            TitleTaken: There is a case of this title; nothing was made (also a `ValueError`).
            IncompleteCase: It was created and could not be filled; the error has its pk, and prints what to do.
            AmbiguousWriteError: Answers were lost, and nothing tells whether it was created.

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
        )

    def update_display_set(
        self,
        *,
        display_set_pk: str,
        values: Sequence[SocketValueSpec],
        title: str | None = None,
        order: int | None | Unset = UNSET,
    ) -> models.DisplaySetPost:
        """Change values of a display set; sockets that are not given keep theirs.

        Args:
            display_set_pk: The display set.
            values: What is new; may be empty.
            title: The new title, ``""`` to clear it; `None` to leave it.
            order: The new place, `None` or 0 for the last; not given to leave it.

        Raises:
            SpecError: A value cannot be made as specified; nothing was sent (also a `ValueError`).
            ObjectNotFound: No such display set or socket, or no access; nothing was uploaded.
        """
        return self.workflows.cases.update(
            self.workflows.display_sets,
            display_set_pk,
            specs=values,
            fields=_case_fields(title, order),
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
        """Wait until the server has taken up the values that a case was given.

        This client remembers what it uploaded to which case. Of a case that another client filled, it can only see
        whether a socket has a value at all.

        Args:
            item: The archive item or display set, as the call that filled it returned it.
            values: The specifications that were given to that call.
            timeout: Seconds; `None` to wait for as long as it takes.

        Returns:
            The `ArchiveItem` or `DisplaySet`, with its values.

        Raises:
            ImportFailed: The server could not import an image; the error has its words.
            ImportTimeout: Values had not appeared in time, with what is known of their uploads.
        """
        return self.workflows.wait_for_values(item, values, timeout)

    # ------------------------------------------------------------ jobs

    def start_algorithm_job(
        self, *, algorithm_slug: str, inputs: Sequence[SocketValueSpec]
    ) -> models.JobPost:
        """Start a job.

        Args:
            algorithm_slug: The algorithm, as in its address.
            inputs: A value for each socket of one of the algorithm's interfaces, no more and no fewer.

        Raises:
            InterfaceMismatch: The inputs match no interface; the error shows the nearest.
            SpecError: A value cannot be made as specified; nothing was sent (also a `ValueError`).
            ObjectNotFound: No such algorithm or socket, or no access; nothing was uploaded.
        """
        algorithm = self.workflows.lookup.algorithms.get(algorithm_slug)
        plans = self.workflows.values.plan(inputs, algorithm=algorithm)
        return self.workflows.jobs.start(algorithm, self.workflows.values.upload(plans))

    def wait_for_job(
        self, job: models.JobPost | models.HyperlinkedJob | str, *, timeout: float | None = A_DAY
    ) -> models.HyperlinkedJob:
        """Wait until a job has ended.

        Args:
            job: The job, or its pk.
            timeout: Seconds; `None` to wait for as long as it takes.

        Returns:
            The job, with its outputs.

        Raises:
            JobFailed: It ended in another state than success.
            JobTimeout: It had not ended in time; it goes on.

        Examples:
            >>> job = client.start_algorithm_job(
            ...     algorithm_slug="my-algorithm",
            ...     inputs=[SocketValueSpec("generic-medical-image", file="ct.mha")],
            ... )
            >>> client.wait_for_job(job.pk, timeout=3600).status
            'Succeeded'
        """
        pk = job if isinstance(job, str) else job.pk
        return jobs.wait_for_job(pk, lambda: self.algorithm_jobs.detail(pk=pk), timeout=timeout)

    def run_algorithm(
        self,
        *,
        algorithm_slug: str,
        inputs: Sequence[SocketValueSpec],
        output_directory: str | Path,
        timeout: float | None = A_DAY,
        existing: ExistingFile = "error",
    ) -> jobs.AlgorithmRun:
        """Start a job, wait for it and download all its outputs.

        Args:
            algorithm_slug: The algorithm, as in its address.
            inputs: A value for each socket of one of the algorithm's interfaces, no more and no fewer.
            output_directory: Where the outputs go, each as its socket's relative path says; made if missing.
            timeout: Seconds to wait for the job; `None` for as long as it takes.
            existing: What to do about an output that is there: ``"error"``, ``"skip"`` or ``"overwrite"``.

        Raises:
            JobFailed: It ended in another state than success.
            JobTimeout: It had not ended in time; it goes on.
            InterfaceMismatch: The inputs match no interface; the error shows the nearest.
            SpecError: A value cannot be made as specified; nothing was sent (also a `ValueError`).
            ObjectNotFound: No such algorithm or socket, or no access; nothing was uploaded.
            FileExistsError: An output is there already.

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
        started = self.start_algorithm_job(algorithm_slug=algorithm_slug, inputs=inputs)
        job = self.wait_for_job(started, timeout=timeout)
        files = self.workflows.outputs.download_values(
            job.outputs, Path(output_directory), existing=existing
        )
        return jobs.AlgorithmRun(job, files)

    def invoke_algorithm_endpoint(
        self, *, endpoint_pk: str, inputs: Sequence[SocketValueSpec]
    ) -> models.InvocationPost:
        """Invoke an algorithm that is kept running (servers of July 2026 and newer).

        Args:
            endpoint_pk: The endpoint.
            inputs: A value for each socket of one of the algorithm's interfaces, no more and no fewer.

        Raises:
            InterfaceMismatch: The inputs match no interface; the error shows the nearest.
            SpecError: A value cannot be made as specified; nothing was sent (also a `ValueError`).
            ObjectNotFound: No such endpoint or socket, or no access; nothing was uploaded.
        """
        endpoint = self.algorithm_endpoints.detail(pk=endpoint_pk)
        algorithm = self.algorithms.detail(api_url=endpoint.algorithm)
        plans = self.workflows.values.plan(inputs, algorithm=algorithm)
        prepared = self.workflows.values.upload(plans)
        return invoke_once(self.algorithm_invocations, endpoint, prepared)

    # ------------------------------------------------------------ results

    def download_socket_value(
        self,
        value: models.HyperlinkedComponentInterfaceValue,
        *,
        output_directory: str | Path,
        existing: ExistingFile = "error",
    ) -> list[Path]:
        """Write a value to where its socket's relative path says, below a directory.

        Relative paths are unique among sockets, so the values of one case do not get in each other's way.

        Args:
            value: An item of the values, inputs or outputs of what was read from the server.
            output_directory: Made if missing.
            existing: What to do about a file that is there: ``"error"``, ``"skip"`` or ``"overwrite"``.

        Returns:
            The files that were written.

        Raises:
            FileExistsError: A target is there already; nothing was transferred.
            UnsafeName: The server names a file that would leave the directory.
            TransferError: A file came in part; it was not kept.

        Examples:
            >>> for value in case.values:
            ...     files = client.download_socket_value(value, output_directory="case-1")
        """
        files = self.workflows.outputs.download_values(
            [value], Path(output_directory), existing=existing
        )
        return files[value.interface.slug]

    # ------------------------------------------------------------ withdrawn

    def add_cases_to_archive(self, *_: Any, **__: Any) -> NoReturn:
        """Withdrawn: use `add_case_to_archive`."""
        raise NotImplementedError(
            "add_cases_to_archive is withdrawn: use add_case_to_archive for each case."
        )

    def add_cases_to_reader_study(self, *_: Any, **__: Any) -> NoReturn:
        """Withdrawn: use `add_case_to_reader_study`."""
        raise NotImplementedError(
            "add_cases_to_reader_study is withdrawn: use add_case_to_reader_study for each case."
        )

    def run_external_job(self, *_: Any, **__: Any) -> NoReturn:
        """Withdrawn: use `start_algorithm_job`."""
        raise NotImplementedError("run_external_job is withdrawn: use start_algorithm_job.")


def _case_fields(title: str | None, order: int | None | Unset = UNSET) -> dict[str, Any]:
    """Return the fields of a case as the API takes them: what is to be left alone is left out.

    Raises:
        SpecError: A title or an order that the server refuses.
    """
    fields: dict[str, Any] = {}
    if title is not None:
        fields["title"] = check_title(title)
    if not isinstance(order, Unset):
        fields["order"] = check_order(order or 0)
    return fields
