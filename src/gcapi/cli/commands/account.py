"""``login``, ``whoami`` and ``logout``."""

from __future__ import annotations

import os
from typing import Any

import click

import gcapi
from gcapi.cli.session import Session, command


@command()
@click.option("--keyring", is_flag=True, help="Store it in the system's keyring, not in a file.")
def login(session: Session, *, keyring: bool) -> None:
    """Check an API token and store it.

    Create a token on your Grand Challenge profile under "API tokens". The command asks for it, or reads it from
    standard input if that is not a terminal. One token is stored for each server.
    """
    from gcapi.cli import credentials

    is_given = session.token or session.token_file
    token = session.find_token() if is_given else credentials.ask_for_token()
    with session.client(token) as client:
        document = account_of(client)
    # The client accepts a scheme before the token, such as "Bearer".
    value = token.value.split()[-1]
    place = credentials.store_token(session.base_url, value, in_keyring=keyring)
    session.say(f"The token was stored in {place}.")
    if os.environ.get(credentials.TOKEN_VARIABLE):
        session.say(f"{credentials.TOKEN_VARIABLE} is also set, and takes precedence over it.")
    session.show({**document, "kept_in": place})


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
    from gcapi.cli import credentials

    removed = credentials.remove_token(session.base_url)
    name = credentials.server_name(session.base_url)
    if removed:
        session.say(f"The token for {name} was removed from {' and '.join(removed)}.")
    else:
        session.say(f"No token was stored for {name}.")
    session.show({"server": session.base_url, "removed_from": removed}, table={})


def account_of(client: gcapi.Client) -> dict[str, Any]:
    """Return the user of a client's token, and the server.

    Raises:
        AuthenticationError: The server does not accept the token.
    """
    # Public lists accept any token, this list does not.
    client(path="components/interfaces/", params={"limit": 1})
    return {"user": client.profiles.self().user.username, "server": str(client.base_url)}
