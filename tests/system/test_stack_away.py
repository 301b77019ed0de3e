"""Each store taken away and back empty, while messages flow: only it is late, one can see how late, and all comes back."""

import json
import re
import time
import urllib.error
import urllib.request
from collections import Counter

import pytest

from tests.system.foreign import drop_all
from tests.system.program import free_port
from tests.system.stack import Stack
from tests.system.stack_kit import agreed, broker, send, settled, topic
from tests.system.waiting import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]
STEP = 36
LATE = 20.0
"""Seconds after which what was sent is in each store that is well, on a busy machine."""
AWAY = 8.0
"""Seconds: longer than a call (3), a write (5) and a session (6) may take."""
GROUPS = {
    "minio": {"lake.messages", "lake.candidates"},
    "redis": {"live.messages"},
    "mariadb": {"reports.messages"},
    "mongo": {"documents.candidates"},
    "elastic": {"search.candidates"},
}
"""Server → the groups that write to it. The first is the lake; it is filled from the log, the others from it."""


class Consumer:
    """The consumer's own page: what is behind, and what it says is wrong."""

    def __init__(self, stack: Stack) -> None:
        self._address = f"127.0.0.1:{free_port()}"
        self.part = stack.consumer("--metrics", self._address)

    def behind(self) -> set[str]:
        """The groups with a lag; looked up every two seconds."""
        lag: Counter[str] = Counter()
        for labels, value in self._samples("headwater_lag"):
            lag[labels["group"]] += value
        return set(+lag)

    def written(self) -> Counter[str]:
        """Group → records that its store has made durable."""
        samples = self._samples("headwater_store_written_total")
        return Counter({f"{labels['store']}.{labels['topic']}": value for labels, value in samples})

    def unwell(self) -> set[str]:
        return {name for name, how in json.loads(self._read("readyz"))["checks"].items() if how != "ok"}

    def _samples(self, name: str) -> list[tuple[dict[str, str], int]]:
        found = re.findall(rf"^{name}{{(.*)}} (.*)$", self._read("metrics"), re.MULTILINE)
        return [(dict(re.findall(r'(\w+)="([^"]*)"', labels)), int(float(value))) for labels, value in found]

    def _read(self, path: str) -> str:
        try:
            with urllib.request.urlopen(f"http://{self._address}/{path}", timeout=10) as reply:
                return reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.read().decode()


def test_a_store_that_refuses_and_comes_back_empty_hurts_only_itself_and_is_filled_again(stack: Stack) -> None:
    """The lake from the log; then the log forgets, as retention does, and the others get from the lake what it had."""
    times = ("REDIS__TIME", "MONGODB__TIME", "ELASTICSEARCH__TIME", "MARIADB__TIME", "S3__TIME", "QUERY__TIME")
    stack.settings |= {f"HEADWATER_{name}": "3s" for name in times}
    stack.settings |= {"HEADWATER_WORKERS__WRITE_TIME": "5s", "HEADWATER_WORKERS__RETRY_MOST": "2s"}
    stack.settings |= {"HEADWATER_SELECTION__CLOCK": "1h", "HEADWATER_SELECTION__CHECKPOINT_EVERY": "1s"}
    api, gateway, consumer = stack.api(), stack.gateway(), Consumer(stack)
    for part in (api, gateway, consumer.part):
        part.wait_ready()
    groups = set().union(*GROUPS.values())
    sent = flow(stack, consumer, 0, groups, 90)  # each role opens its store first
    for name, own in GROUPS.items():
        server, well = stack.servers[name], groups - own
        sent = flow(stack, consumer, sent, groups)  # all is well again
        server.kill()
        gone = time.monotonic()
        while time.monotonic() < gone + AWAY:
            sent = flow(stack, consumer, sent, well)
            time.sleep(0.5)
        until(consumer.behind, own, LATE)
        assert consumer.unwell() & own
        server.wipe()
        until(consumer.behind, set(), 60)
        until(consumer.unwell, set(), 60)
        if name == "minio":
            drop_all(broker(stack), [topic(stack, "messages"), topic(stack, "candidates")])
    settled(stack, sent)
    agreed(stack)
    for part in (gateway, consumer.part, api):
        assert part.stop() == 0, part.output.read_text()[-3000:]


def flow(stack: Stack, consumer: Consumer, sent: int, well: set[str], late: float = LATE) -> int:
    """Send some more; they are in the stores of these groups in time. How many there are now."""
    before = consumer.written()
    send(stack, range(sent, sent + STEP))
    until(lambda: {group for group, count in (consumer.written() - before).items() if count >= STEP} & well, well, late)
    return sent + STEP
