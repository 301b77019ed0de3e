"""A real browser for tests: a tab whose every look waits for what is looked for.

In: an address. Out: `Page`, and the fixture `chrome`.
"""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

T = TypeVar("T")

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

browser = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM or not DRIVER, reason="needs Debian's chromium and chromium-driver"),
]
"""Marks of tests that need one."""


class Page:
    """A tab. Every look waits, at most so long, for what is looked for."""

    def __init__(self, chrome: Chrome) -> None:
        self.chrome = chrome

    async def open(self, url: str) -> None:
        await asyncio.to_thread(self.chrome.get, url)

    async def until(self, look: Callable[[Chrome], T], seconds: float = 10) -> T:
        waiting: Any = WebDriverWait(self.chrome, seconds, 0.05, (StaleElementReferenceException, IndexError))
        return await asyncio.to_thread(waiting.until, look)

    async def shows(self, selector: str, *texts: str, seconds: float = 10) -> WebElement:
        """An element of this kind that contains the texts."""

        def look(chrome: Chrome) -> WebElement | None:
            return next(
                (
                    one
                    for one in chrome.find_elements(By.CSS_SELECTOR, selector)
                    if all(text in one.text for text in texts)
                ),
                None,
            )

        found = await self.until(look, seconds)
        assert found is not None
        return found

    async def count(self, selector: str) -> int:
        return len(await asyncio.to_thread(self.chrome.find_elements, By.CSS_SELECTOR, selector))

    async def type(self, selector: str, text: str) -> None:
        found = await self.until(lambda chrome: chrome.find_element(By.CSS_SELECTOR, selector))
        await asyncio.to_thread(found.send_keys, text)

    async def click(self, element: WebElement) -> None:
        await asyncio.to_thread(self.chrome.execute_script, "arguments[0].click()", element)  # type: ignore[arg-type]

    def complaints(self) -> list[str]:
        logs: Any = self.chrome.get_log("browser")  # type: ignore[no-untyped-call]
        return [line["message"] for line in logs if line["level"] == "SEVERE"]


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = CHROMIUM or ""
    folder: Path = tmp_path_factory.mktemp("chromium")
    for argument in (
        "headless=new", "no-sandbox", "disable-gpu", "no-first-run", "disable-background-networking",
        "disable-component-update", "disable-sync", "disable-dev-shm-usage", "window-size=1400,1000",
        f"user-data-dir={folder}",
    ):  # fmt: skip
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = Chrome(options=options, service=Service(DRIVER))
    try:
        yield made
    finally:
        made.quit()
