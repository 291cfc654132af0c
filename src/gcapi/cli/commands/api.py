"""``api``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import click

import gcapi
from gcapi._util.json_types import is_object
from gcapi._util.messages import printable_lines
from gcapi.cli.exit_codes import InvalidInput
from gcapi.cli.options import collect_pairs
from gcapi.cli.output import print_json, print_json_lines, write
from gcapi.cli.session import Session, command


@command()
@click.argument(
    "method", type=click.Choice(("GET", "POST", "PUT", "PATCH", "DELETE"), case_sensitive=False)
)
@click.argument("path")
@click.option(
    "-f",
    "--field",
    "fields",
    metavar="KEY=VALUE",
    multiple=True,
    callback=collect_pairs,
    help="A query parameter of GET, or a string in the JSON body of another method; may be repeated.",
)
@click.option(
    "--data",
    metavar="JSON|@FILE",
    help="The JSON body, or '@' and its file; '@-' reads standard input.",
)
@click.option("--paginate", is_flag=True, help="Read all pages of a list, as JSON Lines.")
def api(
    session: Session,
    *,
    method: str,
    path: str,
    fields: dict[str, list[str]],
    data: str | None,
    paginate: bool,
) -> None:
    """Call any endpoint of the API.

    PATH is a URL, or a path such as "archives/", with a slash at its end. The response is printed.
    """
    params: dict[str, Any] = {
        key: values[0] if len(values) == 1 else values for key, values in fields.items()
    }
    if method == "GET":
        path, _, query = path.partition("?")
        params = {**parse_qs(query, keep_blank_values=True), **params}
    if paginate and method != "GET":
        raise click.UsageError("--paginate needs the method GET.")
    if data is not None and (method == "GET" or params):
        raise click.UsageError("--data needs POST, PUT, PATCH or DELETE, without --field.")
    body = params or None if data is None else _parse_data(data)
    target = (path, "") if path.startswith(("https://", "http://")) else ("", path)
    with session.client() as client:
        if paginate:
            print_json_lines(_iterate_pages(client, target, params))
        elif method == "GET":
            _print_response(client("GET", *target, params=params or None))
        else:
            _print_response(client(method, *target, json=body))


def _parse_data(data: str) -> Any:
    try:
        if data == "@-":
            data = sys.stdin.read()
        elif data.startswith("@"):
            data = Path(data[1:]).read_text(encoding="utf-8")
        return json.loads(data)
    except ValueError as error:
        raise InvalidInput(f"--data is not JSON: {error}.") from error


def _iterate_pages(
    client: gcapi.Client, target: tuple[str, str], params: dict[str, Any]
) -> Iterator[Any]:
    """Yield the objects of a list.

    Raises:
        InvalidInput: The response is not a page of a list.
    """
    from gcapi._api.page import Page
    from gcapi._api.pagination import iterate

    def fetch(offset: int, limit: int) -> Page[Any]:
        page = client("GET", *target, params={"limit": limit, **params, "offset": offset})
        if not is_object(page) or not isinstance(page.get("results"), list):
            raise InvalidInput(f"{''.join(target)} is not a list with pages; leave --paginate out.")
        return Page(page["results"], offset=offset, limit=limit, total_count=page["count"])

    return iterate(fetch, name="".join(target))


def _print_response(response: Any) -> None:
    """Print JSON, or any other content unchanged unless it goes to a terminal."""
    import httpx

    if not isinstance(response, httpx.Response):
        print_json(response)
    elif sys.stdout.isatty():
        write(printable_lines(response.text))
    else:
        sys.stdout.buffer.write(response.content)
