"""``doctor``: look for what keeps this machine from working with the server."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from gcapi.cli.output import print_json, printable, write
from gcapi.cli.session import Session, command

if TYPE_CHECKING:
    from gcapi.cli.diagnostics import Finding

_SHOWN_CHANGES = 10


@command()
@click.option(
    "--upload", is_flag=True, help="Check the object store too, with an upload of one byte."
)
def doctor(session: Session, *, upload: bool) -> int:
    """Look for what is wrong with the way to the server.

    Checks versions, proxy, certificates, disk, server, clock, token, schema and storage. The report has no
    secrets in it, and can be sent to somebody. The exit code is that of the first check that failed.
    """
    from gcapi.cli.diagnostics import local_checks, server_checks

    findings: list[Finding] = []
    for checks in (local_checks(session), server_checks(session, upload=upload)):
        for finding in checks:
            findings.append(finding)
            if not session.as_json:
                _print(finding.check, finding.level, finding.words)
    if session.as_json:
        print_json([asdict(finding) for finding in findings])
    return next((finding.code for finding in findings if finding.code), 0)


def _print(check: str, level: str, words: str) -> None:
    first, *more = words.splitlines()
    write(f"{level:<11} {check}: {printable(first)}")
    for line in more[:_SHOWN_CHANGES]:
        write(f"{'':<12}{printable(line)}")
    if len(more) > _SHOWN_CHANGES:
        write(f"{'':<12}… and {len(more) - _SHOWN_CHANGES} more: see --json")
