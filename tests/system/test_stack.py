"""The stack end to end: what a gateway acknowledged is in each of the five real stores, once, whoever dies meanwhile."""

import json
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest

from tests.system.program import free_port
from tests.system.stack import Stack
from tests.system.stack_kit import in_live, in_reports, in_search, send, settled
from tests.system.waiting import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(240)]
COUNT = 600


def test_check_names_the_server_that_is_away_and_what_works(stack: Stack) -> None:
    output, code = stack.check()
    assert (output.count("FAILED"), code) == (0, 0), output
    stack.settings["HEADWATER_REDIS__URL"] = f"redis://127.0.0.1:{free_port()}/0"
    output, code = stack.check()
    assert code == 1
    assert any(line.startswith("FAILED  Redis") for line in output.splitlines())
    assert output.count("FAILED") == 1, output


def test_a_consumer_is_not_ready_before_its_store_has_answered(stack: Stack) -> None:
    address = f"127.0.0.1:{free_port()}"
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes connections and says nothing
        stack.settings["HEADWATER_REDIS__URL"] = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        stack.settings["HEADWATER_REDIS__TIME"] = "30s"
        part = stack.consumer("live", "--metrics", address)
        part.wait_ready()
        with pytest.raises(urllib.error.HTTPError, match="503") as refused:
            urllib.request.urlopen(f"http://{address}/readyz", timeout=10)
        assert json.loads(refused.value.read())["checks"]["stores"] == "not opened yet: live"
        refused.value.close()
        part.kill()


def test_what_was_acknowledged_is_in_every_store_once_though_a_consumer_is_killed(stack: Stack) -> None:
    api, gateway = stack.api(), stack.gateway()
    consumers = [stack.consumer(), stack.consumer()]
    for part in (api, gateway, *consumers):
        part.wait_ready()
    for start in range(0, COUNT, 100):
        send(stack, range(start, start + 100))
        if start == 200:
            consumers[0].kill()
            consumers.append(stack.consumer())
    consumers[-1].wait_ready()
    settled(stack, COUNT)
    for part in (gateway, *consumers[1:], api):
        assert part.stop() == 0, part.output.read_text()[-3000:]


def test_consumers_that_come_go_and_freeze_past_their_session_double_nothing(stack: Stack) -> None:
    """Twelve partitions, four consumers: one frozen while it writes and woken later, one killed, one that leaves, two new."""
    stack.settings["HEADWATER_LOG__PARTITIONS"] = "12"
    api, gateway = stack.api(), stack.gateway()
    consumers = [stack.consumer() for _ in range(4)]
    for part in (api, gateway, *consumers):
        part.wait_ready()
    for turn, start in enumerate(range(0, COUNT, 50)):
        send(stack, range(start, start + 50))
        match turn:
            case 2:
                consumers[0].send_signal(signal.SIGSTOP)
            case 4:
                consumers[1].kill()
                consumers.append(stack.consumer())
            case 6:
                assert consumers[2].stop() == 0
            case 8:
                time.sleep(7)  # past the session of the frozen one
                consumers[0].send_signal(signal.SIGCONT)
                consumers.append(stack.consumer())
            case _:
                time.sleep(0.3)
    settled(stack, COUNT)
    for part in consumers[-2:]:
        part.wait_ready()
    for part in (gateway, consumers[0], *consumers[3:], api):
        assert part.stop() == 0, part.output.read_text()[-3000:]


def test_a_store_that_hangs_longer_than_every_time_out_hurts_only_itself(stack: Stack) -> None:
    """Each store frozen in turn while messages flow: the others have them at once, and it catches up when it is back."""
    times = ("REDIS__TIME", "MONGODB__TIME", "ELASTICSEARCH__TIME", "MARIADB__TIME", "S3__TIME", "QUERY__TIME")
    stack.settings |= {f"HEADWATER_{name}": "2s" for name in times}
    stack.settings |= {"HEADWATER_WORKERS__WRITE_TIME": "5s", "HEADWATER_WORKERS__RETRY_MOST": "2s"}
    parts = [stack.api(), stack.gateway(), stack.consumer(), stack.consumer()]
    for part in parts:
        part.wait_ready()
    asking: dict[str, Callable[[Stack], int]] = {"redis": in_live, "mariadb": in_reports, "elastic": in_search}
    sent = 0
    for away in ("redis", "mongo", "elastic", "mariadb", "minio"):
        stack.servers[away].freeze()
        try:
            for _ in range(4):
                send(stack, range(sent, sent + 30))
                sent += 30
                time.sleep(1.5)
            for name, count in asking.items():
                if name != away:
                    until(lambda count=count: count(stack), sent, seconds=20)
        finally:
            stack.servers[away].thaw()
    assert sent == COUNT
    settled(stack, COUNT)
    for part in parts:
        assert part.stop() == 0, part.output.read_text()[-3000:]
