"""The directories for state and configuration."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gcapi._util.user_dirs import config_dir, state_dir

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the XDG specification")
DIRS = [
    (state_dir, "XDG_STATE_HOME", ".local/state"),
    (config_dir, "XDG_CONFIG_HOME", ".config"),
]


@pytest.mark.parametrize(("find", "variable", "default"), DIRS)
def test_the_environment_names_the_directory(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    find: Callable[[], Path],
    variable: str,
    default: str,
) -> None:
    """An absolute path in the XDG variable is used; a relative or empty one is ignored, as the specification asks."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for given, expected in (
        (str(tmp_path / "own"), tmp_path / "own" / "gcapi"),
        ("relative", tmp_path / default / "gcapi"),
        ("", tmp_path / default / "gcapi"),
    ):
        monkeypatch.setenv(variable, given)
        assert find() == expected
