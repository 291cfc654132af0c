"""Check arguments that take one of a few values."""

from __future__ import annotations

from typing import Any, get_args


def check_choice(
    name: str, value: object, choices: Any, error: type[Exception] = ValueError
) -> None:
    """Check an argument whose type is a `Literal`.

    Args:
        name: The argument, for the message.
        value: Its value.
        choices: The type.
        error: The class of the exception.

    Raises:
        Exception: The value is none of those of the type; an instance of `error`.
    """
    *others, last = get_args(choices)
    if value not in (*others, last):
        raise error(f"{name}={value!r} must be {', '.join(map(repr, others))} or {last!r}.")
