"""The page in a real browser: what is sent appears, as text and nothing else, also with ten thousand devices."""

import asyncio

import pytest
from selenium.webdriver import Chrome, Keys

from headwater.log import CANDIDATES, REJECTED
from headwater.message import Heard, Position
from headwater.times import now
from tests.browser import Page, browser, chrome
from tests.query.conftest import Api
from tests.storage.factory import candidate, message, rejected

__all__ = ["chrome"]  # a fixture

EVIL = '<img src=x onerror="document.title=1">'

pytestmark = browser


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
