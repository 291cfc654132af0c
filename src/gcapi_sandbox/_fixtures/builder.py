"""The methods of a sandbox that add objects that the API cannot create."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gcapi_sandbox._background.programs import TIME_LIMIT, create_program
from gcapi_sandbox._database.records import Algorithm, ReaderStudy, Socket
from gcapi_sandbox._fixtures import factories

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gcapi_sandbox._background.programs import Run
    from gcapi_sandbox._state import State

#: The user of every sandbox, who edits all objects for which no other editors are named.
DEFAULT_USER = "sandbox"
_EDITORS = (DEFAULT_USER,)


class SandboxBuilder(ABC):
    """Base of a sandbox with methods that add objects, each in one transaction."""

    @property
    @abstractmethod
    def _state(self) -> State:
        """The state of the sandbox."""

    @property
    def is_new(self) -> bool:
        """True if the sandbox has no sockets yet."""
        return not self._state.store.rows(Socket)

    def add_user(self, username: str) -> str:
        """Add a user, unless one with this name exists, and return the user's token."""
        with self._state.store.transaction():
            return factories.get_or_create_user(self._state, username).token

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
        """Add a socket and return its slug.

        Args:
            title: The title, unique among sockets.
            kind: The label of the kind, such as `Image`, `Float` or `PDF file`.
            slug: The slug; `None` derives it from the title.
            relative_path: Path of the value in containers; `None` derives it from the slug, below
                `images/` for images and with the suffix of the kind for all others.
            store_in_database: False makes a JSON kind a File socket.
            schema: A JSON schema (draft 7) for the values, besides that of the kind; `None` for none.
            overlay_segments: The segments of a Segmentation; `None` for one segment of value 1.
        """
        with self._state.store.transaction():
            socket = factories.create_socket(
                self._state,
                title,
                factories.get_kind(kind),
                slug or factories.slugify(title),
                relative_path=relative_path,
                store_in_database=store_in_database,
                schema=schema,
                overlay_segments=list(overlay_segments or ()),
            )
            return socket.slug

    def add_archive(
        self,
        title: str,
        *,
        slug: str | None = None,
        editors: Sequence[str] = _EDITORS,
        uploaders: Sequence[str] = (),
        users: Sequence[str] = (),
    ) -> str:
        """Add an archive and return its slug; members who do not exist are added as users.

        Args:
            title: The title.
            slug: The slug; `None` derives it from the title.
            editors: Names of the users who can change the archive and its items.
            uploaders: Names of the users who can add and change items.
            users: Names of the users who can view items.
        """
        slug = slug or factories.slugify(title)
        roles = {"editors": editors, "uploaders": uploaders, "users": users}
        with self._state.store.transaction():
            return factories.create_archive(self._state, title, slug, **roles).slug

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
        """Add a reader study and return its slug.

        Args:
            title: The title.
            slug: The slug; `None` derives it from the title.
            editors: Names of the users who can change the study.
            readers: Names of the users who can answer.
            questions: Questions, each with `question_text` and `answer_type` (label or code), and
                optionally `required`, `options` (titles), `socket` (slug) and any other field of
                the API's questions.
            is_educational: Whether readers can see the ground truth.
            allow_answer_modification: Whether readers can change their answers.
            is_shuffled: Whether each reader sees the cases in a different, fixed order.
            extra: Other fields of the API's reader studies, such as `help_text`; `None` for none.
        """
        study = ReaderStudy(
            title=title,
            slug=slug or factories.slugify(title),
            is_educational=is_educational,
            allow_answer_modification=allow_answer_modification,
            is_shuffled=is_shuffled,
            extra=dict(extra or {}),
        )
        with self._state.store.transaction():
            factories.store_reader_study(
                self._state, study, questions, editors=editors, readers=readers
            )
        return study.slug

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
        """Add an algorithm and return its slug.

        Args:
            title: The title.
            interfaces: Pairs of the slugs of input and of output sockets.
            run: A function of the input and the output folder of a job, as a callable or as
                `module:function`, or a command as a list of strings in which `{input}` and
                `{output}` are the folders. It runs in a separate process. A callable must be
                picklable (closures are), and is lost when the sandbox ends.
            slug: The slug; `None` derives it from the title.
            editors: Names of the users who can run it and see its images.
            users: Names of the users who can run it.
            time_limit: The number of seconds after which a job is killed and fails.
            folder: The working directory, which is also searched for modules first; `None` for
                the one of this process.
        """
        program = create_program(run, folder or Path.cwd())
        algorithm = Algorithm(
            title=title, slug=slug or factories.slugify(title), time_limit=time_limit
        )
        with self._state.store.transaction():
            factories.store_algorithm(
                self._state, algorithm, interfaces, program, editors=editors, users=users
            )
        return algorithm.slug

    def add_endpoint(self, algorithm_slug: str) -> str:
        """Add a running endpoint of an algorithm for the user `sandbox`, and return its pk."""
        with self._state.store.transaction():
            creator = factories.get_or_create_user(self._state, DEFAULT_USER).pk
            return factories.create_endpoint(self._state, algorithm_slug, creator).pk

    def add_ground_truth(self, display_set: str, answers: Mapping[str, Any]) -> None:
        """Add the correct answers for a display set.

        Args:
            display_set: The pk of the display set.
            answers: The answers by question text.
        """
        with self._state.store.transaction():
            creator = factories.get_or_create_user(self._state, DEFAULT_USER).pk
            factories.add_ground_truth(self._state, display_set, answers, creator)

    def add_evaluation(
        self, challenge: str, phase: str, *, evaluators: Sequence[str] = _EDITORS
    ) -> str:
        """Add a pending evaluation and return its pk; add the challenge and the phase if they are new.

        Args:
            challenge: The short name of the challenge.
            phase: The title of the phase.
            evaluators: Names of the users who can claim evaluations of the phase.
        """
        with self._state.store.transaction():
            creator = factories.get_or_create_user(self._state, DEFAULT_USER).pk
            return factories.create_evaluation(
                self._state, challenge, phase, creator, evaluators
            ).pk

    def add_viewer_session(self, username: str = DEFAULT_USER) -> str:
        """Add a running viewer session of a user and return its pk."""
        with self._state.store.transaction():
            return factories.create_viewer_session(self._state, username).pk

    def add_subscription(self, username: str = DEFAULT_USER) -> int:
        """Add a subscription of a user and return its pk."""
        with self._state.store.transaction():
            return factories.create_subscription(self._state, username).pk
