"""Whatever the sandbox is asked, it answers as the schema says or refuses; it breaks only where the server does."""

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
from tests.support.contract_seeding import EVALUATOR, Good, Seeded, good

load_all_checks()
# The server's own failures are known, so this one is asked first whether it is one of them.
FAILURE = "not_a_server_error"
ON = ("content_type_conformance", "response_headers_conformance", "response_schema_conformance")
# What the real server fails by design, and why.
OFF = {
    "status_code_conformance": "the schema declares successes only, and no refusal anywhere",
    "ignored_auth": "lists are public and empty without a token; wrong schemes count as no token",
    "negative_data_rejection": "unknown keys and parameters are ignored, numbers become text",
    "positive_data_acceptance": "links must lead to objects, titles be unique, answers fit",
    "missing_required_header": "no header is declared, and the token may be missing for reads",
    "unsupported_method": "a permission that is missing is a 403 before the 405",
    "allow_header_conformance": "OPTIONS are undeclared, and every read has its HEAD",
    "use_after_free": "two resources have DELETE, which the sandbox's own tests look after",
    "ensure_resource_availability": "an imported image is hidden until something uses it",
    "object_level_authorization": "what may be seen follows memberships, of which the schema says nothing",
}
# A success is out of reach here, and why.
NEVER = {"reader_studies_answers_update": "PUT sends what may not change, so it is always refused"}
# Nothing about a request can be wrong: no parameter, no body, no token.
FLAWLESS = {"gcapi_retrieve"}
# An account claims once, and the default one did.
USERS = {"evaluations_claim_partial_update": EVALUATOR}

SCHEMA = schemathesis.openapi.from_dict(openapi.corrected())
MODELS = openapi.corrected()["components"]["schemas"]
OPERATIONS = {
    operation.definition.raw["operationId"]: operation
    for operation in (result.ok() for result in SCHEMA.get_all_operations())
}


def _over(_: schemathesis.Case) -> bool:
    """An upload that is over, or parts that S3 refuses."""
    return True


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _body(case: schemathesis.Case) -> dict[str, object]:
    return case.body if isinstance(case.body, dict) else {}


def _bad_reader(case: schemathesis.Case) -> bool:
    query = case.query or {}
    return "user" in query or str(query.get("unanswered_by_user", "true")).lower() not in (
        "true",
        "false",
    )


# The requests that make the real server fail, as its description lists them.
BREAKS: dict[str, Callable[[schemathesis.Case], bool]] = {
    "uploads_complete_multipart_upload_partial_update": _over,
    "uploads_abort_multipart_upload_partial_update": _over,
    "uploads_list_parts_retrieve": _over,
    "reader_studies_answers_create": lambda case: not _body(case).get("display_set"),
    "reader_studies_display_sets_list": _bad_reader,
    "reader_studies_ground_truth_retrieve": lambda case: (
        not _is_uuid(case.path_parameters["case_pk"])
    ),
    "evaluations_update_external_evaluation_partial_update": lambda case: (
        "status" not in _body(case)
    ),
}


def breaks(operation: str, case: schemathesis.Case) -> bool:
    """Tell whether the real server fails at a request."""
    sent = json.dumps(case.body) if isinstance(case.body, dict) else ""
    return "\\u0000" in sent or (operation in BREAKS and BREAKS[operation](case))


class Asking:
    """Sends cases as one user and looks at the answers."""

    def __init__(self, seeded: Seeded, operation: str, session: requests.Session) -> None:
        self._operation = operation
        self._session = session
        self._origin = seeded.sandbox.base_url.removesuffix("/api/v1/")
        token = seeded.sandbox.add_user(USERS.get(operation, "sandbox"))
        self._headers = {"Authorization": f"Bearer {token}"}

    def ask(self, case: schemathesis.Case) -> int:
        """Send a case and return the status of an answer that is as it should be."""
        # A case may have drawn a header of its own that is not the token.
        case.headers = None
        response = case.call(
            base_url=self._origin, session=self._session, headers=self._headers, timeout=60
        )
        known = response.status_code >= 500 and breaks(self._operation, case)
        names = ON if known else (*ON, FAILURE)
        case.validate_response(response, checks=[CHECKS.get_one(name) for name in names])
        return response.status_code


