"""The configuration: types, defaults, and a sentence each. `config.yaml` in the repository is written from this file.

In: a YAML file and `HEADWATER_SECTION__KEY` variables (`…_FILE` reads the value from a file: for secrets). Out: one
frozen `Config`, or `ConfigError` naming every wrong key at once. Nothing connects before this is done.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator

from headwater.config_commands import Commands
from headwater.config_decoders import Decoders
from headwater.config_models import Model, default_models
from headwater.config_quotas import Quotas
from headwater.config_registry import RegistrySettings
from headwater.config_section import Section
from headwater.config_stack import S3, Elasticsearch, Kafka, MariaDb, MongoDb, Redis
from headwater.config_stores import Documents, Live, Reports, Search
from headwater.config_tls import Tls
from headwater.config_ways import Blobs, Bridge
from headwater.errors import ConfigError
from headwater.quantities import Duration, Size

PREFIX = "HEADWATER_"
_NOT_CONFIGURATION = {
    "HEADWATER_FAILPOINTS",
    "HEADWATER_CLOCK_SHIFT",
    "HEADWATER_URL",
    "HEADWATER_TOKEN",
    "HEADWATER_CONFIG",
}


# fmt: off
# One line a key: this is the table of settings.


def _address(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{value!r} is not HOST:PORT")
    return value


class Http(Section):
    """HTTP: ingest, API, pages, metrics."""

    listen: str = Field(default="127.0.0.1:8080", description="Address and port. Beyond loopback everyone needs a credential.")
    message_size: Size = Field(default=2**20, description="The largest single message; larger ones are rejected (too_large).")
    body_size: Size = Field(default=2**20, description="The largest request body, also after decompression (413 beyond). Up to 8MiB.")
    idle: Duration = Field(default=30, description="How long a kept-alive connection may say nothing.")
    body_time: Duration = Field(default=30, description="How long a request may take to arrive; slower ones get 408.")
    connections: int = Field(default=10_000, ge=1, description="The most connections at once; more are closed at once.")
    metrics_key: SecretStr = Field(default=SecretStr(""), description="Who says this as a bearer token may read /metrics, and nothing else. Empty: an API key is needed.")
    tls: Tls = Tls()

    _listen = field_validator("listen")(_address)


class Mqtt(Section):
    """MQTT: 3.1.1 and 5."""

    listen: str = Field(default="127.0.0.1:1883", description="Address and port. Beyond loopback everyone needs a credential.")
    payload_size: Size = Field(default=128 * 2**10, description="The largest PUBLISH payload; larger ones close the connection (0x95).")
    in_flight: int = Field(default=100, ge=1, le=65_535, description="Unacknowledged PUBLISHes a connection may have (receive maximum).")
    connections: int = Field(default=20_000, ge=1, description="The most connections at once; more get CONNACK server busy.")
    connect_time: Duration = Field(default=10, description="How long after the TCP connect the CONNECT packet must be there.")
    keep_alive: Duration = Field(default=3600, description="The longest keep alive accepted; MQTT 5 clients are told to use it.")
    write_buffer: Size = Field(default=256 * 2**10, description="How much may wait for a client that does not read, before it is closed.")
    subscriptions: int = Field(default=50, ge=1, description="The most subscriptions of a session.")
    broker: bool = Field(default=False, description="The rule that grants everything: everyone who may connect publishes and subscribes to any topic, as with an ordinary broker.")
    retained: int = Field(default=100_000, ge=0, description="The most retained messages; beyond, a message is not retained (0x97). 0: none.")
    retained_size: Size = Field(default=64 * 2**20, description="The most bytes of them, about. Every gateway keeps them in memory.")
    sessions: int = Field(default=100_000, ge=0, description="The most sessions that outlive their connection, of all gateways; beyond, CONNACK says 0x97. 0: none.")
    session_expiry: Duration = Field(default=86_400, description="The longest such a session waits for its client; MQTT 5 clients are told. MQTT 3.1.1 knows no other.")
    queued: int = Field(default=1000, ge=1, description="The most QoS 1 and 2 messages that wait for such a session; beyond, the oldest is dropped.")
    queued_size: Size = Field(default=2**20, description="The most bytes of them, likewise.")
    websocket: bool = Field(default=True, description="Speak MQTT over WebSocket as well: at /mqtt, where HTTP listens.")
    tls: Tls = Tls()

    _listen = field_validator("listen")(_address)


class Ingest(Section):
    """What is accepted, and how long the log may take."""

    anonymous: Literal["loopback", "never"] = Field(default="loopback", description="`loopback`: nobody needs a credential on 127.0.0.1 and ::1. `never`: everyone does."
    )
    append_time: Duration = Field(default=10, description="How long an append may take before HTTP gets 503 and MQTT is closed (0x89).")
    linger: Duration = Field(default=0.001, description="How long a partition's queue waits for company before it is appended.")
    waiting_messages: int = Field(default=20_000, ge=1, description="Messages that may wait for the log, all together; then reading pauses.")
    waiting_size: Size = Field(default=64 * 2**20, description="Bytes that may wait for the log, all together; then reading pauses.")
    past: Duration = Field(default=30 * 86_400, description="A device clock older than this is not believed; `time` is then `received`.")
    future: Duration = Field(default=300, description="A device clock further ahead than this is not believed.")
    fields: int = Field(default=256, ge=1, description="The most fields and texts in one message.")
    text_length: int = Field(default=1024, ge=1, description="The longest text value, in characters.")
    kept_payload: Size = Field(default=128 * 2**10, description="How much of a rejected payload is kept, beside its size and hash.")
    duplicates: int = Field(default=100_000, ge=0, description="Recent message ids remembered here, so that a retry is not logged again.")


class LogConfig(Section):
    """The log: one SQLite file under the data folder, or Kafka topics."""

    partitions: int = Field(default=4, ge=1, le=1024, description="Partitions of messages, candidates and rejected. Fixed once the topics are made.")
    retention: Duration = Field(default=7 * 86_400, description="How long entries are kept.")
    retention_size: Size = Field(default=10 * 10**9, description="How many bytes of entries a topic keeps at most.")
    routed: Duration = Field(default=86_400, description="How long MQTT messages for other gateways and for sessions without a connection are kept.")
    routed_size: Size = Field(default=10**9, description="How many bytes of them are kept at most.")
    session: Duration = Field(default=30, description="A member of a group that takes nothing for this long loses its partitions.")


class Selection(Section):
    """The selector's state and how it survives."""

    checkpoint_every: Duration = Field(default=10, description="A checkpoint a partition at least this often …")
    checkpoint_messages: int = Field(default=100_000, ge=1, description="… or after so many messages.")
    clock: Duration = Field(default=5, description="On an idle partition a clock entry is appended this often.")
    duplicate_time: Duration = Field(default=600, description="A message with an id seen within this time is a duplicate …")
    duplicate_count: int = Field(default=1024, ge=1, description="… among the last so many of its device.")


