"""The names of the folders of cases."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcapi._transfer.file_names import case_folded, inside, safe_name
from gcapi.bulk._pull.case_folders import RESERVED_NAMES, name_folders
from gcapi.exceptions import UnsafeName

PKS = [str(UUID(int=number)) for number in range(1, 9)]
TITLES = st.one_of(
    st.text(max_size=255),
    st.sampled_from(
        ["A", "a", "Ä", "A\u0308", "con", "..", "a/b", "a:b", " a ", "a.", "ﬁ", "ß", "SS"]
    ),
    st.sampled_from(sorted(RESERVED_NAMES)),
)


@pytest.mark.parametrize(
    ("title", "folder"),
    [
        ("Case 7, left", "Case 7, left"),
        ("Größe ≥ 3 mm", "Größe ≥ 3 mm"),
        ("a/b\\c", "a_b_c"),
        ("  a \t b. ", "a b"),
        ("../..", "_"),
        ("CON.txt", "_CON.txt"),
        ("LPT1", "_LPT1"),
        ("a\x00b", "a_b"),
        ("[1]; 2", "_1__ 2"),
        ("ü" * 200, "ü" * 80),
        ("漢" * 200, "漢" * 53),
        ("", PKS[0]),
        ("...", PKS[0]),
        ("Manifest.CSV", f"Manifest.CSV-{PKS[0]}"),
    ],
)
def test_a_title_as_a_folder(title: str, folder: str) -> None:
    """Invalid characters in a title are replaced, and a long title is cut."""
    assert name_folders({PKS[0]: title}, {}) == {PKS[0]: folder}


@given(st.lists(TITLES, max_size=8), st.integers(0, 8))
def test_any_titles_make_distinct_folders(titles: list[str], known: int) -> None:
    """Any titles get distinct names of one segment, and cases keep their folders."""
    given_titles = dict(zip(PKS, titles, strict=False))
    former = dict(list(given_titles.items())[:known])
    kept = name_folders(former, {})
    folders = name_folders(given_titles, kept)
    assert folders == name_folders(dict(reversed(given_titles.items())), kept)
    assert kept.items() <= folders.items()
    names = [*folders.values(), *RESERVED_NAMES]
    assert len({case_folded(name) for name in names}) == len(names)
    for name in folders.values():
        assert safe_name(name) == unicodedata.normalize("NFC", name) == name
        assert inside(Path("root"), name).parent == Path("root").absolute()
        assert len(name.encode()) < 255


def test_a_title_that_imitates_a_key() -> None:
    """Two cases never share a folder, even if a title contains a pk."""
    titles = {PKS[2]: f"a-{PKS[0]}", PKS[0]: "a", PKS[1]: "A", PKS[3]: PKS[4], PKS[4]: ""}
    folders = name_folders(titles, {})
    assert len(set(folders.values())) == len(titles)
    assert (folders[PKS[0]], folders[PKS[4]]) == (f"a-{PKS[0]}", PKS[4])
    with pytest.raises(UnsafeName, match="Change the title"):
        name_folders({PKS[0]: "a", PKS[1]: "A", PKS[2]: ""}, {PKS[2]: f"a-{PKS[0]}"})
