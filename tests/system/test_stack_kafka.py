"""Kafka taken away under load: senders are told, the program recovers by itself, what was acknowledged counts once."""

import time
from collections.abc import Callable

import pytest

from tests.system.senders import HttpSender, MqttSender, Sender, Sent
from tests.system.stack import Stack
from tests.system.stack_kit import DEVICES, agreed, in_order, message, settled

pytestmark = [pytest.mark.process, pytest.mark.timeout(240)]
PHASE = 50 * DEVICES
LIMIT = 60.0
SERVER_BUSY = 0x89


def test_kafka_killed_and_frozen_under_load_loses_and_doubles_nothing(stack: Stack) -> None:
    """Senders by HTTP and MQTT send what was not acknowledged again, with the same ids."""
    stack.settings |= {"HEADWATER_INGEST__APPEND_TIME": "2s", "HEADWATER_KAFKA__REQUEST_TIME": "2s"}
    parts = [stack.api(), stack.gateway(), stack.consumer(), stack.consumer()]
    for part in parts:
        part.wait_ready()
    kafka = stack.servers["kafka"]
    for phase, (away, back) in enumerate([(kafka.kill, kafka.start), (kafka.freeze, kafka.thaw)]):
        load(stack, range(phase * PHASE, (phase + 1) * PHASE), away, back)
    settled(stack, 2 * PHASE, again=True)
    for name in ("messages", "candidates"):
        in_order(stack, name, 2 * PHASE)
    agreed(stack)
    for part in parts:
        assert part.stop() == 0, part.output.read_text()[-3000:]


def load(stack: Stack, numbers: range, away: Callable[[], None], back: Callable[[], None]) -> None:
    """Send these while Kafka goes, for longer than the groups' sessions and every time-out; all are acknowledged."""
    own: dict[int, list[Sent]] = {0: [], 1: []}
    for n in numbers:
        own[n % DEVICES % 2].append(message(n))
    senders: list[Sender] = [
        HttpSender(own[0], stack.http, batch=1),
        MqttSender(own[1], stack.mqtt, client="collector", window=4, version=5),
    ]
    for sender in senders:
        sender.start()
    by_http, by_mqtt = senders
    try:
        wait(senders, lambda: min(len(one.acknowledged) for one in senders) > DEVICES)
        away()
        try:
            wait(senders, lambda: bool(by_http.refused[503] and by_mqtt.refused[SERVER_BUSY]))
            assert all(one.waiting for one in senders), "it went too late"
            time.sleep(7)
        finally:
            back()
        wait(senders, lambda: not any(one.waiting for one in senders))
    finally:
        for one in senders:
            one.halt()


def wait(senders: list[Sender], what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT
    while not what():
        assert [one.error for one in senders] == [None, None]
        assert time.monotonic() < deadline, [(len(one.waiting), one.tries, one.refused) for one in senders]
        time.sleep(0.05)
