"""Typed namespaces over the generated operations: each is a declaration of what the API has for one kind of object.

A namespace names its operations as the schema does. What it can do is what it derives from: `Readable` lists and
shows, `Creatable`, `Updatable`, `PartiallyUpdatable` and `Deletable` write. Filters go by the API's names.

Longer than 500 lines since there are so many kinds of objects, each a few lines: one place to look for a namespace.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, overload
from uuid import UUID

from gcapi._api.lost_writes import (
    FAILURES,
    Patience,
    ambiguous,
    is_lost,
    is_server_error,
    is_unanswered,
    same_path,
    says,
)
from gcapi._api.operations import plain
from gcapi._api.quota import LimitWait
from gcapi._api.resource_mixins import (
    Creatable,
    Deletable,
    Limited,
    Namespace,
    Params,
    PartiallyUpdatable,
    Readable,
    Updatable,
)
from gcapi._http.settings import API_PREFIX
from gcapi._transfer.upload_sources import FileObjectSource
from gcapi._util.json_types import is_array
from gcapi.exceptions import UnexpectedAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from gcapi import models
    from gcapi._api.operations import Calls
    from gcapi._transfer.atomic_file import ExistingFile
    from gcapi._transfer.outputs import Outputs
    from gcapi._transfer.upload_sources import Readable as ReadableFile
    from gcapi._transfer.uploads import Uploads

# ---------------------------------------------------------------- images and uploads


class Images(Readable["models.HyperlinkedImage"]):
    """Images, plain and DICOM."""

    list_operation = "cases.cases_images_list"
    detail_operation = "cases.cases_images_retrieve"

    def __init__(self, calls: Calls, outputs: Outputs) -> None:
        super().__init__(calls)
        self._outputs = outputs

    @overload
    def download(
        self,
        *,
        output_directory: str | Path,
        filename: str | None = None,
        image_type: str | None = None,
        pk: str,
        existing: ExistingFile = "error",
    ) -> list[Path]: ...

    @overload
    def download(
        self,
        *,
        output_directory: str | Path,
        filename: str | None = None,
        image_type: str | None = None,
        url: str,
        existing: ExistingFile = "error",
    ) -> list[Path]: ...

    @overload
    def download(
        self,
        *,
        output_directory: str | Path,
        filename: str | None = None,
        image_type: str | None = None,
        files: Sequence[models.ImageFile],
        existing: ExistingFile = "error",
    ) -> list[Path]: ...

    @overload
    def download(
        self,
        *,
        output_directory: str | Path,
        filename: str | None = None,
        image_type: str | None = None,
        pk: None = None,
        url: None = None,
        files: None = None,
        existing: ExistingFile = "error",
        **params: Any,
    ) -> list[Path]: ...

    def download(
        self,
        *,
        output_directory: str | Path,
        filename: str | None = None,
        image_type: str | None = None,
        pk: str | None = None,
        url: str | None = None,
        files: Sequence[models.ImageFile] | None = None,
        existing: ExistingFile = "error",
        **params: Any,
    ) -> list[Path]:
        """Download the files of an image, or the instances of a DICOM image set.

        Args:
            output_directory: Where they go; made if missing.
            filename: Their name without suffix; `None` for the image's pk. Not for DICOM image sets.
            image_type: Only files of this type, such as ``gcapi.models.ImageTypeEnum.MHD``; `None` for all.
            pk: The image, by its primary key; `None` to go by one of the others,
            url: its API address (`None` likewise),
            files: the files themselves, from an image's ``files`` (`None` likewise),
            params: or filters that only one image fits.
            existing: What to do about a file that is there: ``"error"`` before anything is transferred, ``"skip"`` it,
                or ``"overwrite"`` it once the new one is whole.

        Returns:
            The files, in the order of the image's.

        Raises:
            ValueError: Not exactly one of pk, url, files and filters.
            FileExistsError: A target is there already; nothing was transferred.
            TransferError: A file came in part, or garbled; it was not kept.

        Examples:
            >>> archive = client.archives.detail(slug="my-archive")
            >>> image = client.images.page(limit=1, params={"archive": archive.pk})[0]
            >>> (file,) = client.images.download(
            ...     pk=image.pk, output_directory="images", filename="ct"
            ... )
            >>> file.name
            'ct.mha'
        """
        if sum((bool(pk), bool(url), files is not None, bool(params))) != 1:
            raise ValueError("Give exactly one of pk, url, files, or filters.")
        directory = Path(output_directory)
        if files is None:
            image = self._one(pk, url, params)
            chosen = self._outputs.of_image(
                image, directory, filename=filename, image_type=image_type
            )
        else:
            chosen = self._outputs.of_image_files(
                files, directory, filename=filename or "image", image_type=image_type
            )
        return self._outputs.write(chosen, existing=existing)


class UploadsNamespace(Readable["models.UserUpload"]):
    """Your own uploads: what `SocketValueSpec` with files makes for you, step by step."""

    list_operation = "uploads.uploads_list"
    detail_operation = "uploads.uploads_retrieve"

    def __init__(self, calls: Calls, uploads: Uploads) -> None:
        super().__init__(calls)
        self._uploads = uploads

    def create(self, *, filename: str | Path) -> models.UserUpload:
        """Begin a multipart upload.

        Args:
            filename: A plain file name of at most 128 characters.

        Raises:
            SpecError: A name that the server does not take.
            TooManyUploads: You have too many, and the client does not wait, or waited in vain.
        """
        wait = LimitWait(self._calls.settings.on_limit)
        return wait.call(lambda: self._uploads.create(str(filename)))

    def generate_presigned_urls(
        self, *, pk: str, s3_upload_id: str, part_numbers: Sequence[int]
    ) -> models.UserUploadPresignedURLs:
        """Get the URLs to PUT parts to, each good for an hour.

        Args:
            pk: The upload.
            s3_upload_id: What the store calls it, from the upload's ``s3_upload_id``.
            part_numbers: Which parts, counted from 1 to 10,000.
        """
        return self._uploads.presigned_urls(pk, s3_upload_id, part_numbers)

    def list_parts(self, *, pk: str, s3_upload_id: str) -> models.UserUploadParts:
        """Get the parts that the store has of an unfinished upload.

        Args:
            pk: The upload.
            s3_upload_id: What the store calls it, from the upload's ``s3_upload_id``.
        """
        answer: models.UserUploadParts = self._calls.operation(
            "uploads.uploads_list_parts_retrieve", pk, s3_upload_id
        )
        return answer

    def complete_multipart_upload(
        self, *, pk: str, s3_upload_id: str, parts: Iterable[Any]
    ) -> models.UserUploadComplete:
        """Put the parts of an upload together.

        Args:
            pk: The upload.
            s3_upload_id: What the store calls it, from the upload's ``s3_upload_id``.
            parts: Mappings or models with ``ETag`` and ``PartNumber``; more is not sent.
        """
        return self._uploads.complete(pk, s3_upload_id, parts)

    def abort_multipart_upload(self, *, pk: str, s3_upload_id: str) -> models.UserUpload:
        """Give an unfinished upload up; what has arrived of it is removed.

        Args:
            pk: The upload.
            s3_upload_id: What the store calls it, from the upload's ``s3_upload_id``.
        """
        return self._uploads.abort(pk, s3_upload_id)

    def resume(self, *, pk: str, file: str | Path) -> models.UserUploadComplete:
        """Take up an unfinished upload of a file, which the server keeps for a day.

        What the store has is the truth: parts whose length and MD5 are those of the file are kept, the rest is sent.

        Args:
            pk: The upload, as the error of the interrupted call names it.
            file: The same file.

        Returns:
            The upload, whose ``api_url`` goes into a value as ``user_upload`` or ``user_uploads``.

        Raises:
            SpecError: The upload was aborted, or there is no such file.
            ObjectNotFound: No such upload: it was used, or a day has passed.
        """
        return self._uploads.resume(pk, Path(file))

    def upload_fileobj(self, *, fileobj: ReadableFile, filename: str) -> models.UserUploadComplete:
        """Upload a binary file object, seekable or not, from where it stands to its end.

        Holds up to twice `max_concurrent_uploads` parts of 8 MiB in memory. An upload that is refused is aborted.

        Args:
            fileobj: What is read.
            filename: What to call it: a plain file name of at most 128 characters.

        Returns:
            The upload, whose ``api_url`` goes into a value as ``user_upload`` or ``user_uploads``.

        Examples:
            >>> import io
            >>> client.uploads.upload_fileobj(fileobj=io.BytesIO(b"1,2"), filename="a.csv").status
            'Completed'
        """
        return self.upload_multiple_fileobj(file_objects=[fileobj], filenames=[filename])[0]

    def upload_multiple_fileobj(
        self, *, file_objects: Sequence[ReadableFile], filenames: Sequence[str]
    ) -> list[models.UserUploadComplete]:
        """Upload several binary file objects at once, and return the uploads in their order.

        Holds up to twice `max_concurrent_uploads` parts of 8 MiB in memory.

        Args:
            file_objects: What is read.
            filenames: What to call each: plain file names of at most 128 characters.

        Raises:
            ValueError: Not as many names as file objects.
        """
        if len(file_objects) != len(filenames):
            raise ValueError(
                f"{len(file_objects)} file objects and {len(filenames)} names for them."
            )
        pairs = zip(file_objects, filenames, strict=True)
        return self._uploads.upload_all(
            [FileObjectSource(fileobj, str(name)) for fileobj, name in pairs]
        )


class RawImageUploadSessions(
    Readable["models.RawImageUploadSession"], Limited["models.RawImageUploadSession"]
):
    """Imports of images, with the server's words where one failed."""

    list_operation = "cases.cases_upload_sessions_list"
    detail_operation = "cases.cases_upload_sessions_retrieve"
    create_operation = "cases.cases_upload_sessions_create"


