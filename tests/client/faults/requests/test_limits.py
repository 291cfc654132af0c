"""Quotas of the server: waits that help, refusals where waiting does not help, and nothing left behind."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from gcapi import Client, SocketValueSpec
from gcapi.exceptions import (
    ConfigurationError,
    LimitReached,
    LimitWarning,
    OutOfCredits,
    PermissionDenied,
    TooManyActiveJobs,
    TooManyFiles,
    TooManyImports,
    TooManyUploads,
    UploadLimitReached,
)
from gcapi_sandbox import Sandbox
from tests.support.servers.loopback import Answer, Loopback, Seen, connect

PK = "0fd8c0bb-46ea-4f3c-b9f8-6ab0f2fd3b5d"


@pytest.fixture(scope="module", autouse=True)
def _sockets(sandbox: Sandbox) -> None:
    """Make what all tests here use: an archive, a socket for files and one for numbers, and an algorithm of each."""

    def run(_: Path, outputs: Path) -> None:
        (outputs / "answer.json").write_text("42")

    sandbox.add_archive("cases")
    sandbox.add_socket("table", "CSV file")
    sandbox.add_socket("number", "Float")
    sandbox.add_socket("answer", "Integer")
    sandbox.add_algorithm("of numbers", interfaces=[(["number"], ["answer"])], run=run)
    sandbox.add_algorithm("of tables", interfaces=[(["table"], ["answer"])], run=run)


@contextmanager
def limited(sandbox: Sandbox, **limits: int) -> Iterator[None]:
    """Lower limits for a block."""
    before = vars(sandbox.limits).copy()
    vars(sandbox.limits).update(limits)
    try:
        yield
    finally:
        vars(sandbox.limits).update(before)


@pytest.fixture
def user(sandbox: Sandbox, request: pytest.FixtureRequest) -> Iterator[Client]:
    """Give a client of the usual user, whose former uploads are out of the way."""
    sandbox.wait_idle()
    with Client(token=sandbox.token, base_url=sandbox.base_url) as connected:
        yield connected
    with Client(token=sandbox.token, base_url=sandbox.base_url, on_limit="raise") as connected:
        for upload in connected.uploads.iterate_all():
            assert upload.status != "Initialized", request.node.name


def refusals(sandbox: Sandbox, path: str, at_least: int = 2, seconds: float = 10.0) -> None:
    """Return once so many requests to a path were refused."""
    changed = threading.Event()
    for _ in range(int(seconds / 0.02)):
        seen = [one for one in sandbox.requests if one.path.endswith(path) and one.status == 400]
        if len(seen) >= at_least:
            return
        changed.wait(0.02)
    raise AssertionError(f"{path} was not refused {at_least} times")


def uploads_left(client: Client) -> list[tuple[str, str]]:
    """Return the name and the status of each upload."""
    return sorted((one.filename, one.status) for one in client.uploads.iterate_all())


def table(number: int) -> SocketValueSpec:
    """Return a value that is uploaded."""
    return SocketValueSpec("table", value=f"a;{number}\n")


def scan() -> bytes:
    """Return a small image."""
    from tests.support.servers.raw_http import image_bytes

    return image_bytes()


# ---------------------------------------------------------------- waiting


def in_background(call: Callable[[], Any], then: Callable[[], None]) -> Any:
    """Make a call in a thread, do something meanwhile, and return what the call returns."""
    with ThreadPoolExecutor(1) as pool:
        future: Future[Any] = pool.submit(call)
        try:
            then()
        finally:
            outcome = future.exception(30)
        if outcome is not None:
            raise outcome
        return future.result()


def test_uploads_wait_until_earlier_ones_are_used(sandbox: Sandbox, user: Client) -> None:
    """A case whose uploads are too many waits until the server has used the earlier ones, and is made once."""
    count = user.uploads.count()
    archive = user.archives.detail(slug="cases").pk
    before = user.archive_items.count({"archive": archive})
    with (  # noqa: PT031 - what is waited for happens meanwhile
        limited(sandbox, uploads_per_user=count + 2),
        pytest.warns(LimitWarning) as caught,
        ExitStack() as held,
    ):
        held.enter_context(sandbox.hold_background())
        for number in range(2):
            user.add_case_to_archive(archive_slug="cases", values=[table(number)])
        sandbox.requests.clear()

        def release() -> None:
            refusals(sandbox, "/uploads/")
            held.close()

        item = in_background(
            lambda: user.add_case_to_archive(archive_slug="cases", values=[table(3)]), release
        )
    sandbox.wait_idle()
    (value,) = user.archive_items.detail(pk=item.pk).values
    assert value.interface.slug == "table"
    assert user.archive_items.count({"archive": archive}) == before + 3
    assert user.uploads.count() == count
    assert len(caught) == 1
    assert "earlier uploads of yours to be used" in str(caught[0].message)


def test_threads_of_one_call_wait_together(sandbox: Sandbox, user: Client) -> None:
    """Of many files of one call that meet the limit at once, each is uploaded in the end, with one warning."""
    count = user.uploads.count()
    fillers = [user.uploads.create(filename=f"{n}.bin") for n in range(3)]
    with limited(sandbox, uploads_per_user=count + 3), pytest.warns(LimitWarning) as caught:  # noqa: PT031 - what is waited for happens meanwhile
        sandbox.requests.clear()

        def release() -> None:
            refusals(sandbox, "/uploads/", 8)
            sandbox.limits.uploads_per_user = 2001

        names = [f"{n}.txt" for n in range(12)]
        made = in_background(
            lambda: user.uploads.upload_multiple_fileobj(
                file_objects=[io.BytesIO(name.encode()) for name in names], filenames=names
            ),
            release,
        )
    assert [(one.filename, one.status) for one in made] == [(name, "Completed") for name in names]
    assert len(caught) == 1
    for upload in fillers:
        user.uploads.abort_multipart_upload(pk=upload.pk, s3_upload_id=upload.s3_upload_id)


def test_jobs_wait_until_others_have_ended(sandbox: Sandbox, user: Client) -> None:
    """A job that is one too many waits until another has ended, and is started once."""
    jobs = user.algorithm_jobs.count()
    with (  # noqa: PT031 - what is waited for happens meanwhile
        limited(sandbox, active_jobs_per_user=1),
        pytest.warns(LimitWarning) as caught,
        ExitStack() as held,
    ):
        held.enter_context(sandbox.hold_background())
        user.start_algorithm_job(algorithm_slug="of-numbers", inputs=[number(1.5)])
        sandbox.requests.clear()

        def release() -> None:
            refusals(sandbox, "/algorithms/jobs/")
            held.close()

        job = in_background(
            lambda: user.start_algorithm_job(algorithm_slug="of-numbers", inputs=[number(2.5)]),
            release,
        )
        assert user.wait_for_job(job, timeout=30).status == "Succeeded"
    assert user.algorithm_jobs.count() == jobs + 2
    assert len(caught) == 1
    assert "Waiting for jobs of yours to end, until 20" in str(caught[0].message)
    assert 'on_limit="raise"' in str(caught[0].message)


def test_a_job_that_waits_does_not_hold_up_another(
    sandbox: Sandbox, user: Client, hasty: Client
) -> None:
    """While a job waits for the limit, another call for the same algorithm has its own answer at once."""
    with ExitStack() as held, pytest.warns(LimitWarning):  # noqa: PT031 - what is waited for happens meanwhile
        held.enter_context(limited(sandbox, active_jobs_per_user=0))
        sandbox.requests.clear()

        def start_another() -> None:
            refusals(sandbox, "/algorithms/jobs/")
            with ThreadPoolExecutor(1) as pool:
                another = pool.submit(
                    lambda: hasty.start_algorithm_job(
                        algorithm_slug="of-numbers", inputs=[number(4.5)]
                    )
                )
                try:
                    assert isinstance(another.exception(5), TooManyActiveJobs)
                finally:
                    held.close()

        in_background(
            lambda: user.start_algorithm_job(algorithm_slug="of-numbers", inputs=[number(3.5)]),
            start_another,
        )


def number(value: float) -> SocketValueSpec:
    """Return a value that travels in the request."""
    return SocketValueSpec("number", value=value)


def test_imports_wait_until_others_are_processed(sandbox: Sandbox, user: Client) -> None:
    """An upload session that is one too many waits until another has been processed."""
    uploads = [
        user.uploads.upload_fileobj(fileobj=io.BytesIO(scan()), filename=f"{n}.mha").api_url
        for n in range(2)
    ]
    sandbox.add_socket("generic medical image")
    with (  # noqa: PT031 - what is waited for happens meanwhile
        limited(sandbox, imports_per_user=1),
        pytest.warns(LimitWarning, match="to be processed"),
        ExitStack() as held,
    ):
        held.enter_context(sandbox.hold_background())
        user.raw_image_upload_sessions.create(uploads=uploads[:1], archive="cases")
        sandbox.requests.clear()

        def release() -> None:
            refusals(sandbox, "/upload-sessions/")
            held.close()

        session = in_background(
            lambda: user.raw_image_upload_sessions.create(uploads=uploads[1:], archive="cases"),
            release,
        )
    sandbox.wait_idle()
    assert user.raw_image_upload_sessions.detail(pk=session.pk).status == "Succeeded"


# ---------------------------------------------------------------- raising


@pytest.fixture
def hasty(sandbox: Sandbox, user: Client) -> Iterator[Client]:
    """Give a client that does not wait."""
    assert user
    with Client(token=sandbox.token, base_url=sandbox.base_url, on_limit="raise") as connected:
        yield connected


def test_too_many_uploads_are_told_at_once(sandbox: Sandbox, hasty: Client) -> None:
    """A client that does not wait raises, sends the request once, and says nothing of waiting."""
    with limited(sandbox, uploads_per_user=0):
        sandbox.requests.clear()
        with pytest.raises(TooManyUploads, match="too many uploads"):
            hasty.uploads.create(filename="a.bin")
        assert [one.method for one in sandbox.requests if "/uploads/" in one.path] == ["POST"]


def test_refused_uploads_are_aborted_and_told_of(sandbox: Sandbox, hasty: Client) -> None:
    """A call that reaches the limit aborts its unfinished uploads and names the finished ones."""
    count = hasty.uploads.count()
    with limited(sandbox, uploads_per_user=count + 2), pytest.raises(TooManyUploads) as caught:
        hasty.uploads.upload_multiple_fileobj(
            file_objects=[io.BytesIO(b"x") for _ in range(6)],
            filenames=[f"refused-{n}.txt" for n in range(6)],
        )
    left = [status for name, status in uploads_left(hasty) if name.startswith("refused-")]
    assert len(left) == 2
    assert set(left) <= {"Aborted", "Completed"}
    noted = [note for note in getattr(caught.value, "__notes__", []) if "not used" in note]
    assert bool(noted) == ("Completed" in left)


def test_a_call_that_fills_the_limit_by_itself_does_not_wait(
    sandbox: Sandbox,
) -> None:
    """If all uploads belong to the call itself, waiting cannot help, and it fails at once."""
    token = sandbox.add_user("lonely")
    with (
        limited(sandbox, uploads_per_user=3),
        Client(token=token, base_url=sandbox.base_url, max_concurrent_uploads=1) as lonely,
        pytest.raises(TooManyUploads) as caught,
    ):
        lonely.uploads.upload_multiple_fileobj(
            file_objects=[io.BytesIO(b"x") for _ in range(6)],
            filenames=[f"{n}.txt" for n in range(6)],
        )
    assert "All your 3 uploads are of this call" in caught.value.__notes__[0]
    assert "uploaded for it and not used; the server removes" in caught.value.__notes__[1]


def test_full_room_is_told_at_once(sandbox: Sandbox, user: Client) -> None:
    """Too many bytes are not waited for, even by a client that waits; the upload is aborted."""
    with limited(sandbox, upload_bytes=0), pytest.raises(UploadLimitReached, match="after a day"):
        user.uploads.upload_fileobj(fileobj=io.BytesIO(b"x"), filename="full.txt")
    assert [status for name, status in uploads_left(user) if name == "full.txt"] == ["Aborted"]


def test_urls_of_a_finished_upload_are_no_limit(user: Client) -> None:
    """The server says the same of a finished upload; that is told for what it is."""
    done = user.uploads.upload_fileobj(fileobj=io.BytesIO(b"x"), filename="done.txt")
    with pytest.raises(PermissionDenied, match="is 'Completed' and accepts no parts") as caught:
        user.uploads.generate_presigned_urls(
            pk=done.pk, s3_upload_id=done.s3_upload_id, part_numbers=[1]
        )
    assert not isinstance(caught.value, LimitReached)


def test_credits_are_told_at_once_with_the_uploads(sandbox: Sandbox, user: Client) -> None:
    """Spent credits are not waited for, and the error says what becomes of the job's uploads."""
    jobs = user.algorithm_jobs.count()
    with (
        limited(sandbox, credits=0, free_jobs_for_editors=0),
        pytest.raises(OutOfCredits) as caught,
    ):
        user.start_algorithm_job(algorithm_slug="of-tables", inputs=[table(7)])
    assert caught.value.__notes__ == [
        "1 file was uploaded for it and not used; the server removes it after a day."
    ]
    assert user.algorithm_jobs.count() == jobs


