"""Every error has an exit code and a message."""

from __future__ import annotations

import inspect
import json
import pkgutil
import re
import ssl
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest

from gcapi import bulk, exceptions
from gcapi.bulk._executors import WorkerLost
from gcapi.bulk.cells import CellError, ValueCellError
from gcapi.bulk.journal import JournalError
from gcapi.bulk.manifest import ManifestError
from gcapi.bulk.pulling import PulledFolderError
from gcapi.bulk.pushing import JobExistsError
from gcapi.bulk.targets import TargetError
from gcapi.cli import app
from gcapi.cli.error_reports import EXITS, Failures, error_message, exit_code_of
from gcapi.cli.exit_codes import CommandError, InvalidInput
from gcapi_sandbox import Sandbox
from grand_challenge_api.base import AbsentFieldError
from tests.support.programs.cli_program import VARIABLE, Program
from tests.support.servers.loopback import TOKEN, Answer, Loopback

#: What each class of errors ends the program with: the documented table.
CODES: dict[type[BaseException], int] = {
    exceptions.GCAPIError: 1,
    exceptions.ConfigurationError: 2,
    exceptions.MissingExtra: 2,
    exceptions.InvalidTarget: 2,
    exceptions.SpecError: 4,
    exceptions.SpecTypeError: 4,
    exceptions.SpecFileError: 4,
    exceptions.FileInspectionError: 4,
    exceptions.SpecFileNotFound: 4,
    exceptions.DeidentificationError: 4,
    exceptions.InterfaceMismatch: 4,
    exceptions.ObjectNotFound: 3,
    exceptions.NotFoundError: 3,
    exceptions.SocketNotFound: 3,
    exceptions.MultipleObjectsReturned: 4,
    exceptions.StatusError: 4,
    exceptions.TitleTaken: 4,
    exceptions.AuthenticationError: 8,
    exceptions.PermissionDenied: 3,
    exceptions.LimitReached: 7,
    exceptions.UploadLimitReached: 7,
    exceptions.TooManyUploads: 7,
    exceptions.TooManyFiles: 7,
    exceptions.TooManyImports: 7,
    exceptions.TooManyActiveJobs: 7,
    exceptions.OutOfCredits: 7,
    exceptions.StorageError: 1,
    exceptions.UnsupportedVersionError: 1,
    exceptions.UnreachableHostError: 5,
    exceptions.ConnectTimeoutError: 5,
    exceptions.ProxyRefusalError: 5,
    exceptions.ImportFailed: 4,
    exceptions.JobFailed: 1,
    exceptions.UnexpectedAnswer: 1,
    AbsentFieldError: 1,
    exceptions.TransferError: 5,
    exceptions.UploadInterrupted: 5,
    exceptions.UnsafeName: 1,
    exceptions.DuplicateNameError: 1,
    exceptions.AmbiguousWriteError: 6,
    exceptions.IncompleteCase: 6,
    exceptions.ImportTimeout: 5,
    exceptions.JobTimeout: 5,
    TargetError: 4,
    ManifestError: 4,
    CellError: 4,
    ValueCellError: 4,
    JournalError: 4,
    JobExistsError: 4,
    PulledFolderError: 4,
    WorkerLost: 5,
    exceptions.TokenError: 8,
    InvalidInput: 4,
    httpx.TransportError: 5,
    httpx.ConnectTimeout: 5,
    httpx.HTTPError: 1,
    httpx.InvalidURL: 2,
    FileExistsError: 4,
    FileNotFoundError: 4,
    IsADirectoryError: 4,
    NotADirectoryError: 4,
    PermissionError: 4,
    OSError: 1,
    MemoryError: 1,
    ZeroDivisionError: 1,
}
#: What the constructors of some errors need beside a message.
KEYWORDS: dict[str, Any] = {
    "slug": "ct",
    "pk": "4711",
    "status": "Executing",
    "reason": "no image",
    "slugs": ("ct",),
    "uploads": {"4711": "ct.mha"},
    "problems": (),
    "what": "no value",
    "fix": "Write one",
    "findings": (),
    "host": "grand-challenge.org",
    "port": 443,
    "proxy": None,
    "was_reached": False,
    "request": httpx.Request("GET", "https://grand-challenge.org/api/v1/archives/"),
}


