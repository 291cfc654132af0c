"""Plans of local files."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from gcapi._workflows.plans import (
    Upload,
    plan_value,
)
from gcapi.exceptions import (
    SpecError,
    SpecFileError,
    SpecFileNotFound,
)
from gcapi.sockets import SocketValueSpec
from tests.support.socket_kinds import (
    DICOM_KIND,
)
from tests.support.specs import (
    make_socket,
)

DICOM = [("Image", DICOM_KIND)]
# ---------------------------------------------------------------- files

ALL_FILES = [
    ("Value", "Float"),
    ("File", "Float"),
    ("File", "CSV file"),
    ("File", "PDF file"),
    ("Image", "Image"),
    *DICOM,
]


def file_spec(super_kind: str, kind: str, *paths: Path | str) -> SocketValueSpec:
    """Return a specification of files, with an image name for a DICOM image set."""
    name: dict[str, Any] = {"image_name": "CT"} if (super_kind, kind) in DICOM else {}
    return SocketValueSpec("a-socket", files=list(paths), **name)


@pytest.mark.parametrize(("super_kind", "kind"), ALL_FILES)
@pytest.mark.parametrize(
    "name", ["missing.json", "missing/in/there.json", "file/under.json", "\x00"]
)
def test_missing_file_is_reported(super_kind: str, kind: str, name: str, tmp_path: Path) -> None:
    """A missing file is a FileNotFoundError that names it."""
    (tmp_path / "file").touch()
    with pytest.raises(SpecFileNotFound, match=r"^Socket 'a-socket' .* cannot be read: ") as caught:
        plan_value(file_spec(super_kind, kind, tmp_path / name), make_socket(super_kind, kind))
    assert isinstance(caught.value, FileNotFoundError)
    assert str(tmp_path / name).replace("\0", "�") in str(caught.value)


@pytest.mark.parametrize(("super_kind", "kind"), ALL_FILES)
def test_directory_is_refused(super_kind: str, kind: str, tmp_path: Path) -> None:
    """A directory without files is refused."""
    with pytest.raises(SpecError, match="a folder without files"):
        plan_value(file_spec(super_kind, kind, tmp_path), make_socket(super_kind, kind))


@pytest.mark.parametrize(("super_kind", "kind"), ALL_FILES)
def test_empty_list_of_files_is_refused(super_kind: str, kind: str) -> None:
    """An empty list of files is refused."""
    with pytest.raises(SpecError, match="files is empty"):
        plan_value(file_spec(super_kind, kind), make_socket(super_kind, kind))


@pytest.mark.parametrize(("super_kind", "kind"), ALL_FILES)
def test_unreadable_file_is_refused(super_kind: str, kind: str, tmp_path: Path) -> None:
    """A file that the system refuses to open, here for its long name, is a SpecFileError."""
    spec = file_spec(super_kind, kind, tmp_path / ("x" * 5000))
    with pytest.raises(SpecFileError, match="cannot be read"):
        plan_value(spec, make_socket(super_kind, kind))


@pytest.mark.parametrize(("super_kind", "kind"), ALL_FILES)
@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ELOOP, errno.ESTALE])
def test_message_has_the_words_of_the_system(
    super_kind: str,
    kind: str,
    number: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A file that exists and cannot be read is not reported as missing: the message says what the system says."""

    def fail(path: Path, **_: Any) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "stat", fail)
    with pytest.raises(SpecFileError, match=f"cannot be read: {os.strerror(number)}") as caught:
        plan_value(file_spec(super_kind, kind, tmp_path / "a.json"), make_socket(super_kind, kind))
    assert not isinstance(caught.value, SpecFileNotFound)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize(("super_kind", "kind"), ALL_FILES)
def test_pipe_is_refused(super_kind: str, kind: str, tmp_path: Path) -> None:
    """A named pipe is refused instead of being opened."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SpecFileError, match="is not a regular file"):
        plan_value(file_spec(super_kind, kind, tmp_path / "pipe"), make_socket(super_kind, kind))


@pytest.mark.parametrize(("super_kind", "kind"), ALL_FILES[:4])
def test_two_files_for_one_are_refused(super_kind: str, kind: str, tmp_path: Path) -> None:
    """Several files are refused for a socket that takes one."""
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text("1")
    spec = file_spec(super_kind, kind, tmp_path / "a.json", tmp_path / "b.json")
    with pytest.raises(SpecError, match="takes one file, and 2 are given"):
        plan_value(spec, make_socket(super_kind, kind))


@pytest.mark.parametrize(
    "content", [b"", b"{", b"NaN", b"[Infinity]", b"1e400", b"\xff\xfe", b"1.5,2.5"]
)
def test_invalid_json_is_reported(content: bytes, tmp_path: Path) -> None:
    """A file that is not valid JSON is named with the reason."""
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    with pytest.raises(SpecError, match=r"broken\.json: it is not valid JSON: "):
        plan_value(SocketValueSpec("a-socket", file=path), make_socket("Value", "Float"))


def test_other_files_are_not_read(tmp_path: Path) -> None:
    """Planning leaves the content of files to the inspection."""
    path = tmp_path / "report.pdf"
    path.write_bytes(b"\xff no PDF")
    plan = plan_value(SocketValueSpec("a-socket", file=path), make_socket("File", "PDF file"))
    assert plan == Upload("a-socket", (path,))


UPLOADED = [("File", "Float"), ("File", "CSV file"), ("File", "PDF file"), ("Image", "Image")]


@pytest.mark.parametrize(("super_kind", "kind"), UPLOADED)
def test_long_file_name_is_refused(super_kind: str, kind: str, tmp_path: Path) -> None:
    """A file name that is too long for the server is refused before the upload."""
    path = tmp_path / ("x" * 129)
    path.write_text("1")
    with pytest.raises(SpecError, match="has 129 characters, and 128 is the limit"):
        plan_value(file_spec(super_kind, kind, path), make_socket(super_kind, kind))


@pytest.mark.parametrize(("super_kind", "kind"), [("Value", "Float"), *DICOM])
def test_name_that_is_not_sent_may_be_long(super_kind: str, kind: str, tmp_path: Path) -> None:
    """A file whose name is not sent may have a long one."""
    path = tmp_path / ("x" * 129)
    path.write_text("1")
    assert plan_value(file_spec(super_kind, kind, path), make_socket(super_kind, kind))


def test_files_of_an_image_have_different_names(tmp_path: Path) -> None:
    """Two files of one image with the same name are refused."""
    paths = [tmp_path / folder / "slice.dcm" for folder in ("a", "b")]
    for path in paths:
        path.parent.mkdir()
        path.touch()
    with pytest.raises(SpecError, match=r"need different names, and 2 are called 'slice\.dcm'"):
        plan_value(file_spec("Image", "Image", *paths), make_socket("Image", "Image"))
    assert plan_value(file_spec(*DICOM[0], *paths), make_socket(*DICOM[0])) == Upload(
        "a-socket",
        tuple(paths),
        is_image=True,
        image_name="CT",
    )


def test_files_of_an_image_keep_their_order(tmp_path: Path) -> None:
    """The files of an image keep their order."""
    paths = [tmp_path / name for name in ("b.mhd", "a.raw")]
    for path in paths:
        path.touch()
    plan = plan_value(file_spec("Image", "Image", *paths), make_socket("Image", "Image"))
    files = (paths[0], paths[1])
    assert plan == Upload("a-socket", files, is_image=True)
