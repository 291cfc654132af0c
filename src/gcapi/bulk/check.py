"""The check of a manifest: everything that is wrong with it, each with its place and what to do, and nothing is sent.

Images are read with SimpleITK if that is installed. Without it, only the first bytes of formats that begin with a
signature are checked, and the report says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from gcapi._api.quota import MAX_USER_UPLOADS
from gcapi._transfer.file_names import full_suffix
from gcapi._transfer.parts import part_size, split
from gcapi._workflows.plans import Upload
from gcapi.bulk._push.case_worker import find_parent
from gcapi.bulk._push.rows import RowReader, upload_sizes
from gcapi.bulk.cells import CellError
from gcapi.bulk.manifest import Manifest, Problem, column_of, parse_manifest
from gcapi.bulk.targets import Target
from gcapi.exceptions import InterfaceMismatch, ObjectNotFound, SocketNotFound, SpecError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from gcapi._workflows.plans import Plan
    from gcapi.bulk._push.rows import ParsedRow
    from gcapi.bulk.manifest import Row
    from gcapi.client import Client
    from gcapi.models import Algorithm

#: The first bytes of files, by their suffixes.
_SIGNATURES: tuple[tuple[tuple[str, ...], tuple[bytes, ...]], ...] = (
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
    check = _Check(client, manifest, None if target is None else Target.of(target))
    check.report.problems += problems
    check.run()
    check.report.problems.sort(key=lambda problem: problem.line)
    return check.report


class _Check:
    def __init__(self, client: Client, manifest: Manifest, target: Target | None) -> None:
        self._client = client
        self._manifest = manifest
        self._target = target
        self._unknown_slugs: set[str] = set()
        self._has_simpleitk = find_spec("SimpleITK") is not None
        self.report = CheckReport(rows=len(manifest.rows))

    def _add(self, line: int, column: str, what: str, fix: str) -> None:
        what = " ".join(what.split()).rstrip(".")
        self.report.problems.append(Problem(line, column, what, fix))

    def run(self) -> None:
        reader = RowReader(
            self._client.workflows.lookup, self._manifest, self._algorithm_of_target()
        )
        for row in self._manifest.rows:
            self._check_row(reader, row)
        self._add_notes()

    def _algorithm_of_target(self) -> Algorithm | None:
        """Return the algorithm that is the target, after checking that any target exists."""
        try:
            if self._target is not None and self._target.kind == "algorithm":
                return self._client.workflows.lookup.algorithms.get(self._target.slug)
            if self._target is not None:
                find_parent(self._client, self._target)
        except ObjectNotFound as error:
            self._add(0, "", str(error), "Correct the target's slug, or ask for access")
        return None

    def _check_row(self, reader: RowReader, row: Row) -> None:
        if not row.cells:
            self._add(row.line, "", "the row has no values", "Fill a cell, or remove the row")
        parsed, errors = reader.read_valid(row)
        for column, error in errors:
            self._add_error(row, column, error)
        plans = list(self._plans(parsed))
        sizes = upload_sizes(plans)
        if len(sizes) > MAX_USER_UPLOADS:
            what = (
                f"the row has {len(sizes)} files, and the server accepts {MAX_USER_UPLOADS} at once"
            )
            self._add(row.line, "", what, "Pack them, for example into one .mha for an image")
        report = self.report
        report.files += len(sizes)
        report.bytes += sum(sizes)
        report.requests += _REQUESTS_PER_CASE + sum(
            _REQUESTS_PER_UPLOAD + len(split(size, part_size(size, 1))) for size in sizes
        )

    def _plans(self, parsed: ParsedRow) -> Iterable[Plan]:
        """Yield the plans of the values that can be planned."""
        for spec in parsed.specs:
            try:
                (plan,) = self._client.workflows.values.plan([spec])
                yield plan
                if isinstance(plan, Upload) and plan.is_image and plan.image_name is None:
                    self._check_image(spec.paths)
            except (SpecError, OSError) as error:
                self._add_error(parsed.row, column_of(spec.socket_slug), error)

    def _add_error(self, row: Row, column: str, error: Exception) -> None:
        if isinstance(error, CellError):
            self._add(row.line, column, error.what, error.fix)
        elif isinstance(error, InterfaceMismatch):
            self._add(row.line, column, str(error), "Fill exactly the sockets of one interface")
        elif not isinstance(error, SocketNotFound):
            # The column names the socket already, and the last sentence of a message says what to do.
            start, _, rest = str(error).partition(": ")
            message = rest if start.startswith("Socket ") else str(error)
            what, _, fix = message.rstrip(".").rpartition(". ")
            if not what:
                what, fix = fix, "Correct the cell, or the file that it names"
            self._add(row.line, column, what, fix)
        elif error.slug not in self._unknown_slugs:
            self._unknown_slugs.add(error.slug)  # one problem for the whole column
            fix = "Name the column after a socket's slug, or put a colon in it to make it a note"
            self._add(0, column, str(error), fix)

    def _check_image(self, paths: Sequence[Path]) -> None:
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
        if self._has_simpleitk and len(headers) == 1:
            try:
                _read_header(headers[0])
            except RuntimeError as error:
                reason = str(error).strip().splitlines()[-1]
                what = f"{headers[0]} cannot be read as an image: {reason}"
                raise CellError(what=what, fix=fix) from error

    def _add_notes(self) -> None:
        report, target = self.report, self._target
        has_order = any(row.order is not None for row in self._manifest.rows)
        if has_order and target is not None and target.kind != "study":
            report.notes.append(f"The column order is ignored for {target}.")
        if report.bytes > UNVERIFIED_QUOTA:
            is_large = report.bytes > VERIFIED_QUOTA
            quota = "128 GiB" if is_large else "2 GiB if your account is not verified"
            report.notes.append(
                f"The files have {report.bytes / 2**30:.1f} GiB, and the quota of uploads that are not imported yet is"
                f" {quota}. A push waits for imports if that is not enough."
            )
        if not self._has_simpleitk:
            report.notes.append(
                "SimpleITK is not installed, so only the first bytes of images were checked."
            )


def _read_header(path: Path) -> None:
    reader: Any = import_module("SimpleITK").ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()


def _suffix(path: Path) -> str:
    return full_suffix(path.name).lower()


def _has_signature(path: Path) -> bool:
    for suffixes, signatures in _SIGNATURES:
        if path.name.lower().endswith(suffixes):
            with path.open("rb") as file:
                return file.read(16).startswith(signatures)
    return True
