"""CA certificates of the environment and of `verify`: what cannot be used is named, with what to do."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from gcapi import Client
from gcapi._http.tls import make_context
from gcapi.exceptions import ConfigurationError
from tests.support.servers.loopback import TOKEN
from tests.support.servers.private_network import Authority

PEM = Authority().pem
#: Files and folders that cannot be used, and words of their errors.
BAD = {
    "missing": "cannot be read",
    "empty.pem": "is empty",
    "ca.der": "is a certificate in DER format: convert it with 'openssl x509 -inform der",
    "junk.pem": "has no certificate in PEM format",
    "damaged.pem": "has a certificate that cannot be read",
    "folder": "folder",
}


@pytest.fixture
def certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with files that cannot be used, and hide the developer's certificates."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "empty.pem").touch()
    (tmp_path / "ca.der").write_bytes(ssl.PEM_cert_to_DER_cert(PEM.decode()))
    (tmp_path / "junk.pem").write_bytes(b"\x89PNG\r\n\0\xff")
    (tmp_path / "damaged.pem").write_bytes(PEM.replace(b"MII", b"!!!"))
    (tmp_path / "folder").mkdir()
    return tmp_path


@pytest.mark.parametrize("name", BAD)
def test_bad_file_of_the_environment(
    certificates: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file in `SSL_CERT_FILE` that cannot be used raises an error with the variable, the path and the remedy."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / name))
    with (
        Client(TOKEN, "https://gc.example") as client,
        pytest.raises(ConfigurationError) as caught,
    ):
        client.archives.count()
    assert str(caught.value).startswith(f"SSL_CERT_FILE names {certificates / name}")
    assert BAD[name] in str(caught.value)


@pytest.mark.parametrize("name", list(BAD)[1:])
def test_bad_file_of_the_argument(certificates: Path, name: str) -> None:
    """The errors for `verify` are the same, and a folder may be given too."""
    with pytest.raises(ConfigurationError, match=f"^verify names {certificates / name}") as caught:
        make_context(certificates / name)
    assert BAD[name] in str(caught.value)


@pytest.mark.parametrize("name", ["missing", "junk.pem", "folder"])
def test_bad_folder_of_the_environment(
    certificates: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder in `SSL_CERT_DIR` that is none, or has no certificates that OpenSSL finds, is named."""
    monkeypatch.setenv("SSL_CERT_DIR", str(certificates / name))
    with pytest.raises(ConfigurationError, match=f"SSL_CERT_DIR names {certificates / name}.*SSL_"):
        make_context(verify=True)


def test_good_certificates(certificates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PEM file, and a folder with a certificate under its hashed name, are accepted."""
    bundle = certificates / "folder" / "0a1b2c3d.0"
    bundle.write_bytes(b"# ours\n" + PEM)
    monkeypatch.setenv("SSL_CERT_DIR", str(bundle.parent))
    assert make_context(verify=True).verify_mode == ssl.CERT_REQUIRED
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    assert len(make_context(verify=True).get_ca_certs()) == 1
    assert len(make_context(bundle).get_ca_certs()) == 1
