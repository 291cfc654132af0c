"""Remedies in the errors of wrong settings."""

from __future__ import annotations

from typing import Any

import pytest

from gcapi import Client
from gcapi._api.version_check import compare_versions
from gcapi.exceptions import ConfigurationError, UnsupportedVersionError

SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "http": ({"base_url": "http://example.org/"}, "Write https:// before the host."),
    "user name": ({"base_url": "https://me@example.org/"}, "Remove it."),
    "bundle": ({"verify": "none.pem"}, "Correct the path."),
    "token": ({"token": "a b c"}, "Copy it again."),
    "strategy": ({"retry_strategy": dict}, "Derive from BaseRetryStrategy."),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_wrong_settings(name: str) -> None:
    """The error for a setting that cannot be used ends with what to do."""
    given, remedy = SETTINGS[name]
    with pytest.raises(ConfigurationError) as caught:
        Client(**{"token": "token", **given})
    assert str(caught.value).endswith(remedy)


def test_old_versions() -> None:
    """The warning and the error for an old version have the command that upgrades it."""
    upgrade = r"pip install --upgrade gcapi$"
    with pytest.warns(UserWarning, match=upgrade):
        compare_versions("1.0", lowest="1.0", latest="2.0")
    with pytest.raises(UnsupportedVersionError, match=upgrade):
        compare_versions("1.0", lowest="2.0", latest="2.0")
