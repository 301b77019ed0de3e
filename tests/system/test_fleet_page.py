"""Three makers' devices at once, through Mosquitto and the bridge and directly: the page says what each is and says.

In: what `headwater simulate` sends, in processes of their own. Out: rows of the page in a real browser.
"""

import json
import subprocess
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from tests.browser import Page, browser, chrome
from tests.system.mosquitto import mosquitto
from tests.system.program import HEADWATER, Program

__all__ = ["chrome"]  # a fixture

pytestmark = browser
PATIENCE = 40


@contextmanager
def simulated(family: str, port: int, seconds: int) -> Generator[subprocess.Popen[bytes]]:
    """Three devices of a family, for so long."""
    command = [str(HEADWATER), "simulate", "--family", family, "--devices", "3", "--rate", "2", "--for", f"{seconds}s"]
    process = subprocess.Popen([*command, "--mqtt", f"127.0.0.1:{port}"], stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


async def test_the_page_shows_each_makers_devices_with_name_model_values_units_and_what_was_said(
    tmp_path: Path, chrome: Chrome
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    program = Program(home / "data")
    with mosquitto(tmp_path / "broker") as broker:
        bridge = {"port": broker.port, "filters": ["zigbee2mqtt/#", "+/online", "+/events/rpc"], "retry_first": "100ms"}
        (home / "config.yaml").write_text(json.dumps({"bridges": {"home": bridge}}))
        program.start()
        try:
            with (
                simulated("zigbee2mqtt", broker.port, 60),
                simulated("shelly_gen2", broker.port, 60),
                simulated("tasmota", program.mqtt, 60) as plugs,
            ):
                page = Page(chrome)
                await page.open(program.url)
                for row in range(3):
                    await page.shows(".device", f"climate_0-{row}", seconds=PATIENCE)
                    await page.shows(".device", f"tasmota_10000{row}", seconds=PATIENCE)
                    await page.shows(".device", f"shellyplusplugs-b0b21c10000{row}", seconds=PATIENCE)
                battery = "climate 0-1 · Aqara WSDCGQ11LM · battery 87 %"
                await page.shows(
                    ".device", battery, "temperature ", " °C", "humidity ", "linkquality ", seconds=PATIENCE
                )
                await page.shows(".device", "tasmota_100001", "ENERGY.Power ", " W", " V", "kWh", seconds=PATIENCE)
                await page.shows(".device", "shellyplusplugs-b0b21c100001", "switch:0.apower ", " W", seconds=PATIENCE)
                assert await page.count(".device b.online") == 10  # the hub, too

                plugs.kill()  # and their last wills are published
                await page.shows(".device", "tasmota_100002", "offline", seconds=PATIENCE)
                await page.click(await page.shows(".device", "climate_0-1"))
                await page.shows("#detail-about", "read as zigbee2mqtt", seconds=PATIENCE)
                await page.shows("#detail-about", "through", seconds=PATIENCE)
                assert await page.count("#rejected-groups tbody tr") == 0
                assert page.complaints() == []
        finally:
            program.stop()


async def test_what_nobody_reads_gets_a_mapping_on_the_page_and_is_sent_on(tmp_path: Path, chrome: Chrome) -> None:
    program = Program(tmp_path / "data")
    try:
        program.start()
        for n in range(3):
            asked = f"{program.url}/ingest?topic=garden/bed{n}/state"
            with suppress(HTTPError):  # nobody reads it yet: 400
                urlopen(Request(asked, b'{"soil": {"moisture": 4%d}}' % n), timeout=20)
        page = Page(chrome)
        await page.open(program.url)
        row = await page.shows("#rejected-groups tbody tr", "garden/+/state", "no_decoder", seconds=PATIENCE)
        assert row.text.startswith("3")
        await page.click(await page.shows("#rejected-groups button", "draft a mapping"))
        await page.click(await page.shows("#mapping-add", "Add it"))
        await page.click(await page.shows("#rejected-groups button", "garden-state reads it", seconds=PATIENCE))
        await page.shows(".device", "bed2", "moisture 42", seconds=PATIENCE)
        await page.until(
            lambda chrome: not chrome.find_elements(By.CSS_SELECTOR, "#rejected-groups tbody tr"), PATIENCE
        )
    finally:
        program.kill()
