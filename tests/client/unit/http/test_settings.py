"""Validation of a client's settings: token, base URL, TLS, timeout and limits."""

import math
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcapi._http.settings import Settings, bare_token
from gcapi._http.urls import DEFAULT_BASE_URL, is_loopback, origin, parse_base_url
from gcapi.exceptions import ConfigurationError, TokenError


def made(**changes: Any) -> Settings:
    """Return valid settings with the given changes."""
    good: dict[str, Any] = {
        "token": "t0ken",
        "base_url": DEFAULT_BASE_URL,
        "verify": True,
        "timeout": 60.0,
        "max_concurrent_uploads": 10,
        "max_concurrent_downloads": 10,
    }
    told = {**good, **changes}
    told["base_url"] = parse_base_url(told["base_url"])
    return Settings(**told)


# ---------------------------------------------------------------- token


@pytest.mark.parametrize(
    "token",
    ["t0ken", "  t0ken\n", "Bearer t0ken", "TOKEN  t0ken", "\tanything t0ken "],
)
def test_token_is_the_last_of_two_words(token: str) -> None:
    """Whitespace is trimmed, and the first of two words is dropped."""
    assert bare_token(token) == "t0ken"


@pytest.mark.parametrize("token", ["", "   ", "\n"])
def test_blank_token_is_an_error(token: str) -> None:
    """A token without a character is refused."""
    with pytest.raises(TokenError, match="is blank") as caught:
        bare_token(token)
    assert isinstance(caught.value, RuntimeError)


def test_three_words_are_an_error() -> None:
    """A token of more than two words is refused, and the message does not repeat them."""
    with pytest.raises(ConfigurationError, match="has 3 words") as caught:
        bare_token("Bearer half1 half2")
    assert "half" not in str(caught.value)


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1))
def test_form_of_a_token_is_not_judged(word: str) -> None:
    """Any word that a header can hold is accepted, since only the server knows its tokens."""
    assert bare_token(f"Bearer {word}") == word


@pytest.mark.parametrize("word", ["s3cr\0t", "s3cr\x7ft", "s3crét", "s3cr\u202et", "s3cr\ud800t"])
def test_tokens_that_no_header_can_hold_are_refused(word: str) -> None:
    """A token that a header cannot hold is refused, before an error of httpx shows it."""
    with pytest.raises(ConfigurationError, match="characters") as caught:
        bare_token(word)
    assert word not in repr(caught.value)


def test_token_is_in_no_repr() -> None:
    """The repr of the settings does not contain the token."""
    told = made(token="s3cret")
    assert "s3cret" not in f"{told!r}{told}"


# ---------------------------------------------------------------- base URL


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        (DEFAULT_BASE_URL, "https://grand-challenge.org/api/v1/"),
        ("https://gc.example/api/v1", "https://gc.example/api/v1/"),
        ("https://gc.example:8443/api/v1/", "https://gc.example:8443/api/v1/"),
        ("HTTPS://GC.Example/api/v1/", "https://gc.example/api/v1/"),
        ("http://localhost:8000/api/v1/", "http://localhost:8000/api/v1/"),
        ("http://LocalHost/api/v1/", "http://localhost/api/v1/"),
        ("http://127.0.0.1:8000/api/v1/", "http://127.0.0.1:8000/api/v1/"),
        ("http://127.0.0.2/api/v1/", "http://127.0.0.2/api/v1/"),
        ("http://[::1]:8000/api/v1/", "http://[::1]:8000/api/v1/"),
        ("http://gc.localhost:8000/api/v1/", "http://gc.localhost:8000/api/v1/"),
    ],
)
def test_base_url_is_https_or_this_machine(base_url: str, expected: str) -> None:
    """A base URL that is https or loopback is accepted, and ends in a slash."""
    assert str(parse_base_url(base_url)) == expected


@pytest.mark.parametrize(
    "base_url",
    [
        "http://gc.example/api/v1/",
        "http://192.168.1.4/api/v1/",
        "http://0.0.0.0/api/v1/",
        "http://localhost.example/api/v1/",
        "http://127.0.0.1.example/api/v1/",
        "http://[2001:db8::1]/api/v1/",
        "ftp://gc.example/api/v1/",
        "file:///api/v1/",
        "gc.example/api/v1/",
        "/api/v1/",
        "https://",
        "https:///api/v1/",
        "",
        "no URL at all",
        "https://[::1/api/v1/",
        "https://gc.example:port/",
        "https://gc.example/\x00",
        None,
        7,
    ],
)
def test_unsafe_base_url_is_refused(base_url: Any) -> None:
    """A base URL that is neither https nor loopback, or not a URL, is refused."""
    with pytest.raises(ConfigurationError, match="base URL") as caught:
        parse_base_url(base_url)
    assert isinstance(caught.value, RuntimeError)


@pytest.mark.parametrize(
    "base_url",
    [
        "https://gc.example/api/v1/?format=json",
        "https://gc.example/api/v1/#top",
        "https://user:s3cret@gc.example/api/v1/",
    ],
)
def test_base_url_has_no_user_query_or_fragment(base_url: str) -> None:
    """A base URL with a user name, a query or a fragment is refused, and they are not shown."""
    with pytest.raises(ConfigurationError, match="must not have") as caught:
        parse_base_url(base_url)
    assert "s3cret" not in str(caught.value)


