"""Paths whose names are in another Unicode form on the disk: Macs write accents as characters of their own (NFD)."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path


def existing_paths(folder: Path, text: str) -> list[Path]:
    """Return the files and folders that a path may mean, beginning with the one that is written like it.

    Args:
        folder: The folder that relative paths start from.
        text: The path.
    """
    if text.isascii():
        path = folder / text
        return [path] if os.path.lexists(path) else []
    found = [folder]
    for part in Path(text).parts:
        found = [
            above / form
            for above in found
            for form in unicode_forms(part)
            if os.path.lexists(above / form)
        ]
    distinct: list[Path] = []
    for path in found:
        # Some file systems find a name in either form.
        if not any(os.path.samestat(path.lstat(), other.lstat()) for other in distinct):
            distinct.append(path)
    return distinct


def unicode_forms(text: str) -> list[str]:
    """Return a text as it is, in NFC, and in NFD, each form once."""
    return list(
        dict.fromkeys([text, *(unicodedata.normalize(form, text) for form in ("NFC", "NFD"))])
    )
