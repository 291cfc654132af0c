"""``sandbox``, the only module of gcapi that uses `gcapi_sandbox`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click

import gcapi
from gcapi.cli.options import FOLDER
from gcapi.cli.session import Session, command


@command(server=False)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    default=0,
    help="Port of the API; by default any free port.",
)
@click.option(
    "--data",
    type=FOLDER,
    metavar="DIR",
    help="Keep the data in this directory; by default it is lost at the end.",
)
@click.option("--reset", is_flag=True, help="Empty the data directory first.")
def sandbox(session: Session, *, port: int, data: Path | None, reset: bool) -> int:
    """Start a local Grand Challenge for testing.

    It prints its address and a token, which is valid for this sandbox only, and listens on loopback until Ctrl-C.
    """
    if any(find_spec(name) is None for name in ("starlette", "uvicorn", "SimpleITK")):
        raise gcapi.exceptions.MissingExtra(
            "The sandbox needs its extra: pip install '.[sandbox]' in a checkout of gcapi."
        )
    from gcapi_sandbox.__main__ import main

    arguments = ["--port", str(port), *(["--data", str(data)] if data else [])]
    flags = {"--reset": reset, "--json": session.as_json}
    return main([*arguments, *(flag for flag, is_set in flags.items() if is_set)])
