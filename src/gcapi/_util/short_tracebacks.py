"""Tracebacks that end at the user's call, for notebooks and IPython."""

from __future__ import annotations

import traceback

#: The most frames of the user's code that are shown.
MAX_FRAMES = 3
#: The beginnings of the names of modules whose frames are not the user's.
_OWN_FRAMES, _SHELL_FRAMES = ("gcapi.", "grand_challenge_api."), ("IPython.", "ipykernel.")


def short_traceback(error: BaseException) -> list[str]:
    """Return the lines of a traceback without the frames of this package and without the causes of the error."""
    frames: list[traceback.FrameSummary] = []
    frame = error.__traceback__
    summaries = iter(traceback.extract_tb(frame))
    while frame is not None:
        module = f"{frame.tb_frame.f_globals.get('__name__')}."
        if module.startswith(_OWN_FRAMES):
            break
        summary = next(summaries)
        if not module.startswith(_SHELL_FRAMES):
            frames.append(summary)
        frame = frame.tb_next
    head = ["Traceback (most recent call last):", *traceback.format_list(frames[-MAX_FRAMES:])]
    words = "\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", [])])
    return "\n".join([*map(str.rstrip, head), words]).splitlines()
