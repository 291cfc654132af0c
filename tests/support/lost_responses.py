"""Sockets and values for writes whose response is lost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gcapi import SocketValueSpec
from gcapi_sandbox import Sandbox
from tests.support.data import noise, unique, written


@dataclass(frozen=True)
class Sockets:
    """Sockets whose values arrive in different ways.

    Attributes:
        number: A value that is there at once.
        table: A file that is imported in the background.
        image: An image that is imported in the background.
    """

    number: str
    table: str
    image: str


def add_sockets(sandbox: Sandbox) -> Sockets:
    """Add a socket of each kind."""
    return Sockets(
        sandbox.add_socket(unique("number"), "Anything"),
        sandbox.add_socket(unique("table"), "CSV file"),
        sandbox.add_socket(unique("image")),
    )


def make_values(sockets: Sockets, folder: Path) -> dict[str, list[SocketValueSpec]]:
    """Return values that are sent inline, as uploads, and both."""
    number = SocketValueSpec(sockets.number, value={"a": (1, None)})
    table = SocketValueSpec(sockets.table, file=written(folder / "ein (1)+1 Wert.csv", "a;ü"))
    image = SocketValueSpec(sockets.image, file=noise(folder / "noise.mha", 8))
    return {
        "none": [],
        "inline": [number],
        "uploads": [table, image],
        "all": [number, table, image],
    }
