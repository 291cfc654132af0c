"""The pages: their content, their access control, and the escaping of text."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from gcapi_sandbox import Sandbox
from tests.support.servers.raw_http import Web, image_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MARKUP = "<script>alert('x')</script> & <b onclick=x>\"bold\"</b>"
VOID = frozenset({"meta", "link", "img", "br", "input", "hr"})


class Document(HTMLParser):
    """A parsed page: its elements with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Store an element."""
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Check that elements are closed in order."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Store the text."""
        self.text += data

    def all(self, *tags: str) -> list[dict[str, str | None]]:
        """Return the attributes of all elements with the given tags."""
        return [attributes for tag, attributes in self.elements if tag in tags]

    def links(self, rel: str = "") -> list[str]:
        """Return the targets of all links."""
        return [one["href"] or "" for one in self.all("a") if not rel or one.get("rel") == rel]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """Yield a sandbox with one object of each kind, with markup in all texts."""
    with Sandbox() as running:
        web = Web(running)
        fill(running, web)
        running.wait_idle()
        web.close()
        yield running


def fail(*_: object) -> None:
    """Fail as an algorithm with a specific message."""
    raise ValueError(MARKUP)


def fill(sandbox: Sandbox, web: Web) -> None:
    """Add one object of each kind."""
    sandbox.add_socket("Picture")
    sandbox.add_socket("Words", "String")
    sandbox.add_socket("Number", "Float")
    sandbox.add_archive(MARKUP, slug="cases")
    item = web.item("cases", MARKUP)
    upload = web.upload(f"{MARKUP.replace('/', '')}.mha", image_bytes((8, 6, 4)))
    web.patch(
        item,
        {"interface": "picture", "user_uploads": [upload]},
        {"interface": "words", "value": MARKUP},
    )
    image = web.values(item)["picture"]["image"]
    web.item("cases")
    add_study(sandbox, web, image)
    sandbox.add_algorithm(MARKUP, slug="failing", interfaces=[(["picture"], ["number"])], run=fail)
    algorithm = web.get("algorithms/", slug="failing")["results"][0]["api_url"]
    inputs = [{"interface": "picture", "image": image}]
    web.post("algorithms/jobs/", {"algorithm": algorithm, "inputs": inputs})
    broken = web.upload("no-image.mha", MARKUP.encode())
    web.patch(web.item("cases", "Broken"), {"interface": "picture", "user_uploads": [broken]})


def add_study(sandbox: Sandbox, web: Web, image: str) -> None:
    """Add a reader study with a display set, questions and answers."""
    questions: list[dict[str, Any]] = [
        {"question_text": MARKUP, "answer_type": "Text"},
        {"question_text": "Which?", "answer_type": "Choice", "options": ["First", "Second"]},
    ]
    sandbox.add_reader_study(MARKUP, slug="study", readers=["sandbox"], questions=questions)
    body = {"reader_study": "study", "title": MARKUP}
    shown = web.post("reader-studies/display-sets/", body)["pk"]
    path = f"reader-studies/display-sets/{shown}/"
    assert web.patch(path, {"interface": "picture", "image": image}).is_success
    study = web.get("reader-studies/", slug="study")["results"][0]
    for question in study["questions"]:
        options = question["options"]
        answer = (
            next(one["id"] for one in options if one["title"] == "Second") if options else MARKUP
        )
        body = {"question": question["api_url"], "display_set": web.get(path)["api_url"]}
        web.post("reader-studies/answers/", {**body, "answer": answer})


@pytest.fixture
def browser(sandbox: Sandbox) -> Iterator[httpx.Client]:
    """Yield an HTTP client without a token, like a browser."""
    root = sandbox.base_url.removesuffix("api/v1/")
    with httpx.Client(base_url=root) as plain:
        yield plain


def read(browser: httpx.Client, address: str) -> Document:
    """Return an existing page."""
    reply = browser.get(address)
    assert reply.status_code == 200, reply.text
    return Document(reply.text)


