"""Check a manifest before anything is sent: all that is wrong with it at once, each with its place and what to do.

Images are read with SimpleITK where that is installed; without it, only the first bytes of those formats that begin
with something known are looked at, and the report says so.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gcapi._api.quota import MAX_USER_UPLOADS
from gcapi._transfer.parts import part_size, split
from gcapi._workflows.checks import MAX_ORDER, MAX_TITLE_LENGTH, check_interface
from gcapi._workflows.plans import Content, LocalFile, Upload
from gcapi._workflows.socket_kinds import StorageKind, storage_kind
from gcapi.bulk._push.case_worker import home_of
from gcapi.bulk._push.rows import TITLES_FIX, make_ready, repeated
from gcapi.bulk.cells import CellError
from gcapi.bulk.manifest import Manifest, Problem, column_of, parse_manifest
from gcapi.bulk.targets import Target
from gcapi.exceptions import InterfaceMismatch, ObjectNotFound, SpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from gcapi._workflows.plans import Plan
    from gcapi.bulk._push.rows import Ready
    from gcapi.bulk.manifest import Row
    from gcapi.client import Client

#: What files of a suffix begin with.
MAGIC: dict[str, tuple[bytes, ...]] = {
    ".mha": (b"Object", b"NDims", b"Comment"),
    ".mhd": (b"Object", b"NDims", b"Comment"),
    ".nii.gz": (b"\x1f\x8b",),
    ".gz": (b"\x1f\x8b",),
    ".png": (b"\x89PNG\r\n\x1a\n",),
    ".jpg": (b"\xff\xd8\xff",),
    ".jpeg": (b"\xff\xd8\xff",),
    ".tif": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    ".tiff": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
}
#: What the server lets a user upload before some of it is used, in bytes: unverified, and verified.
UNVERIFIED_ROOM, VERIFIED_ROOM = 2 * 2**30, 128 * 2**30
#: Requests of a case beside those of its files: to create it and to fill it.
_PER_CASE = 2


@dataclass
class CheckReport:
    """What a manifest comes to.

    Attributes:
        problems: All that is wrong, in the order of the lines.
        notes: What is worth knowing and not wrong.
        rows: How many rows there are.
        files: How many files they upload.
        bytes: How long these are together.
        requests: About how many requests that takes.
    """

    problems: list[Problem] = field(default_factory=list[Problem])
    notes: list[str] = field(default_factory=list[str])
    rows: int = 0
    files: int = 0
    bytes: int = 0
    requests: int = 0

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def check_manifest(
    client: Client, manifest: Manifest | Path, target: Target | str | None
) -> CheckReport:
    """Check a manifest; only sockets and the target are asked of the server.

    Args:
        client: Finds sockets and the target.
        manifest: The rows, or the file that they are in.
        target: Where they are to go; `None` to check what does not depend on it.

    Raises:
        ManifestError: The file is no table at all.
        TargetError: The target is not written in one of its three forms.
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
        self.report = CheckReport(rows=len(manifest.rows))
        self._misses: dict[str, ObjectNotFound] = {}
        self._interface: Callable[[Ready], None] = lambda _: None
        self._reads = _image_reader()

    def _add(self, line: int, column: str, what: str, fix: str) -> None:
        self.report.problems.append(Problem(line, column, _bare(what), fix))

    def run(self) -> None:
        self._look_up_target()
        self._check_titles()
        self._check_sockets()
        for row in self._manifest.rows:
            self._check_row(row)
        self._check_room()
        if self._reads is None:
            self.report.notes.append(
                "SimpleITK is not installed, so that images were not read; only their first bytes were looked at."
            )

    def _look_up_target(self) -> None:
        target = self._target
        try:
            if target is None:
                return
            if target.kind == "algorithm":
                algorithm = self._client.workflows.lookup.algorithms.get(target.slug)
                self._interface = lambda ready: check_interface(algorithm, ready.specs)
            else:
                home_of(self._client, target)
        except ObjectNotFound as error:
            self._add(0, "", str(error), "Mend the target's slug, or ask for access")

    def _check_titles(self) -> None:
        for line, what in repeated(self._manifest.rows).items():
            self._add(line, "title", what, TITLES_FIX)
        for row in self._manifest.rows:
            if len(row.title) > MAX_TITLE_LENGTH:
                what = f"the title has {len(row.title)} characters, and {MAX_TITLE_LENGTH} is the limit"
                self._add(row.line, "title", what, "Shorten it")
            if row.order is not None and not 0 <= row.order <= MAX_ORDER:
                what = f"the order {row.order} is not from 0 to {MAX_ORDER}"
                self._add(row.line, "order", what, "Number the rows from 10 in steps of 10")
        has_order = any(row.order is not None for row in self._manifest.rows)
        if has_order and self._target is not None and self._target.kind != "study":
            self.report.notes.append(f"The column order means nothing to {self._target}.")

    def _check_sockets(self) -> None:
        """Look every socket up once: an unknown one is a problem of its column."""
        columns = dict.fromkeys(slug for row in self._manifest.rows for slug in row.cells)
        for slug in columns:
            try:
                self._client.workflows.lookup.socket(slug)
            except ObjectNotFound as error:
                self._misses[slug] = error
                fix = "Name the column after a socket's slug, or with a colon to make it a note"
                self._add(0, column_of(slug), str(error), fix)

    def _check_row(self, row: Row) -> None:
        known = {slug: cell for slug, cell in row.cells.items() if slug not in self._misses}
        if not row.cells:
            self._add(row.line, "", "the row has no values", "Fill a cell, or remove the row")
        checked = type(row)(row.line, row.title, row.order, known, row.notes)
        ready, wrong = make_ready(
            checked, self._manifest.folder, self._client.workflows.lookup.socket
        )
        for slug, error in wrong:
            self._add_error(row, slug, error)
        self._check_interface(row, ready, complete=len(known) == len(row.cells) and not wrong)
        files = 0
        for spec in ready.specs:
            try:
                (plan,) = self._client.workflows.values.plan([spec])
            except (SpecError, OSError) as error:
                self._add_error(row, spec.socket_slug, error)
            else:
                files += self._count(row, plan)
        if files > MAX_USER_UPLOADS:
            what = f"the row has {files} files, and the server lets you have {MAX_USER_UPLOADS} at once"
            self._add(row.line, "", what, "Pack them, for example into one .mha for an image")
        self.report.requests += _PER_CASE

    def _check_interface(self, row: Row, ready: Ready, *, complete: bool) -> None:
        if not complete:
            return  # it would only repeat what is said of a cell
        try:
            self._interface(ready)
        except InterfaceMismatch as error:
            self._add(row.line, "", str(error), "Fill exactly the sockets of one interface")

    def _add_error(self, row: Row, slug: str, error: Exception) -> None:
        if isinstance(error, CellError):
            self._add(row.line, column_of(slug), error.what, error.fix)
            return
        words = str(error).removeprefix(f"Socket {slug!r}: ")
        self._add(row.line, column_of(slug), words, "Mend the cell, or the file that it names")

    def _count(self, row: Row, plan: Plan) -> int:
        """Add a plan's files up, look at them, and return how many they are."""
        if not isinstance(plan, Upload):
            return 0
        for file in plan.files:
            size = len(file.data) if isinstance(file, Content) else _size(file)
            self.report.bytes += size
            # To create it, to ask for URLs, its parts, and to complete it.
            self.report.requests += 3 + len(split(size, part_size(size, 1)))
        paths = [file.path for file in plan.files if isinstance(file, LocalFile)]
        socket = self._client.workflows.lookup.socket(plan.slug)
        if storage_kind(socket) == StorageKind.IMAGE:
            what = _unreadable(paths, self._reads)
            if what:
                fix = "Replace the file; the server could not import it either"
                self._add(row.line, column_of(plan.slug), what, fix)
        self.report.files += len(plan.files)
        return len(plan.files)

    def _check_room(self) -> None:
        report = self.report
        if report.bytes > UNVERIFIED_ROOM:
            room = "2 GiB" if report.bytes <= VERIFIED_ROOM else "128 GiB"
            who = "an account that is not verified" if room == "2 GiB" else "an account"
            report.notes.append(
                f"The files have {report.bytes / 2**30:.1f} GiB; {who} may have {room} that the server has not"
                " imported yet. A push waits for imports where that is not enough."
            )


