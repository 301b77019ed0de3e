"""Decoders that are not ours, shown with families that are not there yet."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from headwater.config_models import Model
from headwater.message import Message
from headwater.registry import Identity
from ingest.contract import Payload, Source
from ingest.decoders.catalogue import Catalogue
from ingest.decoders.family import Family
from tests.ingest.intake_kit import Bench, bench, named


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

    def bench(self, **settings: Any) -> AbstractAsyncContextManager[Bench]:
        return bench(catalogue=Catalogue(self.FAMILIES), **settings)

    async def test_one_payload_may_be_many_messages_with_ids_of_their_own_and_its_bytes_kept_once(self) -> None:
        source = Source("http", device="d", decoder="pairs")
        async with self.bench(duplicates=0) as desk:
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
        async with self.bench() as desk:
            receipt = await desk.take(b"a=nan b=1 c=inf", source=source)

            assert [one.reason for one in receipt.rejections or ()] == ["bad_value", "bad_value"]
            assert receipt.accepted == 1
            assert [record.payload for record in desk.rejected] == [b"a=nan b=1 c=inf"] * 2
            assert [record.id[16:] for record in desk.rejected] == ["#0", "#2"]

    async def test_whatever_a_decoder_raises_is_a_rejection(self) -> None:
        async with self.bench() as desk:
            receipt = await desk.take(b"\xff", b"a=x", source=Source("http", device="d", decoder="pairs"))
            assert [one.reason for one in receipt.rejections or ()] == ["decoder_failed", "decoder_failed"]

    async def test_where_neither_topic_nor_payload_names_a_device_it_is_the_one_that_has_logged_in(self) -> None:
        source = Source("mqtt", topic="pairs", decoder="pairs")
        async with self.bench() as desk:
            await desk.take(b"a=1", source=source, identity=Identity("pump-7", device="pump-7"))
            await desk.take(b"a=1", source=source, identity=Identity("a key", roles=("ingest",)))
            assert [message.device for message in desk.messages] == ["pump-7"]
            assert [record.reason for record in desk.rejected] == ["bad_device"]

    async def test_the_model_or_the_content_chooses_where_nothing_else_does(self) -> None:
        def model_of(device: str) -> str:
            return "odd" * (device == "o")

        async with self.bench(models={"odd": Model()}, model_of=model_of) as desk:
            await desk.take(b"a=1", source=Source("http", device="o"))
            await desk.take(b"a=1", {"x": 1}, named(), source=Source("http", device="pump-7"))
            assert {message.decoder for message in desk.messages if message.device == "o"} == {"by-model"}
            found = [message.decoder for message in desk.messages if message.device == "pump-7"]
            assert found == ["pairs", "flat", "native"]
