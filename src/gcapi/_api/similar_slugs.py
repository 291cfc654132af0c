"""Suggestions for slugs that were misspelt, from a part of the list of objects."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from gcapi._api.identifiers import slug_of
from gcapi._api.page import MAX_PAGE_SIZE, Page
from gcapi._util.near_names import did_you_mean
from gcapi._util.scheduler import Scheduler

#: The number of pages, of 1,000 entries and one request each, in which similar slugs are searched for.
SUGGESTION_PAGES = 3
#: The longest time to search for similar slugs, in seconds; retries included.
SUGGESTION_SECONDS = 5.0


def similar_slugs(slug: str, get_page: Callable[[int, int], Page[Any]]) -> str:
    """Return the question whether a similar slug was meant; empty if none is found within the bounds.

    The miss is reported whatever becomes of the list.

    Args:
        slug: The slug that is unknown.
        get_page: Returns the page of an offset and a limit.
    """
    slugs: list[str] = []

    def collect() -> None:
        for number in range(SUGGESTION_PAGES):
            page = get_page(number * MAX_PAGE_SIZE, MAX_PAGE_SIZE)
            slugs.extend(map(slug_of, page[:MAX_PAGE_SIZE]))
            if (number + 1) * MAX_PAGE_SIZE >= page.total_count:
                break

    try:
        with Scheduler(1, "gcapi-similar-slugs") as scheduler:
            scheduler.submit(collect).result(SUGGESTION_SECONDS)
    except Exception as error:  # noqa: BLE001 - any failure of the list, and the timeout
        logging.getLogger("gcapi").debug("No similar slugs: %s", type(error).__name__)
    return did_you_mean(slug, list(slugs))