def _bare(what: str) -> str:
    return " ".join(what.split()).rstrip(".")


def _size(file: object) -> int:
    return file.path.stat().st_size if isinstance(file, LocalFile) else 0


def _image_reader() -> Callable[[Path], None] | None:
    """Return what reads the header of an image, or `None` where SimpleITK is not installed."""
    try:
        import SimpleITK
    except ImportError:
        return None

    untyped: Any = SimpleITK

    def read(path: Path) -> None:
        reader = untyped.ImageFileReader()
        reader.SetFileName(str(path))
        reader.ReadImageInformation()

    return read


def _unreadable(paths: Iterable[Path], read: Callable[[Path], None] | None) -> str:
    """Return what is wrong with the files of an image; empty if nothing is."""
    paths = list(paths)
    twice = [name for name, count in Counter(path.name for path in paths).items() if count > 1]
    if twice:
        return f"{twice[0]!r} is there more than once"
    for path in paths:
        if path.stat().st_size == 0:
            return f"{path} is empty"
        begins = MAGIC.get(_suffix(path))
        if begins is not None:
            with path.open("rb") as file:
                head = file.read(16)
            if not head.startswith(begins):
                return f"{path} is no {_suffix(path)} file: it does not begin like one"
    header = _header(paths)
    if read is None or header is None:
        return ""
    try:
        read(header)
    except RuntimeError as error:
        return f"{header} cannot be read as an image: {str(error).strip().splitlines()[-1]}"
    return ""


def _suffix(path: Path) -> str:
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower()


#: Formats of which SimpleITK reads the file that the others of an image belong to.
_READABLE = frozenset({".mha", ".mhd", ".nii", ".nii.gz", ".png", ".jpg", ".jpeg"})


def _header(paths: Iterable[Path]) -> Path | None:
    """Return the one file that SimpleITK can be asked about, if there is one; the server reads more formats than it."""
    headers = [path for path in paths if _suffix(path) in _READABLE]
    return headers[0] if len(headers) == 1 else None
