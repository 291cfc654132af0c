"""The inspection of images and the sandbox's import, which share no code, agree."""

from __future__ import annotations

from pathlib import Path

from gcapi import Client, SocketValueSpec
from gcapi_sandbox import Sandbox
from tests.support.data import unique
from tests.support.image_files import image_cases


def test_what_passes_imports_and_what_is_an_error_does_not(
    client: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The sandbox imports the files without errors and no others, but for exceptions with a reason."""
    archive, slug = sandbox.add_archive(unique("archive")), sandbox.add_socket(unique("image"))
    for number, case in enumerate(image_cases()):
        client.add_case_to_archive(
            archive_slug=archive,
            values=[SocketValueSpec(slug, files=case.write(tmp_path / str(number)))],
            title=case.name,
            inspect="off",
        )
    sandbox.wait_idle(60)
    items = client.archive_items.iterate_all({"archive": client.archives.detail(slug=archive).pk})
    imported = {item.title for item in items if item.values}
    expected = {case.name for case in image_cases() if case.is_imported}
    assert (imported - expected, expected - imported) == (set(), set())