def crawl(browser: httpx.Client) -> dict[str, Document]:
    """Return every page that is linked directly or indirectly from the overview."""
    found: dict[str, Document] = {}
    waiting = ["/"]
    while waiting:
        address = waiting.pop()
        if address in found:
            continue
        found[address] = read(browser, address)
        links = (one for one in found[address].links() if not one.startswith(("#", "/_pages/")))
        waiting += [urljoin(address, link) for link in links]
    return found


def test_every_page_is_linked_and_accessible(browser: httpx.Client) -> None:
    """Every kind of page is linked from the overview, and is accessible without sight or a mouse."""
    pages = crawl(browser)
    plain = (address.partition("?")[0] for address in pages)
    kinds = {re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "*", address) for address in plain}
    assert kinds == {
        "/",
        "/archives/",
        "/archives/cases/",
        "/archives/cases/items/*/",
        "/reader-studies/",
        "/reader-studies/study/",
        "/reader-studies/study/display-sets/*/",
        "/images/*/",
        "/algorithms/",
        "/algorithms/failing/",
        "/algorithms/failing/jobs/*/",
        "/jobs/",
        "/uploads/",
    }
    for page in pages.values():
        tags = Counter(tag for tag, _ in page.elements)
        assert (tags["h1"], tags["main"], tags["title"]) == (1, 1, 1)
        assert tags["table"] == tags["caption"]
        assert all("scope" in one for one in page.all("th"))
        assert all("alt" in one for one in page.all("img"))
        assert page.links()[0] == "#main"
        ids = Counter(one["id"] for _, one in page.elements if "id" in one)
        assert [name for name, count in ids.items() if count > 1] == []
        levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
        assert all(after - before <= 1 for before, after in pairwise(levels))


def test_text_is_escaped(browser: httpx.Client) -> None:
    """Titles, texts, answers, file names and messages of users are shown as text, never as markup."""
    pages = crawl(browser)
    for page in pages.values():
        assert [one.get("src") for one in page.all("script")] == [
            "/_pages/page.js",
            "/_pages/slices.js",
        ]
        assert page.all("style") == []
        attributes = {name for _, one in page.elements for name in one}
        assert [name for name in attributes if name.startswith("on") or name == "style"] == []
    shown = [address for address, page in pages.items() if MARKUP in page.text]
    assert len(shown) >= len(pages) - 2  # all but the lists of jobs and uploads
    (job,) = [
        page for address, page in pages.items() if "/jobs/" in address and address != "/jobs/"
    ]
    assert f"The algorithm failed: exit code 1: ValueError: {MARKUP}" in job.text


def test_pages_show_the_contents(browser: httpx.Client, web: Web) -> None:
    """The pages show slugs, pks, values, answers, states and reasons of failures."""
    archive = web.get("archives/", slug="cases")["results"][0]
    item = next(one for one in web.get("archives/items/")["results"] if one["title"] == MARKUP)
    page = read(browser, f"/archives/cases/items/{item['pk']}/")
    image = next(value["image"] for value in item["values"] if value["image"])
    assert all(text in page.text for text in (item["pk"], "picture", "words", "8 × 6 × 4"))
    (pk,) = re.findall(r"images/(.*)/", image)
    assert [one["src"] for one in page.all("img")][1:] == [f"/_pages/thumbnails/{pk}.png"]
    assert archive["pk"] in read(browser, "/archives/cases/").text
    display_set = web.get("reader-studies/display-sets/")["results"][0]["pk"]
    page = read(browser, f"/reader-studies/study/display-sets/{display_set}/")
    shown = page.text[page.text.index("Save answers") :]
    assert "Second" in shown
    assert "First" not in shown
    page = read(browser, "/uploads/")
    assert all(text in page.text for text in ("no-image.mha", "1 file could not be imported"))


def write_surrogate(_: Path, outputs: Path) -> None:
    """Write an output with an unpaired surrogate, as an algorithm."""
    (outputs / "words.json").write_text(r'"half \ud800 a character"')


