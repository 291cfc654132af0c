"""`cases`, `images download` and `evaluations` from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from gcapi import Client, SocketValueSpec
from gcapi_sandbox import Sandbox
from tests.support.data import DEADLINE, unique
from tests.support.programs.cli_program import Program
from tests.support.pull import copy_image, image_of


def _add_case(client: Client, kind: str, slug: str, values: list[SocketValueSpec]) -> str:
    if kind == "archive":
        return client.add_case_to_archive(archive_slug=slug, title="A case", values=values).pk
    made = client.add_case_to_reader_study(reader_study_slug=slug, title="A case", values=values)
    return made.pk


@pytest.mark.parametrize("kind", ["archive", "study"])
def test_cases_are_listed_and_shown(
    ready: Program, sandbox: Sandbox, client: Client, kind: str
) -> None:
    """Cases are listed with their sockets, and shown by title, pk or URL."""
    number = sandbox.add_socket(unique("number"), "Float")
    add = sandbox.add_archive if kind == "archive" else sandbox.add_reader_study
    slug = add(unique(kind))
    pk = _add_case(client, kind, slug, [SocketValueSpec(number, value=1.5)])
    listed = ready("cases", "list", f"{kind}:{slug}")
    assert (listed.code, listed.out) == (0, f"{pk}\tA case\t{number}\n")
    for name in ("A case", pk, f"https://example.org/cases/{pk}/"):
        shown = ready("cases", "show", f"{kind}:{slug}", name, "--json")
        assert (shown.code, shown.json["pk"], len(shown.json["values"])) == (0, pk, 1)
    missing = ready("cases", "show", f"{kind}:{slug}", "Another case")
    assert missing.code == 3
    assert "'Another case'" in missing.err
    assert ready("cases", "list", slug).code == 4


def test_titles_are_compared_in_one_form(ready: Program, sandbox: Sandbox, client: Client) -> None:
    """A case is found by its title in either Unicode form, whichever the terminal or the server has."""
    slug = sandbox.add_archive(unique("archive"))
    pk = client.add_case_to_archive(archive_slug=slug, title="Fu\u00df", values=[]).pk
    other = client.add_case_to_archive(archive_slug=slug, title="Hu\u0308fte", values=[]).pk
    for title, found in (("Fu\u00df", pk), ("H\u00fcfte", other), ("Hu\u0308fte", other)):
        shown = ready("cases", "show", f"archive:{slug}", title, "--json")
        assert (shown.code, shown.json["pk"]) == (0, found)


def test_jobs_are_the_cases_of_an_algorithm(ready: Program, sandbox: Sandbox) -> None:
    """An algorithm without jobs has no cases, and that is a success."""
    number = sandbox.add_socket(unique("number"), "Float")
    slug = sandbox.add_algorithm(
        unique("algorithm"), interfaces=[([number], [number])], run=copy_image
    )
    run = ready("cases", "list", f"algorithm:{slug}")
    assert (run.code, run.out) == (0, "")


def test_images_are_downloaded(
    ready: Program, sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    """`images download` writes the files of each image, and one that exists is refused or kept."""
    socket = sandbox.add_socket(unique("image"))
    slug = sandbox.add_archive(unique("archive"))
    _add_case(client, "archive", slug, [SocketValueSpec(socket, file=image_of(tmp_path))])
    sandbox.wait_idle(DEADLINE)
    archive = client.archives.detail(slug=slug)
    (image,) = client.images.iterate_all({"archive": archive.pk})
    run = ready("images", "download", image.pk, "-o", tmp_path / "here", "--json")
    (path,) = run.lines[0]["files"]
    assert (run.code, Path(path).parent) == (0, tmp_path / "here")
    assert Path(path).stat().st_size > 0
    assert ready("images", "download", image.api_url, "-o", tmp_path / "here").code == 4
    again = ("images", "download", image.pk, "-o", tmp_path / "here", "--existing", "skip")
    assert ready(*again).out == f"{image.pk}\t{path}\n"


def test_leaderboards_have_metrics_as_columns(ready: Program, sandbox: Sandbox) -> None:
    """The evaluations of one phase are rows, and their metrics are columns."""
    sandbox.add_socket("Metrics", "Anything", slug="metrics-json-file")
    pk = sandbox.add_evaluation("cases", "Final phase", evaluators=["evaluator"])
    sandbox.add_evaluation("cases", "Other phase")
    with Client(sandbox.add_user("evaluator"), sandbox.base_url) as evaluator:
        evaluator.evaluations.claim(pk)
        metrics = {"dice": {"mean": 0.5, "cases": [1, 2]}, "rank": 7}
        evaluator.evaluations.update_external_evaluation(pk, status="Succeeded", metrics=metrics)
    run = ready("evaluations", "CASES/final-phase", "--json")
    (row,) = run.lines
    assert (row["pk"], row["user"], row["status"]) == (pk, "sandbox", "Succeeded")
    assert (row["rank"], row["dice.mean"], row["metrics.rank"]) == (None, 0.5, 7)
    nothing = ready("evaluations", "cases/no-such-phase")
    assert (nothing.code, nothing.out) == (0, "")
    assert "There are no evaluations" in nothing.err
    assert ready("evaluations", "cases").code == 4
