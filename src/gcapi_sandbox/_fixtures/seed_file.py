"""The seed file: what a new sandbox holds, as YAML that is checked before anything is made.

The dataclasses below are the form of the file; a key of a mapping is a field of the dataclass.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gcapi_sandbox._background.programs import TIME_LIMIT
from gcapi_sandbox._fixtures.parsed_dataclasses import Invalid, checked

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

DEFAULT = Path(__file__).with_name("default_seed.yaml")
_EDITORS = ("sandbox",)
_TOKEN = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")


class SeedError(ValueError):
    """A seed file cannot be used; the message names the file and the key path."""


@dataclass(frozen=True, kw_only=True)
class UserSeed:
    """A user; without a token a random one is made."""

    name: str
    token: str | None = None

    def __post_init__(self) -> None:
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            raise ValueError("a token is 64 (or 40) hexadecimal characters in lower case")


@dataclass(frozen=True, kw_only=True)
class SocketSeed:
    """A socket, as `Sandbox.add_socket` takes it."""

    title: str
    kind: str = "Image"
    slug: str | None = None
    relative_path: str | None = None
    store_in_database: bool = True
    schema: dict[str, Any] | None = None
    overlay_segments: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class ValueSeed:
    """What a socket holds: JSON, or files whose paths are relative to the seed file."""

    value: Any = None
    files: tuple[str, ...] = ()
    image_name: str | None = None

    def __post_init__(self) -> None:
        if (self.value is None) != bool(self.files):
            raise ValueError("must have either a value or files")
        try:
            json.dumps(self.value, allow_nan=False)
        except TypeError as error:  # a date, which YAML has and JSON has not
            raise ValueError(f"is not JSON: {error}") from error


@dataclass(frozen=True, kw_only=True)
class ItemSeed:
    """An archive item; values stand under the slug of their socket."""

    title: str = ""
    values: dict[str, ValueSeed] = field(default_factory=dict[str, ValueSeed])


def _check_titles(items: Sequence[ItemSeed]) -> None:
    titles = [item.title for item in items if item.title]
    for title in titles:
        if titles.count(title) > 1:
            raise ValueError(f"several items have the title {title!r}")


@dataclass(frozen=True, kw_only=True)
class ArchiveSeed:
    """An archive with its items."""

    title: str
    slug: str | None = None
    editors: tuple[str, ...] = _EDITORS
    uploaders: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    items: tuple[ItemSeed, ...] = ()

    def __post_init__(self) -> None:
        _check_titles(self.items)


@dataclass(frozen=True, kw_only=True)
class OptionSeed:
    """An option of a question; one that is given as a text is not the default."""

    title: str
    default: bool = False


@dataclass(frozen=True, kw_only=True)
class QuestionSeed:
    """A question; `extra` has any other fields of the API's questions."""

    question_text: str
    answer_type: str
    required: bool = True
    options: tuple[str | OptionSeed, ...] = ()
    socket: str | None = None
    extra: dict[str, Any] = field(default_factory=dict[str, Any])

    def as_question(self) -> dict[str, Any]:
        """Return the question as `Sandbox.add_reader_study` takes it."""
        options = [one if isinstance(one, str) else vars(one) for one in self.options]
        return {
            **self.extra,
            "question_text": self.question_text,
            "answer_type": self.answer_type,
            "required": self.required,
            "options": options,
            "socket": self.socket,
        }


@dataclass(frozen=True, kw_only=True)
class DisplaySetSeed(ItemSeed):
    """A display set; right answers stand under the text of their question."""

    ground_truth: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, kw_only=True)
class ReaderStudySeed:
    """A reader study with its questions and display sets."""

    title: str
    slug: str | None = None
    editors: tuple[str, ...] = _EDITORS
    readers: tuple[str, ...] = ()
    is_educational: bool = False
    allow_answer_modification: bool = False
    questions: tuple[QuestionSeed, ...] = ()
    display_sets: tuple[DisplaySetSeed, ...] = ()

    def __post_init__(self) -> None:
        _check_titles(self.display_sets)


@dataclass(frozen=True, kw_only=True)
class InterfaceSeed:
    """One combination of sockets, by slug."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AlgorithmSeed:
    """An algorithm; a command works, and modules are looked for, in the folder of the seed file."""

    title: str
    run: str | tuple[str, ...]
    interfaces: tuple[InterfaceSeed, ...]
    slug: str | None = None
    editors: tuple[str, ...] = _EDITORS
    users: tuple[str, ...] = ()
    time_limit: float = TIME_LIMIT


@dataclass(frozen=True, kw_only=True)
class Seed:
    """Everything that a new sandbox holds; `limits` count at every start with this file."""

    users: tuple[UserSeed, ...] = ()
    limits: dict[str, int] = field(default_factory=dict[str, int])
    sockets: tuple[SocketSeed, ...] = ()
    archives: tuple[ArchiveSeed, ...] = ()
    viewer_sessions: tuple[str, ...] = ()
    reader_studies: tuple[ReaderStudySeed, ...] = ()
    algorithms: tuple[AlgorithmSeed, ...] = ()


def load(path: Path) -> Seed:
    """Read a seed file; raise SeedError if it is not in order."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    with naming(path):
        try:
            data = YAML(typ="safe", pure=True).load(  # pyright: ignore[reportUnknownMemberType]
                path.read_text("utf-8")
            )
        except OSError as error:
            raise Invalid("", error.strerror or str(error)) from error
        except YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            place = f"line {mark.line + 1}" if mark else ""
            raise Invalid(place, str(getattr(error, "problem", error))) from error
        return checked(Seed, {} if data is None else data)


@contextmanager
def naming(path: Path) -> Generator[None]:
    """Put the file's name before what is wrong with it."""
    try:
        yield
    except ValueError as error:
        raise SeedError(f"{path}: {error}") from error


@contextmanager
def at(where: str) -> Generator[None]:
    """Put a key path before what is wrong there."""
    try:
        yield
    except Invalid:
        raise
    except ValueError as error:
        raise Invalid(where, str(error)) from error
