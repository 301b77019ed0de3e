"""What gateways learn of devices goes by every log: to the others at once, and to one that starts again."""

import asyncio

from headwater.log import LEARNED, TopicSpec
from ingest.decoders.learned import Learned
from ingest.decoders.learning import learning
from tests.log.kit import Logs


async def test_a_gateway_knows_what_another_learned_and_what_itself_learned_before_it_was_stopped(logs: Logs) -> None:
    one, other = Learned(100), Learned(100)
    async with asyncio.timeout(60), logs.open(TopicSpec(LEARNED, 1, compact=True)) as log:
        async with learning(log, one), learning(log, other):
            for n in range(50):
                one.learn("edge", f"births/{n % 5}", n, n)
            while sorted(str(other.recall(f"births/{n}")) for n in range(5)) != ["45", "46", "47", "48", "49"]:
                await asyncio.sleep(0.01)
        again = Learned(100)
        async with learning(log, again):
            assert again.recall("births/4") == 49
            assert sorted(again.below("births")) == ["0", "1", "2", "3", "4"]