def answer(status: int) -> httpx.Response:
    """Return a response with an error status."""
    request = httpx.Request("GET", "https://example.com/api/v1/archives/")
    return httpx.Response(status, request=request)


def make(cls: type[BaseException]) -> BaseException:
    """Return an error of a class."""
    if issubclass(cls, exceptions.StatusError):
        return cls("It went wrong.", response=answer(400))
    if issubclass(cls, exceptions.GCAPIError):
        accepted = inspect.signature(cls.__init__).parameters
        return cls("It went wrong.", **{k: v for k, v in KEYWORDS.items() if k in accepted})
    return cls("It went wrong.")


def errors_of_the_library() -> set[type[BaseException]]:
    """Return every error class of the library."""
    for module in pkgutil.iter_modules(bulk.__path__):
        import_module(f"gcapi.bulk.{module.name}")
    homes = ("gcapi.exceptions", "gcapi.bulk.", "gcapi.cli.")
    classes = {*derived(exceptions.GCAPIError), *derived(CommandError)} - {CommandError}
    return {cls for cls in classes if cls.__module__.startswith(homes)}


def derived(base: type[BaseException]) -> Iterator[type[BaseException]]:
    """Yield a class and its subclasses."""
    yield base
    for cls in base.__subclasses__():
        yield from derived(cls)


def test_the_table_has_every_error() -> None:
    """Every error class is in the table of this test."""
    assert errors_of_the_library() <= set(CODES)
    assert set(EXITS) <= set(CODES)


@pytest.mark.parametrize(
    ("cls", "code"), CODES.items(), ids=lambda value: getattr(value, "__name__", "")
)
def test_each_error_has_its_code(cls: type[BaseException], code: int) -> None:
    """The exit code of an error depends on its class."""
    assert exit_code_of(make(cls)) == code
    assert "It went wrong" in error_message(make(cls))


@pytest.mark.parametrize(
    ("status", "code"),
    [(301, 4), (400, 4), (405, 4), (429, 5), (500, 1), (502, 5), (503, 5), (504, 5), (507, 5)],
)
def test_other_statuses_have_codes_of_their_own(status: int, code: int) -> None:
    """Transient statuses are temporary errors, other server errors are failures."""
    assert exit_code_of(exceptions.StatusError("No.", response=answer(status))) == code


def test_certificates_are_no_temporary_matter() -> None:
    """An untrusted certificate is a usage error that names the variable to set."""
    error = httpx.ConnectError("certificate verify failed")
    error.__cause__ = ssl.SSLCertVerificationError(1, "self-signed certificate")
    assert exit_code_of(error) == 2
    assert "SSL_CERT_FILE" in error_message(error)


def test_several_things_that_fail_in_part() -> None:
    """If some items fail the exit code is 6; if all fail in the same way it is the code of that error."""

    def halve(number: int) -> int:
        if number % 2:
            raise exceptions.ObjectNotFound("Nothing there.")
        return number // 2

    everything, some = Failures(2), Failures(2)
    assert list(everything.map(halve, [1, 3])) == []
    assert list(some.map(halve, [1, 4])) == [2]
    assert [everything.exit_code, some.exit_code, Failures(2).exit_code] == [3, 6, 0]


