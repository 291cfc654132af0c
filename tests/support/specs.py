"""Sockets as the server describes them, and Hypothesis strategies for specs."""

from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from gcapi.models import ComponentInterface, HyperlinkedComponentInterfaceValue
from tests.support.socket_kinds import (
    BINARY_SUFFIXES,
    DICOM_KIND,
    IMAGE_KINDS,
    INVALID,
    TEXT_SUFFIXES,
    VALID,
)

IMAGE_URL = "https://gc.example/api/v1/cases/images/0a/"
FILE_URL = "https://gc.example/media/evaluation/1/"


def suffix(kind: str) -> str:
    """Return the suffix of the relative path of a kind."""
    return {**TEXT_SUFFIXES, **BINARY_SUFFIXES}.get(kind, ".json")


def make_socket(
    super_kind: str, kind: str, fields: dict[str, str] | None = None, **changes: Any
) -> ComponentInterface:
    """Return a socket as the server describes it, with changes."""
    path = "images/a-socket" if super_kind == "Image" else f"results/made{suffix(kind)}"
    described = {
        "title": "A socket",
        "description": "",
        "slug": "a-socket",
        "kind": kind,
        "pk": 7,
        "default_value": None,
        "super_kind": super_kind,
        "relative_path": path,
        "overlay_segments": [],
        "look_up_table": None,
    }
    return ComponentInterface.from_dict({**described, **changes, **(fields or {})})


def make_existing(socket: ComponentInterface, **changes: Any) -> HyperlinkedComponentInterfaceValue:
    """Return a socket value as the server describes it."""
    value, file, image = None, None, None
    if socket.super_kind == "Value":
        value = VALID[socket.kind]
    elif socket.super_kind == "File":
        file = f"{FILE_URL}stored{suffix(socket.kind)}"
    else:
        image = IMAGE_URL
    fields = {"interface": socket.to_dict(), "pk": 1, "value": value, "file": file, "image": image}
    return HyperlinkedComponentInterfaceValue.from_dict({**fields, **changes})


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
ANY_VALUE = (
    JSON_VALUES
    | st.sampled_from([value for _, value in INVALID])
    | st.sampled_from(list(VALID.values()))
    | st.binary()
    | st.sampled_from(["\ud800", 10**400, {1, 2}, ("a",), {("a",): 1}, object()])
)
ANY_SOCKET = st.builds(
    make_socket,
    st.sampled_from(["Value", "File", "Image", "Stream"]),
    st.sampled_from([*VALID, *TEXT_SUFFIXES, *BINARY_SUFFIXES, *IMAGE_KINDS, DICOM_KIND, "Newer"]),
    relative_path=st.sampled_from(["", "images", "a.json", "a/b.csv", "x" * 129, "a/.."])
    | st.text(),
)
ANY_EXISTING = st.builds(
    lambda **fields: HyperlinkedComponentInterfaceValue.from_dict(fields),
    interface=st.sampled_from([make_socket("Value", "Float").to_dict(), "a-socket", None, 7]),
    pk=st.integers(),
    value=JSON_VALUES,
    file=st.none() | st.text() | st.just(f"{FILE_URL}a.csv"),
    image=st.none() | st.just(IMAGE_URL),
)
FILES = [
    "good.json",
    "null.json",
    "nan.json",
    "text.csv",
    "missing",
    "",
    "x" * 129,
    "x" * 300,
    "\x00",
]


def any_source(directory: Path) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy for sources of a value, valid or not."""
    paths = st.sampled_from([directory / name for name in FILES])
    names = st.sampled_from([{}, {"image_name": "CT"}])
    sources = st.one_of(
        st.fixed_dictionaries({"value": ANY_VALUE}),
        st.fixed_dictionaries({"file": paths}),
        st.fixed_dictionaries({"files": st.lists(paths, max_size=3)}),
        st.fixed_dictionaries({"existing_socket_value": ANY_EXISTING | st.none() | st.text()}),
        st.fixed_dictionaries(
            {"existing_image_api_url": st.just(IMAGE_URL) | st.text() | st.none()}
        ),
    )
    return st.builds(lambda source, name: {**source, **name}, sources, names)