class Lake(Section):
    """The lake: every message, as Delta tables of Parquet files, by day of arrival."""

    flush_every: Duration = Field(default=10, description="A file is written at least this often, if anything came …")
    flush_messages: int = Field(default=200_000, ge=1, description="… or after so many messages …")
    flush_size: Size = Field(default=64 * 2**20, description="… or so many bytes of them.")
    maintain_every: Duration = Field(default=600, description="How often closed days are looked at for compaction, and old files removed.")
    closed_after: Duration = Field(default=3600, description="A day is closed this long after its end (UTC).")
    file_size: Size = Field(default=128 * 2**20, description="The size of a compacted file.")
    vacuum_after: Duration = Field(default=86_400, description="How long a replaced file is kept for readers.")


class Workers(Section):
    """How workers behave when a store cannot take it."""

    batch: int = Field(default=5_000, ge=1, description="The most entries taken at once, where a store says nothing else.")
    batch_size: Size = Field(default=8 * 2**20, description="The most bytes taken at once, where a store says nothing else.")
    write_time: Duration = Field(default=60, description="How long a store's write may take before it counts as unavailable.")
    retry_first: Duration = Field(default=0.1, description="The first pause after a store was unavailable; doubled each time, with jitter …")
    retry_most: Duration = Field(default=30, description="… up to this.")
    catch_up: Duration = Field(default=60, description="The metric `consumers_wanted` asks for as many as work a lag off in this time.")
    scale_down_after: Duration = Field(default=300, description="It asks for fewer only when fewer were enough for this long.")
    refused_share: float = Field(default=0.9, gt=0, le=1, description="If a store refuses more than this share of a batch of 100 or more, its worker stops and says so.")


class Query(Section):
    """Answers."""

    rows: int = Field(default=1000, ge=1, description="Rows of an answer where `limit` is not given.")
    most_rows: int = Field(default=10_000, ge=1, description="The largest `limit`.")
    time: Duration = Field(default=30, description="How long an answer may take.")
    tail_size: Size = Field(default=256 * 2**20, description="Memory for messages that are not in the lake yet; beyond it they are read from the log.")
    streams: int = Field(default=200, ge=1, description="The most live streams at once.")


