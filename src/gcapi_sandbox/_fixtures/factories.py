"""Creation of the objects that the API cannot create, such as users, sockets and archives."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any, TypeVar

from gcapi_sandbox._database.records import (
    Algorithm,
    AlgorithmImage,
    Answer,
    Archive,
    Challenge,
    DisplaySet,
    Endpoint,
    Evaluation,
    Follow,
    Interface,
    Membership,
    Question,
    ReaderStudy,
    Session,
    Socket,
    User,
    Workstation,
    WorkstationConfig,
)
from gcapi_sandbox._http.authentication import new_token
from gcapi_sandbox._resources.reader_studies import STUDY_DEFAULTS
from gcapi_sandbox._socket_kinds.answer_types import ANSWER_TYPES_BY_CODE, ANSWER_TYPES_BY_LABEL
from gcapi_sandbox._socket_kinds.json_validation import check_schema
from gcapi_sandbox._socket_kinds.kinds import KINDS_BY_CODE, KINDS_BY_LABEL, Kind, relative_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gcapi_sandbox._background.programs import Program
    from gcapi_sandbox._state import State

T = TypeVar("T", Archive, ReaderStudy, Algorithm)
_ONE_SEGMENT = [{"name": "Segment 1", "visible": True, "voxel_value": 1}]


def slugify(title: str) -> str:
    """Return the slug for a title."""
    slug = re.sub(r"[^a-z0-9_]+", "-", title.lower()).strip("-")
    if not slug:
        raise ValueError(f"The title {title!r} has no characters for a slug; pass a slug")
    return slug


def get_kind(name: str) -> Kind:
    """Return the kind with a label or a code."""
    kind = KINDS_BY_LABEL.get(name) or KINDS_BY_CODE.get(name)
    if kind is None:
        raise ValueError(f"Unknown kind {name!r}; known are {', '.join(KINDS_BY_LABEL)}")
    return kind


def get_or_create_user(state: State, username: str, token: str | None = None) -> User:
    """Return the user with a name, created if there is none; a token replaces the former one."""
    found = state.store.find(User, "username = ?", username)
    if token and state.store.rows(User, "token = ? AND username != ?", token, username):
        raise ValueError("Another user has this token")
    user = found or state.store.add(User(username=username, token=token or new_token()))
    if token and user.token != token:
        user.token = token
        state.store.save(user)
    return user


def add_members(state: State, target: str, **roles: Iterable[str]) -> None:
    """Give users their roles for an object."""
    for role, usernames in roles.items():
        for username in usernames:
            pk = get_or_create_user(state, username).pk
            state.store.add(Membership(target=target, role=role, user=pk))


def create_socket(state: State, title: str, kind: Kind, slug: str, **extra: Any) -> Socket:
    """Create a socket."""
    path = extra.pop("relative_path") or relative_path(kind, slug)
    check_schema({} if extra["schema"] is None else extra["schema"])
    segments = extra.pop("overlay_segments") or (_ONE_SEGMENT if kind.code == "SEG" else [])
    for column, value in (("title", title), ("slug", slug), ("relative_path", path)):
        if state.store.rows(Socket, f"{column} = ?", value):
            raise ValueError(f"A socket with the {column} {value!r} already exists")
    return state.store.add(
        Socket(
            title=title,
            slug=slug,
            kind=kind.code,
            relative_path=path,
            overlay_segments=segments,
            **extra,
        )
    )


def get_socket(state: State, slug: str) -> Socket:
    """Return the socket with a slug."""
    found = state.store.find(Socket, "slug = ?", slug)
    if found is None:
        raise ValueError(f"The socket {slug!r} does not exist; add it first")
    return found


def get_by_slug(state: State, table: type[T], slug: str) -> T:
    """Return the archive, reader study or algorithm with a slug."""
    found = state.store.find(table, "slug = ?", slug)
    if found is None:
        raise ValueError(f"The {table.__name__} {slug!r} does not exist; add it first")
    return found


def _check_slug(state: State, table: type[Archive | ReaderStudy | Algorithm], slug: str) -> None:
    """Raise ValueError for a slug that is in use."""
    if state.store.rows(table, "slug = ?", slug):
        raise ValueError(f"The slug {slug!r} is already in use")


def create_archive(state: State, title: str, slug: str, **roles: Iterable[str]) -> Archive:
    """Create an archive."""
    _check_slug(state, Archive, slug)
    archive = state.store.add(Archive(title=title, slug=slug))
    add_members(state, archive.pk, **roles)
    return archive


def store_reader_study(
    state: State, study: ReaderStudy, questions: Sequence[Mapping[str, Any]], **roles: Iterable[str]
) -> None:
    """Store a reader study with its questions and members."""
    if unknown := study.extra.keys() - STUDY_DEFAULTS.keys():
        raise ValueError(f"A reader study has no field {', '.join(sorted(unknown))}")
    _check_slug(state, ReaderStudy, study.slug)
    state.store.add(study)
    add_members(state, study.pk, **roles)
    for order, question in enumerate(questions, start=1):
        state.store.add(_question(state, study, order, dict(question)))


def _question(state: State, study: ReaderStudy, order: int, given: dict[str, Any]) -> Question:
    answer_type = given.pop("answer_type")
    interface = given.pop("socket", None)
    return Question(
        reader_study=study.pk,
        order=order,
        question_text=given.pop("question_text"),
        answer_type=_answer_code(answer_type),
        required=given.pop("required", True),
        interface=get_socket(state, interface).pk if interface else None,
        options=[_option(10 * order + n, one) for n, one in enumerate(given.pop("options", ()))],
        extra=given,
    )


def _answer_code(name: str) -> str:
    found = ANSWER_TYPES_BY_LABEL.get(name) or ANSWER_TYPES_BY_CODE.get(name)
    if found is None:
        known = ", ".join(ANSWER_TYPES_BY_LABEL)
        raise ValueError(f"Unknown answer type {name!r}; known are {known}")
    return found.code


def _option(pk: int, given: str | Mapping[str, Any]) -> dict[str, Any]:
    option = {"title": given} if isinstance(given, str) else given
    return {"id": pk, "title": option["title"], "default": option.get("default", False)}


def store_algorithm(
    state: State,
    algorithm: Algorithm,
    interfaces: Sequence[tuple[Sequence[str], Sequence[str]]],
    program: Program,
    **roles: Iterable[str],
) -> None:
    """Store an algorithm with its image, interfaces and members."""
    _check_slug(state, Algorithm, algorithm.slug)
    algorithm.run, algorithm.command = program.name, list(program.command)
    algorithm.folder = program.folder
    if program.pickled:
        state.pickles[algorithm.pk] = program.pickled
    state.store.add(algorithm)
    state.store.add(AlgorithmImage(algorithm=algorithm.pk))
    add_members(state, algorithm.pk, **roles)
    for inputs, outputs in interfaces:
        state.store.add(
            Interface(
                algorithm=algorithm.pk,
                inputs=[get_socket(state, slug).pk for slug in inputs],
                outputs=[get_socket(state, slug).pk for slug in outputs],
            )
        )


def create_endpoint(state: State, slug: str, creator: int) -> Endpoint:
    """Create a running endpoint of an algorithm."""
    found = get_by_slug(state, Algorithm, slug)
    expires = state.clock.timestamp() + state.limits.endpoint_seconds
    return state.store.add(Endpoint(creator=creator, algorithm=found.pk, expires=expires))


def add_ground_truth(
    state: State, display_set: str, answers: Mapping[str, Any], creator: int
) -> None:
    """Add the correct answers for a display set, by question text."""
    study = state.store.get(DisplaySet, display_set).reader_study
    for text, answer in answers.items():
        question = state.store.find(Question, "reader_study = ? AND question_text = ?", study, text)
        if question is None:
            raise ValueError(f"The reader study has no question {text!r}")
        state.store.add(
            Answer(
                creator=creator,
                question=question.pk,
                display_set=display_set,
                answer=answer,
                is_ground_truth=True,
            )
        )


def create_evaluation(
    state: State, challenge: str, phase: str, creator: int, evaluators: Iterable[str]
) -> Evaluation:
    """Create a pending evaluation in a phase of a challenge."""
    if not state.store.rows(Challenge, "pk = ?", challenge):
        state.store.add(Challenge(pk=challenge, title=challenge))
    phase_pk = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{challenge}/{phase}"))
    add_members(state, phase_pk, external_evaluators=evaluators)
    return state.store.add(
        Evaluation(creator=creator, challenge=challenge, phase=phase_pk, phase_title=phase)
    )


def create_viewer_session(state: State, username: str) -> Session:
    """Create a running viewer session, and a viewer with settings if there is none."""
    if not state.store.rows(Workstation):
        state.store.add(Workstation(title="Viewer", slug="viewer"))
        state.store.add(WorkstationConfig(title="Default", slug="default"))
    creator = get_or_create_user(state, username).pk
    return state.store.add(Session(created=state.clock.timestamp(), creator=creator))


def create_subscription(state: State, username: str) -> Follow:
    """Create a subscription."""
    return state.store.add(Follow(user=get_or_create_user(state, username).pk))
