"""Which operation answers which method of which path, and who is turned away before it."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

ROOT = "/api/v1/"

# operation id, method, path below /api/v1/
OPERATIONS: tuple[tuple[str, str, str], ...] = (
    ("algorithms_list", "GET", "algorithms/"),
    ("algorithms_endpoints_list", "GET", "algorithms/endpoints/"),
    ("algorithms_endpoints_create", "POST", "algorithms/endpoints/"),
    ("algorithms_endpoints_retrieve", "GET", "algorithms/endpoints/{id}/"),
    (
        "algorithms_endpoints_keep_alive_partial_update",
        "PATCH",
        "algorithms/endpoints/{id}/keep_alive/",
    ),
    ("algorithms_images_list", "GET", "algorithms/images/"),
    ("algorithms_images_retrieve", "GET", "algorithms/images/{id}/"),
    ("algorithms_invocations_list", "GET", "algorithms/invocations/"),
    ("algorithms_invocations_create", "POST", "algorithms/invocations/"),
    ("algorithms_invocations_retrieve", "GET", "algorithms/invocations/{id}/"),
    ("algorithms_jobs_list", "GET", "algorithms/jobs/"),
    ("algorithms_jobs_create", "POST", "algorithms/jobs/"),
    ("algorithms_jobs_retrieve", "GET", "algorithms/jobs/{id}/"),
    ("algorithms_retrieve", "GET", "algorithms/{id}/"),
    ("archives_list", "GET", "archives/"),
    ("archives_items_list", "GET", "archives/items/"),
    ("archives_items_create", "POST", "archives/items/"),
    ("archives_items_retrieve", "GET", "archives/items/{id}/"),
    ("archives_items_partial_update", "PATCH", "archives/items/{id}/"),
    ("archives_items_update", "PUT", "archives/items/{id}/"),
    ("archives_retrieve", "GET", "archives/{id}/"),
    ("archives_patients_retrieve", "GET", "archives/{id}/patients/"),
    ("archives_studies_retrieve", "GET", "archives/{id}/studies/"),
    ("cases_images_list", "GET", "cases/images/"),
    ("cases_images_retrieve", "GET", "cases/images/{id}/"),
    ("cases_images_dicom_frames_retrieve", "GET", "cases/images/{id}/dicom/frames/"),
    ("cases_images_dicom_instances_retrieve", "GET", "cases/images/{id}/dicom/instances/"),
    ("cases_upload_sessions_list", "GET", "cases/upload-sessions/"),
    ("cases_upload_sessions_create", "POST", "cases/upload-sessions/"),
    ("cases_upload_sessions_retrieve", "GET", "cases/upload-sessions/{id}/"),
    ("challenges_list", "GET", "challenges/"),
    ("challenges_retrieve", "GET", "challenges/{slug}/"),
    ("components_interfaces_list", "GET", "components/interfaces/"),
    ("components_interfaces_retrieve", "GET", "components/interfaces/{id}/"),
    ("evaluations_list", "GET", "evaluations/"),
    (
        "evaluations_claimable_evaluations_retrieve",
        "GET",
        "evaluations/claimable_evaluations/",
    ),
    ("evaluations_retrieve", "GET", "evaluations/{id}/"),
    ("evaluations_claim_partial_update", "PATCH", "evaluations/{id}/claim/"),
    (
        "evaluations_update_external_evaluation_partial_update",
        "PATCH",
        "evaluations/{id}/update_external_evaluation/",
    ),
    ("gcapi_retrieve", "GET", "gcapi/"),
    ("notifications_list", "GET", "notifications/"),
    ("notifications_destroy", "DELETE", "notifications/{id}/"),
    ("notifications_retrieve", "GET", "notifications/{id}/"),
    ("notifications_partial_update", "PATCH", "notifications/{id}/"),
    ("notifications_update", "PUT", "notifications/{id}/"),
    ("profiles_users_self_retrieve", "GET", "profiles/users/self/"),
    ("reader_studies_list", "GET", "reader-studies/"),
    ("reader_studies_answers_list", "GET", "reader-studies/answers/"),
    ("reader_studies_answers_create", "POST", "reader-studies/answers/"),
    ("reader_studies_answers_mine_retrieve", "GET", "reader-studies/answers/mine/"),
    ("reader_studies_answers_retrieve", "GET", "reader-studies/answers/{id}/"),
    ("reader_studies_answers_partial_update", "PATCH", "reader-studies/answers/{id}/"),
    ("reader_studies_answers_update", "PUT", "reader-studies/answers/{id}/"),
    ("reader_studies_display_sets_list", "GET", "reader-studies/display-sets/"),
    ("reader_studies_display_sets_create", "POST", "reader-studies/display-sets/"),
    ("reader_studies_display_sets_retrieve", "GET", "reader-studies/display-sets/{id}/"),
    (
        "reader_studies_display_sets_partial_update",
        "PATCH",
        "reader-studies/display-sets/{id}/",
    ),
    ("reader_studies_display_sets_update", "PUT", "reader-studies/display-sets/{id}/"),
    ("reader_studies_questions_list", "GET", "reader-studies/questions/"),
    ("reader_studies_questions_retrieve", "GET", "reader-studies/questions/{id}/"),
    ("reader_studies_retrieve", "GET", "reader-studies/{id}/"),
    (
        "reader_studies_ground_truth_retrieve",
        "GET",
        "reader-studies/{id}/ground-truth/{case_pk}/",
    ),
    ("subscriptions_list", "GET", "subscriptions/"),
    ("subscriptions_destroy", "DELETE", "subscriptions/{id}/"),
    ("subscriptions_retrieve", "GET", "subscriptions/{id}/"),
    ("subscriptions_partial_update", "PATCH", "subscriptions/{id}/"),
    ("subscriptions_update", "PUT", "subscriptions/{id}/"),
    ("timezone_update", "PUT", "timezone/"),
    ("uploads_list", "GET", "uploads/"),
    ("uploads_create", "POST", "uploads/"),
    ("uploads_retrieve", "GET", "uploads/{id}/"),
    (
        "uploads_abort_multipart_upload_partial_update",
        "PATCH",
        "uploads/{id}/{s3_upload_id}/abort-multipart-upload/",
    ),
    (
        "uploads_complete_multipart_upload_partial_update",
        "PATCH",
        "uploads/{id}/{s3_upload_id}/complete-multipart-upload/",
    ),
    (
        "uploads_generate_presigned_urls_partial_update",
        "PATCH",
        "uploads/{id}/{s3_upload_id}/generate-presigned-urls/",
    ),
    (
        "uploads_list_parts_retrieve",
        "GET",
        "uploads/{id}/{s3_upload_id}/list-parts/",
    ),
    ("workstations_list", "GET", "workstations/"),
    ("workstations_configs_list", "GET", "workstations/configs/"),
    ("workstations_configs_retrieve", "GET", "workstations/configs/{id}/"),
    ("workstations_feedback_list", "GET", "workstations/feedback/"),
    ("workstations_feedback_create", "POST", "workstations/feedback/"),
    ("workstations_feedback_retrieve", "GET", "workstations/feedback/{id}/"),
    ("workstations_sessions_list", "GET", "workstations/sessions/"),
    ("workstations_sessions_retrieve", "GET", "workstations/sessions/{id}/"),
    (
        "workstations_sessions_keep_alive_partial_update",
        "PATCH",
        "workstations/sessions/{id}/keep_alive/",
    ),
    ("workstations_retrieve", "GET", "workstations/{id}/"),
)

# Resources that nobody reads without a token.
PRIVATE = ("components/interfaces/", "workstations/configs/")

# Resources that ignore tokens and may be written by anybody.
OPEN = ("timezone/",)

# Methods that are "not allowed" (405) where a resource lacks them. All other missing methods
# that would change something are "no permission" (403), which the server checks first.
_CHANGES = frozenset({"POST", "PUT", "PATCH"})
_EVERYTHING = _CHANGES | {"DELETE"}
NOT_ALLOWED: dict[str, frozenset[str]] = {
    "algorithms/endpoints/": _CHANGES,
    "algorithms/invocations/": frozenset({"POST"}),
    "algorithms/jobs/": frozenset({"POST"}),
    "archives/items/": _CHANGES,
    "cases/upload-sessions/": _CHANGES,
    "components/interfaces/": _EVERYTHING,
    "evaluations/": _CHANGES,
    "gcapi/": _EVERYTHING,
    "notifications/": _EVERYTHING,
    "profiles/users/self/": _EVERYTHING,
    "reader-studies/answers/": _CHANGES,
    "reader-studies/display-sets/": _EVERYTHING,
    "subscriptions/": _EVERYTHING,
    "timezone/": _EVERYTHING,
    "uploads/": _CHANGES,
    "workstations/configs/": _EVERYTHING,
    "workstations/feedback/": _CHANGES,
    "workstations/sessions/": _CHANGES,
}

# Resources that can also be rendered as CSV.
CSV = (
    "archives/{id}/",
    "cases/images/",
    "evaluations/",
    "reader-studies/",
)
_CSV_EXACTLY = ("archives/",)


@dataclass(frozen=True)
class Route:
    """One path, and the operation of each of its methods."""

    path: str
    operations: dict[str, str]

    @functools.cached_property
    def pattern(self) -> re.Pattern[str]:
        """The path as an expression with one group a parameter."""
        return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path))

    @property
    def allow(self) -> str:
        """The `Allow` header."""
        read = ("GET", "HEAD") if "GET" in self.operations else ()
        return ", ".join((*read, *sorted(self.operations.keys() - {"GET"}), "OPTIONS"))

    @property
    def csv(self) -> bool:
        """Tell whether CSV is rendered here."""
        return self.path.startswith(CSV) or self.path in _CSV_EXACTLY

    def forbids(self, method: str) -> bool:
        """Tell whether nobody has the permission for a method that is missing here."""
        for prefix, methods in NOT_ALLOWED.items():
            if self.path.startswith(prefix):
                return method in _EVERYTHING - methods
        return method in _EVERYTHING


def _routes() -> tuple[Route, ...]:
    paths: dict[str, dict[str, str]] = {}
    for operation, method, path in OPERATIONS:
        paths.setdefault(path, {})[method] = operation
    # A literal segment wins over a parameter, which sorts behind every letter.
    return tuple(Route(path, paths[path]) for path in sorted(paths))


ROUTES = _routes()


def match(path: str) -> tuple[Route, dict[str, str]] | None:
    """Return the route of a path below the root and its parameters."""
    for route in ROUTES:
        if found := route.pattern.fullmatch(path):
            return route, found.groupdict()
    return None
