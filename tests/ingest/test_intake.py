"""The intake: what becomes of payloads, whose they are, what the receipt says, what stands on the log."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.config import Config, FieldModel, Ingest, Model
from headwater.log import MESSAGES, REJECTED, TopicSpec, partition_for
from headwater.message import Message, RejectedMessage, decode_message, decode_rejected
from headwater.metrics import Metrics
from headwater.registry import ANONYMOUS, Identity
from ingest.contract import Intake, Payload, Receipt, Source
from ingest.decoders import Family, choice
from ingest.intake import LogIntake
from ingest.topics import source_for, unknown_source
from storage.sqlite_log import open_log
from tests.ingest.intake_kit import Owner, ScriptedLog, Step, until

NOW = 1_763_719_000_000_000
MQTT = Source("mqtt", peer="127.0.0.1:5000")
OTHER = next(f"d{n}" for n in range(99) if partition_for(b"d%d" % n, 4) != partition_for(b"pump-7", 4))
PUMP = Identity("pump-7", device="pump-7")


class Bench:
    """An intake on a scripted log, its metrics, a clock that is set by hand, and one owner."""

    def __init__(self, log: ScriptedLog, config: Config, model_of: Callable[[str], str]) -> None:
        self.log = log
        self.now = NOW
        self.metrics = Metrics()
        self.owner = Owner()
        self.intake = LogIntake(log, config, self.metrics, model_of, lambda: self.now)

    def offer(
        self, *payloads: object, identity: Identity = ANONYMOUS, source: Source = MQTT, key: str = "", tag: int = 0
    ) -> Receipt:
        receipt = self.owner.receipt(tag)
        data = [payload if isinstance(payload, bytes) else json.dumps(payload).encode() for payload in payloads]
        self.intake.accept(identity, source, data, receipt, key)
        return receipt

    async def take(self, *payloads: object, **how: Any) -> Receipt:
        """Offer, and wait until the receipt is settled."""
        receipt = self.offer(*payloads, **how)
        await until(lambda: not receipt.waiting)
        return receipt

    @property
    def messages(self) -> list[Message]:
        return [decode_message(value) for value in self.log.values(MESSAGES)]

    @property
    def rejected(self) -> list[RejectedMessage]:
        return [decode_rejected(value) for value in self.log.values(REJECTED)]

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.sample(f"{name}_total", **labels)


def named(*, fields: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"device": "pump-7", "fields": fields or {"x": 1}, **more}


@asynccontextmanager
async def bench(
    *script: Step,
    models: dict[str, Model] | None = None,
    model_of: Callable[[str], str] = lambda _device: "",
    **ingest: Any,
) -> AsyncGenerator[Bench]:
    config = Config(ingest=Ingest.model_validate({"linger": 0} | ingest), models=models or {})
    made = Bench(ScriptedLog(*script), config, model_of)
    async with made.intake:
        yield made


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


class TestIds:
    async def test_the_devices_own_id_is_kept_verbatim(self) -> None:
        async with bench() as desk:
            await desk.take(named(id="a b/ü"), key="key")
            assert desk.messages[0].id == "a b/ü"

    async def test_time_or_sequence_make_the_same_id_of_the_same_bytes_and_another_of_others(self) -> None:
        async with bench(duplicates=0) as desk:
            for key, value in (("seq", 1), ("seq", 1), ("seq", 2), ("at", 1_763_719_000_000)):
                await desk.take({"device": "pump-7", "fields": {"x": 1}, key: value})

            first, again, other, timed = (message.id for message in desk.messages)
            assert first == again
            assert len({first, other, timed}) == 3
            assert len(first) == 16

    async def test_nothing_to_go_by_makes_every_message_a_new_one(self) -> None:
        async with bench() as desk:
            await desk.take(named(), named())
            await desk.take(named())
            assert len({message.id for message in desk.messages}) == 3

    async def test_an_idempotency_key_is_the_id_or_begins_it(self) -> None:
        async with bench() as desk:
            await desk.take(named(), key="k-1")
            await desk.take(named(seq=1), named(), key="k-2")
            await desk.take(named(), key="x" * 65)
            await desk.take(named(), key="line\nbreak")

            ids = [message.id for message in desk.messages]
            assert ids[:3] == ["k-1", "k-2.0", "k-2.1"]
            assert all(len(made) == 16 for made in ids[3:])

    @pytest.mark.parametrize("own", ["x" * 65, "tab\there", 10**64])
    async def test_an_id_that_cannot_be_kept_is_rejected(self, own: object) -> None:
        async with bench() as desk:
            receipt = await desk.take(named(id=own))
            assert receipt.rejections
            assert receipt.rejections[0].reason == "bad_id"
            assert len(desk.rejected[0].id) == 16


class TestDuplicates:
    async def test_a_retry_of_what_is_durable_is_acknowledged_at_once_and_not_logged_again(self) -> None:
        async with bench() as desk:
            await desk.take(named(id="1"))
            again = desk.offer(named(id="1"))

            assert again.waiting == 0
            assert (again.accepted, again.failed, again.rejections) == (1, False, None)
            assert len(desk.messages) == 1
            await desk.intake.drain(1)
            assert desk.count("duplicate", transport="mqtt") == 1

    async def test_the_same_id_of_another_device_is_another_message(self) -> None:
        async with bench() as desk:
            await desk.take({"device": "a", "id": "1", "fields": {"x": 1}})
            await desk.take({"device": "b", "id": "1", "fields": {"x": 1}})
            await desk.take({"device": "a", "id": "b 1", "fields": {"x": 1}})
            assert len(desk.messages) == 3

    async def test_what_is_in_flight_or_has_failed_is_appended_again(self) -> None:
        async with bench("raise") as desk:
            first = desk.offer(named(id="1"))
            second = desk.offer(named(id="1"))
            await until(lambda: not first.waiting and not second.waiting)
            assert first.failed
            assert second.failed
            assert not (await desk.take(named(id="1"))).failed
            assert len(desk.messages) == 1

    async def test_only_so_many_are_remembered(self) -> None:
        async with bench(duplicates=8) as desk:
            for number in range(20):
                await desk.take(named(id=str(number)))
            await desk.take(named(id="0"))
            assert desk.offer(named(id="19")).waiting == 0
            assert [message.id for message in desk.messages].count("0") == 2


class TestWhoMaySend:
    async def test_a_device_speaks_for_itself_and_a_gateway_for_its_children(self) -> None:
        gateway = Identity("gw-1", device="gw-1", speaks_for=("pump-*", "valve"))
        async with bench() as desk:
            await desk.take(named(), identity=PUMP)
            await desk.take(named(), identity=gateway)
            await desk.take({"device": "valve", "fields": {"x": 1}}, identity=gateway)
            refused = await desk.take({"device": "valve-2", "fields": {"x": 1}}, identity=gateway)

            assert sorted(message.via for message in desk.messages) == ["", "gw-1", "gw-1"]
            assert refused.rejections
            assert refused.rejections[0].reason == "not_authorized"
            (record,) = desk.rejected
            assert (record.device, record.via, record.reason) == ("valve-2", "gw-1", "not_authorized")

    async def test_a_key_may_send_for_all_if_its_role_says_so(self) -> None:
        async with bench() as desk:
            await desk.take(named(), identity=Identity("loader", roles=("ingest",)))
            reader = await desk.take(named(), identity=Identity("page", roles=("read",)))

            assert [message.via for message in desk.messages] == ["loader"]
            assert reader.rejections

    async def test_nothing_is_kept_of_a_sender_without_a_name(self) -> None:
        async with bench() as desk:
            receipt = desk.offer(named(), b"rubbish", identity=Identity(""))

            assert receipt.waiting == 0
            assert [one.reason for one in receipt.rejections or ()] == ["not_authorized", "bad_json"]
            await desk.intake.drain(1)
            assert desk.log.kept == {}
            assert desk.count("rejected", reason="not_authorized") == 1

    async def test_anonymous_on_loopback_is_nobody_in_via(self) -> None:
        async with bench() as desk:
            await desk.take(named())
            assert desk.messages[0].via == ""


class TestRejected:
    async def test_the_good_are_taken_and_the_bad_named_by_index(self) -> None:
        async with bench() as desk:
            receipt = await desk.take(named(seq=1), b"{", named(seq=2), {"device": "a/b", "x": 1})

            assert receipt.accepted == 2
            assert not receipt.failed
            assert [(one.at, one.reason) for one in receipt.rejections or ()] == [(1, "bad_json"), (3, "bad_device")]
            assert len(desk.messages) == 2
            assert len(desk.rejected) == 2

    async def test_the_record_has_the_bytes_bounded_their_size_and_hash_and_where_they_came_from(self) -> None:
        source = Source("mqtt", "devices/pump-7/telemetry", "pump-7", "native", peer="10.0.0.1:5")
        data = b'{"fields":{"x":' + b" " * 5000
        async with bench(kept_payload=100) as desk:
            receipt = await desk.take(data, identity=PUMP, source=source)

            (record,) = desk.rejected
            assert record.payload == data[:100]
            assert (record.size, record.sha256) == (len(data), sha256(data).hexdigest())
            assert (record.device, record.topic, record.peer) == ("pump-7", source.topic, source.peer)
            assert (record.transport, record.stage, record.received, record.via) == ("mqtt", "ingest", NOW, "")
            assert receipt.rejections
            assert receipt.rejections[0].detail == record.detail

    async def test_the_receipt_waits_for_the_record_and_fails_with_it(self) -> None:
        async with bench("raise") as desk:
            receipt = desk.offer(b"{")
            assert receipt.waiting == 1
            await until(lambda: not receipt.waiting)
            assert receipt.failed
            assert desk.count("failed") == 1
            assert desk.count("rejected") == 0

    async def test_too_large_too_many_too_long_and_nothing_at_all(self) -> None:
        async with bench(fields=3, text_length=5) as desk:
            receipt = await desk.take(
                named(fields={"x": "y" * 2**18}),
                named(fields={"a": 1, "b": 2, "c": "3", "d": 4}),
                named(fields={"a": 1, "b": 2, "c": 3, "d": 4}),
                named(fields={"a": "sechse"}),
                {"device": "a", "fields": {}},
                {"device": "a", "fields": {"x": None}},
                {"device": "a"},
                named(fields={"": 1}),
                named(fields={"a\nb": 1}),
                named(fields={"n" * 129: 1}),
                named(fields={"a": 1, "b": 2, "c": "fünf"}),
            )
            assert [one.reason for one in receipt.rejections or ()] == [
                "too_large",
                *["too_many_fields"] * 2,
                "bad_value",
                *["no_fields"] * 3,
                *["bad_shape"] * 3,
            ]
            assert receipt.accepted == 1
            crowd = await desk.take(named(fields={"a": 1}, heard_by=[{"gateway": "g"}] * 4))
            assert [one.reason for one in crowd.rejections or ()] == ["too_many_fields"]

    async def test_a_position_or_a_gateway_that_heard_it_is_enough(self) -> None:
        async with bench() as desk:
            await desk.take(
                {"device": "a", "position": {"lat": 1, "lon": 2}}, {"device": "a", "heard_by": [{"gateway": "g"}]}
            )
            assert len(desk.messages) == 2

    @pytest.mark.parametrize("device", ["", "a/b", "+", "#", "a b", ".hidden", "x" * 129, "ü", "a\n"])
    async def test_a_device_is_a_name(self, device: str) -> None:
        async with bench() as desk:
            receipt = await desk.take({"device": device, "fields": {"x": 1}})
            assert [one.reason for one in receipt.rejections or ()] == ["bad_device"]
            assert not (await desk.take(named())).rejections, "the next good one is taken"

    async def test_a_topic_without_a_decoder_and_a_decoder_that_is_not_there(self) -> None:
        async with bench() as desk:
            topic = await desk.take(named(), source=unknown_source("tele/x/SENSOR", "peer"))
            asked = await desk.take(named(), source=Source("http", decoder="nativ"))

            assert topic.rejections
            assert asked.rejections
            assert (topic.rejections[0].reason, asked.rejections[0].reason) == ("no_decoder", "unknown_decoder")
            assert {record.topic for record in desk.rejected} == {"tele/x/SENSOR", ""}


class TestModels:
    MODELS: ClassVar = {"pump": Model(devices=("pump-*",), fields={"x": FieldModel(min=0, max=10)}), "other": Model()}

    async def test_a_model_rejects_and_the_record_says_which_device(self) -> None:
        async with bench(models=self.MODELS) as desk:
            receipt = await desk.take(named(fields={"x": 11}), named(fields={"x": 10}))

            assert [(one.at, one.reason) for one in receipt.rejections or ()] == [(0, "out_of_range")]
            assert desk.rejected[0].device == "pump-7"

    async def test_a_change_in_the_registry_is_seen_within_a_second(self) -> None:
        chosen = "other"
        async with bench(models=self.MODELS, model_of=lambda _device: chosen) as desk:
            assert not (await desk.take(named(fields={"x": 11}))).rejections
            chosen = "pump"
            desk.now += 1_000_000
            assert (await desk.take(named(fields={"x": 11}))).rejections


def is_pairs(data: bytes) -> bool:
    return b"=" in data


class TestDecoders:
    """With families that are not there yet."""

    @staticmethod
    def pairs(payload: Payload) -> Sequence[Message]:
        """`name=value` pairs, a message each."""
        made: list[Message] = []
        for pair in payload.data.decode("ascii").split():
            name, _, value = pair.partition("=")
            at = payload.received
            made.append(Message(payload.source.device, "", at, at, seq=1, fields={name: float(value)}))
        return made

    FAMILIES = (
        Family("pairs", pairs, topics=("pairs/{device}/up",), recognises=is_pairs),
        Family("by-model", pairs, models=("odd",)),
    )

    @pytest.fixture(autouse=True)
    def _families(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(choice, "FAMILIES", self.FAMILIES)

    async def test_one_payload_may_be_many_messages_with_ids_of_their_own_and_its_bytes_kept_once(self) -> None:
        source = Source("http", device="d", decoder="pairs")
        async with bench(duplicates=0) as desk:
            receipt = await desk.take(b"a=1 b=2", source=source)
            await desk.take(b"a=1 b=2", source=source)
            await desk.take(b"a=1 b=2", source=source, key="k")

            assert receipt.accepted == 2
            first, second, again, _, keyed, keyed_too = desk.messages
            assert first.id != second.id
            assert first.id == again.id
            assert (keyed.id, keyed_too.id) == ("k.0", "k.1")
            assert (first.decoder, first.raw, second.raw) == ("pairs", b"a=1 b=2", None)
            assert desk.count("received") == desk.count("accepted") == 6

    async def test_what_a_decoder_lets_pass_is_checked_all_the_same(self) -> None:
        source = Source("http", device="d", decoder="pairs")
        async with bench() as desk:
            receipt = await desk.take(b"a=nan b=1 c=inf", source=source)

            assert [one.reason for one in receipt.rejections or ()] == ["bad_value", "bad_value"]
            assert receipt.accepted == 1
            assert [record.payload for record in desk.rejected] == [b"a=nan b=1 c=inf", b""]

    async def test_whatever_a_decoder_raises_is_a_rejection(self) -> None:
        async with bench() as desk:
            receipt = await desk.take(b"\xff", b"a=x", source=Source("http", device="d", decoder="pairs"))
            assert [one.reason for one in receipt.rejections or ()] == ["decoder_failed", "decoder_failed"]

    async def test_the_model_or_the_content_chooses_where_nothing_else_does(self) -> None:
        async with bench(models={"odd": Model()}, model_of=lambda device: "odd" * (device == "o")) as desk:
            await desk.take(b"a=1", source=Source("http", device="o"))
            await desk.take(b"a=1", {"x": 1}, named(), source=Source("http", device="pump-7"))
            assert {message.decoder for message in desk.messages if message.device == "o"} == {"by-model"}
            found = [message.decoder for message in desk.messages if message.device == "pump-7"]
            assert found == ["pairs", "flat", "native"]


class TestPressure:
    async def test_it_is_full_at_the_limit_and_relieved_at_half_of_it(self) -> None:
        gate = asyncio.Event()
        relieved: list[str] = []
        async with bench(gate, waiting_messages=4) as desk:
            desk.offer(named(), named(), named())
            assert not desk.intake.full
            desk.intake.when_relieved(lambda: relieved.append("at once"))
            desk.offer(named())
            assert desk.intake.full
            desk.intake.when_relieved(lambda: relieved.append("later"))
            await until(lambda: desk.log.calls == 1)
            assert relieved == ["at once"]
            gate.set()
            await until(lambda: relieved == ["at once", "later"])
            assert not desk.intake.full

    async def test_more_than_half_of_the_limit_is_still_full(self) -> None:
        gate = asyncio.Event()
        async with bench(gate, waiting_messages=4) as desk:
            desk.offer(named(), named(), named())
            await until(lambda: desk.log.calls == 1)
            await desk.take({"device": OTHER, "fields": {"x": 1}})
            assert desk.intake.full
            gate.set()
            await until(lambda: not desk.intake.full)

    async def test_bytes_count_as_well(self) -> None:
        gate = asyncio.Event()
        async with bench(gate, waiting_size=400) as desk:
            receipt = desk.offer(named(fields={"x": "y" * 300}))
            assert desk.intake.full
            gate.set()
            await until(lambda: not receipt.waiting)
            assert not desk.intake.full
            assert not (await desk.take(named(fields={"x": "y" * 50}))).failed
            assert not desk.intake.full

    async def test_whoever_goes_on_all_the_same_is_refused_at_twice_the_limit(self) -> None:
        gate = asyncio.Event()
        async with bench(gate, waiting_messages=2) as desk:
            for _ in range(4):
                assert not desk.offer(named()).failed
            refused = desk.offer(named(), named())
            assert refused.failed
            assert refused.waiting == 0
            gate.set()
            await desk.intake.drain(5)
            assert not (await desk.take(named())).failed
            assert desk.count("failed") == 2

    async def test_while_one_partition_hangs_it_fails_fast_and_the_others_go_on(self) -> None:
        gate = asyncio.Event()
        async with bench(gate, append_time=0.02) as desk:
            assert (await desk.take(named(id="1"))).failed
            at_once = desk.offer(named(id="2"))
            assert at_once.failed
            assert at_once.waiting == 0
            assert not (await desk.take({"device": OTHER, "fields": {"x": 1}})).failed
            gate.set()
            await until(lambda: len(desk.log.values()) == 2)
            await until(lambda: desk.offer(named(id="1")).accepted == 1)
            assert [message.id for message in desk.messages].count("1") == 1, "late, and known to be there"
            assert not (await desk.take(named(id="2"))).failed

    async def test_draining_waits_for_what_waits_and_not_for_ever(self) -> None:
        gate = asyncio.Event()
        async with bench(gate) as desk:
            receipt = desk.offer(named())
            await desk.intake.drain(0.01)
            assert receipt.waiting == 1
            gate.set()
            await desk.intake.drain(5)
            assert receipt.waiting == 0

    async def test_after_the_stop_everything_fails_at_once(self) -> None:
        async with bench() as desk:
            waiting = desk.offer(named())
        assert waiting.failed
        assert desk.owner.releases == 1
        late = desk.offer(named())
        assert late.failed
        assert late.waiting == 0


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
    source = source_for("devices/pump-7/telemetry", "peer")

    assert source == Source("mqtt", "devices/pump-7/telemetry", "pump-7", "native", peer="peer")
    for topic in ("devices/pump-7", "devices/pump-7/telemetry/x", "Devices/pump-7/telemetry", "", "a/b"):
        assert source_for(topic, "peer") is None
