"""The generated package: modules, models, requests and responses."""

import copy
import datetime as dt
import inspect
import pickle
import pkgutil
import subprocess
import sys
from importlib import import_module
from typing import Any

import httpx
import pytest
from tests.support.api_objects import (
    ANSWER,
    ARCHIVE_ITEM,
    DICOM_IMAGE,
    DISPLAY_SET,
    EXTERNAL_EVALUATION,
    GROUND_TRUTH,
    IMAGE,
    JOB,
    QUESTION,
    READER_STUDY,
    UPLOAD,
    VALUE,
)
from tests.support.generated_responses import RESPONSES
from tests.support.generated import CORRECTED, PUBLISHED, TAGS, module_of, operations, require

import grand_challenge_api
from grand_challenge_api import models
from grand_challenge_api.client import AuthenticatedClient
from grand_challenge_api.errors import UnexpectedStatus
from grand_challenge_api.base import to_json
from grand_challenge_api.types import UNSET, Unset

CLIENT = AuthenticatedClient(base_url="https://gc.localhost", token="secret")


def parse(operation: str, status: int, body: Any) -> Any:
    """Return the parsed response of an operation."""
    answer = httpx.Response(status) if body is None else httpx.Response(status, json=body)
    return module_of(operation)._parse_response(client=CLIENT, response=answer)


def test_every_module_imports() -> None:
    """Each generated module can be imported."""
    found = pkgutil.walk_packages(grand_challenge_api.__path__, "grand_challenge_api.")
    names = [module.name for module in found]
    assert len(names) > len(TAGS)
    for name in names:
        import_module(name)


