"""The public server as the documentation speaks of it: every word of a page runs as it stands.

A page says `Client()`, which goes to https://grand-challenge.org. A stage leads it to a sandbox by what any user can
set: `HTTPS_PROXY` names a proxy that finds that host here, and `SSL_CERT_FILE` the authority that vouches for it.
No part of the client is replaced, and programs that a page starts are led there too.
"""

from __future__ import annotations

import os
import shutil
import ssl
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from gcapi import Client, SocketValueSpec
from gcapi_sandbox import Sandbox
from tests.support.data import noise, series, volume
from tests.support.loopback import Answer, Loopback, Seen
from tests.support.tunnels import Authority, Proxy

HOST = "grand-challenge.org"
#: The sockets that the documentation speaks of: title, kind, whether JSON is stored in the database.
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
_HOP_HEADERS = frozenset({"content-length", "transfer-encoding", "connection", "date"})
#: What of a developer's own environment would lead somewhere else.
_CLEARED = ("HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_DIR", "PYTHONPATH")


def furnish(folder: Path) -> None:
    """Fill a sandbox's folder with what the documentation speaks of."""
    with Sandbox(folder) as sandbox:
        for title, kind, in_database in SOCKETS:
            sandbox.add_socket(title, kind, store_in_database=in_database)
        sandbox.add_viewer_session()
        sandbox.add_archive("My Archive")
        sandbox.add_reader_study(
            "My Study",
            readers=["sandbox"],
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
    """Put the files into a folder that the documentation speaks of."""
    (folder / "cases").mkdir()
    (folder / "series").mkdir()
    for number in (1, 2):
        noise(folder / "cases" / f"case-{number}.mha")
    noise(folder / "ct.mha")
    shutil.copy(volume(), folder / "mr.nii")
    series(folder / "series")


@dataclass(frozen=True)
class Stage:
    """What a page finds.

    Attributes:
        folder: Where it runs, with sample files.
        environment: The variables that lead to the sandbox, and an empty home.
        sandbox: Where it is led.
    """

    folder: Path
    environment: dict[str, str]
    sandbox: Sandbox

    def enter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the code of a test run here."""
        monkeypatch.chdir(self.folder)
        for name in os.environ.keys() - self.environment.keys():
            monkeypatch.delenv(name)
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)


class _Doorway(Proxy):
    """A proxy that leads every name to one port."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    def port_of(self, _: str) -> int:
        return self._port


@contextmanager
def stage(furnished: Path, folder: Path) -> Iterator[Stage]:
    """Run a sandbox on a copy of a furnished folder, as the public server."""
    data, work, home = folder / "data", folder / "work", folder / "home"
    shutil.copytree(furnished, data)
    for made in (work, home):
        made.mkdir()
    lay_out(work)
    authority = Authority()
    (folder / "authority.pem").write_bytes(authority.pem)
    with ExitStack() as undo:
        sandbox = undo.enter_context(Sandbox(data))
        server = undo.enter_context(_public_server(sandbox, authority))
        doorway = undo.enter_context(_Doorway(httpx.URL(server.origin).port or 0))
        yield Stage(
            work,
            {
                **{name: value for name, value in os.environ.items() if _is_kept(name)},
                "GRAND_CHALLENGE_AUTHORIZATION": sandbox.token,
                "HOME": str(home),
                "HTTPS_PROXY": doorway.url,
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
def _public_server(sandbox: Sandbox, authority: Authority) -> Iterator[Loopback]:
    """Serve a sandbox's API over TLS under the public server's name."""
    root = sandbox.base_url.removesuffix("/api/v1/")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.ca.issue_cert(HOST).configure_cert(context)
    with httpx.Client(trust_env=False, timeout=60) as upstream:

        def script(seen: Seen) -> Answer:
            response = upstream.request(
                seen.method,
                root + seen.path,
                content=seen.body,
                # The name that was asked, from which the addresses in the answers are made.
                headers={**seen.headers, "X-Forwarded-Proto": "https"},
            )
            return Answer(response.status_code, response.content, _end_to_end(response.headers))

        with Loopback(script, with_version=False, tls=context) as server:
            yield server


def _end_to_end(headers: Any) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _HOP_HEADERS}
