"""The titles of cases."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gcapi import models


def title_of(case: models.ArchiveItem | models.DisplaySet) -> str:
    """Return the title of a case in NFC; newer servers show that of a display set only as HTML."""
    title = case.title
    if not isinstance(title, str):
        from html import unescape  # loads a table of all entities

        title = unescape(getattr(case, "title_safe", None) or "")
    return unicodedata.normalize("NFC", title)