def test_active_jobs_are_told_at_once_where_nobody_waits(sandbox: Sandbox, hasty: Client) -> None:
    """A client that does not wait raises for a job that is one too many; no job is started."""
    jobs = hasty.algorithm_jobs.count()
    with limited(sandbox, active_jobs_per_user=0), pytest.raises(TooManyActiveJobs):
        hasty.start_algorithm_job(algorithm_slug="of-numbers", inputs=[number(9.5)])
    assert hasty.algorithm_jobs.count() == jobs


def test_sessions_of_too_many_files_are_told_at_once(sandbox: Sandbox, user: Client) -> None:
    """Too many files in a session are not waited for."""
    url = user.uploads.upload_fileobj(fileobj=io.BytesIO(b"x"), filename="one.mha").api_url
    with limited(sandbox, files_per_session=0), pytest.raises(TooManyFiles, match="several"):
        user.raw_image_upload_sessions.create(uploads=[url])


def test_imports_are_told_at_once_where_nobody_waits(sandbox: Sandbox, hasty: Client) -> None:
    """A client that does not wait raises for an import that is one too many."""
    url = hasty.uploads.upload_fileobj(fileobj=io.BytesIO(b"x"), filename="two.mha").api_url
    with limited(sandbox, imports_per_user=0), pytest.raises(TooManyImports):
        hasty.raw_image_upload_sessions.create(uploads=[url])


