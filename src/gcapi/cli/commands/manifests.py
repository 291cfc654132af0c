"""``manifest``: guess one from a folder, and find everything that is wrong with one."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Literal

import click

from gcapi.cli.output import print_json, print_object, printable, write
from gcapi.cli.session import Session, command


@click.group()
def manifest() -> None:
    """Make or check manifests: tables of cases, a row each."""


@command(manifest)
@click.argument(
    "folder", type=click.Path(path_type=Path, file_okay=False, exists=True), metavar="DIR"
)
@click.option(
    "--target",
    metavar="TARGET",
    help="An algorithm, as algorithm:SLUG, whose inputs the columns are to be.",
)
@click.option(
    "--format",
    "suffix",
    type=click.Choice(["csv", "jsonl", "parquet"]),
    default="csv",
    show_default=True,
    help="What to write.",
)
@click.option(
    "--offline", is_flag=True, help="Ask no server, and call columns after the kinds of files."
)
@click.option("--force", is_flag=True, help="Replace a manifest that is there.")
def init(
    session: Session,
    *,
    folder: Path,
    target: str | None,
    suffix: Literal["csv", "jsonl", "parquet"],
    offline: bool,
    force: bool,
) -> None:
    """Guess a manifest from a folder, and write it there.

    Each subfolder is a case, or each file where there are none. It is a beginning: look through it before you push it.
    """
    from gcapi.bulk.guess import guess_manifest
    from gcapi.bulk.manifest import write_manifest
    from gcapi.cli.exit_codes import InvalidInput

    path = folder / f"manifest.{suffix}"
    if path.exists() and not force:
        raise InvalidInput(f"{path} is there already; --force replaces it.")
    if offline:
        guessed = guess_manifest(folder)
    else:
        with session.client() as client:
            guessed = guess_manifest(folder, client, target)
    write_manifest(path, guessed.rows)
    columns = list(dict.fromkeys(slug for row in guessed.rows for slug in row.cells))
    document = {"manifest": str(path), "rows": len(guessed.rows), "columns": columns}
    session.show(document)
    session.say("Look through it, and check it with 'gcapi manifest check'.")


@command(manifest)
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), metavar="MANIFEST")
@click.argument("target", required=False)
def check(session: Session, *, path: Path, target: str | None) -> int:
    """Tell all that is wrong with a manifest.

    TARGET is archive:SLUG, study:SLUG or algorithm:SLUG. Nothing is uploaded. Ends with 4 if something is wrong.
    """
    from gcapi.bulk.check import check_manifest
    from gcapi.cli.exit_codes import DONE, INVALID_INPUT

    with session.client() as client:
        report = check_manifest(client, path, target)
    if session.as_json:
        print_json(asdict(report))
    else:
        counts = {"rows": report.rows, "files": report.files, "bytes": report.bytes}
        print_object({**counts, "requests": report.requests, "problems": len(report.problems)})
        for problem in report.problems:
            write(printable(str(problem)))
    for note in report.notes:
        session.say(note)
    return DONE if report.is_good else INVALID_INPUT
