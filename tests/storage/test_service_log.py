"""The service log reaches the lake's place: in batches, through outages, and never in anybody's way."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from headwater.config import Logging
from headwater.log_lines import LogLines
from headwater.metrics import Metrics
from storage.log_files import SERVICE, LogFiles
from storage.log_place import log_place
from storage.s3_objects import S3Objects
from storage.service_log import keeping_service_log
from tests.services.proxy import proxied
from tests.services.server import Server
from tests.storage.log_kit import Failing, contents, local, paths
from tests.storage.s3_kit import at_port, delete_bucket, s3_of
from tests.taking import within

QUICK = Logging(flush_every=0.05, buffer_size=1000)


class Said:
    """Lines, and the metrics of their log."""

    def __init__(self, most: int = 1000) -> None:
        self.lines = LogLines(most)
        self.metrics = Metrics()
        self.count = 0

    def say(self, count: int) -> None:
        for _ in range(count):
            self.lines.add(b'{"n":%4d}\n' % self.count)
            self.count += 1

    async def written(self, count: int) -> None:
        async with asyncio.timeout(30):
            while self.metrics.sample("service_log_written_total") < count:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def kept(files: LogFiles, said: Said, config: Logging = QUICK) -> AsyncGenerator[None]:
    async with log_place(files) as place, keeping_service_log(place, said.lines, config, said.metrics, "up"):
        yield


def numbers(found: list[dict[str, Any]]) -> list[int]:
    return [line["n"] for line in found]


async def test_what_is_said_is_there_soon_and_what_is_said_last_at_the_end(tmp_path: Path):
    files, said = local(tmp_path), Said()
    async with kept(files, said):
        said.say(3)
        await said.written(3)
        assert numbers(contents(files, SERVICE)) == [0, 1, 2]
        said.say(2)
    assert numbers(contents(files, SERVICE)) == [0, 1, 2, 3, 4]
    assert len(paths(files, SERVICE)) == 2


async def test_who_says_nothing_writes_nothing(tmp_path: Path):
    files, said = local(tmp_path), Said()
    async with kept(files, said):
        await asyncio.sleep(0.2)
    assert paths(files, SERVICE) == []


async def test_much_is_written_at_once_and_in_files_of_a_bounded_size(tmp_path: Path):
    files, said = local(tmp_path), Said()
    async with kept(files, said, Logging(flush_every=3600, flush_size=110)):
        said.say(25)  # 11 bytes each
        await said.written(25)
    assert numbers(contents(files, SERVICE)) == list(range(25))
    assert len(paths(files, SERVICE)) == 3


async def test_processes_of_a_host_write_files_of_their_own(tmp_path: Path):
    files, one, two = local(tmp_path), Said(), Said()
    async with kept(files, one), kept(files, two):
        one.say(2)
        two.say(2)
        await asyncio.gather(one.written(2), two.written(2))
    assert sorted(numbers(contents(files, SERVICE))) == [0, 0, 1, 1]


async def test_a_write_that_fails_or_is_not_answered_is_tried_again_and_doubles_nothing(tmp_path: Path):
    files, said = Failing(local(tmp_path)), Said()
    files.before, files.after = 1, 1
    async with kept(files, said):
        said.say(4)
        await said.written(4)
        said.say(1)
    assert numbers(contents(files, SERVICE)) == [0, 1, 2, 3, 4]


async def test_while_the_place_is_away_lines_wait_up_to_the_bound_and_the_rest_is_counted(minio_server: Server):
    config, said = s3_of(minio_server), Said(most=220)
    async with proxied(minio_server.port) as proxy:
        await proxy.refuse()
        files = S3Objects(at_port(config, proxy.port, 2))
        async with kept(files, said):
            said.say(30)  # room for 20
            async with asyncio.timeout(30):
                while said.metrics.sample("service_log_dropped_total") < 10:
                    await asyncio.sleep(0.01)
            await proxy.serve()
            await said.written(20)
    assert numbers(contents(S3Objects(config), SERVICE)) == list(range(20))


async def test_a_bucket_that_hangs_delays_nobody_not_even_the_end(minio_server: Server):
    said = Said()
    async with proxied(minio_server.port) as proxy:
        await proxy.hang()
        config = Logging(flush_every=0.01)
        loop = asyncio.get_running_loop()
        async with kept(S3Objects(at_port(s3_of(minio_server), proxy.port, 20)), said, config):
            said.say(1)
            for _ in range(50):
                with within(0.5):  # the event loop goes on
                    await asyncio.sleep(0.01)
            ending = loop.time()
        assert loop.time() - ending < 8
        await proxy.refuse()  # lets the call go that is on its way


async def test_a_bucket_that_is_not_there_is_made_and_one_that_has_gone_again(minio_server: Server):
    config, said = s3_of(minio_server, bucket=f"logs-{uuid4().hex}"), Said()
    files = S3Objects(config)
    async with kept(files, said):
        said.say(1)
        await said.written(1)
        await delete_bucket(config)
        said.say(1)
        await said.written(2)
    assert numbers(contents(files, SERVICE)) == [1]