def test_every_model_exists() -> None:
    """The module `models` has the names of `__all__` and no others."""
    for name in models.__all__:
        assert getattr(models, name) is not None
    assert dir(models) == sorted(models.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        models.Nothing  # noqa: B018


@pytest.mark.parametrize("module", ["", ".models", ".types"])
def test_importing_loads_nothing(module: str) -> None:
    """Importing the package, or its models, does not load attrs, httpx or a single model."""
    module = f"grand_challenge_api{module}"
    code = (
        f"import sys, {module}\n"
        "heavy = {'attr', 'attrs', 'httpx'} & set(sys.modules)\n"
        "heavy |= {name for name in sys.modules if name.startswith('grand_challenge_api.models.')}\n"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_operation_has_a_sample_response() -> None:
    """The table of responses has a row for each published operation."""
    assert RESPONSES.keys() >= TAGS.keys()
    require(*RESPONSES)


@pytest.mark.parametrize("operation", sorted(RESPONSES))
def test_responses_are_parsed_without_loss(operation: str) -> None:
    """A response is parsed into its model, and the model gives the same JSON."""
    status, body, expected = RESPONSES[operation]
    parsed = parse(operation, status, body)
    assert (None if parsed is None else type(parsed).__name__) == expected
    assert to_json(parsed) == body


@pytest.mark.parametrize("operation", sorted(RESPONSES))
def test_other_statuses_give_no_model(operation: str) -> None:
    """A status that is not in the schema gives None, or an error if the client raises."""
    assert parse(operation, 404, {"detail": "Not found."}) is None
    strict = AuthenticatedClient("https://gc.localhost", "t", raise_on_unexpected_status=True)
    answer = httpx.Response(404, json={"detail": "Not found."})
    with pytest.raises(UnexpectedStatus, match=r"(?s)404.*Not found") as caught:
        module_of(operation)._parse_response(client=strict, response=answer)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize("body", [[], None, "text", 1])
def test_response_of_another_type_raises(body: Any) -> None:
    """A successful response with a body of another type raises an error."""
    answer = httpx.Response(200, json=body)
    with pytest.raises((TypeError, ValueError, KeyError)):
        module_of("archives_items_retrieve")._parse_response(client=CLIENT, response=answer)


@pytest.mark.parametrize("operation", sorted(TAGS))
def test_constants_equal_the_schema(operation: str) -> None:
    """The constants of a module are those of the corrected schema."""
    module = module_of(operation)
    [(method, path, definition)] = [
        found for found in operations(CORRECTED) if found[2]["operationId"] == operation
    ]
    parameters = definition.get("parameters", [])
    names = [parameter["name"] for parameter in parameters if parameter["in"] == "query"]
    assert (method.upper(), path) == (module.OPERATION.method, module.OPERATION.path)
    assert sorted(module.OPERATION.query_parameters) == sorted(names)
    assert (module.OPERATION.body_model is not None) == ("requestBody" in definition)


def example(schema: dict[str, Any]) -> Any:
    """Return a value that the schema allows, with every field."""
    if "$ref" in schema:
        return example(CORRECTED["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    kind = schema.get("type", "any")
    if kind == "array":
        return [example(schema["items"])]
    if kind == "object":
        return {name: example(field) for name, field in schema["properties"].items()}
    plain = {"integer": 1, "number": 1.5, "boolean": True, "any": {"free": ["json", None]}}
    return schema["enum"][-1] if "enum" in schema else plain.get(kind, "x")


WRITES = sorted(
    definition["operationId"]
    for _, _, definition in operations(CORRECTED)
    if "requestBody" in definition
)


def arguments_of(operation: str) -> dict[str, Any]:
    """Return a value for each required argument of an operation, except the body."""
    parameters = inspect.signature(module_of(operation)._get_kwargs).parameters
    return {
        name: 1 if parameter.annotation is int else "a/b"
        for name, parameter in parameters.items()
        if parameter.default is inspect.Parameter.empty and name != "body"
    }


@pytest.mark.parametrize("operation", WRITES)
def test_writes_send_json(operation: str) -> None:
    """A write sends its model as JSON."""
    module = module_of(operation)
    body = example({"$ref": f"#/components/schemas/{module.OPERATION.body_model.__name__}"})
    model = module.OPERATION.body_model.from_dict(body)
    sent = module._get_kwargs(**arguments_of(operation), body=model)
    assert sent["json"] == body
    assert sent["headers"] == {"Content-Type": "application/json"}
    assert not {"data", "files", "content"} & sent.keys()


def test_as_many_writes_as_published() -> None:
    """All published writes have a body, except the claim of an evaluation, whose body the server ignores."""
    published = {
        definition["operationId"]
        for _, _, definition in operations(PUBLISHED)
        if "requestBody" in definition
    }
    assert published - set(WRITES) == {"evaluations_claim_partial_update"}


@pytest.mark.parametrize("operation", sorted(TAGS))
def test_requests_contain_only_what_was_passed(operation: str) -> None:
    """A request has only the query parameters and fields that were passed."""
    module = module_of(operation)
    given = arguments_of(operation)
    if module.OPERATION.body_model:
        needed = {
            field.name: None
            for field in module.OPERATION.body_model.__attrs_attrs__
            if field.init and field.default is not UNSET
        }
        given["body"] = module.OPERATION.body_model(**needed)
    sent = module._get_kwargs(**given)
    assert sent.get("params", {}) == {}
    assert "{" not in sent["url"]
    assert len(sent.get("json", {})) == (len(needed) if module.OPERATION.body_model else 0)


def test_query_parameters_have_the_names_and_forms_of_the_api() -> None:
    """Query parameters have the API's names, lists are repeated, and dates are ISO 8601."""
    sent = module_of("cases_images_list")._get_kwargs(
        archive=["a", "b"], patient_id_isempty=True, study_date=dt.date(2025, 1, 31)
    )
    query = {"archive": ["a", "b"], "patient_id__isempty": True, "study_date": "2025-01-31"}
    assert sent["params"] == query
    sent = module_of("algorithms_jobs_list")._get_kwargs(algorithm_image_algorithm="a")
    assert sent["params"] == {"algorithm_image__algorithm": "a"}


def test_own_answers_have_all_filters() -> None:
    """The caller's own answers have the filters and paging of all answers, though they are not published."""
    mine, every = (
        module_of(f"reader_studies_answers_{name}").OPERATION.query_parameters
        for name in ("mine_retrieve", "list")
    )
    assert set(mine) == set(every)
    assert {"limit", "offset", "question__reader_study"} <= set(mine)


def test_studies_can_be_filtered_by_patient() -> None:
    """The list of studies takes the patient, though the parameter is not published."""
    sent = module_of("archives_studies_retrieve")._get_kwargs("a", patient_id="7")
    assert sent["params"] == {"patient_id": "7"}


def test_all_responses_are_json() -> None:
    """No operation has a parameter `format`, and all responses are JSON."""
    for _, _, definition in operations(CORRECTED):
        assert "format" not in {item["name"] for item in definition.get("parameters", [])}
        for answer in definition["responses"].values():
            assert set(answer.get("content", {})) <= {"application/json"}


@pytest.mark.parametrize(
    ("model", "lacking"),
    [
        ("PartRequest", {"LastModified", "Size"}),
        ("ArchiveItemPostRequest", {"values"}),
        ("DisplaySetPostRequest", {"values"}),
        ("ComponentInterfaceValuePostRequest", {"file"}),
        ("PatchedAnswerRequest", {"question", "display_set"}),
        ("RawImageUploadSessionRequest", {"creator", "user_uploads"}),
        ("FeedbackRequest", {"screenshot"}),
    ],
)
def test_requests_have_no_refused_fields(model: str, lacking: set[str]) -> None:
    """Requests have no fields that the server ignores or refuses."""
    fields = CORRECTED["components"]["schemas"][model]["properties"]
    assert not lacking & fields.keys()
    assert lacking <= PUBLISHED["components"]["schemas"][model]["properties"].keys()


@pytest.mark.parametrize(
    ("model", "required"),
    [
        ("PartRequest", ["e_tag", "part_number"]),
        ("ArchiveItemPostRequest", ["archive"]),
        ("PatchedArchiveItemPostRequest", []),
        ("DisplaySetPostRequest", ["reader_study"]),
        ("PatchedDisplaySetPostRequest", []),
        ("AnswerRequest", ["display_set", "question"]),
        ("PatchedAnswerRequest", ["answer"]),
        ("PatchedExternalEvaluationUpdateRequest", ["status"]),
        ("PatchedUserUploadCompleteRequest", ["parts"]),
        ("PatchedUserUploadPresignedURLsRequest", ["part_numbers"]),
    ],
)
def test_required_fields_of_requests(model: str, required: list[str]) -> None:
    """The required fields of a request are those that the server requires."""
    fields = getattr(models, model).__attrs_attrs__
    needed = [field.name for field in fields if field.init and field.default is not UNSET]
    assert needed == required


@pytest.mark.parametrize("parent", ["archives_items", "reader_studies_display_sets"])
def test_put_has_an_optional_parent(parent: str) -> None:
    """A PUT takes the model of PATCH, in which the parent is optional."""
    post, put, patch = (
        module_of(f"{parent}_{name}").OPERATION.body_model
        for name in ("create", "update", "partial_update")
    )
    assert put is patch
    assert put is not post


@pytest.mark.parametrize(
    "operation",
    # a map takes any key
    sorted(RESPONSES.keys() - {"reader_studies_ground_truth_retrieve"}),
)
def test_unknown_fields_are_kept(operation: str) -> None:
    """Unknown fields are kept at every depth."""
    status, body, _ = RESPONSES[operation]
    newer = add_field(body)
    assert to_json(parse(operation, status, newer)) == newer


def add_field(value: Any) -> Any:
    """Return the same JSON with one more field in every object."""
    if isinstance(value, list):
        return [add_field(item) for item in value]
    if isinstance(value, dict):
        return {key: add_field(item) for key, item in value.items()} | {"brand_new": [1, None]}
    return value


def test_unknown_fields_can_be_read() -> None:
    """An unknown field can be read, set and deleted by its name."""
    item = models.ArchiveItem.from_dict(ARCHIVE_ITEM | {"brand_new": 1})
    item["other"] = 2
    assert ("brand_new" in item, item["brand_new"]) == (True, 1)
    assert item.additional_keys == ["brand_new", "other"]
    del item["other"]
    assert item.to_dict() == ARCHIVE_ITEM | {"brand_new": 1}


@pytest.mark.parametrize(
    "field", ["color_space", "eye_choice", "stereoscopic_choice", "field_of_view", "patient_sex"]
)
@pytest.mark.parametrize("value", ["", "XYZ", None])
def test_unknown_enum_values_are_kept(field: str, value: str | None) -> None:
    """A blank, null or unknown enum value is kept."""
    image = models.HyperlinkedImage.from_dict(IMAGE | {field: value})
    assert getattr(image, field) == value
    assert image.to_dict() == IMAGE | {field: value}


DEPRECATED = {
    "HyperlinkedImage": [
        "patient_id",
        "patient_name",
        "patient_birth_date",
        "patient_age",
        "patient_sex",
        "study_date",
        "study_instance_uid",
        "series_instance_uid",
        "study_description",
        "series_description",
    ],
    "Question": ["help_text", "question_text", "empty_answer_confirmation_label"],
    "ReaderStudy": ["help_text", "title"],
    "DisplaySet": ["title"],
}
NEWER = {
    "Answer": ["score"],
    "DisplaySet": ["descriptions_map_safe"],
    "DisplaySetPost": ["descriptions_map_safe"],
    "ComponentInterfaceValue": ["socket"],
    "HyperlinkedComponentInterfaceValue": ["socket"],
    "Question": ["algorithms"],
}
WHOLE: dict[str, dict[str, Any]] = {
    "Answer": ANSWER,
    "ComponentInterfaceValue": VALUE,
    "DisplaySet": DISPLAY_SET,
    "DisplaySetPost": DISPLAY_SET | {"values": []},
    "HyperlinkedComponentInterfaceValue": VALUE,
    "HyperlinkedImage": IMAGE,
    "Question": QUESTION,
    "ReaderStudy": READER_STUDY,
}


@pytest.mark.parametrize(
    ("model", "field"),
    [(model, field) for table in (DEPRECATED, NEWER) for model in table for field in table[model]],
)
def test_optional_fields_can_be_missing(model: str, field: str) -> None:
    """A deprecated or newer field can be missing, and is then UNSET."""
    require(f"{model}.{field}")
    body = {key: value for key, value in WHOLE[model].items() if key != field}
    parsed = getattr(models, model).from_dict(body)
    assert getattr(parsed, field) is UNSET
    assert parsed.to_dict() == body


def test_all_deprecated_fields_are_marked() -> None:
    """The sixteen deprecated fields are marked in the schema and in the docstring."""
    schemas = CORRECTED["components"]["schemas"]
    marked = {
        model: {name for name, field in fields["properties"].items() if field.get("deprecated")}
        for model, fields in schemas.items()
        if "properties" in fields
    }
    assert {model: fields for model, fields in marked.items() if fields} == {
        model: set(fields) for model, fields in DEPRECATED.items()
    }
    for model, fields in DEPRECATED.items():
        assert getattr(models, model).__doc__.count("Deprecated") == len(fields)


@pytest.mark.parametrize(
    ("model", "body", "field"),
    [
        ("UserUpload", UPLOAD, "created"),
        ("Answer", ANSWER, "modified"),
        ("ComponentInterfaceValue", VALUE, "interface"),
        ("ArchiveItem", ARCHIVE_ITEM, "values"),
        ("ExternalEvaluation", EXTERNAL_EVALUATION, "submission"),
        ("HyperlinkedJob", JOB, "exec_duration"),
    ],
)
def test_unexpected_null_is_kept(model: str, body: dict[str, Any], field: str) -> None:
    """An unexpected null is None, and the other fields are parsed."""
    parsed = getattr(models, model).from_dict(body | {field: None})
    assert getattr(parsed, field) is None
    assert parsed.to_dict() == body | {field: None}


def test_values_have_python_types() -> None:
    """Keys are str, times are aware datetimes, dates are dates, and maps of models are dicts of them."""
    upload = models.UserUpload.from_dict(UPLOAD)
    assert isinstance(upload.pk, str)
    moment = dt.datetime(2025, 11, 3, 14, 5, 6, 8000, tzinfo=dt.UTC)
    assert upload.created == moment
    image = models.HyperlinkedImage.from_dict(DICOM_IMAGE)
    assert image.patient_birth_date == dt.date(1964, 2, 29)
    assert (image.shape, image.shape_without_color) == (UNSET, [None, None])
    truth = parse("reader_studies_ground_truth_retrieve", 200, GROUND_TRUTH)
    assert [type(answer) for answer in truth.values()] == [models.GroundTruthAnswer]


@pytest.mark.parametrize(
    ("sent", "duration"),
    [
        ("P0DT00H00M01.130033S", dt.timedelta(seconds=1.130033)),
        ("1 02:00:00.5", dt.timedelta(days=1, hours=2, seconds=0.5)),
        ("00:01:05", dt.timedelta(seconds=65)),
        ("about 5 s", "about 5 s"),
        (None, None),
    ],
)
def test_durations_are_timedeltas(sent: str | None, duration: Any) -> None:
    """A duration in either form of the server is a `timedelta`, is sent as it came, and survives a pickle."""
    job = pickle.loads(
        pickle.dumps(models.HyperlinkedJob.from_dict({**JOB, "exec_duration": sent}))
    )
    assert job.exec_duration == duration
    assert job.to_dict()["exec_duration"] == sent


def test_times_without_a_zone_are_utc() -> None:
    """Times know their zone."""
    answer = models.Answer.from_dict({**ANSWER, "created": "2026-07-01T12:00:00"})
    assert answer.created == dt.datetime(2026, 7, 1, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (models.ArchiveItem, ARCHIVE_ITEM),
        (models.HyperlinkedJob, JOB),
        (models.ReaderStudy, READER_STUDY),
        (models.HyperlinkedImage, {**IMAGE, "name": "x" * 999}),
    ],
)
def test_repr_is_one_short_line(model: Any, body: dict[str, Any]) -> None:
    """The `repr` of a model begins with what identifies it and has less than 200 characters."""
    shown = repr(model.from_dict(body))
    assert len(shown) < 200
    assert "\n" not in shown
    assert f"(pk={body['pk']!r}, " in shown


def test_maps_are_dicts() -> None:
    """A map is a dict."""
    require("DisplaySet.descriptions_map_safe")
    display_set = models.DisplaySet.from_dict(DISPLAY_SET)
    assert display_set.descriptions_map_safe == {"scan.mha": "<p>x</p>"}


def test_utc_offsets_are_kept() -> None:
    """A time keeps its UTC offset."""
    body = UPLOAD | {"created": "2025-11-03T14:05:06.008000+09:00"}
    assert models.UserUpload.from_dict(body).to_dict() == body


def test_unset_is_one_object() -> None:
    """Copies and pickles of a model refer to the same UNSET."""
    image = models.HyperlinkedImage.from_dict(DICOM_IMAGE)
    for twin in (copy.deepcopy(image), copy.copy(image), pickle.loads(pickle.dumps(image))):
        assert twin == image
        assert twin.shape is UNSET
    assert isinstance(UNSET, Unset)
    assert (bool(UNSET), repr(UNSET)) == (False, "UNSET")


def test_parsing_does_not_modify_the_response() -> None:
    """Parsing does not modify the JSON."""
    body = copy.deepcopy(ARCHIVE_ITEM)
    models.ArchiveItem.from_dict(body)
    assert body == ARCHIVE_ITEM
