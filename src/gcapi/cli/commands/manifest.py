"""``manifest``."""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

import gcapi
from gcapi import bulk
from gcapi._util.messages import printable_lines
from gcapi.cli.exit_codes import DONE, INVALID_INPUT, InvalidInput
from gcapi.cli.options import FILE, format_option, inspect_options
from gcapi.cli.output import write
from gcapi.cli.session import Session, command
from gcapi.findings import InspectMode

if TYPE_CHECKING:
    from gcapi.bulk import GuessedManifest, LeftOut

#: The number of files left out for one reason that are named.
_SHOWN_FILES = 20
#: The number of names of litter that are named.
_SHOWN_NAMES = 5


@click.group()
def manifest() -> None:
    """Create and check manifests.

    A manifest is a table with a row for each case.
    """


@command(manifest)
@click.argument(
    "folder", type=click.Path(path_type=Path, file_okay=False, exists=True), metavar="DIR"
)
@click.option(
    "--target",
    metavar="KIND:SLUG",
    help="Use the inputs of an algorithm, or the sockets that the cases of an archive or a study have, as columns.",
)
@format_option("suffix", "File format of the manifest.", "csv")
@click.option(
    "--xlsx",
    "suffix",
    flag_value="xlsx",
    help="The same as --format xlsx: a workbook with drop-downs, comments and a sheet that explains the columns.",
)
@click.option(
    "--offline", is_flag=True, help="Do not ask the server; name columns after file types."
)
@click.option("--force", is_flag=True, help="Overwrite an existing manifest.")
def init(
    session: Session,
    *,
    folder: Path,
    target: str | None,
    suffix: str,
    offline: bool,
    force: bool,
) -> None:
    """Create a manifest from the files of a folder.

    The content of files and the names of folders tell the cases. Every file is in a row, or is listed as left out with
    the reason. The result is a guess: review it before you push it.
    """
    if offline and target:
        raise InvalidInput("--target needs the server. Leave out --offline, or --target.")
    path = folder / f"manifest.{suffix}"
    if path.exists() and not force:
        raise InvalidInput(f"{path} already exists; --force overwrites it.")
    sockets: dict[str, gcapi.models.ComponentInterface] = {}
    with ExitStack() as stack:
        client = None if offline else stack.enter_context(session.client())
        guessed = bulk.guess_manifest(folder, client, target)
        columns = list(dict.fromkeys(slug for row in guessed.rows for slug in row.cells))
        if client is not None and suffix == "xlsx":
            for slug in columns:
                with suppress(gcapi.exceptions.SocketNotFound):  # a column to be renamed
                    sockets[slug] = client.workflows.lookup.socket(slug)
    if suffix == "xlsx":
        bulk.write_input_workbook(path, guessed.rows, sockets)
    else:
        bulk.write_manifest(path, guessed.rows)
    summary = {"manifest": str(path), "rows": len(guessed.rows), "columns": columns}
    left_out = [asdict(entry) for entry in guessed.left_out]
    session.show({**summary, "left_out": left_out, "guessed": guessed.guessed}, table=summary)
    _say_what_to_review(session, guessed)
    session.say("Review the manifest, and check it with 'gcapi manifest check'.")


def _say_what_to_review(session: Session, guessed: GuessedManifest) -> None:
    litter = [entry.path for entry in guessed.left_out if entry.is_litter]
    by_reason: dict[str, list[LeftOut]] = defaultdict(list)
    for entry in guessed.left_out:
        if not entry.is_litter:
            by_reason[entry.reason].append(entry)
    for reason, entries in by_reason.items():
        for entry in entries[:_SHOWN_FILES]:
            session.say(f"left out: {entry}")
        if len(entries) > _SHOWN_FILES:
            more = len(entries) - _SHOWN_FILES
            session.say(f"left out: {more} more ({reason}); --json lists them")
    if litter:
        examples = ", ".join(sorted({path.rpartition("/")[2] for path in litter})[:_SHOWN_NAMES])
        session.say(f"left out: {len(litter)} hidden or of a system or program: {examples}")
    columns: dict[str, list[str]] = defaultdict(list)
    for column, why in guessed.guessed.items():
        columns[why].append(column)
    for why, names in columns.items():
        session.say(f"guessed: {', '.join(names)} ({why})")
    for note in guessed.notes:
        session.say(note)


@command(manifest)
@click.argument("path", type=FILE, metavar="MANIFEST")
@click.argument("target", required=False)
@inspect_options
@click.option(
    "--deep",
    is_flag=True,
    help="Read all of each file: checksums, and images with SimpleITK where that is installed.",
)
@click.option(
    "--xlsx",
    "marked",
    type=FILE,
    metavar="FILE",
    help="Write a copy of a workbook in which the wrong cells are marked.",
)
@click.option(
    "--report",
    "page",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.html",
    help="Also write a page with the findings and a thumbnail of each image; it replaces the file.",
)
def check(
    session: Session,
    *,
    path: Path,
    target: str | None,
    inspect: InspectMode,
    deep: bool,
    page: Path | None,
    marked: Path | None,
) -> int:
    """Report all problems of a manifest.

    TARGET is archive:SLUG, study:SLUG or algorithm:SLUG. Nothing is uploaded. The exit code is 4 if there are errors; a
    push refuses the same rows. Warnings do not change it.
    """
    if page is not None and page.suffix.lower() not in {".html", ".htm"}:
        raise InvalidInput(
            f"{page} is replaced by an HTML page: give it a name that ends in .html."
        )
    if marked is not None and ".xlsx" not in path.name.lower():
        raise InvalidInput(f"--xlsx marks the cells of a workbook, and {path} is none.")
    with session.client(progress=True) as client:
        report = bulk.check_manifest(client, path, target, inspect=inspect, deep=deep)
        if page is not None:
            bulk.write_check_page(client, path, report, page)
    if marked is not None:
        bulk.write_marked_copy(path, marked, report.problems)
    document = asdict(report)
    numbers = {name: document[name] for name in ("rows", "files", "bytes", "requests")}
    counts = {"errors": len(report.errors), "warnings": len(report.warnings)}
    session.show(document, table={**numbers, **counts})
    if not session.as_json:
        for problem in report.problems:
            write(printable_lines(str(problem)))
    if not report.rows and report.is_good:
        session.say(f"{path} has no rows; there is nothing to push.")
    for note in report.notes:
        session.say(note)
    if page is not None:
        session.say(f"{page} shows the cases and the findings.")
    return DONE if report.is_good else INVALID_INPUT
