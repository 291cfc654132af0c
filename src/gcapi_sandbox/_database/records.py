"""The tables of the sandbox.

Classes are named after the models of the real server, which names them in its messages.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any, ClassVar

from gcapi_sandbox._database.store import NOW, Record

VALIDATING_INPUTS = "Validating inputs"


def new_pk() -> str:
    """Return a random uuid."""
    return str(uuid.uuid4())


@dataclass(kw_only=True)
class Setting(Record):
    """A named setting of the data folder."""

    pk: str
    value: str


@dataclass(kw_only=True)
class User(Record):
    """A user with a token."""

    indexes: ClassVar = ("token", "username")
    pk: int = 0
    username: str
    token: str
    active: bool = True
    external_evaluator: bool = False


@dataclass(kw_only=True)
class Membership(Record):
    """The role of a user (such as `editors`) for the object `target`."""

    indexes: ClassVar = ("target, user", "user")
    pk: int = 0
    target: str
    role: str
    user: int


@dataclass(kw_only=True)
class Socket(Record):
    """A socket; `kind` is the code of its kind."""

    indexes: ClassVar = ("slug",)
    pk: int = 0
    title: str
    slug: str
    kind: str
    relative_path: str
    description: str = ""
    store_in_database: bool = True
    schema: Any = None
    default_value: Any = None
    overlay_segments: Any = field(default_factory=list[Any])
    look_up_table: Any = None


@dataclass(kw_only=True)
class Value(Record):
    """A socket value: JSON (`value`, `digest`), a file (`key`, `filename`) or an image."""

    indexes: ClassVar = ("socket, digest", "image", "key")
    pk: int = 0
    socket: int
    value: Any = None
    digest: str | None = None
    key: str | None = None
    filename: str | None = None
    image: str | None = None


@dataclass(kw_only=True)
class Attachment(Record):
    """The attachment of a value to a role of an item, display set, job or invocation."""

    indexes: ClassVar = ("owner, role", "value")
    pk: int = 0
    owner: str
    role: str
    value: int


@dataclass(kw_only=True)
class Archive(Record):
    """An archive."""

    indexes: ClassVar = ("slug",)
    pk: str = field(default_factory=new_pk)
    created: str = NOW
    title: str
    slug: str
    description: str = ""


@dataclass(kw_only=True)
class ArchiveItem(Record):
    """An item of an archive."""

    indexes: ClassVar = ("archive, title",)
    pk: str = field(default_factory=new_pk)
    created: str = NOW
    title: str = ""
    archive: str


@dataclass(kw_only=True)
class ReaderStudy(Record):
    """A reader study; `extra` holds the other fields that the API shows."""

    indexes: ClassVar = ("slug",)
    pk: str = field(default_factory=new_pk)
    created: str = NOW
    title: str
    slug: str
    description: str = ""
    is_educational: bool = False
    allow_answer_modification: bool = False
    is_shuffled: bool = False
    extra: Any = field(default_factory=dict[str, Any])


@dataclass(kw_only=True)
class Question(Record):
    """A question of a reader study; `answer_type` is a code, `extra` holds optional fields."""

    indexes: ClassVar = ("reader_study",)
    pk: str = field(default_factory=new_pk)
    created: str = NOW
    reader_study: str
    order: int
    question_text: str
    answer_type: str
    required: bool = True
    interface: int | None = None
    options: Any = field(default_factory=list[Any])
    extra: Any = field(default_factory=dict[str, Any])


@dataclass(kw_only=True)
class DisplaySet(Record):
    """A display set of a reader study."""

    indexes: ClassVar = ("reader_study, title", 'reader_study, "order", created')
    pk: str = field(default_factory=new_pk)
    created: str = NOW
    title: str = ""
    reader_study: str
    order: int = 0


@dataclass(kw_only=True)
class Answer(Record):
    """An answer of a reader; durations are in seconds."""

    indexes: ClassVar = ("question, creator", "display_set", "creator", "answer_image")
    pk: str = field(default_factory=new_pk)
    created: str = NOW
    modified: str = NOW
    creator: int
    question: str
    display_set: str
    answer: Any = None
    answer_image: str | None = None
    last_edit_duration: float | None = None
    total_edit_duration: float | None = None
    is_ground_truth: bool = False
    explanation: str = ""
    score: float | None = None


@dataclass(kw_only=True)
class Upload(Record):
    """A multipart upload; `parts` are the numbers of its parts after completion."""

    indexes: ClassVar = ("creator",)
    pk: str = field(default_factory=new_pk)
    created: str = NOW
    creator: int
    filename: str
    s3_upload_id: str
    status: str = "Initialized"
    parts: Any = field(default_factory=list[Any])


@dataclass(kw_only=True)
class UploadClaim(Record):
    """The use of an upload by a background task, valid while the task exists."""

    indexes: ClassVar = ("upload",)
    pk: int = 0
    upload: str
    task: int


@dataclass(kw_only=True)
class Part(Record):
    """A stored part of an upload; `etag` includes its quotes."""

    indexes: ClassVar = ("upload, number",)
    pk: int = 0
    upload: str
    number: int
    etag: str
    size: int
    modified: str = NOW


@dataclass(kw_only=True)
class UploadSession(Record):
    """An import of uploads as images; `target` is where the images are attached."""

    indexes: ClassVar = ("creator",)
    pk: str = field(default_factory=new_pk)
    created: str = NOW
    creator: int
    status: str = "Queued"
    error_message: str = ""
    uploads: Any = field(default_factory=list[Any])
    target: Any = field(default_factory=dict[str, Any])


@dataclass(kw_only=True)
class Image(Record):
    """An image; `shape` is in NumPy order without color, empty for DICOM image sets."""

    indexes: ClassVar = ("origin", "name")
    pk: str = field(default_factory=new_pk)
    created: str = NOW
    name: str
    origin: str | None = None
    image_set_id: str | None = None
    color_space: str = ""
    shape: Any = field(default_factory=list[Any])
    spacing: Any = field(default_factory=list[Any])
    segments: Any = None
    tags: Any = field(default_factory=dict[str, Any])


@dataclass(kw_only=True)
class ImageFile(Record):
    """A stored file of an image."""

    indexes: ClassVar = ("image", "key")
    pk: str = field(default_factory=new_pk)
    image: str
    key: str
    image_type: str = "MHD"


@dataclass(kw_only=True)
class Instance(Record):
    """An instance of a DICOM image set."""

    indexes: ClassVar = ("image_set_id",)
    pk: int = 0
    image_set_id: str
    sop_instance_uid: str
    key: str
    frames: int = 1


@dataclass(kw_only=True)
class StoredObject(Record):
    """An object of the storage origin; `pk` is its key, `etag` includes quotes."""

    pk: str
    etag: str
    content_type: str


@dataclass(kw_only=True)
class Algorithm(Record):
    """An algorithm with a function (`run`), a `command`, or a callable that is not stored.

    `folder` is the working directory, `time_limit` is in seconds.
    """

    indexes: ClassVar = ("slug",)
    pk: str = field(default_factory=new_pk)
    created: str = NOW
    title: str
    slug: str
    description: str = ""
    run: str = ""
    command: Any = field(default_factory=list[Any])
    folder: str = ""
    time_limit: float


@dataclass(kw_only=True)
class Interface(Record):
    """A combination of input and output sockets of an algorithm."""

    indexes: ClassVar = ("algorithm",)
    pk: int = 0
    algorithm: str
    inputs: Any
    outputs: Any


@dataclass(kw_only=True)
class AlgorithmImage(Record):
    """The container image of an algorithm."""

    indexes: ClassVar = ("algorithm",)
    pk: str = field(default_factory=new_pk)
    created: str = NOW
    algorithm: str
    import_status: str = "Completed"


@dataclass(kw_only=True)
class Job(Record):
    """A job or an invocation (`kind`) of an algorithm; durations are in seconds."""

    indexes: ClassVar = ("creator, kind", "algorithm", "endpoint")
    pk: str = field(default_factory=new_pk)
    created: str = NOW
    kind: str = "job"
    creator: int
    algorithm: str
    algorithm_image: str
    interface: int
    endpoint: str | None = None
    status: str = VALIDATING_INPUTS
    fingerprint: str = ""
    error_message: str = ""
    exec_duration: float | None = None
    invoke_duration: float | None = None


@dataclass(kw_only=True)
class Endpoint(Record):
    """A warm endpoint of an algorithm; `expires` is a POSIX time."""

    indexes: ClassVar = ("creator",)
    pk: str = field(default_factory=new_pk)
    created: str = NOW
    creator: int
    algorithm: str
    status: str = "Running"
    expires: float


@dataclass(kw_only=True)
class Notification(Record):
    """A notification about a background task; the API shows only `read`."""

    indexes: ClassVar = ("user",)
    pk: str = field(default_factory=new_pk)
    created: str = NOW
    user: int
    message: str
    read: bool = False


@dataclass(kw_only=True)
class Follow(Record):
    """A subscription."""

    indexes: ClassVar = ("user",)
    pk: int = 0
    user: int
    flag: str = ""


@dataclass(kw_only=True)
class Workstation(Record):
    """A viewer."""

    pk: str = field(default_factory=new_pk)
    created: str = NOW
    title: str
    slug: str


@dataclass(kw_only=True)
class WorkstationConfig(Record):
    """The settings of a viewer."""

    pk: str = field(default_factory=new_pk)
    created: str = NOW
    title: str
    slug: str
    settings: Any = field(default_factory=dict[str, Any])


@dataclass(kw_only=True)
class Session(Record):
    """A viewer session; `created` and `extended` are POSIX times."""

    indexes: ClassVar = ("creator",)
    pk: str = field(default_factory=new_pk)
    created: float
    creator: int
    status: str = "Running"
    extended: float = 0.0


@dataclass(kw_only=True)
class Feedback(Record):
    """Feedback of a user about a viewer session."""

    indexes: ClassVar = ("creator",)
    pk: str = field(default_factory=new_pk)
    creator: int
    session: str
    user_comment: str
    context: Any = None
    screenshot: str = ""


@dataclass(kw_only=True)
class Challenge(Record):
    """A public challenge; `pk` is its short name."""

    pk: str
    created: str = NOW
    title: str
    description: str = ""


@dataclass(kw_only=True)
class Evaluation(Record):
    """An evaluation of a submission to a challenge phase."""

    indexes: ClassVar = ("phase",)
    pk: str = field(default_factory=new_pk)
    created: str = NOW
    creator: int
    challenge: str
    phase: str
    phase_title: str
    submission: str = field(default_factory=new_pk)
    status: str = "Queued"
    claimed_by: int | None = None
    claimed: str = ""
    metrics: Any = None
    error_message: str = ""


@dataclass(kw_only=True)
class Task(Record):
    """A background task; deleted in the transaction that stores its outcome."""

    indexes: ClassVar = ("owner",)
    pk: int = 0
    kind: str
    owner: str = ""
    payload: Any = field(default_factory=dict[str, Any])


TABLES: tuple[type[Record], ...] = tuple(
    table for table in Record.__subclasses__() if table.__module__ == __name__
)