class Logging(Section):
    """What the program says about itself."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="The least severe line that is written.")
    format: Literal["auto", "text", "json"] = Field(default="auto", description="`auto`: text on a terminal, JSON elsewhere.")
    keep: bool = Field(default=True, description="Put it into the lake's place too, in `logs/service`.")
    flush_every: Duration = Field(default=10, description="So often, if anything was said; a process that is killed loses as much. The audit log's changes too …")
    flush_size: Size = Field(default=2**20, description="… and after so many bytes.")
    buffer_size: Size = Field(default=8 * 2**20, description="Bytes that wait while the lake's place is away; what is said beyond it is dropped there, and counted.")
    retention: Duration = Field(default=90 * 86_400, description="How long the service log is kept there, in whole days. The audit log, in `logs/audit`, is kept for ever.")


class Config(Section):
    """All settings."""

    profile: Literal["embedded", "stack"] = Field(default="embedded", description="`embedded`: one process, nothing else to install. `stack`: Kafka and five stores, many processes.")
    data: Path = Field(default=Path("data"), description="The folder where everything is kept.")
    http: Http = Http()
    mqtt: Mqtt = Mqtt()
    ingest: Ingest = Ingest()
    decoders: Decoders = Decoders()
    blobs: Blobs = Blobs()
    registry: RegistrySettings = RegistrySettings()
    quotas: Quotas = Quotas()
    log: LogConfig = LogConfig()
    commands: Commands = Commands()
    selection: Selection = Selection()
    live: Live = Live()
    documents: Documents = Documents()
    search: Search = Search()
    reports: Reports = Reports()
    lake: Lake = Lake()
    workers: Workers = Workers()
    query: Query = Query()
    logging: Logging = Logging()
    kafka: Kafka = Kafka()
    redis: Redis = Redis()
    mongodb: MongoDb = MongoDb()
    elasticsearch: Elasticsearch = Elasticsearch()
    mariadb: MariaDb = MariaDb()
    s3: S3 = S3()
    bridges: dict[str, Bridge] = Field(default_factory=dict, description="Other MQTT brokers that gateways read, by name.")
    models: dict[str, Model] = Field(default_factory=default_models, description="Kinds of devices. `default` is for all that no other names.")

    @model_validator(mode="after")
    def _bounds(self) -> "Config":
        if self.http.body_size > 8 * 2**20:
            raise ValueError("http.body_size: 8MiB at most")
        return self


# fmt: on


def load(file: Path | None = None, environment: Mapping[str, str] | None = None, **overrides: object) -> Config:
    """Read the file (if any), lay the environment over it, then `section__key=value` overrides; check everything."""
    tree: dict[str, Any] = {}
    if file is not None:
        import yaml  # noqa: PLC0415 - a megabyte, for those who have a file

        try:
            loaded = yaml.safe_load(file.read_text("utf-8"))
        except OSError as error:
            raise ConfigError(f"{file}: {error.strerror}") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file}: {error}") from None
        if loaded is not None and not isinstance(loaded, dict):
            raise ConfigError(f"{file}: expected keys and values, found {type(loaded).__name__}")
        tree = loaded or {}
    for path, value in _from_environment(os.environ if environment is None else environment):
        _put(tree, path, value)
    for name, value in overrides.items():
        if value is not None:
            _put(tree, name.split("__"), value)
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(_explain(error, file)) from None


def _from_environment(environment: Mapping[str, str]) -> list[tuple[list[str], object]]:
    found: list[tuple[list[str], object]] = []
    for name, value in sorted(environment.items()):
        if not name.startswith(PREFIX) or name in _NOT_CONFIGURATION:
            continue
        path = name.removeprefix(PREFIX).lower().split("__")
        if path[-1].endswith("_file"):
            path[-1] = path[-1].removesuffix("_file")
            try:
                found.append((path, Path(value).read_text("utf-8").strip()))
            except OSError as error:
                raise ConfigError(f"{name}: {value}: {error.strerror}") from None
        else:
            found.append((path, _structured(value) if value.startswith(("[", "{")) else value))
    return found


def _structured(text: str) -> object:
    """A list or a mapping, as JSON has it, or YAML."""
    try:
        return json.loads(text)
    except ValueError:
        import yaml  # noqa: PLC0415 - as above

        return yaml.safe_load(text)


def _put(tree: dict[str, Any], path: list[str], value: object) -> None:
    for key in path[:-1]:
        below = tree.setdefault(key, {})
        if not isinstance(below, dict):
            raise ConfigError(f"{'.'.join(path)}: {key} is a value, not a section")
        tree = below
    tree[path[-1]] = value


_MISTAKES = {
    "extra_forbidden": "there is no such key",
    "tuple_type": "a list belongs here, like [a, b]",
    "model_type": "keys and values belong here",
    "dict_type": "keys and values belong here",
}
"""Kinds of mistakes, in a person's words rather than Python's."""


def _explain(error: ValidationError, file: Path | None) -> str:
    lines = [f"{len(error.errors())} mistakes in the configuration ({file or 'no file'}, environment, options):"]
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"]) or "(top)"
        what = _MISTAKES.get(item["type"]) or item["msg"].removeprefix("Value error, ")
        lines.append(f"  {key}: {what}")
    if len(lines) == 2:
        lines[0] = lines[0].replace("1 mistakes", "1 mistake")
    return "\n".join(lines)
