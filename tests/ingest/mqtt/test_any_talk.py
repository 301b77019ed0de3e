"""Whatever clients say and whatever becomes of it, nothing breaks and nothing is left behind.

Connections on transports without a socket, so that thousands of talks can be tried; the intake settles, fails, fills up
and is relieved in between as hypothesis likes.
"""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.config import Config
from headwater.metrics import Metrics
from ingest.contract import Receipt
from ingest.mqtt.broker import Broker
from ingest.mqtt.connection import Connection
from ingest.mqtt.encoding import encode
from ingest.mqtt.packets import Puback, Pubcomp, Publish, Pubrec, Pubrel, Subscribe, Subscription
from ingest.mqtt.plane import Plane
from ingest.mqtt.reader import Reader
from tests.ingest.mqtt import packet_strategies as any_of
from tests.ingest.mqtt.kit import Clock, ScriptedDoor, ScriptedIntake
from tests.ingest.mqtt.log_kit import MemoryLog

SMALL_IDS = st.integers(1, 4)


class Pipe(asyncio.Transport):
    """A transport that keeps what is written, and drops what would go to one who is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.reading = True
        self.closing = False

    def get_extra_info(self, name: str, default: object = None) -> object:
        return ("127.0.0.1", 5) if name == "peername" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closing
        self.written += bytes(data)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        assert not self.closing

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = True

    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True


def _subscribe(qos: int) -> Subscribe:
    return Subscribe(1, (Subscription("#", qos),))


def packets(version: int) -> st.SearchStrategy[bytes]:
    """Any packet, with a leaning to those that hang together."""
    publish = st.builds(
        Publish, st.sampled_from(["devices/a/telemetry", "devices/b/telemetry", "x"]), any_of.blobs,
        st.sampled_from([2, 4]), SMALL_IDS,
    )  # fmt: skip
    answers = st.one_of(*(st.builds(kind, SMALL_IDS) for kind in (Puback, Pubrec, Pubrel, Pubcomp)))
    subscribe = st.integers(0, 2).map(_subscribe)
    written = st.one_of(publish, publish, answers, subscribe, any_of.from_client(version))
    return written.map(lambda packet: encode(packet, version))


DOINGS = st.sampled_from(["settle", "settle all", "fail", "fill", "relieve", "wait", "reject", "take"])


@st.composite
def talks(draw: st.DrawFn) -> tuple[int, bytes, list[bytes | str]]:
    version = draw(any_of.versions)
    connect = encode(draw(any_of.connects(version)), version)
    noise = st.binary(min_size=1, max_size=20)
    steps = draw(st.lists(st.one_of(packets(version), packets(version), DOINGS, noise), max_size=25))
    return version, connect, steps


def do(what: str, intake: ScriptedIntake, broker: Broker, clock: Clock) -> None:
    match what:
        case "settle":
            intake.settle(1)
        case "settle all":
            intake.settle()
        case "fail":
            intake.settle(1, failed=True)
        case "fill":
            intake.full = True
        case "relieve":
            intake.relieve()
        case "reject":
            intake.reject = lambda _payload: "bad_json"
        case "take":
            intake.reject = lambda _payload: None
        case _:
            clock.now += 7
            broker.deadlines.sweep(clock.now)


@given(st.lists(talks(), min_size=1, max_size=3), st.booleans())
@settings(max_examples=60, deadline=None)
async def test_nothing_breaks_and_nothing_is_left_behind(
    said: list[tuple[int, bytes, list[bytes | str]]], hang_up_first: bool
) -> None:
    config, metrics = Config.model_validate({"mqtt": {"in_flight": 3}}), Metrics()
    intake, clock = ScriptedIntake(), Clock()
    intake.slow = True
    broker = Broker(
        config, intake, ScriptedDoor(), metrics, Plane(MemoryLog(), config, metrics, clock, clock.wall), clock
    )
    lines: list[tuple[Connection, Pipe]] = []
    for _, connect, _ in said:
        line = Connection(broker), Pipe()
        line[0].connection_made(line[1])
        line[0].data_received(connect)
        lines.append(line)
    for turn in range(max(len(steps) for _, _, steps in said)):
        for (connection, pipe), (_, _, steps) in zip(lines, said, strict=True):
            step = steps[turn] if turn < len(steps) else b""
            if isinstance(step, str):
                do(step, intake, broker, clock)
            elif pipe.reading and not pipe.closing:
                connection.data_received(step)
        await asyncio.sleep(0)
        assert broker.held >= 0
    endings = [lambda: [connection.connection_lost(None) for connection, _ in lines], lambda: finish(intake)]
    for ending in endings if hang_up_first else reversed(endings):
        ending()
    finish(intake)
    assert not broker.connections
    assert len(broker.sessions) == 0
    assert broker.router.subscriptions.count == 0
    assert broker.held == 0
    broker.deadlines.sweep(clock.now + 10_000)
    assert not broker.deadlines._seconds  # pyright: ignore[reportPrivateUsage]
    for (_, pipe), (version, _, _) in zip(lines, said, strict=True):
        heard = Reader(2**28, 2**28, peer="server", version=version)
        heard.feed(pipe.written)
        assert heard.broken is None
        assert heard.waiting == 0


def finish(intake: ScriptedIntake) -> None:
    """Everything is settled and the intake is not full."""
    while intake.full or intake.waiting or intake.relieved:
        intake.relieve()
        waiting: list[Receipt] = intake.waiting
        intake.settle(len(waiting))
