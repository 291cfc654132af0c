"""The command `python -m gcapi_sandbox`, which runs a sandbox until it is interrupted."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import threading
from pathlib import Path

from gcapi_sandbox._fixtures.seed_file import DEFAULT_SEED, SeedError
from gcapi_sandbox.sandbox import Sandbox

_FOLDERS = ("objects", "parts", "work", "incoming")
_DATABASE = "sandbox.sqlite3"


def main(arguments: list[str] | None = None) -> int:
    """Start a sandbox, print its address, and serve until SIGINT or SIGTERM; return the exit code."""
    options = _parser().parse_args(arguments)
    if options.reset and options.data:
        _reset(options.data)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stopped.set())
    try:
        sandbox = Sandbox(options.data, options.port, seed=options.seed)
        sandbox.start()
    except (ModuleNotFoundError, OSError, RuntimeError, SeedError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    try:
        print(_as_json(sandbox) if options.json else _as_text(sandbox), flush=True)  # noqa: T201
        stopped.wait()
    finally:
        sandbox.stop()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m gcapi_sandbox", description="A local Grand Challenge on loopback."
    )
    parser.add_argument(
        "--port", type=int, default=0, help="port of the API (default: any free port)"
    )
    parser.add_argument("--data", type=Path, help="folder for all data (default: a temporary one)")
    parser.add_argument(
        "--seed",
        type=Path,
        default=DEFAULT_SEED,
        help="YAML file with the contents of a new sandbox",
    )
    parser.add_argument("--reset", action="store_true", help="delete the data in the folder first")
    parser.add_argument(
        "--json", action="store_true", help="print a line of JSON instead of text when ready"
    )
    return parser


def _reset(folder: Path) -> None:
    """Delete the data of an earlier sandbox from the folder, but no other files."""
    for path in folder.glob(f"{_DATABASE}*"):
        path.unlink()
    for name in _FOLDERS:
        shutil.rmtree(folder / name, ignore_errors=True)


def _as_json(sandbox: Sandbox) -> str:
    return json.dumps(
        {
            "base_url": sandbox.base_url,
            "storage_url": sandbox.storage_url,
            "token": sandbox.token,
        }
    )


def _as_text(sandbox: Sandbox) -> str:
    return (
        f"A local Grand Challenge is listening on {sandbox.base_url}\n"
        "Use it from another shell:\n\n"
        f"    export GCAPI_BASE_URL={sandbox.base_url}\n"
        f"    export GRAND_CHALLENGE_AUTHORIZATION={sandbox.token}\n"
        "    python -c 'import gcapi; print(*gcapi.Client().archives.page())'\n\n"
        "The token is valid for this sandbox only. Stop it with Ctrl-C."
    )


if __name__ == "__main__":
    sys.exit(main())