# ---------------------------------------------------------------- archives


class Archives(Readable["models.Archive"]):
    """Archives: collections of cases."""

    list_operation = "archives.archives_list"
    detail_operation = "archives.archives_retrieve"

    def patients(self, pk: str) -> list[str]:
        """Get the patient ids of an archive's images."""
        return _texts(self._calls.operation("archives.archives_patients_retrieve", pk))

    def studies(self, pk: str, patient_id: str) -> list[str]:
        """Get the study instance uids of one patient's images in an archive.

        Args:
            pk: The archive.
            patient_id: The patient, as `patients` lists them.
        """
        return _texts(
            self._calls.operation(
                "archives.archives_studies_retrieve", pk, params={"patient_id": patient_id}
            )
        )


class ArchiveItems(
    Readable["models.ArchiveItem"],
    Creatable["models.ArchiveItemPost"],
    Updatable["models.ArchiveItemPost"],
):
    """Archive items: the cases of an archive."""

    list_operation = "archives.archives_items_list"
    detail_operation = "archives.archives_items_retrieve"
    create_operation = "archives.archives_items_create"
    update_operation = "archives.archives_items_update"
    partial_update_operation = "archives.archives_items_partial_update"


# ---------------------------------------------------------------- reader studies


class MyAnswers(Readable["models.Answer"]):
    """Your own answers that are not ground truth."""

    list_operation = "reader_studies.reader_studies_answers_mine_retrieve"
    detail_operation = "reader_studies.reader_studies_answers_retrieve"


