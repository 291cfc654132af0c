"""Checks of the specifications of a call, and of the inputs of a job."""

from collections.abc import Sequence
from typing import Any

import pytest

from gcapi._workflows.checks import check_interface, check_specs
from gcapi.exceptions import (
    InterfaceMismatch,
    SpecError,
    SpecTypeError,
)
from gcapi.sockets import SocketValueSpec
from grand_challenge_api.models import (
    Algorithm,
)
from tests.support.specs import (
    make_socket,
)

# ---------------------------------------------------------------- several values


def specs(*slugs: str) -> list[SocketValueSpec]:
    """Return a specification for each slug."""
    return [SocketValueSpec(slug, value=1) for slug in slugs]


@pytest.mark.parametrize("slugs", [(), ("a",), ("a", "b", "c")])
def test_different_sockets_go_together(slugs: tuple[str, ...]) -> None:
    """Values for different sockets are accepted."""
    check_specs(specs(*slugs))


@pytest.mark.parametrize("slugs", [("a", "a"), ("a", "b", "a")])
def test_socket_given_twice_is_refused(slugs: tuple[str, ...]) -> None:
    """Two values for one socket are refused, because the server would silently keep one."""
    with pytest.raises(SpecError, match="Socket 'a' is given twice"):
        check_specs(specs(*slugs))


@pytest.mark.parametrize("other", [{"socket_slug": "a", "value": 1}, "a", None, ("a", 1)])
def test_values_are_specifications(other: Any) -> None:
    """A value that is not a specification is named in the error."""
    with pytest.raises(SpecTypeError, match="must be SocketValueSpec objects"):
        check_specs([*specs("a"), other])


def make_algorithm(*interfaces: Sequence[str]) -> Algorithm:
    """Return an algorithm with interfaces for sockets of these slugs."""
    described = [
        {
            "inputs": [make_socket("Value", "Float", slug=slug).to_dict() for slug in slugs],
            "outputs": [],
        }
        for slugs in interfaces
    ]
    return Algorithm.from_dict(
        {
            "api_url": "https://gc.example/api/v1/algorithms/0a/",
            "average_duration": None,
            "interfaces": described,
            "logo": "",
            "pk": "0a",
            "slug": "lung-finder",
            "title": "Lung finder",
            "url": "",
            "description": "",
        }
    )


@pytest.mark.parametrize("slugs", [("a",), ("a", "b"), ("b", "a"), ("c",)])
def test_exact_inputs_fit(slugs: tuple[str, ...]) -> None:
    """Inputs for exactly the sockets of one interface are accepted in any order."""
    check_interface(make_algorithm(["a"], ["a", "b"], ["c"]), specs(*slugs))


def test_no_inputs_fit_an_interface_of_none() -> None:
    """No inputs match an interface without inputs."""
    check_interface(make_algorithm([]), [])


@pytest.mark.parametrize(
    ("slugs", "words"),
    [
        (("a",), "The nearest takes a, b: missing: b."),
        (("a", "b", "x"), "The nearest takes a, b: not among them: x."),
        (("a", "x"), "The nearest takes a, b: missing: b; not among them: x."),
        (("c", "d", "e"), "The nearest takes c, d, e, f: missing: f."),
        ((), "The nearest takes a, b: missing: a, b."),
    ],
)
def test_mismatch_shows_the_nearest_interface(slugs: tuple[str, ...], words: str) -> None:
    """Inputs that match no interface are reported with the nearest one and the difference."""
    algorithm = make_algorithm(["c", "d", "e", "f"], ["a", "b"])
    with pytest.raises(InterfaceMismatch, match="algorithm 'lung-finder'") as caught:
        check_interface(algorithm, specs(*slugs))
    assert str(caught.value).endswith(words)


def test_inputs_for_an_interface_of_none_are_too_many() -> None:
    """Inputs for an interface without inputs are reported as too many."""
    with pytest.raises(InterfaceMismatch, match="takes nothing: not among them: a"):
        check_interface(make_algorithm([]), specs("a"))


def test_algorithm_without_interfaces_cannot_be_run() -> None:
    """An algorithm without interfaces cannot be run, not even without inputs."""
    with pytest.raises(InterfaceMismatch, match="'lung-finder' has no interface yet"):
        check_interface(make_algorithm(), [])
