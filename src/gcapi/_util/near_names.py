"""Suggestions for names that were misspelt."""

from __future__ import annotations

from collections.abc import Iterable

#: The number of similar names that a message lists.
MAX_SUGGESTIONS = 3


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the question whether a similar name was meant; empty if none is similar.

    Args:
        name: The name that is unknown.
        known: The names that exist.
    """
    import difflib  # slow, and only for messages

    similar = difflib.get_close_matches(name, list(known), n=MAX_SUGGESTIONS)
    return f"Did you mean {' or '.join(map(repr, similar))}?" if similar else ""
