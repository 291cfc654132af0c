"""Makes what the API cannot make: users, sockets, archives, studies, algorithms."""

from __future__ import annotations

import re
import time
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
from gcapi_sandbox._socket_kinds.json_schemas import check_schema
from gcapi_sandbox._socket_kinds.kinds import BY_CODE, BY_LABEL, Kind, relative_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gcapi_sandbox._background.programs import Program
    from gcapi_sandbox._database.state import State

R = TypeVar("R", Archive, ReaderStudy, Algorithm)
_ONE_SEGMENT = [{"name": "Segment 1", "visible": True, "voxel_value": 1}]


def slugify(title: str) -> str:
    """Derive a slug from a title."""
    slug = re.sub(r"[^a-z0-9_]+", "-", title.lower()).strip("-")
    if not slug:
        raise ValueError(f"No slug can be made of the title {title!r}; pass one")
    return slug


def kind_named(name: str) -> Kind:
    """Return a kind by its label or code."""
    kind = BY_LABEL.get(name) or BY_CODE.get(name)
    if kind is None:
        raise ValueError(f"Unknown kind {name!r}; known are {', '.join(BY_LABEL)}")
    return kind


def user(state: State, username: str, token: str | None = None) -> User:
    """Return the user of a name, made if there is none; a token replaces the one there was."""
    found = state.store.find(User, "username = ?", username)
    if token and state.store.rows(User, "token = ? AND username != ?", token, username):
        raise ValueError("Another user has this token")
    made = found or state.store.add(User(username=username, token=token or new_token()))
    if token and made.token != token:
        made.token = token
        state.store.save(made)
    return made


def members(state: State, target: str, **roles: Iterable[str]) -> None:
    """Give users their roles in an object."""
    for role, usernames in roles.items():
        for username in usernames:
            pk = user(state, username).pk
            state.store.add(Membership(target=target, role=role, user=pk))


def socket(state: State, title: str, kind: Kind, slug: str, **extra: Any) -> Socket:
    """Make a socket."""
    path = extra.pop("relative_path") or relative_path(kind, slug)
    check_schema({} if extra["schema"] is None else extra["schema"])
    segments = extra.pop("overlay_segments") or (_ONE_SEGMENT if kind.code == "SEG" else [])
    for column, value in (("title", title), ("slug", slug), ("relative_path", path)):
        if state.store.rows(Socket, f"{column} = ?", value):
            raise ValueError(f"There is a socket with the {column} {value!r} already")
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


def socket_named(state: State, slug: str) -> Socket:
    """Return the socket of a slug."""
    found = state.store.find(Socket, "slug = ?", slug)
    if found is None:
        raise ValueError(f"There is no socket {slug!r}; add it first")
    return found


def existing(state: State, table: type[R], slug: str) -> R:
    """Return the archive, reader study or algorithm of a slug."""
    found = state.store.find(table, "slug = ?", slug)
    if found is None:
        raise ValueError(f"There is no {table.__name__} {slug!r}; add it first")
    return found


def check_free(state: State, table: type[Archive | ReaderStudy | Algorithm], slug: str) -> None:
    """Refuse a slug that is taken."""
    if state.store.rows(table, "slug = ?", slug):
        raise ValueError(f"There is one with the slug {slug!r} already")


def archive(state: State, title: str, slug: str, **roles: Iterable[str]) -> Archive:
    """Make an archive."""
    check_free(state, Archive, slug)
    made = state.store.add(Archive(title=title, slug=slug))
    members(state, made.pk, **roles)
    return made


def reader_study(
    state: State, made: ReaderStudy, questions: Sequence[Mapping[str, Any]], **roles: Iterable[str]
) -> None:
    """Store a reader study with its questions and members."""
    from gcapi_sandbox._resources.reader_studies import STUDY_DEFAULTS

    if unknown := made.extra.keys() - STUDY_DEFAULTS.keys():
        raise ValueError(f"A reader study has no {', '.join(sorted(unknown))}")
    check_free(state, ReaderStudy, made.slug)
    state.store.add(made)
    members(state, made.pk, **roles)
    for order, question in enumerate(questions, start=1):
        state.store.add(_question(state, made, order, dict(question)))


