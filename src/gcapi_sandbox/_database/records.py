"""What the sandbox remembers: one dataclass a table, fields named as the API names them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar

from gcapi_sandbox._database.store import Record


def new_pk() -> str:
    """Return a random uuid in the form that the API shows."""
    return str(uuid.uuid4())


def stamp(moment: datetime) -> str:
    """Write a moment as the API does: UTC, `Z`, no fraction when it is zero."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def now() -> str:
    """Return the current moment as the API writes it."""
    return stamp(datetime.now(UTC))


@dataclass(kw_only=True)
class Meta(Record):
    """A setting of this data folder, by name."""

    pk: str
    value: str


@dataclass(kw_only=True)
class User(Record):
    """Somebody with a token."""

    indexes: ClassVar = ("token", "username")
    pk: int = 0
    username: str
    token: str
    active: bool = True
    external_evaluator: bool = False


@dataclass(kw_only=True)
class Membership(Record):
    """A user's role (`editors`, `uploaders`, `users`, `readers`) in the object `target`."""

    indexes: ClassVar = ("target, user", "user")
    pk: int = 0
    target: str
    role: str
    user: int


@dataclass(kw_only=True)
class Socket(Record):
    """A component interface; `kind` is the code, not the label."""

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
    """A socket value: `digest` is set with `value`, `key` and `filename` belong to a file."""

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
    """A value in its place: `role` of `owner` (an item, display set, job or invocation)."""

    indexes: ClassVar = ("owner, role", "value")
    pk: int = 0
    owner: str
    role: str
    value: int


@dataclass(kw_only=True)
class Archive(Record):
    """A collection of items."""

    indexes: ClassVar = ("slug",)
    pk: str = field(default_factory=new_pk)
    created: str = field(default_factory=now)
    title: str
    slug: str
    description: str = ""


@dataclass(kw_only=True)
class ArchiveItem(Record):
    """A case of an archive."""

    indexes: ClassVar = ("archive, title",)
    pk: str = field(default_factory=new_pk)
    created: str = field(default_factory=now)
    title: str = ""
    archive: str


@dataclass(kw_only=True)
class ReaderStudy(Record):
    """A reader study; `extra` holds the other fields that the API shows."""

    indexes: ClassVar = ("slug",)
    pk: str = field(default_factory=new_pk)
    created: str = field(default_factory=now)
    title: str
    slug: str
    description: str = ""
    is_educational: bool = False
    allow_answer_modification: bool = False
    is_shuffled: bool = False
    extra: Any = field(default_factory=dict[str, Any])


@dataclass(kw_only=True)
class Question(Record):
    """A question of a reader study; `answer_type` is the code, `extra` the optional fields."""

    indexes: ClassVar = ("reader_study",)
    pk: str = field(default_factory=new_pk)
    created: str = field(default_factory=now)
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
    """A case of a reader study."""

    indexes: ClassVar = ("reader_study, title", 'reader_study, "order", created')
    pk: str = field(default_factory=new_pk)
    created: str = field(default_factory=now)
    title: str = ""
    reader_study: str
    order: int = 0


@dataclass(kw_only=True)
class Answer(Record):
    """What a reader answered; durations are seconds."""

    indexes: ClassVar = ("question, creator", "display_set", "creator", "answer_image")
    pk: str = field(default_factory=new_pk)
    created: str = field(default_factory=now)
    modified: str = field(default_factory=now)
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
    """A multipart upload; `parts` are the numbers in order once it is completed."""

    indexes: ClassVar = ("creator",)
    pk: str = field(default_factory=new_pk)
    created: str = field(default_factory=now)
    creator: int
    filename: str
    s3_upload_id: str
    status: str = "Initialized"
    parts: Any = field(default_factory=list[Any])


@dataclass(kw_only=True)
class Use(Record):
    """An upload that a background task is working on, as long as there is that task."""

    indexes: ClassVar = ("upload",)
    pk: int = 0
    upload: str
    task: int


@dataclass(kw_only=True)
class Part(Record):
    """One part that the storage holds; `etag` includes its quotes."""

    indexes: ClassVar = ("upload, number",)
    pk: int = 0
    upload: str
    number: int
    etag: str
    size: int
    modified: str = field(default_factory=now)