def test_many_failures_are_not_all_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Of hundreds of failed rows, twenty are printed with their names, and a line that there are more."""
    failures = Failures(300)
    for number in range(200):
        failures.report(exceptions.SpecError("No file.\x1b[2J"), f"line {number}")
    *told, last = capsys.readouterr().err.splitlines()
    assert told == [f"gcapi: line {number}: No file.�[2J" for number in range(20)]
    assert "More items failed" in last
    assert failures.exit_code == 6


def test_the_documentation_has_every_code() -> None:
    """The documentation lists exactly the exit codes that the program can return."""
    text = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text(encoding="utf-8")
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    assert documented == {0, *CODES.values(), app.INTERRUPTED, app.PIPE_CLOSED}


# ---------------------------------------------------------------- real runs


def test_0_done(ready: Program) -> None:
    """Success is 0."""
    assert ready("archives", "list").code == 0


def test_3_not_found(ready: Program) -> None:
    """An object that does not exist or is not visible is 3, with one paragraph."""
    run = ready("archives", "show", "no-such-archive")
    assert (run.code, run.out) == (3, "")
    assert run.err.startswith("gcapi: ")
    assert "or no access" in run.err
    assert len(run.err.splitlines()) == 1


def test_4_invalid_input(ready: Program) -> None:
    """A request that the server refuses is 4, with the server's words."""
    run = ready("api", "POST", "uploads/", "-f", "filename=a/b")
    assert run.code == 4
    assert "a/b is not a valid filename" in run.err


def test_5_temporary(gcapi: Program) -> None:
    """A server that cannot be reached is 5."""
    with Loopback(lambda _: Answer(503)) as server:
        url = server.base_url
    run = gcapi("doctor", "--base-url", url, "--token", TOKEN)
    assert run.code == 5
    assert "could not be reached" in run.out


def test_7_limit(ready: Program, sandbox: Sandbox) -> None:
    """A limit of the server is 7."""
    sandbox.limits.upload_bytes = 0
    try:
        made = ready("api", "POST", "uploads/", "-f", "filename=a.txt").json
        path = f"uploads/{made['pk']}/{made['s3_upload_id']}/generate-presigned-urls/"
        run = ready("api", "PATCH", path, "--data", '{"part_numbers": [1]}')
    finally:
        del sandbox.limits.upload_bytes
    assert run.code == 7
    assert "Upload limit reached" in run.err


def test_8_authentication(ready: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """An invalid or missing token is 8, with advice."""
    wrong = ready("whoami", "--token", TOKEN)
    assert wrong.code == 8
    assert "gcapi login" in wrong.err
    assert TOKEN not in wrong.err
    monkeypatch.delenv(VARIABLE)
    missing = ready("whoami")
    assert missing.code == 8
    assert "gcapi login" in missing.err


@pytest.fixture
def broken() -> Iterator[Loopback]:
    """Return a server that sends objects in the place of lists."""
    with Loopback(lambda _: Answer(body={"count": "many", "results": 7})) as server:
        yield server


def test_errors_have_no_traceback(broken: Loopback, gcapi: Program) -> None:
    """An error is printed without its traceback, unless --debug is given."""
    line = ("archives", "list", "--base-url", broken.base_url, "--token", TOKEN)
    told, shown = gcapi(*line), gcapi(*line, "--debug")
    assert (told.code, shown.code) == (1, 1)
    assert "Traceback" not in told.err
    assert "gcapi doctor" in told.err
    assert "Traceback" in shown.err
    assert TOKEN not in shown.err


def test_errors_of_the_system_name_the_file() -> None:
    """An error of the system is the file and the reason; notes of an error follow its message."""
    missing = FileNotFoundError(2, "No such file or directory", "/x/manifest.csv")
    assert error_message(missing) == (
        "/x/manifest.csv cannot be read or written: No such file or directory. Check the path."
    )
    missing.add_note("Nothing was written.")
    assert error_message(missing).endswith("directory. Check the path. Nothing was written.")


def test_faults_of_its_own_say_how_to_report() -> None:
    """An unexpected error is 1, and its message asks for a report."""
    assert exit_code_of(ZeroDivisionError("7 / 0")) == 1
    words = error_message(ZeroDivisionError("7 / 0"))
    assert words.startswith("ZeroDivisionError: 7 / 0.")
    assert "report it" in words


def test_json_output_is_json_alone(ready: Program) -> None:
    """Messages do not go to standard output."""
    run = ready("logout", "--json")
    assert json.loads(run.out)["removed_from"] == []
    assert "No token was stored" in run.err
    assert ready("logout", "-q").err == ""
