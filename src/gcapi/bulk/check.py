"""The check of a manifest: everything that is wrong with it, each with its place and what to do, and nothing is sent.

Images are read with SimpleITK if that is installed. Without it, only the first bytes of formats that begin with a
signature are checked, and the report says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gcapi import models
from gcapi._api.quota import MAX_USER_UPLOADS
from gcapi._transfer.file_names import full_suffix
from gcapi._transfer.parts import part_size, split
from gcapi._workflows.plans import Plan, Upload
from gcapi.bulk._push.case_worker import find_parent
from gcapi.bulk._push.rows import RowReader, upload_sizes
from gcapi.bulk.cells import CellError
from gcapi.bulk.manifest import Manifest, Problem, Row, column_of, parse_manifest
from gcapi.bulk.targets import Target
from gcapi.client import Client
from gcapi.exceptions import InterfaceMismatch, ObjectNotFound, SocketNotFound, SpecError

#: The first bytes of files, by their suffixes.
_SIGNATURES = (
    ((".mha", ".mhd"), (b"Object", b"NDims", b"Comment")),
    ((".gz",), (b"\x1f\x8b",)),
    ((".png",), (b"\x89PNG\r\n\x1a\n",)),
    ((".jpg", ".jpeg"), (b"\xff\xd8\xff",)),
    ((".tif", ".tiff"), (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
)
#: Formats that SimpleITK reads from one file, which may name the others of an image.
_HEADER_SUFFIXES = frozenset({".mha", ".mhd", ".nii", ".nii.gz", ".png", ".jpg", ".jpeg"})
#: The quota of unused uploads of an account that is not verified, and of a verified one, in bytes.
UNVERIFIED_QUOTA, VERIFIED_QUOTA = 2 * 2**30, 128 * 2**30
#: Requests to create and to fill a case.
_REQUESTS_PER_CASE = 2
#: Requests of an upload beside those for its parts: to create it, to presign URLs and to complete it.
_REQUESTS_PER_UPLOAD = 3


@dataclass
class CheckReport:
    """Result of checking a manifest.

    Attributes:
        problems: Everything that is wrong, in the order of the lines.
        notes: Remarks about what is not wrong.
        rows: The number of rows.
        files: The number of files that they upload.
        bytes: The total length of these files.
        requests: About how many requests a push takes.
    """

    problems: list[Problem] = field(default_factory=list[Problem])
    notes: list[str] = field(default_factory=list[str])
    rows: int = 0
    files: int = 0
    bytes: int = 0
    requests: int = 0

    @property
    def is_good(self) -> bool:
        """True if there are no problems."""
        return not self.problems


def check_manifest(
    client: Client, manifest: Manifest | Path, target: Target | str | None
) -> CheckReport:
    """Check a manifest; the server is only asked for sockets and the target.

    Args:
        client: Finds sockets and the target.
        manifest: The rows, or the file that they are in.
        target: Where they will be pushed to; `None` to check what does not depend on it.

    Raises:
        ManifestError: The file is not a table at all.
        TargetError: The target does not have one of its three forms.
    """
    problems: list[Problem] = []
    if not isinstance(manifest, Manifest):
        manifest, problems = parse_manifest(manifest)
    report = CheckReport(problems, rows=len(manifest.rows))
    goal = None if target is None else Target.of(target)
    algorithm: models.Algorithm | None = None
    try:
        if goal is not None and goal.kind == "algorithm":
            algorithm = client.workflows.lookup.algorithms.get(goal.slug)
        elif goal is not None:
            find_parent(client, goal)
    except ObjectNotFound as error:
        problems.append(_problem_of(0, "", error))
    reader = RowReader(client.workflows.lookup, manifest, algorithm)
    for row in manifest.rows:
        errors = _check_row(client, reader, row, report)
        problems += [_problem_of(row.line, column, error) for column, error in errors]
    if any(row.order is not None for row in manifest.rows) and goal and goal.kind != "study":
        report.notes.append(f"The column order is ignored for {goal}.")
    if report.bytes > UNVERIFIED_QUOTA:
        is_large = report.bytes > VERIFIED_QUOTA
        quota = "128 GiB" if is_large else "2 GiB if your account is not verified"
        report.notes.append(
            f"The files have {report.bytes / 2**30:.1f} GiB, and the quota of uploads that are not imported yet is"
            f" {quota}. A push waits for imports if that is not enough."
        )
    if not _has_simpleitk():
        report.notes.append(
            "SimpleITK is not installed, so only the first bytes of images were checked."
        )
    # A socket that does not exist is one problem, rather than one for each row.
    report.problems = sorted(dict.fromkeys(problems), key=lambda problem: problem.line)
    return report


def _check_row(
    client: Client, reader: RowReader, row: Row, report: CheckReport
) -> Iterator[tuple[str, Exception]]:
    """Yield the errors of a row with their columns, and count its files in the report."""
    if not row.cells:
        yield "", CellError(what="the row has no values", fix="Fill a cell, or remove the row")
    parsed, errors = reader.read_valid(row)
    yield from errors
    plans: list[Plan] = []
    for spec in parsed.specs:
        try:
            (plan,) = client.workflows.values.plan([spec])
            plans.append(plan)
            if isinstance(plan, Upload) and plan.is_image and plan.image_name is None:
                _check_image(spec.paths)
        except (SpecError, OSError) as error:
            yield column_of(spec.socket_slug), error
    sizes = upload_sizes(plans)
    if len(sizes) > MAX_USER_UPLOADS:
        what = f"the row has {len(sizes)} files, and the server accepts {MAX_USER_UPLOADS} at once"
        yield "", CellError(what=what, fix="Pack them, for example into one .mha for an image")
    report.files += len(sizes)
    report.bytes += sum(sizes)
    report.requests += _REQUESTS_PER_CASE + sum(
        _REQUESTS_PER_UPLOAD + len(split(size, part_size(size, 1))) for size in sizes
    )


def _problem_of(line: int, column: str, error: Exception) -> Problem:
    if isinstance(error, CellError):
        what, fix = error.what, error.fix
    elif isinstance(error, InterfaceMismatch):
        what, fix = str(error), "Fill exactly the sockets of one interface"
    elif isinstance(error, SocketNotFound):
        line, what = 0, str(error)  # which is the same in every row
        fix = "Name the column after a socket's slug, or put a colon in it to make it a note"
    elif isinstance(error, ObjectNotFound):
        what, fix = str(error), "Correct the target's slug, or ask for access"
    else:
        # The column names the socket already, and the last sentence of a message says what to do.
        start, _, rest = str(error).partition(": ")
        message = rest if start.startswith("Socket ") else str(error)
        what, _, fix = message.rstrip(".").rpartition(". ")
        if not what:
            what, fix = fix, "Correct the cell, or the file that it names"
    return Problem(line, column, " ".join(what.split()).rstrip("."), fix)


def _check_image(paths: Sequence[Path]) -> None:
    """Check the files of an image.

    Raises:
        CellError: One of them is not what its suffix says.
    """
    fix = "Replace the file; the server could not import it either"
    for path in paths:
        if path.stat().st_size == 0:
            raise CellError(what=f"{path} is empty", fix=fix)
        if not _has_signature(path):
            what = f"{path} does not begin like a {_suffix(path)} file"
            raise CellError(what=what, fix=fix)
    headers = [path for path in paths if _suffix(path) in _HEADER_SUFFIXES]
    # The server reads more formats than SimpleITK, and images of several files in other ways.
    if len(headers) == 1 and _has_simpleitk():
        reader: Any = import_module("SimpleITK").ImageFileReader()
        reader.SetFileName(str(headers[0]))
        try:
            reader.ReadImageInformation()
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            what = f"{headers[0]} cannot be read as an image: {reason}"
            raise CellError(what=what, fix=fix) from error


def _has_simpleitk() -> bool:
    return find_spec("SimpleITK") is not None


def _suffix(path: Path) -> str:
    return full_suffix(path.name).lower()


def _has_signature(path: Path) -> bool:
    for suffixes, signatures in _SIGNATURES:
        if path.name.lower().endswith(suffixes):
            with path.open("rb") as file:
                return file.read(16).startswith(signatures)
    return True