@pytest.mark.parametrize("policy", ["", "Wait", None, True, 3, ["wait"]])
def test_other_policies_are_refused(policy: Any) -> None:
    """Another value of `on_limit` is a ConfigurationError."""
    with pytest.raises(ConfigurationError, match="must be 'wait' or 'raise'"):
        Client(token="t", base_url="http://127.0.0.1:1/", on_limit=policy)


# ---------------------------------------------------------------- the end of a wait

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def busy(created: datetime) -> Callable[[Seen], Answer]:
    """Return a server with no room for a job, at a time of its own, that holds one upload."""
    upload = {
        "pk": PK,
        "created": created.isoformat(),
        "filename": "a",
        "key": "k",
        "s3_upload_id": "s3",
        "status": "Completed",
        "api_url": f"https://gc.localhost/api/v1/uploads/{PK}/",
    }
    words = "You have too many active jobs, please try again after they have completed"

    def script(seen: Seen) -> Answer:
        if seen.method == "GET" and "offset=0" in seen.path:
            return Answer(body={"count": 1, "next": None, "previous": None, "results": [upload]})
        if seen.method == "GET":
            return Answer(body={"count": 1, "next": None, "previous": None, "results": []})
        return Answer(400, {"non_field_errors": [words]}, {"Date": format_datetime(NOW)})

    return script


