"""Every entry of both topics comes twice, consumers come, go and freeze, a store hangs: all of it counts once."""

import signal
import time

import pytest

from tests.system.foreign import Repeater
from tests.system.stack import Stack
from tests.system.stack_kit import agreed, broker, in_order, send, settled, topic

pytestmark = [pytest.mark.process, pytest.mark.timeout(400)]
COUNT = 600
STEP = 50


def test_what_comes_twice_counts_once_while_groups_rebalance_and_a_store_hangs(stack: Stack) -> None:
    """Twelve partitions. A rebalance begins and ends while MariaDB hangs; a member sleeps past its session."""
    stack.settings |= {"HEADWATER_LOG__PARTITIONS": "12", "HEADWATER_SELECTION__CLOCK": "2s"}
    stack.settings |= {"HEADWATER_MARIADB__TIME": "2s", "HEADWATER_WORKERS__RETRY_MOST": "2s"}
    api, gateway = stack.api(), stack.gateway()
    consumers = [stack.consumer() for _ in range(3)]
    for part in (api, gateway, *consumers):
        part.wait_ready()
    topics = [topic(stack, name) for name in ("messages", "candidates")]
    repeater = Repeater(broker(stack), topics, seed=4)
    repeater.start()
    for turn, start in enumerate(range(0, COUNT, STEP)):
        send(stack, range(start, start + STEP))
        match turn:
            case 2:
                stack.servers["mariadb"].freeze()
            case 3:
                consumers[0].kill()
                consumers.append(stack.consumer())
            case 5:
                time.sleep(7)  # past the session of the killed one: its partitions are given away meanwhile
                stack.servers["mariadb"].thaw()
            case 7:
                consumers[1].send_signal(signal.SIGSTOP)
            case 9:
                time.sleep(7)
                consumers[1].send_signal(signal.SIGCONT)
                assert consumers[2].stop() == 0
            case _:
                time.sleep(0.5)
    settled(stack, COUNT, again=True)
    repeater.halt()
    settled(stack, COUNT, again=True)
    assert min(repeater.copied[name] for name in topics) >= COUNT
    for name in ("messages", "candidates"):
        in_order(stack, name, COUNT)
    agreed(stack)
    consumers[-1].wait_ready()
    for part in (gateway, consumers[1], consumers[-1], api):
        assert part.stop() == 0, part.output.read_text()[-3000:]
