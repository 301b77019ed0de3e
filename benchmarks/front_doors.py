"""What devices talk to in the comparison, each as processes of their own: a gateway, Mosquitto, Telegraf behind it.

In: the fleet, a Kafka, a folder. Out: a `Door` that serves, killed at the end of the block. Identity is on in all:
tokens as passwords, topic rules; over HTTP Telegraf knows one name for all. Mosquitto keeps nothing and has no log
behind it: its PUBACK promises less. Telegraf takes from Mosquitto with QoS 1 and writes JSON to Kafka with acks=all,
keyed by device; it knows no ranges. Over HTTP it answers before Kafka has anything.
"""

import base64
import socket
import subprocess
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import yaml

from benchmarks.front_fleet import READER, Fleet
from benchmarks.measure import cpu_seconds, resident
from headwater.config_stack import Kafka
from headwater.log import MESSAGES
from tests.services.recipes import program
from tests.services.server import Missing, Process, Recipe, Started, free_port
from tests.system.stack import Part

_FETCH = Path(__file__).parent / "peers" / "fetch"
ARRIVED = "telegraf"
"""Telegraf's topic, below the prefix of the run."""


class Door(NamedTuple):
    """Addresses, HOST:PORT. `topic`: where on Kafka its messages are, below the prefix.

    `later`: they are not there yet when it answers. `authorization`: what HTTP wants from everyone; empty: of each
    device its own token.
    """

    name: str
    pids: tuple[int, ...]
    tcp: str = ""
    tls: str = ""
    http: str = ""
    topic: str = ""
    later: bool = False
    authorization: str = ""

    @property
    def memory(self) -> int:
        """Bytes that its processes have now."""
        return sum(map(resident, self.pids))

    @property
    def cpu(self) -> float:
        """CPU seconds that its processes have had."""
        return sum(map(cpu_seconds, self.pids))


def _here() -> str:
    return f"127.0.0.1:{free_port()}"


@contextmanager
def headwater(fleet: Fleet, kafka: Kafka, folder: Path) -> Generator[Door]:
    """`headwater gateway`."""
    mqtt, mqtts, http = _here(), _here(), _here()
    settings = {"profile": "stack", "kafka": {"servers": list(kafka.servers), "prefix": kafka.prefix}}
    file = folder / "gateway.yaml"
    file.write_text(yaml.safe_dump(settings | fleet.settings(mqtts)))
    part = Part("gateway", ["gateway", "--config", str(file), "--http", http, "--mqtt", mqtt], {}, folder)
    try:
        part.wait_ready()
        yield Door("Headwater", (part.pid,), mqtt, mqtts, http, MESSAGES)
    finally:
        part.kill()


@contextmanager
def mosquitto(fleet: Fleet, kafka: Kafka, folder: Path) -> Generator[Door]:
    """Mosquitto alone."""
    del kafka
    executable = program("mosquitto", "mosquitto")

    def command(server: Process) -> list[str]:
        file = folder / "mosquitto.conf"
        file.write_text(fleet.mosquitto(server.port, server.second_port))
        return [executable, "-c", str(file)]

    with _running(Recipe("mosquitto", command), _listens, folder) as server:
        here = f"127.0.0.1:{server.port}", f"127.0.0.1:{server.second_port}"
        yield Door("Mosquitto, no log", (server.pid,), *here)


@contextmanager
def telegraf_mqtt(fleet: Fleet, kafka: Kafka, folder: Path) -> Generator[Door]:
    """Mosquitto, and Telegraf that reads from it."""
    with mosquitto(fleet, kafka, folder) as broker:
        reading = _READING.replace("{broker}", broker.tcp)
        with _running(_telegraf(reading, fleet, kafka, folder), _connected, folder / "telegraf") as server:
            pids = *broker.pids, server.pid
            yield broker._replace(name="Telegraf + Mosquitto", pids=pids, topic=ARRIVED, later=True)


@contextmanager
def telegraf_http(fleet: Fleet, kafka: Kafka, folder: Path) -> Generator[Door]:
    """Telegraf, which is asked itself."""
    with _running(_telegraf(_LISTENING, fleet, kafka, folder), _listens, folder / "telegraf") as server:
        said = "Basic " + base64.b64encode(f"{READER}:{fleet.secret}".encode()).decode()
        at = f"127.0.0.1:{server.port}"
        yield Door("Telegraf", (server.pid,), http=at, topic=ARRIVED, later=True, authorization=said)


_AGENT = """\
[agent]
  interval = "1s"
  flush_interval = "1s"
  metric_batch_size = 1000
  metric_buffer_limit = 1000000
  omit_hostname = true
[[outputs.kafka]]
  brokers = ["{server}"]
  topic = "{topic}"
  routing_tag = "device"
  required_acks = -1
  data_format = "json"
"""
_READING = """\
[[inputs.mqtt_consumer]]
  servers = ["tcp://{broker}"]
  topics = ["devices/+/telemetry"]
  qos = 1
  max_undelivered_messages = 10000
  username = "{user}"
  password = "{secret}"
  data_format = "json"
  json_time_key = "at"
  json_time_format = "unix_ms"
  json_string_fields = ["state"]
  [[inputs.mqtt_consumer.topic_parsing]]
    topic = "devices/+/telemetry"
    tags = "_/device/_"
"""
_LISTENING = """\
[[inputs.http_listener_v2]]
  service_address = "tcp://127.0.0.1:{port}"
  paths = ["/ingest"]
  methods = ["POST"]
  basic_username = "{user}"
  basic_password = "{secret}"
  data_format = "json"
  tag_keys = ["device"]
  json_string_fields = ["id", "state"]
"""


def _telegraf(source: str, fleet: Fleet, kafka: Kafka, folder: Path) -> Recipe:
    known = {"server": kafka.servers[0], "topic": kafka.prefix + ARRIVED, "user": READER, "secret": fleet.secret}
    executable = str(fetched())

    def command(server: Process) -> list[str]:
        text = _AGENT + source
        for name, value in {**known, "port": str(server.port)}.items():
            text = text.replace(f"{{{name}}}", value)
        file = folder / "telegraf.conf"
        file.write_text(text)
        return [executable, "--config", str(file)]

    return Recipe("telegraf", command)


def fetched() -> Path:
    """Telegraf's program, built at the first time. Raises `Missing`."""
    done = subprocess.run([_FETCH], capture_output=True, text=True, timeout=1800, check=False)
    if done.returncode:
        raise Missing(f"telegraf: {done.stderr.strip()[-500:]}")
    return Path(done.stdout.strip())


def _listens(server: Started) -> bool:
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
    except OSError:
        return False
    return True


def _connected(server: Started) -> bool:
    return "Connected [tcp" in server.log_text()


@contextmanager
def _running(recipe: Recipe, ready: Callable[[Started], bool], folder: Path) -> Generator[Process]:
    server = Process(recipe, ready, folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()
