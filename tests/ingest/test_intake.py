"""The intake: what becomes of good payloads, what the receipt says, what stands on the log."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.config import Config
from headwater.log import MESSAGES, REJECTED, TopicSpec, partition_for
from headwater.message import decode_message
from headwater.metrics import Metrics
from headwater.registry import ANONYMOUS
from ingest.contract import Intake, Receipt, Source
from ingest.decoders.catalogue import Catalogue
from ingest.intake import LogIntake
from storage.sqlite_log import open_log
from tests.ingest.intake_kit import MQTT, NOW, Owner, bench, named, until


def test_it_is_an_intake(tmp_path: Path) -> None:
    promised: Callable[..., Intake] = LogIntake
    assert promised is LogIntake


async def test_a_message_is_on_the_log_before_its_owner_is_told() -> None:
    gate = asyncio.Event()
    async with bench(gate) as desk:
        receipt = desk.offer(named(at=1_763_718_999_000, seq=5), tag=9)
        await until(lambda: desk.log.calls == 1)
        assert receipt.waiting == 1
        assert desk.owner.releases == 0
        gate.set()
        await until(lambda: desk.owner.acknowledged == [9])

        (message,) = desk.messages
        assert (message.device, message.seq, message.fields) == ("pump-7", 5, {"x": 1})
        assert message.received == NOW
        assert message.time == message.at == 1_763_718_999_000_000
        assert (message.flag, message.via, message.decoder, message.raw) == ("", "", "native", None)
        assert list(desk.log.kept) == [(MESSAGES, partition_for(b"pump-7", 4))]


@pytest.mark.parametrize(
    ("at", "flag"),
    [
        (None, "none"),
        (NOW // 1000, ""),
        (NOW // 1000 + 299_000, ""),
        (NOW // 1000 + 301_000, "future"),
        (NOW // 1000 - 29 * 86_400_000, ""),
        (NOW // 1000 - 31 * 86_400_000, "past"),
        (0, "past"),
        (253_402_300_799_000, "future"),
    ],
)
async def test_a_clock_that_is_not_believable_is_kept_and_not_used(at: int | None, flag: str) -> None:
    async with bench() as desk:
        await desk.take(named(at=at))

        (message,) = desk.messages
        assert message.flag == flag
        assert message.at == (None if at is None else at * 1000)
        assert message.time == (NOW if flag else message.at)


async def test_an_owner_is_told_once_a_flush_and_one_that_fails_harms_no_other() -> None:
    class Broken:
        def release(self) -> None:
            raise ZeroDivisionError

    async with bench() as desk:
        desk.intake.accept(ANONYMOUS, MQTT, [b'{"device_id":"pump-7","x":1}'], Receipt(Broken()))
        for tag in range(5):
            desk.offer(named(), tag=tag)
        await until(lambda: len(desk.owner.acknowledged) == 5)

        assert desk.owner.releases == 1
        assert not (await desk.take(named())).failed


async def test_received_is_accepted_and_rejected_and_duplicate_and_failed() -> None:
    async with bench("take", "take", "raise") as desk:
        await desk.take(named(id="1"), named(id="2"), b"{", source=Source("http"))
        await desk.take(named(id="1"), named(id="3"), b"[]", source=Source("http"))
        await desk.take(named(id="4"))
        await desk.intake.drain(1)

        for transport in ("http", "mqtt"):
            fates = [desk.count(name, transport=transport) for name in ("accepted", "rejected", "duplicate", "failed")]
            assert desk.count("received", transport=transport) == sum(fates)
        assert desk.count("duplicate") == 1
        assert desk.count("failed") >= 1
        assert desk.metrics.sample("waiting") == 0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=40) | st.sampled_from([b'{"device":"a","x":1}', b'{"fields":{"x":1}}']), max_size=6))
def test_every_payload_is_accepted_or_rejected_and_the_next_good_one_works(payloads: list[bytes]) -> None:
    async def run() -> None:
        async with bench() as desk:
            receipt = await desk.take(*payloads)
            assert receipt.accepted + len(receipt.rejections or ()) == len(payloads)
            assert len(desk.messages) == receipt.accepted
            assert len(desk.rejected) == len(receipt.rejections or ())
            assert (await desk.take(named())).accepted == 1

    asyncio.run(run())


async def test_on_the_real_log_what_is_acknowledged_is_there_in_the_order_it_came(tmp_path: Path) -> None:
    topics = [TopicSpec(MESSAGES, 3), TopicSpec(REJECTED, 3)]
    owner = Owner()
    async with open_log(tmp_path / "log.sqlite", topics) as log:
        async with LogIntake(log, Config(), Metrics(), lambda _device: "") as intake:
            for number in range(600):
                device = number % 7
                data = b"{" if number % 50 == 49 else b'{"device":"d%d","seq":%d,"fields":{"x":1}}' % (device, number)
                intake.accept(ANONYMOUS, MQTT, [data], owner.receipt(number))
                if number % 100 == 0:
                    await asyncio.sleep(0.002)
            await intake.drain(10)
        assert sorted(owner.acknowledged) == list(range(600))
    async with open_log(tmp_path / "log.sqlite", topics) as log:
        seen: dict[str, list[int]] = {}
        for partition in range(3):
            async for batch in log.read(MESSAGES, partition, 0):
                for entry in batch:
                    message = decode_message(entry.value or b"")
                    assert entry.key.decode() == message.device
                    assert message.seq is not None
                    seen.setdefault(message.device, []).append(message.seq)
        assert all(numbers == sorted(numbers) for numbers in seen.values())
        assert sum(len(numbers) for numbers in seen.values()) == 588
        assert sum(ends.next for ends in (await log.ends(REJECTED)).values()) == 12


def test_topics_name_the_device_and_the_decoder() -> None:
    source = Catalogue().source("devices/pump-7/telemetry", "peer")

    assert source == Source("mqtt", "devices/pump-7/telemetry", "pump-7", "native", peer="peer")
    for topic in ("devices/pump-7", "devices/pump-7/telemetry/x", "Devices/pump-7/telemetry", "", "a/b"):
        assert not Catalogue().source(topic, "peer").decoder
