"""The pages in a real browser, used with the keyboard only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gcapi import Client, SocketValueSpec
from tests.support.browser import problems
from tests.support.data import ct_slice, unique, volume

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from selenium.webdriver import Chrome

    from gcapi_sandbox import Sandbox

#: Timeout of all waits in seconds.
DEADLINE = 60.0


def until(chromium: Chrome, condition: Callable[[Chrome], object]) -> None:
    """Wait until a condition holds on the page."""
    from selenium.webdriver.support.wait import WebDriverWait

    WebDriverWait(chromium, DEADLINE, poll_frequency=0.05).until(condition)


def press(chromium: Chrome, *keys: str) -> None:
    """Press keys in the focused element."""
    from selenium.webdriver import ActionChains

    ActionChains(chromium).send_keys(*keys).perform()


def focused(chromium: Chrome) -> str:
    """Return the text of the focused element."""
    return str(chromium.execute_script("return document.activeElement.textContent.trim()"))


def tab_to(chromium: Chrome, text: str) -> None:
    """Press Tab until a link has the focus, and check that the focus is visible."""
    from selenium.webdriver import Keys

    passed = []
    while focused(chromium) != text:
        press(chromium, Keys.TAB)
        assert len(passed) < 50, passed
        passed.append(focused(chromium))
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    assert chromium.execute_script(outline) == "solid"


def follow(chromium: Chrome, text: str) -> None:
    """Follow a link with Tab and Enter, and wait for the page with a heading."""
    from selenium.webdriver import Keys

    tab_to(chromium, text)
    press(chromium, Keys.ENTER)
    heading = "return document.querySelector('h1')?.textContent"
    until(chromium, lambda page: page.execute_script(heading) == text)


def add_case(client: Client, archive: str, socket: str, path: Path, title: str) -> str:
    """Add a case with an image, and return the URL of the image."""
    values = [SocketValueSpec(socket, file=path)]
    item = client.add_case_to_archive(
        archive_slug=archive, values=values, title=title, inspect="off"
    )
    case = client.wait_for_values(item, values=values, timeout=DEADLINE)
    return str(case.values[0].image)


def test_keyboard_navigation_to_an_image(
    chromium: Chrome, sandbox: Sandbox, client: Client
) -> None:
    """With Tab and Enter alone a user gets from the overview to an item and sees its image."""
    socket = sandbox.add_socket(unique("picture"))
    title = unique("Archive")
    archive = sandbox.add_archive(title)
    add_case(client, archive, socket, ct_slice(), "Chest")
    add_case(client, archive, socket, volume(), "Brain")
    chromium.get(sandbox.base_url.removesuffix("api/v1/"))
    tab_to(chromium, "Skip to content")
    follow(chromium, title)
    loaded = "return [...document.querySelectorAll('.thumbnail')].map(it => it.naturalWidth)"
    until(chromium, lambda page: sorted(page.execute_script(loaded)) == [206, 256])
    follow(chromium, "Brain")
    until(chromium, lambda page: page.execute_script(loaded) == [206])
    assert problems(chromium) == []


def test_job_page_refreshes(chromium: Chrome, sandbox: Sandbox, client: Client) -> None:
    """The page of a job shows its new state and outputs without a reload, and the focus stays."""
    picture, number = (
        sandbox.add_socket(unique("picture")),
        sandbox.add_socket(unique("n"), "Float"),
    )
    algorithm = sandbox.add_algorithm(
        unique("Measure"),
        interfaces=[([picture], [number])],
        run=lambda _, outputs: (outputs / f"{number}.json").write_text("41.5") and None,
    )
    image = add_case(client, sandbox.add_archive(unique("a")), picture, ct_slice(), "")
    inputs = [SocketValueSpec(picture, existing_image_api_url=image)]
    state = "return document.querySelector('.state').textContent"
    with sandbox.hold_background():
        job = client.start_algorithm_job(algorithm_slug=algorithm, inputs=inputs)
        root = sandbox.base_url.removesuffix("api/v1/")
        chromium.get(f"{root}algorithms/{algorithm}/jobs/{job.pk}/")
        assert chromium.execute_script(state) == "Validating inputs"
        tab_to(chromium, "Algorithms")
        chromium.execute_script("window.same = document.activeElement")
    until(chromium, lambda page: page.execute_script(state) == "Succeeded")
    assert "41.5" in chromium.execute_script("return document.querySelector('main').textContent")
    assert chromium.execute_script("return window.same === document.activeElement")
    assert problems(chromium) == []


def test_archive_page_refreshes(chromium: Chrome, sandbox: Sandbox, client: Client) -> None:
    """A new item appears on an open page, and the focus stays."""
    socket, archive = sandbox.add_socket(unique("picture")), sandbox.add_archive(unique("Growing"))
    add_case(client, archive, socket, ct_slice(), "First")
    chromium.get(f"{sandbox.base_url.removesuffix('api/v1/')}archives/{archive}/")
    tab_to(chromium, "First")
    add_case(client, archive, socket, volume(), "Second")
    cards = "return [...document.querySelectorAll('.card h3')].map(it => it.textContent)"
    until(chromium, lambda page: page.execute_script(cards) == ["First", "Second"])
    assert focused(chromium) == "First"
    assert problems(chromium) == []


def test_pages_fit_a_phone(chromium: Chrome, sandbox: Sandbox, client: Client) -> None:
    """No page scrolls sideways on a screen of 360 pixels."""
    socket, title = sandbox.add_socket(unique("picture")), f"Without{'a' * 60}space"
    archive = sandbox.add_archive(title)
    add_case(client, archive, socket, ct_slice(), title)
    screen = {"width": 360, "height": 700, "deviceScaleFactor": 1, "mobile": True}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    try:
        for path in ("", f"archives/{archive}/", "jobs/", "uploads/"):
            chromium.get(sandbox.base_url.removesuffix("api/v1/") + path)
            widths = "return [document.documentElement.scrollWidth, window.innerWidth]"
            assert chromium.execute_script(widths) == [360, 360]
    finally:
        chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_slices_are_paged_with_the_keyboard(
    chromium: Chrome, sandbox: Sandbox, client: Client
) -> None:
    """Keys choose the axis and the slice, and a refresh of the page keeps both."""
    from selenium.webdriver import Keys

    archive, socket = sandbox.add_archive(unique("a")), sandbox.add_socket(unique("p"))
    image = add_case(client, archive, socket, volume(), "Brain").rstrip("/").rpartition("/")[2]
    chromium.get(f"{sandbox.base_url.removesuffix('api/v1/')}images/{image}/")
    shown = "return [document.querySelector('.slice').alt, document.querySelector('output').textContent]"
    assert chromium.execute_script(shown) == ["Axial slice 13 of 25", "13 of 25"]
    press(chromium, Keys.ARROW_UP)
    assert chromium.execute_script(shown) == ["Axial slice 14 of 25", "14 of 25"]
    press(chromium, "s", Keys.ARROW_LEFT)
    assert chromium.execute_script(shown) == ["Sagittal slice 16 of 33", "16 of 33"]
    assert chromium.current_url.endswith("?axis=sagittal&slice=15")
    width = "return document.querySelector('.slice').naturalWidth"
    until(chromium, lambda page: page.execute_script(width) == 640)
    chromium.execute_async_script("refresh().then(arguments[0])")
    assert chromium.execute_script(shown)[0] == "Sagittal slice 16 of 33"
    assert problems(chromium) == []


def test_a_study_is_answered_with_the_keyboard(
    chromium: Chrome, sandbox: Sandbox, client: Client
) -> None:
    """A reader answers simple questions with keys alone, and goes on to the next case."""
    from selenium.webdriver import Keys

    questions = [
        {"question_text": "Nodule?", "answer_type": "Bool"},
        {"question_text": "Remarks", "answer_type": "Text"},
    ]
    study = sandbox.add_reader_study(unique("Study"), readers=["sandbox"], questions=questions)
    first, _ = (
        client.add_case_to_reader_study(reader_study_slug=study, values=[], title=title)
        for title in ("First", "Second")
    )
    root = sandbox.base_url.removesuffix("api/v1/")
    chromium.get(f"{root}reader-studies/{study}/display-sets/{first.pk}/")
    chromium.execute_script("document.querySelector('input[type=radio]').focus()")
    press(chromium, Keys.SPACE, Keys.TAB, "two <b>", Keys.TAB, Keys.ENTER)
    until(chromium, lambda page: page.current_url.endswith("?reader=sandbox"))
    pk = client.reader_studies.detail(slug=study).pk
    given = client.reader_studies.answers.iterate_all({"question__reader_study": pk})
    assert {str(one.answer) for one in given} == {"True", "two <b>"}
    tab_to(chromium, "Next case: Second")
    press(chromium, Keys.ENTER)
    heading = "return document.querySelector('h1').textContent"
    until(chromium, lambda page: page.execute_script(heading) == "Second")
    assert problems(chromium) == []
