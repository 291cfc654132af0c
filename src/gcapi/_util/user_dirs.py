"""The user's directories for state and configuration, by the conventions of each system.

They are those that the package platformdirs names; twenty lines replace the dependency.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def state_dir() -> Path:
    """Return the directory for what a program knows of its work, such as journals."""
    return _system_dir() or _xdg_dir("XDG_STATE_HOME", ".local/state")


def private_state_dir(*names: str) -> Path:
    """Create a directory in the state directory that only this user can read, and return it.

    It is for tables and the like, which may identify patients.
    """
    folder = state_dir().joinpath(*names)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def config_dir() -> Path:
    """Return the directory for configuration, such as tokens."""
    return _system_dir() or _xdg_dir("XDG_CONFIG_HOME", ".config")


def cache_dir() -> Path:
    """Return the directory for what can be downloaded again."""
    if sys.platform == "darwin":
        return _home() / "Library" / "Caches" / "gcapi"
    system = _system_dir()
    return system / "Cache" if system else _xdg_dir("XDG_CACHE_HOME", ".cache")


def _system_dir() -> Path | None:
    """Return the one directory that Windows and macOS have for both purposes."""
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA") or _home() / "AppData/Local") / "gcapi"
    if sys.platform == "darwin":
        return _home() / "Library" / "Application Support" / "gcapi"
    return None


def _xdg_dir(variable: str, default: str) -> Path:
    # The XDG specification says to ignore relative paths.
    given = Path(os.environ.get(variable, ""))
    return (given if given.is_absolute() else _home() / default) / "gcapi"


def _home() -> Path:
    """Return the user's home; without one, as of a user ID without a name, a path that can hold no file."""
    try:
        return Path.home()
    except RuntimeError:
        return Path(os.devnull)
