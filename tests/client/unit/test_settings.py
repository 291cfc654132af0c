"""What a client may be told: token, base URL, TLS, timeouts and limits."""

import math
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcapi._http.settings import TOKEN_VARIABLE, Settings, resolve_token
from gcapi._http.urls import DEFAULT_BASE_URL, is_loopback, origin, parse_base_url
from gcapi.exceptions import ConfigurationError


def made(**changes: Any) -> Settings:
    """Return settings that are good but for what a test changes."""
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
    """Blanks are trimmed, and of two words the first is dropped, whatever it is."""
    assert resolve_token(token) == "t0ken"


@pytest.mark.parametrize("token", ["", "   ", "\n"])
def test_no_token_is_an_error(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a token the error names the argument and the variable that it can come from."""
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    with pytest.raises(ConfigurationError, match=f"token=.*{TOKEN_VARIABLE}") as caught:
        resolve_token(token)
    assert isinstance(caught.value, RuntimeError)


def test_three_words_are_an_error() -> None:
    """More than two words are no token, and the message does not repeat them."""
    with pytest.raises(ConfigurationError, match="has 3 words") as caught:
        resolve_token("Bearer half1 half2")
    assert "half" not in str(caught.value)


def test_token_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the argument the variable is read, in the same forms."""
    monkeypatch.setenv(TOKEN_VARIABLE, " Bearer from-environment ")
    assert resolve_token("") == "from-environment"


def test_argument_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that is given is taken, whatever the variable says."""
    monkeypatch.setenv(TOKEN_VARIABLE, "from-environment")
    assert resolve_token("t0ken") == "t0ken"


@settings(derandomize=True, deadline=None)
@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1))
def test_form_of_a_token_is_not_judged(word: str) -> None:
    """Any one word that a header can hold is a token: only the server knows which it accepts."""
    assert resolve_token(f"Bearer {word}") == word


@pytest.mark.parametrize("word", ["s3cr\0t", "s3cr\x7ft", "s3crét", "s3cr\u202et", "s3cr\ud800t"])
def test_tokens_that_no_header_can_hold_are_refused(word: str) -> None:
    """A token with characters that would break the header is refused before the HTTP client's error shows it."""
    with pytest.raises(ConfigurationError, match="characters") as caught:
        resolve_token(word)
    assert word not in repr(caught.value)


def test_token_is_in_no_repr() -> None:
    """Printing the settings does not show the token."""
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
    ],
)
def test_base_url_is_https_or_this_machine(base_url: str, expected: str) -> None:
    """A safe base URL is taken and ends in a slash."""
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
    """What is neither https nor on this machine, or is no URL, is refused before a token could go there."""
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
def test_base_url_is_an_address_alone(base_url: str) -> None:
    """A user, a query or a fragment would get into every request, and is refused without being shown."""
    with pytest.raises(ConfigurationError, match="must not have") as caught:
        parse_base_url(base_url)
    assert "s3cret" not in str(caught.value)


@settings(derandomize=True, deadline=None)
@given(st.text() | st.text().map("https://{}".format) | st.text().map("http://{}".format))
def test_any_text_is_a_safe_url_or_refused(text: str) -> None:
    """No text gives a base URL that is neither https nor on this machine."""
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
def test_root_is_the_base_url_without_the_api(base_url: str, root: str) -> None:
    """Generated paths, which begin with /api/v1/, are appended to the root."""
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
def test_api_is_told_by_its_origin(url: str, expected: bool) -> None:
    """The token may go where scheme, host and port are the base URL's, and nowhere else."""
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
def test_ports_are_compared_by_what_they_mean(base_url: str, url: str, expected: bool) -> None:
    """A default port and none are the same, and any other makes another origin."""
    assert made(base_url=base_url).is_api(httpx.URL(url)) is expected


def test_origin_of_an_unknown_scheme_has_no_port() -> None:
    """A scheme without a default port does not stop the comparison."""
    assert origin(httpx.URL("s3://bucket/key")) == ("s3", "bucket", None)


# ---------------------------------------------------------------- numbers and TLS


@pytest.mark.parametrize(
    "timeout", [0, -1, 0.0, math.nan, math.inf, -math.inf, 10**400, 1e300, True, None, "60"]
)
def test_bad_timeout_is_refused(timeout: Any) -> None:
    """A timeout is a finite number above 0 that a socket can wait for."""
    with pytest.raises(ConfigurationError, match=r"timeout=.*above 0"):
        made(timeout=timeout)


@pytest.mark.parametrize("timeout", [1, 0.5, 86_400])
def test_timeout_is_seconds(timeout: float) -> None:
    """Whole and broken numbers of seconds are taken."""
    assert made(timeout=timeout).timeout == timeout


@pytest.mark.parametrize("name", ["max_concurrent_uploads", "max_concurrent_downloads"])
@pytest.mark.parametrize("value", [0, -1, 1.0, 2.5, True, None, "10"])
def test_bad_limit_is_refused(name: str, value: Any) -> None:
    """A number of connections is a whole number of at least 1."""
    with pytest.raises(ConfigurationError, match=f"{name}=.*at least 1"):
        made(**{name: value})


def test_limits_are_kept() -> None:
    """The smallest limits are taken as they are."""
    told = made(max_concurrent_uploads=1, max_concurrent_downloads=2)
    assert (told.max_concurrent_uploads, told.max_concurrent_downloads) == (1, 2)


def test_verify_takes_all_that_says_how_to_check(tmp_path: Path) -> None:
    """True, False, a context, and an existing bundle as str or path are taken."""
    bundle = tmp_path / "bundle.pem"
    bundle.touch()
    told: list[Any] = [True, False, ssl.create_default_context(), bundle, str(bundle), tmp_path]
    assert [made(verify=verify).verify for verify in told] == told


@pytest.mark.parametrize("verify", ["no-such-bundle.pem", Path("no-such-bundle.pem"), ""])
def test_missing_bundle_is_refused(verify: str | Path) -> None:
    """A CA bundle that does not exist is an error at once, not with the first request."""
    with pytest.raises(ConfigurationError, match="no such CA bundle"):
        made(verify=verify)


@pytest.mark.parametrize("verify", [None, 1, 0, b"bundle.pem", []])
def test_verify_of_another_type_is_refused(verify: Any) -> None:
    """What does not say how certificates are checked is refused rather than read as yes or no."""
    with pytest.raises(ConfigurationError, match="verify="):
        made(verify=verify)


def test_settings_are_frozen() -> None:
    """What was validated cannot be changed afterwards."""
    with pytest.raises(AttributeError):
        made().token = "other"  # type: ignore[misc]
