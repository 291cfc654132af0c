"""A sandbox under the name of the public server, so that the documentation's code runs unchanged.

A page says `Client()`, which connects to https://grand-challenge.org. This module redirects it to a sandbox with
variables that any user can set: `HTTPS_PROXY` names a proxy that resolves that host to this machine, and
`SSL_CERT_FILE` the certificate authority. No part of the client is replaced, and the programs that a page starts are
redirected too.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from gcapi import Client, SocketValueSpec
from gcapi_sandbox import Sandbox
from tests.support.data import noise, series, volume
from tests.support.servers.loopback import Answer, Loopback, Seen
from tests.support.servers.private_network import Authority, Proxy
from tests.support.servers.relay import forward

HOST = "grand-challenge.org"
STORE_HOST = f"storage.{HOST}"
#: The sockets that the documentation mentions: title, kind, and whether JSON is stored in the database.
SOCKETS = (
    ("Generic Medical Image", "Image", True),
    ("CT Image", "Image", True),
    ("DICOM Image Set", "DICOM Image Set", True),
    ("Thresholded Image", "Image", True),
    ("Report", "PDF file", True),
    ("Measurements", "CSV file", True),
    ("Lung Volume", "Float", True),
    ("Mean Intensity", "Float", True),
    ("Diagnosis", "String", True),
    ("Is Suspicious", "Bool", True),
    ("Nodule Locations", "Multiple points", True),
    ("Findings", "Anything", False),
)
QUESTIONS = (
    {"question_text": "Is there a nodule?", "answer_type": "Text", "required": False},
    {
        "question_text": "How good is the image?",
        "answer_type": "Choice",
        "options": ["Good", "Usable", "Not usable"],
        "required": False,
    },
)
#: Variables of a developer's environment that would redirect the client elsewhere.
_CLEARED = ("HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_DIR", "PYTHONPATH")


def fill(folder: Path) -> None:
    """Fill a sandbox's folder with the objects that the documentation mentions."""
    with Sandbox(folder) as sandbox:
        for title, kind, in_database in SOCKETS:
            sandbox.add_socket(title, kind, store_in_database=in_database)
        sandbox.add_viewer_session()
        sandbox.add_archive("My Archive")
        sandbox.add_reader_study(
            "My Study",
            readers=["sandbox", "second-reader"],
            questions=QUESTIONS,
            allow_answer_modification=True,
        )
        sandbox.add_algorithm(
            "My Algorithm",
            interfaces=[(["generic-medical-image"], ["mean-intensity", "thresholded-image"])],
            run="gcapi_sandbox.demo_algorithm:run",
        )
        with Client(sandbox.token, sandbox.base_url) as client:
            _add_cases(client, folder.parent)


def _add_cases(client: Client, scratch: Path) -> None:
    image = noise(scratch / "earlier.mha")
    values = [
        SocketValueSpec("generic-medical-image", file=image),
        SocketValueSpec("lung-volume", value=2.5),
    ]
    item = client.add_case_to_archive(
        archive_slug="my-archive", values=values, title="Earlier case"
    )
    client.wait_for_values(item, values=values, timeout=60)
    shown = client.add_case_to_reader_study(
        reader_study_slug="my-study",
        values=[SocketValueSpec("lung-volume", value=2.5)],
        title="Answered case",
    )
    first, second = client.reader_studies.detail(slug="my-study").questions
    answers = client.reader_studies.answers
    answers.create(question=first.pk, display_set=shown.pk, answer="No")
    answers.create(question=second.pk, display_set=shown.pk, answer=second.options[1].id)


def lay_out(folder: Path) -> None:
    """Write the files that the documentation mentions into a folder."""
    (folder / "cases").mkdir()
    (folder / "series").mkdir()
    for number in (1, 2):
        noise(folder / "cases" / f"case-{number}.mha")
    noise(folder / "ct.mha")
    noise(folder / "ct.mhd")
    shutil.copy(volume(), folder / "mr.nii")
    series(folder / "series")


@dataclass(frozen=True)
class PublicServer:
    """The environment of a page.

    Attributes:
        folder: The working directory, with sample files.
        environment: The variables that redirect to the sandbox, and an empty home directory.
        sandbox: The sandbox.
    """

    folder: Path
    environment: dict[str, str]
    sandbox: Sandbox

    def enter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Set the working directory and the environment of a test."""
        monkeypatch.chdir(self.folder)
        for name in os.environ.keys() - self.environment.keys():
            monkeypatch.delenv(name)
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)


@contextmanager
def run_public_server(filled: Path, folder: Path) -> Iterator[PublicServer]:
    """Run a sandbox on a copy of a filled folder, under the public server's name."""
    data, work, home = folder / "data", folder / "work", folder / "home"
    shutil.copytree(filled, data)
    for made in (work, home):
        made.mkdir()
    lay_out(work)
    authority = Authority()
    (folder / "authority.pem").write_bytes(authority.pem)
    with ExitStack() as undo:
        sandbox = undo.enter_context(Sandbox(data))
        server = undo.enter_context(_serve_tls(sandbox, authority))
        proxy = undo.enter_context(Proxy(httpx.URL(server.origin).port))
        yield PublicServer(
            work,
            {
                **{name: value for name, value in os.environ.items() if _is_kept(name)},
                "GRAND_CHALLENGE_AUTHORIZATION": sandbox.token,
                "HOME": str(home),
                "HTTPS_PROXY": proxy.origin,
                "NO_PROXY": "127.0.0.1,localhost",
                "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
                "PYTHONWARNINGS": "error",
                "SSL_CERT_FILE": str(folder / "authority.pem"),
            },
            sandbox,
        )


def _is_kept(name: str) -> bool:
    return name.upper() not in {*_CLEARED, "HTTPS_PROXY"} and not name.startswith("PYTEST")


@contextmanager
def _serve_tls(sandbox: Sandbox, authority: Authority) -> Iterator[Loopback]:
    """Serve a sandbox's API and its store over TLS under the public server's names."""
    root = sandbox.base_url.removesuffix("/api/v1/")
    store = sandbox.storage_url.rstrip("/")
    with httpx.Client(trust_env=False, timeout=60) as upstream:

        def script(seen: Seen) -> Answer:
            if seen.header("Host") == STORE_HOST:
                return forward(upstream, store, seen)
            # Together with the Host header, from which the server makes the addresses in its responses.
            answer = forward(upstream, root, seen, **{"X-Forwarded-Proto": "https"})
            location = answer.headers.get("location", "").replace(store, f"https://{STORE_HOST}")
            return replace(
                answer,
                body=answer.content().replace(store.encode(), f"https://{STORE_HOST}".encode()),
                headers={**answer.headers, **({"location": location} if location else {})},
            )

        tls = authority.server_context(HOST, STORE_HOST)
        with Loopback(script, with_version=False, tls=tls) as server:
            yield server
