"""Conformance of the sandbox with the schema, tested with generated requests.

Every response is described by the schema, and only the known failures of the real server are status 500.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable, Iterator

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import CHECKS, load_all_checks

from gcapi_sandbox import Sandbox
from gcapi_sandbox._http import openapi
from tests.support.valid_requests import EVALUATOR, FilledSandbox, ValidRequest, valid_request

load_all_checks()
# Applied unless the real server fails for the request, too.
SERVER_ERROR_CHECK = "not_a_server_error"
ENABLED_CHECKS = (
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
# Checks that the real server fails by design, with reasons.
EXCLUDED_CHECKS = {
    "status_code_conformance": "the schema declares no error responses",
    "ignored_auth": "lists are public and empty without a token; wrong schemes count as no token",
    "negative_data_rejection": "unknown keys and parameters are ignored, numbers become text",
    "positive_data_acceptance": "links must lead to objects, titles be unique, answers fit",
    "missing_required_header": "no header is declared, and the token may be missing for reads",
    "unsupported_method": "a missing permission is a 403 before the 405",
    "allow_header_conformance": "OPTIONS and HEAD are not declared",
    "use_after_free": "only two resources have DELETE, which other tests cover",
    "ensure_resource_availability": "an imported image is not visible until a value uses it",
    "object_level_authorization": "visibility depends on memberships, which the schema does not describe",
}
# Operations that cannot succeed, with reasons.
NEVER_SUCCESSFUL = {"reader_studies_answers_update": "PUT sends fields that cannot change"}
# Operations without parameters, body or token, for which no request is invalid.
ALWAYS_VALID = {"gcapi_retrieve"}
# A user can claim one evaluation, and the default user has one.
USERS = {"evaluations_claim_partial_update": EVALUATOR}

SCHEMA = schemathesis.openapi.from_dict(openapi.corrected())
MODELS = openapi.corrected()["components"]["schemas"]
OPERATIONS = {
    operation.definition.raw["operationId"]: operation
    for operation in (result.ok() for result in SCHEMA.get_all_operations())
}


def _always(_: schemathesis.Case) -> bool:
    """Return True, as S3 refuses the call for completed uploads and for invalid parts."""
    return True


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _body(case: schemathesis.Case) -> dict[str, object]:
    return case.body if isinstance(case.body, dict) else {}


def _has_invalid_reader(case: schemathesis.Case) -> bool:
    query = case.query or {}
    return "user" in query or str(query.get("unanswered_by_user", "true")).lower() not in (
        "true",
        "false",
    )


# The requests for which the real server fails with status 500.
SERVER_FAILURES: dict[str, Callable[[schemathesis.Case], bool]] = {
    "uploads_complete_multipart_upload_partial_update": _always,
    "uploads_abort_multipart_upload_partial_update": _always,
    "uploads_list_parts_retrieve": _always,
    "reader_studies_answers_create": lambda case: not _body(case).get("display_set"),
    "reader_studies_display_sets_list": _has_invalid_reader,
    "reader_studies_ground_truth_retrieve": lambda case: (
        not _is_uuid(case.path_parameters["case_pk"])
    ),
    "evaluations_update_external_evaluation_partial_update": lambda case: (
        "status" not in _body(case)
    ),
}


def fails_on_server(operation: str, case: schemathesis.Case) -> bool:
    """Return whether the real server fails with status 500 for a request."""
    sent = json.dumps(case.body) if isinstance(case.body, dict) else ""
    return "\\u0000" in sent or (operation in SERVER_FAILURES and SERVER_FAILURES[operation](case))


class Prober:
    """Sends generated requests as one user and checks the responses."""

    def __init__(self, filled: FilledSandbox, operation: str, session: requests.Session) -> None:
        self._operation = operation
        self._session = session
        self._origin = filled.sandbox.base_url.removesuffix("/api/v1/")
        token = filled.sandbox.add_user(USERS.get(operation, "sandbox"))
        self._headers = {"Authorization": f"Bearer {token}"}

    def probe(self, case: schemathesis.Case) -> int:
        """Send a request, check the response, and return its status."""
        # A generated header may replace the token.
        case.headers = None
        response = case.call(
            base_url=self._origin, session=self._session, headers=self._headers, timeout=60
        )
        known = response.status_code >= 500 and fails_on_server(self._operation, case)
        names = ENABLED_CHECKS if known else (*ENABLED_CHECKS, SERVER_ERROR_CHECK)
        case.validate_response(response, checks=[CHECKS.get_one(name) for name in names])
        return response.status_code


@pytest.fixture(scope="module")
def filled(sandbox: Sandbox) -> Iterator[FilledSandbox]:
    """Yield a sandbox with one object of each kind."""
    filled = FilledSandbox(sandbox)
    yield filled
    filled.web.close()


@st.composite
def cases(
    draw: st.DrawFn, operation: str, valid: ValidRequest, mode: schemathesis.GenerationMode
) -> schemathesis.Case:
    """Draw a request with existing and other ids, and with a random or a partly valid body."""
    path = draw(st.sampled_from([None, *valid.paths]))
    given_path = {"path_parameters": path} if path else {}
    case = draw(OPERATIONS[operation].as_strategy(generation_mode=mode, **given_path))
    if valid.body and isinstance(case.body, dict):
        kept = draw(st.sets(st.sampled_from(sorted(valid.body))))
        case.body = {**case.body, **{name: valid.body[name] for name in kept}}
    return case


def explore(
    filled: FilledSandbox, operation: str, examples: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Send a valid request of an operation, then generated requests of each mode."""
    with requests.Session() as session:
        _explore(Prober(filled, operation, session), filled, operation, examples)
    errors = [one for one in caplog.records if one.levelno >= logging.ERROR]
    assert [one for one in errors if one.name == "gcapi_sandbox"] == []


