"""How each server is run from a program on this machine: command, configuration, and how one knows that it serves.

In: programs from Debian's packages, and from the cache that `scripts/services/fetch` fills. Out: `native(name)`, or
`Missing` with the reason. Everything listens on 127.0.0.1 only, without passwords (MinIO excepted: it has no other way).
"""

import base64
import os
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path

from tests.services.server import HOST, Missing, NotServing, Process, Recipe, Started

ROOT = Path(__file__).parents[2]
NOBODY = "65534"


def cached(name: str) -> Path:
    """The folder of a fetched server."""
    versions = dict(line.split("=", 1) for line in (ROOT / "scripts/services/versions").read_text("ascii").split())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "headwater/services" / f"{name}-{versions[name.upper()]}"
    if not folder.is_dir():
        raise Missing(f"{name}: not fetched (scripts/services/fetch {name})")
    return folder


def program(name: str, package: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise Missing(f"{name}: not installed (Debian: {package})")
    return found


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    if done.returncode:
        raise NotServing(f"{command[0]}: {(done.stdout + done.stderr).decode('utf-8', 'replace')[-2000:]}")


def _says(port: int, question: bytes, answer: bytes) -> bool:
    """Whether a server on this port says these bytes within a second."""
    try:
        with socket.create_connection((HOST, port), timeout=1) as connection:
            connection.settimeout(1)
            connection.sendall(question)
            return answer in connection.recv(256) if answer else True
    except OSError:
        return False


def _http_ok(port: int, path: str) -> bool:
    url = f"http://{HOST}:{port}{path}"
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5) as answer:
            return answer.status == 200
    except (OSError, urllib.error.URLError):
        return False


def redis() -> Recipe:
    executable = program("redis-server", "redis-server")
    return Recipe(
        "redis",
        command=lambda server: [
            *(executable, "--bind", HOST, "--port", str(server.port), "--dir", str(server.data)),
            *("--appendonly", "yes", "--save", "", "--maxmemory", "256mb", "--maxmemory-policy", "noeviction"),
        ],
    )


def mariadb() -> Recipe:
    executable, install = program("mariadbd", "mariadb-server"), program("mariadb-install-db", "mariadb-server")
    user = os.environ.get("USER", "") if os.getuid() else "root"

    def prepare(server: Process) -> None:
        _run(
            *(install, "--no-defaults", f"--user={user}", f"--datadir={server.data}", "--skip-test-db"),
            "--auth-root-authentication-method=normal",
        )

    return Recipe(
        "mariadb",
        prepare=prepare,
        command=lambda server: [
            *(executable, "--no-defaults", f"--user={user}", f"--datadir={server.data}", f"--bind-address={HOST}"),
            *(f"--port={server.port}", f"--socket={server.folder / 'socket'}", f"--pid-file={server.folder / 'pid'}"),
            *("--innodb-buffer-pool-size=128M", "--innodb-flush-log-at-trx-commit=2", "--max-connections=200"),
            *("--character-set-server=utf8mb4", "--local-infile=0"),
        ],
    )


def minio() -> Recipe:
    executable = cached("minio") / "minio"
    return Recipe(
        "minio",
        command=lambda server: [
            *(str(executable), "server", "--quiet", "--address", f"{HOST}:{server.port}"),
            *("--certs-dir", str(server.folder / "certs"), str(server.data)),
        ],
        environment=lambda server: {
            "MINIO_ROOT_USER": server.access_key,
            "MINIO_ROOT_PASSWORD": server.secret_key,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
            "MINIO_CALLHOME_ENABLE": "off",
            "MINIO_CI_CD": "1",  # it is content with one disk that is the system's
        },
    )


