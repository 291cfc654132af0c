"""``pull``, ``verify`` and ``diff``: whole archives, reader studies and algorithms brought home, and compared."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gcapi.cli.bulk_progress import counted, dask_executor
from gcapi.cli.listing import field
from gcapi.cli.output import print_json, print_object
from gcapi.cli.session import Session, command, workers_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gcapi.bulk.differences import Difference
    from gcapi.bulk.pulling import PullReport

_folder = click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
_DIFFERENCES = (field("kind"), field("subject"), field("what"))


@command()
@click.argument("source", metavar="SOURCE")
@_folder
@click.option(
    "--existing",
    type=click.Choice(["error", "skip", "overwrite", "verify"]),
    default="error",
    show_default=True,
    help="What to do about what is there: refuse, take it as it is, fetch it again, or check it by its SHA-256.",
)
@workers_option(4)
@click.option("--dask", metavar="ADDRESS", help="Pull on the workers of a Dask cluster.")
def pull(
    session: Session,
    *,
    source: str,
    folder: Path,
    existing: Any,
    workers: int,
    dask: str | None,
) -> int:
    """Bring an archive, a reader study or an algorithm's jobs home.

    SOURCE is archive:SLUG, study:SLUG or algorithm:SLUG. The folder gets a manifest.csv, which "gcapi push" accepts. A
    pull that was ended goes on with --existing skip or verify.
    """
    from gcapi.bulk.pulling import pull as do_pull

    token = session.find_token()
    with (
        session.client_with(token) as client,
        dask_executor(dask) as executor,
        counted("cases", quiet=session.quiet) as counter,
    ):
        report = do_pull(
            client,
            source,
            folder,
            existing=existing,
            workers=workers,
            executor=executor,
            token_file=token.path,
            progress=counter,
        )
    return _tell_pull(session, report)


def _tell_pull(session: Session, report: PullReport) -> int:
    from gcapi.cli.exit_codes import Failures

    document = {
        "source": report.source,
        "folder": str(report.folder),
        "manifest": str(report.manifest),
        "cases": report.cases,
        "fetched": report.fetched,
        "files": report.files,
        "bytes": report.size,
        "answers": report.answers,
        "remarks": [str(remark) for remark in report.remarks],
        "failed": [
            {"pk": failure.pk, "title": failure.title, "error": str(failure.error)}
            for failure in report.failed
        ],
    }
    if session.as_json:
        print_json(document)
    else:
        print_object({**document, "failed": [failure.pk for failure in report.failed]})
    failures = Failures(report.cases + len(report.failed))
    for failure in report.failed:
        failures.add(failure.error, failure.title or failure.pk)
    return failures.exit_code


@command(server=False)
@_folder
def verify(session: Session, *, folder: Path) -> int:
    """Compare a folder that was pulled with its manifest.

    Every file is read and held against its SHA-256; nothing is sent. Ends with 6 if something differs.
    """
    from gcapi.bulk.compare import verify as do_verify

    return _tell_differences(session, do_verify(folder))


@command()
@_folder
def diff(session: Session, *, folder: Path) -> int:
    """Compare a folder's manifest with the server.

    No file is fetched. Ends with 6 if something differs.
    """
    from gcapi.bulk.compare import diff as do_diff

    with session.client() as client:
        return _tell_differences(session, do_diff(client, folder))


def _tell_differences(session: Session, differences: Sequence[Difference]) -> int:
    from gcapi.cli.exit_codes import DONE, PART_FAILED

    documents = [asdict(difference) for difference in differences]
    session.show_all(documents, _DIFFERENCES)
    if differences:
        session.say(f"{len(differences)} differences.")
        return PART_FAILED
    session.say("No differences.")
    return DONE
