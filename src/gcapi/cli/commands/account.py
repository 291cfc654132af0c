"""``login``, ``whoami`` and ``logout``: the token, and whose it is."""

from __future__ import annotations

import getpass
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from gcapi.cli.output import print_json
from gcapi.cli.session import Session, command

if TYPE_CHECKING:
    from gcapi.client import Client


@command()
@click.option("--keyring", is_flag=True, help="Keep it in the system's keyring, not in a file.")
def login(session: Session, *, keyring: bool) -> None:
    """Check a token against the server, and keep it.

    The token is asked for, or read from standard input where that is no terminal. Tokens are made on your Grand
    Challenge profile under "API tokens". Each server has a token of its own.
    """
    from gcapi._http.settings import TOKEN_VARIABLE
    from gcapi.cli.credentials import store_token
    from gcapi.client import Client

    token = _wanted_token(session)
    with Client(token, session.base_url) as client:
        account = _account(client)
    # As the client takes it: a scheme before the token is not kept.
    kept_in = store_token(session.base_url, token.split()[-1], in_keyring=keyring)
    session.say(f"The token is kept in {kept_in}.")
    if os.environ.get(TOKEN_VARIABLE):
        session.say(f"{TOKEN_VARIABLE} is set, too, and comes before it.")
    session.show({**account, "kept_in": kept_in})


def _wanted_token(session: Session) -> str:
    from gcapi.cli.credentials import first_line

    if session.token or session.token_file:
        return session.find_token().value
    if not sys.stdin.isatty():
        return first_line(sys.stdin.readline(), "standard input")
    try:
        typed = getpass.getpass("API token (not shown): ", stream=sys.stderr)
    except EOFError:
        typed = ""
    return first_line(typed, "what was typed")


@command()
def whoami(session: Session) -> None:
    """Show whose the token is, and where it came from."""
    token = session.find_token()
    with session.client_with(token) as client:
        account = _account(client)
    session.show({**account, "token_from": token.source})


@command()
def logout(session: Session) -> None:
    """Remove the token that is kept for the server.

    The server goes on to accept it: revoke it on your Grand Challenge profile if somebody else may have it.
    """
    from gcapi.cli.credentials import remove_token, server_name

    removed = remove_token(session.base_url)
    name = server_name(session.base_url)
    if removed:
        session.say(f"The token for {name} was removed from {' and '.join(removed)}.")
    else:
        session.say(f"No token was kept for {name}.")
    if session.as_json:
        print_json({"server": session.base_url, "removed_from": removed})


def _account(client: Client) -> dict[str, Any]:
    """Return who the token belongs to.

    Raises:
        AuthenticationError: To nobody.
    """
    # Lists that are public answer whatever the token is; this one needs it.
    client(path="components/interfaces/", params={"limit": 1})
    return {"user": client.profiles.self().user.username, "server": str(client.base_url)}
