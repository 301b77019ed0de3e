"""What a running stack of containers must show, looked at from where its ports are published. Started by tests/compose/run.

In: the containers of the compose project in this folder, and the file EVENTS of what became of them; `first`, or `again`
after it was taken down and up. Out: a line a finding; the first that is wrong ends it.
"""

import json
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.compose.containers import ask, compose, containers, shell
from tests.compose.sender import DEVICES, Sender

APPS = ("gateway", "consumer", "api")
SERVERS = ("kafka", "redis", "mongodb", "elasticsearch", "mariadb", "minio")
GATEWAY, API = "http://127.0.0.1:8080", "http://127.0.0.1:8081"
PARTITIONS = {"0", "1", "2", "3"}
COUNT = 480


def say(what: str) -> None:
    print(f"        {what}", flush=True)


def until(what: Callable[[], object], wanted: object, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    found: object = None
    while time.monotonic() < deadline:
        try:
            found = what()
        except (OSError, KeyError, IndexError) as error:
            found = error
        if found == wanted:
            return
        time.sleep(0.5)
    raise AssertionError(f"{found!r} instead of {wanted!r}")


def healthy_in_order() -> None:
    """Nothing of ours was started before each server was well; all are well now; three consumers."""
    started: dict[str, int] = {}
    well: dict[str, int] = {}
    for line in Path(os.environ["EVENTS"]).read_text("utf-8").splitlines():
        when, action, name = line.split("\t")
        service = name.removeprefix("headwater-").rpartition("-")[0]
        if action == "start":
            started.setdefault(service, int(when))
        elif action == "health_status: healthy":
            well.setdefault(service, int(when))
    for app in APPS:
        for server in SERVERS:
            assert well[server] < started[app], (server, app)
        assert [one.health for one in containers(app)] == ["healthy"] * (3 if app == "consumer" else 1)
    assert all(started["credentials"] < started[server] for server in SERVERS[1:])
    say("health checks, and each start after what it depends on")


def confined() -> None:
    """Users, root file systems, privileges and memory are as they should be in the running processes themselves."""
    for app in APPS:
        for one in containers(app):
            assert one.run("id -u; id -g").split() == ["10001", "10001"]
            status = one.run("cat /proc/1/status")
            assert re.search(r"^CapEff:\s*0+$", status, re.MULTILINE), status
            assert re.search(r"^NoNewPrivs:\s*1$", status, re.MULTILINE), status
            for place in ("/x", "/opt/headwater/x", "/run/secrets/x", "/run/secrets/redis"):
                assert one.run(f"echo x 2>&1 >{place} || echo refused").endswith("refused\n"), place
            assert one.run("touch /data/x /tmp/x && rm /data/x /tmp/x && echo done") == "done\n"
    for service in (*APPS, *SERVERS, "prometheus"):
        for one in containers(service):
            assert one.memory_limit > 0, service
            limit = one.run("cd /sys/fs/cgroup; cat memory.max 2>/dev/null || cat memory/memory.limit_in_bytes")
            assert int(limit) == one.memory_limit, (service, limit)
            assert not one.out_of_memory, service
    published = {
        port for service in (*SERVERS, *APPS, "prometheus") for one in containers(service) for port in one.ports
    }
    assert published == {"127.0.0.1:8080", "127.0.0.1:1883", "127.0.0.1:8081"}, published
    say("not root, read-only, no capabilities, memory limits; three ports published, on loopback")


def closed_to_strangers(metrics_key: str) -> None:
    assert ask(f"{API}/api/v1/devices")[0] == 401
    assert ask(f"{GATEWAY}/ingest", data=b'{"device":"pump-0","fields":{"n":1}}')[0] == 401
    for url in (GATEWAY, API, *(f"http://{one.address}:9100" for one in containers("consumer"))):
        assert ask(f"{url}/metrics")[0] == 401, url
        status, text = ask(f"{url}/metrics", metrics_key)
        assert (status, "headwater_" in text) == (200, True), url
    assert ask(f"{API}/api/v1/devices", metrics_key)[0] == 401
    assert "NOAUTH" in shell("redis", "redis-cli ping")
    status = "curl -s -o /dev/null -w '%{http_code}' "
    assert shell("elasticsearch", f"{status} http://127.0.0.1:9200/_cat/indices") == "401"
    assert shell("elasticsearch", f"{status} -u elastic:wrong http://127.0.0.1:9200/_cat/indices") == "401"
    assert shell("minio", f"{status} http://127.0.0.1:9000/headwater") == "403"
    assert "Access denied" in shell("mariadb", "mariadb --no-defaults -h mariadb -u headwater -pwrong 2>&1 || true")
    say(
        "nobody without a credential; the metrics key opens the metrics only; each server but MongoDB's stand-in asks for its password"
    )


def shared(metrics_key: str) -> bool:
    """Each of three consumers has partitions of every group, none twice, none missing."""
    owned: dict[str, list[set[str]]] = {}
    for one in containers("consumer"):
        text = ask(f"http://{one.address}:9100/metrics", metrics_key)[1]
        mine: dict[str, set[str]] = {}
        for group, partition in re.findall(r'^headwater_lag\{group="([^"]+)",partition="(\d+)"', text, re.MULTILINE):
            mine.setdefault(group, set()).add(partition)
        for group, partitions in mine.items():
            owned.setdefault(group, []).append(partitions)
    shares = [sorted(map(len, owners)) for owners in owned.values()]
    whole = all(set().union(*owners) == PARTITIONS for owners in owned.values())
    return len(owned) >= 6 and whole and all(share == [1, 1, 2] for share in shares)


def new_key(name: str) -> str:
    """An API key that may read."""
    return compose("exec", "-T", "api", "headwater", "keys", "add", name).strip()


def ours(device: str) -> bool:
    """Sent by us: gateways send too, about themselves and the rates of those who send."""
    return device.startswith("pump-")


def found_everywhere(key: str) -> None:
    """Each message once in each store, and the newest of each device where the newest is asked."""
    sent = set(range(COUNT))

    def get(path: str) -> Any:
        status, text = ask(f"{API}/api/v1/{path}", key)
        if status != 200:
            raise OSError(f"{path}: {status} {text}")
        return json.loads(text)

    def numbers(path: str) -> list[int]:
        items = [one.get("message", one) for one in get(path)["items"]]
        return sorted(one["fields"]["n"] for one in items if ours(one["device"]))

    def newest() -> dict[str, int]:
        return {
            one["device"]: one["fields"]["n"]["value"]
            for one in get("devices?limit=100")["items"]
            if ours(one["device"])
        }

    def rolled() -> tuple[int, int]:
        items = get("reports/day?field=n&limit=1000")["items"]
        return sum(one["count"] for one in items), sum(int(one["sum"]) for one in items)

    wanted = sorted(sent)
    until(lambda: numbers("reports/rows?limit=1000"), wanted)
    until(rolled, (len(sent), sum(sent)))
    say("reports (MariaDB): every message in rows once, sums exact")
    until(newest, {f"pump-{d}": max(n for n in sent if n % DEVICES == d) for d in range(DEVICES)})
    say("live (Redis): the newest of each device")
    until(lambda: numbers("candidates?limit=1000"), wanted)
    say("documents (MongoDB's stand-in): every candidate once")
    until(lambda: numbers("search?q=pump&limit=1000"), wanted)
    assert numbers("search?q=word:w17") == [17]
    say("search (Elasticsearch): every candidate once, and one by its word")
    until(lambda: sorted(json.loads(shell("api", IN_THE_LAKE))), wanted)
    histories = [numbers(f"devices/pump-{d}/history?limit=1000") for d in range(DEVICES)]
    assert sorted(n for history in histories for n in history) == wanted
    say("lake (MinIO): every message once, in the table itself and in the devices' histories")


IN_THE_LAKE = """python3 - <<'END'
import json, os, pathlib, deltalake
secret = lambda name: pathlib.Path("/run/secrets", name).read_text()
options = {"endpoint": "http://minio:9000", "allow_http": "true", "region": "us-east-1",
           "access_key_id": secret("s3_access"), "secret_access_key": secret("s3_secret")}
table = deltalake.DeltaTable("s3://headwater/lake/messages", storage_options=options)
print(json.dumps([int(one["id"][1:]) for one in table.to_pyarrow_table(columns=["id", "device"]).to_pylist()
                  if one["device"].startswith("pump-")]), flush=True)
os._exit(0)  # without the interpreter's last rites, in which deltalake aborts now and then
END"""


def scraped() -> None:
    """Prometheus reaches every process of ours with its key, and has what they count."""
    url = f"http://{containers('prometheus')[0].address}:9090/api/v1"

    def targets() -> list[str]:
        return [one["health"] for one in json.loads(ask(f"{url}/targets")[1])["data"]["activeTargets"]]

    until(targets, ["up"] * 5)
    counted = json.loads(ask(f"{url}/query?query=sum(headwater_accepted_total)")[1])["data"]["result"]
    assert float(counted[0]["value"][1]) > 0
    say("Prometheus scrapes all five processes")


def first() -> None:
    """From the start on, up to everything of ours stopped in order."""
    metrics_key = shell("redis", "cat /run/secrets/metrics_key")
    healthy_in_order()
    confined()
    closed_to_strangers(metrics_key)
    until(lambda: shared(metrics_key), wanted=True)
    say("three consumers share the partitions of every group")
    sender = Sender()
    sender.by_http(GATEWAY, range(240))
    victim = containers("consumer")[1]
    victim.kill()
    say("SIGKILL to a consumer's process")
    sender.by_mqtt(1883, range(240, 360))
    until(lambda: (victim.again().restarts, victim.again().health), (1, "healthy"))
    until(lambda: shared(metrics_key), wanted=True)
    say("it is started again, and has its share")
    sender.by_http(GATEWAY, range(360, COUNT))
    found_everywhere(new_key("first"))
    scraped()
    compose("stop", *APPS)
    assert [one.exit_code for app in APPS for one in containers(app)] == [0] * 5
    say("stopped, each process in order")


if __name__ == "__main__":
    first() if sys.argv[1:] == ["first"] else found_everywhere(new_key("again"))
