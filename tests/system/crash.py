"""A run of the program under senders, killed as a script says; and what can be seen of it from outside afterwards."""

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from tests.system.program import Program
from tests.system.senders import HttpSender, MqttSender, Sender, Sent

SETTINGS = {
    "HEADWATER_LAKE__FLUSH_EVERY": "500ms",
    "HEADWATER_LAKE__MAINTAIN_EVERY": "500ms",
    "HEADWATER_LAKE__CLOSED_AFTER": "0s",
    "HEADWATER_LAKE__VACUUM_AFTER": "5s",
    "HEADWATER_SELECTION__CHECKPOINT_EVERY": "300ms",
    "HEADWATER_SELECTION__CLOCK": "1s",
    "HEADWATER_LOGGING__LEVEL": "warning",
}

YESTERDAY = 1


class Life(NamedTuple):
    """From start to SIGKILL: by itself at a failpoint, or from outside after so many seconds; else to the end.

    `share`: its part of the messages, by weight.
    """

    failpoints: str = ""
    seconds: float | None = None
    days_back: int = 0
    share: int = 1

    @property
    def name(self) -> str:
        return self.failpoints or (f"kill after {self.seconds:.2f} s" if self.seconds else "to the end")


def at_failpoints(names: list[str], days_back: int) -> list[Life]:
    return [Life(name, None, days_back) for name in names]


def at_random(count: int, seed: int, days_back: int) -> list[Life]:
    chance = random.Random(seed)
    return [Life("", chance.uniform(0.2, 1.5), days_back) for _ in range(count)]


def run(data: Path, messages: dict[str, list[Sent]], lives: list[Life]) -> Program:
    """Live through `lives`, each with its share of the messages; at the end all is acknowledged and drained.

    Returns the program, running. Devices of one name are always sent by one sender, in order.
    """
    program = Program(data, SETTINGS)
    try:
        _live(program, messages, lives)
    except BaseException:
        program.kill()
        raise
    return program


def _live(program: Program, messages: dict[str, list[Sent]], lives: list[Life]) -> None:
    shares = _shares(messages, [life.share for life in lives])
    open_messages: dict[str, list[Sent]] = {device: [] for device in messages}
    for number, life in enumerate(lives):
        for device, share in shares[number].items():
            open_messages[device] += share
        last_of_day = number + 1 == len(lives) or lives[number + 1].days_back != life.days_back
        program.start(life.failpoints, life.days_back)
        senders = _senders(open_messages, program)
        for sender in senders:
            sender.start()
        if life.seconds is not None:
            time.sleep(life.seconds)
            program.kill()
        elif life.failpoints:
            code = program.wait_exit(60)
            assert code == -9, f"{life.name}: ended with {code}\n{program.output.read_text()[-3000:]}"
        open_messages = {device: [] for device in messages}
        if last_of_day:
            if program.exited() is not None:
                program.start("", life.days_back)
            for sender in senders:
                sender.join(300)
        for sender in senders:
            for message in sender.halt():
                open_messages[message["device"]].append(message)
            assert sender.error is None, sender.error
        if last_of_day:
            assert not any(open_messages.values())
            drained(program)
            if number + 1 < len(lives):
                assert program.stop() == 0


def _shares(messages: dict[str, list[Sent]], weights: list[int]) -> list[dict[str, list[Sent]]]:
    ends = [sum(weights[: number + 1]) for number in range(len(weights))]
    shares: list[dict[str, list[Sent]]] = []
    for end, weight in zip(ends, weights, strict=True):
        shares.append(
            {
                device: own[len(own) * (end - weight) // ends[-1] : len(own) * end // ends[-1]]
                for device, own in messages.items()
            }
        )
    return shares


def _senders(messages: dict[str, list[Sent]], program: Program) -> list[Sender]:
    """Gateways and machines by MQTT, the meter in NDJSON batches, the first gateway in single HTTP requests."""
    senders: list[Sender] = []
    for number, (device, own) in enumerate(messages.items()):
        if not own:
            continue
        if number == 0:
            senders.append(HttpSender(own, program.http, batch=1))
        elif device == "household-meter":
            senders.append(HttpSender(own, program.http, batch=100))
        else:
            senders.append(MqttSender(own, program.mqtt, client=f"sender-{number}"))
    return senders


def drained(program: Program, seconds: float = 90) -> None:
    """Wait until every group has taken all there is."""
    deadline = time.monotonic() + seconds
    quiet = 0
    while quiet < 3:
        flow = program.get("/api/v1/flow")
        waiting = (
            flow["waiting"] + flow["selector"]["waiting"] + sum(store["waiting"] for store in flow["stores"].values())
        )
        quiet = quiet + 1 if waiting <= 8 else 0  # clock entries come all the time
        assert time.monotonic() < deadline, f"still waiting: {flow}"
        time.sleep(0.3)


def pages(program: Program, path: str) -> Iterator[dict[str, Any]]:
    """All items of a paged answer."""
    cursor = ""
    joint = "&" if "?" in path else "?"
    while True:
        page = program.get(f"{path}{joint}limit=5000" + (f"&cursor={quote(cursor)}" if cursor else ""))
        yield from page["items"]
        cursor = page.get("next") or ""
        if not cursor:
            return


def candidates(program: Program, devices: list[str]) -> dict[str, tuple[str, str, tuple[str, ...]]]:
    """Candidate id → device, rule, reasons."""
    found: dict[str, tuple[str, str, tuple[str, ...]]] = {}
    for device in devices:
        for item in pages(program, f"/api/v1/devices/{device}/candidates"):
            assert item["id"] not in found, f"candidate {item['id']} is there twice"
            found[item["id"]] = (device, item["rule"], tuple(item["reasons"]))
    return found