def _question(state: State, study: ReaderStudy, order: int, given: dict[str, Any]) -> Question:
    answer_type = given.pop("answer_type")
    interface = given.pop("socket", None)
    return Question(
        reader_study=study.pk,
        order=order,
        question_text=given.pop("question_text"),
        answer_type=_answer_code(answer_type),
        required=given.pop("required", True),
        interface=socket_named(state, interface).pk if interface else None,
        options=[_option(10 * order + n, one) for n, one in enumerate(given.pop("options", ()))],
        extra=given,
    )


def _answer_code(name: str) -> str:
    from gcapi_sandbox._socket_kinds.answer_types import BY_CODE, BY_LABEL

    found = BY_LABEL.get(name) or BY_CODE.get(name)
    if found is None:
        raise ValueError(f"Unknown answer type {name!r}; known are {', '.join(BY_LABEL)}")
    return found.code


def _option(pk: int, given: str | Mapping[str, Any]) -> dict[str, Any]:
    option = {"title": given} if isinstance(given, str) else given
    return {"id": pk, "title": option["title"], "default": option.get("default", False)}


def algorithm(
    state: State,
    made: Algorithm,
    interfaces: Sequence[tuple[Sequence[str], Sequence[str]]],
    program: Program,
    **roles: Iterable[str],
) -> None:
    """Store an algorithm with its image, interfaces and members."""
    check_free(state, Algorithm, made.slug)
    made.run, made.command, made.folder = program.name, list(program.command), program.folder
    if program.pickled:
        state.pickles[made.pk] = program.pickled
    state.store.add(made)
    state.store.add(AlgorithmImage(algorithm=made.pk))
    members(state, made.pk, **roles)
    for inputs, outputs in interfaces:
        state.store.add(
            Interface(
                algorithm=made.pk,
                inputs=[socket_named(state, slug).pk for slug in inputs],
                outputs=[socket_named(state, slug).pk for slug in outputs],
            )
        )


def endpoint(state: State, slug: str, creator: int) -> Endpoint:
    """Make a running endpoint of an algorithm."""
    found = existing(state, Algorithm, slug)
    expires = time.time() + state.limits.endpoint_seconds
    return state.store.add(Endpoint(creator=creator, algorithm=found.pk, expires=expires))


def ground_truth(state: State, display_set: str, answers: Mapping[str, Any], creator: int) -> None:
    """Give a display set its right answers, by the text of the question."""
    study = state.store.get(DisplaySet, display_set).reader_study
    for text, answer in answers.items():
        question = state.store.find(Question, "reader_study = ? AND question_text = ?", study, text)
        if question is None:
            raise ValueError(f"There is no question {text!r} in this study")
        state.store.add(
            Answer(
                creator=creator,
                question=question.pk,
                display_set=display_set,
                answer=answer,
                is_ground_truth=True,
            )
        )


def evaluation(
    state: State, challenge: str, phase: str, creator: int, evaluators: Iterable[str]
) -> Evaluation:
    """Make a pending evaluation in a phase of a challenge."""
    if not state.store.rows(Challenge, "pk = ?", challenge):
        state.store.add(Challenge(pk=challenge, title=challenge))
    phase_pk = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{challenge}/{phase}"))
    members(state, phase_pk, external_evaluators=evaluators)
    return state.store.add(
        Evaluation(creator=creator, challenge=challenge, phase=phase_pk, phase_title=phase)
    )


def viewer_session(state: State, username: str) -> Session:
    """Make a running viewer session, and a viewer with settings if there is none."""
    if not state.store.rows(Workstation):
        state.store.add(Workstation(title="Viewer", slug="viewer"))
        state.store.add(WorkstationConfig(title="Default", slug="default"))
    creator = user(state, username).pk
    return state.store.add(Session(created=time.time(), creator=creator))


def subscription(state: State, username: str) -> Follow:
    """Make a subscription."""
    return state.store.add(Follow(user=user(state, username).pk))
