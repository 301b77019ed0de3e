"""Whose messages are taken, what is rejected, and what is kept of it."""

from hashlib import sha256
from typing import ClassVar

import pytest

from headwater.config_models import FieldModel, Model
from headwater.registry import Identity
from ingest.contract import Source
from ingest.decoders.catalogue import Catalogue
from tests.ingest.intake_kit import NOW, PUMP, bench, named, until


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

    async def test_anonymous_on_loopback_is_nobody_in_via_unless_it_gives_a_name(self) -> None:
        async with bench() as desk:
            await desk.take(named())
            await desk.take(named(), identity=Identity("gateway-3", trusted=True))
            await desk.take(named(), identity=Identity("pump-7", trusted=True))
            assert [message.via for message in desk.messages] == ["", "gateway-3", ""]


class TestRejected:
    async def test_the_good_are_taken_and_the_bad_named_by_index(self) -> None:
        async with bench() as desk:
            receipt = await desk.take(named(seq=1), b"{", named(seq=2), {"device": "a/b", "x": 1})

            assert receipt.accepted == 2
            assert not receipt.failed
            assert [(one.at, one.reason) for one in receipt.rejections or ()] == [(1, "bad_json"), (3, "bad_device")]
            assert len(desk.messages) == 2
            assert len(desk.rejected) == 2
            hashes = {record.sha256 for record in desk.rejected}
            assert len(hashes) == 2
            assert sha256(b"{").hexdigest() in hashes

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
            topic = await desk.take(named(), source=Catalogue().source("some/x/thing", "peer"))
            asked = await desk.take(named(), source=Source("http", decoder="nativ"))

            assert topic.rejections
            assert asked.rejections
            assert (topic.rejections[0].reason, asked.rejections[0].reason) == ("no_decoder", "unknown_decoder")
            assert {record.topic for record in desk.rejected} == {"some/x/thing", ""}


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