class Answers(
    Readable["models.Answer"], Creatable["models.Answer"], PartiallyUpdatable["models.Answer"]
):
    """Answers to the questions of reader studies."""

    list_operation = "reader_studies.reader_studies_answers_list"
    detail_operation = "reader_studies.reader_studies_answers_retrieve"
    create_operation = "reader_studies.reader_studies_answers_create"
    partial_update_operation = "reader_studies.reader_studies_answers_partial_update"

    #: The fields that refer to other objects, and where those live.
    _references: ClassVar = {
        "question": "reader-studies/questions/",
        "display_set": "reader-studies/display-sets/",
    }

    def __init__(self, calls: Calls) -> None:
        super().__init__(calls)
        self.mine: MyAnswers = MyAnswers(calls)
        self._patience = Patience(calls.settings.timeout)

    def create(self, **fields: Any) -> models.Answer:
        """Store an answer, once; the bare pks of the question and the display set will do.

        Where the answer to the request is lost, it is sent again: the server takes one answer of a reader to a question
        for a display set, and its refusal of a second one says that the first is stored.

        Args:
            fields: The API's fields: ``question``, ``display_set``, ``answer``, and ``last_edit_duration`` if any.
        """
        create = partial(super().create, **fields)
        try:
            return create()
        except FAILURES as error:
            if not is_lost(error):
                raise
            lost = error
        with ambiguous(
            "The answer to storing an answer was lost, and nothing tells whether it is stored. Look for it among yours"
            " before you send it again."
        ):
            return self._create_again(create, plain(self._body(fields)), lost)

    def _create_again(
        self, create: Callable[[], models.Answer], body: Mapping[str, Any], lost: Exception
    ) -> models.Answer:
        for _ in self._patience.repeats():
            try:
                return create()
            except FAILURES as error:
                lost = error
            stored = self._stored(body) if says(lost, "has already answered") else None
            if stored is not None:
                return stored
            if not (is_unanswered(lost) or is_server_error(lost)):
                break
        raise lost

    def _stored(self, body: Mapping[str, Any]) -> models.Answer | None:
        """Return our own answer to a question for a display set, if it is as it was sent."""
        display_set = str(body.get("display_set")).rstrip("/").rpartition("/")[2]
        for answer in self.mine.iterate_all({"display_set": display_set}):
            if same_path(answer.question, body["question"]) and answer.answer == body.get("answer"):
                return answer
        return None

    def _body(self, fields: dict[str, Any]) -> dict[str, Any]:
        body = dict(fields)
        root = self._calls.settings.root_url
        for name, path in self._references.items():
            if _is_pk(body.get(name)):
                body[name] = f"{root}{API_PREFIX}{path}{body[name]}/"
        return body


