"""docs/log-format.md: the consumer printed there works as it stands, and the page names what is on the log."""

import asyncio
import re
import sys
from pathlib import Path
from uuid import uuid4

import msgspec

from headwater.config_stack import Kafka
from headwater.log import MESSAGES, NewEntry, TopicSpec
from headwater.message import Candidate, Clock, Message, RejectedMessage, encode
from headwater.registry import ApiKey, Block, Claim, Device, Group, HeldCertificate
from storage.kafka_log import open_kafka_log
from storage.kafka_log_topics import LOG_ID
from tests.services.server import Server

PAGE = (Path(__file__).parents[2] / "docs" / "log-format.md").read_text("utf-8")


def test_the_page_names_every_field_of_every_record() -> None:
    for kind in (Message, Candidate, RejectedMessage, Device, HeldCertificate, ApiKey, Group, Claim, Block):
        missing = [field.name for field in msgspec.structs.fields(kind) if f"`{field.name}`" not in PAGE]
        assert not missing
    assert f"`{LOG_ID}`" in PAGE


async def test_the_consumer_on_the_page_prints_what_devices_said(kafka_server: Server, tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    file = tmp_path / "consumer.py"
    file.write_text(program, "utf-8")
    brokers = f"127.0.0.1:{kafka_server.port}"
    prefix = f"d{uuid4().hex[:12]}."
    config = Kafka(servers=(brokers,), prefix=prefix)
    message = Message("pump-7", "a1", received=7, time=5, fields={"temperature": 21.5})
    async with asyncio.timeout(30), open_kafka_log(config, [TopicSpec(MESSAGES, 2)]) as log:
        await log.append(MESSAGES, [NewEntry(1, b"", encode(Clock(3))), NewEntry(1, b"pump-7", encode(message))])
        consumer = await asyncio.create_subprocess_exec(
            sys.executable, str(file), brokers, prefix, f"{prefix}mine", stdout=asyncio.subprocess.PIPE
        )
        assert consumer.stdout is not None
        try:
            assert await consumer.stdout.readline() == b"pump-7 5 {'temperature': 21.5}\n"
            while (await log.committed("mine", MESSAGES)).get(1) != 2:
                await asyncio.sleep(0.05)
        finally:
            consumer.kill()
            await consumer.communicate()
