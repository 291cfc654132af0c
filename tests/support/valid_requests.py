"""A sandbox with an object of every resource, and a valid request to each operation."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gcapi_sandbox import Sandbox
from gcapi_sandbox._database.records import Feedback, Notification
from gcapi_sandbox._database.store import Record
from tests.support.generated import TAGS
from tests.support.servers.raw_http import Web, dicom_bytes, image_bytes

EVALUATOR = "evaluator"
POINT = {"type": "Point", "version": {"major": 1, "minor": 0}, "point": [1, 2, 3]}
SOCKETS = (
    ("Picture", "Image"),
    ("Series", "DICOM Image Set"),
    ("Segmentation", "Segmentation"),
    ("Number", "Float"),
    ("Twice", "Float"),
    ("Where", "Point"),
    ("Report", "PDF file"),
)
QUESTIONS = (
    {"question_text": "Text?", "answer_type": "Text", "required": False},
    {
        "question_text": "Number?",
        "answer_type": "Number",
        "answer_min_value": 1,
        "answer_step_size": 0.5,
    },
    {"question_text": "Which?", "answer_type": "Choice", "options": ["a", "b"]},
    {"question_text": "Where?", "answer_type": "Point", "socket": "where"},
    {"question_text": "Mask?", "answer_type": "Mask", "required": False},
)


@dataclass(frozen=True)
class ValidRequest:
    """The path parameters, query and body of a valid request to an operation."""

    paths: list[dict[str, str]] = field(default_factory=list)
    query: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] | None = None


def double(inputs: Path, outputs: Path) -> None:
    """Double a number."""
    (outputs / "twice.json").write_text(
        json.dumps(json.loads((inputs / "number.json").read_text()) * 2)
    )


class FilledSandbox:
    """A running sandbox with objects of every resource."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.web = Web(sandbox)
        self.sandbox = sandbox
        for title, kind in SOCKETS:
            sandbox.add_socket(title, kind)
        self._add_cases()
        self._add_study()
        self._add_algorithm()
        self._add_site()
        sandbox.wait_idle()

    def _add_cases(self) -> None:
        web = self.web
        self.item = web.item("cases", "first")
        image = web.upload("scan.mha", image_bytes())
        slices = [web.upload(f"{number}.dcm", dicom_bytes(number)) for number in (1, 2)]
        report = web.upload("report.pdf", b"%PDF-1.7")
        values = (
            {"interface": "picture", "user_uploads": [image]},
            {"interface": "series", "user_uploads": slices, "image_name": "a series"},
            {"interface": "report", "user_upload": report},
            {"interface": "number", "value": 0.5},
            {"interface": "where", "value": POINT},
        )
        assert web.patch(self.item, *values).is_success
        self.spare = web.item("cases", "spare")  # changed by the generated requests
        self.images = {slug: value["image"] for slug, value in web.values(self.item).items()}
        series = web.upload("slice.dcm", dicom_bytes(3))  # an ordinary image with a patient id
        assert web.patch(
            web.item("cases", "second"), {"interface": "picture", "user_uploads": [series]}
        ).is_success
        for name in ("junk.mha", "more.mha"):  # their imports fail and leave notifications
            junk = {"interface": "picture", "user_uploads": [web.upload(name, b"no image")]}
            assert web.patch(web.item(), junk).is_success

    def _add_study(self) -> None:
        web = self.web
        self.sandbox.add_reader_study(
            "Study", questions=QUESTIONS, is_educational=True, allow_answer_modification=True
        )
        (self.study,) = web.get("reader-studies/", slug="study")["results"]
        self.questions = {one["question_text"]: one["api_url"] for one in self.study["questions"]}
        self.answered, self.open = self.display_set(title="answered"), self.display_set()
        truth = {"Number?": 1.5, "Which?": self.study["questions"][2]["options"][0]["id"]}
        self.sandbox.add_ground_truth(self.answered["pk"], truth)
        for text, answer in (("Text?", "fine"), ("Where?", POINT), ("Mask?", None)):
            self.answer = web.post("reader-studies/answers/", self._answer(text, answer))

    def display_set(self, **body: Any) -> dict[str, Any]:
        """Create a display set."""
        return self.web.post("reader-studies/display-sets/", {"reader_study": "study", **body})

    def _answer(self, question: str, answer: Any) -> dict[str, Any]:
        return {
            "question": self.questions[question],
            "display_set": self.answered["api_url"],
            "answer": answer,
            "last_edit_duration": "PT5S",
        }

    def _add_algorithm(self) -> None:
        self.sandbox.add_algorithm("Double", interfaces=[(["number"], ["twice"])], run=double)
        (self.algorithm,) = self.web.get("algorithms/", slug="double")["results"]
        endpoint = self.sandbox.add_endpoint("double")
        self.endpoint = f"{self.sandbox.base_url}algorithms/endpoints/{endpoint}/"
        inputs = [{"interface": "number", "value": 2.0}]
        body = {"algorithm": self.algorithm["api_url"], "inputs": inputs}
        self.web.post("algorithms/jobs/", body)
        invocation = {"endpoint": self.endpoint, "inputs": inputs}
        if "algorithms_invocations_create" in TAGS:  # the sandbox has the operations of the schema
            self.web.post("algorithms/invocations/", invocation)

    def _add_site(self) -> None:
        sandbox, web = self.sandbox, self.web
        users = [sandbox.add_user(name) and name for name in ("sandbox", EVALUATOR)]
        self.claimed, self.pending = (
            sandbox.add_evaluation("demo", "Final", evaluators=users) for _ in range(2)
        )
        assert web.api.patch(f"evaluations/{self.claimed}/claim/").is_success
        session = sandbox.add_viewer_session()
        self.session = f"{sandbox.base_url}workstations/sessions/{session}/"
        web.post("workstations/feedback/", {"session": self.session, "user_comment": "good"})
        self.follows = [str(sandbox.add_subscription()) for _ in range(2)]

    def pks(self, path: str) -> list[dict[str, str]]:
        """Return the path parameters of all objects in a list."""
        return [{"id": str(one["pk"])} for one in self.web.get(path)["results"]]

    def upload(self) -> list[dict[str, str]]:
        """Return the path parameters of a new upload with one part."""
        upload, path = self.web.create_upload()
        self.web.put(self.web.presign(path, 1)["1"], b"data")
        return [{"id": upload["pk"], "s3_upload_id": upload["s3_upload_id"]}]


