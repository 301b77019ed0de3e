"""When the log is slow, stuck or gone: bounds, failing fast, draining."""

import asyncio

from tests.ingest.intake_kit import OTHER, bench, named, until


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
