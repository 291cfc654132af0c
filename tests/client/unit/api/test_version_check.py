"""The order of versions, and the installed version compared with those that a server names."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import InvalidVersion, Version

from gcapi._api.version_check import compare_versions, version_key
from gcapi.exceptions import UnexpectedAnswer, UnsupportedVersionError

#: In ascending order; versions in one line are equal.
ORDERED = [
    ["0.9.9"],
    ["0.10", "0.10.0", "v0.10", " 0.10\n"],
    ["0.16.9"],
    ["0.16.10.dev1"],
    ["0.16.10"],
    ["1.0.dev1", "1.0.0-DEV01"],
    ["1.0a1.dev2"],
    ["1.0a1", "1.0alpha1", "1.0-alpha.1", "1.0_A1"],
    ["1.0a1.post1.dev2"],
    ["1.0a1.post1"],
    ["1.0a2"],
    ["1.0b1", "1.0beta1"],
    ["1.0rc1", "1.0c1", "1.0pre1", "1.0-preview-1"],
    ["1.0rc1+local"],
    ["1.0", "1", "1.0.0"],
    ["1.0+abc"],
    ["1.0+abc.5", "1.0+abc-5"],
    ["1.0+5"],
    ["1.0+5.1"],
    ["1.0.post1.dev3"],
    ["1.0.post1", "1.0-1", "1.0.rev1", "1.0r1"],
    ["1.0.1.dev0", "1.0.1.dev"],
    ["1.0.1a1"],
    ["1.1"],
    ["2023.12"],
    ["1!0.1"],
]
#: Pieces of versions, put together in a valid order or otherwise.
VERSIONS = st.from_regex(
    r"v?([0-2]!)?[0-9]{1,2}(\.[0-9]{1,2}){0,3}([-_.]?(a|b|c|rc|alpha|beta|pre|preview)[-_.]?[0-9]?)?"
    r"(-[0-9]|[-_.]?(post|rev|r)[-_.]?[0-9]?)?([-_.]?dev[-_.]?[0-9]?)?(\+[a-z0-9]{1,2}([-_.][a-z0-9]{1,2}){0,2})?",
    fullmatch=True,
)


def test_versions_are_ordered_as_in_pep_440() -> None:
    """Development releases, pre-releases, releases, local versions, post-releases and epochs are in order."""
    keys = [[version_key(version) for version in equal] for equal in ORDERED]
    assert all(key == equal[0] for equal in keys for key in equal)
    firsts = [equal[0] for equal in keys]
    assert all(older < newer for older, newer in pairwise(firsts))


@given(VERSIONS, VERSIONS)
def test_any_two_versions_compare_as_in_packaging(one: str, other: str) -> None:
    """The order is that of the reference implementation."""
    keys, versions = (version_key(one), version_key(other)), (Version(one), Version(other))
    assert (keys[0] < keys[1], keys[0] == keys[1]) == (
        versions[0] < versions[1],
        versions[0] == versions[1],
    )


@pytest.mark.parametrize(
    "version", ["", "latest", "None", ".1", "a1.0", "1.0-SNAPSHOT", "1." * 500 + "0", "\u0661.0"]
)
def test_garbage_is_not_a_version(version: str) -> None:
    """Anything else in place of a version is an UnexpectedAnswer."""
    with pytest.raises(UnexpectedAnswer, match="invalid version"):
        version_key(version)


@given(st.text() | st.from_regex(r"v?\d+(\.\d+)*\w*"))
def test_any_text_is_a_version_or_unexpected(text: str) -> None:
    """Every version that packaging accepts can be compared, and everything else is an UnexpectedAnswer."""
    try:
        Version(text)
    except InvalidVersion:
        with pytest.raises(UnexpectedAnswer):
            version_key(text)
    else:
        assert version_key(text) == version_key(text.upper())


@pytest.mark.parametrize(
    ("current", "lowest", "latest"),
    [
        ("1.0.0a1", "0.13.0", "0.16.1"),
        ("0.16.1", "0.13.0", "0.16.1"),
        ("0.16.0", "0.16", "0.16"),
        ("1.0.0", "1.0.0a1", "1.0.0"),
    ],
)
def test_new_enough_version_is_silent(current: str, lowest: str, latest: str) -> None:
    """The latest version, or one that is newer than the server knows, causes no warning."""
    compare_versions(current, lowest=lowest, latest=latest)


@pytest.mark.parametrize("current", ["0.13.0", "0.16.0", "0.16.1a1"])
def test_version_below_the_latest_causes_a_warning(current: str) -> None:
    """An older version that is still supported causes a warning that names the latest."""
    with pytest.warns(
        UserWarning, match=rf"This is gcapi {current}; version 0\.16\.1 is available"
    ):
        compare_versions(current, lowest="0.13.0", latest="0.16.1")


@pytest.mark.parametrize("current", ["0.12.9", "0.13.0a1", "0.1"])
def test_version_below_the_lowest_is_refused(current: str) -> None:
    """A version that the server does not support is an error that says what to do."""
    with pytest.raises(UnsupportedVersionError, match=r"supports 0\.13\.0 and newer. Upgrade"):
        compare_versions(current, lowest="0.13.0", latest="0.16.1")


@pytest.mark.parametrize(("lowest", "latest"), [("soon", "1.0"), ("0.1", "later")])
def test_invalid_versions_of_the_server_are_unexpected(lowest: str, latest: str) -> None:
    """A server that names no valid version is not reported as one that needs an upgrade."""
    with pytest.raises(UnexpectedAnswer):
        compare_versions("1.0.0", lowest=lowest, latest=latest)
