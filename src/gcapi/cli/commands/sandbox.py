"""``sandbox``: a local Grand Challenge. Nothing else in this package knows of it."""

from __future__ import annotations

from pathlib import Path

import click

from gcapi.cli.session import Session, command


@command(server=False)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port of the API; by default any free one.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder to keep everything in; by default nothing is kept.",
)
@click.option("--reset", is_flag=True, help="Empty the folder first.")
def sandbox(session: Session, *, port: int, data: Path | None, reset: bool) -> int:
    """Start a local Grand Challenge to try things on.

    It listens on loopback until Ctrl-C, and prints its address and a token, which opens this sandbox and nothing else.
    """
    from importlib.util import find_spec

    if any(find_spec(name) is None for name in ("starlette", "uvicorn", "SimpleITK")):
        from gcapi.exceptions import MissingExtra

        raise MissingExtra(
            "The sandbox needs its extra: pip install '.[sandbox]' in a checkout of gcapi."
        )
    from gcapi_sandbox.__main__ import main

    arguments = ["--port", str(port), *(["--data", str(data)] if data else [])]
    flags = {"--reset": reset, "--json": session.as_json}
    return main([*arguments, *(flag for flag, is_set in flags.items() if is_set)])
