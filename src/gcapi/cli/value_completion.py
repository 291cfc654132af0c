"""Completion of slugs and targets in the shell, from the lists of the server.

A list is asked for at most once a minute, and waited for at most two seconds; whatever fails completes nothing.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import CompletionItem

import gcapi

#: The namespace of each kind of objects that have slugs.
_NAMESPACES: dict[str, Callable[[gcapi.Client], Any]] = {
    "archive": lambda client: client.archives,
    "study": lambda client: client.reader_studies,
    "algorithm": lambda client: client.algorithms,
}
_TIMEOUT_SECONDS, _CACHE_SECONDS = 2.0, 60.0

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def complete_slug(kind: str) -> Completer:
    """Return the completion of the slugs of a kind of objects."""

    def complete(
        context: click.Context, _: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        slugs = _known_slugs(context, kind)
        return [CompletionItem(slug) for slug in slugs if slug.startswith(incomplete)]

    return complete


def complete_target(
    context: click.Context, _: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete ``archive:SLUG``, ``study:SLUG`` or ``algorithm:SLUG``."""
    kind, colon, _slug = incomplete.partition(":")
    if not colon:
        return [CompletionItem(f"{one}:") for one in _NAMESPACES if one.startswith(incomplete)]
    targets = [f"{kind}:{slug}" for slug in _known_slugs(context, kind)]
    return [CompletionItem(target) for target in targets if target.startswith(incomplete)]


def _known_slugs(context: click.Context, kind: str) -> list[str]:
    """Return the slugs of a kind of objects; none if the server does not list them in time."""
    found: list[str] = []
    profile = context.params.get("profile") or context.find_root().params.get("profile")
    options = {**context.params, "profile": profile}
    reader = threading.Thread(target=_read_slugs, args=(options, kind, found), daemon=True)
    reader.start()
    reader.join(_TIMEOUT_SECONDS)
    return list(found)


def _read_slugs(options: dict[str, Any], kind: str, found: list[str]) -> None:
    """Add the slugs of a kind of objects to a list, from the cache if it is fresh."""
    from gcapi._http.configuration import find_server
    from gcapi._http.urls import last_segment
    from gcapi._transfer.atomic_file import write_atomically
    from gcapi._util.user_dirs import state_dir
    from gcapi.cli.credentials import token_of_command

    try:
        argument, file = options.get("token"), options.get("token_file")
        server = find_server(
            options.get("base_url") or "",
            options.get("profile") or "",
            with_token=bool(argument or file),
        )
        url = str(server.base_url)
        # The token may come from standard input, which belongs to the shell here.
        argument = None if argument == "-" else argument
        token = token_of_command(server, argument=argument, file=file).value
        key = hashlib.sha256(f"{url}\n{kind}\n{token}".encode()).hexdigest()
        cache = state_dir() / "completion" / f"{key[:32]}.json"
        if cache.exists() and 0 <= time.time() - cache.stat().st_mtime < _CACHE_SECONDS:
            found += json.loads(cache.read_text("utf-8"))
            return
        with gcapi.Client(token, url, timeout=_TIMEOUT_SECONDS) as client:
            slugs = [last_segment(one.url) for one in _NAMESPACES[kind](client).iterate_all()]
        found += slugs
        cache.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(cache, json.dumps(slugs).encode(), existing="overwrite")
    except Exception:  # noqa: BLE001 - a message would be in the middle of the user's command line
        return
