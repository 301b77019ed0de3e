"""The MQTT load generator, run from another process: connected first, then told to send.

In: an address and the shape of the load. Out: within the block `Clients` that are connected; afterwards no process.
"""

import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any


class Clients:
    """Connected, and waiting for the word."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def send(self) -> dict[str, Any]:
        """All messages, until the last one is acknowledged; what `benchmarks.mqtt_client` says of it.

        Raises `RuntimeError` if it did not get so far; it has said why on standard error.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print("go", file=self._process.stdin, flush=True)
        if not (said := self._process.stdout.readline()):
            raise RuntimeError("the generator ended before it had sent all")
        return json.loads(said)


@contextmanager
def clients(address: str, connections: int, window: int, messages: int, *options: str) -> Generator[Clients]:
    """`options`: more of the generator's own. Raises `RuntimeError` if not all could connect."""
    command = [
        *(sys.executable, "-m", "benchmarks.mqtt_client", address, "--wait", "--connections", str(connections)),
        *("--window", str(window), "--messages", str(messages), *options),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            if process.stdout.readline().strip() != "connected":
                raise RuntimeError(f"not all of {connections} clients could connect")
            yield Clients(process)
        finally:
            process.kill()