class Questions(Readable["models.Question"]):
    """The questions of reader studies."""

    list_operation = "reader_studies.reader_studies_questions_list"
    detail_operation = "reader_studies.reader_studies_questions_retrieve"


class DisplaySets(
    Readable["models.DisplaySet"],
    Creatable["models.DisplaySetPost"],
    Updatable["models.DisplaySetPost"],
):
    """Display sets: the cases of a reader study."""

    list_operation = "reader_studies.reader_studies_display_sets_list"
    detail_operation = "reader_studies.reader_studies_display_sets_retrieve"
    create_operation = "reader_studies.reader_studies_display_sets_create"
    update_operation = "reader_studies.reader_studies_display_sets_update"
    partial_update_operation = "reader_studies.reader_studies_display_sets_partial_update"


class ReaderStudies(Readable["models.ReaderStudy"]):
    """Reader studies: cases that readers judge."""

    list_operation = "reader_studies.reader_studies_list"
    detail_operation = "reader_studies.reader_studies_retrieve"

    def __init__(self, calls: Calls) -> None:
        super().__init__(calls)
        self.answers: Answers = Answers(calls)
        self.questions: Questions = Questions(calls)
        self.display_sets: DisplaySets = DisplaySets(calls)

    def ground_truth(self, pk: str, case_pk: str) -> dict[str, Any]:
        """Get the ground truth of one display set of an educational study, by the pks of the questions.

        Args:
            pk: The reader study.
            case_pk: The display set.
        """
        answer = self._calls.operation(
            "reader_studies.reader_studies_ground_truth_retrieve", pk, case_pk
        )
        truth: dict[str, Any] = plain(answer)
        return truth


