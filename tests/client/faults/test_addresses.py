"""Addresses from the server that are none, lead elsewhere, or in circles."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from gcapi.exceptions import GCAPIError, InvalidTarget, TransferError, UnexpectedAnswer
from tests.support.api_and_store import served
from tests.support.api_objects import DICOM_IMAGE, PK, image_file, socket_value
from tests.support.data import everything_below
from tests.support.loopback import NO_RETRIES, TOKEN, Answer, Loopback, Seen, connect, in_turn


@pytest.mark.parametrize(
    ("address", "error"),
    [
        ("https://host:x/a.mha", UnexpectedAnswer),
        ("https://host:99999/a.mha", UnexpectedAnswer),
        ("https://host:0/a.mha", UnexpectedAnswer),
        ("https://a..b/a.mha", UnexpectedAnswer),
        (f"https://{'a' * 64}.org/a.mha", UnexpectedAnswer),
        ("https://xn--/a.mha", UnexpectedAnswer),
        ("https://[::1/a.mha", UnexpectedAnswer),
        ("https://host/\x00a.mha", UnexpectedAnswer),
        ("/media/a.mha", InvalidTarget),
        ("http://example.org/a.mha", InvalidTarget),
        ("mailto:a.mha", InvalidTarget),
    ],
)
def test_addresses_that_are_none(tmp_path: Path, address: str, error: type[GCAPIError]) -> None:
    """A file's, an image's, a redirect's or a recipe's address that cannot be used is an error of this package."""
    hop = Answer(status=302, headers={"Location": address})
    with Loopback(in_turn(hop)) as server, connect(server) as client:
        with pytest.raises(error):
            client.images.download(files=[image_file(address)], output_directory=tmp_path)
        with pytest.raises(error):
            client.download_socket_value(socket_value("a", file=address), output_directory=tmp_path)
        # An image's address without a host is one of the API's.
        with pytest.raises(GCAPIError):
            client.download_socket_value(
                socket_value("a", image=address), output_directory=tmp_path
            )
        if address.isprintable() and not address.startswith("/"):
            with pytest.raises(error):
                client.images.download(
                    files=[image_file(f"{server.origin}/a.mha")], output_directory=tmp_path
                )
    recipe = {"url": address, "method": "GET", "data": None, "headers": {}}
    instances = [{"sop_instance_uid": "1.2", "get_instance": recipe}]
    listed = Answer(body={"image_set_id": "0" * 32, "instances": instances})
    with (
        Loopback(in_turn(Answer(body=DICOM_IMAGE), listed)) as server,
        connect(server) as client,
        pytest.raises(error),
    ):
        client.images.download(pk=PK, output_directory=tmp_path)
    assert everything_below(tmp_path) == set()


@pytest.mark.parametrize("hops", [5, 6])
def test_five_hops_are_followed(tmp_path: Path, hops: int) -> None:
    """A file may be five redirects away, and not six."""

    def script(seen: Seen) -> Answer:
        if seen.path.count("x") < hops:
            return Answer(status=302, headers={"Location": f"{seen.path}x"})
        return Answer(body=b"content")

    with Loopback(script) as server, connect(server) as client:
        files = [image_file(f"{server.origin}/media/a.mha")]
        if hops > 5:
            with pytest.raises(TransferError, match="redirects"):
                client.images.download(files=files, output_directory=tmp_path)
        else:
            (path,) = client.images.download(files=files, output_directory=tmp_path)
            assert path.read_bytes() == b"content"
        assert len(server.seen) == 6


def test_link_that_leads_back_has_no_token_for_others(tmp_path: Path) -> None:
    """On a way API, store, API, only the API sees the token."""
    with Loopback(in_turn(Answer(status=302))) as store, Loopback(in_turn(Answer())) as api:
        store._script = in_turn(Answer(status=302, headers={"Location": f"{api.origin}/c"}))
        away = Answer(status=302, headers={"Location": f"{store.origin}/b"})
        api._script = lambda seen: Answer(body=b"content") if seen.path == "/c" else away
        with connect(api) as client:
            client.images.download(
                files=[image_file(f"{api.origin}/media/a.mha")], output_directory=tmp_path
            )
    assert [seen.header("Authorization") for seen in store.seen] == [""]
    assert {seen.header("Authorization") for seen in api.seen} == {f"Bearer {TOKEN}"}


def test_store_that_is_not_there(tmp_path: Path) -> None:
    """A store that cannot be reached is httpx's own error at once, and nothing is left."""
    with Loopback(in_turn(Answer())) as gone:
        origin = gone.origin
    away = in_turn(Answer(status=302, headers={"Location": f"{origin}/a"}))
    with served(in_turn(Answer()), away) as pair:
        with pytest.raises(httpx.ConnectError):
            pair.download(tmp_path, retry_strategy=NO_RETRIES)
        assert len(pair.api.seen) == 1
    assert everything_below(tmp_path) == set()
