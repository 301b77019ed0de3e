"""Checkpoints: durable, and whoever loses the race has lost the partition."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headwater.errors import Stale
from storage.contract import Checkpoint, Checkpoints
from storage.s3_checkpoints import open_s3_checkpoints
from storage.sqlite_checkpoints import open_checkpoints
from tests.storage.s3_kit import s3_of

Open = Callable[[], AbstractAsyncContextManager[Checkpoints]]
ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["sqlite", "s3"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens the same checkpoints again and again, also at the same time."""
    if request.param == "s3":
        config = s3_of(request.getfixturevalue("minio_server"))
        return lambda: open_s3_checkpoints(config)
    return lambda: open_checkpoints(tmp_path / "checkpoints.sqlite")


def checkpoint(next_offset: int, state: bytes = b"\x00state\xff") -> Checkpoint:
    return Checkpoint("00d1ce", next_offset, 3, state)


async def test_a_new_partition_has_none(opened: Open) -> None:
    async with opened() as checkpoints:
        assert await checkpoints.load(0) == (None, "")


async def test_what_was_saved_is_loaded_after_a_restart(opened: Open) -> None:
    async with opened() as checkpoints:
        first = await checkpoints.save(0, checkpoint(5), "")
        assert await checkpoints.load(0) == (checkpoint(5), first)
        second = await checkpoints.save(0, checkpoint(9, bytes(1_000_000)), first)
        assert await checkpoints.save(1, checkpoint(1), "")
        assert second != first
    async with opened() as checkpoints:
        assert await checkpoints.load(0) == (checkpoint(9, bytes(1_000_000)), second)
        assert (await checkpoints.load(1))[0] == checkpoint(1)


async def test_of_two_owners_the_second_has_lost_and_changes_nothing(opened: Open) -> None:
    async with opened() as one, opened() as other:
        version = await one.save(0, checkpoint(5), "")
        _, seen = await other.load(0)
        version = await one.save(0, checkpoint(6), version)
        with pytest.raises(Stale, match="partition 0"):
            await other.save(0, checkpoint(99), seen)
        with pytest.raises(Stale):
            await other.save(0, checkpoint(99), "")
        assert await other.load(0) == (checkpoint(6), version)


async def test_a_version_for_a_checkpoint_that_is_gone_is_stale(opened: Open) -> None:
    async with opened() as checkpoints:
        with pytest.raises(Stale):
            await checkpoints.save(0, checkpoint(1), "from another file")
        assert await checkpoints.load(0) == (None, "")


async def test_of_many_at_once_one_wins(opened: Open) -> None:
    async with opened() as one, opened() as other:
        version = await one.save(0, checkpoint(0), "")
        results = await asyncio.gather(
            *((one, other)[n % 2].save(0, checkpoint(n), version) for n in range(10)), return_exceptions=True
        )
        winners = [n for n, result in enumerate(results) if isinstance(result, str)]
        assert len(winners) == 1
        assert all(isinstance(result, Stale) for n, result in enumerate(results) if n not in winners)
        assert await one.load(0) == (checkpoint(winners[0]), results[winners[0]])


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.sampled_from(["load", "save"]), st.integers(0, 2), st.integers(0, 1)), max_size=20))
async def test_only_the_owner_that_has_seen_the_newest_can_replace_it(
    opened: Open, steps: list[tuple[str, int, int]]
) -> None:
    """A model: three owners, each holding the version it last saw, against one dictionary."""
    async with opened() as checkpoints:
        newest = {partition: await checkpoints.load(partition) for partition in range(2)}
        held = {(owner, partition): newest[partition][1] for owner in range(3) for partition in range(2)}
        for number, (what, owner, partition) in enumerate(steps):
            if what == "load":
                assert await checkpoints.load(partition) == newest[partition]
                held[owner, partition] = newest[partition][1]
            elif held[owner, partition] == newest[partition][1]:
                version = await checkpoints.save(partition, checkpoint(number), held[owner, partition])
                newest[partition] = (checkpoint(number), version)
                held[owner, partition] = version
            else:
                with pytest.raises(Stale):
                    await checkpoints.save(partition, checkpoint(number), held[owner, partition])
        for partition in range(2):
            assert await checkpoints.load(partition) == newest[partition]


@pytest.mark.process
async def test_a_reported_version_is_there_after_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.sqlite"
    script = f"""
import asyncio
from pathlib import Path
from storage.contract import Checkpoint
from storage.s3_checkpoints import open_s3_checkpoints
from storage.sqlite_checkpoints import open_checkpoints
from tests.storage.s3_kit import s3_of
async def main():
    async with open_checkpoints(Path({str(path)!r})) as checkpoints:
        version = ""
        for number in range(10**9):
            version = await checkpoints.save(0, Checkpoint("log", number, 1, bytes(20_000)), version)
            print(number, version, flush=True)
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=ROOT) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(50)]
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.read().splitlines(keepends=True)
    number, version = [line.split() for line in lines if line.endswith(b"\n")][-1]
    async with open_checkpoints(path) as checkpoints:
        found, token = await checkpoints.load(0)
    assert found is not None
    # The child may have died after a commit and before it could say so.
    assert (found.next_offset, token) == (int(number), version.decode()) or found.next_offset == int(number) + 1
