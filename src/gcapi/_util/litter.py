"""Files and folders that systems and programs leave behind."""

from __future__ import annotations

#: Names of files and folders that no user made, in lower case; so are all names that begin with a dot.
LITTER_NAMES = frozenset(
    {"@eadir", "__macosx", "__pycache__", "$recycle.bin", "thumbs.db", "ehthumbs.db", "desktop.ini"}
)


def is_litter(name: str) -> bool:
    """Return whether a file or folder is hidden, or was made by a system or a program, by its name."""
    return name.startswith(".") or name.lower() in LITTER_NAMES