@pytest.fixture(scope="module")
def seeded(sandbox: Sandbox) -> Iterator[Seeded]:
    """Give a sandbox that has one of everything."""
    made = Seeded(sandbox)
    yield made
    made.web.close()


@st.composite
def cases(
    draw: st.DrawFn, operation: str, well: Good, mode: schemathesis.GenerationMode
) -> schemathesis.Case:
    """Draw a request: existing and other ids, a body of any kind or one that is half good."""
    path = draw(st.sampled_from([None, *well.paths]))
    given_path = {"path_parameters": path} if path else {}
    case = draw(OPERATIONS[operation].as_strategy(generation_mode=mode, **given_path))
    if well.body and isinstance(case.body, dict):
        kept = draw(st.sets(st.sampled_from(sorted(well.body))))
        case.body = {**case.body, **{name: well.body[name] for name in kept}}
    return case


def explore(
    seeded: Seeded, operation: str, examples: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Send an operation a good request, then as many examples of each mode.

    An error that the sandbox did not mean to answer with is logged as one, even where one was due.
    """
    with requests.Session() as session:
        _explore(Asking(seeded, operation, session), seeded, operation, examples)
    errors = [one for one in caplog.records if one.levelno >= logging.ERROR]
    assert [one for one in errors if one.name == "gcapi_sandbox"] == []


def _explore(asking: Asking, seeded: Seeded, operation: str, examples: int) -> None:
    raw = OPERATIONS[operation]
    well = good(seeded, operation, raw.path)
    body = {} if well.body is None else {"body": well.body, "media_type": "application/json"}
    paths = well.paths[:1] or [{}]
    first = raw.Case(path_parameters=paths[0], query=well.query, **body)
    status = asking.ask(first)
    assert (200 <= status < 300) == (operation not in NEVER), f"{operation}: {status}"
    modes = schemathesis.GenerationMode
    for mode in (modes.POSITIVE,) if operation in FLAWLESS else modes:
        _examples(asking, cases(operation, well, mode), examples)


def _examples(asking: Asking, strategy: st.SearchStrategy[schemathesis.Case], count: int) -> None:
    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def send(case: schemathesis.Case) -> None:
        asking.ask(case)

    send()


def test_every_check_is_on_or_off_for_a_reason() -> None:
    """A check that a new version brings is looked at before it is left out."""
    assert {FAILURE, *ON, *OFF} == set(CHECKS.get_all_names())


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_answers_are_what_the_schema_says(
    seeded: Seeded, operation: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A good request succeeds, and no request gets an answer that the schema does not describe."""
    explore(seeded, operation, 5, caplog)


def _page(operation: str) -> str:
    """Return the name of the model that a list's results have, empty for what is no page."""
    answers = OPERATIONS[operation].definition.raw["responses"]
    schema = answers.get("200", {}).get("content", {}).get("application/json", {}).get("schema", {})
    page = MODELS.get(_name(schema), {}).get("properties", {})
    return _name(page["results"]["items"]) if "results" in page else ""


def _name(schema: dict[str, str]) -> str:
    return schema.get("$ref", "").rpartition("/")[2]


@pytest.mark.parametrize("operation", sorted(one for one in OPERATIONS if _page(one)))
def test_objects_have_the_fields_of_the_schema(seeded: Seeded, operation: str) -> None:
    """Every object has all fields that the schema declares, those that may be missing too, and no other."""
    fields = set(MODELS[_page(operation)]["properties"])
    results = seeded.web.get(OPERATIONS[operation].path.removeprefix("/api/v1/"))["results"]
    assert results
    for one in results:
        # The shape of an image is left out where the colour space is not known, as in DICOM.
        assert fields - {"shape"} <= one.keys() <= fields


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_many_answers_are_what_the_schema_says(
    seeded: Seeded, operation: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The same holds for many more requests."""
    explore(seeded, operation, 100, caplog)
