"""A process that takes a batch from Kafka, waits for a line, and says what became of its commit.

Started as `python -m tests.log.frozen_member PORT PREFIX`. Prints "taken", then "stale" or "committed".
"""

import asyncio
import sys

from headwater.config_stack import Kafka
from headwater.errors import Stale, Unavailable
from storage.kafka_log import open_kafka_log
from tests.log.kit import TOPIC, take, topic


async def main(port: str, prefix: str) -> None:
    config = Kafka(servers=(f"127.0.0.1:{port}",), prefix=prefix)
    async with open_kafka_log(config, [topic(1)], session=6) as log, log.subscribe([TOPIC], "g") as member:
        in_hand = await take(member, 2, 30)
        print("taken", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        while True:
            try:
                await member.commit(in_hand)
            except Stale:
                print("stale", flush=True)
                return
            except Unavailable:  # its connections died meanwhile: it tries again
                await asyncio.sleep(0.1)
            else:
                print("committed", flush=True)
                return


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