def _explore(prober: Prober, filled: FilledSandbox, operation: str, examples: int) -> None:
    raw = OPERATIONS[operation]
    valid = valid_request(filled, operation, raw.path)
    body = {} if valid.body is None else {"body": valid.body, "media_type": "application/json"}
    paths = valid.paths[:1] or [{}]
    first = raw.Case(path_parameters=paths[0], query=valid.query, **body)
    status = prober.probe(first)
    assert (200 <= status < 300) == (operation not in NEVER_SUCCESSFUL), f"{operation}: {status}"
    modes = schemathesis.GenerationMode
    for mode in (modes.POSITIVE,) if operation in ALWAYS_VALID else modes:
        _examples(prober, cases(operation, valid, mode), examples)


def _examples(prober: Prober, strategy: st.SearchStrategy[schemathesis.Case], count: int) -> None:
    @settings(
        max_examples=count,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def send(case: schemathesis.Case) -> None:
        prober.probe(case)

    send()


def test_every_check_is_enabled_or_excluded() -> None:
    """Every check of schemathesis is enabled, or excluded with a reason."""
    assert {SERVER_ERROR_CHECK, *ENABLED_CHECKS, *EXCLUDED_CHECKS} == set(CHECKS.get_all_names())


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_responses_conform_to_the_schema(
    filled: FilledSandbox, operation: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A valid request succeeds, and every response is described by the schema."""
    explore(filled, operation, 3, caplog)


def _page_model(operation: str) -> str:
    """Return the model of the results of a list, empty if the response is not a page."""
    answers = OPERATIONS[operation].definition.raw["responses"]
    schema = answers.get("200", {}).get("content", {}).get("application/json", {}).get("schema", {})
    page = MODELS.get(_name(schema), {}).get("properties", {})
    return _name(page["results"]["items"]) if "results" in page else ""


def _name(schema: dict[str, str]) -> str:
    return schema.get("$ref", "").rpartition("/")[2]


@pytest.mark.parametrize("operation", sorted(one for one in OPERATIONS if _page_model(one)))
def test_objects_have_the_fields_of_the_schema(filled: FilledSandbox, operation: str) -> None:
    """Every object has exactly the fields that the schema declares, optional ones included."""
    fields = set(MODELS[_page_model(operation)]["properties"])
    results = filled.web.get(OPERATIONS[operation].path.removeprefix("/api/v1/"))["results"]
    assert results
    for one in results:
        # The API omits the shape of an image without a color space, such as DICOM.
        assert fields - {"shape"} <= one.keys() <= fields


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_many_responses_conform_to_the_schema(
    filled: FilledSandbox, operation: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The same holds for many more requests."""
    explore(filled, operation, 100, caplog)
