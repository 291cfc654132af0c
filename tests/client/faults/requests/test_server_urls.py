"""URLs from the server that are invalid, lead to other hosts or redirect in circles."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from gcapi.exceptions import GCAPIError, InvalidTarget, TransferError, UnexpectedAnswer
from tests.support.api_objects import DICOM_IMAGE, PK, image_file, socket_value
from tests.support.data import everything_below
from tests.support.servers.api_and_store import served
from tests.support.servers.loopback import (
    NO_RETRIES,
    TOKEN,
    Answer,
    Loopback,
    Seen,
    connect,
    in_turn,
)


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
def test_unusable_urls_are_errors(tmp_path: Path, address: str, error: type[GCAPIError]) -> None:
    """An unusable URL of a file, an image, a redirect or a DICOM recipe is an error of this package."""
    hop = Answer(status=302, headers={"Location": address})
    with Loopback(in_turn(hop)) as server, connect(server) as client:
        with pytest.raises(error):
            client.images.download(files=[image_file(address)], output_directory=tmp_path)
        with pytest.raises(error):
            client.download_socket_value(socket_value("a", file=address), output_directory=tmp_path)
        # An image URL without a host belongs to the API.
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
    """Five redirects to a file are followed, and six are an error."""

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


def test_redirects_back_to_the_api_give_the_token_to_nobody_else(tmp_path: Path) -> None:
    """When redirects lead from the API to the store and back, only the API gets the token."""
    with Loopback(in_turn(Answer(status=302))) as store, Loopback(in_turn(Answer())) as api:
        store.script = in_turn(Answer(status=302, headers={"Location": f"{api.origin}/c"}))
        away = Answer(status=302, headers={"Location": f"{store.origin}/b"})
        api.script = lambda seen: Answer(body=b"content") if seen.path == "/c" else away
        with connect(api) as client:
            client.images.download(
                files=[image_file(f"{api.origin}/media/a.mha")], output_directory=tmp_path
            )
    assert [seen.header("Authorization") for seen in store.seen] == [""]
    assert {seen.header("Authorization") for seen in api.seen} == {f"Bearer {TOKEN}"}


def test_unreachable_store_leaves_no_file(tmp_path: Path) -> None:
    """An unreachable store is httpx's own error, and leaves no file."""
    with Loopback(in_turn(Answer())) as gone:
        origin = gone.origin
    away = in_turn(Answer(status=302, headers={"Location": f"{origin}/a"}))
    with served(in_turn(Answer()), away) as pair:
        with pytest.raises(httpx.ConnectError):
            pair.download(tmp_path, retry_strategy=NO_RETRIES)
        assert len(pair.api.seen) == 1
    assert everything_below(tmp_path) == set()