# ---------------------------------------------------------------- algorithms


class Algorithms(Readable["models.Algorithm"]):
    """Algorithms that can be run."""

    list_operation = "algorithms.algorithms_list"
    detail_operation = "algorithms.algorithms_retrieve"


class AlgorithmImages(Readable["models.AlgorithmImage"]):
    """The container images of algorithms; for their editors."""

    list_operation = "algorithms.algorithms_images_list"
    detail_operation = "algorithms.algorithms_images_retrieve"


class AlgorithmJobs(Readable["models.HyperlinkedJob"], Limited["models.JobPost"]):
    """Runs of algorithms."""

    list_operation = "algorithms.algorithms_jobs_list"
    detail_operation = "algorithms.algorithms_jobs_retrieve"
    create_operation = "algorithms.algorithms_jobs_create"

    def by_input_image(self, pk: str) -> Iterator[models.HyperlinkedJob]:
        """Get the jobs that have an image among their inputs."""
        return self.iterate_all(params={"input_image": pk})


class AlgorithmEndpoints(Readable["models.Endpoint"], Creatable["models.EndpointPost"]):
    """Algorithms that are kept running, to be invoked at once (servers of July 2026 and newer)."""

    list_operation = "algorithms.algorithms_endpoints_list"
    detail_operation = "algorithms.algorithms_endpoints_retrieve"
    create_operation = "algorithms.algorithms_endpoints_create"

    def keep_alive(self, pk: str) -> dict[str, Any]:
        """Keep an endpoint from being stopped; returns what the server says of it."""
        answer: dict[str, Any] = plain(
            self._calls.operation("algorithms.algorithms_endpoints_keep_alive_partial_update", pk)
        )
        return answer


class AlgorithmInvocations(Readable["models.Invocation"], Creatable["models.InvocationPost"]):
    """Calls of an algorithm endpoint (servers of July 2026 and newer)."""

    list_operation = "algorithms.algorithms_invocations_list"
    detail_operation = "algorithms.algorithms_invocations_retrieve"
    create_operation = "algorithms.algorithms_invocations_create"


class Interfaces(Readable["models.ComponentInterface"]):
    """Sockets, which the API calls component interfaces."""

    list_operation = "components.components_interfaces_list"
    detail_operation = "components.components_interfaces_retrieve"


# ---------------------------------------------------------------- challenges and evaluations


class Challenges(Readable["models.PublicChallenge"]):
    """Challenges. They have no pk: `detail` takes the short name, as ``pk`` or as ``slug``."""

    list_operation = "challenges.challenges_list"
    detail_operation = "challenges.challenges_retrieve"

    def detail(
        self, pk: str | None = None, api_url: str | None = None, **filters: Any
    ) -> models.PublicChallenge:
        """Get one challenge by its short name or its address.

        Args:
            pk: Its short name; `None` to go by one of the others.
            api_url: Its address in the API; `None` likewise.
            filters: Or ``slug``, its short name too.
        """
        if set(filters) == {"slug"} and filters["slug"] and not pk and not api_url:
            return self._by_pk(filters["slug"])
        return self._one(pk, api_url, filters)