@dataclass(kw_only=True)
class UploadSession(Record):
    """An import of files into images; `target` says where the images go."""

    indexes: ClassVar = ("creator",)
    pk: str = field(default_factory=new_pk)
    created: str = field(default_factory=now)
    creator: int
    status: str = "Queued"
    error_message: str = ""
    uploads: Any = field(default_factory=list[Any])
    target: Any = field(default_factory=dict[str, Any])


@dataclass(kw_only=True)
class Image(Record):
    """An image; `shape` is in numpy order without colour, empty for DICOM image sets."""

    indexes: ClassVar = ("origin", "name")
    pk: str = field(default_factory=new_pk)
    created: str = field(default_factory=now)
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
    """One instance of a DICOM image set, stored as it came."""

    indexes: ClassVar = ("image_set_id",)
    pk: int = 0
    image_set_id: str
    sop_instance_uid: str
    key: str
    frames: int = 1


@dataclass(kw_only=True)
class StoredObject(Record):
    """An object of the storage origin; `pk` is its key, `etag` includes its quotes."""

    pk: str
    etag: str
    content_type: str


@dataclass(kw_only=True)
class Algorithm(Record):
    """An algorithm: `run` is `module:function`, or `command` has words, or its callable is lost at the end.

    `folder` is where it works, `time_limit` the seconds that a job may take.
    """

    indexes: ClassVar = ("slug",)
    pk: str = field(default_factory=new_pk)
    created: str = field(default_factory=now)
    title: str
    slug: str
    description: str = ""
    run: str = ""
    command: Any = field(default_factory=list[Any])
    folder: str = ""
    time_limit: float


@dataclass(kw_only=True)
class Interface(Record):
    """One combination of input and output sockets of an algorithm."""

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
    created: str = field(default_factory=now)
    algorithm: str
    import_status: str = "Completed"


@dataclass(kw_only=True)
class Job(Record):
    """A run of an algorithm; `kind` tells jobs from invocations, durations are seconds."""

    indexes: ClassVar = ("creator, kind", "algorithm", "endpoint")
    pk: str = field(default_factory=new_pk)
    created: str = field(default_factory=now)
    kind: str = "job"
    creator: int
    algorithm: str
    algorithm_image: str
    interface: int
    endpoint: str | None = None
    status: str = "Validating inputs"
    fingerprint: str = ""
    error_message: str = ""
    exec_duration: float | None = None
    invoke_duration: float | None = None


@dataclass(kw_only=True)
class Endpoint(Record):
    """An algorithm kept warm; `expires` is a POSIX time."""

    indexes: ClassVar = ("creator",)
    pk: str = field(default_factory=new_pk)
    created: str = field(default_factory=now)
    creator: int
    algorithm: str
    status: str = "Running"
    expires: float


@dataclass(kw_only=True)
class Notification(Record):
    """Something that happened in the background; the API shows only `read`."""

    indexes: ClassVar = ("user",)
    pk: str = field(default_factory=new_pk)
    created: str = field(default_factory=now)
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
    created: str = field(default_factory=now)
    title: str
    slug: str


@dataclass(kw_only=True)
class WorkstationConfig(Record):
    """A viewer's settings, as the API shows them."""

    pk: str = field(default_factory=new_pk)
    created: str = field(default_factory=now)
    title: str
    slug: str
    settings: Any = field(default_factory=dict[str, Any])


@dataclass(kw_only=True)
class Session(Record):
    """A user's viewer session; `created` and `extended` are POSIX times."""

    indexes: ClassVar = ("creator",)
    pk: str = field(default_factory=new_pk)
    created: float
    creator: int
    status: str = "Running"
    extended: float = 0.0


@dataclass(kw_only=True)
class Feedback(Record):
    """What a user said about a viewer session."""

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
    created: str = field(default_factory=now)
    title: str
    description: str = ""


@dataclass(kw_only=True)
class Evaluation(Record):
    """An evaluation of a submission to a phase of a challenge."""

    indexes: ClassVar = ("phase",)
    pk: str = field(default_factory=new_pk)
    created: str = field(default_factory=now)
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
    """Background work to do; removed in the transaction that records its outcome."""

    indexes: ClassVar = ("owner",)
    pk: int = 0
    kind: str
    owner: str = ""
    payload: Any = field(default_factory=dict[str, Any])


TABLES: tuple[type[Record], ...] = tuple(
    table for table in Record.__subclasses__() if table.__module__ == __name__
)
