"""Topics: which decoder a topic belongs to, and which device it names.

In: the topic of a PUBLISH. Out: its `Source`, or None where no pattern fits. Patterns are MQTT filters (`+` one level,
`#` the rest) in which one level may be `{device}`.
"""

import re
from functools import lru_cache

from ingest.contract import Source
from ingest.decoders import FAMILIES

NATIVE_TOPIC = "devices/{device}/telemetry"


def source_for(topic: str, peer: str, transport: str = "mqtt") -> Source | None:
    """The source of everything that comes on this topic from this peer; keep it for the connection. None: no decoder.

    The device is as the topic spells it: the intake checks the name.
    """
    found = _match(topic)
    if found is None:
        return None
    decoder, device = found
    return Source(transport, topic, device, decoder, peer=peer)


def unknown_source(topic: str, peer: str, transport: str = "mqtt") -> Source:
    """A source without a decoder: the intake rejects what comes on it (`no_decoder`) and keeps a record."""
    return Source(transport, topic, peer=peer)


@lru_cache(maxsize=8192)
def _match(topic: str) -> tuple[str, str] | None:
    """(decoder, device) of the first pattern that fits."""
    for decoder, pattern in _patterns():
        fit = pattern.fullmatch(topic)
        if fit is not None:
            return decoder, fit.groupdict().get("device", "")
    return None


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    table = [("native", NATIVE_TOPIC)]
    table += [(family.name, pattern) for family in FAMILIES for pattern in family.topics]
    return tuple((decoder, compile_pattern(pattern)) for decoder, pattern in table)


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """`tele/{device}/SENSOR` → a regular expression whose group `device` is that level. Raises `ValueError`."""
    levels = pattern.split("/")
    if levels.count("{device}") > 1 or "#" in levels[:-1]:
        raise ValueError(f"{pattern!r}: `{{device}}` once at most, `#` last")
    parts: list[str] = []
    for level in levels:
        if level == "#":
            break
        parts.append({"+": "[^/]*", "{device}": "(?P<device>[^/]*)"}.get(level, re.escape(level)))
    body = "/".join(parts)
    if levels[-1] == "#":  # as in MQTT, `a/#` also fits `a`
        body = f"{body}(?:/.*)?" if parts else ".*"
    return re.compile(body, re.DOTALL)
