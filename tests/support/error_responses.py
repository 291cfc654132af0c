"""Error responses of the API and the object store, and the secrets that no error may keep."""

from typing import Any

import httpx
from hypothesis import strategies as st

API = "https://gc.example/api/v1/"
SECRET = "s3cret"
PRESIGNED = f"https://store.example/uploads/1/abc?X-Amz-Signature={SECRET}&partNumber=1#{SECRET}"
#: All that a JSON parser can return, including surrogates and infinities.
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.text()
            | st.sampled_from(["detail", "non_field_errors", "__all__", "values", "0", "17", "²"]),
            inner,
        )
    ),
    max_leaves=20,
)


def answer(
    status: int = 400, body: Any = None, *, method: str = "GET", url: str = API, **options: Any
) -> httpx.Response:
    """Return a response to a request that had the token."""
    headers = {"Authorization": f"Bearer {SECRET}", "Accept": "application/json"}
    request = httpx.Request(method, url, headers=headers, json={"private": SECRET})
    content = {"json": body} if body is not None else {}
    return httpx.Response(status, request=request, **content, **options)


def html(status: int) -> httpx.Response:
    """Return an HTML error page."""
    return answer(status, html="<!DOCTYPE html>\n<title>Sorry</title>" + "<p>words</p>" * 500)
