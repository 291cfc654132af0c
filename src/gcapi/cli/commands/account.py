"""``login``, ``whoami`` and ``logout``."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import click

import gcapi
from gcapi.cli.session import Session, command


@command()
@click.option("--keyring", is_flag=True, help="Store it in the system's keyring, not in a file.")
def login(session: Session, *, keyring: bool) -> None:
    """Check an API token and store it.

    Create a token on your Grand Challenge profile under "API tokens". The command asks for it, or reads it from
    standard input if that is not a terminal. One token is stored for each profile and server. The server becomes that
    of the profile, and without --profile that of later commands and of Client().
    """
    from gcapi._http import configuration
    from gcapi.cli import credentials

    session = replace(session, given_url=str(session.find_server(new_profile=True).base_url))
    is_given = session.token or session.token_file
    token = session.find_token() if is_given else credentials.ask_for_token()
    with session.client(token) as client:
        document = account_of(client)
    # The client accepts a scheme before the token, such as "Bearer".
    value = token.value.split()[-1]
    place = credentials.store_token(session.server, value, in_keyring=keyring)
    session.say(f"The token for {session.server.name} was stored in {place}.")
    for name in (configuration.TOKEN_VARIABLE, configuration.BASE_URL_VARIABLE):
        if os.environ.get(name) and not session.server.profile:
            session.say(f"{name} is also set, and takes precedence over it.")
    session.show({**document, "kept_in": place})


@command()
def whoami(session: Session) -> None:
    """Show the user, the server, and where the token is from."""
    token = session.find_token()
    with session.client(token) as client:
        document = account_of(client)
    session.show({**document, "server_from": session.server.source, "token_from": token.source})


@command()
def logout(session: Session) -> None:
    """Remove the stored token of a server.

    The server still accepts it: if someone else may have it, revoke it on your Grand Challenge profile.
    """
    from gcapi.cli import credentials

    server = session.server
    removed = credentials.remove_token(server)
    if removed:
        session.say(f"The token for {server.name} was removed from {' and '.join(removed)}.")
    else:
        session.say(f"No token was stored for {server.name}.")
    session.show({"server": str(server.base_url), "removed_from": removed}, table={})


def account_of(client: gcapi.Client) -> dict[str, Any]:
    """Return the user of a client's token, and the server.

    Raises:
        AuthenticationError: The server does not accept the token.
    """
    # Public lists accept any token, this list does not.
    client(path="components/interfaces/", params={"limit": 1})
    return {"user": client.profiles.self().user.username, "server": str(client.base_url)}
