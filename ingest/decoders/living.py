"""The catalogue of a running process: built-in families, those of installed packages, and those that people add.

In: the configuration; decoders in the registry, whenever they change. Out: a `Catalogue` that follows them. A decoder
that cannot be used is named in the log and left out: it was checked when it was added.
"""

import re
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs

from headwater.config_decoders import Decoders
from headwater.directory import Directory
from headwater.errors import ConfigError, HeadwaterError, Rejected
from headwater.known import DECODER
from headwater.message import Message
from headwater.registry import DecoderText
from headwater.saying import get_logger
from ingest.contract import Codec, Payload
from ingest.decoders.catalogue import Catalogue
from ingest.decoders.draft import Draft
from ingest.decoders.families import FAMILIES
from ingest.decoders.family import Family
from ingest.decoders.knowledge import Knowledge
from ingest.decoders.lorawan.network import about
from ingest.decoders.mapping import read_mapping

GROUP = "headwater.decoders"
"""The entry points of installed packages: each is a `Family`, or a function that makes one."""
_KEY = re.compile(r"([0-9A-Fa-f:.-]{12,17})\s+([0-9A-Fa-f]{24,64})")

log = get_logger()


class Living(NamedTuple):
    """The catalogue, and what its decoders know."""

    catalogue: Catalogue
    knowledge: Knowledge


def open_decoders(config: Decoders) -> Living:
    """Everything but what the registry has. Raises `ConfigError` for a family or pattern that makes no sense."""
    families = (*installed(), *FAMILIES)
    unknown = sorted(config.topics.keys() - {family.name for family in families})
    if unknown:
        raise ConfigError(f"decoders.topics.{unknown[0]}: there is no such family")
    try:
        catalogue = Catalogue(families, config.topics)
    except ValueError as error:
        raise ConfigError(f"decoders.topics: {error}") from None
    catalogue.context = knowledge = Knowledge(config.remembered, config.ask_every, _keys(config.ble_keys))
    return Living(catalogue, knowledge)


def installed() -> list[Family]:
    """The families of installed packages. One that does not load stops the start: its traffic would be rejected."""
    found: list[Family] = []
    for entry in entry_points(group=GROUP):
        try:
            loaded = entry.load()
            family = loaded() if callable(loaded) and not isinstance(loaded, Family) else loaded
        except Exception as error:
            raise ConfigError(f"the decoder {entry.name} ({entry.value}) does not load: {error}") from error
        if not isinstance(family, Family):
            raise ConfigError(f"the decoder {entry.name} ({entry.value}) is no Family")
        found.append(family)
    return found


@contextmanager
def following(living: Living, directory: Directory, config: Decoders) -> Generator[None]:
    """Within the block the catalogue has what the registry has."""

    def renew(name: str = DECODER) -> None:
        if name.split(" ", maxsplit=1)[0] == DECODER:
            take(living, directory.decoders(), config)

    stop = directory.watch(renew)
    renew()
    try:
        yield
    finally:
        stop()


def take(living: Living, records: Sequence[DecoderText], config: Decoders) -> None:
    """Put these in the place of what was added before."""
    families: list[Family] = []
    codecs: dict[str, Codec] = {}
    for record in records:
        try:
            family, codec = compiled(record, config)
        except HeadwaterError as error:
            log.warning("a decoder of the registry cannot be used", decoder=record.name, error=str(error))
            continue
        families.append(family)
        if codec is not None:
            codecs |= {name.casefold(): codec for name in (record.name, *record.models)}
    living.catalogue.extend(families)
    living.knowledge.codecs = codecs


def compiled(record: DecoderText, config: Decoders) -> tuple[Family, Codec | None]:
    """A record's family, and its codec if it is one. Raises `ConfigError`, `Rejected`: what is wrong with its text."""
    if record.language == "mapping":
        family = read_mapping(record.text, record.name)
        return family._replace(name=record.name, models=(*family.models, *record.models)), None
    from ingest.decoders.lorawan.codec import compile_codec  # noqa: PLC0415 - an engine that few need

    codec = compile_codec(record.name, record.text, config)
    return Family(record.name, of_codec(codec), models=record.models, title=record.name), codec


def of_codec(codec: Codec) -> Callable[[Payload], list[Message | Rejected]]:
    """A decoder of bare radio payloads: `?decoder=NAME&fPort=2` says the port, which is 1 if nothing does."""

    def decode(payload: Payload) -> list[Message | Rejected]:
        port = parse_qs(payload.source.query).get("fPort", ["1"])[-1]
        if not port.isdecimal() or len(port) > 3 or int(port) > 255:
            raise Rejected("bad_value", f"fPort is a number from 0 to 255, not {port[:20]!r}")
        made = codec(payload.data, int(port), payload.received)
        draft = Draft(payload)
        draft.tree(made.data)
        about(draft, made.data)
        if made.warnings:
            draft.put("note.codec", "; ".join(made.warnings))
        return [*draft.messages()]

    return decode


def _keys(path: Path | None) -> dict[str, object]:
    """`ble-key:MAC` → key. Raises `ConfigError` naming the line."""
    if path is None:
        return {}
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ConfigError(f"decoders.ble_keys: {error}") from None
    keys: dict[str, object] = {}
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        found = _KEY.fullmatch(text)
        if found is not None:
            keys[f"ble-key:{re.sub('[^0-9A-F]', '', found[1].upper())}"] = bytes.fromhex(found[2])
        elif text:
            raise ConfigError(f"decoders.ble_keys: line {number} is not `MAC KEY` in hex")
    return keys
