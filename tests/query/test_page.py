"""The page in a real browser: what is sent appears, as text and nothing else, also with ten thousand devices."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions, Keys
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from headwater.log import CANDIDATES, REJECTED
from headwater.message import Heard, Position
from headwater.times import now
from tests.query.conftest import Api
from tests.storage.factory import candidate, message, rejected

T = TypeVar("T")

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
EVIL = '<img src=x onerror="document.title=1">'

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM or not DRIVER, reason="needs Debian's chromium and chromium-driver"),
]


class Page:
    """A tab. Every look waits, at most so long, for what is looked for."""

    def __init__(self, chrome: Chrome) -> None:
        self.chrome = chrome

    async def open(self, url: str) -> None:
        await asyncio.to_thread(self.chrome.get, url)

    async def until(self, look: Callable[[Chrome], T], seconds: float = 10) -> T:
        waiting: Any = WebDriverWait(self.chrome, seconds, 0.05, (StaleElementReferenceException, IndexError))
        return await asyncio.to_thread(waiting.until, look)

    async def shows(self, selector: str, text: str) -> WebElement:
        """An element of this kind that contains the text."""

        def look(chrome: Chrome) -> WebElement | None:
            return next((one for one in chrome.find_elements(By.CSS_SELECTOR, selector) if text in one.text), None)

        found = await self.until(look)
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


@pytest.fixture
async def page(chrome: Chrome, url: str) -> Page:
    made = Page(chrome)
    await made.open(url)
    made.complaints()  # what an earlier page had to say is not this one's
    return made


async def test_a_message_sent_appears_everywhere_it_should(api: Api, page: Page) -> None:
    await page.shows("#state", "ready")
    at = now()
    await api.say(
        message(
            1,
            "pump-7",
            time=at,
            received=at,
            fields={"voltage": 647, EVIL: 1},
            texts={"state": f"{EVIL} on"},
            position=Position(lat=48.137, lon=11.575),
            heard_by=[Heard(gateway="gateway-3", rssi=-71.0)],
        )
    )
    api.log.put(CANDIDATES, candidate(1, "pump-7"))
    api.log.put(REJECTED, rejected(1, detail=EVIL, received=at))
    api.metrics.received.labels("http").inc(2)
    api.metrics.rejected.labels("http", "bad_json").inc()
    await api.log.grown()
    await page.shows("#messages li", "voltage 647")
    row = await page.shows(".device", "pump-7")
    await page.click(row)
    await page.shows("#detail-fields tr", "647 V")
    await page.shows("#detail-fields tr", EVIL)
    await page.shows("#detail-about", "48.137000, 11.575000")
    await page.shows("#detail-heard span", "gateway-3 -71 dBm")
    await page.shows("#detail-candidates li", "temperature changed")
    await page.shows("#rejects li", EVIL)
    await page.shows("#stage-rejected.active output", "1")
    await page.shows("#chart-note", "the last 1 messages")
    assert await page.count("main img, main script") == 0
    assert page.chrome.title == "Headwater"
    assert page.complaints() == []


async def test_values_move_with_the_messages(api: Api, page: Page) -> None:
    await page.shows("#state", "ready")
    for value in (1, 2, 3):
        await api.say(message(value, "mover", fields={"a": value}))
        await page.shows(".device", f"a {value}")


async def test_of_ten_thousand_devices_only_those_in_sight_are_drawn(api: Api, page: Page) -> None:
    await api.say(*[message(1, f"sensor-{n:05}", fields={"n": n}) for n in range(10_000)])
    await api.write_live()
    await page.open(page.chrome.current_url)
    await page.shows("#device-count", "10,000")
    await page.shows(".device", "sensor-00003")
    assert await page.count(".device") < 60
    await asyncio.to_thread(
        page.chrome.execute_script,  # type: ignore[arg-type]
        "const list = document.getElementById('device-list'); list.scrollTop = list.scrollHeight",
    )
    await page.shows(".device", "n 9999")
    assert await page.count(".device") < 60
    await page.type("#search", "sensor-0777")
    await page.shows("#device-count", "10 of 10,000")
    await page.shows(".device", "sensor-07779")
    await page.type("#device-list", Keys.ARROW_DOWN)
    await page.shows("#detail-name", "sensor-07770")
    await page.shows('.device[aria-selected="true"]', "sensor-07770")
    assert page.complaints() == []


async def test_where_a_credential_is_needed_it_asks_for_one(api: Api, page: Page) -> None:
    api.door.open = False
    await api.say(message(1, "hidden-device"))
    await api.write_live()
    await page.open(page.chrome.current_url)
    await page.shows("#login", "asks for a credential")
    assert await page.count(".device") == 0
    await page.type("#token", "read" + Keys.ENTER)
    await page.shows(".device", "hidden-device")
    await asyncio.to_thread(page.chrome.execute_script, "sessionStorage.clear()")  # type: ignore[arg-type]


async def test_the_schema_can_be_read_and_asked_from(api: Api, page: Page) -> None:
    await api.say(message(1, "pump-7", fields={"voltage": 647}))
    await page.open(page.chrome.current_url + "docs")
    row = await page.shows("summary", "/api/v1/devices/{device}/latest")
    await page.click(row)
    await page.type("details[open] input[name=device]", "pump-7" + Keys.ENTER)
    await page.shows("details[open] pre", '"value": 647')
    assert page.complaints() == []
