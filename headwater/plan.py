"""How large an installation must be: pure arithmetic on measured costs, which docs/scaling.md explains.

In: a `Load`. Out: a `Plan`: partitions, processes, brokers, bytes; `CONSTANTS` says where each number comes from.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from headwater.errors import ConfigError

DAY = 86_400
PARTITIONS_MOST = 1024
"""What the configuration accepts for `log.partitions`."""


class Constant(NamedTuple):
    """A number that the plan is made with. `source`: where it was measured, or that it is assumed."""

    value: float
    unit: str
    source: str


CONSTANTS: Mapping[str, Constant] = {
    "utilisation": Constant(0.5, "share of a core", "assumed: the other half is for peaks and for catching up"),
    "headroom": Constant(2, "times the consumers", "assumed: partitions cannot grow without a drain"),
    "gateway": Constant(
        12.7, "CPU-s per million messages", "docs/benchmarks.md: MQTT QoS 1, with the SQLite log's work"
    ),
    "connections": Constant(20_000, "connections a gateway", "configuration: mqtt.connections, its default"),
    "selector": Constant(4.4, "CPU-s per million messages", "docs/benchmarks.md: selector, five rules"),
    "live": Constant(21, "CPU-s per million messages", "docs/benchmarks.md: live, 100,000 devices in random order"),
    "reports": Constant(12, "CPU-s per million messages", "DESIGN.md 8: budget of rows with rollups, not measured"),
    "lake": Constant(7.2, "CPU-s per million messages", "docs/benchmarks.md: lake, to the commit"),
    "documents": Constant(20, "CPU-s per million candidates", "assumed: no benchmark yet"),
    "search": Constant(40, "CPU-s per million candidates", "assumed: no benchmark yet"),
    "broker_bytes": Constant(30e6, "bytes/s written a broker", "assumed: far below what one disk writes in sequence"),
    "log_overhead": Constant(30, "bytes a message", "assumed: key, offset and headers of an entry"),
    "lake_share": Constant(0.216, "bytes a byte of JSON", "docs/benchmarks.md: messages 15.7 % and readings 5.9 %"),
    "live_bytes": Constant(250, "bytes a device and field", "assumed: a value with its times and id in Redis"),
    "row_overhead": Constant(100, "bytes a row or document", "assumed: id, times and index entries"),
    "index_share": Constant(1.5, "bytes a byte of JSON", "assumed: Elasticsearch, source and inverted index"),
    "rollup_bytes": Constant(120, "bytes a rollup row", "assumed: keys, count, sums, index"),
    "documents_days": Constant(90, "days", "configuration: documents.retention, its default"),
    "search_days": Constant(30, "days", "configuration: search.retention, its default"),
}
ON_MESSAGES = ("selector", "live", "reports", "lake")
ON_CANDIDATES = ("documents", "search")
_MOST = {"devices": 1e9, "rate": 1e5, "size": 2**20, "fields": 256, "selected": 1.0, "days": 3650}


class Load(NamedTuple):
    """What comes in. `rate`: messages a second of one device; `size`: bytes of JSON; `days`: the log's retention."""

    devices: float
    rate: float
    size: float = 200
    fields: float = 3
    selected: float = 0.05
    days: float = 7


class Storage(NamedTuple):
    """Bytes a day that come to a store, and bytes that it holds; the lake's after a year."""

    per_day: float
    held: float


class Plan(NamedTuple):
    """Numbers of things to start. `consumers`: role → processes that its work fills; `storage` counts one copy."""

    messages_per_second: float
    partitions: int
    gateways: int
    consumers: dict[str, int]
    consumer_processes: int
    brokers: int
    storage: dict[str, Storage]


def plan(load: Load) -> Plan:
    """Raises `ConfigError` for a load that makes no sense, or that one log of 1024 partitions cannot carry."""
    _check(load)
    rate = load.devices * load.rate
    consumers = {role: _processes(rate, role) for role in ON_MESSAGES}
    consumers |= {role: _processes(rate * load.selected, role) for role in ON_CANDIDATES}
    roles = (*((role, rate) for role in ON_MESSAGES), *((role, rate * load.selected) for role in ON_CANDIDATES))
    together = math.ceil(sum(_cores(each, role) for role, each in roles))
    # A role is one group: no more of its members work than there are partitions.
    partitions = _rounded(max(4, together, _of("headroom") * max(consumers.values())))
    if partitions > PARTITIONS_MOST:
        raise ConfigError(
            f"{rate:,.0f} messages/s need {partitions:,} partitions, and one log has at most {PARTITIONS_MOST}: "
            "split the devices among several installations"
        )
    gateways = max(_processes(rate, "gateway"), math.ceil(load.devices / _of("connections")))
    return Plan(rate, partitions, gateways, consumers, together, _brokers(load, rate), _storage(load, rate))


def _check(load: Load) -> None:
    for name, value in load._asdict().items():
        least = 0 if name == "selected" else math.ulp(0)
        if not least <= value <= _MOST[name]:
            above = "from 0" if name == "selected" else "above 0"
            raise ConfigError(f"{name} is {value:g}: it must be {above} and at most {_MOST[name]:g}")
    if load.devices < 1 or load.fields < 1:
        raise ConfigError("devices and fields must be at least 1")


def _of(name: str) -> float:
    return CONSTANTS[name].value


def _cores(rate: float, role: str) -> float:
    return rate * _of(role) / 1e6 / _of("utilisation")


def _processes(rate: float, role: str) -> int:
    """A process uses one core at most."""
    return max(1, math.ceil(_cores(rate, role)))


def _rounded(partitions: float) -> int:
    """Up to a multiple of 12 from 12 on, so that 2, 3, 4, 6 and 12 consumers have equal shares."""
    return math.ceil(partitions) if partitions <= 4 else 12 * math.ceil(partitions / 12)


def _brokers(load: Load, rate: float) -> int:
    """Three copies where there is more than one broker."""
    bytes_a_second = rate * (1 + load.selected) * (load.size + _of("log_overhead"))
    return 1 if rate <= 1000 else max(3, math.ceil(3 * bytes_a_second / _of("broker_bytes")))


def _storage(load: Load, rate: float) -> dict[str, Storage]:
    messages, candidates = rate * DAY, rate * load.selected * DAY
    log = (messages + candidates) * (load.size + _of("log_overhead"))
    documents = candidates * (load.size + _of("row_overhead"))
    search = candidates * (load.size * _of("index_share") + _of("row_overhead"))
    rows = messages * (load.size + _of("row_overhead"))
    # No more rollups of a minute than minutes, nor than messages; the hours' and the days' are a 60th and less.
    minutes = load.devices * load.fields * DAY * min(1 / 60, load.rate)
    hours = load.devices * load.fields * (24 * min(1, load.rate * 3600) + min(1, load.rate * DAY))
    rollups = (minutes + hours) * _of("rollup_bytes")
    lake = messages * (1 + load.selected) * load.size * _of("lake_share")
    return {
        "log": Storage(log, log * load.days),
        "live": Storage(0, load.devices * load.fields * _of("live_bytes")),
        "documents": Storage(documents, documents * _of("documents_days")),
        "search": Storage(search, search * _of("search_days")),
        "reports, rows": Storage(rows, rows),
        "reports, rollups": Storage(rollups, rollups * 365),
        "lake": Storage(lake, lake * 365),
    }