def _dicom(filled: FilledSandbox) -> ValidRequest:
    return ValidRequest([{"id": filled.images["series"].split("/")[-2]}])


def _completed(filled: FilledSandbox) -> ValidRequest:
    (path,) = paths = filled.upload()
    parts = filled.web.get(f"uploads/{path['id']}/{path['s3_upload_id']}/list-parts/")["parts"]
    return ValidRequest(
        paths, body={"parts": [{name: parts[0][name] for name in ("ETag", "PartNumber")}]}
    )


def _change(path: str, **body: Any) -> Callable[[FilledSandbox], ValidRequest]:
    return lambda filled: ValidRequest(filled.pks(path), body=body)


def _spare(filled: FilledSandbox) -> ValidRequest:
    values = [{"interface": "number", "value": 1.0}]
    return ValidRequest(
        [{"id": filled.spare.split("/")[-2]}], body={"title": "spare", "values": values}
    )


def _open_display_set(filled: FilledSandbox) -> ValidRequest:
    values = [{"interface": "number", "value": 1.0}]
    return ValidRequest([{"id": filled.open["pk"]}], body={"title": "open", "values": values})


def _truth(filled: FilledSandbox) -> ValidRequest:
    return ValidRequest([{"id": filled.study["pk"], "case_pk": filled.answered["pk"]}])


def _answer(filled: FilledSandbox) -> ValidRequest:
    (one,) = [
        one for one in filled.pks("reader-studies/answers/") if one["id"] == filled.answer["pk"]
    ]
    return ValidRequest([one], body={"answer": None, "last_edit_duration": "00:00:02"})


def _new_answer(filled: FilledSandbox) -> ValidRequest:
    display_set = filled.display_set()["api_url"]
    return ValidRequest(
        body={"question": filled.questions["Text?"], "display_set": display_set, "answer": "good"}
    )


def _new_job(filled: FilledSandbox) -> ValidRequest:
    inputs = [{"interface": "number", "value": 3.0}]
    return ValidRequest(body={"algorithm": filled.algorithm["api_url"], "inputs": inputs})


def _new_invocation(filled: FilledSandbox) -> ValidRequest:
    inputs = [{"interface": "number", "value": 4.0}]
    return ValidRequest(body={"endpoint": filled.endpoint, "inputs": inputs})


