"""What can be put into a sandbox that the API cannot make: users, sockets, archives, studies, algorithms and more."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gcapi_sandbox._background.programs import TIME_LIMIT, program_of
from gcapi_sandbox._database.records import Algorithm, ReaderStudy, Socket
from gcapi_sandbox._fixtures import factories

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gcapi_sandbox._background.programs import Run
    from gcapi_sandbox._database.state import State

#: Who is there from the start, and edits what is added unless others are named.
DEFAULT_USER = "sandbox"
_EDITORS = (DEFAULT_USER,)


class Furnishing(ABC):
    """Adds things to a sandbox, each in a transaction of its own or in the one that is open."""

    @property
    @abstractmethod
    def _state(self) -> State:
        """The sandbox's memory."""

    @property
    def is_new(self) -> bool:
        """Tell whether nothing was added yet."""
        return not self._state.store.rows(Socket)

    def add_user(self, username: str) -> str:
        """Make a user, unless there is one of this name; return the user's token."""
        with self._state.store.transaction():
            return factories.user(self._state, username).token

    def add_socket(
        self,
        title: str,
        kind: str = "Image",
        *,
        slug: str | None = None,
        relative_path: str | None = None,
        store_in_database: bool = True,
        schema: dict[str, Any] | None = None,
        overlay_segments: Sequence[dict[str, Any]] | None = None,
    ) -> str:
        """Make a socket and return its slug.

        Args:
            title: Unique among sockets; the slug is derived from it.
            kind: The kind's label, such as `Image`, `Float` or `PDF file`.
            slug: The slug; `None` derives it from the title.
            relative_path: Where containers find the value; `None` for the slug, below
                `images/` for images and with the kind's suffix for all others.
            store_in_database: False makes a JSON kind a File socket.
            schema: A JSON schema (draft 7) that values must also fulfil; `None` for none.
            overlay_segments: The segments of a Segmentation; `None` for one, of value 1.
        """
        with self._state.store.transaction():
            made = factories.socket(
                self._state,
                title,
                factories.kind_named(kind),
                slug or factories.slugify(title),
                relative_path=relative_path,
                store_in_database=store_in_database,
                schema=schema,
                overlay_segments=list(overlay_segments or ()),
            )
            return made.slug

    def add_archive(
        self,
        title: str,
        *,
        slug: str | None = None,
        editors: Sequence[str] = _EDITORS,
        uploaders: Sequence[str] = (),
        users: Sequence[str] = (),
    ) -> str:
        """Make an archive and return its slug; members are made if they do not exist.

        Args:
            title: What it is called.
            slug: The slug; `None` derives it from the title.
            editors: Names of the users who may change the archive and its items.
            uploaders: Who may add and change items.
            users: Who may see them.
        """
        slug = slug or factories.slugify(title)
        roles = {"editors": editors, "uploaders": uploaders, "users": users}
        with self._state.store.transaction():
            return factories.archive(self._state, title, slug, **roles).slug

    def add_reader_study(
        self,
        title: str,
        *,
        slug: str | None = None,
        editors: Sequence[str] = _EDITORS,
        readers: Sequence[str] = (),
        questions: Sequence[dict[str, Any]] = (),
        is_educational: bool = False,
        allow_answer_modification: bool = False,
        is_shuffled: bool = False,
        extra: Mapping[str, Any] | None = None,
    ) -> str:
        """Make a reader study and return its slug.

        Args:
            title: What it is called.
            slug: The slug; `None` derives it from the title.
            editors: Who may change the study.
            readers: Who may answer.
            questions: Each with `question_text` and `answer_type` (label or code), and
                optionally `required`, `options` (titles), `socket` (slug) and every other
                field of the API's questions.
            is_educational: Show ground truth to readers.
            allow_answer_modification: Let readers change their answers.
            is_shuffled: Show the cases to each reader in another order, always the same.
            extra: Other fields of the API's studies, such as `help_text`; `None` for none.
        """
        made = ReaderStudy(
            title=title,
            slug=slug or factories.slugify(title),
            is_educational=is_educational,
            allow_answer_modification=allow_answer_modification,
            is_shuffled=is_shuffled,
            extra=dict(extra or {}),
        )
        with self._state.store.transaction():
            factories.reader_study(self._state, made, questions, editors=editors, readers=readers)
        return made.slug

    def add_algorithm(
        self,
        title: str,
        *,
        interfaces: Sequence[tuple[Sequence[str], Sequence[str]]],
        run: Run,
        slug: str | None = None,
        editors: Sequence[str] = _EDITORS,
        users: Sequence[str] = (),
        time_limit: float = TIME_LIMIT,
        folder: Path | None = None,
    ) -> str:
        """Make an algorithm and return its slug.

        Args:
            title: What it is called.
            interfaces: Pairs of input and output sockets, by slug.
            run: A function of the input and the output folder of a job, as `module:function`
                or as an object, or a command as a list of words in which `{input}` and
                `{output}` are the folders. It runs in a process of its own; an object must be
                picklable (closures are), and is lost when the sandbox ends.
            slug: The slug; `None` derives it from the title.
            editors: Who may see its images, too.
            users: Who may run it.
            time_limit: The seconds after which a job is killed and has failed.
            folder: Where it works, and where modules are looked for first; `None` for where
                this process works.
        """
        program = program_of(run, folder or Path.cwd())
        made = Algorithm(title=title, slug=slug or factories.slugify(title), time_limit=time_limit)
        with self._state.store.transaction():
            factories.algorithm(
                self._state, made, interfaces, program, editors=editors, users=users
            )
        return made.slug

    def add_endpoint(self, algorithm_slug: str) -> str:
        """Make a running endpoint of an algorithm for the user `sandbox`; return its pk."""
        with self._state.store.transaction():
            creator = factories.user(self._state, DEFAULT_USER).pk
            return factories.endpoint(self._state, algorithm_slug, creator).pk

    def add_ground_truth(self, display_set: str, answers: Mapping[str, Any]) -> None:
        """Give a display set its right answers.

        Args:
            display_set: Its pk.
            answers: The answers, by the text of the question.
        """
        with self._state.store.transaction():
            creator = factories.user(self._state, DEFAULT_USER).pk
            factories.ground_truth(self._state, display_set, answers, creator)

    def add_evaluation(
        self, challenge: str, phase: str, *, evaluators: Sequence[str] = _EDITORS
    ) -> str:
        """Make a pending evaluation and return its pk; challenge and phase are made if new.

        Args:
            challenge: The challenge's short name.
            phase: The phase's title.
            evaluators: Who may claim evaluations of the phase.
        """
        with self._state.store.transaction():
            creator = factories.user(self._state, DEFAULT_USER).pk
            return factories.evaluation(self._state, challenge, phase, creator, evaluators).pk

    def add_viewer_session(self, username: str = DEFAULT_USER) -> str:
        """Make a running viewer session of a user and return its pk."""
        with self._state.store.transaction():
            return factories.viewer_session(self._state, username).pk

    def add_subscription(self, username: str = DEFAULT_USER) -> int:
        """Make a subscription of a user and return its pk."""
        with self._state.store.transaction():
            return factories.subscription(self._state, username).pk