class Evaluations(Readable["models.Evaluation"]):
    """Evaluations of challenge submissions, those done outside the platform among them."""

    list_operation = "evaluations.evaluations_list"
    detail_operation = "evaluations.evaluations_retrieve"

    def claimable_evaluations(
        self, params: Params | None = None
    ) -> list[models.ExternalEvaluation]:
        """Get the evaluations that wait for an external evaluator.

        Args:
            params: ``submission__phase``, the pk of a phase; `None` for all that you may claim.
        """
        answer: list[models.ExternalEvaluation] = self._calls.operation(
            "evaluations.evaluations_claimable_evaluations_retrieve", params=params
        )
        return answer

    def claim(self, pk: str) -> models.ExternalEvaluation:
        """Take an evaluation on, to be done within a day."""
        answer: models.ExternalEvaluation = self._calls.operation(
            "evaluations.evaluations_claim_partial_update", pk
        )
        return answer

    def update_external_evaluation(
        self, pk: str, *, status: str, metrics: Any = None, error_message: str | None = None
    ) -> models.ExternalEvaluationUpdate:
        """Report how a claimed evaluation ended.

        Args:
            pk: The evaluation.
            status: ``"Succeeded"``, which needs metrics, or ``"Failed"``, which needs an error message.
            metrics: Any JSON value; `None` to send none.
            error_message: At most 1,024 characters; `None` to send none.
        """
        given = {"status": status, "metrics": metrics, "error_message": error_message}
        answer: models.ExternalEvaluationUpdate = self._calls.operation(
            "evaluations.evaluations_update_external_evaluation_partial_update",
            pk,
            body={name: value for name, value in given.items() if value is not None},
        )
        return answer


# ---------------------------------------------------------------- people and viewers


class Profiles(Namespace):
    """Your own profile: the API shows no other."""

    def self(self) -> models.UserProfile:
        """Get the profile of the account that the token belongs to."""
        answer: models.UserProfile = self._calls.operation("profiles.profiles_users_self_retrieve")
        return answer


class Notifications(Readable["models.Notification"], Updatable["models.Notification"], Deletable):
    """Your notifications; the API tells no more of each than whether it was read."""

    list_operation = "notifications.notifications_list"
    detail_operation = "notifications.notifications_retrieve"
    update_operation = "notifications.notifications_update"
    partial_update_operation = "notifications.notifications_partial_update"
    delete_operation = "notifications.notifications_destroy"


class Subscriptions(Readable["models.Follow"], Updatable["models.Follow"], Deletable):
    """What you follow."""

    list_operation = "subscriptions.subscriptions_list"
    detail_operation = "subscriptions.subscriptions_retrieve"
    update_operation = "subscriptions.subscriptions_update"
    partial_update_operation = "subscriptions.subscriptions_partial_update"
    delete_operation = "subscriptions.subscriptions_destroy"


class Workstations(Readable["models.Workstation"]):
    """Viewers."""

    list_operation = "workstations.workstations_list"
    detail_operation = "workstations.workstations_retrieve"


class WorkstationConfigs(Readable["models.WorkstationConfig"]):
    """How viewers are set up."""

    list_operation = "workstations.workstations_configs_list"
    detail_operation = "workstations.workstations_configs_retrieve"


class Sessions(Readable["models.Session"]):
    """Your viewer sessions."""

    list_operation = "workstations.workstations_sessions_list"
    detail_operation = "workstations.workstations_sessions_retrieve"

    def keep_alive(self, pk: str) -> dict[str, Any]:
        """Let a session end five minutes from now, and no earlier; returns what the server says."""
        answer: dict[str, Any] = plain(
            self._calls.operation(
                "workstations.workstations_sessions_keep_alive_partial_update", pk
            )
        )
        return answer


class Feedback(Readable["models.Feedback"], Creatable["models.Feedback"]):
    """What users of a viewer say of it."""

    list_operation = "workstations.workstations_feedback_list"
    detail_operation = "workstations.workstations_feedback_retrieve"
    create_operation = "workstations.workstations_feedback_create"


class Timezone(Namespace):
    """The time zone of the browser session; it has no effect on what a token sees."""

    def update(self, timezone: str) -> models.Timezone:
        """Set the time zone, by its IANA name."""
        answer: models.Timezone = self._calls.operation(
            "timezone.timezone_update", body={"timezone": timezone}
        )
        return answer


def _texts(answer: Any) -> list[str]:
    if not is_array(answer):
        raise UnexpectedAnswer(
            f"The answer is not the list that the API promises. It begins: {str(answer)[:200]!r}"
        )
    return answer


def _is_pk(value: Any) -> bool:
    try:
        return bool(UUID(str(value))) and "/" not in str(value)
    except ValueError:
        return False
