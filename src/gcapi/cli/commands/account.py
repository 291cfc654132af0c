"""``login``, ``whoami`` and ``logout``."""

from __future__ import annotations

import getpass
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from gcapi._http.settings import TOKEN_VARIABLE
from gcapi.cli.credentials import (
    StoredToken,
    first_line,
    remove_token,
    server_name,
    store_token,
)
from gcapi.cli.output import print_json
from gcapi.cli.session import Session, command

if TYPE_CHECKING:
    from gcapi.client import Client


@command()
@click.option("--keyring", is_flag=True, help="Store it in the system's keyring, not in a file.")
def login(session: Session, *, keyring: bool) -> None:
    """Check an API token and store it.

    Create a token on your Grand Challenge profile under "API tokens". The command asks for it, or reads it from
    standard input if that is not a terminal. One token is stored for each server.
    """
    token = _given_token(session)
    with session.client(token) as client:
        document = account_of(client)
    # The client accepts a scheme before the token, such as "Bearer".
    place = store_token(session.base_url, token.value.split()[-1], in_keyring=keyring)
    session.say(f"The token was stored in {place}.")
    if os.environ.get(TOKEN_VARIABLE):
        session.say(f"{TOKEN_VARIABLE} is also set, and takes precedence over it.")
    session.show({**document, "kept_in": place})


def _given_token(session: Session) -> StoredToken:
    if session.token or session.token_file:
        return session.find_token()
    if not sys.stdin.isatty():
        return StoredToken(first_line(sys.stdin.readline(), "standard input"), "standard input")
    try:
        typed = getpass.getpass("API token (not shown): ", stream=sys.stderr)
    except EOFError:
        typed = ""
    return StoredToken(first_line(typed, "your input"), "your input")


@command()
def whoami(session: Session) -> None:
    """Show the user of the token and its source."""
    token = session.find_token()
    with session.client(token) as client:
        document = account_of(client)
    session.show({**document, "token_from": token.source})


@command()
def logout(session: Session) -> None:
    """Remove the stored token of a server.

    The server still accepts it: if someone else may have it, revoke it on your Grand Challenge profile.
    """
    removed = remove_token(session.base_url)
    name = server_name(session.base_url)
    if removed:
        session.say(f"The token for {name} was removed from {' and '.join(removed)}.")
    else:
        session.say(f"No token was stored for {name}.")
    if session.as_json:
        print_json({"server": session.base_url, "removed_from": removed})


def account_of(client: Client) -> dict[str, Any]:
    """Return the user of a client's token, and the server.

    Raises:
        AuthenticationError: The server does not accept the token.
    """
    # Public lists accept any token, this list does not.
    client(path="components/interfaces/", params={"limit": 1})
    return {"user": client.profiles.self().user.username, "server": str(client.base_url)}