@pytest.mark.parametrize("age", [timedelta(hours=23, seconds=1), timedelta(days=3)])
def test_expiring_uploads_are_not_waited_with(age: timedelta) -> None:
    """A job whose uploads are about to expire, by the server's clock, is refused at once."""
    inputs = [{"interface": "table", "user_upload": f"https://gc.localhost/api/v1/uploads/{PK}/"}]
    with Loopback(busy(NOW - age)) as server, connect(server) as client:
        with pytest.raises(TooManyActiveJobs) as caught:
            client.algorithm_jobs.create(algorithm="https://gc.localhost/a/", inputs=inputs)
        assert sum(seen.method == "POST" for seen in server.seen) == 1
    assert "1 file was uploaded for it" in caught.value.__notes__[0]


def test_a_wait_ends_before_the_uploads_expire() -> None:
    """A job whose uploads have half a second left waits for that long, and then the refusal comes through."""
    inputs = [
        {"interface": "table", "user_uploads": [f"https://gc.localhost/api/v1/uploads/{PK}/"]}
    ]
    created = NOW - timedelta(hours=23) + timedelta(seconds=0.5)
    with Loopback(busy(created)) as server, connect(server) as client:
        with pytest.warns(LimitWarning), pytest.raises(TooManyActiveJobs) as caught:
            client.algorithm_jobs.create(algorithm="https://gc.localhost/a/", inputs=inputs)
        assert sum(seen.method == "POST" for seen in server.seen) > 1
    assert any(re.match(r"Waited [0-9.]+ s for ", note) for note in caught.value.__notes__)


def test_warnings_that_are_errors_end_the_call(sandbox: Sandbox, user: Client) -> None:
    """A LimitWarning that is turned into an error ends the call, and no upload is left unfinished."""
    upload = user.uploads.create(filename="filler.bin")
    with (
        limited(sandbox, uploads_per_user=1),
        pytest.raises(LimitWarning, match="earlier uploads"),
    ):
        user.uploads.upload_fileobj(fileobj=io.BytesIO(b"x"), filename="a.txt")
    user.uploads.abort_multipart_upload(pk=upload.pk, s3_upload_id=upload.s3_upload_id)