def test_unpaired_surrogates_are_shown() -> None:
    """An output that cannot be encoded in UTF-8 does not break its page."""
    with Sandbox() as own, httpx.Client(base_url=own.base_url.removesuffix("api/v1/")) as browser:
        own.add_socket("Words", "String")
        own.add_socket("Number", "Float")
        slug = own.add_algorithm("Half", interfaces=[(["number"], ["words"])], run=write_surrogate)
        web = Web(own)
        algorithm = web.get("algorithms/", slug=slug)["results"][0]["api_url"]
        inputs = [{"interface": "number", "value": 1}]
        pk = web.post("algorithms/jobs/", {"algorithm": algorithm, "inputs": inputs})["pk"]
        web.close()
        own.wait_idle()
        assert "half ? a character" in read(browser, f"/algorithms/{slug}/jobs/{pk}/").text


def test_urls_of_the_api_are_pages(browser: httpx.Client, web: Web) -> None:
    """The `url` of an archive, a study, an algorithm or a job is the URL of its page."""
    for path in ("archives/", "reader-studies/", "algorithms/", "algorithms/jobs/"):
        for one in web.get(path)["results"]:
            assert read(browser, urlsplit(one["url"]).path).all("h1")


def test_no_token_on_any_page(browser: httpx.Client, sandbox: Sandbox) -> None:
    """No page contains the token."""
    for address in [*crawl(browser), "/_pages/page.js"]:
        assert sandbox.token not in browser.get(address).text


@pytest.mark.parametrize("address", ["/", "/archives/cases/", "/nothing/", "/_pages/page.css"])
def test_security_headers(browser: httpx.Client, address: str) -> None:
    """No page loads anything from another origin, runs inline scripts, or can be framed or read by another site."""
    headers = browser.get(address.replace("nothing", "archives/nothing")).headers
    policy = dict(one.split(" ", 1) for one in headers["content-security-policy"].split("; "))
    assert {*policy.values()} == {"'none'", "'self'"}
    assert (policy["default-src"], policy["script-src"]) == ("'none'", "'self'")
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in headers


def test_imports_name_their_files_and_cases(browser: httpx.Client) -> None:
    """An import names its files, also when its uploads are gone, and links its case."""
    page = read(browser, "/uploads/")
    imports = page.text[page.text.index("Imports") :]
    assert f"{MARKUP.replace('/', '')}.mha" in imports
    cases = {link for link in page.links() if link.startswith("/archives/cases/items/")}
    assert len(cases) == 2
    assert all(browser.get(link).status_code == 200 for link in cases)


def test_files_are_downloads(sandbox: Sandbox, web: Web, browser: httpx.Client) -> None:
    """The files of values and images are links, which browsers save under their names and never show."""
    sandbox.add_socket("Paper", "PDF file")
    item = web.item("cases", "Filed")
    content = b"%PDF-1.4\n%%EOF"
    web.patch(item, {"interface": "paper", "user_upload": web.upload("a b.pdf", content)})
    sandbox.wait_idle()
    image = web.get("cases/images/")["results"][0]["pk"]
    for address, name in (
        (f"/archives/cases/items/{item.strip('/').rpartition('/')[2]}/", "a%20b.pdf"),
        (f"/images/{image}/", ".mha"),
    ):
        (link,) = (one for one in read(browser, address).links() if "files/" in one)
        reply = browser.get(link)
        assert reply.headers["content-disposition"].startswith("attachment")
        assert name in reply.headers["content-disposition"]
        assert reply.headers["content-type"] == "application/octet-stream"
        assert reply.content == content or name == ".mha"
    assert browser.get("/_pages/files/0").status_code == 404
    assert browser.get("/_pages/image-files/none").status_code == 404