@given(st.text() | st.text().map("https://{}".format) | st.text().map("http://{}".format))
def test_any_text_is_a_safe_url_or_refused(text: str) -> None:
    """Any text is refused or gives a base URL that is https or loopback."""
    try:
        url = parse_base_url(text)
    except ConfigurationError:
        return
    assert url.scheme == "https" or is_loopback(url.host)
    assert url.path.endswith("/")


@pytest.mark.parametrize(
    ("base_url", "root"),
    [
        ("https://gc.example/api/v1/", "https://gc.example"),
        ("https://gc.example/api/v1", "https://gc.example"),
        ("https://gc.example/sub/api/v1/", "https://gc.example/sub"),
        ("https://gc.example/", "https://gc.example"),
        ("https://gc.example", "https://gc.example"),
        ("https://gc.example/sub", "https://gc.example/sub"),
        ("http://[::1]:8000/api/v1/", "http://[::1]:8000"),
    ],
)
def test_root_is_the_base_url_without_the_api_path(base_url: str, root: str) -> None:
    """The root is the base URL without /api/v1/, which generated paths begin with."""
    assert made(base_url=base_url).root_url == root


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://gc.example/api/v1/archives/", True),
        ("https://gc.example/media/1.mha", True),
        ("https://gc.example:443/api/v1/", True),
        ("HTTPS://GC.EXAMPLE/api/v1/", True),
        ("http://gc.example/api/v1/", False),
        ("https://gc.example:8443/api/v1/", False),
        ("https://store.gc.example/api/v1/", False),
        ("https://gc.example.evil.example/api/v1/", False),
        ("https://gc.example@evil.example/api/v1/", False),
        ("/api/v1/", False),
    ],
)
def test_api_is_recognised_by_its_origin(url: str, expected: bool) -> None:
    """The API's origin is the scheme, host and port of the base URL."""
    assert made(base_url="https://gc.example/api/v1/").is_api(httpx.URL(url)) is expected


@pytest.mark.parametrize(
    ("base_url", "url", "expected"),
    [
        ("http://localhost/api/v1/", "http://localhost:80/", True),
        ("http://localhost:8000/api/v1/", "http://localhost:8000/", True),
        ("http://localhost:8000/api/v1/", "http://localhost:8001/", False),
        ("http://localhost:443/api/v1/", "https://localhost/", False),
        ("https://gc.example:443/api/v1/", "https://gc.example/", True),
    ],
)
def test_default_ports_equal_no_port(base_url: str, url: str, expected: bool) -> None:
    """The default port equals no port, and any other port is a different origin."""
    assert made(base_url=base_url).is_api(httpx.URL(url)) is expected


def test_origin_of_an_unknown_scheme_has_no_port() -> None:
    """The origin of an unknown scheme has no port."""
    assert origin(httpx.URL("s3://bucket/key")) == ("s3", "bucket", None)


# ---------------------------------------------------------------- numbers and TLS


@pytest.mark.parametrize(
    "timeout", [0, -1, 0.0, math.nan, math.inf, -math.inf, 10**400, 1e300, True, None, "60"]
)
def test_bad_timeout_is_refused(timeout: Any) -> None:
    """A timeout that is not a finite number above 0 is refused."""
    with pytest.raises(ConfigurationError, match=r"timeout=.*above 0"):
        made(timeout=timeout)


@pytest.mark.parametrize("timeout", [1, 0.5, 86_400])
def test_timeout_is_seconds(timeout: float) -> None:
    """Integers and floats are valid timeouts."""
    assert made(timeout=timeout).timeout == timeout


@pytest.mark.parametrize("name", ["max_concurrent_uploads", "max_concurrent_downloads"])
@pytest.mark.parametrize("value", [0, -1, 1.0, 2.5, True, None, "10"])
def test_bad_limit_is_refused(name: str, value: Any) -> None:
    """A number of connections that is not an integer of at least 1 is refused."""
    with pytest.raises(ConfigurationError, match=f"{name}=.*at least 1"):
        made(**{name: value})


def test_limits_are_kept() -> None:
    """Valid limits are kept."""
    told = made(max_concurrent_uploads=1, max_concurrent_downloads=2)
    assert (told.max_concurrent_uploads, told.max_concurrent_downloads) == (1, 2)


def test_verify_takes_all_that_says_how_to_check(tmp_path: Path) -> None:
    """True, False, an SSL context and the path of an existing bundle are valid."""
    bundle = tmp_path / "bundle.pem"
    bundle.touch()
    told: list[Any] = [True, False, ssl.create_default_context(), bundle, str(bundle), tmp_path]
    assert [made(verify=verify).verify for verify in told] == told


@pytest.mark.parametrize("verify", ["no-such-bundle.pem", Path("no-such-bundle.pem"), ""])
def test_missing_bundle_is_refused(verify: str | Path) -> None:
    """A missing CA bundle is refused at construction, not at the first request."""
    with pytest.raises(ConfigurationError, match="no such CA bundle"):
        made(verify=verify)


@pytest.mark.parametrize("verify", [None, 1, 0, b"bundle.pem", []])
def test_verify_of_another_type_is_refused(verify: Any) -> None:
    """A value of another type is refused rather than converted to a boolean."""
    with pytest.raises(ConfigurationError, match="verify="):
        made(verify=verify)


def test_settings_are_frozen() -> None:
    """Settings are immutable."""
    with pytest.raises(AttributeError):
        made().token = "other"  # type: ignore[misc]
