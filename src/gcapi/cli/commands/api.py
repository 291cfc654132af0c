"""``api``: any call of the API."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gcapi._api.page import MAX_PAGE_SIZE
from gcapi._util.json_types import is_object
from gcapi.cli.output import print_json, print_json_lines, printable, write
from gcapi.cli.session import Session, command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gcapi.client import Client

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@command()
@click.argument("method", type=click.Choice(_METHODS, case_sensitive=False))
@click.argument("path")
@click.option(
    "-f",
    "--field",
    "fields",
    metavar="KEY=VALUE",
    multiple=True,
    help="A query parameter of GET, or a text in the JSON body of the others; may be repeated.",
)
@click.option("--data", metavar="JSON|@FILE", help="The JSON body; '@-' reads standard input.")
@click.option("--paginate", is_flag=True, help="Read a list to its end, an object a line.")
def api(
    session: Session,
    *,
    method: str,
    path: str,
    fields: tuple[str, ...],
    data: str | None,
    paginate: bool,
) -> None:
    """Call any path of the API, and print the answer.

    A path is such as "archives/", with a slash at its end.
    """
    given = _parsed_fields(fields)
    if method == "GET":
        path, given = _without_query(path, given)
    if paginate and method != "GET":
        raise click.UsageError("--paginate goes with GET.")
    if data is not None and (method == "GET" or given):
        raise click.UsageError("--data goes with POST, PUT, PATCH and DELETE, and without --field.")
    body = given or None if data is None else _parsed_data(data)
    with session.client() as client:
        if paginate:
            print_json_lines(_pages(client, path, given))
        elif method == "GET":
            _print_answer(client("GET", *_target(path), params=given or None))
        else:
            _print_answer(client(method, *_target(path), json=body))


def _without_query(path: str, given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return a path, and its query with the parameters that are given beside it."""
    from urllib.parse import parse_qs

    path, _, query = path.partition("?")
    return path, {**parse_qs(query, keep_blank_values=True), **given}


def _target(path: str) -> tuple[str, str]:
    """Return a whole address or a path as the client takes them."""
    is_address = path.startswith(("https://", "http://"))
    return (path, "") if is_address else ("", path)


def _parsed_fields(fields: tuple[str, ...]) -> dict[str, Any]:
    """Return fields by their names; one that is repeated becomes a list.

    Raises:
        click.UsageError: One is no pair.
    """
    parsed: dict[str, Any] = {}
    for one in fields:
        key, separator, value = one.partition("=")
        if not (key and separator):
            raise click.UsageError(f"--field {one!r} must be KEY=VALUE.")
        if key in parsed:
            before = parsed[key]
            parsed[key] = [*(before if isinstance(before, list) else [before]), value]
        else:
            parsed[key] = value
    return parsed


def _parsed_data(data: str) -> Any:
    from gcapi.cli.exit_codes import InvalidInput

    text = _read(data[1:]) if data.startswith("@") else data
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"--data is no JSON: {error}.") from error


def _read(name: str) -> str:
    return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")


def _pages(client: Client, path: str, params: dict[str, Any]) -> Iterator[Any]:
    """Yield the objects of a list.

    Raises:
        InvalidInput: It is no list in pages.
    """
    from gcapi.cli.exit_codes import InvalidInput

    offset = 0
    while True:
        page = client(
            "GET", *_target(path), params={"limit": MAX_PAGE_SIZE, **params, "offset": offset}
        )
        if not is_object(page) or not isinstance(page.get("results"), list):
            raise InvalidInput(f"{path} is no list in pages; leave --paginate out.")
        yield from page["results"]
        offset += len(page["results"])
        if not page["results"] or offset >= page["count"]:
            return


def _print_answer(answer: Any) -> None:
    """Print JSON as JSON, and anything else as it came, fit for a terminal where it goes to one."""
    import httpx

    if not isinstance(answer, httpx.Response):
        print_json(answer)
    elif sys.stdout.isatty():
        write("\n".join(printable(line) for line in answer.text.splitlines()))
    else:
        sys.stdout.buffer.write(answer.content)