@pytest.mark.parametrize(
    ("place", "status"),
    [
        ("axial/3", 200),
        ("coronal/0", 200),
        ("sagittal/7", 200),
        ("axial/4", 404),
        ("up/0", 404),
        ("axial/-1", 404),
        ("axial", 404),
    ],
)
def test_slices_are_pictures(web: Web, browser: httpx.Client, place: str, status: int) -> None:
    """Each slice along each axis is a PNG, and there are no others."""
    image = next(one for one in web.get("cases/images/")["results"] if one["depth"] == 4)
    reply = browser.get(f"/_pages/slices/{image['pk']}/{place}.png")
    assert reply.status_code == status
    assert (reply.content[:4] == b"\x89PNG") == (status == 200)


def test_answers_are_given_in_the_browser(web: Web, browser: httpx.Client) -> None:
    """A form stores answers by the API's rules, shows what is refused, and cannot be sent by another site."""
    question = web.get("reader-studies/questions/")["results"][0]
    shown = web.post("reader-studies/display-sets/", {"reader_study": "study"})["pk"]
    page = f"/reader-studies/study/display-sets/{shown}/"
    which = next(one for one in web.get("reader-studies/questions/")["results"] if one["options"])
    form = {
        "reader": "sandbox",
        question["pk"]: MARKUP,
        which["pk"]: str(which["options"][0]["id"]),
    }
    own = {"Sec-Fetch-Site": "same-origin"}
    for headers in ({}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
        assert browser.post(page, data=form, headers=headers).status_code == 403
    refused = browser.post(page, data={**form, which["pk"]: "999"}, headers=own)
    assert refused.status_code == 400
    assert "Provided option is not valid for this question" in refused.text
    again = browser.post(page, data=form, headers=own)
    assert (again.status_code, again.headers["location"]) == (303, f"{page}?reader=sandbox")
    given = web.get("reader-studies/answers/", display_set=shown)["results"]
    assert {one["answer"] for one in given} == {MARKUP, which["options"][0]["id"]}


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:80", "[::1]:8000", "LOCALHOST:1"])
def test_loopback_hosts_are_accepted(browser: httpx.Client, host: str) -> None:
    """The pages are served for all loopback names and any port."""
    assert browser.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "[::1", "", "0.0.0.0"],
)
@pytest.mark.parametrize("address", ["/", "/archives/cases/", "/_pages/thumbnails/x.png"])
def test_other_hosts_are_refused(browser: httpx.Client, host: str, address: str) -> None:
    """A request for another host name that resolves to this machine is refused."""
    reply = browser.get(address, headers={"Host": host})
    assert reply.status_code in {421, 400}
    assert "cases" not in reply.text


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_pages_are_read_only(browser: httpx.Client, method: str) -> None:
    """Every method but GET and HEAD is refused."""
    reply = browser.request(method, "/archives/cases/")
    assert (reply.status_code, reply.headers["allow"]) == (405, "GET, HEAD")
    head = browser.head("/archives/cases/")
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize(
    "address",
    ["/archives/nope/", "/archives/cases/items/nope/", "/algorithms/failing/jobs/nope/"],
)
def test_unknown_pages_are_404s(browser: httpx.Client, address: str) -> None:
    """An unknown URL is a page with status 404."""
    reply = browser.get(address)
    assert reply.status_code == 404
    assert "/" in Document(reply.text).links()


def test_long_lists_have_pages() -> None:
    """A list of more than 50 rows is split into linked pages that show every row once."""
    with Sandbox() as own, httpx.Client(base_url=own.base_url.removesuffix("api/v1/")) as browser:
        web = Web(own)
        pks = [web.item("many").removeprefix("archives/items/").strip("/") for _ in range(51)]
        web.close()
        first, last = (read(browser, f"/archives/many/?page={number}") for number in (1, 2))
        items = [link for page in (first, last) for link in page.links() if "/items/" in link]
        assert [link.split("/")[-2] for link in items] == pks
        assert (set(first.links("next")), first.links("prev")) == ({"?page=2"}, [])
        assert (last.links("next"), set(last.links("prev"))) == ([], {"?page=1"})
        assert read(browser, "/archives/many/?page=99").text == last.text
        for strange in ("0", "-1", "x", "9" * 5000, "²"):
            assert read(browser, f"/archives/many/?page={strange}").text == first.text