def mongo() -> Recipe:
    java, folder = program("java", "default-jdk-headless"), cached("mongo")
    return Recipe(
        "mongo",
        command=lambda server: [
            *(java, "-Xmx256m", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"),
            *("-cp", f"{folder}:{folder}/*", "Serve", str(server.port), str(server.data)),
        ],
        stand_in=True,
    )


KAFKA_SETTINGS = """
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=100
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
"""  # the broker's own session is short: after a kill it is let back in when the old one is over
_KAFKA_HERE = """
process.roles=broker,controller
node.id={number}
controller.quorum.voters={voters}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{second_port}
advertised.listeners=PLAINTEXT://{host}:{port}
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
"""


def kafka(number: int = 1, voters: Callable[[Process], str] = lambda it: f"1@{HOST}:{it.second_port}") -> Recipe:
    """One broker and controller, of a cluster of its own, or of one that has the `voters` (`ID@HOST:PORT,…`)."""
    java, jars = program("java", "default-jdk-headless"), cached("kafka")
    options = [
        *("-Xmx512m", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true"),
        *("-Dorg.slf4j.simpleLogger.defaultLogLevel=info", "-cp", f"{jars}/*"),
    ]

    def configuration(server: Process) -> str:
        file = server.folder / "server.properties"
        values = {"host": HOST, "port": server.port, "second_port": server.second_port, "data": server.data}
        here = _KAFKA_HERE.format_map(values | {"number": number, "voters": voters(server)})
        file.write_text(KAFKA_SETTINGS + here, "ascii")
        return str(file)

    def prepare(server: Process) -> None:
        # An id that begins with "-" would be read as an option. All that have the same voters have the same one.
        name = uuid.uuid5(uuid.NAMESPACE_URL, voters(server)).bytes
        cluster = "A" + base64.urlsafe_b64encode(name).decode("ascii").rstrip("=")[1:]
        _run(java, *options, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", configuration(server))

    return Recipe(
        "kafka",
        prepare=prepare,
        command=lambda server: [java, *options, "kafka.Kafka", configuration(server)],
    )


def kafka_cluster(folder: Path, brokers: int) -> list[Process]:
    """So many brokers, not started: none of them serves before most of them run."""
    made: list[Process] = []

    def voters(_: Process) -> str:
        return ",".join(f"{number}@{HOST}:{node.second_port}" for number, node in enumerate(made, 1))

    for number in range(1, brokers + 1):
        made.append(Process(kafka(number, voters), READY["kafka"], folder / f"kafka-{number}"))
    return made


_ELASTIC = """
cluster.name: tests
node.name: tests
path.data: {data}
path.logs: {logs}
network.host: {host}
http.port: {port}
transport.port: {second_port}
discovery.type: single-node
xpack.security.enabled: false
cluster.routing.allocation.disk.threshold_enabled: false
"""


def elasticsearch() -> Recipe:
    java, home = program("java", "default-jdk-headless"), cached("elasticsearch")
    as_nobody: list[str] = []
    if os.getuid() == 0:  # it refuses uid 0: in a user namespace it sees another one, and its files stay ours
        as_nobody = [program("unshare", "util-linux"), f"--map-user={NOBODY}", f"--map-group={NOBODY}"]
        if subprocess.run([*as_nobody, "true"], capture_output=True, timeout=10, check=False).returncode:
            raise Missing("elasticsearch: it does not run as root, and user namespaces are not allowed here")

    def command(server: Process) -> list[str]:
        config, logs = server.folder / "config", server.folder / "logs"
        for folder in (config, logs, server.folder / "tmp"):
            folder.mkdir(exist_ok=True)
        values = {"host": HOST, "port": server.port, "second_port": server.second_port}
        (config / "elasticsearch.yml").write_text(_ELASTIC.format(data=server.data, logs=logs, **values), "utf-8")
        shutil.copy(home / "config/log4j2.properties", config)
        lines = (home / "config/jvm.options").read_text("utf-8").splitlines()
        (config / "jvm.options").write_text("\n".join(x for x in lines if not _logs_elsewhere(x)) + "\n", "utf-8")
        return [*as_nobody, str(home / "bin/elasticsearch")]

    return Recipe(
        "elasticsearch",
        command=command,
        environment=lambda server: {
            "ES_JAVA_HOME": str(Path(java).resolve().parents[1]),
            "ES_PATH_CONF": str(server.folder / "config"),
            "ES_TMPDIR": str(server.folder / "tmp"),
            "ES_JAVA_OPTS": "-Xms512m -Xmx512m -XX:-AlwaysPreTouch -XX:TieredStopAtLevel=1",
        },
    )


def _logs_elsewhere(option: str) -> bool:
    """Options that write files into the distribution's own folder, which is shared."""
    return any(part in option for part in ("-Xlog:gc", "HeapDump", "ErrorFile"))


RECIPES = {
    "kafka": kafka,
    "redis": redis,
    "mongo": mongo,
    "elasticsearch": elasticsearch,
    "mariadb": mariadb,
    "minio": minio,
}


# Of Kafka the last line of its start counts: its port answers before, while topics cannot be made yet.
READY: dict[str, Callable[[Started], bool]] = {
    "kafka": lambda server: "Kafka Server started" in server.log_text(),
    "redis": lambda server: _says(server.port, b"PING\r\n", b"+PONG"),
    "mongo": lambda server: _says(server.port, b"", b""),
    "elasticsearch": lambda server: _http_ok(server.port, "/_cluster/health?wait_for_status=yellow&timeout=2s"),
    "mariadb": lambda server: _says(server.port, b"", b"MariaDB"),
    "minio": lambda server: _http_ok(server.port, "/minio/health/ready"),
}


def native(name: str, folder: Path) -> Process:
    """The server from a program on this machine, not started; data goes below the folder. `Missing`, if it isn't there."""
    return Process(RECIPES[name](), READY[name], folder)
