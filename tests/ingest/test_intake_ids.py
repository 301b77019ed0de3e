"""Ids, and a retry that is one message."""

import pytest

from tests.ingest.intake_kit import bench, named, until


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


class TestReceived:
    async def test_what_comes_later_is_newer_even_where_the_clock_stands_still(self) -> None:
        async with bench() as desk:
            await desk.take(named(), named(), named())
            await desk.take(named())
            received = [message.received for message in desk.messages]
            assert received == sorted(set(received))
            assert [message.time for message in desk.messages] == received

    async def test_a_clock_that_is_set_back_is_followed(self) -> None:
        async with bench() as desk:
            await desk.take(named())
            desk.now -= 3_600_000_000
            await desk.take(named())
            first, second = desk.messages
            assert second.received == first.received - 3_600_000_000
