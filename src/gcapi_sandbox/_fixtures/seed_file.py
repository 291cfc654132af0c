"""The seed file: the contents of a new sandbox as YAML, validated before anything is created.

The dataclasses below define the format; the keys of a mapping are the fields of its dataclass.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gcapi_sandbox._background.programs import TIME_LIMIT
from gcapi_sandbox._util.parsed_dataclasses import ParseError, parse_dataclass

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

DEFAULT_SEED = Path(__file__).with_name("default_seed.yaml")
_EDITORS = ("sandbox",)
_TOKEN = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")


class SeedError(ValueError):
    """Raised when a seed file is invalid; the message names the file and the key path."""


@dataclass(frozen=True, kw_only=True)
class UserSeed:
    """A user, with a random token if none is given."""

    name: str
    token: str | None = None

    def __post_init__(self) -> None:
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            raise ValueError("a token must be 64 (or 40) lower-case hexadecimal characters")


@dataclass(frozen=True, kw_only=True)
class SocketSeed:
    """A socket, with the arguments of `Sandbox.add_socket`."""

    title: str
    kind: str = "Image"
    slug: str | None = None
    relative_path: str | None = None
    store_in_database: bool = True
    schema: dict[str, Any] | None = None
    overlay_segments: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class ValueSeed:
    """The value of a socket: JSON, or files whose paths are relative to the seed file."""

    value: Any = None
    files: tuple[str, ...] = ()
    image_name: str | None = None

    def __post_init__(self) -> None:
        if (self.value is None) != bool(self.files):
            raise ValueError("must have either a value or files")
        try:
            json.dumps(self.value, allow_nan=False)
        except TypeError as error:  # such as a date, which YAML has and JSON does not
            raise ValueError(f"is not JSON: {error}") from error


@dataclass(frozen=True, kw_only=True)
class ItemSeed:
    """An archive item, with values by socket slug."""

    title: str = ""
    values: dict[str, ValueSeed] = field(default_factory=dict[str, ValueSeed])


def _check_titles(items: Sequence[ItemSeed]) -> None:
    titles = [item.title for item in items if item.title]
    for title in titles:
        if titles.count(title) > 1:
            raise ValueError(f"more than one item has the title {title!r}")


@dataclass(frozen=True, kw_only=True)
class ArchiveSeed:
    """An archive and its items."""

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
    """An option of a question; an option given as a string is not the default."""

    title: str
    default: bool = False


@dataclass(frozen=True, kw_only=True)
class QuestionSeed:
    """A question; `extra` holds other fields of the API's questions."""

    question_text: str
    answer_type: str
    required: bool = True
    options: tuple[str | OptionSeed, ...] = ()
    socket: str | None = None
    extra: dict[str, Any] = field(default_factory=dict[str, Any])

    def as_question(self) -> dict[str, Any]:
        """Return the question as an argument of `Sandbox.add_reader_study`."""
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
    """A display set, with correct answers by question text."""

    ground_truth: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, kw_only=True)
class ReaderStudySeed:
    """A reader study, its questions and its display sets."""

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
    """A combination of input and output sockets by slug."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AlgorithmSeed:
    """An algorithm; the folder of the seed file is its working directory and is searched for modules."""

    title: str
    run: str | tuple[str, ...]
    interfaces: tuple[InterfaceSeed, ...]
    slug: str | None = None
    editors: tuple[str, ...] = _EDITORS
    users: tuple[str, ...] = ()
    time_limit: float = TIME_LIMIT


@dataclass(frozen=True, kw_only=True)
class Seed:
    """The contents of a new sandbox; `limits` apply at every start with this file."""

    users: tuple[UserSeed, ...] = ()
    limits: dict[str, int] = field(default_factory=dict[str, int])
    sockets: tuple[SocketSeed, ...] = ()
    archives: tuple[ArchiveSeed, ...] = ()
    viewer_sessions: tuple[str, ...] = ()
    reader_studies: tuple[ReaderStudySeed, ...] = ()
    algorithms: tuple[AlgorithmSeed, ...] = ()


def load_seed(path: Path) -> Seed:
    """Read a seed file; raise SeedError if it is invalid."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    with errors_naming_file(path):
        try:
            data = YAML(typ="safe", pure=True).load(  # pyright: ignore[reportUnknownMemberType]
                path.read_text("utf-8")
            )
        except OSError as error:
            raise ParseError("", error.strerror or str(error)) from error
        except YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            place = f"line {mark.line + 1}" if mark else ""
            raise ParseError(place, str(getattr(error, "problem", error))) from error
        return parse_dataclass(Seed, {} if data is None else data)


@contextmanager
def errors_naming_file(path: Path) -> Generator[None]:
    """Add the path of the seed file to the message of a ValueError."""
    try:
        yield
    except ValueError as error:
        raise SeedError(f"{path}: {error}") from error


@contextmanager
def errors_naming_key(where: str) -> Generator[None]:
    """Add a key path to the message of a ValueError."""
    try:
        yield
    except ParseError:
        raise
    except ValueError as error:
        raise ParseError(where, str(error)) from error
