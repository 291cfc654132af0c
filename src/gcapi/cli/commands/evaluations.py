"""``evaluations``."""

from __future__ import annotations

import click

from gcapi.cli.exit_codes import InvalidInput
from gcapi.cli.listing import field
from gcapi.cli.session import Session, command


@command(lists=True)
@click.argument("phase", metavar="CHALLENGE/PHASE")
def evaluations(session: Session, *, phase: str) -> None:
    """Print the leaderboard of a phase of a challenge.

    CHALLENGE is the short name of the challenge and PHASE the slug of the phase. The metrics are columns, as far as the
    server shows them to you.
    """
    challenge, separator, slug = phase.strip("/").partition("/")
    if not (challenge and separator and slug):
        raise InvalidInput(f"{phase!r} is not CHALLENGE/PHASE.")
    with session.client() as client:
        rows = client.evaluations.leaderboard(challenge, slug)
    if not rows:
        session.say(f"There are no evaluations of {phase} that you can see.")
    columns = dict.fromkeys(name for row in rows for name in row)
    session.show_all(rows, tuple(map(field, columns)))