def _new_session(filled: FilledSandbox) -> ValidRequest:
    upload = filled.web.upload("a.mha", image_bytes())
    return ValidRequest(body={"uploads": [upload], "archive": "cases", "interface": "picture"})


def _record(
    table: type[Record], number: int, **body: Any
) -> Callable[[FilledSandbox], ValidRequest]:
    """Return a request for an object whose pk is not in its list, from the sandbox's database."""

    def request(filled: FilledSandbox) -> ValidRequest:
        rows = list(filled.sandbox._state.store.rows(table))
        return ValidRequest([{"id": rows[number].pk}], body=body or None)

    return request


# By operation; any other operation is a list, or retrieves an object of its list.
_REQUESTS: dict[str, Callable[[FilledSandbox], ValidRequest]] = {
    "algorithms_endpoints_create": lambda s: ValidRequest(
        body={"algorithm": s.algorithm["api_url"]}
    ),
    "algorithms_endpoints_keep_alive_partial_update": _change("algorithms/endpoints/"),
    "algorithms_invocations_create": _new_invocation,
    "algorithms_jobs_create": _new_job,
    "archives_items_create": lambda s: ValidRequest(
        body={"archive": s.web.archive("cases")["api_url"]}
    ),
    "archives_items_partial_update": _spare,
    "archives_items_update": _spare,
    "archives_patients_retrieve": _change("archives/"),
    "archives_studies_retrieve": lambda s: ValidRequest(
        s.pks("archives/"), query={"patient_id": "p"}
    ),
    "cases_images_dicom_frames_retrieve": _dicom,
    "cases_images_dicom_instances_retrieve": _dicom,
    "cases_upload_sessions_create": _new_session,
    "challenges_retrieve": lambda _: ValidRequest([{"slug": "demo"}]),
    "evaluations_claim_partial_update": lambda s: ValidRequest([{"id": s.pending}]),
    "evaluations_update_external_evaluation_partial_update": lambda s: ValidRequest(
        [{"id": s.claimed}], body={"status": "Succeeded", "metrics": {"dice": 0.9}}
    ),
    "notifications_destroy": _record(Notification, 0),
    "notifications_retrieve": _record(Notification, -1),
    "notifications_partial_update": _record(Notification, -1, read=True),
    "notifications_update": _record(Notification, -1, read=False),
    "reader_studies_answers_create": _new_answer,
    "reader_studies_answers_partial_update": _answer,
    "reader_studies_answers_update": _answer,
    "reader_studies_display_sets_create": lambda _: ValidRequest(body={"reader_study": "study"}),
    "reader_studies_display_sets_partial_update": _open_display_set,
    "reader_studies_display_sets_update": _open_display_set,
    "reader_studies_ground_truth_retrieve": _truth,
    "subscriptions_destroy": lambda s: ValidRequest([{"id": s.follows[0]}]),
    "subscriptions_retrieve": lambda s: ValidRequest([{"id": s.follows[1]}]),
    "subscriptions_partial_update": lambda s: ValidRequest(
        [{"id": s.follows[1]}], body={"flag": "x"}
    ),
    "subscriptions_update": lambda s: ValidRequest([{"id": s.follows[1]}], body={"flag": "y"}),
    "timezone_update": lambda _: ValidRequest(body={"timezone": "Europe/Amsterdam"}),
    "uploads_create": lambda _: ValidRequest(body={"filename": "a.mha"}),
    "uploads_abort_multipart_upload_partial_update": lambda s: ValidRequest(s.upload()),
    "uploads_complete_multipart_upload_partial_update": _completed,
    "uploads_generate_presigned_urls_partial_update": lambda s: ValidRequest(
        s.upload(), body={"part_numbers": [1, 2]}
    ),
    "uploads_list_parts_retrieve": lambda s: ValidRequest(s.upload()),
    "workstations_feedback_create": lambda s: ValidRequest(
        body={"session": s.session, "user_comment": "x"}
    ),
    "workstations_feedback_retrieve": _record(Feedback, 0),
    "workstations_sessions_keep_alive_partial_update": _change("workstations/sessions/"),
}


def valid_request(filled: FilledSandbox, operation: str, path: str) -> ValidRequest:
    """Return a valid request to an operation."""
    if operation in _REQUESTS:
        return _REQUESTS[operation](filled)
    collection, _, parameter = path.removeprefix("/api/v1/").partition("{")
    return ValidRequest(filled.pks(collection)) if parameter else ValidRequest()
