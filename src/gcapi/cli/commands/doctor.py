"""``doctor``."""

from __future__ import annotations

import sys
from dataclasses import asdict
from itertools import chain
from typing import TYPE_CHECKING

import click

from gcapi._util.messages import printable_lines
from gcapi.cli.messages import wrapped
from gcapi.cli.output import print_json, write
from gcapi.cli.session import Session, command

if TYPE_CHECKING:
    from gcapi.cli.diagnosis import Diagnosis

_MAX_PRINTED_CHANGES = 10


@command()
@click.option("--upload", is_flag=True, help="Also check the object store by uploading one byte.")
def doctor(session: Session, *, upload: bool) -> int:
    """Diagnose problems with the connection to the server.

    Checks versions, proxy, certificates, disk, server, clock, token, schema and storage. The report contains no
    secrets, so you can share it. The exit code is that of the first check that failed.
    """
    from gcapi.cli.diagnosis import check_machine, check_server

    findings: list[Diagnosis] = []
    for finding in chain(check_machine(session), check_server(session, upload=upload)):
        findings.append(finding)
        if not session.as_json:
            _print_finding(finding)
    if session.as_json:
        print_json([asdict(finding) for finding in findings])
    return next((finding.code for finding in findings if finding.code), 0)


def _print_finding(finding: Diagnosis) -> None:
    first, *changes = printable_lines(finding.words).splitlines()
    indent = " " * 12
    write(wrapped(f"{finding.level:<11} {finding.check}: {first}", sys.stdout, indent=indent))
    for line in changes[:_MAX_PRINTED_CHANGES]:
        write(f"{indent}{line}")
    if len(changes) > _MAX_PRINTED_CHANGES:
        write(f"{indent}… and {len(changes) - _MAX_PRINTED_CHANGES} more: see --json")
