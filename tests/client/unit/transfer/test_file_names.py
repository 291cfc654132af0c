"""File names that the server accepts, and safe names for files from the server."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcapi._transfer.file_names import (
    check_upload_name,
    folder_name,
    full_suffix,
    inside,
    name_of,
    safe_name,
)
from gcapi.exceptions import SpecError, UnsafeName

ANY_TEXT = st.text(st.characters(codec=None, categories=None))
#: Text made of parts of paths, which arbitrary text rarely contains.
PATH_LIKE = st.lists(
    st.sampled_from(["/", "\\", "..", ".", "~", "C:", "\x00", " ", "a", "con", "%2e", "$HOME"])
).map("".join)
DIRECTORY = Path("output/of a test").absolute()


# ---------------------------------------------------------------- to the server


@pytest.mark.parametrize(
    "name",
    [
        "scan.nii.gz",
        "x" * 128,
        "ü" * 128,
        "..",
        "a\\b",
        "a:b*c?.txt",
        "tab\tand\nline",
        " leading",
        ".hidden",
        "😀",
    ],
)
def test_accepted_upload_names(name: str) -> None:
    """A plain name of up to 128 characters is returned unchanged."""
    assert check_upload_name(name) == name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("x" * 129, "has 129 characters, and 128 is the limit"),
        ("a/b.txt", "without directories"),
        ("a/", "without directories"),
        ("/", "without directories"),
        (".", "without directories"),
        ("", "is blank"),
        (" \t\n", "is blank"),
        ("a\x00b", "not Unicode text"),
        ("a\ud800", "not Unicode text"),
        ("\udc00a", "not Unicode text"),
    ],
)
def test_refused_upload_names(name: str, words: str) -> None:
    """A name that the server would refuse is an error that says why and what to do."""
    with pytest.raises(SpecError, match=words) as caught:
        check_upload_name(name)
    assert "Rename the file." in str(caught.value)


# ---------------------------------------------------------------- suffixes


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("scan.nii.gz", ".nii.gz"),
        ("scan.v2.nii.gz", ".nii.gz"),
        ("Scan.NII.GZ", ".NII.GZ"),
        ("slide.ome.tif", ".ome.tif"),
        ("slide.ome.tiff", ".ome.tiff"),
        ("slide.tiff", ".tiff"),
        ("all.tar.gz", ".tar.gz"),
        ("all.tar.bz2", ".bz2"),
        ("table.csv.gz", ".gz"),
        ("volume.mha", ".mha"),
        ("1.2.3.dcm", ".dcm"),
        ("README", ""),
        (".hidden", ""),
        ("niigz", ""),
        ("", ""),
    ],
)
def test_known_double_suffix_is_kept_whole(name: str, suffix: str) -> None:
    """The suffix is a known double one, else the last one, else empty."""
    assert full_suffix(name) == suffix


# ---------------------------------------------------------------- from the server


@pytest.mark.parametrize(
    "name",
    ["a.mha", "..a", "...a", "a b.csv", "naïve.txt", "console.txt", "com10.txt", "nulled", "-rf"],
)
def test_plain_name_is_kept(name: str) -> None:
    """A name that is a plain file name on every system is unchanged."""
    assert safe_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "/",
        "/etc/passwd",
        "../a",
        "a/b",
        "a\\b",
        "..\\a",
        "C:a",
        "a:stream",
        "a\x00b",
        "a\nb",
        "a\x7f",
        'a"b',
        "a|b",
        "a?",
        "a*",
        "<a>",
        "a ",
        "a.",
        "...",
        "a\ud800",
    ],
)
def test_unsafe_names_are_refused(name: str) -> None:
    """A name that would leave its directory, or is invalid on some system, is refused."""
    with pytest.raises(UnsafeName, match="was not written"):
        safe_name(name)


@pytest.mark.parametrize("suffix", ["", ".txt", ".nii.gz", " .txt"])
@pytest.mark.parametrize(
    "device",
    ["CON", "con", "Prn", "AUX", "nul", "COM0", "com1", "COM9", "com¹", "LPT1", "lpt³", "CONIN$"],
)
def test_names_of_windows_devices_are_refused(device: str, suffix: str) -> None:
    """A device name of Windows is refused, with any suffix and in any case."""
    with pytest.raises(UnsafeName):
        safe_name(device + suffix)


@given(ANY_TEXT | PATH_LIKE)
def test_no_name_leaves_its_directory(name: str) -> None:
    """Any text is refused as a name, or names something directly in the directory."""
    try:
        safe = safe_name(name)
    except UnsafeName:
        return
    assert safe == name
    assert (DIRECTORY / safe).resolve().parent == DIRECTORY.resolve()


@given((ANY_TEXT | PATH_LIKE | st.lists(ANY_TEXT).map("/".join)).filter(bool))
def test_no_relative_path_leaves_its_directory(relative_path: str) -> None:
    """Any text is refused as a relative path, or lies strictly inside the directory."""
    try:
        path = inside(DIRECTORY, relative_path)
    except UnsafeName:
        return
    resolved = path.resolve()
    assert resolved != DIRECTORY.resolve()
    assert resolved.is_relative_to(DIRECTORY.resolve())
    assert path == DIRECTORY / relative_path


@pytest.mark.parametrize(
    "relative_path",
    ["..", "../a", "a/../b", "a/..", "/a", "a//b", "a/", "./a", "a/./b", "images\\a", "images/nul"],
)
def test_odd_relative_paths_are_refused(relative_path: str) -> None:
    """A relative path with parts that are not plain names is refused, wherever it leads."""
    with pytest.raises(UnsafeName):
        inside(DIRECTORY, relative_path)


@pytest.mark.parametrize(
    ("relative_path", "parts"),
    [("", ()), ("a.json", ("a.json",)), ("images/ct-image", ("images", "ct-image"))],
)
def test_relative_path_lies_below_the_directory(relative_path: str, parts: tuple[str, ...]) -> None:
    """A socket's relative path is joined to the directory; an empty one is the directory itself."""
    assert inside(DIRECTORY, relative_path) == DIRECTORY.joinpath(*parts)


def test_directory_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A relative directory is made absolute at once, so that a later `chdir` has no effect."""
    monkeypatch.chdir(tmp_path)
    assert inside(Path("results"), "a.json") == tmp_path / "results" / "a.json"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/media/images/ab/scan.nii.gz", "scan.nii.gz"),
        ("/media/a%20b.mha", "a b.mha"),
        ("/media/na%C3%AFve.csv", "naïve.csv"),
        ("scan.mha", "scan.mha"),
    ],
)
def test_name_is_the_last_part_of_a_url(path: str, name: str) -> None:
    """A file from the server is named after the last segment of its URL, unquoted."""
    assert name_of(path) == name


@pytest.mark.parametrize(
    "path", ["/media/", "", "/media/..", "/media/%2e%2e", "/media/a%2Fb", "/a/%00", "/a/..%5Cb"]
)
def test_url_without_a_name_is_refused(path: str) -> None:
    """A URL whose last segment cannot be a file name, quoted or not, is refused."""
    with pytest.raises(UnsafeName):
        name_of(path)


@pytest.mark.parametrize(
    "character", ["\x1b", "\x7f", "\x9b", "\u200f", "\u2028", "\u202e", "\u2066"]
)
def test_names_that_control_a_terminal_are_refused(character: str) -> None:
    """A name with a control or bidirectional character is no plain file name, and no part of a folder name."""
    with pytest.raises(UnsafeName):
        safe_name(f"gnp{character}exe")
    assert folder_name(f"gnp{character}exe") in {"gnp_exe", "gnp exe"}
