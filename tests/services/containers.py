"""Real servers where no program can be had but Docker runs: official images. In: a name. Out: a `Server`, or `Missing`.

Published on 127.0.0.1, the same ports for the container's life; data lives in the container's own layer.
"""

import functools
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.services.recipes import KAFKA_SETTINGS, READY
from tests.services.server import HOST, START_TIME, Missing, NotServing, Server, free_port

PULL_TIME = 600.0


@dataclass(slots=True)
class Container:
    """A `Server` run by Docker."""

    name: str
    image: str
    inside: int
    options: Callable[["Container"], list[str]] = lambda _: []
    arguments: tuple[str, ...] = ()
    host: str = HOST
    port: int = field(default_factory=free_port)
    access_key: str = "tests-access"
    secret_key: str = "tests-secret-key"
    stand_in: bool = False
    _id: str = field(default_factory=lambda: f"headwater-tests-{uuid.uuid4().hex[:12]}")
    _made: bool = False

    def start(self) -> None:
        if self._made:
            _docker("start", self._id)
        else:
            published = f"{HOST}:{self.port}:{self.inside}"
            options = [*self.options(self), "--name", self._id, "-p", published, "-m", "1g"]
            _docker("run", "-d", *options, self.image, *self.arguments, limit=PULL_TIME)
            self._made = True
        end = time.monotonic() + START_TIME
        while not READY[self.name](self):
            if time.monotonic() > end:
                raise NotServing(f"{self.name} does not serve:\n{self.log_text()[-2000:]}")
            time.sleep(0.1)

    def kill(self) -> None:
        self._try("kill", self._id)

    def freeze(self) -> None:
        self._try("pause", self._id)

    def thaw(self) -> None:
        self._try("unpause", self._id)

    def wipe(self) -> None:
        self.close()
        self.start()

    def close(self) -> None:
        self._try("rm", "-f", "-v", self._id)
        self._made = False

    def log_text(self) -> str:
        # Since the last start only: the line that says it serves is there from the one before, too.
        started = _docker("inspect", "-f", "{{.State.StartedAt}}", self._id).strip()
        return _docker("logs", "--since", started, self._id)

    def _try(self, *command: str) -> None:
        """What may fail because it is so already."""
        subprocess.run(["docker", *command], capture_output=True, timeout=60, check=False)


def _docker(*command: str, limit: float = 60) -> str:
    done = subprocess.run(
        ["docker", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=limit, check=False
    )
    if done.returncode:
        raise NotServing(f"docker {command[0]}: {done.stdout[-1000:]}")
    return done.stdout


def _kafka(container: Container) -> list[str]:
    own = {
        "node.id": "1",
        "process.roles": "broker,controller",
        "controller.quorum.voters": "1@localhost:29093",
        "listeners": "PLAINTEXT://:9092,CONTROLLER://:29093",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{container.port}",
        "inter.broker.listener.name": "PLAINTEXT",
    }
    settings = {line.partition("=")[0]: line.partition("=")[2] for line in KAFKA_SETTINGS.split()} | own
    return [x for name, value in settings.items() for x in ("-e", f"KAFKA_{name.replace('.', '_').upper()}={value}")]


def _environment(*settings: str) -> Callable[[Container], list[str]]:
    return lambda _: [x for setting in settings for x in ("-e", setting)]


def _minio(container: Container) -> list[str]:
    return _environment(f"MINIO_ROOT_USER={container.access_key}", f"MINIO_ROOT_PASSWORD={container.secret_key}")(
        container
    )


_ELASTIC = ("discovery.type=single-node", "xpack.security.enabled=false", "ES_JAVA_OPTS=-Xms512m -Xmx512m")
_MAKERS: dict[str, Callable[[], Container]] = {
    "kafka": lambda: Container("kafka", "apache/kafka:4.1.0", 9092, _kafka),
    "redis": lambda: Container("redis", "redis:7.4", 6379, arguments=("redis-server", "--appendonly", "yes")),
    "mongo": lambda: Container("mongo", "mongo:8.0", 27017),
    "elasticsearch": lambda: Container("elasticsearch", "elasticsearch:8.19.3", 9200, _environment(*_ELASTIC)),
    "mariadb": lambda: Container("mariadb", "mariadb:11.4", 3306, _environment("MARIADB_ALLOW_EMPTY_ROOT_PASSWORD=1")),
    "minio": lambda: Container("minio", "minio/minio:RELEASE.2025-04-22T22-12-26Z", 9000, _minio, ("server", "/data")),
}


@functools.cache
def _engine() -> bool:
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, timeout=30, check=False).returncode == 0


def container(name: str, reason: str) -> Server:
    """The server as a container, or `Missing` with the reason why its program is not there."""
    if not _engine():
        raise Missing(f"{reason}, and no Docker engine answers")
    return _MAKERS[name]()
